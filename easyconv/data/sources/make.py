"""One source of batches from whatever a user passes."""

import inspect
from typing import Any

from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from easyconv.arguments import check_flag, check_integer
from easyconv.data.sources.arrays import ArraySource
from easyconv.data.sources.batch import Batch, unpack
from easyconv.data.sources.convert import is_number
from easyconv.data.sources.inputs import to_inputs
from easyconv.data.sources.loaders import LoaderSource
from easyconv.data.sources.source import Source, located
from easyconv.data.sources.streams import IterableSource
from easyconv.data.sources.targets import to_targets
from easyconv.data.sources.weights import to_weights
from easyconv.data.sources.workers import Located, loader
from easyconv.errors import ArgumentError, DataError, DataTypeError, EmptyDataError
from easyconv.nested import rows_of

__all__ = ["DEFAULT_BATCH_SIZE", "Source", "as_split", "holds_batches", "holds_samples", "make_source", "shared_split"]

DEFAULT_BATCH_SIZE = 32


def make_source(
    x: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    shuffle: bool = False,
    name: str = "x",
) -> Source:
    """Make a source of batches.

    What ``x`` is decides the way: tensors, arrays, pandas objects and lists of numbers, arrays or pictures are data
    (tuples and dicts of them are several inputs); a ``Dataset`` is read in batches (a ``TensorDataset`` as whole
    tensors); a ``DataLoader`` and any other iterable yield batches themselves. A list without ``y`` whose first
    element is a pair ``(x, y)`` or a dict is a list of batches where both have as many rows, and a list of samples
    where the ``y`` of the first is a single number.

    Parameters
    ----------
    x : object
        The inputs, or a source of batches.
    y : object, optional
        The targets, where ``x`` is data.
    sample_weight : array, optional
        One weight per sample, where ``x`` is data.
    batch_size : int, default 32
        Samples per batch, where ``x`` does not bring its own batches.
    shuffle : bool, default False
        Whether each pass has an order of its own; a source that brings its own batches keeps its order.
    name : str, default "x"
        For messages.

    Raises
    ------
    DataTypeError
        For what is neither data nor a source of batches.
    DataError, EmptyDataError, LengthError
        For data that cannot be made right.
    ArgumentError
        When ``batch_size`` is given for a source that brings its own batches.

    Examples
    --------
    >>> source = make_source([[0.0], [1.0], [2.0]], [0, 1, 0], batch_size=2)
    >>> source.rows, source.steps
    (3, 2)
    """
    batch_size = check_integer("batch_size", batch_size, minimum=1)
    check_flag("shuffle", shuffle)
    _refuse(x, name)
    source = _make(x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, name=name)
    source.name = name
    return source


def as_split(x: Any) -> Any:
    """A part of a data set that makes its own source (`Split`), also where torch has cut it; None for all else.

    Examples
    --------
    >>> as_split([1, 2]) is None
    True
    """
    if isinstance(x, Subset):
        whole = as_split(x.dataset)
        return None if whole is None else whole.subset(list(x.indices))
    return x if isinstance(x, Dataset) and hasattr(x, "make_source") else None


def shared_split(dataset: Any) -> Any:
    """A part of a data set whose transforms are those of all samples, also where torch has joined or cut parts.

    Raises
    ------
    DataError
        When the parts that are joined have different transforms.

    Examples
    --------
    >>> shared_split([1, 2]) is None
    True
    """
    splits = _joined(dataset)
    pipelines = [None if split is None else split.pipeline for split in splits]
    if any(pipeline != pipelines[0] for pipeline in pipelines):
        raise DataError(
            "The data sets that are joined have different transforms, and a batch would hold samples of both. Give all "
            "of them the same: augment() and normalize() with the same arguments."
        )
    return splits[0]


def _joined(dataset: Any) -> list[Any]:
    """The data sets that one of torch's is made of: splits, and None for all others."""
    if isinstance(dataset, ConcatDataset):
        return [split for part in dataset.datasets for split in _joined(part)]
    if isinstance(dataset, (Located, Subset)):
        return _joined(dataset.dataset)
    return [as_split(dataset)]


def _make(x: Any, y: Any, sample_weight: Any, *, batch_size: int, shuffle: bool, name: str) -> Source:
    split = as_split(x)
    if split is not None:
        _no_extras(x, y, sample_weight, name)
        made: Source = split.make_source(batch_size=batch_size, shuffle=shuffle)
        return made
    if isinstance(x, TensorDataset):
        _no_extras(x, y, sample_weight, name)
        x, y, sample_weight = _parts(x)
    elif holds_samples(x, y):
        _no_extras(x, y, sample_weight, name)
        return _of_loader(_load(x, batch_size, shuffle))
    elif isinstance(x, DataLoader) or holds_batches(x, y):
        _no_extras(x, y, sample_weight, name)
        _check_batch_size(x, batch_size, name)
        return _of_loader(x) if isinstance(x, DataLoader) else IterableSource(x)
    with located("" if name == "x" else name):
        return _from_arrays(x, y, sample_weight, batch_size=batch_size, shuffle=shuffle)


def _of_loader(loader: Any) -> Source:
    """A loader of a split gives its pictures as they are kept; the split's transforms follow on whole batches."""
    source = LoaderSource(loader)
    split = shared_split(loader.dataset)
    if split is not None:
        source.pipeline, source.preprocessing = split.pipeline, split.preprocessing
    return source


def holds_batches(x: Any, y: Any = None) -> bool:
    """Whether ``x`` yields batches, rather than being data itself.

    Examples
    --------
    >>> holds_batches([1, 2]), holds_batches(iter([])), holds_batches([([[1.0]], [0])])
    (False, True, True)
    """
    if isinstance(x, type):
        return False
    if hasattr(x, "__next__") or isinstance(x, DataLoader):
        return True
    if _is_array(x) or isinstance(x, (tuple, dict, range, Dataset)) or holds_samples(x, y):
        return False
    if isinstance(x, list):
        return y is None and bool(x) and (isinstance(x[0], dict) or _first_pair(x) is not None)
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def _is_array(x: Any) -> bool:
    ways = ("__array__", "__array_interface__", "to_numpy", "toarray")
    return isinstance(x, Tensor) or any(hasattr(x, way) for way in ways)


def holds_samples(x: Any, y: Any = None) -> bool:
    """Whether ``x`` is a data set that gives one sample ``(x, y)`` at a time.

    Examples
    --------
    >>> holds_samples([([0.0, 1.0], 3)]), holds_samples([[0.0, 1.0]])
    (True, False)
    """
    if isinstance(x, Dataset):
        return True
    if _is_array(x) or isinstance(x, (type, tuple, dict, range, DataLoader)) or (isinstance(x, list) and y is not None):
        return False
    pair = _first_pair(x)
    return pair is not None and _is_single(pair.y)


def _is_single(y: Any) -> bool:
    return is_number(y) or (isinstance(y, Tensor) and y.dim() == 0)


def _first_pair(x: Any) -> Batch | None:
    """The first element, read as a batch, where it has targets."""
    if not (hasattr(x, "__getitem__") and hasattr(x, "__len__")) or not len(x):
        return None
    first = x[0]
    pair = isinstance(first, tuple) and len(first) > 1 and not is_number(first[0])
    # list(loader) is a list of lists of tensors.
    collated = isinstance(first, list) and len(first) > 1 and isinstance(first[0], Tensor)
    if not (pair or collated or isinstance(first, dict)):
        return None
    batch = unpack(first)
    return batch if batch.y is not None else None


def _refuse(x: Any, name: str) -> None:
    if x is None:
        raise DataTypeError(
            f"{name} must be data or a source of batches, got None. Pass a tensor, an array, a list of numbers, a "
            "Dataset or a DataLoader."
        )
    if hasattr(x, "train") and hasattr(x, "hold_out"):
        raise DataTypeError(
            f"{name} must be one part of a data set, got all of it (Splits). Pass data.train to fit(), with "
            "validation_data=data.validation or data.test."
        )
    if inspect.isgeneratorfunction(x) or inspect.isfunction(x) or inspect.ismethod(x):
        called = getattr(x, "__name__", "it")
        how = "call it, and pass what it returns" if called.startswith("<") else f"call it, {called}()"
        raise DataTypeError(f"{name} must be data or a source of batches, got the function {called}: {how}.")
    if isinstance(x, type):
        raise DataTypeError(
            f"{name} must be data or a source of batches, got the class {x.__name__}: make an object of it, "
            f"{x.__name__}(...)."
        )
    if isinstance(x, (set, frozenset, str, bytes)):
        to_inputs(x, name)


def _no_extras(x: Any, y: Any, sample_weight: Any, name: str) -> None:
    kind = type(x).__name__
    if y is not None:
        raise DataError(f"y must be left out where {name} is a {kind}, which yields the targets itself: (x, y).")
    if sample_weight is not None:
        instead = "let it yield (x, y, sample_weight)" if as_split(x) is None else "weigh classes with class_weight="
        raise DataError(f"sample_weight must be left out where {name} is a {kind}: {instead}.")


def _check_batch_size(x: Any, batch_size: int, name: str) -> None:
    if batch_size not in (DEFAULT_BATCH_SIZE, getattr(x, "batch_size", None)):
        where = "when you make it: DataLoader(dataset, batch_size=...)" if isinstance(x, DataLoader) else "there"
        raise ArgumentError(
            f"batch_size={batch_size} has no effect where {name} is a {type(x).__name__}, which makes the batches "
            f"itself. Set it {where}, and leave it out here."
        )


def _load(dataset: Any, batch_size: int, shuffle: bool) -> Any:
    if isinstance(dataset, IterableDataset):
        return DataLoader(dataset, batch_size=batch_size)
    if not hasattr(dataset, "__len__"):
        raise DataTypeError(
            f"A data set must have __len__ and __getitem__, got {type(dataset).__name__} without __len__. Add it, or "
            "make it an IterableDataset."
        )
    if len(dataset) == 0:
        raise EmptyDataError(f"The data set ({type(dataset).__name__}) is empty. Check the folder or file it reads.")
    return loader(dataset, batch_size, shuffle=shuffle, num_workers=0)


def _parts(dataset: Any) -> tuple[Any, Any, Any]:
    batch = unpack(tuple(dataset.tensors))
    return batch.x, batch.y, batch.sample_weight


def _from_arrays(x: Any, y: Any, sample_weight: Any, *, batch_size: int, shuffle: bool) -> Source:
    if isinstance(y, (Dataset, DataLoader)):
        raise DataError(
            f"y must be an array of targets, got a {type(y).__name__}. Data for validation goes to validation_data."
        )
    inputs = to_inputs(x)
    targets = None if y is None else to_targets(y)
    weight = None if sample_weight is None else to_weights(sample_weight, rows_of(inputs))
    return ArraySource(inputs, targets, weight, batch_size=batch_size, shuffle=shuffle)
