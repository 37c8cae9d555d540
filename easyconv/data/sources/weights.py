"""Weights of samples."""

from typing import Any

import torch
from torch import Tensor

from easyconv.data.sources.convert import is_number, to_tensor
from easyconv.data.sources.values import check_finite, first_row
from easyconv.errors import DataError, DataTypeError, LengthError

__all__ = ["refuse_idle", "to_weights"]


def to_weights(sample_weight: Any, rows: int, *, name: str = "sample_weight", values: bool = True) -> Tensor:
    """Sample weights as float32 of shape (N,).

    Parameters
    ----------
    sample_weight : array, tensor or list
        Shape (N,) or (N, 1), finite, at least 0.
    rows : int
        N.
    name : str, default "sample_weight"
        For messages.
    values : bool, default True
        Whether the values are looked at.

    Raises
    ------
    DataError, LengthError, NonFiniteDataError
        When they are of another shape, length or sign.

    Examples
    --------
    >>> to_weights([1, 2], 2)
    tensor([1., 2.])
    """
    if isinstance(sample_weight, (str, dict)):
        kind = type(sample_weight).__name__
        raise DataTypeError(
            f"{name} must be one number per sample, shape ({rows},), got a {kind}. Weights of classes go to "
            'class_weight: "balanced", or a dict {class: weight}.'
        )
    if is_number(sample_weight):
        raise DataError(
            f"{name} must be one number per sample, shape ({rows},), got the single number {sample_weight!r}. A weight "
            "that all samples share is another learning rate: lr=."
        )
    weight = to_tensor(sample_weight, name)
    if weight.dim() > 2 or (weight.dim() == 2 and weight.shape[1] != 1):
        raise DataError(f"{name} must be one number per sample, shape ({rows},), got shape {tuple(weight.shape)}.")
    if weight.shape[0] != rows:
        raise LengthError(f"{name} must have one number for each of the {rows} samples, got {weight.shape[0]}.")
    weight = weight.reshape(-1).to(torch.float32)
    if values:
        check_finite(weight, name)
        negative = weight < 0
        if bool(negative.any()):
            row = first_row(negative)
            raise DataError(
                f"{name} must be at least 0, got {weight[row].item():g} in row {row}. Samples of weight 0 do not count."
            )
    return weight


def refuse_idle(weight: Tensor, name: str = "sample_weight") -> None:
    """Refuse weights that are all 0, with which nothing would be learned or measured.

    Raises
    ------
    DataError
        When no weight is more than 0.

    Examples
    --------
    >>> refuse_idle(torch.tensor([0.0, 1.0]))
    """
    if not bool(weight.any()):
        raise DataError(
            f"{name} is 0 for all {len(weight)} samples, so that none counts. Give some of them a weight above 0."
        )
