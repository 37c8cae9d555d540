"""Layers without weights that change shapes or drop values."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from easyconv.arguments import check_choice, check_flag, check_integer, check_number
from easyconv.errors import ArgumentError, ShapeError
from easyconv.layers.checks import Size, check_size
from easyconv.layers.keywords import torch_words

__all__ = ["Dropout", "Dropout2D", "Flatten", "Permute", "Reshape", "Upsample", "ZeroPad2D"]


@torch_words
def Flatten(start_dim: int = 1, end_dim: int = -1) -> nn.Module:
    """Make one dimension of several: (N, C, H, W) becomes (N, C * H * W).

    Parameters
    ----------
    start_dim : int, default 1
        First dimension to flatten; 1 keeps the batch.
    end_dim : int, default -1
        Last one.

    Returns
    -------
    torch.nn.Flatten
        A plain layer.

    Examples
    --------
    >>> import torch
    >>> Flatten()(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 48])
    """
    return nn.Flatten(check_integer("start_dim", start_dim, minimum=-8), check_integer("end_dim", end_dim, minimum=-8))


@torch_words
def Reshape(*shape: int) -> nn.Module:
    """Give each sample another shape; the batch dimension stays.

    Parameters
    ----------
    *shape : int
        Sizes without the batch; one of them may be -1.

    Returns
    -------
    torch.nn.Sequential
        Plain layers called ``flatten`` and ``unflatten``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When the sizes make no sense.

    Examples
    --------
    >>> import torch
    >>> Reshape(1, 28, 28)(torch.zeros(2, 784)).shape
    torch.Size([2, 1, 28, 28])
    """
    given: Any = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if not given:
        raise ArgumentError("Reshape() needs at least one size, like Reshape(1, 28, 28).")
    sizes = tuple(check_integer("shape", size, minimum=-1) for size in given)
    if 0 in sizes or sizes.count(-1) > 1:
        raise ArgumentError(f"shape must hold sizes of at least 1 and at most one -1, got {sizes}.")
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), unflatten=nn.Unflatten(1, sizes)))


class Permute(nn.Module):
    """Put the dimensions in another order, as ``tensor.permute`` does.

    Parameters
    ----------
    *dims : int
        Which dimension of the input comes first, second, and so on; the batch counts, it is dimension 0. Keras counts
        from 1 and leaves it out: its ``Permute((3, 1, 2))`` is ``Permute(0, 3, 1, 2)``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When it is not each of 0, 1, 2, ... once.
    ShapeError
        At the forward pass, when the input has more dimensions, or fewer.

    Examples
    --------
    >>> images = torch.zeros(8, 28, 24, 3)
    >>> Permute(0, 3, 1, 2)(images).shape
    torch.Size([8, 3, 28, 24])
    """

    @torch_words
    def __init__(self, *dims: int) -> None:
        super().__init__()
        given: Any = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
        self.dims = tuple(check_integer("dims", dim, minimum=0) for dim in given)
        if not given or sorted(self.dims) != list(range(len(self.dims))):
            keras = bool(given) and sorted((0, *self.dims)) == list(range(len(self.dims) + 1))
            hint = f" Keras leaves the batch out: write Permute{(0, *self.dims)}." * keras
            raise ArgumentError(f"dims must be each of 0, 1, 2, ... once, 0 being the batch, got {self.dims}.{hint}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x.permute(dims)``."""
        if x.dim() != len(self.dims):
            raise ShapeError(
                f"Permute{self.dims} takes an input of {len(self.dims)} dimensions, the batch among them, "
                f"got one of shape {tuple(x.shape)}."
            )
        return x.permute(self.dims)

    def extra_repr(self) -> str:
        """The order."""
        return ", ".join(map(str, self.dims))


@torch_words
def Upsample(
    scale_factor: float | tuple[float, ...] | None = None,
    mode: str = "nearest",
    *,
    size: Size | None = None,
    align_corners: bool | None = None,
) -> nn.Module:
    """Make images (or sequences, or volumes) larger.

    Parameters
    ----------
    scale_factor : float or tuple of float, optional
        How many times larger; 2 where ``size`` is not given either.
    mode : {"nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"}, default "nearest"
        How values between are found.
    size : int or tuple of int, optional
        The size wanted, in place of a factor.
    align_corners : bool, optional
        As in ``torch.nn.Upsample``.

    Returns
    -------
    torch.nn.Upsample
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, has another name here, or both a factor and a size are given.

    Examples
    --------
    >>> import torch
    >>> Upsample(2)(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 8, 8])
    """
    if scale_factor is not None and size is not None:
        raise ArgumentError(f"Give scale_factor or size, not both; got scale_factor={scale_factor!r}, size={size!r}.")
    check_choice("mode", mode, ("nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"))
    if size is not None:
        sizes = check_size("size", size, len(size) if isinstance(size, tuple) else 1)
        return nn.Upsample(size=sizes, mode=mode, align_corners=align_corners)
    if isinstance(scale_factor, (tuple, list)):
        factors: Any = tuple(check_number("scale_factor", factor, above=0) for factor in scale_factor)
    else:
        factors = check_number("scale_factor", 2 if scale_factor is None else scale_factor, above=0)
    return nn.Upsample(scale_factor=factors, mode=mode, align_corners=align_corners)


@torch_words
def Dropout(p: float = 0.5, inplace: bool = False) -> nn.Module:
    """Set values to zero at random while training, and scale the others by ``1 / (1 - p)``.

    Parameters
    ----------
    p : float, default 0.5
        Probability of a zero, in [0, 1).
    inplace : bool, default False
        Whether to overwrite the input.

    Returns
    -------
    torch.nn.Dropout
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014, section 4.

    Examples
    --------
    >>> Dropout(0.25)
    Dropout(p=0.25, inplace=False)
    """
    return nn.Dropout(_checked_p(p), check_flag("inplace", inplace))


@torch_words
def Dropout2D(p: float = 0.5, inplace: bool = False) -> nn.Module:
    """Set whole channels of images to zero at random while training (Keras's SpatialDropout2D).

    Parameters
    ----------
    p : float, default 0.5
        Probability that a channel is dropped, in [0, 1).
    inplace : bool, default False
        Whether to overwrite the input.

    Returns
    -------
    torch.nn.Dropout2d
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015, section 3.2.

    Examples
    --------
    >>> Dropout2D(0.25)
    Dropout2d(p=0.25, inplace=False)
    """
    return nn.Dropout2d(_checked_p(p), check_flag("inplace", inplace))


def _checked_p(p: object) -> float:
    return check_number("p", p, minimum=0, below=1)


@torch_words
def ZeroPad2D(padding: int | tuple[int, int, int, int] = 1) -> nn.Module:
    """Put a frame of zeros around images.

    Parameters
    ----------
    padding : int or tuple of four int, default 1
        Width of the frame, or left, right, top and bottom.

    Returns
    -------
    torch.nn.ZeroPad2d
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    Examples
    --------
    >>> import torch
    >>> ZeroPad2D(1)(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 6, 6])
    """
    checked: Any = check_size("padding", padding, 4, minimum=0)
    return nn.ZeroPad2d(checked)
