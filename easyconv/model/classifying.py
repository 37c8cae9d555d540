"""From pictures to names of what they show."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from easyconv.data.pictures.files import pictures_in
from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.convert import is_picture
from easyconv.errors import ArgumentTypeError, DataError, EmptyDataError, StateError

__all__ = ["Classification", "classification", "file_of", "listed", "prepared_batches", "softmax"]

_SHOWN = 3


@dataclass(frozen=True)
class Classification:
    """What a net says of one picture.

    Parameters
    ----------
    label : str or int
        Name of the likeliest class; its number where nobody has named the classes.
    probability : float
        How sure the net is of it.
    probabilities : dict of str or int to float
        All classes, the likeliest first.
    file : str, optional
        Where the picture comes from.

    Examples
    --------
    >>> classification(torch.tensor([0.25, 0.75]), ("cat", "dog"), "rex.jpg")
    <rex.jpg: dog 75.0%, cat 25.0%>
    """

    label: str | int
    probability: float
    probabilities: Mapping[str | int, float]
    file: str | None = None

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {share:.1%}" for name, share in list(self.probabilities.items())[:_SHOWN])
        return f"<{'' if self.file is None else f'{Path(self.file).name}: '}{shown}>"


def classification(probabilities: Tensor, categories: Sequence[str] | None, file: str | None) -> Classification:
    """What one row of probabilities says; a single number is the probability of class 1 of two.

    Raises
    ------
    DataError
        When there are more or fewer names than classes.
    """
    if len(probabilities) == 1:
        probabilities = torch.stack([1 - probabilities[0], probabilities[0]])
    names: Sequence[str | int] = range(len(probabilities)) if categories is None else categories
    if len(names) != len(probabilities):
        raise DataError(
            f"The net answers with {len(probabilities)} classes, and model.preprocessing has names for {len(names)}. "
            "Set model.preprocessing to one with the right names, or None for categories."
        )
    order = probabilities.argsort(descending=True, stable=True).tolist()
    shares = {names[place]: float(probabilities[place]) for place in order}
    return Classification(names[order[0]], float(probabilities[order[0]]), shares, file)


def listed(pictures: Any) -> tuple[list[Any], bool]:
    """The single pictures that ``classify`` was given, and whether it was just one.

    Raises
    ------
    ArgumentTypeError
        For what is no picture, path, folder or list of them.
    EmptyDataError
        For an empty list, or a folder without pictures.
    """
    if isinstance(pictures, np.ndarray):
        pictures = _from_array(pictures)
    if isinstance(pictures, (str, os.PathLike)) and Path(pictures).is_dir():
        found = pictures_in(pictures)
        if not found:
            raise EmptyDataError(f"There are no pictures in the folder {str(pictures)!r}.")
        return list(found), False
    if _is_single(pictures):
        return [pictures], True
    if isinstance(pictures, Tensor) and pictures.dim() == 4:
        return list(pictures), False
    if isinstance(pictures, Iterable) and not isinstance(pictures, (Mapping, Tensor)):
        many = [_from_array(picture) if isinstance(picture, np.ndarray) else picture for picture in pictures]
        wrong = next((picture for picture in many if not _is_single(picture)), None)
        if not many:
            raise EmptyDataError("classify() was given an empty list. Pass at least one picture.")
        if wrong is None:
            return many, False
        pictures = wrong
    raise ArgumentTypeError(
        "classify() takes a picture (PIL), the path of a file or of a folder, a uint8 tensor (C, H, W), an array, or a "
        f"list of these, got {type(pictures).__name__}."
    )


def prepared_batches(pictures: Sequence[Any], preprocessing: Preprocessing | None, size: int) -> Iterator[Tensor]:
    """The pictures as the net takes them, some at a time.

    Raises
    ------
    StateError
        When nobody has said how pictures become what the net takes.
    """
    if preprocessing is None:
        raise StateError(
            "classify() needs to know how pictures become what the net takes. Train on a data set of ec.data, make the "
            "net with weights='imagenet', or set model.preprocessing = ec.data.Preprocessing(function, class_names)."
        )
    for start in range(0, len(pictures), size):
        yield torch.stack([preprocessing(picture) for picture in pictures[start : start + size]])


def file_of(picture: Any) -> str | None:
    """The path that a picture was given as."""
    return os.fspath(picture) if isinstance(picture, (str, os.PathLike)) else None


def softmax(outputs: Tensor) -> Tensor:
    """Probabilities of a net that has not been compiled: one output per class.

    Raises
    ------
    DataError
        When the net gives something else.
    """
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or outputs.shape[1] < 2:
        raise DataError("classify() needs a net that gives one output per class. Compile it with the loss it has.")
    return outputs.float().softmax(dim=1)


def _from_array(array: "np.ndarray[Any, Any]") -> Tensor:
    """Channels first: those of one image may come last, as PIL and OpenCV have them, or not at all."""
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 3 and array.shape[2] in (1, 3) and array.shape[0] not in (1, 3):
        array = array.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(array))


def _is_single(picture: Any) -> bool:
    is_image = isinstance(picture, Tensor) and picture.dim() == 3
    return is_image or is_picture(picture) or isinstance(picture, (str, os.PathLike))
