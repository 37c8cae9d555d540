"""Targets made right for the loss, or refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from easyconv.data.sources.rules import TargetRule
from easyconv.data.sources.targets import fit_targets, to_targets
from easyconv.errors import DataError, DataTypeError, LabelError, NonFiniteDataError

CLASSES = TargetRule("classes", (3,), loss="cross_entropy")
LABELS = [0, 2, 1, 1]


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i4"])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_labels_of_any_width(dtype, shape):
    got = fit_targets(to_targets(np.array(LABELS, dtype).reshape(shape)), CLASSES)
    assert got.dtype == torch.int64
    assert got.tolist() == LABELS


@pytest.mark.parametrize("dtype", ["?", "i1", "i8", "u1", "f2", "f4", "f8"])
def test_one_hot_of_any_dtype(dtype):
    got = fit_targets(to_targets(np.eye(3)[LABELS].astype(dtype)), CLASSES)
    assert got.dtype == torch.int64
    assert got.tolist() == LABELS


def test_bools_are_two_classes():
    assert fit_targets(to_targets([True, False]), TargetRule("classes", (2,))).tolist() == [1, 0]


def test_probabilities_stay():
    rows = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]], dtype=torch.float64)
    got = fit_targets(rows, CLASSES)
    assert got.dtype == torch.float32
    assert torch.equal(got, rows.float())


def test_dense_labels():
    rule = TargetRule("classes", (3, 4, 5))
    y = torch.randint(0, 3, (2, 4, 5))
    assert torch.equal(fit_targets(y, rule), y)
    assert torch.equal(fit_targets(y[:, None].byte(), rule), y)
    one_hot = torch.nn.functional.one_hot(y, 3).movedim(-1, 1)
    assert torch.equal(fit_targets(one_hot, rule), y)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.sampled_from(["index", "column", "one_hot"]))
def test_every_form_gives_the_same_labels(labels, form):
    index = np.array(labels)
    y = {"index": index, "column": index[:, None], "one_hot": np.eye(6)[index]}[form]
    assert fit_targets(to_targets(y), TargetRule("classes", (6,))).tolist() == labels


@pytest.mark.parametrize(
    ("y", "text"),
    [
        ([0, 3], r"labels from 0 to 2 \(the net has 3 outputs\) for cross_entropy, got 3 in row 1. End the net with 4"),
        ([1, 2, 3], "got 3 in row 2. These labels start at 1: subtract 1"),
        ([0, -1], r"got -1 in row 1. Remove those rows.*ignore_index"),
        ([0, -100], "got -100 in row 1. torch would skip"),
        ([0.0, 0.5], "whole numbers for cross_entropy, got 0.5 in row 1"),
        (np.eye(4)[[0, 1]], "one-hot with 4 columns, but the net's output has 3 classes"),
        (np.array([[1, 1, 0]]), "neither, first in row 0.*bce"),
        (np.array([[0, 0, 0]]), "must be one-hot"),
        (np.array([[0.5, 0.2, 0.2]]), "probabilities.*Row 0 has the sum 0.9"),
        (np.array([[0.2, 0.8, 0.0], [-0.5, 1.0, 0.5]]), "Row 1.*least value -0.5"),
        (
            np.zeros((2, 5), int),
            r"must be class labels of shape \(N,\) for the net's output \(N, 3\).*got int64 of shape",
        ),
        (np.zeros((2, 4, 4), int), "the net must keep its spatial axes"),
    ],
)
def test_labels_refused(y, text):
    with pytest.raises(LabelError, match=text):
        fit_targets(to_targets(y), CLASSES)


def test_nan_labels():
    with pytest.raises(NonFiniteDataError, match="y must hold finite numbers"):
        fit_targets(torch.tensor([0.0, float("nan")]), CLASSES)


def test_ignore_index_is_allowed_only_where_it_is_named():
    rule = TargetRule("classes", (3,), ignore_index=-100)
    assert fit_targets(torch.tensor([0, -100]), rule).tolist() == [0, -100]
    with pytest.raises(LabelError, match="got -1 in row 2"):
        fit_targets(torch.tensor([0, -100, -1]), rule)


@pytest.mark.parametrize("output", [(1,), ()])
def test_one_output_with_class_labels(output):
    with pytest.raises(LabelError, match='use loss="bce"'):
        fit_targets(torch.tensor([0, 1]), TargetRule("classes", output))


def test_missing_flatten():
    with pytest.raises(LabelError, match="Flatten or GlobalAvgPool before the last Dense layer is missing"):
        fit_targets(torch.tensor([0, 1]), TargetRule("classes", (3, 7, 7)))
    with pytest.raises(LabelError, match="Flatten or GlobalAvgPool"):
        fit_targets(torch.eye(3), TargetRule("classes", (3, 7, 7)))
    with pytest.raises(LabelError, match="Resize the labels"):
        fit_targets(torch.zeros(2, 8, 8, dtype=torch.int64), TargetRule("classes", (3, 7, 7)))


def test_unknown_output():
    rule = TargetRule("classes")
    assert fit_targets(torch.tensor([[5], [0]]), rule).tolist() == [5, 0]
    assert fit_targets(torch.eye(3), rule).tolist() == [0, 1, 2]
    with pytest.raises(LabelError, match="from 0 on"):
        fit_targets(torch.tensor([-1]), rule)


@pytest.mark.parametrize("output", [(1,), ()])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("dtype", ["?", "i8", "f4"])
def test_binary_is_aligned(output, shape, dtype):
    y = np.array([0, 1, 1, 0], dtype).reshape(shape)
    got = fit_targets(to_targets(y), TargetRule("binary", output))
    assert got.dtype == torch.float32
    assert got.shape == (4, *output)
    assert got.flatten().tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("y", "output", "text"),
    [
        ([1, 2], (1,), "Labels start at 0: subtract 1"),
        ([-1, 1], (1,), r"got -1 in row 0.*\(y \+ 1\) / 2"),
        ([0, 5], (1,), 'got 5 in row 1.*values from 0 to 5.*loss="cross_entropy"'),
    ],
)
def test_binary_out_of_range(y, output, text):
    with pytest.raises(LabelError, match=text):
        fit_targets(to_targets(y), TargetRule("binary", output, loss="bce"))


def test_binary_with_two_outputs():
    with pytest.raises(DataError, match="end the net with one output; for 2 classes use"):
        fit_targets(torch.tensor([0, 1]), TargetRule("binary", (2,)))


def test_values_are_aligned_or_refused():
    y = torch.arange(4)
    assert fit_targets(y, TargetRule("values", (1,))).shape == (4, 1)
    assert fit_targets(y[:, None], TargetRule("values", ())).shape == (4,)
    assert fit_targets(torch.zeros(2, 8, 8), TargetRule("values", (1, 8, 8))).shape == (2, 1, 8, 8)
    with pytest.raises(DataError, match=r"shape of the net's output for mse, \(N, 2\), got \(4, 3\)"):
        fit_targets(torch.zeros(4, 3), TargetRule("values", (2,), loss="mse"))
    with pytest.raises(DataError, match="end the net with one output"):
        fit_targets(torch.zeros(4), TargetRule("values", (2,), loss="mse"))
    with pytest.raises(NonFiniteDataError, match="got 1 that is NaN"):
        fit_targets(torch.tensor([float("nan"), 1.0]), TargetRule("values", (1,)))


def test_any_is_left_alone():
    y = torch.tensor([3, -5])
    assert fit_targets(y, TargetRule()) is y
    assert fit_targets(torch.ones(2, dtype=torch.float64), TargetRule()).dtype == torch.float32


def test_trees():
    y = to_targets({"kind": [0, 1], "size": [0.5, 1.5]})
    rules = {"kind": TargetRule("classes", (2,)), "size": TargetRule("values", (1,))}
    got = fit_targets(y, rules)
    assert got["kind"].tolist() == [0, 1]
    assert got["size"].tolist() == [[0.5], [1.5]]
    with pytest.raises(LabelError, match=r"y\['kind'\] must hold labels"):
        fit_targets({"kind": torch.tensor([7]), "size": torch.tensor([1.0])}, rules)


def test_targets_agree_with_torchs_cross_entropy():
    logits, labels = torch.randn(4, 3), torch.tensor(LABELS)
    expected = torch.nn.functional.cross_entropy(logits, labels)
    for y in (labels.int(), labels[:, None], torch.eye(3)[labels].double()):
        assert torch.equal(torch.nn.functional.cross_entropy(logits, fit_targets(y, CLASSES)), expected)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64])
def test_a_loss_of_the_users_gets_labels_of_64_bits(dtype):
    assert fit_targets(torch.tensor(LABELS, dtype=dtype)).dtype == torch.int64


@pytest.mark.parametrize("kind", ["values", "binary", "any"])
def test_targets_of_a_double_net_are_not_rounded(kind):
    y = torch.full((2, 1), 1 / 3, dtype=torch.float64)
    assert torch.equal(fit_targets(to_targets(y), TargetRule(kind, (1,), dtype=torch.float64)), y)


def test_none_is_the_target_of_an_output_without_a_loss():
    rules = (CLASSES, TargetRule("any"))
    labels, nothing = fit_targets(to_targets((LABELS, None)), rules)
    assert labels.tolist() == LABELS
    assert nothing is None
    with pytest.raises(DataTypeError, match=r"y\[0\] must be an array.*got None.*cross_entropy"):
        fit_targets(to_targets((None, LABELS)), rules)
