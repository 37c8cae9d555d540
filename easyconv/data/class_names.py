"""Names of classes: a list of them, and the same number for the same name wherever data meets."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from easyconv.errors import ArgumentTypeError, LabelError, LengthError

__all__ = ["are_labels", "check_numbering", "checked_names"]


def are_labels(targets: Tensor) -> bool:
    """Whether they are one whole number for each sample.

    Examples
    --------
    >>> import torch
    >>> are_labels(torch.tensor([2, 0])), are_labels(torch.zeros(2, 3))
    (True, False)
    """
    return targets.dim() == 1 and not targets.is_floating_point()


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
    >>> import torch
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
    labels = targets if isinstance(targets, Tensor) and are_labels(targets) else None
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
