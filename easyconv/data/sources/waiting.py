"""How long training waits for a loader, and what a cache would save."""

import time
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from easyconv.data.sources.batch import Batch
from easyconv.data.sources.chance import first_random
from easyconv.data.sources.workers import Located
from easyconv.nested import leaves
from easyconv.notices import warn_user

__all__ = ["Waiting"]

_LEAST_SECONDS = 1.0
_LEAST_SHARE = 0.3
_MOST_BYTES = 8 << 30
_TOLD: "weakref.WeakSet[Any]" = weakref.WeakSet()
"""Data sets whose users know already."""


class Waiting:
    """What a pass has waited for its batches; says once what `cache` would save of it.

    Parameters
    ----------
    dataset : map-style Dataset
        What the loader reads.

    Attributes
    ----------
    waits : list of float
        Seconds for each batch so far.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset.dataset if isinstance(dataset, Located) else dataset
        self._start = time.perf_counter()
        self.waits: list[float] = []

    def tell(self, batch: Batch | None, batches: int) -> None:
        """At the end of a pass: a notice, where a cache would save much and the samples are always the same."""
        if batch is None or not self.waits or self._was_told():
            return
        passed = time.perf_counter() - self._start
        # By the median, so that one long stall of the machine is not taken for the cost of reading.
        waited = float(np.median(self.waits)) * len(self.waits)
        if waited < max(_LEAST_SECONDS, _LEAST_SHARE * passed):
            return
        if not self._could_be_cached(batch) or first_random(self._dataset) is not None:
            return
        _TOLD.add(self._dataset)
        cached = _seconds_to_gather(batch) * batches
        warn_user(
            f"About {waited:.1f} of the {passed:.1f} seconds of this epoch went on reading samples one by one, which "
            f"are the same each time. From memory the same batches take {cached:.2f} seconds, as measured just now: "
            "pass ec.data.cache(dataset), with random transforms in .augment(...)."
        )

    def _was_told(self) -> bool:
        try:
            return self._dataset in _TOLD
        except TypeError:  # cannot be held weakly, so nobody would remember
            return True

    def _could_be_cached(self, batch: Batch) -> bool:
        image = batch.x
        if not isinstance(image, Tensor) or image.dim() != 4:
            return False
        return image[0].numel() * image.element_size() * len(self._dataset) <= _MOST_BYTES


def _seconds_to_gather(batch: Batch) -> float:
    """What it takes to gather such a batch from arrays, the best of three."""
    tensors = [leaf for part in batch for _, leaf in leaves(part) if isinstance(leaf, Tensor)]
    order = torch.randperm(len(batch.x), generator=torch.Generator().manual_seed(0))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        for tensor in tensors:
            tensor.index_select(0, order.to(tensor.device))
        seconds.append(time.perf_counter() - start)
    return min(seconds)
