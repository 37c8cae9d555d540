"""Targets: made right for the loss and the net's output, or refused with what to do."""

import math
from typing import Any

import torch
from torch import Tensor

from easyconv.data.sources.convert import is_number, to_tensor
from easyconv.data.sources.rules import TargetRule
from easyconv.data.sources.values import bounds, check_finite, describe, first_row
from easyconv.errors import DataError, DataTypeError, LabelError
from easyconv.nested import map_named, map_rules

__all__ = ["fit_targets", "to_targets"]

# Rows of probabilities in float16 add up to 1 within this.
_SUM_TOLERANCE = 1e-3
# Torch's losses take labels of 64 bits.
_NARROW = (torch.int8, torch.int16, torch.int32)
# Labels beyond this are hardly the numbers of classes.
_MOST_CLASSES = 100_000


def to_targets(y: Any, name: str = "y") -> Any:
    """Tensors of what a user passes as targets; tuples and dicts keep their form, a list holds rows.

    None in a tuple or dict stays: an output without a loss needs no target.

    Raises
    ------
    DataTypeError, DataError, EmptyDataError
        As `easyconv.data.sources.convert.to_tensor` does; text gets the line that makes numbers of it.

    Examples
    --------
    >>> to_targets([0, 2, 1])
    tensor([0, 2, 1])
    """
    if isinstance(y, tuple) and y and (is_number(y[0]) or isinstance(y[0], str)):
        y = list(y)
    if y is None:
        return to_tensor(y, name)
    return map_named(lambda leaf, leaf_name: None if leaf is None else to_tensor(leaf, leaf_name), y, name)


def fit_targets(
    y: Any,
    rule: Any = TargetRule(),  # noqa: B008
    *,
    name: str = "y",
    values: bool = True,
    input_size: tuple[int, ...] | None = None,
) -> Any:
    """Targets of the type and shape that the loss takes.

    Parameters
    ----------
    y : tensor, or nested tuple or dict of tensors
        From `to_targets`.
    rule : TargetRule, or nested tuple or dict of them
        A single rule serves all targets.
    name : str, default "y"
        For messages.
    values : bool, default True
        Whether values are looked at where that is not needed for the conversion.
    input_size : tuple of int, optional
        Height and width of the images that they belong to; maps may have another size than the rule's if these have.

    Returns
    -------
    tensor or tree
        ``"classes"``: int64 of shape (N,) (or (N, H, W)), or probabilities of shape (N, C). ``"binary"`` and
        ``"values"``: floats of the output's shape. ``"any"``: narrow integers become int64. Floats get the rule's type.

    Raises
    ------
    LabelError
        For labels out of range, with fractions, or of another number of classes than the net's.
    DataError
        For other shapes than the output's.
    NonFiniteDataError
        For NaN and infinity.

    Examples
    --------
    >>> fit_targets(torch.tensor([[0], [2]]), TargetRule("classes", (3,)))
    tensor([0, 2])
    """
    if isinstance(rule, TargetRule) and rule.output_shape is not None and not isinstance(y, Tensor):
        raise DataError(_bad_tree(y, rule, name))
    if isinstance(y, Tensor) and isinstance(rule, (tuple, dict)):
        raise DataError(
            f"{name} must be {_wanted_tree(rule)}, since the net gives {len(rule)} output{'s' * (len(rule) != 1)}, got "
            f"one array of shape {tuple(y.shape)}. Pass one array for each, or let forward return one tensor."
        )

    def fit(leaf: Tensor | None, leaf_rule: TargetRule, leaf_name: str) -> Tensor | None:
        leaf_rule = leaf_rule if leaf is None else leaf_rule.for_images(input_size, leaf)
        return _fit_leaf(leaf, leaf_rule, leaf_name, values)

    return map_rules(fit, rule, y, name)


def _fit_leaf(y: Tensor | None, rule: TargetRule, name: str, values: bool) -> Tensor | None:
    if y is not None:
        return _fit(y, rule, name, values)
    if rule.kind == "any":
        return None
    raise DataTypeError(
        f"{name} must be an array, a tensor or a list of numbers, got None, and its output has a loss ({rule.loss}). "
        "Pass the targets, or None as the loss of that output."
    )


def _wanted_tree(rule: Any) -> str:
    if isinstance(rule, dict):
        return f"a dict with the keys {', '.join(map(repr, rule))}"
    return f"a tuple of {len(rule)} array{'s' * (len(rule) != 1)}"


def _bad_tree(y: Any, rule: TargetRule, name: str) -> str:
    if isinstance(y, dict):
        got, hint = f"a dict with the keys {', '.join(map(repr, y))}", f"{name}[{next(iter(y), '...')!r}]"
    else:
        got, hint = f"a {type(y).__name__} of {len(y)} arrays", f"{name}[0]"
    return (
        f"{name} must be one array, since the net gives one output of shape {_shown(rule.output_shape)}, got {got}. "
        f"Pass {hint}, or let the net give several outputs."
    )


def _fit(y: Tensor, rule: TargetRule, name: str, values: bool) -> Tensor:
    if rule.kind == "classes":
        return _classes(y, rule, name, values)
    if rule.kind == "any" and not y.is_floating_point():
        return y.to(torch.int64) if y.dtype in _NARROW else y
    y = y.to(rule.dtype)
    if values:
        check_finite(y, name)
    if rule.kind == "any":
        return y
    y = _align(y, rule, name)
    if rule.kind == "binary" and values:
        _check_binary(y, rule, name)
    return y


def _align(y: Tensor, rule: TargetRule, name: str) -> Tensor:
    if rule.output_shape is None:
        return y
    wanted = (y.shape[0], *rule.output_shape)
    if tuple(y.shape) == wanted:
        return y
    if _without_ones(tuple(y.shape[1:])) == _without_ones(rule.output_shape):
        return y.reshape(wanted)
    raise DataError(
        f"{name} must have the shape of the net's output for {rule.loss}, {_shown(rule.output_shape)}, got "
        f"{tuple(y.shape)}. {_align_hint(y, rule)}"
    )


def _align_hint(y: Tensor, rule: TargetRule) -> str:
    output = rule.output_shape or ()
    if rule.kind == "binary" and y.dim() == 2 and y.shape[1] == 2 and math.prod(output) == 1 and _is_one_hot(y):
        return 'These are one-hot rows of two classes: pass the second column, y[:, 1], or take loss="cross_entropy".'
    if y.dim() == 1 and rule.kind == "binary":
        return (
            f"For one yes-or-no label per sample end the net with one output; for {output[0]} classes use "
            'loss="cross_entropy".'
        )
    if y.dim() == 1 and len(output) == 1:
        classes = "" if y.is_floating_point() else ' For class labels use loss="cross_entropy".'
        return f"For one number per sample end the net with one output.{classes}"
    return f"Let the net end with {math.prod(y.shape[1:])} outputs per sample of that shape, or reshape the targets."


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _check_binary(y: Tensor, rule: TargetRule, name: str) -> None:
    low, high = bounds(y)
    if low >= 0 and high <= 1:
        return
    bad = (y < 0) | (y > 1)
    hint = ""
    if low == -1 and high == 1:
        hint = f" Labels of -1 and 1 become 0 and 1 with ({name} + 1) / 2."
    elif low == 1 and high == 2:
        hint = " Labels start at 0: subtract 1."
    elif high > 1 and low >= 0:
        hint = ' For more than two classes use loss="cross_entropy" and one output per class.'
    raise LabelError(
        f"{name} must be between 0 and 1 for {rule.loss}, got {y[bad][0].item():g} in row {first_row(bad)} (values "
        f"from {low:g} to {high:g}).{hint}"
    )


def _classes(y: Tensor, rule: TargetRule, name: str, values: bool) -> Tensor:
    output = rule.output_shape
    _check_class_output(rule, name)
    if output is None:
        if y.dim() == 2 and y.shape[1] > 1 and _is_one_hot(y):
            return _from_one_hot(y)
        y = y.squeeze(1) if y.dim() == 2 and y.shape[1] == 1 else y
        return _indices(y, rule, name, values)
    spatial, got = output[1:], tuple(y.shape[1:])
    if got == spatial or (got == (1, *spatial)):
        return _indices(y.reshape(y.shape[0], *spatial), rule, name, values)
    if got == output:
        return _class_rows(y, rule, name)
    if y.dim() == 2 and spatial == () and _is_one_hot(y):
        raise LabelError(
            f"{name} is one-hot with {y.shape[1]} columns, but the net's output has {output[0]} classes. Let the net "
            f"end with {y.shape[1]} outputs, or pass class indices: {name}.argmax(1)."
        )
    raise LabelError(_bad_class_shape(y, rule, name))


def _check_class_output(rule: TargetRule, name: str) -> None:
    output = rule.output_shape
    if output is None or (output and output[0] > 1):
        return
    raise LabelError(
        f"{name} holds class labels for {rule.loss}, which needs one output per class, but the net's output is "
        f'{_shown(output)}: one number per sample. For two classes use loss="bce" with this output; otherwise end the '
        "net with as many outputs as there are classes."
    )


def _bad_class_shape(y: Tensor, rule: TargetRule, name: str) -> str:
    output = rule.output_shape or ()
    text = (
        f"{name} must be class labels of shape {_shown(output[1:])} for the net's output {_shown(output)} and "
        f"{rule.loss}, got {describe(y)}."
    )
    if len(output) > 1 and (y.dim() == 1 or tuple(y.shape[1:]) in ((1,), output[:1])):
        return f"{text} For one label per sample a Flatten or GlobalAvgPool before the last Dense layer is missing."
    if len(output) == 1 and y.dim() == 2:
        return f'{text} For several labels per sample use loss="bce".'
    if len(output) == 1:
        return f"{text} For a label per pixel the net must keep its spatial axes: no Flatten or pooling to one."
    return f"{text} Resize the labels to the output, or let the net give outputs of the labels' size."


def _is_one_hot(y: Tensor) -> bool:
    low, high = bounds(y) if y.dtype != torch.bool else (0, 1)
    if low != 0 or high != 1:
        return False
    if y.is_floating_point() and not bool(((y == 0) | (y == 1)).all()):
        return False
    return bool((y.sum(dim=1) == 1).all())


def _from_one_hot(y: Tensor) -> Tensor:
    return (y.to(torch.uint8) if y.dtype == torch.bool else y).argmax(dim=1)


def _class_rows(y: Tensor, rule: TargetRule, name: str) -> Tensor:
    """Labels with an axis of classes: exact one-hot, or probabilities."""
    if y.is_floating_point():
        check_finite(y, name)
    if _is_one_hot(y):
        return _from_one_hot(y)
    if not y.is_floating_point():
        counts = y.sum(dim=1)
        row = first_row(counts != 1) if bool((counts != 1).any()) else 0
        raise LabelError(
            f"{name} must be one-hot (a single 1 per sample) or class indices for {rule.loss}, got {describe(y)} that "
            f'is neither, first in row {row}. For several labels per sample use loss="bce".'
        )
    y = y.to(rule.dtype)
    bad = (y < 0).any(dim=1) | ((y.sum(dim=1) - 1).abs() > _SUM_TOLERANCE)
    if bool(bad.any()):
        row = first_row(bad)
        raise LabelError(
            f"{name} has one number per class, which must be probabilities for {rule.loss}: at least 0 with the sum 1. "
            f"Row {row} has the sum {y[row].sum().item() / max(1, y[row, 0].numel()):g} and the least value "
            f'{y[row].min().item():g}. For several labels per sample use loss="bce".'
        )
    return y


def _indices(y: Tensor, rule: TargetRule, name: str, values: bool) -> Tensor:
    if y.is_floating_point():
        check_finite(y, name)
        bad = y != y.round()
        if bool(bad.any()):
            raise LabelError(
                f"{name} must be whole numbers for {rule.loss}, got {y[bad][0].item():g} in row {first_row(bad)}. "
                'For numbers to predict use loss="mse".'
            )
    y = y.to(torch.int64)
    if values:
        _check_range(y, rule, name)
    return y


def _check_range(y: Tensor, rule: TargetRule, name: str) -> None:
    classes = rule.output_shape[0] if rule.output_shape else 1 << 62
    low, high = bounds(y)
    if low >= 0 and high < classes:
        return
    bad = (y < 0) | (y >= classes)
    if rule.ignore_index is not None:
        bad &= y != rule.ignore_index
        if not bool(bad.any()):
            return
    row = first_row(bad)
    value = int(y[bad][0])
    limit = f"from 0 to {classes - 1} (the net has {classes} outputs)" if rule.output_shape else "from 0 on"
    hint = _range_hint(value, int(low), int(high), classes, rule)
    raise LabelError(f"{name} must hold labels {limit} for {rule.loss}, got {value} in row {row}.{hint}")


def _range_hint(value: int, low: int, high: int, classes: int, rule: TargetRule) -> str:
    if rule.output_shape and low >= 1 and high == classes:
        return " These labels start at 1: subtract 1."
    if value == -100:
        return (
            " torch would skip such rows in silence: remove them, or say that they are meant to be skipped by another "
            "number, which is not torch's default: y[y == -100] = -1 and CrossEntropyLoss(ignore_index=-1)."
        )
    if value < 0:
        return " Remove those rows, or name the label to skip: CrossEntropyLoss(ignore_index=...)."
    if not rule.output_shape:
        return ""
    if value == 255:
        return " Where 255 marks what does not count, name it: CrossEntropyLoss(ignore_index=255)."
    if high >= _MOST_CLASSES:
        return ' Are these numbers of rows, or values to predict? For values use loss="mse".'
    return f" End the net with {high + 1} outputs, or correct the labels."


def _shown(shape: tuple[int, ...] | None) -> str:
    return f"({', '.join(['N', *map(str, shape or ())])}{',' if not shape else ''})"
