"""Arithmetic of layers that one can do on paper: sizes, parameters, multiply-adds, receptive fields.

Source of the formulas: Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016), and
Araujo, Norris and Sim, *Computing receptive fields of convolutional neural networks*, Distill (2019).
"""

import math
from collections.abc import Sequence

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError

__all__ = [
    "conv_multiply_adds",
    "conv_output_size",
    "conv_parameters",
    "conv_transpose_multiply_adds",
    "conv_transpose_output_size",
    "linear_multiply_adds",
    "linear_parameters",
    "receptive_field_step",
]


def conv_output_size(
    size: int, kernel_size: int, stride: int = 1, *, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """Output size of a convolution or pooling along one axis.

    Parameters
    ----------
    size : int
        Input size along the axis, in pixels.
    kernel_size : int
        Taps of the kernel along the axis.
    stride : int, default 1
        Pixels between neighbouring windows.
    padding : int, default 0
        Pixels added on each side.
    dilation : int, default 1
        Pixels between neighbouring taps.
    ceil_mode : bool, default False
        Pooling only: a last window that is partly outside counts too, as long as it starts inside the input or its
        left padding.

    Returns
    -------
    int
        ``floor((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense, or the kernel does not fit into the padded input.

    Examples
    --------
    >>> conv_output_size(28, 3)
    26
    >>> conv_output_size(224, 7, 2, padding=3)
    112
    """
    _check_window(kernel_size, stride, dilation)
    check_integer("size", size, minimum=1)
    check_integer("padding", padding, minimum=0)
    span = dilation * (kernel_size - 1) + 1
    room = size + 2 * padding - span
    if room < 0:
        raise ArgumentError(
            f"A kernel that spans {span} does not fit into {size} pixels with padding {padding} on each side. "
            "Take a smaller kernel or dilation, or more padding."
        )
    if not ceil_mode:
        return room // stride + 1
    steps = -(-room // stride)
    return steps if steps * stride >= size + padding else steps + 1


def conv_transpose_output_size(
    size: int, kernel_size: int, stride: int = 1, *, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Output size of a transposed convolution along one axis.

    Parameters
    ----------
    size, kernel_size, stride, padding, dilation : int
        As in :func:`conv_output_size`; here ``padding`` takes pixels away from the output.
    output_padding : int, default 0
        Pixels added on one side of the output.

    Returns
    -------
    int
        ``(size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense, or nothing would be left.

    Examples
    --------
    >>> conv_transpose_output_size(14, 2, 2)
    28
    """
    _check_window(kernel_size, stride, dilation)
    check_integer("size", size, minimum=1)
    check_integer("padding", padding, minimum=0)
    check_integer("output_padding", output_padding, minimum=0)
    found = (size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1
    if found < 1:
        raise ArgumentError(f"Nothing is left: the output size would be {found}. Take less padding than {padding}.")
    return found


def conv_parameters(
    in_channels: int, out_channels: int, kernel_size: Sequence[int], *, groups: int = 1, bias: bool = True
) -> int:
    """Parameters of a convolution, transposed or not.

    Examples
    --------
    >>> conv_parameters(1, 32, (3, 3))
    320
    """
    weights = out_channels * _channels_per_group(in_channels, groups) * math.prod(kernel_size)
    return weights + (out_channels if bias else 0)


def linear_parameters(in_features: int, out_features: int, *, bias: bool = True) -> int:
    """Parameters of a fully connected layer.

    Examples
    --------
    >>> linear_parameters(128, 10)
    1290
    """
    return in_features * out_features + (out_features if bias else 0)


def conv_multiply_adds(
    in_channels: int, out_channels: int, kernel_size: Sequence[int], *, output_size: Sequence[int], groups: int = 1
) -> int:
    """Multiply-adds of a convolution for one sample, without bias.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels.
    kernel_size : sequence of int
        Taps along each axis.
    output_size : sequence of int
        Positions of the output along each axis, without batch and channels.
    groups : int, default 1
        Groups of channels.

    Raises
    ------
    ArgumentError
        When the groups do not divide the channels.

    Examples
    --------
    The 5x5 convolution of GoogLeNet's inception 3a, without and through 16 channels:

    >>> conv_multiply_adds(192, 32, (5, 5), output_size=(28, 28))
    120422400
    >>> (conv_multiply_adds(192, 16, (1, 1), output_size=(28, 28))
    ...  + conv_multiply_adds(16, 32, (5, 5), output_size=(28, 28)))
    12443648
    """
    per_output = _channels_per_group(in_channels, groups) * math.prod(kernel_size)
    return out_channels * math.prod(output_size) * per_output


def conv_transpose_multiply_adds(
    in_channels: int, out_channels: int, kernel_size: Sequence[int], *, input_size: Sequence[int], groups: int = 1
) -> int:
    """Multiply-adds of a transposed convolution for one sample, without bias; what padding cuts off is counted.

    Raises
    ------
    ArgumentError
        When the groups do not divide the channels.

    Examples
    --------
    >>> conv_transpose_multiply_adds(8, 4, (2, 2), input_size=(7, 7))
    6272
    """
    per_input = _channels_per_group(out_channels, groups) * math.prod(kernel_size)
    return in_channels * math.prod(input_size) * per_input


def linear_multiply_adds(in_features: int, out_features: int, *, positions: int = 1) -> int:
    """Multiply-adds of a fully connected layer for one sample, without bias.

    Parameters
    ----------
    in_features, out_features : int
        Features.
    positions : int, default 1
        Vectors per sample: T for an input of shape (N, T, F).

    Examples
    --------
    >>> linear_multiply_adds(9216, 128)
    1179648
    """
    return in_features * out_features * positions


def receptive_field_step(
    field: int, jump: int, kernel_size: int, *, stride: int = 1, dilation: int = 1
) -> tuple[int, int]:
    """Receptive field and jump after one more convolution or pooling, along one axis.

    Parameters
    ----------
    field : int
        Input pixels that one position sees so far; 1 at the input.
    jump : int
        Input pixels between neighbouring positions so far; 1 at the input.
    kernel_size, stride, dilation : int
        Of the layer.

    Returns
    -------
    tuple of int
        ``field + (kernel_size - 1) * dilation * jump`` and ``jump * stride``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense.

    Examples
    --------
    Two stacked 3x3 convolutions see 5x5:

    >>> receptive_field_step(*receptive_field_step(1, 1, 3), 3)
    (5, 1)
    """
    _check_window(kernel_size, stride, dilation)
    return field + (kernel_size - 1) * dilation * jump, jump * stride


def _check_window(kernel_size: int, stride: int, dilation: int) -> None:
    check_integer("kernel_size", kernel_size, minimum=1)
    check_integer("stride", stride, minimum=1)
    check_integer("dilation", dilation, minimum=1)


def _channels_per_group(channels: int, groups: int) -> int:
    check_integer("groups", groups, minimum=1)
    if channels % groups:
        raise ArgumentError(f"groups must divide the channels: {channels} channels do not go into {groups} groups.")
    return channels // groups
