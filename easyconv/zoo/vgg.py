"""VGG: nothing but 3x3 convolutions and poolings, in table 1's configurations A, B, D and E."""

from collections.abc import Sequence

from torch import nn

from easyconv.arguments import check_flag
from easyconv.layers import BatchNorm, Conv2D, Dense
from easyconv.layers.initializers import InitLike
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.initial import choose_init, he_and_small_dense
from easyconv.zoo.pretrained import check_weights, load_imagenet

__all__ = ["vgg11", "vgg13", "vgg16", "vgg19"]

# Table 1: maps of the 3x3 convolutions, stage by stage; a pooling follows each stage. (C has 1x1 convolutions too.)
A = ([64], [128], [256, 256], [512, 512], [512, 512])
B = ([64, 64], [128, 128], [256, 256], [512, 512], [512, 512])
D = ([64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512])
E = ([64, 64], [128, 128], [256, 256, 256, 256], [512, 512, 512, 512], [512, 512, 512, 512])


@net_words
def vgg11(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    batch_norm: bool = False,
    small: bool = False,
    init: InitLike = "paper",
    weights: str | None = None,
) -> Sequential:
    """VGG-11 (Simonyan and Zisserman, 2015, configuration A), for images of 224x224; see `vgg16`.

    8 convolutions and 3 dense layers, 132,863,336 parameters.

    Parameters
    ----------
    num_classes, in_channels, batch_norm, small, init, weights
        As in `vgg16`.

    Returns
    -------
    Sequential
        The net, built.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg11()
    >>> net.count_params()
    132863336
    """
    return _vgg("vgg11", A, num_classes, in_channels, batch_norm, small, init, weights)


@net_words
def vgg13(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    batch_norm: bool = False,
    small: bool = False,
    init: InitLike = "paper",
    weights: str | None = None,
) -> Sequential:
    """VGG-13 (Simonyan and Zisserman, 2015, configuration B), for images of 224x224; see `vgg16`.

    10 convolutions and 3 dense layers, 133,047,848 parameters.

    Parameters
    ----------
    num_classes, in_channels, batch_norm, small, init, weights
        As in `vgg16`.

    Returns
    -------
    Sequential
        The net, built.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg13()
    >>> net.count_params()
    133047848
    """
    return _vgg("vgg13", B, num_classes, in_channels, batch_norm, small, init, weights)


@net_words
def vgg16(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    batch_norm: bool = False,
    small: bool = False,
    init: InitLike = "paper",
    weights: str | None = None,
) -> Sequential:
    """VGG-16 (Simonyan and Zisserman, 2015, configuration D), for images of 224x224.

    ===========  =======================================  ============  ===========
    layers       what they do                             output        parameters
    ===========  =======================================  ============  ===========
    stage 1      2 convolutions of 3x3, pooling of 2x2    64@112x112    38,720
    stage 2      2 convolutions of 3x3, pooling of 2x2    128@56x56     221,440
    stage 3      3 convolutions of 3x3, pooling of 2x2    256@28x28     1,475,328
    stage 4      3 convolutions of 3x3, pooling of 2x2    512@14x14     5,899,776
    stage 5      3 convolutions of 3x3, pooling of 2x2    512@7x7       7,079,424
    classifier   3 dense layers, dropout                  1000          123,642,856
    ===========  =======================================  ============  ===========

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    batch_norm : bool, default False
        Whether a batch norm follows each convolution; it came months after the paper's first version.
    small : bool, default False
        For images of 28x28 and 32x32: the mean of each map in place of the fifth pooling, and one dense layer in place
        of three, as is usual for CIFAR.
    init : str or callable, default "paper"
        Initial weights. ``"paper"`` is He's for convolutions (by the outputs of a unit) and a normal distribution of
        standard deviation 0.01 for dense layers, with biases of zero, as torchvision has it.
    weights : {"imagenet"}, optional
        Torchvision's trained weights.

    Returns
    -------
    Sequential
        The net, built: ``features``, ``avgpool``, ``flatten`` and ``classifier``. Its ``state_dict`` is torchvision's
        of ``vgg16`` or ``vgg16_bn``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    Notes
    -----
    The paper draws all weights with one deviation, trains configuration A first and starts the deeper nets from it; it
    found later that one can do without by Glorot's rule (section 3.1). He's rule is Glorot's, made for ReLU. Images of
    other sizes, from 32 on, work too: their maps are averaged (or repeated) to 7x7 before the dense layers.

    References
    ----------
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, table 1,
    column D, and table 2.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg16()
    >>> net.count_params()
    138357544
    """
    return _vgg("vgg16", D, num_classes, in_channels, batch_norm, small, init, weights)


@net_words
def vgg19(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    batch_norm: bool = False,
    small: bool = False,
    init: InitLike = "paper",
    weights: str | None = None,
) -> Sequential:
    """VGG-19 (Simonyan and Zisserman, 2015, configuration E), for images of 224x224; see `vgg16`.

    16 convolutions and 3 dense layers, 143,667,240 parameters.

    Parameters
    ----------
    num_classes, in_channels, batch_norm, small, init, weights
        As in `vgg16`.

    Returns
    -------
    Sequential
        The net, built.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = vgg19()
    >>> net.count_params()
    143667240
    """
    return _vgg("vgg19", E, num_classes, in_channels, batch_norm, small, init, weights)


def _vgg(
    name: str,
    stages: Sequence[Sequence[int]],
    num_classes: int,
    in_channels: int,
    batch_norm: bool,
    small: bool,
    init: InitLike,
    weights: str | None,
) -> Sequential:
    check_net(num_classes, in_channels)
    check_flag("batch_norm", batch_norm)
    check_flag("small", small)
    check_weights(weights, in_channels=in_channels, small=small)
    name += "_bn" * batch_norm
    net = Sequential(
        [
            ("features", _features(stages, batch_norm, small)),
            ("avgpool", nn.AdaptiveAvgPool2d(1 if small else 7)),
            ("flatten", nn.Flatten()),
            ("classifier", Dense(num_classes) if small else _classifier(num_classes)),
        ],
        input_shape=(in_channels, 32, 32) if small else (in_channels, 224, 224),
        name=name,
        init=choose_init(init, he_and_small_dense),
    )
    return load_imagenet(net, name, head="classifier.6", weights=weights)


def _features(stages: Sequence[Sequence[int]], batch_norm: bool, small: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for stage in stages:
        for maps in stage:
            layers += [Conv2D(maps, 3, padding=1), *([BatchNorm()] if batch_norm else []), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    # Of an image of 28 pixels one position is left after four poolings; what follows takes the mean.
    return nn.Sequential(*(layers[:-1] if small else layers))


def _classifier(num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        Dense(4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        Dense(4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        Dense(num_classes),
    )
