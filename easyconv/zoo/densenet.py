"""DenseNet: every layer of a block sees all layers before it."""

from collections import OrderedDict

import torch
from torch import nn

from easyconv.arguments import check_flag, check_number
from easyconv.layers import BatchNorm, Dense, DenseBlock, GlobalAvgPool2D, Transition
from easyconv.layers.initializers import InitLike
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.initial import choose_init
from easyconv.zoo.pretrained import check_weights, load_imagenet
from easyconv.zoo.stems import stem

__all__ = ["densenet121"]


@net_words
def densenet121(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    dropout: float = 0.0,
    init: InitLike = "paper",
    weights: str | None = None,
) -> Sequential:
    """DenseNet-121 (Huang, Liu, van der Maaten and Weinberger, 2017), for images of 224x224.

    ===========================  ===================================  ============  ==========
    layers                       what they do                         output        parameters
    ===========================  ===================================  ============  ==========
    conv0, norm0, relu0          64 maps, 7x7, stride 2               64@112x112    9,536
    pool0                        max, 3x3, stride 2                   64@56x56
    denseblock1                  (1x1, 3x3) 6 times                   256@56x56     335,040
    transition1                  1x1, average pooling of 2x2          128@28x28     33,280
    denseblock2                  (1x1, 3x3) 12 times                  512@28x28     919,680
    transition2                  1x1, average pooling of 2x2          256@14x14     132,096
    denseblock3                  (1x1, 3x3) 24 times                  1024@14x14    2,837,760
    transition3                  1x1, average pooling of 2x2          512@7x7       526,336
    denseblock4                  (1x1, 3x3) 16 times                  1024@7x7      2,158,080
    norm5, relu5, pool5          global average pooling               1024          2,048
    classifier                   dense                                1000          1,025,000
    ===========================  ===================================  ============  ==========

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    small : bool, default False
        For images of 28x28 and 32x32: the first convolution is 3x3 with stride 1, and no pooling follows it, as in the
        paper's nets for CIFAR.
    dropout : float, default 0.0
        Probability of a zero at the end of each layer of a block. The paper takes 0.2 where data are not augmented.
    init : str or callable, default "paper"
        Initial weights. ``"paper"`` is He's for convolutions, and for the dense layer torch's uniform distribution with
        a bias of zero, as in the authors' code and in torchvision.
    weights : {"imagenet"}, optional
        Torchvision's trained weights.

    Returns
    -------
    Sequential
        The net, built: ``features``, ``relu5``, ``pool5`` and ``classifier``. Its ``state_dict`` is torchvision's of
        ``densenet121``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    Notes
    -----
    Of the paper's families this is DenseNet-BC with growth rate k = 32: 1x1 convolutions of 4k maps before each 3x3,
    and transitions that leave θ = 0.5 of the maps. Its 121 layers with weights are 1 + 2 * (6 + 12 + 24 + 16) + 3 + 1.

    References
    ----------
    Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", CVPR 2017, table 1, column
    DenseNet-121.

    Examples
    --------
    >>> with torch.device("meta"):
    ...     net = densenet121()
    >>> net.count_params()
    7978856
    """
    check_net(num_classes, in_channels)
    check_flag("small", small)
    check_number("dropout", dropout, minimum=0, below=1)
    check_weights(weights, in_channels=in_channels, small=small)
    k = 32
    features: list[tuple[str, nn.Module]] = [
        *stem("conv0", "norm0", "relu0", "pool0", small=small),
        ("denseblock1", DenseBlock(6, k, dropout=dropout)),
        ("transition1", Transition(0.5)),
        ("denseblock2", DenseBlock(12, k, dropout=dropout)),
        ("transition2", Transition(0.5)),
        ("denseblock3", DenseBlock(24, k, dropout=dropout)),
        ("transition3", Transition(0.5)),
        ("denseblock4", DenseBlock(16, k, dropout=dropout)),
        ("norm5", BatchNorm()),
    ]
    net = Sequential(
        [
            ("features", nn.Sequential(OrderedDict(features))),
            ("relu5", nn.ReLU()),
            ("pool5", GlobalAvgPool2D()),
            ("classifier", Dense(num_classes)),
        ],
        input_shape=(in_channels, 32, 32) if small else (in_channels, 224, 224),
        name="densenet121",
        init=choose_init(init, _initial),
    )
    return load_imagenet(net, "densenet121", head="classifier", weights=weights)


def _initial(weight: torch.Tensor) -> torch.Tensor:
    """He's for filters; for the dense layer U(-1/sqrt(n), 1/sqrt(n)) of n inputs, which is torch's own."""
    if weight.dim() == 2:
        return nn.init.kaiming_uniform_(weight, a=5**0.5)
    return nn.init.kaiming_normal_(weight, nonlinearity="relu")
