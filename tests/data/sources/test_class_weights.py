"""Weights of classes against scikit-learn and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from easyconv.data.sources.class_weights import class_weights, weights_for
from easyconv.errors import ArgumentError, ArgumentTypeError, LabelError
from easyconv.losses import make_objective

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 1, 2, 3, 1, 1])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_balanced_class_weights_are_those_of_scikit_learn(labels):
    found = class_weights("balanced", 5, targets=torch.tensor(labels))
    present = np.unique(labels)
    expected = np.ones(5)
    expected[present] = compute_class_weight("balanced", classes=present, y=labels)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("values", [[1, 2.5], (1, 2.5), np.array([1, 2.5]), torch.tensor([1, 2.5])])
def test_class_weights_from_sequences(values):
    assert class_weights(values, 2).tolist() == [1, 2.5]


@pytest.mark.parametrize(
    ("weight", "error", "match"),
    [
        ({3: 1.0}, ArgumentError, "has the class 3, but there are 3 classes, 0 to 2"),
        ({0: -1.0}, ArgumentError, r"class_weight\[0\] must be at least 0, got -1.0"),
        ({0: float("nan")}, ArgumentError, r"class_weight\[0\] must be at least 0, got nan"),
        ({"a": 1.0}, ArgumentTypeError, "A key of class_weight must be an integer"),
        ([1.0], ArgumentError, "has 1 weights, but there are 3 classes"),
        ("balance", ArgumentError, "a list or 'balanced', got 'balance'"),
        ("balanced", ArgumentError, "needs all labels"),
        (3, ArgumentTypeError, "must be a dict"),
    ],
)
def test_bad_class_weights(weight, error, match):
    with pytest.raises(error, match=match):
        class_weights(weight, 3)


def test_balanced_refuses_labels_beyond_the_classes():
    with pytest.raises(LabelError, match="labels go up to 5, but there are 3 classes"):
        class_weights("balanced", 3, targets=torch.tensor([0, 5]))


@pytest.mark.parametrize(
    "targets",
    [
        torch.tensor([0, 2, 1]),
        torch.tensor([[0], [2], [1]]),
        torch.tensor([0.0, 2.0, 1.0]),
        torch.eye(3)[torch.tensor([0, 2, 1])],
        torch.tensor([0, 2, 1], dtype=torch.uint8),
    ],
)
def test_weights_for_every_form_of_labels(targets):
    assert weights_for(targets, torch.tensor([1.0, 2.0, 3.0])).tolist() == [1, 3, 2]


def test_weights_for_refuses_pixels():
    with pytest.raises(LabelError, match=r"one label per row.* got \(2, 4, 4\)"):
        weights_for(torch.zeros(2, 4, 4, dtype=torch.long), torch.ones(3))


def test_weighted_loss_through_class_weights_is_torch_times_the_table():
    table = class_weights({1: 3.0}, 4)
    ours = make_objective("cross_entropy")(LOGITS, CLASSES, weights_for(CLASSES, table))
    plain = functional.cross_entropy(LOGITS, CLASSES, weight=table, reduction="sum") / 6
    torch.testing.assert_close(ours, plain)
