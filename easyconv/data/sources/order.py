"""Warnings of labels that spoil training in silence: sorted by class, or all of one class."""

from typing import Any

import torch
from torch import Tensor

from easyconv.data.sources.rules import TargetRule
from easyconv.notices import warn_user

__all__ = ["is_grouped", "warn_of_order"]

# Labels that change more often than this are not sorted, whatever the number of classes.
_MOST_CHANGES = 10_000


def is_grouped(labels: Tensor) -> bool:
    """Whether each of two or more classes stands in one block.

    Examples
    --------
    >>> is_grouped(torch.tensor([1, 1, 0, 0])), is_grouped(torch.tensor([0, 1, 0, 1]))
    (True, False)
    """
    changes = int((labels[1:] != labels[:-1]).sum())
    return 0 < changes < _MOST_CHANGES and len(torch.unique(labels)) == changes + 1


def warn_of_order(y: Any, rule: Any, *, batch_size: int | None, shuffled: bool) -> None:
    """Warn once where training labels come class by class, or are all alike.

    Parameters
    ----------
    y : object
        Fitted targets; only one label per sample is looked at.
    rule : TargetRule or tree
        Only ``"classes"`` and ``"binary"`` have labels.
    batch_size : int, optional
        Data that makes a single batch has no order.
    shuffled : bool
        Whether the passes are shuffled.

    Examples
    --------
    >>> warn_of_order(torch.tensor([0, 1, 0, 1]), TargetRule("classes"), batch_size=2, shuffled=False)
    """
    if not isinstance(rule, TargetRule) or rule.kind not in ("classes", "binary") or not isinstance(y, Tensor):
        return
    if len(y) < 2 or y[0].numel() != 1:
        return
    labels = y.reshape(-1)
    if bool((labels == labels[0]).all()):
        warn_user(
            f"All {len(labels)} training labels are {labels[0].item():g}: there is nothing to learn from one class."
        )
    elif not shuffled and len(labels) > (batch_size or 1) and is_grouped(labels):
        warn_user(
            "The training labels are sorted by class and the data is not shuffled: most batches hold one class, from "
            "which a net learns badly. Pass shuffle=True (to the DataLoader, where there is one)."
        )
