"""Which rows of a data set somebody means."""

from typing import Any

import torch
from torch import Tensor

from easyconv.errors import DataError, DataTypeError, EmptyDataError

__all__ = ["chosen_rows"]


def chosen_rows(rows: Any, count: int) -> Tensor:
    """Numbers of rows, from 0 to ``count`` - 1, of whatever chooses them.

    Parameters
    ----------
    rows : slice, sequence of int, or mask
        Negative numbers count from the end; a mask has a bool for each row.
    count : int
        How many rows there are.

    Raises
    ------
    EmptyDataError, DataError, DataTypeError
        When it chooses nothing, what is not there, or is none of these.

    Examples
    --------
    >>> chosen_rows([True, False, True], 3), chosen_rows([-1], 3), chosen_rows(slice(2), 3)
    (tensor([0, 2]), tensor([2]), tensor([0, 1]))
    """
    index = torch.tensor(range(count)[rows]) if isinstance(rows, slice) else _numbers(rows, count)
    if not len(index):
        raise EmptyDataError(f"No row is left of {count}: the choice is empty.")
    return index


def _numbers(rows: Any, count: int) -> Tensor:
    try:
        index = torch.as_tensor(list(rows) if isinstance(rows, range) else rows).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataTypeError(f"Rows are chosen by numbers, a slice or a mask, got {type(rows).__name__}.") from error
    if index.dim() == 1 and index.dtype == torch.bool:
        if len(index) != count:
            raise DataError(f"A mask must have a bool for each of the {count} rows, got {len(index)}.")
        return index.nonzero().flatten()
    if index.dim() != 1 or (index.is_floating_point() and len(index)):
        raise DataTypeError(
            f"Rows are chosen by whole numbers in a list, got {index.dtype} of shape {tuple(index.shape)}."
        )
    index = index.long()
    if len(index) and not -count <= int(index.min()) <= int(index.max()) < count:
        raise DataError(f"There are {count} rows, numbered from 0 on, got numbers from {index.min()} to {index.max()}.")
    return index % count if count else index
