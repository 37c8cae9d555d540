"""Batches wait for each other, so that their answers are counted together."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from easyconv.metrics.base import Metric
from easyconv.metrics.classification import F1, Accuracy, BalancedAccuracy, Precision, Recall, TopKAccuracy

__all__ = ["Gathering"]

_COUNTING = (Accuracy, BalancedAccuracy, F1, Precision, Recall, TopKAccuracy)
"""Whole numbers are added up in these, so that it is all the same how many rows come at once."""
_MOST_BATCHES, _MOST_NUMBERS = 32, 4096


class Gathering:
    """Metrics that get the batches of a pass: each at once, or several together where that changes nothing.

    To count the right answers of 64 rows takes as long as to count those of 2,000. So small outputs are copied and
    wait, up to 32 batches of them. The first batch never does: whatever does not fit is refused there, and only batches
    of its shapes wait.

    Parameters
    ----------
    metrics : iterable of Metric
        Those of the user's, or derived from ours, get every batch at once.

    Examples
    --------
    >>> accuracy = Accuracy()
    >>> gathering = Gathering([accuracy])
    >>> for _ in range(3):
    ...     gathering.update(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
    >>> gathering.settle()
    >>> float(accuracy.compute())
    0.5
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._prompt: list[Metric] = []
        self._patient: list[Metric] = []
        for metric in metrics:
            can_wait = type(metric) in _COUNTING and "update" not in vars(metric)
            (self._patient if can_wait else self._prompt).append(metric)
        self._like: Any = None
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def update(self, output: Any, target: Any) -> None:
        """Take in one batch."""
        for metric in self._prompt:
            metric.update(output, target)
        if not self._patient:
            return
        if self._like is not None and _kind(output, target) == self._like:
            # Copies: a compiled step writes the next output, and a loader the next targets, to the same place.
            self._waiting.append((output.detach().clone(), target.detach().clone()))
            if len(self._waiting) == _MOST_BATCHES:
                self.settle()
            return
        for metric in self._patient:
            metric.update(output, target)
        if self._like is None and type(output) is Tensor and output.numel() <= _MOST_NUMBERS:
            self._like = _kind(output, target)

    def settle(self) -> None:
        """Let the metrics have what waits."""
        if not self._waiting:
            return
        outputs, targets = zip(*self._waiting, strict=True)
        self._waiting.clear()
        output, target = torch.cat(outputs), torch.cat(targets)
        for metric in self._patient:
            metric.update(output, target)


def _kind(output: Any, target: Any) -> Any:
    """What two batches have in common that can be joined; ``None`` for what is no plain tensor."""
    if type(output) is not Tensor or type(target) is not Tensor or not output.dim() or not target.dim():
        return None
    return output.shape, output.dtype, target.shape, target.dtype
