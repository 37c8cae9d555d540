"""Weights of samples."""

from typing import Any

import torch
from torch import Tensor

from easyconv.data.convert import to_tensor
from easyconv.data.values import check_finite, first_row
from easyconv.errors import DataError, LengthError

__all__ = ["to_weights"]


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
            raise DataError(f"{name} must be at least 0, got {weight[row].item():g} in row {row}.")
    return weight
