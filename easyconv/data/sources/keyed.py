"""A user's ``DataLoader`` made anew, so that what it gives depends on a key alone and a pass can begin anywhere."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
)

from easyconv.data.sources.workers import Located
from easyconv.seed import derive, drawing_apart, kept_random_state, seed_host

__all__ = ["KeyedLoader", "can_be_keyed", "keyed_order"]

_Place = tuple[int, Any]
"""What a row's draws are seeded with, and its number."""
_OF_TORCH = (RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler, DistributedSampler)
"""Samplers that draw when they begin, or from a generator of their own."""


def can_be_keyed(loader: Any) -> bool:
    """Whether it reads rows by their numbers, in torch's own way.

    Examples
    --------
    >>> can_be_keyed(DataLoader([1, 2, 3]))
    True
    """
    return type(loader) is DataLoader and not isinstance(loader.dataset, IterableDataset)


def keyed_order(loader: "DataLoader[Any]", key: int, epoch: int, start: int = 0) -> Iterator[Any]:
    """What the loader's sampler gives in one pass, from batch ``start`` on.

    Parameters
    ----------
    loader : DataLoader
        The sampler may be the user's own; where it has ``set_epoch`` it is told the number of the pass.
    key : int
        All that it draws from the global generators, or from a ``generator`` that it was given, follows from the key.
    epoch : int
        Passes before this one.
    start : int, default 0
        Batches to leave out.

    Examples
    --------
    >>> loader = DataLoader(range(6), batch_size=2, shuffle=True)
    >>> list(keyed_order(loader, 7, 0, 2)) == list(keyed_order(loader, 7, 0))[2:]
    True
    """
    sampler = _index_sampler(loader)
    for part in (sampler, loader.sampler):
        generator, set_epoch = getattr(part, "generator", None), getattr(part, "set_epoch", None)
        if isinstance(generator, torch.Generator):
            generator.manual_seed(key)
        if callable(set_epoch):
            set_epoch(epoch)
    order = _drawn_at_once(sampler, key) if _draws_at_once(sampler) else drawing_apart(lambda: iter(sampler), key)
    return islice(order, start, None)


class KeyedLoader:
    """The batches of a loader, each row drawn with random numbers of its own.

    They are the same with any number of workers and from whatever batch a pass begins: rows are seeded by their place
    in the pass, in the process that reads them.

    Parameters
    ----------
    loader : DataLoader
        `can_be_keyed`. Its ``collate_fn``, workers and all other arguments are used as they are.

    Examples
    --------
    >>> noisy = [lambda: None] * 4
    >>> class Noise(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, row):
    ...         return torch.rand(())
    >>> loader = KeyedLoader(DataLoader(Noise(), batch_size=2))
    >>> whole, rest = list(loader.batches(key=3, epoch=0)), list(loader.batches(key=3, epoch=0, start=1))
    >>> torch.equal(whole[1], rest[0])
    True
    """

    def __init__(self, loader: "DataLoader[Any]") -> None:
        self._loader = loader
        self._places = _Places()
        dataset = loader.dataset if _has_no_chance(loader) else _KeyedDataset(loader.dataset)
        self._seeded = dataset is not loader.dataset
        cut = {"sampler": self._places, "batch_size": None}
        if loader.batch_sampler is not None:
            cut = {"batch_sampler": self._places}
        self._keyed: DataLoader[Any] = DataLoader(
            dataset,
            **cut,  # type: ignore[arg-type]
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=partial(_init_worker, loader.worker_init_fn, loader.dataset),
            multiprocessing_context=loader.multiprocessing_context,
            generator=torch.Generator(),  # the seeds of workers, which nothing depends on
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )

    def batches(self, key: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """One pass, from batch ``start`` on; see `keyed_order`."""
        order = keyed_order(self._loader, key, epoch, start)
        self._places.order = self._with_keys(order, key, start) if self._seeded else order
        return iter(self._keyed)

    def _with_keys(self, order: Iterator[Any], key: int, start: int) -> Iterator[Any]:
        batched = self._loader.batch_sampler is not None
        for number, item in enumerate(order, start):
            of_batch = derive(key, number)
            if batched:
                yield [(derive(of_batch, place), row) for place, row in enumerate(item)]
            else:
                yield (of_batch, item)


class _Places:
    """A sampler that gives what it is told to before each pass."""

    order: Iterator[Any] = iter(())

    def __iter__(self) -> Iterator[Any]:
        return self.order


class _KeyedDataset(Dataset[Any]):
    """Rows by key and number: all that reading a row draws follows from the key."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        if hasattr(dataset, "__getitems__") and not isinstance(_innermost(dataset), (Subset, Located)):
            self.__getitems__ = self._items

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, place: _Place) -> Any:
        key, row = place
        seed_host(key)
        return self.dataset[row]

    def _items(self, places: Sequence[_Place]) -> Any:
        seed_host(places[0][0])
        return self.dataset.__getitems__([row for _, row in places])


def _innermost(dataset: Any) -> Any:
    """What reads several rows at once, behind wrappers that would read them one by one."""
    while isinstance(dataset, (Subset, Located)) and hasattr(dataset.dataset, "__getitems__"):
        dataset = dataset.dataset
    return dataset


def _has_no_chance(loader: "DataLoader[Any]") -> bool:
    """Whether nothing that makes its batches draws random numbers: tensors, put together in torch's way."""
    dataset: Any = loader.dataset
    while isinstance(dataset, (Subset, Located)):
        dataset = dataset.dataset
    return type(dataset) is TensorDataset and loader.collate_fn is default_collate


def _draws_at_once(sampler: Any) -> bool:
    inner = sampler.sampler if type(sampler) is BatchSampler else sampler
    return type(inner) in _OF_TORCH


def _drawn_at_once(sampler: Any, key: int) -> Iterator[Any]:
    """As `drawing_apart`, of a sampler that draws nothing from the global generators after its first item."""
    with kept_random_state():
        seed_host(key)
        iterator = iter(sampler)
        first = list(islice(iterator, 1))
    return chain(first, iterator)


def _index_sampler(loader: "DataLoader[Any]") -> Any:
    return loader.sampler if loader.batch_sampler is None else loader.batch_sampler


def _init_worker(own: Callable[[int], None] | None, dataset: Any, worker: int) -> None:
    """Let code of the user's in a worker find the data set that it knows."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        # Killed since the fork: torch would take whoever has adopted this process for its parent, and wait for ever.
        os._exit(1)
    info = get_worker_info()
    object.__setattr__(info, "dataset", dataset)  # torch keeps it from being set, and reads it nowhere
    if own is not None:
        own(worker)
