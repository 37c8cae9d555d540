"""What pictures show: rows of it, names of classes, and kinds of tensors that plain torch forgets."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from easyconv.errors import ArgumentTypeError, LabelError, LengthError
from easyconv.nested import leaves, map_tree

__all__ = ["check_numbering", "checked_names", "look_like_masks", "taken", "titles_of", "wrapping"]


def taken(targets: Any, rows: Any) -> Any:
    """Some rows of targets, or one row where ``rows`` is a number.

    Examples
    --------
    >>> taken(torch.tensor([5, 6, 7]), torch.tensor([2, 0]))
    tensor([7, 5])
    """
    return None if targets is None else map_tree(lambda leaf: leaf[rows], targets)


def checked_names(class_names: Sequence[str] | None, targets: Any) -> tuple[str, ...] | None:
    """Names for all classes.

    Raises
    ------
    ArgumentTypeError
        When they are no list of text.
    LengthError, LabelError
        When a name stands twice, or the targets have more classes than there are names.

    Examples
    --------
    >>> checked_names(["cat", "dog"], torch.tensor([0, 1, 1]))
    ('cat', 'dog')
    """
    if class_names is None:
        return None
    given = None if isinstance(class_names, str) or not isinstance(class_names, Iterable) else tuple(class_names)
    if given is None or not all(isinstance(name, str) for name in given):
        raise ArgumentTypeError(f"class_names must be a list of names, like ['cat', 'dog'], got {class_names!r}.")
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise LabelError(f"class_names must be different from one another, got {twice!r} twice.")
    labels = targets if isinstance(targets, Tensor) and _are_labels(targets) else None
    if labels is not None and len(labels) and int(labels.max()) >= len(given):
        raise LengthError(
            f"class_names has {len(given)} names, and there is a target {int(labels.max())}: classes are numbered from "
            "0 on. Give each class a name."
        )
    return given


def check_numbering(
    class_names: Sequence[str] | None, known: Sequence[str] | None, what: str, beside: str = "train"
) -> None:
    """Refuse classes of the same names and other numbers: each label would be taken for another class.

    Parameters
    ----------
    class_names, known : sequence of str, optional
        Names of the classes of some data, and of the data that it is to be used with; None where nobody knows them.
    what, beside : str
        What these are, for the message.

    Raises
    ------
    LabelError
        When a name that is in both has two numbers.

    Examples
    --------
    >>> check_numbering(("cat", "dog"), ("cat", "dog", "cow"), "test")
    """
    numbers = {name: number for number, name in enumerate(known or ())}
    for number, name in enumerate(class_names or ()):
        if numbers.get(name, number) != number:
            raise LabelError(
                f"{name!r} is class {number} in {what}, and class {numbers[name]} in {beside}: labels of one would be "
                "taken for other classes in the other. Make both from the same folders, with the same class_names: a "
                "folder with train/ and test/ in it, or a folder per class in both, even if some are empty in test/."
            )


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
    if _are_labels(targets):
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


def _are_labels(targets: Tensor) -> bool:
    return targets.dim() == 1 and not targets.is_floating_point()


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
