"""Convolutions that infer their number of input channels."""

from typing import Any

from torch import nn

from easyconv.arguments import check_choice, check_flag, check_integer
from easyconv.errors import ArgumentError
from easyconv.layers.activations import ActivationLike, with_activation
from easyconv.layers.checks import Size, check_groups, check_padding, check_size, each
from easyconv.layers.initializers import InitLike, set_init
from easyconv.layers.keywords import torch_words
from easyconv.layers.lazy_layers import LazyConv1D, LazyConv2D, LazyConv3D, LazyConvTranspose2D

__all__ = ["Conv1D", "Conv2D", "Conv3D", "ConvTranspose2D"]

_LAZY = {1: LazyConv1D, 2: LazyConv2D, 3: LazyConv3D}


def _convolution(dimensions: int, out_channels: object, kernel_size: object, **options: Any) -> nn.Module:
    kernel = check_size("kernel_size", kernel_size, dimensions)
    stride = check_size("stride", options["stride"], dimensions)
    dilation = check_size("dilation", options["dilation"], dimensions)
    channels = check_integer("out_channels", out_channels, minimum=1)
    make: Any = _LAZY[dimensions]
    conv = make(
        channels,
        kernel,
        stride=stride,
        padding=check_padding(options["padding"], kernel, stride, dilation, dimensions),
        dilation=dilation,
        groups=check_groups(options["groups"], channels),
        bias=check_flag("bias", options["bias"]),
        padding_mode=check_choice(
            "padding_mode", options["padding_mode"], ("zeros", "reflect", "replicate", "circular")
        ),
    )
    return with_activation(set_init(conv, options["init"]), "conv", options["activation"])


@torch_words
def Conv1D(
    out_channels: int,
    kernel_size: Size,
    stride: Size = 1,
    *,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    activation: ActivationLike = None,
    init: InitLike = None,
) -> nn.Module:
    """1-D convolution; the number of input channels is inferred.

    Takes inputs of shape (N, C, L) and gives (N, out_channels, ...). The arguments are those of `Conv2D`, with
    one number per tuple.

    Parameters
    ----------
    out_channels : int
        Number of filters, at least 1.
    kernel_size, stride, padding, dilation, groups, bias, padding_mode, activation, init
        As in `Conv2D`.

    Returns
    -------
    torch.nn.Module
        A layer that becomes a plain ``torch.nn.Conv1d`` at the first forward pass.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> Conv1D(4, 3)(torch.zeros(1, 3, 8)).shape
    torch.Size([1, 4, 6])
    """
    return _convolution(
        1,
        out_channels,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        padding_mode=padding_mode,
        activation=activation,
        init=init,
    )


@torch_words
def Conv2D(
    out_channels: int,
    kernel_size: Size,
    stride: Size = 1,
    *,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    activation: ActivationLike = None,
    init: InitLike = None,
) -> nn.Module:
    """2-D convolution; the number of input channels is inferred.

    Takes inputs of shape (N, C, H, W) and gives (N, out_channels, H', W').

    Parameters
    ----------
    out_channels : int
        Number of filters, at least 1.
    kernel_size : int or tuple of int
        Height and width of the filters.
    stride : int or tuple of int, default 1
        Step of the filters.
    padding : int, tuple of int, "same" or "valid", default 0
        Zeros on each side. ``"same"`` keeps the size of the input; with a stride, where torch refuses it, it is
        ``dilation * (kernel_size - 1) // 2`` on both sides, so that the output is the input's size divided by the
        stride, rounded up; the kernel must be odd then.
    dilation : int or tuple of int, default 1
        Distance of the filter's points.
    groups : int, default 1
        Groups of channels that do not see one another; divides input and output channels.
    bias : bool, default True
        Whether to add a bias.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}, default "zeros"
        What to pad with.
    activation : str, type, torch.nn.Module or callable, optional
        As `Activation` takes it.
    init : str or callable, optional
        Initial weights, as `initialize` takes them: ``"he"``, ``"glorot"``, ``"lecun"``, ``"alexnet"``, or a function
        that fills the weight; the bias is zero then. By default the ``init`` of the net, or torch's own values.

    Returns
    -------
    torch.nn.Module
        A layer that becomes a plain ``torch.nn.Conv2d`` at the first forward pass. With an activation, a
        ``torch.nn.Sequential`` of the children ``conv`` and ``activation``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> conv = Conv2D(32, 3, padding="same")
    >>> conv(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 32, 8, 8])
    >>> conv
    Conv2d(3, 32, kernel_size=(3, 3), stride=(1, 1), padding=same)
    """
    return _convolution(
        2,
        out_channels,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        padding_mode=padding_mode,
        activation=activation,
        init=init,
    )


@torch_words
def Conv3D(
    out_channels: int,
    kernel_size: Size,
    stride: Size = 1,
    *,
    padding: str | Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    activation: ActivationLike = None,
    init: InitLike = None,
) -> nn.Module:
    """3-D convolution; the number of input channels is inferred.

    Takes inputs of shape (N, C, D, H, W) and gives (N, out_channels, ...). The arguments are those of `Conv2D`, with
    three numbers per tuple.

    Parameters
    ----------
    out_channels : int
        Number of filters, at least 1.
    kernel_size, stride, padding, dilation, groups, bias, padding_mode, activation, init
        As in `Conv2D`.

    Returns
    -------
    torch.nn.Module
        A layer that becomes a plain ``torch.nn.Conv3d`` at the first forward pass.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> Conv3D(4, 3)(torch.zeros(1, 3, 8, 8, 8)).shape
    torch.Size([1, 4, 6, 6, 6])
    """
    return _convolution(
        3,
        out_channels,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        padding_mode=padding_mode,
        activation=activation,
        init=init,
    )


@torch_words
def ConvTranspose2D(
    out_channels: int,
    kernel_size: Size,
    stride: Size = 1,
    *,
    padding: Size = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: bool = True,
    activation: ActivationLike = None,
    init: InitLike = None,
) -> nn.Module:
    """2-D transposed convolution, which makes images larger; the number of input channels is inferred.

    Takes inputs of shape (N, C, H, W) and gives (N, out_channels, H', W') with
    ``H' = (H - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``.

    Parameters
    ----------
    out_channels : int
        Number of filters, at least 1.
    kernel_size, stride, padding, dilation, groups, bias, activation, init
        As in `Conv2D`; the padding is a number here.
    output_padding : int or tuple of int, default 0
        Rows and columns added on one side; smaller than stride or dilation.

    Returns
    -------
    torch.nn.Module
        A layer that becomes a plain ``torch.nn.ConvTranspose2d`` at the first forward pass.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> ConvTranspose2D(8, 2, stride=2)(torch.zeros(1, 3, 7, 7)).shape
    torch.Size([1, 8, 14, 14])
    """
    step, spread = check_size("stride", stride, 2), check_size("dilation", dilation, 2)
    extra = check_size("output_padding", output_padding, 2, minimum=0)
    for added, one, other in zip(each(extra, 2), each(step, 2), each(spread, 2), strict=True):
        if added and added >= max(one, other):
            raise ArgumentError(
                f"output_padding must be smaller than stride or dilation, got output_padding={output_padding}, "
                f"stride={stride}, dilation={dilation}."
            )
    channels = check_integer("out_channels", out_channels, minimum=1)
    make: Any = LazyConvTranspose2D
    conv = make(
        channels,
        check_size("kernel_size", kernel_size, 2),
        stride=step,
        padding=check_size("padding", padding, 2, minimum=0),
        output_padding=extra,
        dilation=spread,
        groups=check_groups(groups, channels),
        bias=check_flag("bias", bias),
    )
    return with_activation(set_init(conv, init), "conv", activation)
