"""Data sets read sample by sample: how many workers, which seeds, and which sample failed."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from easyconv.arguments import check_flag, check_integer
from easyconv.errors import ArgumentError, ArgumentTypeError, SampleError

__all__ = ["Located", "check_workers", "file_of", "loader", "usable_cores"]

_MOST_WORKERS = 8
# A forked worker needs no guard in the user's script, and starts at once.
_CAN_FORK = sys.platform.startswith("linux")


def loader(
    dataset: Any,
    batch_size: int = 32,
    *,
    shuffle: bool = False,
    num_workers: int | str = "auto",
    drop_last: bool = False,
    sampler: Any = None,
    collate_fn: Any = None,
) -> Any:
    """A ``DataLoader`` whose workers behave: seeded anew each epoch, pinned memory, errors that name the sample.

    Parameters
    ----------
    dataset : map-style Dataset
        Gives samples ``(x, y)`` by their number.
    batch_size : int, default 32
        Samples per batch.
    shuffle : bool, default False
        A new order in each pass.
    num_workers : int or "auto", default "auto"
        Processes that read samples. ``"auto"``: with three or more cores one less than there are, at most 8; with two
        or fewer none, where they would take the cores from the training, unless an accelerator does that: then 2.
        None either on systems that start processes anew (Windows, macOS), where a script needs
        ``if __name__ == "__main__":`` for them; a number is obeyed there.
    drop_last : bool, default False
        Leave out a last batch that is not full.
    sampler : Sampler or iterable of int, optional
        Numbers of the samples, in place of ``shuffle``.
    collate_fn : callable, optional
        From a list of samples to a batch, as in torch.

    Returns
    -------
    torch.utils.data.DataLoader
        Of ``Located(dataset)``, which is the data set with errors that name the sample. Batches lie in page-locked
        memory where there is an accelerator. Python's, NumPy's and torch's generators are seeded anew in every worker
        and every pass, from torch's global generator (or from ``fit(seed=...)``), so that two workers never draw the
        same numbers.

    Raises
    ------
    SampleError
        While iterating, when the data set fails: names the number of the sample, and its file where that is known.
    ArgumentError, ArgumentTypeError
        For arguments that make no sense.

    Examples
    --------
    >>> from torch.utils.data import TensorDataset
    >>> batches = loader(TensorDataset(torch.arange(5.0)), batch_size=2)
    >>> [x.tolist() for x, in batches]
    [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """
    if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        raise ArgumentTypeError(
            f"loader() takes a data set with __getitem__ and __len__, got {type(dataset).__name__}. Pass an "
            "IterableDataset or a generator to fit() itself."
        )
    workers = check_workers(num_workers)
    return DataLoader(
        dataset if isinstance(dataset, Located) else Located(dataset),
        batch_size=check_integer("batch_size", batch_size, minimum=1),
        shuffle=check_flag("shuffle", shuffle),
        num_workers=workers,
        multiprocessing_context="fork" if workers and _CAN_FORK else None,
        drop_last=check_flag("drop_last", drop_last),
        sampler=sampler,
        collate_fn=collate_fn,
        pin_memory=torch.accelerator.is_available(),
    )


def check_workers(num_workers: int | str) -> int:
    """How many worker processes to use; see `loader`.

    Examples
    --------
    >>> check_workers(3)
    3
    """
    if num_workers != "auto":
        if isinstance(num_workers, str):
            raise ArgumentError(f"num_workers must be 'auto' or an integer from 0 on, got {num_workers!r}.")
        return check_integer("num_workers", num_workers, minimum=0)
    cores = usable_cores()
    if not _CAN_FORK:
        return 0
    if cores <= 2:
        return 2 if torch.accelerator.is_available() else 0
    return min(cores - 1, _MOST_WORKERS)


def usable_cores() -> int:
    """Cores that this process may use.

    Examples
    --------
    >>> usable_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Located(Dataset[Any]):
    """A data set that says which sample failed.

    Parameters
    ----------
    dataset : map-style Dataset
        All else is asked of it: ``classes``, ``targets`` and the like.

    Examples
    --------
    >>> Located([1, 2])[2]
    Traceback (most recent call last):
    ...
    easyconv.errors.SampleError: Sample 2 could not be read: IndexError: list index out of range.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        if hasattr(dataset, "__getitems__"):
            self.__getitems__ = self._items

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            raise SampleError(_failure(self.dataset, index, error)) from error

    def _items(self, indices: Sequence[int]) -> Any:
        try:
            return self.dataset.__getitems__(indices)
        except Exception:
            # One by one, to see which of them it was.
            return [self[index] for index in indices]

    def __getattr__(self, name: str) -> Any:
        if name == "dataset" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dataset, name)


def file_of(dataset: Any, index: int) -> str | None:
    """The file that a sample comes from, where the data set keeps a list of its files; a ``Subset`` is looked through.

    Examples
    --------
    >>> class Pictures(list):
    ...     samples = [("cat/1.jpg", 0)]
    >>> file_of(Pictures(), 0)
    'cat/1.jpg'
    """
    if isinstance(dataset, (Subset, Located)):
        inner = dataset.indices[index] if isinstance(dataset, Subset) else index
        return file_of(dataset.dataset, inner)
    for name in ("files", "samples", "imgs", "image_files", "paths"):
        listed = getattr(dataset, name, None)
        if isinstance(listed, (list, tuple)) and -len(listed) <= index < len(listed):
            entry = listed[index][0] if isinstance(listed[index], (list, tuple)) else listed[index]
            return str(entry) if isinstance(entry, (str, os.PathLike)) else None
    return None


def _failure(dataset: Any, index: int, error: Exception) -> str:
    file = file_of(dataset, index)
    where = "" if file is None else f" ({file!r})"
    reason = str(error).strip().rstrip(".") or "no reason given"
    return f"Sample {index}{where} could not be read: {type(error).__name__}: {reason}."
