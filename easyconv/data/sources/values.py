"""Checks of the values in a tensor: one pass, no temporary of the tensor's size."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from easyconv.errors import NonFiniteDataError

__all__ = ["bad_rows", "bounds", "check_finite", "describe", "first_row", "listed"]

_CHUNK = 1 << 20
_ROWS_SHOWN = 5


def bounds(tensor: Tensor) -> tuple[float, float]:
    """The least and the greatest value; NaN where there is one NaN.

    Examples
    --------
    >>> bounds(torch.tensor([3, 1, 2]))
    (1, 3)
    """
    low, high = torch.aminmax(tensor)
    return low.item(), high.item()


def check_finite(tensor: Tensor, name: str) -> Tensor:
    """Refuse NaN and infinity.

    Raises
    ------
    NonFiniteDataError
        With the count and the rows.

    Examples
    --------
    >>> check_finite(torch.tensor([1.0, 2.0]), "x")
    tensor([1., 2.])
    """
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return tensor
    # A finite sum has finite terms, and is had in a quarter of the time; only huge terms have none.
    if math.isfinite(tensor.sum().item()) or all(map(math.isfinite, bounds(tensor))):
        return tensor
    at_once = max(1, _CHUNK * tensor.shape[0] // tensor.numel())
    count, rows = 0, list[int]()
    for start in range(0, tensor.shape[0], at_once):
        chunk = tensor[start : start + at_once]
        count += int(chunk.isfinite().logical_not().sum())
        rows += [start + row for row in bad_rows(chunk)]
    all_rows = f" The rows are {listed(rows)}." if len(rows) > 1 else ""
    raise NonFiniteDataError(
        f"{name} must hold finite numbers, got {count} that {'is' if count == 1 else 'are'} NaN or infinite (as "
        f"float32), the first in row {rows[0]}.{all_rows} Remove those rows, or fill them: numpy.nan_to_num({name})."
    )


def bad_rows(tensor: Tensor) -> list[int]:
    """The rows in which something is NaN or infinite.

    Examples
    --------
    >>> bad_rows(torch.tensor([[1.0, 2.0], [3.0, torch.inf]]))
    [1]
    """
    bad = tensor.isfinite().logical_not().reshape(tensor.shape[0], -1).any(dim=1)
    return [int(row) for row in bad.nonzero()]


def listed(rows: Sequence[int]) -> str:
    """Numbers of rows, for messages.

    Examples
    --------
    >>> listed([3, 5]), listed(range(32))
    ('3 and 5', '0, 1, 2, 3, 4 and 27 more')
    """
    if len(rows) > _ROWS_SHOWN + 1:
        return f"{', '.join(map(str, rows[:_ROWS_SHOWN]))} and {len(rows) - _ROWS_SHOWN} more"
    return " and ".join(filter(None, (", ".join(map(str, rows[:-1])), str(rows[-1]))))


def first_row(mask: Tensor) -> int:
    """The first row in which ``mask`` is true anywhere; the caller knows that there is one.

    Examples
    --------
    >>> first_row(torch.tensor([[False, False], [False, True]]))
    1
    """
    return int(mask.reshape(mask.shape[0], -1).any(dim=1).to(torch.uint8).argmax())


def describe(value: Any) -> str:
    """The dtype and shape of an array, or the type of anything else, for messages.

    Examples
    --------
    >>> describe(torch.ones(2, 3))
    'float32 of shape (2, 3)'
    >>> describe("cat")
    "'cat' (str)"
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
