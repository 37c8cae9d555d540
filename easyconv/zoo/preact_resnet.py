"""ResNet-18 with norm and ReLU before each convolution."""

from torch import nn

from easyconv.arguments import check_flag
from easyconv.layers import BatchNorm, Dense, PreActBlock
from easyconv.layers.containers import Branch
from easyconv.layers.initializers import InitLike
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.initial import choose_init
from easyconv.zoo.stems import stem

__all__ = ["preact_resnet18"]


@net_words
def preact_resnet18(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    shortcut: Branch = "B",
    init: InitLike = "he",
) -> Sequential:
    """ResNet-18 with full pre-activation (He et al., 2016), for images of 224x224.

    ===========  =============================================  ===========  ==========
    layer        made of                                        output       parameters
    ===========  =============================================  ===========  ==========
    conv1        7x7, 64, stride 2; norm, ReLU                  64@112x112   9,536
    maxpool      3x3, stride 2                                  64@56x56     0
    layer1       2 x (3x3, 64; 3x3, 64)                         64@56x56     147,840
    layer2       2 x (3x3, 128; 3x3, 128), the first stride 2   128@28x28    525,184
    layer3       2 x (3x3, 256; 3x3, 256), the first stride 2   256@14x14    2,098,944
    layer4       2 x (3x3, 512; 3x3, 512), the first stride 2   512@7x7      8,392,192
    norm         norm, ReLU                                     512@7x7      1,024
    fc           average pool, dense                            1000         513,000
    ===========  =============================================  ===========  ==========

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    small : bool, default False
        For images of 28x28 and 32x32: a first convolution of 3x3 with stride 1, and no pooling after it.
    shortcut : "A", "B" or "C", default "B"
        The way around, as in `PreActBlock`: zeros for new channels, projections where the shape changes, projections
        everywhere.
    init : str or callable, default "he"
        Initial weights of convolutions and dense layers; He's rule, as the authors have it.

    Returns
    -------
    Sequential
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    Notes
    -----
    For ImageNet the paper has bottleneck nets only; this is its unit (figure 1b) in the sizes of ResNet-18. As its
    appendix says, the first norm and ReLU stand right after the first convolution, before the two paths of the
    first unit split, and there is an extra norm and ReLU after the last unit. An implementation for CIFAR-10 that
    is much used, of 11,171,146 parameters, lacks the extra norm: ``small=True`` with 10 classes has the 1,024
    parameters of that norm more.

    References
    ----------
    He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016, figure 1(b) and appendix; "Deep
    Residual Learning for Image Recognition", CVPR 2016, table 1, 18-layer, for the sizes.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = preact_resnet18()
    >>> net.count_params()
    11687720
    """
    check_net(num_classes, in_channels)
    return Sequential(
        [
            *stem("conv1", "bn1", "relu", "maxpool", small=check_flag("small", small)),
            ("layer1", _stage(64, shortcut, preactivate=False)),
            ("layer2", _stage(128, shortcut, stride=2)),
            ("layer3", _stage(256, shortcut, stride=2)),
            ("layer4", _stage(512, shortcut, stride=2)),
            ("norm", BatchNorm()),
            ("norm_relu", nn.ReLU()),
            ("avgpool", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("fc", Dense(num_classes)),
        ],
        input_shape=(in_channels, 32, 32) if small else (in_channels, 224, 224),
        name="preact_resnet18",
        init=choose_init(init, "he"),
    )


def _stage(channels: int, shortcut: Branch, *, stride: int = 1, preactivate: bool = True) -> nn.Sequential:
    """Two blocks of the same size; the first one steps."""
    return nn.Sequential(
        PreActBlock(channels, stride, shortcut=shortcut, preactivate=preactivate),
        PreActBlock(channels, shortcut=shortcut),
    )
