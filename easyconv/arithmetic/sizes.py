"""Output sizes of convolutions and poolings."""

from collections.abc import Sequence
from typing import overload

from easyconv.arguments import check_choice, check_flag, check_integer
from easyconv.arithmetic.axes import Axes, along
from easyconv.errors import ArgumentError

__all__ = ["conv_output_size", "conv_transpose_output_size", "pool_output_size", "same_padding"]


@overload
def conv_output_size(
    size: int, kernel_size: Axes, stride: Axes = 1, *, padding: Axes | str = 0, dilation: Axes = 1
) -> int: ...
@overload
def conv_output_size(
    size: Sequence[int], kernel_size: Axes, stride: Axes = 1, *, padding: Axes | str = 0, dilation: Axes = 1
) -> tuple[int, ...]: ...
def conv_output_size(
    size: Axes, kernel_size: Axes, stride: Axes = 1, *, padding: Axes | str = 0, dilation: Axes = 1
) -> int | tuple[int, ...]:
    """Output size of a convolution.

    =========== ==================================================================
    no dilation ``floor((n + 2 p - f) / s) + 1``
    dilation    ``floor((n + 2 p - d (f - 1) - 1) / s) + 1``
    "valid"     the same with p = 0
    "same"      ``ceil(n / s)``: n where the stride is 1
    =========== ==================================================================

    Every framework rounds down: pixels at the end that do not fill a window are not looked at.

    Parameters
    ----------
    size : int or tuple of int
        Input size n, in pixels: of one axis, or ``(height, width)``, or of as many axes as you like.
    kernel_size : int or tuple of int
        Taps f of the kernel.
    stride : int or tuple of int, default 1
        Pixels s between neighbouring windows.
    padding : int, tuple of int, "same" or "valid", default 0
        Pixels p added on each side; ``"valid"`` is 0; ``"same"`` adds ``d (f - 1)`` in all, half on each side.
    dilation : int or tuple of int, default 1
        Pixels d between neighbouring taps.

    Returns
    -------
    int or tuple of int
        As ``size`` is: a number for a number, a tuple for a tuple.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense, the numbers of axes differ, or the kernel does not fit into the padded input.

    References
    ----------
    V. Dumoulin and F. Visin, *A guide to convolution arithmetic for deep learning*, arXiv:1603.07285, sections 2 and
    5.1.

    Examples
    --------
    >>> conv_output_size(28, 5)
    24
    >>> conv_output_size((224, 224), 7, 2, padding=3)
    (112, 112)
    >>> conv_output_size(28, 5, padding="same")
    28
    """
    return along(_conv, size=size, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)


@overload
def pool_output_size(
    size: int,
    kernel_size: Axes,
    stride: Axes | None = None,
    *,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> int: ...
@overload
def pool_output_size(
    size: Sequence[int],
    kernel_size: Axes,
    stride: Axes | None = None,
    *,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> tuple[int, ...]: ...
def pool_output_size(
    size: Axes,
    kernel_size: Axes,
    stride: Axes | None = None,
    *,
    padding: Axes = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> int | tuple[int, ...]:
    """Output size of a pooling: that of a convolution, except that windows stand side by side if nothing else is said.

    ============= ==================================================================
    floor         ``floor((n + 2 p - d (f - 1) - 1) / s) + 1``
    ``ceil_mode`` ``ceil((n + 2 p - d (f - 1) - 1) / s) + 1``, without a last window that would start in the padding
    ============= ==================================================================

    Parameters
    ----------
    size, kernel_size, dilation : int or tuple of int
        As in :func:`conv_output_size`.
    stride : int or tuple of int, optional
        Pixels between neighbouring windows; ``kernel_size`` by default.
    padding : int or tuple of int, default 0
        Pixels added on each side, at most half of the window.
    ceil_mode : bool, default False
        A last window that is partly outside counts too, as long as it starts inside the input or its left padding.

    Returns
    -------
    int or tuple of int
        As ``size`` is.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense, the numbers of axes differ, or the window does not fit.

    Examples
    --------
    >>> pool_output_size(24, 2)
    12
    >>> pool_output_size(112, 3, 2), pool_output_size(112, 3, 2, ceil_mode=True)
    (55, 56)
    """
    return along(
        _pool,
        size=size,
        kernel_size=kernel_size,
        stride=kernel_size if stride is None else stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )


@overload
def conv_transpose_output_size(
    size: int, kernel_size: Axes, stride: Axes = 1, *, padding: Axes = 0, output_padding: Axes = 0, dilation: Axes = 1
) -> int: ...
@overload
def conv_transpose_output_size(
    size: Sequence[int],
    kernel_size: Axes,
    stride: Axes = 1,
    *,
    padding: Axes = 0,
    output_padding: Axes = 0,
    dilation: Axes = 1,
) -> tuple[int, ...]: ...
def conv_transpose_output_size(
    size: Axes, kernel_size: Axes, stride: Axes = 1, *, padding: Axes = 0, output_padding: Axes = 0, dilation: Axes = 1
) -> int | tuple[int, ...]:
    """Output size of a transposed convolution: ``(n - 1) s - 2 p + d (f - 1) + output_padding + 1``.

    Parameters
    ----------
    size, kernel_size, stride, padding, dilation : int or tuple of int
        As in :func:`conv_output_size`; here ``padding`` takes pixels away from the output.
    output_padding : int or tuple of int, default 0
        Pixels added on one side of the output; fewer than the stride or the dilation.

    Returns
    -------
    int or tuple of int
        As ``size`` is.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense, the numbers of axes differ, or nothing would be left.

    References
    ----------
    V. Dumoulin and F. Visin, *A guide to convolution arithmetic for deep learning*, arXiv:1603.07285, section 4.

    Examples
    --------
    >>> conv_transpose_output_size((14, 14), 2, 2)
    (28, 28)
    """
    return along(
        _conv_transpose,
        size=size,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )


@overload
def same_padding(kernel_size: int, *, dilation: Axes = 1) -> int: ...
@overload
def same_padding(kernel_size: Sequence[int], *, dilation: Axes = 1) -> tuple[int, ...]: ...
def same_padding(kernel_size: Axes, *, dilation: Axes = 1) -> int | tuple[int, ...]:
    """Padding on each side that keeps the size at stride 1: ``p = d (f - 1) / 2``, for odd kernels ``(f - 1) / 2``.

    Parameters
    ----------
    kernel_size : int or tuple of int
        Taps f of the kernel.
    dilation : int or tuple of int, default 1
        Pixels d between neighbouring taps.

    Returns
    -------
    int or tuple of int
        As ``kernel_size`` is.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an even kernel would need one pixel more on one side, or a number makes no sense.

    Examples
    --------
    >>> same_padding(3), same_padding((1, 7)), same_padding(3, dilation=2)
    (1, (0, 3), 2)
    """
    return along(_same, kernel_size=kernel_size, dilation=dilation)


# --- along one axis ---------------------------------------------------------------------------------------------------


def _conv(size: int, kernel_size: int, stride: int, padding: int | str, dilation: int) -> int:
    size, span, stride = _checked(size, kernel_size, stride, dilation)
    if not isinstance(padding, str):
        return _room(size, span, padding) // stride + 1
    if check_choice("padding", padding, ("same", "valid")) == "valid":
        return _room(size, span, 0) // stride + 1
    return -(-size // stride)


def _pool(size: int, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    size, span, stride = _checked(size, kernel_size, stride, dilation)
    if check_integer("padding", padding, minimum=0) > span // 2:
        raise ArgumentError(f"padding must be at most half of the window, which spans {span}, got {padding}.")
    room = _room(size, span, padding)
    if not check_flag("ceil_mode", ceil_mode):
        return room // stride + 1
    steps = -(-room // stride)
    # `steps` windows follow the first one; the last of them must start before the right padding does.
    return steps if steps * stride >= size + int(padding) else steps + 1


def _conv_transpose(size: int, kernel_size: int, stride: int, padding: int, output_padding: int, dilation: int) -> int:
    size, span, stride = _checked(size, kernel_size, stride, dilation)
    padding = check_integer("padding", padding, minimum=0)
    output_padding = check_integer("output_padding", output_padding, minimum=0)
    if output_padding >= max(stride, dilation):
        raise ArgumentError(
            f"output_padding must be less than the stride or the dilation, got output_padding={output_padding} with "
            f"stride={stride} and dilation={dilation}."
        )
    found = (size - 1) * stride - 2 * padding + span + output_padding
    if found < 1:
        raise ArgumentError(f"Nothing is left: the output size would be {found}. Take less padding than {padding}.")
    return found


def _same(kernel_size: int, dilation: int) -> int:
    _, span, _ = _checked(1, kernel_size, 1, dilation)
    if span % 2 == 0:
        raise ArgumentError(
            f"A kernel that spans {span} has no middle: it needs {span // 2 - 1} more pixels on one side and "
            f"{span // 2} on the other. Take an odd kernel_size."
        )
    return span // 2


def _checked(size: int, kernel_size: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """Size, span of the kernel (from its first tap to its last, both counted), and stride."""
    size = check_integer("size", size, minimum=1)
    kernel_size = check_integer("kernel_size", kernel_size, minimum=1)
    stride = check_integer("stride", stride, minimum=1)
    dilation = check_integer("dilation", dilation, minimum=1)
    return size, dilation * (kernel_size - 1) + 1, stride


def _room(size: int, span: int, padding: int) -> int:
    """Pixels by which the first window can still move."""
    room = size + 2 * check_integer("padding", padding, minimum=0) - span
    if room < 0:
        raise ArgumentError(
            f"A kernel that spans {span} does not fit into {size} pixels with padding {padding} on each side. "
            "Take a smaller kernel or dilation, or more padding."
        )
    return room
