"""One number for every axis, or one per axis: the same formula serves lines, images and volumes."""

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeGuard

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError

__all__ = ["Axes", "along", "is_several", "products", "spread"]

Axes: TypeAlias = int | Sequence[int]
"""One integer, or a tuple or list with one per axis."""


def along(formula: Callable[..., int], **values: object) -> int | tuple[int, ...]:
    """Apply a formula for one axis to as many axes as the first value has.

    Parameters
    ----------
    formula : callable
        Takes ``values`` by their names, one number each.
    **values
        The first says how many axes there are; a single number among the others serves all of them.

    Returns
    -------
    int or tuple of int
        A number where the first value is one, else one per axis.

    Raises
    ------
    ArgumentError
        When the numbers of axes differ.

    Examples
    --------
    >>> along(lambda size, stride: size // stride, size=(8, 6), stride=2)
    (4, 3)
    """
    (name, lead), *others = values.items()
    if is_several(lead):
        columns = [spread(other, value, len(lead)) for other, value in values.items()]
        return tuple(formula(**dict(zip(values, row, strict=True))) for row in zip(*columns, strict=True))
    for other, value in others:
        if is_several(value):
            raise ArgumentError(
                f"{other} has {len(value)} numbers, {tuple(value)}, but {name} is one, {lead!r}. "
                f"Write {name}={(lead,) * len(value)}."
            )
    return formula(**values)


def spread(name: str, value: object, axes: int) -> tuple[object, ...]:
    """One value per axis.

    Raises
    ------
    ArgumentError
        When there are more or fewer, or none.

    Examples
    --------
    >>> spread("stride", 2, 3)
    (2, 2, 2)
    """
    if not is_several(value):
        return (value,) * axes
    if not value:
        raise ArgumentError(f"{name} is empty; it must be one integer, or one per axis.")
    if len(value) != axes:
        raise ArgumentError(f"{name} must be one integer or {axes} of them, got {tuple(value)}.")
    return tuple(value)


def products(**values: object) -> list[int]:
    """Product of each value over all axes; where nothing says how many axes there are, a number means a square.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number is no integer of at least 1, or the numbers of axes differ.

    Examples
    --------
    >>> products(kernel_size=3), products(kernel_size=3, output_size=(8, 8, 8))
    ([9], [27, 512])
    """
    axes = next((len(value) for value in values.values() if is_several(value)), 2)
    found = []
    for name, value in values.items():
        product = 1
        for number in spread(name, value, axes):
            product *= check_integer(name, number, minimum=1)
        found.append(product)
    return found


def is_several(value: object) -> TypeGuard[Sequence[object]]:
    """Whether a value holds one number per axis."""
    return isinstance(value, (tuple, list))
