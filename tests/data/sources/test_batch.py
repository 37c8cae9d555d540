"""Reading what a loader yields."""

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from easyconv.data import Batch
from easyconv.data.sources.batch import batch_size_of, unpack
from easyconv.errors import DataError, LengthError

X, Y, W = torch.zeros(4, 2), torch.arange(4), torch.ones(4)


@pytest.mark.parametrize(
    ("item", "y", "weight"),
    [
        (X, None, None),
        ((X,), None, None),
        ((X, Y), Y, None),
        ([X, Y], Y, None),
        ((X, Y, W), Y, W),
        ((X, Y, W[:, None]), Y, W[:, None]),
        ((X, Y, None), Y, None),
        ({"x": X, "y": Y}, Y, None),
        ({"x": X}, None, None),
        ({"x": X, "y": Y, "sample_weight": W}, Y, W),
        ({"inputs": X, "targets": Y}, Y, None),
        ({"image": X, "label": Y}, Y, None),
        ({"image": X, "labels": Y}, Y, None),
        ({"pixel_values": X, "labels": Y}, Y, None),
    ],
)
def test_forms(item, y, weight):
    batch = unpack(item)
    assert batch.x is X
    assert batch.y is y
    assert (batch.sample_weight is None) == (weight is None)
    assert weight is None or torch.equal(batch.sample_weight, weight)
    dropped = unpack(item, labelled=False)
    assert dropped.x is X
    assert dropped.y is None
    assert dropped.sample_weight is None


def test_several_inputs_survive_collating():
    item = default_collate([((torch.zeros(2), torch.ones(3)), 1) for _ in range(4)])
    batch = unpack(item)
    assert isinstance(batch.x, tuple)
    assert [t.shape for t in batch.x] == [(4, 2), (4, 3)]
    assert batch_size_of(batch) == 4


def test_rows_of_numbers_are_no_parts():
    assert unpack([1.0, 2.0, 3.0, 4.0]).x == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "item",
    [
        (X, Y, Y),
        (X, Y, torch.zeros(4, 2)),
        (X, Y, -W),
        (X, Y, "meta"),
        (X, Y, W, W),
        (X, Y, {"id": Y}),
        (X, Y, np.arange(4)),
    ],
)
def test_a_third_part_that_is_no_weight(item):
    with pytest.raises(DataError, match=r"\(x, y, sample_weight\).*\(\(x1, x2\), y\), or a dict"):
        unpack(item)


def test_dicts_that_cannot_be_read():
    with pytest.raises(DataError, match="got 'image', 'label', 'index': nobody reads 'index'"):
        unpack({"image": X, "label": Y, "index": Y})
    with pytest.raises(DataError, match="got 'left', 'right': it is not clear which are the targets"):
        unpack({"left": X, "right": X}, labelled=True)
    assert set(unpack({"left": X, "right": X}).x) == {"left", "right"}


def test_missing_targets():
    with pytest.raises(DataError, match=r"there are no targets in float32\[4, 2\]"):
        unpack(X, labelled=True)


def test_batch_size():
    assert batch_size_of(Batch({"a": X, "b": W})) == 4
    assert batch_size_of(X) == 4
    with pytest.raises(LengthError, match=r"x\[0\] has 4 rows and x\[1\] has 2"):
        batch_size_of((X, torch.zeros(2)))
