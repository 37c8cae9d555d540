"""Batches of a ``DataLoader``, used as it is."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, RandomSampler, SequentialSampler, Subset, TensorDataset, default_collate

from easyconv.data.sources.batch import Batch, unpack
from easyconv.data.sources.gathering import gather_batches, is_gatherable
from easyconv.data.sources.keyed import KeyedLoader, can_be_keyed, keyed_order
from easyconv.data.sources.order import warn_of_order
from easyconv.data.sources.source import Binding, check_rows, located
from easyconv.data.sources.streams import StreamSource
from easyconv.data.sources.waiting import Waiting
from easyconv.data.sources.workers import Located

__all__ = ["LoaderSource", "known_labels"]


class LoaderSource(StreamSource):
    """The batches of a loader; with a key, its order and its workers' draws depend on nothing else.

    Parameters
    ----------
    loader : DataLoader
        Used as it is.

    Examples
    --------
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> source = LoaderSource(DataLoader(TensorDataset(torch.zeros(5, 3), torch.zeros(5)), batch_size=2))
    >>> source.rows, source.steps
    (5, 3)
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self.batch_size = loader.batch_size
        self.steps = _length(loader)
        self.rows = self._count_rows()
        self._waiting: Waiting | None = None
        self._keyed: KeyedLoader | None = None
        self.replays = not can_be_keyed(loader)

    def _count_rows(self) -> int | None:
        if self.steps is None or self.batch_size is None or isinstance(self._loader.dataset, IterableDataset):
            return None
        if self._loader.drop_last:
            return self.steps * self.batch_size
        return _length(self._loader.sampler)

    def identity(self) -> dict[str, Any]:
        """Its size and order, and on how many workers the order depends; see `Source.identity`."""
        sampler = {"sampler": type(getattr(self._loader, "sampler", None)).__name__}
        # Each worker of a stream gives its own part of it.
        workers = {"num_workers": getattr(self._loader, "num_workers", 0)} if self.replays else {}
        return {**super().identity(), **sampler, **workers}

    def _open(self) -> Iterator[Any]:
        self._waiting = Waiting(self._loader.dataset) if self.rows else None
        return gather_batches(self._loader) if is_gatherable(self._loader) else iter(self._loader)

    def _next_item(self, iterator: Iterator[Any], index: int) -> Any:
        start = time.perf_counter()
        item = super()._next_item(iterator, index)
        if self._waiting is not None:
            self._waiting.waits.append(time.perf_counter() - start)
        return item

    def _placed(
        self, binding: Binding, key: int | None, epoch: int, start: int
    ) -> Iterator[tuple[Tensor | None, Batch]]:
        batch = None
        for rows, batch in super()._placed(binding, key, epoch, start):
            yield rows, batch
        if self._waiting is not None and self._training:
            self._waiting.tell(batch, self.steps or 1)

    def _open_keyed(self, key: int, epoch: int, start: int) -> Iterator[Any]:
        if self.replays:
            self._begin_anew(key)
            return super()._open_keyed(key, epoch, start)
        self._waiting = Waiting(self._loader.dataset) if self.rows else None
        if is_gatherable(self._loader):
            return gather_batches(self._loader, keyed_order(self._loader, key, epoch, start))
        if self._keyed is None:
            self._keyed = KeyedLoader(self._loader)
        return self._keyed.batches(key, epoch, start)

    def _begin_anew(self, key: int) -> None:
        for generator in self._generators():
            generator.manual_seed(key)
        if getattr(self._loader, "persistent_workers", False):
            # Workers that live on keep the random state of the pass before; new ones start from the key.
            self._loader._iterator = None

    def _generators(self) -> list[torch.Generator]:
        """Generators that the loader was given, besides the global ones."""
        loader = self._loader
        owners = (loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None))
        found = [getattr(owner, "generator", None) for owner in owners]
        return [generator for generator in found if isinstance(generator, torch.Generator)]

    def _random_state(self) -> Callable[[], None]:
        give_back_global = super()._random_state()
        own = [(generator, generator.get_state()) for generator in self._generators()]

        def give_back() -> None:
            give_back_global()
            for generator, state in own:
                generator.set_state(state)

        return give_back

    def labels(self) -> Tensor | None:
        """The labels that the data set keeps."""
        return known_labels(self._loader.dataset)

    def _bound(self, training: bool) -> None:
        self._check_all()
        labels = known_labels(self._loader.dataset) if training else None
        targets = self._require_binding().targets
        if labels is not None:
            ordered = type(getattr(self._loader, "sampler", None)) is SequentialSampler
            warn_of_order(labels, targets, batch_size=self.batch_size, shuffled=not ordered)

    def _check_all(self) -> None:
        """Look at tensors that are in memory as a whole now, and not when training is under way."""
        dataset, loader = self._loader.dataset, self._loader
        usual = type(loader.sampler) in (SequentialSampler, RandomSampler) and loader.collate_fn is default_collate
        if type(dataset) is not TensorDataset or not usual or not self.rows:
            return
        with located(self.place()):
            batch = unpack(tuple(dataset.tensors))
            check_rows(batch)
            self._require_binding().check(batch, whole=True)
        self._known_values = True

    def _why_empty(self) -> str:
        rows, size = _length(self._loader.dataset), self.batch_size
        if rows and size and self._loader.drop_last and rows < size:
            return (
                f"The loader gives no batch: its data set has {rows} samples, batch_size is {size} and drop_last is "
                "True. Take a smaller batch_size, or drop_last=False."
            )
        if rows == 0:
            return "The loader gives no batch: its data set is empty."
        return "The loader gives no batch. Check its data set and its sampler."


def known_labels(dataset: Any) -> Tensor | None:
    """The labels that a data set keeps in ``targets``, ``labels`` or its last tensor, without reading a sample.

    Parameters
    ----------
    dataset : Dataset
        A ``Subset`` is looked through.

    Returns
    -------
    Tensor or None
        One label per sample; ``None`` where the data set has no such list of numbers.

    Examples
    --------
    >>> from torch.utils.data import TensorDataset
    >>> known_labels(TensorDataset(torch.zeros(2, 3), torch.tensor([1, 0])))
    tensor([1, 0])
    """
    if isinstance(dataset, Located):
        return known_labels(dataset.dataset)
    if isinstance(dataset, Subset):
        labels = known_labels(dataset.dataset)
        return None if labels is None else labels[torch.as_tensor(list(dataset.indices), dtype=torch.int64)]
    tensors = getattr(dataset, "tensors", None)
    found = [getattr(dataset, "targets", None), getattr(dataset, "labels", None)]
    if isinstance(tensors, (tuple, list)) and len(tensors) > 1:
        found.append(tensors[1])
    for value in found:
        labels = _as_labels(value)
        if labels is not None and len(labels) == _length(dataset):
            return labels
    return None


def _as_labels(value: Any) -> Tensor | None:
    if value is None or callable(value) or isinstance(value, (str, dict)):
        return None
    try:
        labels = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return labels if labels.dim() >= 1 else None


def _length(sized: Any) -> int | None:
    try:
        return len(sized)
    except (TypeError, NotImplementedError, AttributeError):
        return None
