"""From the arguments of ``fit`` to a source for training and one for validation."""

from collections.abc import Mapping
from typing import Any

from easyconv.arguments import check_flag, check_integer, check_number
from easyconv.data.sources.make import DEFAULT_BATCH_SIZE, Source, holds_batches, make_source
from easyconv.data.sources.splits import split
from easyconv.errors import ArgumentError, DataError

__all__ = ["make_sources"]


def make_sources(
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int,
    shuffle: bool,
    validation_split: float,
    validation_data: Any,
    validation_batch_size: int | None,
    seed: int | None,
) -> tuple[Source, Source | None]:
    """A source for training, and one for validation where there is data for it.

    Raises
    ------
    ArgumentError
        When both ``validation_split`` and ``validation_data`` are given, or the share is not from 0 to below 1.
    DataError
        When the data cannot be used, or cannot be split.
    """
    check_flag("shuffle", shuffle)
    fraction = check_number("validation_split", validation_split, minimum=0.0, below=1.0)
    if fraction and validation_data is not None:
        raise ArgumentError(
            f"Pass validation_split={fraction:g} or validation_data, not both: only one of them can be validated on."
        )
    if validation_batch_size is not None:
        check_integer("validation_batch_size", validation_batch_size, minimum=1)
    checked: tuple[Any, Any, Any] | None = None if validation_data is None else _parts(validation_data)
    if fraction:
        training, held_out = split(x, y, sample_weight, fraction=fraction, seed=seed)
        (x, y, sample_weight), checked = training, held_out
    source = make_source(x, y, sample_weight=sample_weight, batch_size=batch_size, shuffle=shuffle)
    if checked is None:
        return source, None
    return source, _validation_source(*checked, _validation_batch_size(checked[0], batch_size, validation_batch_size))


def _validation_source(x: Any, y: Any, sample_weight: Any, batch_size: int) -> Source:
    return make_source(x, y, sample_weight=sample_weight, batch_size=batch_size, name="validation_data")


def _validation_batch_size(x: Any, batch_size: int, own: int | None) -> int:
    """Validation takes the batch size of training, where it is ours to choose."""
    if own is not None:
        return own
    return DEFAULT_BATCH_SIZE if holds_batches(x) else batch_size


def _parts(data: Any) -> tuple[Any, Any, Any]:
    """``(x, y)`` and ``(x, y, sample_weight)`` are arrays; anything else is a source by itself."""
    if isinstance(data, list) and len(data) == 2 and not holds_batches(data):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if len(data) not in (2, 3):
        raise DataError(
            f"validation_data must be (x, y), (x, y, sample_weight), a Dataset or a source of batches, got a tuple of "
            f"{len(data)}."
        )
    x, y, *weight = data
    if isinstance(x, Mapping) and y is None:
        raise DataError("validation_data has no targets; pass (x, y).")
    return x, y, weight[0] if weight else None
