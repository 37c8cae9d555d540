"""Splits: disjoint, complete, seeded, stratified."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from easyconv.data.sources.make import make_source
from easyconv.data.sources.splits import split, split_indices
from easyconv.errors import ArgumentError, DataError, LengthError


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=8, max_size=80), st.floats(0.1, 0.9), st.integers(0, 2**40))
def test_parts_are_disjoint_complete_and_fair(labels, fraction, seed):
    classes = torch.tensor(labels)
    counts = torch.bincount(classes)
    if not 0 < round(len(labels) * fraction) < len(labels) or int(counts.max()) == 1:
        return
    kept, held = split_indices(len(labels), classes, fraction=fraction, seed=seed)
    assert sorted(kept.tolist() + held.tolist()) == list(range(len(labels)))
    taken = torch.bincount(classes[held], minlength=len(counts))
    wanted = counts * round(len(labels) * fraction) / len(labels)
    for count, got, exact in zip(counts.tolist(), taken.tolist(), wanted.tolist(), strict=True):
        assert got <= max(0, count - 1)
        assert abs(got - exact) < 1 or got == count - 1


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_class_counts_agree_with_scikit_learn(fraction):
    labels = np.repeat([0, 1, 2], [40, 60, 100])
    _, expected = next(StratifiedShuffleSplit(1, test_size=fraction, random_state=0).split(labels, labels))
    _, held = split(labels, labels, fraction=fraction, seed=0)
    assert np.bincount(held.y).tolist() == np.bincount(labels[expected]).tolist()


def test_total_is_the_rounded_fraction():
    for rows, fraction, wanted in [(10, 0.2, 2), (11, 0.3, 3), (100, 0.155, 16)]:
        _, held = split_indices(rows, fraction=fraction, seed=0)
        assert len(held) == wanted


LABELS = np.array([0] * 8 + [1] * 4)


@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        LABELS.astype(bool),
        LABELS[:, None].astype("uint8"),
        LABELS.astype("float32"),
        np.eye(2)[LABELS],
        np.array(["cat", "dog"])[LABELS],
        np.array(["cat", "dog"], dtype=object)[LABELS],
        torch.from_numpy(LABELS),
        LABELS.tolist(),
    ],
)
def test_every_form_of_labels_is_stratified(y):
    for seed in range(5):
        training, validation = split(np.arange(12), y, fraction=0.25, seed=seed)
        assert type(validation.y) is type(y)
        assert sorted(LABELS[validation.x]) == [0, 0, 1]
        assert sorted([*training.x, *validation.x]) == list(range(12))


def test_numbers_are_split_at_random():
    counts = {len(split(np.arange(12), np.linspace(0, 1, 12), fraction=0.25, seed=s)[1].x) for s in range(3)}
    assert counts == {3}
    training, _ = split(np.arange(12), np.arange(12), fraction=0.25, seed=0)
    assert len(training.x) == 9


def test_a_class_of_one_sample_stays_in_training():
    y = np.array([0] * 10 + [1])
    for seed in range(20):
        training, _ = split(y, y, fraction=0.5, seed=seed)
        assert 1 in training.y


def test_rows_stay_together_and_in_order():
    x = {"a": torch.arange(20), "b": (np.arange(20), list(range(20)))}
    training, validation = split(x, np.arange(20), np.arange(20.0), fraction=0.3, seed=1)
    for part in (training, validation):
        rows = part.y.tolist()
        assert rows == sorted(rows)
        assert part.x["a"].tolist() == part.x["b"][0].tolist() == part.x["b"][1] == part.sample_weight.tolist() == rows


def test_seeds():
    x = np.arange(50)
    assert split(x, fraction=0.2, seed=3)[1].x.tolist() == split(x, fraction=0.2, seed=3)[1].x.tolist()
    assert split(x, fraction=0.2, seed=3)[1].x.tolist() != split(x, fraction=0.2, seed=4)[1].x.tolist()
    state = torch.get_rng_state()
    split(x, fraction=0.2, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(0)
    first = split(x, fraction=0.2)[1].x.tolist()
    torch.manual_seed(0)
    assert split(x, fraction=0.2)[1].x.tolist() == first


class Samples(Dataset):
    def __init__(self):
        self.reads = 0

    def __len__(self):
        return 12

    def __getitem__(self, row):
        self.reads += 1
        torch.rand(1)
        return torch.tensor([float(row)]), int(LABELS[row])


def test_data_sets_become_subsets_by_their_labels():
    quick = Samples()
    quick.targets = LABELS.tolist()
    for data, reads in ((quick, 0), (Samples(), 12)):
        state = torch.get_rng_state()
        training, validation = split(data, fraction=0.25, seed=0)
        assert torch.equal(torch.get_rng_state(), state)
        assert data.reads == reads
        assert isinstance(validation.x, Subset)
        assert sorted(LABELS[validation.x.indices]) == [0, 0, 1]
        assert sorted(training.x.indices + validation.x.indices) == list(range(12))
        assert make_source(validation.x, validation.y).rows == 3


def test_tensor_data_sets():
    data = TensorDataset(torch.arange(12), torch.from_numpy(LABELS))
    _, validation = split(data, fraction=0.25, seed=0)
    assert sorted(int(label) for _, label in validation.x) == [0, 0, 1]


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("x", "y", "fraction", "error", "text"),
    [
        (DataLoader(TensorDataset(torch.zeros(4))), None, 0.5, DataError, "Split its data set, loader.dataset"),
        (iter([1]), None, 0.5, DataError, "which gives one batch after the other"),
        (Stream(), None, 0.5, DataError, "where x is a Stream"),
        ([(torch.zeros(2), torch.zeros(2))], None, 0.5, DataError, "where x is a list"),
        (np.zeros(10), None, 0.0, ArgumentError, "validation_split must be more than 0 and less than 1, got 0.0"),
        (np.zeros(10), None, 1.0, ArgumentError, "got 1.0"),
        (np.zeros(10), None, 0.01, DataError, "of 10 samples leaves the validation part empty"),
        (np.zeros(10), None, 0.99, DataError, "leaves the training part empty"),
        (np.zeros(10), np.zeros(9), 0.5, LengthError, "x has 10 rows and y has 9"),
        ((np.zeros(10), np.zeros(8)), None, 0.5, LengthError, r"x\[0\] has 10 rows and x\[1\] has 8"),
        (Samples(), np.zeros(12), 0.5, DataError, "y must be left out where x is a data set"),
        (3, None, 0.5, DataError, "int without a length"),
    ],
)
def test_refusals(x, y, fraction, error, text):
    with pytest.raises(error, match=text):
        split(x, y, fraction=fraction, seed=0)
