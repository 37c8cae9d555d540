"""One batch, and how to read what a loader yields as one."""

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from easyconv.data.sources.convert import is_number, is_picture, to_tensor
from easyconv.data.sources.values import describe
from easyconv.errors import DataError
from easyconv.nested import rows_of

__all__ = ["Batch", "batch_size_of", "unpack"]

_KEYS = (("x", "y"), ("inputs", "targets"), ("image", "label"), ("image", "labels"), ("pixel_values", "labels"))
_WEIGHT = "sample_weight"


class Batch(NamedTuple):
    """Inputs, targets and weights of a few samples.

    Parameters
    ----------
    x : tensor, or nested tuple or dict of tensors
        The net's inputs, samples along the first axis.
    y : tensor, or nested tuple or dict of tensors, optional
        What the outputs are compared with.
    sample_weight : Tensor, optional
        Shape (N,).

    Examples
    --------
    >>> import torch
    >>> batch_size_of(Batch(torch.zeros(8, 1, 28, 28)))
    8
    """

    x: Any
    y: Any = None
    sample_weight: Tensor | None = None


def batch_size_of(batch_or_x: Any) -> int:
    """The number of samples.

    Raises
    ------
    LengthError
        When the inputs have different lengths.

    Examples
    --------
    >>> import torch
    >>> batch_size_of((torch.zeros(4, 2), torch.zeros(4)))
    4
    """
    return rows_of(batch_or_x.x if isinstance(batch_or_x, Batch) else batch_or_x)


def unpack(item: Any, *, labelled: bool | None = None) -> Batch:
    """Read what a loader yields: ``x``, ``(x, y)``, ``(x, y, sample_weight)`` or a dict.

    A list of tensors inside the item is taken for several inputs, since torch's loaders make lists of tuples. A third
    part counts as weights only if it is floating, at least 0 and of shape (N,) or (N, 1).

    Parameters
    ----------
    item : object
        A dict has the keys ``x``, ``y`` and ``sample_weight``; or ``inputs`` and ``targets``; ``image`` and ``label``
        or ``labels``; ``pixel_values`` and ``labels``. A dict of other keys is a net's several inputs.
    labelled : bool, optional
        ``True`` wants targets, ``False`` drops them, ``None`` takes what there is.

    Raises
    ------
    DataError
        For more than three parts, a third part that is no weight, a dict that cannot be read, or missing targets.

    Examples
    --------
    >>> import torch
    >>> unpack([torch.zeros(2, 3), torch.ones(2)], labelled=False).y is None
    True
    """
    batch = _from_dict(item, labelled) if isinstance(item, dict) else _from_parts(item)
    if labelled is False:
        return Batch(batch.x)
    if labelled and batch.y is None:
        raise DataError(f"A batch must be (x, y): there are no targets in {_outline(item)}.")
    return batch


def _from_parts(item: Any) -> Batch:
    if isinstance(item, Batch):
        return item
    if not isinstance(item, (tuple, list)) or (isinstance(item, list) and _is_rows(item)):
        return Batch(item)
    if len(item) not in (1, 2, 3):
        raise DataError(_bad_parts(item, f"got {len(item)} parts"))
    x, y, weight = (*item, None, None)[:3]
    if len(item) == 3 and weight is not None:
        weight = _weight(weight, item)
    return Batch(_tree(x), _tree(y), weight)


def _is_rows(item: list[Any]) -> bool:
    return not item or all(is_number(part) or is_picture(part) for part in item)


def _tree(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tree(part) for key, part in value.items()}
    if isinstance(value, list) and value and all(isinstance(part, (Tensor, dict, tuple)) for part in value):
        return tuple(_tree(part) for part in value)
    if isinstance(value, list) and value and isinstance(value[0], list) and isinstance(value[0][0], Tensor):
        return tuple(_tree(part) for part in value)
    return value


def _weight(value: Any, item: Any) -> Tensor:
    if not isinstance(value, (Tensor, np.ndarray, list)):
        raise DataError(_bad_parts(item, f"got a third part {describe(value)}"))
    weight = to_tensor(value, _WEIGHT)
    if not weight.is_floating_point() or weight.dim() > 2 or weight.shape[1:].numel() != 1:
        raise DataError(_bad_parts(item, f"got a third part {describe(weight)}"))
    if weight.device.type == "cpu" and bool((weight < 0).any()):
        raise DataError(_bad_parts(item, f"got a third part with the negative value {weight.min().item():g}"))
    return weight


def _bad_parts(item: Any, got: str) -> str:
    return (
        f"A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on of shape (N,), {got} in "
        f"{_outline(item)}. For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'."
    )


def _from_dict(item: dict[Any, Any], labelled: bool | None) -> Batch:
    for x_key, y_key in _KEYS:
        if x_key in item and (y_key in item or x_key == "x" or set(item) == {x_key}):
            extra = [key for key in item if key not in (x_key, y_key, _WEIGHT)]
            if not extra:
                weight = item.get(_WEIGHT)
                weight = None if weight is None else _weight(weight, item)
                return Batch(_tree(item[x_key]), _tree(item.get(y_key)), weight)
            if y_key in item:
                raise DataError(_bad_keys(item, f"nobody reads {', '.join(map(repr, extra))}"))
    if labelled:
        raise DataError(_bad_keys(item, "it is not clear which are the targets"))
    return Batch(_tree(item))


def _bad_keys(item: dict[Any, Any], why: str) -> str:
    keys = ", ".join(map(repr, item))
    return (
        f"A dict batch must have the keys 'x' and 'y' (and 'sample_weight'), got {keys}: {why}. Yield "
        "{'x': ..., 'y': ...}; several inputs go into one dict under 'x'."
    )


def _outline(item: Any) -> str:
    if isinstance(item, (tuple, list)):
        shown = ", ".join(_outline(part) for part in item[:5])
        return f"({shown}{', ...' if len(item) > 5 else ''})"
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key!r}: {_outline(part)}" for key, part in item.items()) + "}"
    if isinstance(item, (Tensor, np.ndarray)):
        return f"{str(item.dtype).removeprefix('torch.')}{list(item.shape)}"
    return describe(item)
