"""Holding out a part of the data for validation: seeded, and stratified where there are class labels."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from easyconv.arguments import check_number
from easyconv.data.sources.convert import is_number
from easyconv.data.sources.loaders import known_labels
from easyconv.data.sources.make import as_split, holds_batches, holds_samples
from easyconv.errors import DataError, LengthError
from easyconv.seed import kept_random_state

__all__ = ["Parts", "class_codes", "split", "split_indices"]


class Parts(NamedTuple):
    """Data for `make_source`: ``x`` may be a data set, and then the rest is ``None``."""

    x: Any
    y: Any = None
    sample_weight: Any = None


def split(
    x: Any, y: Any = None, sample_weight: Any = None, *, fraction: float, seed: int | None = None
) -> tuple[Parts, Parts]:
    """Split into a part to train on and a part to validate on.

    Labels (integers, bools, text or one-hot rows, of at most half as many classes as samples) are stratified: each
    class gives its share, the remainders going to the classes that are nearest to one more; a class of a single sample
    stays in training. Other targets are split at random. Both parts keep the order of the data. A data set's labels
    are taken from ``targets``, ``labels`` or its tensors; where it has none of them, every sample is read once.

    Parameters
    ----------
    x : array, tree of arrays, or map-style Dataset
        The inputs.
    y : array, optional
        The targets, where ``x`` is data.
    sample_weight : array, optional
        One weight per sample, where ``x`` is data.
    fraction : float
        The share to validate on, between 0 and 1.
    seed : int, optional
        ``None`` draws one from torch's global generator.

    Returns
    -------
    training, validation : Parts
        Of the same types as the data; a data set's parts are ``Subset`` objects.

    Raises
    ------
    DataError
        For a loader or a generator, which cannot be split, and where a part would be empty.
    ArgumentError
        When ``fraction`` is not between 0 and 1.

    Examples
    --------
    >>> training, validation = split(list(range(10)), [0, 1] * 5, fraction=0.2, seed=0)
    >>> sorted(validation.y), len(training.x)
    ([0, 1], 8)
    """
    fraction = check_number("validation_split", fraction, above=0, below=1)
    _refuse(x, y)
    if isinstance(x, Dataset) or (holds_samples(x, y) and not isinstance(x, list)):
        for name, part in (("y", y), ("sample_weight", sample_weight)):
            if part is not None:
                raise DataError(f"{name} must be left out where x is a data set, which yields it itself.")
        rows = _length(x, "x")
        kept, held = split_indices(rows, _labels_of(x, rows), fraction=fraction, seed=seed)
        own = as_split(x)
        if own is not None:
            return Parts(own.subset(kept)), Parts(own.subset(held))
        return Parts(Subset(x, kept.tolist())), Parts(Subset(x, held.tolist()))
    rows = _count(x, "x")
    for name, part in (("y", y), ("sample_weight", sample_weight)):
        if part is not None and _count(part, name) != rows:
            raise LengthError(f"x has {rows} rows and {name} has {_count(part, name)}; they must have as many rows.")
    kept, held = split_indices(rows, class_codes(y), fraction=fraction, seed=seed)
    data = (x, y, sample_weight)
    return Parts(*(_take(part, kept) for part in data)), Parts(*(_take(part, held) for part in data))


def split_indices(
    rows: int,
    classes: Tensor | None = None,
    *,
    fraction: float,
    seed: int | None = None,
    name: str = "validation_split",
) -> tuple[Tensor, Tensor]:
    """Sorted row numbers of the training and of the validation part.

    Parameters
    ----------
    rows : int
        How many there are.
    classes : Tensor, optional
        Numbers 0 to C - 1, shape (rows,), to stratify by.
    fraction : float
        The share of the validation part.
    seed : int, optional
        ``None`` draws one from torch's global generator.
    name : str, default "validation_split"
        What the user calls the fraction.

    Raises
    ------
    DataError
        Where a part would be empty.

    Examples
    --------
    >>> kept, held = split_indices(4, fraction=0.5, seed=0)
    >>> len(kept), len(held)
    (2, 2)
    """
    wanted = round(rows * fraction)
    if not 0 < wanted < rows:
        raise DataError(
            f"{name}={fraction:g} of {rows} samples leaves the {'validation' if wanted == 0 else 'training'} "
            "part empty. Take another fraction, or more data."
        )
    seed = int(torch.randint(1 << 62, ())) if seed is None else seed
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    if classes is None:
        held = order[:wanted]
    else:
        held = _stratified(order, classes, wanted)
        if len(held) == 0:
            raise DataError(
                f"{name}={fraction:g} leaves the validation part empty: each of the "
                f"{int(classes.max()) + 1} classes has a single sample, which stays in training."
            )
    mask = torch.zeros(rows, dtype=torch.bool)
    mask[held] = True
    return (~mask).nonzero().flatten(), mask.nonzero().flatten()


def _stratified(order: Tensor, classes: Tensor, wanted: int) -> Tensor:
    counts = torch.bincount(classes)
    exact = counts.double() * wanted / len(classes)
    # Each class keeps one sample for training.
    most = (counts - 1).clamp(min=0)
    taken = torch.minimum(exact.floor().long(), most)
    rest = (exact - taken).masked_fill(taken >= most, -1.0)
    nearest = torch.sort(rest, descending=True, stable=True).indices[: max(0, wanted - int(taken.sum()))]
    # A class whose share is whole gives no more, also where classes of one sample give less than theirs.
    taken[nearest[rest[nearest] > 0]] += 1
    shuffled = classes[order]
    by_class = torch.sort(shuffled, stable=True).indices
    starts = counts.cumsum(0) - counts
    place = torch.arange(len(order)) - starts[shuffled[by_class]]
    return order[by_class[place < taken[shuffled[by_class]]]]


def _refuse(x: Any, y: Any) -> None:
    if isinstance(x, DataLoader):
        raise DataError(
            "validation_split must be left out where x is a DataLoader, whose batches are made already. Split its data "
            "set, loader.dataset: pass it in place of the loader, or pass validation_data."
        )
    if isinstance(x, IterableDataset) or holds_batches(x, y):
        raise DataError(
            f"validation_split must be left out where x is a {type(x).__name__}, which gives one batch after the "
            "other. Pass arrays or a map-style Dataset, or validation_data."
        )


def _count(value: Any, name: str) -> int:
    if isinstance(value, dict) or (isinstance(value, tuple) and value and not is_number(value[0])):
        counts = [(leaf_name, _length(leaf, leaf_name)) for leaf_name, leaf in _parts_of(value, name)]
        for leaf_name, count in counts[1:]:
            if count != counts[0][1]:
                raise LengthError(
                    f"{counts[0][0]} has {counts[0][1]} rows and {leaf_name} has {count}; they must have as many rows."
                )
        return counts[0][1]
    return _length(value, name)


def _parts_of(value: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [part for key, item in value.items() for part in _parts_of(item, f"{name}[{key!r}]")]
    if isinstance(value, tuple):
        return [part for index, item in enumerate(value) for part in _parts_of(item, f"{name}[{index}]")]
    return [(name, value)]


def _length(value: Any, name: str) -> int:
    try:
        return len(value)
    except TypeError:
        raise DataError(
            f"{name} must have one row per sample to be split, got {type(value).__name__} without a length."
        ) from None


def _take(value: Any, index: Tensor) -> Any:
    if value is None:
        return None
    if isinstance(value, Tensor):
        return value.detach()[index.to(value.device)]
    if isinstance(value, dict):
        return {key: _take(part, index) for key, part in value.items()}
    if isinstance(value, tuple) and value and not is_number(value[0]):
        return tuple(_take(part, index) for part in value)
    if hasattr(value, "iloc"):
        return value.iloc[index.numpy()]
    if isinstance(value, np.ndarray):
        return value[index.numpy()]
    return [value[row] for row in index.tolist()]


def _labels_of(dataset: Any, rows: int) -> Tensor | None:
    if isinstance(dataset, TensorDataset):
        return class_codes(dataset.tensors[1]) if len(dataset.tensors) > 1 else None
    labels = known_labels(dataset)
    if labels is not None:
        return class_codes(labels)
    # Augmentations may draw while samples are read; the training must not see that.
    with kept_random_state():
        found = [_label_of(dataset[row]) for row in range(rows)]
    return None if any(label is None for label in found) else class_codes(found)


def _label_of(sample: Any) -> Any:
    label = sample[1] if isinstance(sample, (tuple, list)) and len(sample) > 1 else None
    if isinstance(sample, dict):
        label = next((sample[key] for key in ("y", "label", "labels", "targets") if key in sample), None)
    if isinstance(label, Tensor):
        label = label.item() if label.numel() == 1 else label.tolist()
    if isinstance(label, np.ndarray):
        label = label.tolist()
    return label


def class_codes(y: Any) -> Tensor | None:
    """Numbers of the classes, or ``None`` where ``y`` has no class labels to stratify by."""
    array = _label_array(y)
    if array is None or array.size == 0:
        return None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "biuf" and _one_hot(array):
        array = array.argmax(axis=1)
    if array.ndim != 1 or array.dtype.kind not in "biufUS" or (array.dtype.kind == "f" and not _whole(array)):
        return None
    names, codes = np.unique(array, return_inverse=True)
    return torch.from_numpy(codes.astype(np.int64)) if 2 * len(names) <= len(codes) else None


def _label_array(y: Any) -> Any:
    if y is None or isinstance(y, dict) or (isinstance(y, tuple) and y and not is_number(y[0])):
        return None
    if isinstance(y, Tensor):
        return y.detach().cpu().float().numpy() if y.dtype == torch.bfloat16 else y.detach().cpu().numpy()
    try:
        array = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    except ValueError:
        return None
    if array.dtype == object and all(isinstance(value, str) for value in array.flat):
        return array.astype(str)
    return array


def _one_hot(array: Any) -> bool:
    return bool(((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all())


def _whole(array: Any) -> bool:
    return bool(np.isfinite(array).all() and (array == np.round(array)).all())
