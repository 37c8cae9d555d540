"""Weights of samples."""

import numpy as np
import pytest
import torch

from easyconv.data.sources.weights import to_weights
from easyconv.errors import DataError, LengthError, NonFiniteDataError


@pytest.mark.parametrize("value", [[1, 2], np.array([1.0, 2.0]), np.array([[1], [2]]), torch.tensor([1.0, 2.0])])
def test_forms(value):
    got = to_weights(value, 2)
    assert got.dtype == torch.float32
    assert got.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ([1.0], LengthError, "one number for each of the 2 samples, got 1"),
        (np.ones((2, 3)), DataError, r"shape \(2,\), got shape \(2, 3\)"),
        ([1.0, -0.5], DataError, "at least 0, got -0.5 in row 1"),
        ([1.0, float("nan")], NonFiniteDataError, "sample_weight must hold finite numbers.* row 1"),
    ],
)
def test_refused(value, error, text):
    with pytest.raises(error, match=text):
        to_weights(value, 2)
