"""A ``DataLoader`` over tensors in memory, its batches gathered at once in place of row by row."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, default_collate

__all__ = ["gather_batches", "is_gatherable"]


def is_gatherable(loader: Any) -> bool:
    """Whether nobody could tell whole batches that are gathered from those that the loader makes of single rows.

    Examples
    --------
    >>> is_gatherable(DataLoader(TensorDataset(torch.zeros(4, 2)), batch_size=2))
    True
    >>> is_gatherable(DataLoader(TensorDataset(torch.zeros(4, 2)), batch_size=2, collate_fn=list))
    False
    """
    return (
        type(loader) is DataLoader
        and type(loader.dataset) is TensorDataset
        and loader.collate_fn is default_collate
        and loader.batch_sampler is not None
        and loader.num_workers == 0
        and not loader.pin_memory
        and all(type(tensor) is Tensor and not tensor.requires_grad for tensor in loader.dataset.tensors)
    )


def gather_batches(loader: "DataLoader[Any]", order: Iterator[list[Any]] | None = None) -> Iterator[list[Tensor]]:
    """One pass over a loader that `is_gatherable`: the very batches that it would give, and the same random draws.

    Parameters
    ----------
    loader : DataLoader
        Over tensors.
    order : iterator of list, optional
        Numbers of the rows of each batch; those of the loader's batch sampler by default.

    Examples
    --------
    >>> loader = DataLoader(TensorDataset(torch.arange(3)), batch_size=2)
    >>> list(gather_batches(loader))
    [[tensor([0, 1])], [tensor([2])]]
    """
    if order is None:
        iter(loader)  # draws a seed for workers even where there are none
        order = iter(loader.batch_sampler or ())
    return _gathered(loader.dataset, order)


def _gathered(dataset: Any, order: Iterator[list[Any]]) -> Iterator[list[Tensor]]:
    for rows in order:
        try:
            index = torch.tensor(rows)
            batch = [tensor.index_select(0, index) for tensor in dataset.tensors]
        except (IndexError, RuntimeError, TypeError, ValueError):
            # A sampler may count from the end, or be wrong; the data set itself answers that.
            batch = default_collate([dataset[row] for row in rows])
        yield batch
