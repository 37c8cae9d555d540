"""ZFNet: AlexNet after a look inside it, with smaller filters and a smaller step in front."""

from torch import nn

from easyconv.arguments import check_flag
from easyconv.layers import Conv2D, Dense, GlobalAvgPool2D
from easyconv.layers.initializers import InitLike
from easyconv.layers.normalization import alexnet_norm
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.initial import choose_init

__all__ = ["zfnet"]


@net_words
def zfnet(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    wide: bool = False,
    small: bool = False,
    init: InitLike = "paper",
) -> Sequential:
    """ZFNet (Zeiler and Fergus, 2014), for images of 224x224.

    =====  ==========================================  ===========  ==========
    layer  what it does                                output       parameters
    =====  ==========================================  ===========  ==========
    conv1  96 of 7x7, stride 2; ReLU                   96@110x110   14,208
    pool1  maximum of 3x3, stride 2; norm              96@55x55
    conv2  256 of 5x5, stride 2; ReLU                  256@26x26    614,656
    pool2  maximum of 3x3, stride 2; norm              256@13x13
    conv3  384 of 3x3; ReLU                            384@13x13    885,120
    conv4  384 of 3x3; ReLU                            384@13x13    1,327,488
    conv5  256 of 3x3; ReLU                            256@13x13    884,992
    pool5  maximum of 3x3, stride 2                    256@6x6
    fc6    dense; ReLU, dropout                        4096         37,752,832
    fc7    dense; ReLU, dropout                        4096         16,781,312
    fc8    dense                                       1000         4,097,000
    =====  ==========================================  ===========  ==========

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    wide : bool, default False
        512, 1024 and 512 maps in conv3, conv4 and conv5, the best single net of the paper's table 3.
    small : bool, default False
        For images of 28x28 and 32x32: conv1 of 3x3 and both first convolutions with stride 1, the mean of each map
        before the dense layers, and 512 units in those.
    init : str or callable, default "paper"
        Initial weights. ``"paper"`` is a normal distribution of standard deviation 0.01 and biases of 0; ``"he"`` for
        ``small=True``, where 0.01 would be too small.

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
    The paper does not say how it pads. Its figure 3 has maps of 110, 55, 26, 13 and 6; from 224 these come with one
    zero around the image in conv1, none in conv2, and poolings that also count an incomplete last window
    (``ceil_mode``), as the code of that time did. Nor does it give the numbers of its contrast normalization; here it
    is AlexNet's.

    References
    ----------
    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, figure 3, section 3 and
    table 3.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = zfnet()
    >>> net.count_params()
    62357608
    """
    check_net(num_classes, in_channels)
    check_flag("small", small)
    maps3, maps4, maps5 = (512, 1024, 512) if check_flag("wide", wide) else (384, 384, 256)
    units, size = (512, 32) if small else (4096, 224)
    return Sequential(
        [
            ("conv1", Conv2D(96, 3, padding=1) if small else Conv2D(96, 7, stride=2, padding=1)),
            ("relu1", nn.ReLU()),
            ("pool1", nn.MaxPool2d(3, stride=2, ceil_mode=True)),
            ("norm1", alexnet_norm()),
            ("conv2", Conv2D(256, 5, padding=2) if small else Conv2D(256, 5, stride=2)),
            ("relu2", nn.ReLU()),
            ("pool2", nn.MaxPool2d(3, stride=2, ceil_mode=True)),
            ("norm2", alexnet_norm()),
            ("conv3", Conv2D(maps3, 3, padding=1)),
            ("relu3", nn.ReLU()),
            ("conv4", Conv2D(maps4, 3, padding=1)),
            ("relu4", nn.ReLU()),
            ("conv5", Conv2D(maps5, 3, padding=1)),
            ("relu5", nn.ReLU()),
            ("pool5", nn.MaxPool2d(3, stride=2, ceil_mode=True)),
            ("flatten", GlobalAvgPool2D() if small else nn.Flatten()),
            ("fc6", Dense(units)),
            ("relu6", nn.ReLU()),
            ("drop6", nn.Dropout(0.5)),
            ("fc7", Dense(units)),
            ("relu7", nn.ReLU()),
            ("drop7", nn.Dropout(0.5)),
            ("fc8", Dense(num_classes)),
        ],
        input_shape=(in_channels, size, size),
        name="zfnet",
        init=choose_init(init, "he" if small else "alexnet"),
    )
