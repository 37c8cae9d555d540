"""Convolution → batch norm → activation → pooling, the block that most nets repeat."""

from collections.abc import Callable
from typing import Any

from torch import nn

from easyconv.arguments import check_choice, check_flag, check_number
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.layers.activations import ActivationLike, make_activation
from easyconv.layers.blocks.kinds import factorized as factorized_convolution
from easyconv.layers.blocks.kinds import separable as separable_convolution
from easyconv.layers.checks import Size
from easyconv.layers.convolution import Conv2D
from easyconv.layers.initializers import InitLike, set_init
from easyconv.layers.keywords import torch_words
from easyconv.layers.normalization import BatchNorm, GroupNorm, LayerNorm, alexnet_norm
from easyconv.layers.pooling import AvgPool2D, MaxPool2D
from easyconv.layers.reshaping import Dropout
from easyconv.names import look_up, normalize

__all__ = ["ConvBlock"]

_STEPS = ("conv", "norm", "activation", "pool", "dropout")
_NORMS: dict[str, Callable[[], nn.Module]] = {
    "batch": BatchNorm,
    "group": GroupNorm,
    "layer": lambda: LayerNorm(dims=3),
    "lrn": alexnet_norm,
}


class ConvBlock(nn.Sequential):
    """Convolution → batch norm → ReLU → max-pool; every part can be changed or left out.

    ========== ===================== ===========================================
    child      made of               output for (N, C, H, W), with the defaults
    ========== ===================== ===========================================
    conv       `Conv2D`, or two      (N, out_channels, H, W)
    norm       ``norm``              the same
    activation ``activation``        the same
    pool       ``pool``              (N, out_channels, H // pool, W // pool)
    dropout    `Dropout`             the same
    ========== ===================== ===========================================

    Parameters
    ----------
    out_channels : int
        Number of filters.
    kernel_size : int or tuple of int, default 3
        Size of the filters.
    stride : int or tuple of int, default 1
        Step of the filters.
    padding : int, tuple of int, "same" or "valid", default "same"
        As in `Conv2D`.
    groups, dilation : int, default 1
        As in `Conv2D`.
    separable : bool, default False
        Make the convolution of two: each channel by itself, k x k, then all channels at each point, 1x1. These are
        k·k·C + C·C' weights for k·k·C·C'. ``conv`` then has the children ``depthwise`` and ``pointwise``.
    factorized : bool, default False
        Make the n x n convolution of two: 1 x n, then n x 1. These are n·C·C' + n·C'·C' weights for n·n·C·C'. ``conv``
        then has children like ``conv1x3`` and ``conv3x1``. Nothing stands between the two; the paper's section 3.1
        prefers a ReLU there, which is two blocks: ``ConvBlock(64, (1, 3)), ConvBlock(64, (3, 1))``.
    bias : bool, optional
        Whether the convolution adds a bias, the last one where it is made of two. By default it does, unless the norm
        follows at once and takes the mean away again, which `LocalResponseNorm` does not do.
    norm : "batch", "group", "layer", "lrn", torch.nn.Module, callable or None, default "batch"
        Normalization. ``"group"`` is `GroupNorm` with 32 groups, ``"layer"`` normalizes whole images, ``"lrn"`` is
        `LocalResponseNorm` with AlexNet's constants (5 channels, k = 2, 1e-4 times the sum of squares, exponent 0.75);
        a callable makes a module; None leaves it out.
    activation : str, type, torch.nn.Module, callable or None, default "relu"
        As `Activation` takes it; None leaves it out.
    pool : int, tuple of int, torch.nn.Module or None, default None
        Window of the pooling, which is its step too, or a pooling of your own; None leaves it out.
    pool_type : {"max", "avg"}, default "max"
        Kind of the pooling.
    dropout : float, default 0.0
        Probability of a zero; 0 leaves it out. It comes last, unless ``order`` names it.
    order : str, default "conv norm activation pool"
        Order of the parts. Parts that it does not name must be left out.
    init : str or callable, optional
        Initial weights of the convolution, as in `Conv2D`.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.2, for the order and the bias that is left out;
    He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016, for ``order="norm activation conv"``; Sifre,
    "Rigid-Motion Scattering for Image Classification", PhD thesis, 2014, section 6.2, and Chollet, "Xception: Deep
    Learning with Depthwise Separable Convolutions", CVPR 2017, for ``separable=True``; Szegedy et al., "Rethinking the
    Inception Architecture for Computer Vision", CVPR 2016, section 3.2, for ``factorized=True``; Krizhevsky et al.,
    "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012, section 3.3, for ``norm="lrn"``.

    Examples
    --------
    >>> import torch
    >>> block = ConvBlock(32, pool=2)
    >>> block(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 32, 4, 4])
    >>> [name for name, _ in block.named_children()]
    ['conv', 'norm', 'activation', 'pool']
    """

    @torch_words
    def __init__(
        self,
        out_channels: int,
        kernel_size: Size = 3,
        stride: Size = 1,
        *,
        padding: str | Size = "same",
        groups: int = 1,
        dilation: Size = 1,
        separable: bool = False,
        factorized: bool = False,
        bias: bool | None = None,
        norm: str | nn.Module | Callable[[], nn.Module] | None = "batch",
        activation: ActivationLike = "relu",
        pool: Size | nn.Module | None = None,
        pool_type: str = "max",
        dropout: float = 0.0,
        order: str = "conv norm activation pool",
        init: InitLike = None,
    ) -> None:
        super().__init__()
        check_choice("pool_type", pool_type, ("max", "avg"))
        convolution = _kind(separable, factorized)
        wanted = {
            "conv": True,
            "norm": norm is not None,
            "activation": activation is not None,
            "pool": pool is not None,
            "dropout": check_number("dropout", dropout, minimum=0, below=1) > 0,
        }
        steps = _steps(order, wanted)
        if bias is None:
            bias = "conv norm" not in " ".join(steps) or _keeps_the_mean(norm)
        makers: dict[str, Callable[[], nn.Module]] = {
            "conv": lambda: set_init(
                convolution(
                    out_channels, kernel_size, stride, padding=padding, dilation=dilation, groups=groups, bias=bias
                ),
                init,
            ),
            "norm": lambda: _norm(norm),
            "activation": lambda: make_activation(activation),
            "pool": lambda: _pool(pool, pool_type),
            "dropout": lambda: Dropout(dropout),
        }
        for step in steps:
            self.add_module(step, makers[step]())


def _kind(separable: bool, factorized: bool) -> Callable[..., nn.Module]:
    """The function that makes the convolution."""
    if check_flag("separable", separable) and check_flag("factorized", factorized):
        raise ArgumentError("separable=True and factorized=True are two ways to make a convolution; choose one.")
    if separable:
        return separable_convolution
    return factorized_convolution if check_flag("factorized", factorized) else Conv2D


def _steps(order: object, wanted: dict[str, bool]) -> list[str]:
    if not isinstance(order, str):
        raise ArgumentTypeError(f"order must be words like 'conv norm activation pool', got {order!r}.")
    words = order.split()
    for word in words:
        check_choice("order", word, _STEPS)
    if "dropout" not in words:
        words.append("dropout")
    lost = [step for step in _STEPS if wanted[step] and words.count(step) != 1]
    if lost:
        raise ArgumentError(f"order must name {' and '.join(lost)} once, got {order!r}; leave a part out with None.")
    return [word for word in words if wanted[word]]


def _keeps_the_mean(norm: Any) -> bool:
    return isinstance(norm, nn.LocalResponseNorm) or (isinstance(norm, str) and normalize(norm) == "lrn")


def _norm(norm: Any) -> nn.Module:
    if isinstance(norm, str):
        return look_up(norm, _NORMS, "norm")()
    made = norm() if callable(norm) and not isinstance(norm, nn.Module) else norm
    if not isinstance(made, nn.Module):
        raise ArgumentTypeError(f"norm must be a name, a module or a callable that makes one, got {norm!r}.")
    return made


def _pool(pool: Any, pool_type: str) -> nn.Module:
    if isinstance(pool, nn.Module):
        return pool
    if isinstance(pool, bool):
        raise ArgumentTypeError(f"pool must be the size of a window like 2, a module or None, got {pool!r}.")
    return MaxPool2D(pool) if pool_type == "max" else AvgPool2D(pool)
