"""The small nets of a first course: each can be trained on a laptop."""

from collections.abc import Sequence

from torch import nn

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentTypeError
from easyconv.layers import (
    Activation,
    Conv2D,
    ConvBlock,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    InceptionA,
    MaxPool2D,
    Residual,
)
from easyconv.layers.initializers import InitLike
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words

__all__ = ["cifar_cnn", "cifar_vgg", "mnist_cnn", "mnist_googlenet", "mnist_resnet"]


@net_words
def mnist_cnn(
    num_classes: int = 10, in_channels: int = 1, *, input_size: int = 28, init: InitLike = None
) -> Sequential:
    """Two convolutions, each followed by pooling, and one dense layer; the net to start with.

    =======  ======================================  =========  ==========
    layer    what it does                            output     parameters
    =======  ======================================  =========  ==========
    conv1    10 of 5x5                               10@24x24   260
    pool1    maximum of 2x2; ReLU                    10@12x12
    conv2    20 of 5x5                               20@8x8     5,020
    pool2    maximum of 2x2; ReLU                    20@4x4
    dense    flattened, 320 to 10                    10         3,210
    =======  ======================================  =========  ==========

    Parameters
    ----------
    num_classes : int, default 10
        Number of classes.
    in_channels : int, default 1
        Channels of the images.
    input_size : int, default 28
        Height and width of the images, at least 16.
    init : str or callable, optional
        Initial weights; torch's own by default.

    Returns
    -------
    Sequential
        The net, built. About 99 % on MNIST after 10 epochs of SGD with a learning rate of 0.01 and momentum 0.5.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    Examples
    --------
    >>> mnist_cnn().count_params()
    8490
    """
    check_net(num_classes, in_channels)
    check_integer("input_size", input_size, minimum=16)
    return Sequential(
        [
            ("conv1", Conv2D(10, 5)),
            ("pool1", MaxPool2D(2)),
            ("relu1", Activation("relu")),
            ("conv2", Conv2D(20, 5)),
            ("pool2", MaxPool2D(2)),
            ("relu2", Activation("relu")),
            ("flatten", Flatten()),
            ("dense", Dense(num_classes)),
        ],
        input_shape=(in_channels, input_size, input_size),
        name="mnist_cnn",
        init=init,
    )


@net_words
def mnist_googlenet(
    num_classes: int = 10, in_channels: int = 1, *, input_size: int = 28, init: InitLike = None
) -> Sequential:
    """The same with an Inception block of 88 channels after each pooling.

    ==========  ===================================  =========  ==========
    layer       what it does                         output     parameters
    ==========  ===================================  =========  ==========
    conv1       10 of 5x5                            10@24x24   260
    pool1       maximum of 2x2; ReLU                 10@12x12
    inception1  `InceptionA`                         88@12x12   19,104
    conv2       20 of 5x5                            20@8x8     44,020
    pool2       maximum of 2x2; ReLU                 20@4x4
    inception2  `InceptionA`                         88@4x4     19,824
    dense       flattened, 1408 to 10                10         14,090
    ==========  ===================================  =========  ==========

    Parameters
    ----------
    num_classes, in_channels, input_size, init
        As in `mnist_cnn`.

    Returns
    -------
    Sequential
        The net, built. About 99 % on MNIST after 10 epochs of SGD with a learning rate of 0.01 and momentum 0.5.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, for the idea.

    Examples
    --------
    >>> mnist_googlenet().get_layer("dense")
    Linear(in_features=1408, out_features=10, bias=True)
    """
    check_net(num_classes, in_channels)
    check_integer("input_size", input_size, minimum=16)
    return Sequential(
        [
            ("conv1", Conv2D(10, 5)),
            ("pool1", MaxPool2D(2)),
            ("relu1", Activation("relu")),
            ("inception1", InceptionA()),
            ("conv2", Conv2D(20, 5)),
            ("pool2", MaxPool2D(2)),
            ("relu2", Activation("relu")),
            ("inception2", InceptionA()),
            ("flatten", Flatten()),
            ("dense", Dense(num_classes)),
        ],
        input_shape=(in_channels, input_size, input_size),
        name="mnist_googlenet",
        init=init,
    )


@net_words
def mnist_resnet(
    num_classes: int = 10, in_channels: int = 1, *, input_size: int = 28, init: InitLike = None
) -> Sequential:
    """The same with a residual block after each pooling: ``relu(f(x) + x)``, where f is two 3x3 convolutions.

    =========  ====================================  =========  ==========
    layer      what it does                          output     parameters
    =========  ====================================  =========  ==========
    conv1      16 of 5x5                             16@24x24   416
    pool1      maximum of 2x2; ReLU                  16@12x12
    residual1  two 3x3 and the way around            16@12x12   4,640
    conv2      32 of 5x5                             32@8x8     12,832
    pool2      maximum of 2x2; ReLU                  32@4x4
    residual2  two 3x3 and the way around            32@4x4     18,496
    dense      flattened, 512 to 10                  10         5,130
    =========  ====================================  =========  ==========

    Parameters
    ----------
    num_classes, in_channels, input_size, init
        As in `mnist_cnn`.

    Returns
    -------
    Sequential
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, figure 2, for the block.

    Examples
    --------
    >>> mnist_resnet().count_params()
    41514
    """
    check_net(num_classes, in_channels)
    check_integer("input_size", input_size, minimum=16)
    return Sequential(
        [
            ("conv1", Conv2D(16, 5)),
            ("pool1", MaxPool2D(2)),
            ("relu1", Activation("relu")),
            ("residual1", _residual(16)),
            ("conv2", Conv2D(32, 5)),
            ("pool2", MaxPool2D(2)),
            ("relu2", Activation("relu")),
            ("residual2", _residual(32)),
            ("flatten", Flatten()),
            ("dense", Dense(num_classes)),
        ],
        input_shape=(in_channels, input_size, input_size),
        name="mnist_resnet",
        init=init,
    )


def _residual(channels: int) -> nn.Module:
    main = [Conv2D(channels, 3, padding=1), Activation("relu"), Conv2D(channels, 3, padding=1)]
    return Residual(main, activation="relu")


@net_words
def cifar_cnn(
    num_classes: int = 10, in_channels: int = 3, *, input_size: int = 32, init: InitLike = None
) -> Sequential:
    """Two 3x3 convolutions with dropout between them, pooling, and a wide dense layer.

    ========  =====================================  =========  ==========
    layer     what it does                           output     parameters
    ========  =====================================  =========  ==========
    conv1     32 of 3x3; ReLU                        32@32x32   896
    dropout1  a fifth of the values                  32@32x32
    conv2     32 of 3x3; ReLU                        32@32x32   9,248
    pool      maximum of 2x2                         32@16x16
    dense1    flattened, 8192 to 512; ReLU           512        4,194,816
    dropout2  half of the values                     512
    dense2    512 to 10                              10         5,130
    ========  =====================================  =========  ==========

    Parameters
    ----------
    num_classes : int, default 10
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    input_size : int, default 32
        Height and width of the images, at least 2.
    init : str or callable, optional
        Initial weights; torch's own by default.

    Returns
    -------
    Sequential
        The net, built. Over 70 % on CIFAR-10; nearly all its parameters are in one dense layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    Examples
    --------
    >>> cifar_cnn().count_params()
    4210090
    """
    check_net(num_classes, in_channels)
    check_integer("input_size", input_size, minimum=2)
    return Sequential(
        [
            ("conv1", Conv2D(32, 3, padding="same", activation="relu")),
            ("dropout1", Dropout(0.2)),
            ("conv2", Conv2D(32, 3, padding="same", activation="relu")),
            ("pool", MaxPool2D(2)),
            ("flatten", Flatten()),
            ("dense1", Dense(512, activation="relu")),
            ("dropout2", Dropout(0.5)),
            ("dense2", Dense(num_classes)),
        ],
        input_shape=(in_channels, input_size, input_size),
        name="cifar_cnn",
        init=init,
    )


@net_words
def cifar_vgg(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    widths: Sequence[int] = (32, 64, 128, 256),
    depth: int = 2,
    dropout: float = 0.0,
    init: InitLike = "he",
) -> Sequential:
    """VGG blocks in a loop: in each stage some 3x3 convolutions with batch norm, then pooling.

    =======  ===============================================  =========  ==========
    layer    what it does                                     output     parameters
    =======  ===============================================  =========  ==========
    stage1   2 convolutions, batch norm, ReLU, pooling        32@16x16   10,208
    stage2   2 convolutions, batch norm, ReLU, pooling        64@8x8     55,552
    stage3   2 convolutions, batch norm, ReLU, pooling        128@4x4    221,696
    stage4   2 convolutions, batch norm, ReLU, pooling        256@2x2    885,760
    pool     mean of each map                                 256
    dense    256 to 10                                        10         2,570
    =======  ===============================================  =========  ==========

    Parameters
    ----------
    num_classes : int, default 10
        Number of classes.
    in_channels : int, default 3
        Channels of the images, of any size that can be halved as often as there are stages.
    widths : sequence of int, default (32, 64, 128, 256)
        Maps of each stage.
    depth : int, default 2
        Convolutions of each stage.
    dropout : float, default 0.0
        Dropout before the dense layer.
    init : str or callable, default "he"
        Initial weights.

    Returns
    -------
    Sequential
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, for the
    blocks. Ioffe and Szegedy, "Batch Normalization", ICML 2015. Lin, Chen and Yan, "Network In Network", ICLR 2014, for
    the mean of each map in place of large dense layers.

    Examples
    --------
    >>> cifar_vgg().count_params()
    1175786
    """
    check_net(num_classes, in_channels)
    check_integer("depth", depth, minimum=1)
    layers: list[tuple[str, nn.Module]] = []
    for number, channels in enumerate(_checked_widths(widths), start=1):
        convolutions = [ConvBlock(channels) for _ in range(depth)]
        layers.append((f"stage{number}", nn.Sequential(*convolutions, MaxPool2D(2))))
    layers.append(("pool", GlobalAvgPool2D()))
    layers.append(("dropout", Dropout(dropout)))
    layers.append(("dense", Dense(num_classes)))
    return Sequential(layers, input_shape=(in_channels, 32, 32), name="cifar_vgg", init=init)


def _checked_widths(widths: object) -> list[int]:
    if not isinstance(widths, (list, tuple)) or not widths:
        raise ArgumentTypeError(
            f"widths must be a list with the maps of each stage, like (32, 64, 128); got {widths!r}."
        )
    return [check_integer("a number in widths", width, minimum=1) for width in widths]
