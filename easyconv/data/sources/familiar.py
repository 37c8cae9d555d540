"""Batches like the one before: their form has been checked, so only their values are looked at."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from easyconv.data.sources.batch import Batch
from easyconv.data.sources.rules import TargetRule

__all__ = ["Familiar"]


class Familiar:
    """Takes a loader's ordinary batches through the door without asking everything again.

    Nine of ten batches are a pair of tensors like the pair before, in which nothing had to be changed. Such a batch is
    accepted after one look at its values; anything else, and anything suspicious, goes the long way, which makes it
    right or says what is wrong.

    Parameters
    ----------
    rule : TargetRule or nested rules
        What the targets are; only a single rule has a short way.
    known_values : bool, default False
        Whether all values have been looked at before, so that only the form is.

    Examples
    --------
    >>> familiar = Familiar(TargetRule("classes", (10,)))
    >>> x, y = torch.zeros(2, 3), torch.tensor([1, 9])
    >>> familiar.take([x, y]) is None
    True
    >>> familiar.learn([x, y], Batch(x, y))
    >>> familiar.take([x, y]).y
    tensor([1, 9])
    >>> familiar.take([x, torch.tensor([1, 10])]) is None
    True
    """

    def __init__(self, rule: Any, *, known_values: bool = False) -> None:
        self._fits = _value_check(rule)
        self._known_values = known_values
        self._form: Any = None

    def learn(self, item: Any, ready: Batch) -> None:
        """Remember the form of an item that came out of the long way unchanged."""
        form = _form(item)
        unchanged = form is not None and ready.sample_weight is None
        self._form = form if unchanged and _same(ready.x, item[0]) and _same(ready.y, item[1]) else None

    def take(self, item: Any) -> Batch | None:
        """The batch, or ``None`` where it has to go the long way, as a last batch of fewer rows has."""
        if self._fits is None or self._form is None or _form(item) != self._form:
            return None
        x, y = item
        if self._known_values or (math.isfinite(x.sum().item()) and self._fits(y)):
            return Batch(x, y)
        return None


def _same(ready: Any, given: Tensor) -> bool:
    """Whether nothing was converted: the very numbers, in the same shape and type."""
    if not isinstance(ready, Tensor) or ready.data_ptr() != given.data_ptr():
        return False
    return ready.shape == given.shape and ready.dtype == given.dtype


def _form(item: Any) -> tuple[Any, ...] | None:
    """What has to be equal for two items to be alike; ``None`` for anything but a pair of filled tensors on the CPU."""
    if type(item) not in (list, tuple) or len(item) != 2:
        return None
    x, y = item
    # Of an exact type, since a subclass of Tensor may do anything with the sum.
    if type(x) is not Tensor or type(y) is not Tensor or not (x.is_cpu and y.is_cpu) or x.requires_grad:
        return None
    if x.dtype is not torch.float32 or not x.ndim or not y.ndim or not 0 < len(x) == len(y):
        return None
    return x.shape, y.shape, y.dtype


def _value_check(rule: Any) -> Callable[[Tensor], bool] | None:
    if not isinstance(rule, TargetRule) or rule.output_shape is None:
        return None
    if rule.kind == "classes":
        highest = rule.output_shape[0] - 1 if rule.output_shape else 0
        return lambda y: not y.is_floating_point() and _within(y, 0, highest)
    if rule.kind == "binary":
        return lambda y: _within(y, 0, 1)
    return lambda y: not y.is_floating_point() or math.isfinite(y.sum().item())


def _within(y: Tensor, lowest: int, highest: int) -> bool:
    low, high = torch.aminmax(y)
    return lowest <= low.item() and high.item() <= highest
