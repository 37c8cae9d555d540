"""Checks of arguments that transforms share."""

from typing import Any

from easyconv.arguments import check_integer, check_number
from easyconv.errors import ArgumentError, ArgumentTypeError

__all__ = ["check_pair", "check_range", "check_spread"]


def check_pair(name: str, value: Any, *, minimum: int = 0) -> tuple[int, int]:
    """Height and width, of which a single integer says both.

    Examples
    --------
    >>> check_pair("size", 3)
    (3, 3)
    """
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ArgumentError(f"{name} must be one integer, or (height, width), got {value!r}.")
        height, width = (check_integer(name, part, minimum=minimum) for part in value)
        return height, width
    number = check_integer(name, value, minimum=minimum)
    return number, number


def check_range(
    name: str, value: Any, *, minimum: float = float("-inf"), maximum: float = float("inf")
) -> tuple[float, float]:
    """Two numbers, the first not above the second.

    Examples
    --------
    >>> check_range("scale", (0.1, 1), minimum=0)
    (0.1, 1.0)
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ArgumentTypeError(f"{name} must be two numbers (low, high), got {value!r}.")
    low, high = (check_number(name, part, minimum=minimum, maximum=maximum) for part in value)
    if low > high:
        raise ArgumentError(f"{name} must begin below its end, got {value!r}.")
    return low, high


def check_spread(name: str, value: Any, centre: float) -> tuple[float, float]:
    """A range; a single number x stands for ``centre`` ± x.

    Examples
    --------
    >>> check_spread("degrees", 10, 0.0)
    (-10.0, 10.0)
    """
    if isinstance(value, (tuple, list)):
        return check_range(name, value)
    number = check_number(name, value, minimum=0)
    return centre - number, centre + number
