"""What pictures show: rows of it, names of classes, and kinds of tensors that plain torch forgets."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from easyconv.data.class_names import are_labels
from easyconv.nested import leaves, map_tree

__all__ = ["look_like_masks", "taken", "titles_of", "wrapping"]


def taken(targets: Any, rows: Any) -> Any:
    """Some rows of targets, or one row where ``rows`` is a number.

    Examples
    --------
    >>> taken(torch.tensor([5, 6, 7]), torch.tensor([2, 0]))
    tensor([7, 5])
    """
    return None if targets is None else map_tree(lambda leaf: leaf[rows], targets)


def look_like_masks(targets: Any, size: tuple[int, int]) -> bool:
    """Whether plain tensors have a value for each pixel of images of a size.

    Examples
    --------
    >>> look_like_masks(torch.zeros(3, 8, 9), (8, 9)), look_like_masks(torch.zeros(3, 8), (8, 9))
    (True, False)
    """
    return any(type(leaf) is Tensor and leaf.dim() > 2 and leaf.shape[-2:] == size for _, leaf in leaves(targets))


def titles_of(targets: Any, class_names: Sequence[str] | None) -> list[str] | None:
    """A line for each picture: the name of its class, or its classes where labels are mixed; None where there is none.

    Examples
    --------
    >>> titles_of(torch.tensor([[0.25, 0.75, 0.0]]), ("cat", "dog", "cow"))
    ['75% dog, 25% cat']
    """
    if not isinstance(targets, Tensor):
        return None
    if are_labels(targets):
        return [_named(int(label), class_names) for label in targets]
    if targets.dim() == 2 and class_names is not None and targets.shape[1] == len(class_names):
        return [_mixed(row, class_names) for row in targets]
    return None


def wrapping(targets: Any) -> Callable[[Any], Any] | None:
    """What makes masks and boxes of torchvision again of tensors that were cut from them.

    Examples
    --------
    >>> wrapping(torch.tensor([0, 1])) is None
    True
    """
    kinds = _kinds(targets)
    return None if kinds is None else partial(_wrapped, kinds)


def _named(label: int, class_names: Sequence[str] | None) -> str:
    return str(label) if class_names is None or not 0 <= label < len(class_names) else class_names[label]


def _mixed(row: Tensor, class_names: Sequence[str]) -> str:
    shares = sorted(
        ((share, name) for share, name in zip(row.tolist(), class_names, strict=True) if share), reverse=True
    )
    return shares[0][1] if len(shares) == 1 else ", ".join(f"{share:.0%} {name}" for share, name in shares[:2])


def _kinds(targets: Any) -> Any:
    """For each leaf that is a tensor of torchvision's an empty one like it; None where there is no such leaf."""
    # Who has such a tensor has imported torchvision; nobody else shall.
    module = sys.modules.get("torchvision.tv_tensors")
    if module is None:
        return None
    if isinstance(targets, module.TVTensor):
        return targets
    if isinstance(targets, Mapping):
        kinds = {key: _kinds(part) for key, part in targets.items()}
        return kinds if any(kind is not None for kind in kinds.values()) else None
    if isinstance(targets, (tuple, list)):
        parts = tuple(_kinds(part) for part in targets)
        return parts if any(kind is not None for kind in parts) else None
    return None


def _wrapped(kinds: Any, targets: Any) -> Any:
    if kinds is None or targets is None:
        return targets
    if isinstance(kinds, dict):
        return {key: _wrapped(kinds[key], part) for key, part in targets.items()}
    if isinstance(kinds, tuple):
        return tuple(_wrapped(kind, part) for kind, part in zip(kinds, targets, strict=True))
    from torchvision import tv_tensors

    return tv_tensors.wrap(torch.Tensor.as_subclass(targets, Tensor), like=kinds)
