"""Residual nets for CIFAR-10: 6n + 2 layers of 16, 32 and 64 filters, as in section 4.2."""

from torch import nn

from easyconv.layers import BasicBlock, BatchNorm, Conv2D, Dense
from easyconv.layers.containers import Branch
from easyconv.layers.initializers import InitLike
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.initial import choose_init

__all__ = ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]


def _resnet_cifar(
    n: int, num_classes: int, in_channels: int, shortcut: Branch, zero_init_residual: bool, init: InitLike
) -> Sequential:
    """The table of section 4.2: 1 + 2n layers at 32x32, 2n at 16x16, 2n at 8x8, and a dense one."""
    check_net(num_classes, in_channels)

    def stage(channels: int, stride: int = 1) -> nn.Sequential:
        def block(stride: int = 1) -> nn.Module:
            return BasicBlock(channels, stride, shortcut=shortcut, zero_init_residual=zero_init_residual)

        return nn.Sequential(block(stride), *(block() for _ in range(n - 1)))

    return Sequential(
        [
            ("conv1", Conv2D(16, 3, padding=1, bias=False)),
            ("bn1", BatchNorm()),
            ("relu", nn.ReLU()),
            ("layer1", stage(16)),
            ("layer2", stage(32, stride=2)),
            ("layer3", stage(64, stride=2)),
            ("avgpool", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("fc", Dense(num_classes)),
        ],
        input_shape=(in_channels, 32, 32),
        name=f"resnet{6 * n + 2}",
        init=choose_init(init, "he"),
    )


@net_words
def resnet20(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    shortcut: Branch = "A",
    zero_init_residual: bool = False,
    init: InitLike = "he",
) -> Sequential:
    """ResNet-20 for CIFAR-10 (He et al., 2016), for images of 32x32.

    =======  ==========================================  ========  ==========
    layer    made of                                     output    parameters
    =======  ==========================================  ========  ==========
    conv1    3x3, 16                                     16@32x32  464
    layer1   n x (3x3, 16; 3x3, 16)                      16@32x32  14,016
    layer2   n x (3x3, 32; 3x3, 32), the first stride 2  32@16x16  51,072
    layer3   n x (3x3, 64; 3x3, 64), the first stride 2  64@8x8    203,520
    fc       average pool, dense                         10        650
    =======  ==========================================  ========  ==========

    With n = 3: 6n + 2 = 20 layers; the paper's test error is 8.75 %. A batch norm follows each convolution, and is
    counted with it.

    Parameters
    ----------
    num_classes : int, default 10
        Number of classes.
    in_channels : int, default 3
        Channels of the images. Images of 28x28 work too.
    shortcut : "A", "B" or "C", default "A"
        The paper's options for the way around, as in `Residual`: zeros for new channels, projections where the shape
        changes, projections everywhere. The paper has A here.
    zero_init_residual : bool, default False
        Whether the scale of each block's last batch norm starts at 0, so that each block starts as its shortcut.
    init : str or callable, default "he"
        Initial weights of convolutions and dense layers; He's rule, which the paper refers to.

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
    The paper counts 0.27 M parameters. It does not say where the new channels of option A stand; here they come last,
    as in the authors' code.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 and table 6.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet20()
    >>> net.count_params()
    269722
    """
    return _resnet_cifar(3, num_classes, in_channels, shortcut, zero_init_residual, init)


@net_words
def resnet32(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    shortcut: Branch = "A",
    zero_init_residual: bool = False,
    init: InitLike = "he",
) -> Sequential:
    """ResNet-32 for CIFAR-10 (He et al., 2016), for images of 32x32; see `resnet20`.

    n = 5: 32 layers, 464,154 parameters; the paper's test error is 7.51 %.

    Parameters
    ----------
    num_classes, in_channels, shortcut, zero_init_residual, init
        As in `resnet20`.

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
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 and table 6.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet32()
    >>> net.count_params()
    464154
    """
    return _resnet_cifar(5, num_classes, in_channels, shortcut, zero_init_residual, init)


@net_words
def resnet44(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    shortcut: Branch = "A",
    zero_init_residual: bool = False,
    init: InitLike = "he",
) -> Sequential:
    """ResNet-44 for CIFAR-10 (He et al., 2016), for images of 32x32; see `resnet20`.

    n = 7: 44 layers, 658,586 parameters; the paper's test error is 7.17 %.

    Parameters
    ----------
    num_classes, in_channels, shortcut, zero_init_residual, init
        As in `resnet20`.

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
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 and table 6.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet44()
    >>> net.count_params()
    658586
    """
    return _resnet_cifar(7, num_classes, in_channels, shortcut, zero_init_residual, init)


@net_words
def resnet56(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    shortcut: Branch = "A",
    zero_init_residual: bool = False,
    init: InitLike = "he",
) -> Sequential:
    """ResNet-56 for CIFAR-10 (He et al., 2016), for images of 32x32; see `resnet20`.

    n = 9: 56 layers, 853,018 parameters; the paper's test error is 6.97 %.

    Parameters
    ----------
    num_classes, in_channels, shortcut, zero_init_residual, init
        As in `resnet20`.

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
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 and table 6.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet56()
    >>> net.count_params()
    853018
    """
    return _resnet_cifar(9, num_classes, in_channels, shortcut, zero_init_residual, init)


@net_words
def resnet110(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    shortcut: Branch = "A",
    zero_init_residual: bool = False,
    init: InitLike = "he",
) -> Sequential:
    """ResNet-110 for CIFAR-10 (He et al., 2016), for images of 32x32; see `resnet20`.

    n = 18: 110 layers, 1,727,962 parameters; the paper's test error is 6.43 %.

    Parameters
    ----------
    num_classes, in_channels, shortcut, zero_init_residual, init
        As in `resnet20`.

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
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2 and table 6.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet110()
    >>> net.count_params()
    1727962
    """
    return _resnet_cifar(18, num_classes, in_channels, shortcut, zero_init_residual, init)
