"""Parameters and multiplications of layers.

A multiplication comes with an addition, hence the names; tools that count both give twice the number (FLOPs).
"""

from easyconv.arguments import check_flag, check_integer
from easyconv.arithmetic.axes import Axes, products
from easyconv.errors import ArgumentError

__all__ = [
    "batch_norm_parameters",
    "conv_multiply_adds",
    "conv_parameters",
    "conv_transpose_multiply_adds",
    "linear_multiply_adds",
    "linear_parameters",
]


def conv_parameters(
    in_channels: int, out_channels: int, kernel_size: Axes, *, groups: int = 1, bias: bool = True
) -> int:
    """Parameters of a convolution, transposed or not: ``(f · f · C_in + 1) · C_out``, whatever the size of the image.

    With groups every filter sees ``C_in / groups`` channels only; without a bias the ``+ 1`` is gone.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels C_in and C_out.
    kernel_size : int or tuple of int
        Taps f: one number for a square kernel, or one per axis, ``(3,)`` for one axis and ``(3, 3, 3)`` for three.
    groups : int, default 1
        Groups of channels that do not see each other; ``groups=in_channels`` is a depthwise convolution.
    bias : bool, default True
        Whether each filter has a bias.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense, or the groups do not divide the channels.

    Examples
    --------
    Ten filters of 3x3x3 numbers:

    >>> conv_parameters(3, 10, 3)
    280
    """
    (taps,) = products(kernel_size=kernel_size)
    _, outputs, inside, _ = _channels(in_channels, out_channels, groups)
    return (inside * taps + check_flag("bias", bias)) * outputs


def linear_parameters(in_features: int, out_features: int, *, bias: bool = True) -> int:
    """Parameters of a fully connected layer: ``n · m + m``.

    Parameters
    ----------
    in_features, out_features : int
        Inputs n and outputs m.
    bias : bool, default True
        Whether each output has a bias, the ``+ m``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense.

    Examples
    --------
    All pixels of a colour image to 1,000 units:

    >>> linear_parameters(256 * 256 * 3, 1000)
    196609000
    """
    inputs, outputs = _checked(in_features=in_features, out_features=out_features)
    return (inputs + check_flag("bias", bias)) * outputs


def batch_norm_parameters(channels: int, *, affine: bool = True) -> int:
    """Parameters of a batch norm: ``2 · C``, a scale and a shift per channel.

    The running mean and variance, two more numbers per channel, are not learned by gradient and do not count.

    Parameters
    ----------
    channels : int
        Channels C.
    affine : bool, default True
        Whether there are a scale and a shift at all.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense.

    Examples
    --------
    >>> batch_norm_parameters(64)
    128
    """
    return 2 * check_integer("channels", channels, minimum=1) if check_flag("affine", affine) else 0


def conv_multiply_adds(
    in_channels: int, out_channels: int, kernel_size: Axes, *, output_size: Axes, groups: int = 1
) -> int:
    """Multiplications of a convolution for one sample: ``H_out · W_out · C_out · f · f · C_in / groups``.

    Every output number is a sum of ``f · f · C_in / groups`` products; the bias costs no multiplication.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels C_in and C_out.
    kernel_size : int or tuple of int
        Taps f: one number for a square kernel, or one per axis.
    output_size : int or tuple of int
        Positions of the output, without batch and channels: one number for a square, or one per axis.
    groups : int, default 1
        Groups of channels.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense, the numbers of axes differ, or the groups do not divide the channels.

    Examples
    --------
    The 5x5 convolution of GoogLeNet's inception 3a, without and through 16 channels:

    >>> conv_multiply_adds(192, 32, 5, output_size=28)
    120422400
    >>> conv_multiply_adds(192, 16, 1, output_size=28) + conv_multiply_adds(16, 32, 5, output_size=28)
    12443648
    """
    taps, positions = products(kernel_size=kernel_size, output_size=output_size)
    _, outputs, inside, _ = _channels(in_channels, out_channels, groups)
    return positions * outputs * taps * inside


def conv_transpose_multiply_adds(
    in_channels: int, out_channels: int, kernel_size: Axes, *, input_size: Axes, groups: int = 1
) -> int:
    """Multiplications of a transposed convolution for one sample: ``H_in · W_in · C_in · f · f · C_out / groups``.

    Every input number is multiplied by ``f · f · C_out / groups`` weights, those included whose products padding cuts
    off.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels C_in and C_out.
    kernel_size : int or tuple of int
        Taps f: one number for a square kernel, or one per axis.
    input_size : int or tuple of int
        Positions of the input, without batch and channels: one number for a square, or one per axis.
    groups : int, default 1
        Groups of channels.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense, the numbers of axes differ, or the groups do not divide the channels.

    Examples
    --------
    >>> conv_transpose_multiply_adds(8, 4, 2, input_size=7)
    6272
    """
    taps, positions = products(kernel_size=kernel_size, input_size=input_size)
    inputs, _, _, outside = _channels(in_channels, out_channels, groups)
    return positions * inputs * taps * outside


def linear_multiply_adds(in_features: int, out_features: int, *, positions: int = 1) -> int:
    """Multiplications of a fully connected layer for one sample: ``n · m``, at each position.

    Parameters
    ----------
    in_features, out_features : int
        Inputs n and outputs m.
    positions : int, default 1
        Vectors per sample: T for an input of shape (N, T, F).

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense.

    Examples
    --------
    >>> linear_multiply_adds(9216, 128)
    1179648
    """
    inputs, outputs, times = _checked(in_features=in_features, out_features=out_features, positions=positions)
    return inputs * outputs * times


def _channels(in_channels: int, out_channels: int, groups: int) -> tuple[int, int, int, int]:
    """Input and output channels, of all groups and of one."""
    inputs, outputs, count = _checked(in_channels=in_channels, out_channels=out_channels, groups=groups)
    for name, channels in (("in_channels", inputs), ("out_channels", outputs)):
        if channels % count:
            raise ArgumentError(f"groups must divide the channels: {name}={channels} do not go into {count} groups.")
    return inputs, outputs, inputs // count, outputs // count


def _checked(**sizes: object) -> list[int]:
    return [check_integer(name, size, minimum=1) for name, size in sizes.items()]
