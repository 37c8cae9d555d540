"""Normalizations that infer their number of channels."""

from typing import Any

from torch import nn

from easyconv.arguments import check_flag, check_integer, check_number
from easyconv.layers.keywords import torch_words
from easyconv.layers.lazy_layers import LazyBatchNorm, LazyGroupNorm, LazyLayerNorm

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm", "LocalResponseNorm", "alexnet_norm"]


@torch_words
def BatchNorm(
    *, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True
) -> nn.Module:
    """Batch normalization of inputs with 2 to 5 dimensions; the number of channels is inferred.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance.
    momentum : float or None, default 0.1
        Weight of the new batch in the running statistics, as in torch (Keras's is one minus this). None takes the
        plain average over all batches.
    affine : bool, default True
        Whether to learn a scale and a shift.
    track_running_stats : bool, default True
        Whether to keep running statistics for evaluation.

    Returns
    -------
    torch.nn.Module
        A layer that becomes a plain ``BatchNorm1d``, ``2d`` or ``3d`` of ``torch.nn`` at the first forward pass, by
        the dimensions of its input.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    ICML 2015, algorithms 1 and 2.

    Examples
    --------
    >>> import torch
    >>> norm = BatchNorm()
    >>> norm(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    >>> type(norm).__name__
    'BatchNorm2d'
    """
    make: Any = LazyBatchNorm
    norm: nn.Module = make(
        eps=check_number("eps", eps, above=0),
        momentum=None if momentum is None else check_number("momentum", momentum, minimum=0, maximum=1),
        affine=check_flag("affine", affine),
        track_running_stats=check_flag("track_running_stats", track_running_stats),
    )
    return norm


@torch_words
def LayerNorm(*, dims: int = 1, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True) -> nn.Module:
    """Normalize each sample over its last dimensions, whose sizes are inferred.

    Parameters
    ----------
    dims : int, default 1
        How many of the last dimensions are normalized together: 1 for features, 3 for whole images (C, H, W).
    eps : float, default 1e-5
        Added to the variance.
    elementwise_affine : bool, default True
        Whether to learn a scale and a shift per element.
    bias : bool, default True
        Whether the shift is among them.

    Returns
    -------
    torch.nn.Module
        A layer that becomes a plain ``torch.nn.LayerNorm`` at the first forward pass.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Ba, Kiros and Hinton, "Layer Normalization", arXiv:1607.06450, section 3.

    Examples
    --------
    >>> import torch
    >>> norm = LayerNorm(dims=3)
    >>> _ = norm(torch.zeros(2, 3, 4, 4))
    >>> norm
    LayerNorm((3, 4, 4), eps=1e-05, elementwise_affine=True...)
    """
    return LazyLayerNorm(
        check_integer("dims", dims, minimum=1),
        check_number("eps", eps, above=0),
        check_flag("elementwise_affine", elementwise_affine),
        check_flag("bias", bias),
    )


@torch_words
def GroupNorm(num_groups: int = 32, *, eps: float = 1e-5, affine: bool = True) -> nn.Module:
    """Normalize each sample over groups of channels; the number of channels is inferred.

    Parameters
    ----------
    num_groups : int, default 32
        Number of groups; divides the channels.
    eps : float, default 1e-5
        Added to the variance.
    affine : bool, default True
        Whether to learn a scale and a shift per channel.

    Returns
    -------
    torch.nn.Module
        A layer that becomes a plain ``torch.nn.GroupNorm`` at the first forward pass.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Wu and He, "Group Normalization", ECCV 2018, section 3.1 (32 groups by default).

    Examples
    --------
    >>> import torch
    >>> GroupNorm(4)(torch.zeros(2, 8, 4, 4)).shape
    torch.Size([2, 8, 4, 4])
    """
    return LazyGroupNorm(
        check_integer("num_groups", num_groups, minimum=1),
        check_number("eps", eps, above=0),
        check_flag("affine", affine),
    )


@torch_words
def LocalResponseNorm(size: int = 5, alpha: float = 1e-4, beta: float = 0.75, *, k: float = 1.0) -> nn.Module:
    """Divide each value by what its neighbours in other channels hold at the same place.

    Parameters
    ----------
    size : int, default 5
        Number of neighbouring channels.
    alpha : float, default 1e-4
        Factor of the mean of squares, as in torch. The paper's alpha is a factor of the sum, ``size`` times smaller.
    beta : float, default 0.75
        Exponent.
    k : float, default 1.0
        Added to the product of both.

    Returns
    -------
    torch.nn.LocalResponseNorm
        Output shape equals input shape.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Notes
    -----
    The defaults are torch's. AlexNet has n = 5, k = 2, alpha = 1e-4 and beta = 0.75, with alpha before the *sum* of the
    squares of n neighbours. A sum is n times a mean, at the outermost channels too, where torch counts those that are
    not there as zeros. So the paper's layer is written with ``alpha=5 * 1e-4``, as below; ``ConvBlock(norm="lrn")`` has
    it.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
    section 3.3.

    Examples
    --------
    >>> LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
    LocalResponseNorm(5, alpha=0.0005, beta=0.75, k=2.0)
    """
    return nn.LocalResponseNorm(
        check_integer("size", size, minimum=1),
        alpha=check_number("alpha", alpha),
        beta=check_number("beta", beta),
        k=check_number("k", k),
    )


def alexnet_norm() -> nn.Module:
    """`LocalResponseNorm` with the paper's n = 5, k = 2, alpha = 1e-4 and beta = 0.75."""
    # The paper's alpha is a factor of the sum over the n maps, torch's of their mean: five times as much is the same.
    return LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
