"""Whether data means to a net what the data did that it was trained on: the scale of images, the numbers of classes."""

from typing import Any

import torch
from torch import Tensor

from easyconv.data.class_names import check_numbering
from easyconv.data.preprocessing import PLAIN, Normalization, Preprocessing
from easyconv.data.sources.make import Source
from easyconv.notices import warn_user

__all__ = ["check_classes", "check_fitting", "warn_of_bare_images", "warn_of_other_scale"]

_ALIKE = 1e-4


def check_fitting(training: Source, validation: Source | None, known: Preprocessing | None) -> None:
    """Compare the data of a training with what the net knows, and the data to validate on with that.

    Parameters
    ----------
    training, validation : Source
        What ``fit`` was given.
    known : Preprocessing, optional
        What the net was trained on before; a data set that brings its own takes its place.

    Raises
    ------
    LabelError
        When the validation numbers the classes in another way.
    """
    if training.preprocessing is None:
        warn_of_other_scale(training, known)
    if validation is not None:
        trained_on = known if training.preprocessing is None else training.preprocessing
        warn_of_other_scale(validation, trained_on)
        check_classes(validation, trained_on, "the data that is trained on")


def check_classes(source: Source, known: Preprocessing | None, beside: str) -> None:
    """Refuse data that numbers the classes in another way.

    Parameters
    ----------
    source : Source
        What is to be evaluated or validated on.
    known : Preprocessing, optional
        That of the net, or of the data that it is trained on.
    beside : str
        What numbers the classes in the way of ``known``, for the message.

    Raises
    ------
    LabelError
        When a name that is in both has two numbers.
    """
    if source.preprocessing is not None and known is not None:
        what = "this data" if source.name == "x" else source.name
        check_numbering(source.preprocessing.categories, known.categories, what, beside)


def warn_of_other_scale(source: Source, known: Preprocessing | None) -> None:
    """Notice images that are scaled or normalized otherwise than those that the net was trained on.

    Parameters
    ----------
    source : Source
        Where images come from.
    known : Preprocessing, optional
        What images went through that the net was trained on; nothing is said where nobody knows.
    """
    if known is None:
        return
    if source.preprocessing is not None:
        _warn_of_other_numbers(source.preprocessing, known)
    elif source.holds_bytes and not known.only_scales and known.normalization is None:
        _warn_of_bare_images()


def warn_of_bare_images(inputs: Any, known: Preprocessing | None) -> None:
    """Notice images in [0, 1], where the net was trained on normalized ones: these have negative numbers.

    Parameters
    ----------
    inputs : tensor or nested tensors
        The first rows, as the net gets them.
    known : Preprocessing, optional
        As in `warn_of_other_scale`.
    """
    if known is None or known.normalization in (None, PLAIN):
        return
    if isinstance(inputs, Tensor) and inputs.dim() == 4 and inputs.is_floating_point():
        low, high = inputs.aminmax()
        if low >= 0 and high <= 1:
            _warn_of_bare_images()


def _warn_of_bare_images() -> None:
    warn_user(
        "These images lie in [0, 1] (bytes are divided by 255, and nothing else), and this net was trained on images "
        "that went through model.preprocessing. Pass a part of the data set (data.test), or what "
        "model.preprocessing(images) makes of uint8 images."
    )


def _warn_of_other_numbers(given: Preprocessing, known: Preprocessing) -> None:
    here, there = given.normalization, known.normalization
    if here is None or there is None or _alike(here, there):
        return
    warn_user(
        f"These images are {_words(here)}, and this net was trained on images that are {_words(there)}. Normalize both "
        "alike: data.normalize() on all parts at once, or .normalize(data.mean, data.std) on this one."
    )


def _alike(one: Normalization, other: Normalization) -> bool:
    # One number may stand for all channels.
    differences = (torch.tensor(a) - torch.tensor(b) for a, b in zip(one, other, strict=True))
    return all(bool((difference.abs() <= _ALIKE).all()) for difference in differences)


def _words(normalization: Normalization) -> str:
    if normalization == PLAIN:
        return "not normalized"
    mean, std = (", ".join(f"{value:.3g}" for value in values) for values in normalization)
    return f"normalized by mean ({mean}) and std ({std})"
