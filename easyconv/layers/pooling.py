"""Poolings over windows."""

from typing import Any

from torch import nn

from easyconv.arguments import check_flag
from easyconv.layers.checks import Size, check_pool_padding, check_size
from easyconv.layers.keywords import torch_words

__all__ = [
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
]


def _pooling(make: Any, dimensions: int, kernel_size: object, stride: object, **options: Any) -> nn.Module:
    kernel = check_size("kernel_size", kernel_size, dimensions)
    padding = check_pool_padding(options.pop("padding"), kernel, dimensions)
    step = kernel if stride is None else check_size("stride", stride, dimensions)
    if "dilation" in options:
        options["dilation"] = check_size("dilation", options["dilation"], dimensions)
    for flag in ("ceil_mode", "count_include_pad"):
        if flag in options:
            check_flag(flag, options[flag])
    pool: nn.Module = make(kernel, stride=step, padding=padding, **options)
    return pool


@torch_words
def MaxPool1D(
    kernel_size: Size = 2,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> nn.Module:
    """Largest value of each window.

    Takes inputs of shape (N, C, L).

    Parameters
    ----------
    kernel_size : int or tuple of int, default 2
        Size of the window.
    stride : int or tuple of int, optional
        Step of the window; its size by default.
    padding : int or tuple of int, default 0
        Padding on each side, at most half the window; what is padded is never the largest.
    dilation : int or tuple of int, default 1
        Distance of the window's points.
    ceil_mode : bool, default False
        Whether an incomplete last window counts.

    Returns
    -------
    torch.nn.MaxPool1d
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> MaxPool1D()(torch.zeros(1, 3, 8)).shape
    torch.Size([1, 3, 4])
    """
    return _pooling(nn.MaxPool1d, 1, kernel_size, stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


@torch_words
def MaxPool2D(
    kernel_size: Size = 2,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> nn.Module:
    """Largest value of each window.

    Takes inputs of shape (N, C, H, W).

    Parameters
    ----------
    kernel_size : int or tuple of int, default 2
        Size of the window.
    stride : int or tuple of int, optional
        Step of the window; its size by default.
    padding : int or tuple of int, default 0
        Padding on each side, at most half the window; what is padded is never the largest.
    dilation : int or tuple of int, default 1
        Distance of the window's points.
    ceil_mode : bool, default False
        Whether an incomplete last window counts.

    Returns
    -------
    torch.nn.MaxPool2d
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> MaxPool2D()(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """
    return _pooling(nn.MaxPool2d, 2, kernel_size, stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


@torch_words
def MaxPool3D(
    kernel_size: Size = 2,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> nn.Module:
    """Largest value of each window.

    Takes inputs of shape (N, C, D, H, W).

    Parameters
    ----------
    kernel_size : int or tuple of int, default 2
        Size of the window.
    stride : int or tuple of int, optional
        Step of the window; its size by default.
    padding : int or tuple of int, default 0
        Padding on each side, at most half the window; what is padded is never the largest.
    dilation : int or tuple of int, default 1
        Distance of the window's points.
    ceil_mode : bool, default False
        Whether an incomplete last window counts.

    Returns
    -------
    torch.nn.MaxPool3d
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> MaxPool3D()(torch.zeros(1, 3, 8, 8, 8)).shape
    torch.Size([1, 3, 4, 4, 4])
    """
    return _pooling(nn.MaxPool3d, 3, kernel_size, stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)


@torch_words
def AvgPool1D(
    kernel_size: Size = 2,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> nn.Module:
    """Mean of each window.

    Takes inputs of shape (N, C, L).

    Parameters
    ----------
    kernel_size : int or tuple of int, default 2
        Size of the window.
    stride : int or tuple of int, optional
        Step of the window; its size by default.
    padding : int or tuple of int, default 0
        Zeros on each side, at most half the window.
    ceil_mode : bool, default False
        Whether an incomplete last window counts.
    count_include_pad : bool, default True
        Whether the zeros of the padding count in the mean.

    Returns
    -------
    torch.nn.AvgPool1d
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> AvgPool1D()(torch.zeros(1, 3, 8)).shape
    torch.Size([1, 3, 4])
    """
    return _pooling(
        nn.AvgPool1d,
        1,
        kernel_size,
        stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )


@torch_words
def AvgPool2D(
    kernel_size: Size = 2,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> nn.Module:
    """Mean of each window.

    Takes inputs of shape (N, C, H, W).

    Parameters
    ----------
    kernel_size : int or tuple of int, default 2
        Size of the window.
    stride : int or tuple of int, optional
        Step of the window; its size by default.
    padding : int or tuple of int, default 0
        Zeros on each side, at most half the window.
    ceil_mode : bool, default False
        Whether an incomplete last window counts.
    count_include_pad : bool, default True
        Whether the zeros of the padding count in the mean.

    Returns
    -------
    torch.nn.AvgPool2d
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> AvgPool2D()(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """
    return _pooling(
        nn.AvgPool2d,
        2,
        kernel_size,
        stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )


@torch_words
def AvgPool3D(
    kernel_size: Size = 2,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> nn.Module:
    """Mean of each window.

    Takes inputs of shape (N, C, D, H, W).

    Parameters
    ----------
    kernel_size : int or tuple of int, default 2
        Size of the window.
    stride : int or tuple of int, optional
        Step of the window; its size by default.
    padding : int or tuple of int, default 0
        Zeros on each side, at most half the window.
    ceil_mode : bool, default False
        Whether an incomplete last window counts.
    count_include_pad : bool, default True
        Whether the zeros of the padding count in the mean.

    Returns
    -------
    torch.nn.AvgPool3d
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> AvgPool3D()(torch.zeros(1, 3, 8, 8, 8)).shape
    torch.Size([1, 3, 4, 4, 4])
    """
    return _pooling(
        nn.AvgPool3d,
        3,
        kernel_size,
        stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )
