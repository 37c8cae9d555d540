"""Weights of classes, as a table, and the weight of each sample, looked up in it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from easyconv.arguments import check_integer, check_number
from easyconv.errors import ArgumentError, ArgumentTypeError, LabelError

__all__ = ["class_weights", "weights_for"]


def class_weights(class_weight: Any, num_classes: int, *, targets: Tensor | None = None) -> Tensor:
    """The weight of every class, as a tensor of shape (C,).

    Parameters
    ----------
    class_weight : dict of int to float, sequence of float, or "balanced"
        A dict may leave classes out: their weight is 1. A list, array or tensor has one weight per class.
        ``"balanced"`` gives n / (C · count), where C counts the classes that occur; a class that does not occur gets 1.
    num_classes : int
        Number of classes, C.
    targets : Tensor, optional
        All labels, as `weights_for` takes them; for ``"balanced"``.

    Returns
    -------
    Tensor of shape (C,), float32

    Raises
    ------
    ArgumentError
        For a class that does not exist, a weight that is negative or not finite, a wrong number of weights, and for
        ``"balanced"`` without labels.
    ArgumentTypeError
        For anything else.

    Notes
    -----
    ``"balanced"`` is scikit-learn's formula; King and Zeng, "Logistic Regression in Rare Events Data" (2001).

    Examples
    --------
    >>> class_weights({1: 3.0}, 2)
    tensor([1., 3.])
    >>> class_weights("balanced", 2, targets=torch.tensor([0, 0, 0, 1]))
    tensor([0.6667, 2.0000])
    """
    num_classes = check_integer("num_classes", num_classes, minimum=1)
    if isinstance(class_weight, str):
        return _balanced(class_weight, num_classes, targets)
    if isinstance(class_weight, Mapping):
        return _from_dict(class_weight, num_classes)
    if not hasattr(class_weight, "__len__") or isinstance(class_weight, (bytes, set, frozenset)):
        raise ArgumentTypeError(
            "class_weight must be a dict {class: weight}, a list of one weight per class, or 'balanced', "
            f"got {class_weight!r} ({type(class_weight).__name__})."
        )
    values = class_weight.tolist() if hasattr(class_weight, "tolist") else list(class_weight)
    if len(values) != num_classes:
        raise ArgumentError(
            f"class_weight has {len(values)} weights, but there are {num_classes} classes. Give one weight per class, "
            "or a dict {class: weight} of some."
        )
    return _usable([_weight(index, value) for index, value in enumerate(values)])


def weights_for(targets: Tensor, table: Tensor) -> Tensor:
    """The weight of each sample: its class looked up in ``table``.

    Parameters
    ----------
    targets : Tensor
        Class numbers of shape (N,) or (N, 1), of any dtype, or one-hot rows (N, C), of which the largest counts.
    table : Tensor of shape (C,)
        From `class_weights`, on the device of ``targets``.

    Returns
    -------
    Tensor of shape (N,)

    Raises
    ------
    LabelError
        For targets of any other shape: weights of classes need one label per row.

    Examples
    --------
    >>> weights_for(torch.tensor([0, 1, 1]), torch.tensor([1.0, 3.0]))
    tensor([1., 3., 3.])
    """
    numbers = _class_numbers(targets, table.shape[0])
    # Labels out of range are those that the loss ignores, whatever their weight.
    known = (numbers >= 0) & (numbers < table.shape[0])
    return table[torch.where(known, numbers, 0)]


def _class_numbers(targets: Tensor, num_classes: int) -> Tensor:
    if targets.ndim == 1 or (targets.ndim == 2 and targets.shape[1] == 1):
        return targets.reshape(-1).long()
    if targets.ndim == 2 and targets.shape[1] == num_classes:
        return targets.argmax(dim=1)
    raise LabelError(
        f"class_weight needs one label per row, of shape (N,), (N, 1) or one-hot (N, {num_classes}), "
        f"got {tuple(targets.shape)}. For labels per pixel give the weights to the loss: "
        "torch.nn.CrossEntropyLoss(weight=...)."
    )


def _balanced(word: str, num_classes: int, targets: Tensor | None) -> Tensor:
    if word != "balanced":
        raise ArgumentError(
            f"class_weight must be a dict, a list or 'balanced', got {word!r}. A dict maps numbers of classes to "
            "weights, a list has one weight per class."
        )
    if targets is None:
        raise ArgumentError(
            "class_weight='balanced' needs all labels, which this data does not tell. Pass arrays, a data set that "
            "keeps its labels in .targets, or one weight per class."
        )
    numbers = _class_numbers(targets, num_classes).cpu()
    # Labels below 0 are those that the loss ignores.
    counts = torch.bincount(numbers[numbers >= 0], minlength=num_classes)
    if counts.numel() != num_classes:
        raise LabelError(
            f"class_weight='balanced': the labels go up to {counts.numel() - 1}, but there are {num_classes} classes. "
            f"End the net with {counts.numel()} outputs, or correct the labels."
        )
    present = counts > 0
    weights = counts.sum().double() / (present.sum() * counts.double().clamp(min=1))
    return torch.where(present, weights, 1.0).float()


def _from_dict(class_weight: Mapping[Any, Any], num_classes: int) -> Tensor:
    table = [1.0] * num_classes
    for key, value in class_weight.items():
        if isinstance(key, str):
            raise ArgumentTypeError(
                f"A key of class_weight must be an integer, the number of a class from 0 to {num_classes - 1}, "
                f"got {key!r}."
            )
        index = check_integer("A key of class_weight", key, minimum=0)
        if index >= num_classes:
            raise ArgumentError(
                f"class_weight has the class {index}, but there are {num_classes} classes, 0 to {num_classes - 1}. "
                "Labels start at 0."
            )
        table[index] = _weight(index, value)
    return _usable(table)


def _weight(index: int, value: Any) -> float:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    return check_number(f"class_weight[{index}]", value, minimum=0)


def _usable(table: list[float]) -> Tensor:
    if not any(table):
        raise ArgumentError(
            f"class_weight is 0 for all {len(table)} classes, so that no sample counts. Give some a weight above 0."
        )
    return torch.tensor(table, dtype=torch.float32)
