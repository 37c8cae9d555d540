"""Whether a data set gives the same samples each time it is read."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from easyconv.data.sources.convert import is_picture
from easyconv.seed import kept_random_state, seed_all

__all__ = ["first_random"]

_LOOKED_AT = 8


def first_random(dataset: Any) -> int | None:
    """The first of a few samples that comes out differently when it is read with other random numbers.

    Parameters
    ----------
    dataset : map-style Dataset
        At most eight samples, evenly spaced, are read twice; the global random state is given back.

    Returns
    -------
    int or None
        Its number; None where there is none.

    Examples
    --------
    >>> first_random([(torch.ones(2), 0)]) is None
    True
    """
    rows = [int(row) for row in torch.linspace(0, len(dataset) - 1, min(_LOOKED_AT, len(dataset)))]
    with kept_random_state():
        readings = []
        for seed in (1, 2):
            seed_all(seed)
            readings.append([_values(dataset[row]) for row in rows])
    pairs = zip(rows, *readings, strict=True)
    return next((row for row, first, second in pairs if not _equal(first, second)), None)


def _values(sample: Any) -> list[Any]:
    parts = sample if isinstance(sample, (tuple, list)) else [sample]
    return [np.asarray(part) if is_picture(part) or isinstance(part, Tensor) else part for part in parts]


def _equal(first: list[Any], second: list[Any]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
