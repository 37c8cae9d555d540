"""Residual nets for ImageNet: ResNet-18, 34, 50, 101 and 152, the columns of table 1."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from easyconv.arguments import check_flag
from easyconv.errors import ArgumentError
from easyconv.layers import BasicBlock, Bottleneck, Dense
from easyconv.layers.containers import Branch
from easyconv.layers.initializers import InitLike
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.initial import choose_init
from easyconv.zoo.pretrained import check_weights, load_imagenet
from easyconv.zoo.stems import stem

__all__ = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]

# Table 1: the kind of block, and how many there are in conv2_x to conv5_x, here layer1 to layer4. The channels of a
# stage are those of its 3x3 convolutions; bottlenecks end with four times as many.
TABLE_1: dict[str, tuple[Callable[..., nn.Module], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
    "resnet152": (Bottleneck, (3, 8, 36, 3)),
}


@net_words
def resnet18(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    shortcut: Branch = "B",
    zero_init_residual: bool = False,
    init: InitLike = "he",
    weights: str | None = None,
) -> Sequential:
    """ResNet-18 (He et al., 2016), for images of 224x224.

    ===========  =============================================  ===========  ==========
    layer        made of                                        output       parameters
    ===========  =============================================  ===========  ==========
    conv1        7x7, 64, stride 2                              64@112x112   9,536
    maxpool      3x3, stride 2                                  64@56x56     0
    layer1       2 x (3x3, 64; 3x3, 64)                         64@56x56     147,968
    layer2       2 x (3x3, 128; 3x3, 128), the first stride 2   128@28x28    525,568
    layer3       2 x (3x3, 256; 3x3, 256), the first stride 2   256@14x14    2,099,712
    layer4       2 x (3x3, 512; 3x3, 512), the first stride 2   512@7x7      8,393,728
    fc           average pool, dense                            1000         513,000
    ===========  =============================================  ===========  ==========

    A batch norm follows each convolution, and is counted with it; layer1 to layer4 are the paper's conv2_x to conv5_x.

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    small : bool, default False
        For images of 28x28 and 32x32: a first convolution of 3x3 with stride 1, and no pooling after it.
    shortcut : "A", "B" or "C", default "B"
        The paper's options for the way around, as in `Residual`: zeros for new channels, projections where the shape
        changes, projections everywhere.
    zero_init_residual : bool, default False
        Whether the scale of each block's last batch norm starts at 0, so that each block starts as its shortcut.
    init : str or callable, default "he"
        Initial weights of convolutions and dense layers; He's rule, which the paper refers to.
    weights : {"imagenet"}, optional
        Torchvision's trained weights.

    Returns
    -------
    Sequential
        The net, built. Its ``state_dict`` is that of torchvision's ``resnet18``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1 and section 3.4.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet18()
    >>> net.count_params()
    11689512
    """
    return _resnet(
        "resnet18",
        num_classes,
        in_channels,
        small=small,
        init=init,
        weights=weights,
        shortcut=shortcut,
        zero_init_residual=zero_init_residual,
    )


@net_words
def resnet34(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    shortcut: Branch = "B",
    zero_init_residual: bool = False,
    init: InitLike = "he",
    weights: str | None = None,
) -> Sequential:
    """ResNet-34 (He et al., 2016), for images of 224x224; see `resnet18`.

    Blocks of two 3x3 convolutions, 3, 4, 6 and 3 of them; 21,797,672 parameters.

    Parameters
    ----------
    num_classes, in_channels, small, shortcut, zero_init_residual, init, weights
        As in `resnet18`.

    Returns
    -------
    Sequential
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1, 34-layer.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet34()
    >>> net.count_params()
    21797672
    """
    return _resnet(
        "resnet34",
        num_classes,
        in_channels,
        small=small,
        init=init,
        weights=weights,
        shortcut=shortcut,
        zero_init_residual=zero_init_residual,
    )


@net_words
def resnet50(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    shortcut: Branch = "B",
    stride_at: str = "3x3",
    zero_init_residual: bool = False,
    init: InitLike = "he",
    weights: str | None = None,
) -> Sequential:
    """ResNet-50 (He et al., 2016), for images of 224x224.

    ===========  =========================================================  ===========  ==========
    layer        made of                                                    output       parameters
    ===========  =========================================================  ===========  ==========
    conv1        7x7, 64, stride 2                                          64@112x112   9,536
    maxpool      3x3, stride 2                                              64@56x56     0
    layer1       3 x (1x1, 64; 3x3, 64; 1x1, 256)                           256@56x56    215,808
    layer2       4 x (1x1, 128; 3x3, 128; 1x1, 512), the first stride 2     512@28x28    1,219,584
    layer3       6 x (1x1, 256; 3x3, 256; 1x1, 1024), the first stride 2    1024@14x14   7,098,368
    layer4       3 x (1x1, 512; 3x3, 512; 1x1, 2048), the first stride 2    2048@7x7     14,964,736
    fc           average pool, dense                                        1000         2,049,000
    ===========  =========================================================  ===========  ==========

    A batch norm follows each convolution, and is counted with it; layer1 to layer4 are the paper's conv2_x to conv5_x.

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    small : bool, default False
        For images of 28x28 and 32x32: a first convolution of 3x3 with stride 1, and no pooling after it.
    shortcut : "A", "B" or "C", default "B"
        The paper's options for the way around, as in `Residual`: zeros for new channels, projections where the shape
        changes, projections everywhere.
    stride_at : {"3x3", "1x1"}, default "3x3"
        Which convolution of a block steps: the 3x3, as in torchvision, or the first 1x1, as in the authors' nets.
    zero_init_residual : bool, default False
        Whether the scale of each block's last batch norm starts at 0, so that each block starts as its shortcut.
    init : str or callable, default "he"
        Initial weights of convolutions and dense layers; He's rule, which the paper refers to.
    weights : {"imagenet"}, optional
        Torchvision's trained weights.

    Returns
    -------
    Sequential
        The net, built. Its ``state_dict`` is that of torchvision's ``resnet50``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    Notes
    -----
    Table 1 says which block of a stage steps, not which convolution in it. The authors' nets step in the first 1x1;
    torchvision's in the 3x3, which sees every place, and so do ours unless ``stride_at="1x1"``.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1 and section 3.4.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet50()
    >>> net.count_params()
    25557032
    """
    return _resnet(
        "resnet50",
        num_classes,
        in_channels,
        small=small,
        init=init,
        weights=weights,
        shortcut=shortcut,
        stride_at=stride_at,
        zero_init_residual=zero_init_residual,
    )


@net_words
def resnet101(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    shortcut: Branch = "B",
    stride_at: str = "3x3",
    zero_init_residual: bool = False,
    init: InitLike = "he",
    weights: str | None = None,
) -> Sequential:
    """ResNet-101 (He et al., 2016), for images of 224x224; see `resnet50`.

    Blocks of 1x1, 3x3 and 1x1 convolutions, 3, 4, 23 and 3 of them; 44,549,160 parameters.

    Parameters
    ----------
    num_classes, in_channels, small, shortcut, stride_at, zero_init_residual, init, weights
        As in `resnet50`.

    Returns
    -------
    Sequential
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1, 101-layer.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet101()
    >>> net.count_params()
    44549160
    """
    return _resnet(
        "resnet101",
        num_classes,
        in_channels,
        small=small,
        init=init,
        weights=weights,
        shortcut=shortcut,
        stride_at=stride_at,
        zero_init_residual=zero_init_residual,
    )


@net_words
def resnet152(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    shortcut: Branch = "B",
    stride_at: str = "3x3",
    zero_init_residual: bool = False,
    init: InitLike = "he",
    weights: str | None = None,
) -> Sequential:
    """ResNet-152 (He et al., 2016), for images of 224x224; see `resnet50`.

    Blocks of 1x1, 3x3 and 1x1 convolutions, 3, 8, 36 and 3 of them; 60,192,808 parameters.

    Parameters
    ----------
    num_classes, in_channels, small, shortcut, stride_at, zero_init_residual, init, weights
        As in `resnet50`.

    Returns
    -------
    Sequential
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1, 152-layer.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = resnet152()
    >>> net.count_params()
    60192808
    """
    return _resnet(
        "resnet152",
        num_classes,
        in_channels,
        small=small,
        init=init,
        weights=weights,
        shortcut=shortcut,
        stride_at=stride_at,
        zero_init_residual=zero_init_residual,
    )


def _resnet(
    name: str,
    num_classes: int,
    in_channels: int,
    *,
    small: bool,
    init: InitLike,
    weights: str | None,
    **options: Any,
) -> Sequential:
    """A column of table 1; the options are those of its blocks."""
    check_net(num_classes, in_channels)
    check_weights(weights, in_channels=in_channels, small=check_flag("small", small))
    _check_twin(weights, **options)
    kind, depths = TABLE_1[name]
    block = partial(kind, **options)
    net = Sequential(
        [
            *stem("conv1", "bn1", "relu", "maxpool", small=small),
            ("layer1", _stage(block, 64, depths[0])),
            ("layer2", _stage(block, 128, depths[1], stride=2)),
            ("layer3", _stage(block, 256, depths[2], stride=2)),
            ("layer4", _stage(block, 512, depths[3], stride=2)),
            ("avgpool", nn.AdaptiveAvgPool2d(1)),
            ("flatten", nn.Flatten()),
            ("fc", Dense(num_classes)),
        ],
        input_shape=(in_channels, 32, 32) if small else (in_channels, 224, 224),
        name=name,
        init=choose_init(init, "he"),
    )
    return load_imagenet(net, name, head="fc", weights=weights)


def _stage(block: Callable[..., nn.Module], channels: int, depth: int, *, stride: int = 1) -> nn.Sequential:
    """Blocks of the same size; the first one steps."""
    return nn.Sequential(block(channels, stride), *(block(channels) for _ in range(depth - 1)))


def _check_twin(weights: str | None, *, shortcut: Branch, stride_at: str = "3x3", **_: Any) -> None:
    """Torchvision's weights are trained with its own shortcuts and strides only."""
    if weights is not None and (shortcut not in ("B", "auto") or stride_at != "3x3"):
        raise ArgumentError(
            f"weights={weights!r} are there for shortcut='B' and stride_at='3x3' only, got shortcut={shortcut!r} and "
            f"stride_at={stride_at!r}. Leave these out, or leave weights out."
        )
