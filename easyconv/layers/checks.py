"""Checks of the values that layers are given."""

from typing import TypeAlias

from easyconv.arguments import check_choice, check_integer
from easyconv.errors import ArgumentError, ArgumentTypeError

__all__ = ["Size", "check_groups", "check_padding", "check_pool_padding", "check_size", "check_widths", "each"]

Size: TypeAlias = int | tuple[int, ...]


def check_size(name: str, value: object, dimensions: int, *, minimum: int = 1) -> Size:
    """One integer, or one per dimension.

    Examples
    --------
    >>> check_size("kernel_size", (3, 5), 2)
    (3, 5)
    """
    if isinstance(value, (tuple, list)):
        if len(value) != dimensions:
            raise ArgumentError(f"{name} must be one integer or {dimensions} of them, got {tuple(value)}.")
        return tuple(check_integer(name, part, minimum=minimum) for part in value)
    return check_integer(name, value, minimum=minimum)


def each(value: Size, dimensions: int) -> tuple[int, ...]:
    """One number per dimension."""
    return value if isinstance(value, tuple) else (value,) * dimensions


def check_groups(groups: object, out_channels: int) -> int:
    """A number of groups that divides the output channels."""
    count = check_integer("groups", groups, minimum=1)
    if out_channels % count:
        raise ArgumentError(f"groups must divide out_channels, got groups={count} and out_channels={out_channels}.")
    return count


def check_padding(padding: object, kernel_size: Size, stride: Size, dilation: Size, dimensions: int) -> str | Size:
    """Padding of a convolution; ``"same"`` with a stride becomes the numbers that halve exactly.

    Raises
    ------
    ArgumentError
        For ``"same"`` with a stride and an even window, which cannot be padded alike on both sides.
    """
    if not isinstance(padding, str):
        return check_size("padding", padding, dimensions, minimum=0)
    word = check_choice("padding", padding, ("same", "valid"))
    if word == "valid":
        return 0
    if all(step == 1 for step in each(stride, dimensions)):
        return "same"
    spans = [(k - 1) * d for k, d in zip(each(kernel_size, dimensions), each(dilation, dimensions), strict=True)]
    if any(span % 2 for span in spans):
        raise ArgumentError(
            f'padding="same" with stride={stride} needs an odd kernel_size, got {kernel_size}; '
            "give the padding as a number, or take an odd kernel."
        )
    halves = tuple(span // 2 for span in spans)
    return halves[0] if len(set(halves)) == 1 else halves


def check_pool_padding(padding: object, kernel_size: Size, dimensions: int) -> Size:
    """Padding of a pooling, which torch takes as numbers of at most half the window."""
    if isinstance(padding, str):
        wanted = {"valid": "0", "same": "kernel_size // 2"}.get(padding, "a number")
        raise ArgumentTypeError(f"padding={padding!r} is Keras's word for poolings; here, as in torch, it is {wanted}.")
    checked = check_size("padding", padding, dimensions, minimum=0)
    for pad, kernel in zip(each(checked, dimensions), each(kernel_size, dimensions), strict=True):
        if pad > kernel // 2:
            raise ArgumentError(f"padding must be at most half of kernel_size={kernel_size}, got {padding}.")
    return checked


def check_widths(name: str, values: object, count: int) -> tuple[int, ...]:
    """Numbers of channels of ``count`` convolutions one after the other.

    Examples
    --------
    >>> check_widths("branch3x3", [96, 128], 2)
    (96, 128)
    """
    if not isinstance(values, (tuple, list)) or len(values) != count:
        raise ArgumentTypeError(f"{name} must be {count} numbers of channels, got {values!r}.")
    return tuple(check_integer(name, value, minimum=1) for value in values)
