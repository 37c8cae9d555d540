"""Data sets from arrays that are in memory already."""

from collections.abc import Sequence
from typing import Any

from easyconv.data.datasets.array_split import ArraySplit
from easyconv.data.datasets.splits import Splits
from easyconv.data.datasets.targets import wrapping
from easyconv.data.sources.inputs import check_inputs, to_inputs
from easyconv.data.sources.rules import InputRule
from easyconv.data.sources.source import located
from easyconv.data.sources.targets import to_targets
from easyconv.errors import ArgumentError, DataError, DataTypeError

__all__ = ["from_arrays"]


def from_arrays(
    train: Any,
    validation: Any = None,
    test: Any = None,
    *,
    validation_split: float = 0.0,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> Splits:
    """A data set of arrays, so that it can be augmented, normalized and shown like any other.

    Parameters
    ----------
    train, validation, test : (images, targets)
        Images of shape (N, C, H, W) or (N, H, W), as uint8 or floats: tensors, arrays, or lists of pictures of one
        size. Targets with one row per image: class numbers, or what the loss compares (masks and boxes of
        ``torchvision.tv_tensors`` move along with the images).
    validation_split : float, default 0.0
        Share of ``train`` to validate on: stratified for class labels, seeded.
    class_names : sequence of str, optional
        Name of each class.
    seed : int, default 0
        Chooses the pictures of ``validation_split``.

    Returns
    -------
    Splits
        It shares the memory of tensors and arrays that need no conversion: who writes into them changes the data.

    Raises
    ------
    DataError, DataTypeError, LengthError
        For images and targets that do not fit, or parts of different channels or scales.
    ArgumentError
        When there is something to validate on already, and ``validation_split`` asks for more.

    Examples
    --------
    >>> import numpy as np
    >>> data = from_arrays((np.zeros((10, 8, 8), np.uint8), np.arange(10) % 2), validation_split=0.2)
    >>> len(data.train), len(data.validation)
    (8, 2)
    """
    named = {"train": train, "validation": validation, "test": test}
    parts = {name: _split(pair, name, class_names) for name, pair in named.items() if pair is not None}
    if "train" not in parts:
        raise DataTypeError("train must be (images, targets), got None.")
    data = Splits(**parts)
    if validation_split and validation is not None:
        raise ArgumentError(
            f"validation_split={validation_split:g} makes no sense beside validation=(images, targets). Leave one out."
        )
    return data.hold_out(validation_split, seed=seed) if validation_split else data


def _split(pair: Any, name: str, class_names: Sequence[str] | None) -> ArraySplit:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise DataError(f"{name} must be a pair (images, targets), got {type(pair).__name__}.")
    images, targets = pair
    with located(name):
        pixels = check_inputs(to_inputs(images, "images"), InputRule("image"), name="images")
        if not hasattr(pixels, "dim"):
            raise DataTypeError("images must be one array; several inputs are no pictures of one data set.")
        wrap, rows = wrapping(targets), to_targets(targets)
        return ArraySplit(pixels, rows if wrap is None else wrap(rows), class_names=class_names)
