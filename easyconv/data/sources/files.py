"""Batches of pictures that are read from their files while the net trains."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from easyconv.data.sources.batch import Batch
from easyconv.data.sources.order import warn_of_order
from easyconv.data.sources.streams import StreamSource
from easyconv.data.sources.workers import Located, loader

__all__ = ["FileSource"]


class FileSource(StreamSource):
    """Samples of a data set, read one by one in worker processes; it knows which rows are in a batch.

    Parameters
    ----------
    dataset : map-style Dataset
        Gives ``(image, target)`` by number, and has all targets in ``targets``.
    batch_size : int
        Samples per batch.
    shuffle : bool, default False
        Whether each pass has an order of its own: that of ``torch.randperm``.
    num_workers : int or "auto", default 0
        See `loader`.

    Examples
    --------
    >>> from torch.utils.data import TensorDataset
    >>> source = FileSource(TensorDataset(torch.zeros(3, 1, 2, 2), torch.arange(3)), 2)
    >>> source.bind(targets=None)
    >>> [len(batch.x) for batch in source.batches()]
    [2, 1]
    """

    replays = False

    def __init__(self, dataset: Any, batch_size: int, *, shuffle: bool = False, num_workers: int | str = 0) -> None:
        self._dataset = Located(dataset)
        self._shuffle = shuffle
        self._workers = num_workers
        self._order = torch.arange(len(dataset))
        self.rows: int = len(dataset)
        self.resize(batch_size)

    def resize(self, batch_size: int) -> None:
        """Give batches of so many samples; see `Source.resize`."""
        self.batch_size: int = batch_size
        self.steps: int = -(-self.rows // batch_size)

    def identity(self) -> dict[str, Any]:
        """Its size and order; see `Source.identity`."""
        return {**super().identity(), "shuffle": self._shuffle}

    def example(self, key: int | None = None) -> Batch:
        """The first two samples; no pass is begun."""
        samples = [self._dataset[index] for index in range(min(2, self.rows))]
        return Batch(*default_collate(samples))

    def labels(self) -> Tensor | None:
        """All targets."""
        targets = getattr(self._dataset, "targets", None)
        return targets if isinstance(targets, Tensor) else None

    def _bound(self, training: bool) -> None:
        labels = self.labels() if training else None
        if labels is not None:
            rule = self._require_binding().targets
            warn_of_order(labels, rule, batch_size=self.batch_size, shuffled=self._shuffle)

    def _open(self) -> Iterator[Any]:
        self._order = torch.randperm(self.rows) if self._shuffle else torch.arange(self.rows)
        return self._read_in_order(self._order)

    def _open_keyed(self, key: int, epoch: int, start: int) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(key)
        self._order = torch.randperm(self.rows, generator=generator) if self._shuffle else torch.arange(self.rows)
        return self._read_in_order(self._order[start * self.batch_size :])

    def _read_in_order(self, order: Tensor) -> Iterator[Any]:
        return iter(loader(self._dataset, self.batch_size, sampler=order.tolist(), num_workers=self._workers))

    def _rows(self, index: int) -> Tensor:
        start = index * self.batch_size
        return self._order[start : start + self.batch_size]
