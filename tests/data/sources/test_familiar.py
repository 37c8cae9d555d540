"""The short way through the door gives what the long way gives, and lets nothing bad pass."""

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from easyconv.data.sources.batch import Batch
from easyconv.data.sources.familiar import Familiar
from easyconv.data.sources.make import make_source
from easyconv.data.sources.rules import InputRule, TargetRule
from easyconv.data.sources.streams import StreamSource
from easyconv.errors import DataError

X, Y = torch.rand(12, 3), torch.arange(12) % 3
RULE = TargetRule("classes", (3,))


def batches(items, rule=RULE):
    source = make_source(items)
    source.bind(InputRule(), rule)
    return list(source.batches())


def test_ordinary_batches_take_the_short_way(monkeypatch):
    asked = []
    long_way = StreamSource._as_batch
    monkeypatch.setattr(StreamSource, "_as_batch", lambda *args: asked.append(args[-1]) or long_way(*args))
    loader = DataLoader(TensorDataset(X, Y), batch_size=3)
    given = list(loader)
    for batch, (x, y) in zip(batches(loader), given, strict=True):
        assert torch.equal(batch.x, x)
        assert torch.equal(batch.y, y)
    assert asked == [0]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (RULE, torch.tensor([0, 2]), torch.tensor([0, 3])),
        (RULE, torch.tensor([0, 2]), torch.tensor([-1, 2])),
        (TargetRule("binary", (1,)), torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.5]])),
        (TargetRule("values", (1,)), torch.tensor([[0.0], [7.0]]), torch.tensor([[0.0], [float("nan")]])),
    ],
)
def test_bad_targets_are_refused_after_good_ones(rule, good, bad):
    x = torch.rand(2, 3)
    with pytest.raises(DataError, match=r"[Bb]atch 2"):
        batches([(x, good), (x, good), (x, bad)], rule)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bad_inputs_are_refused_after_good_ones(value):
    bad = torch.rand(2, 3)
    bad[1, 2] = value
    y = torch.tensor([0, 1])
    with pytest.raises(DataError, match=r"[Bb]atch 2.*row 1"):
        batches([(torch.rand(2, 3), y), (torch.rand(2, 3), y), (bad, y)])


def test_large_numbers_whose_sum_is_infinite_pass_by_the_long_way():
    x, y = torch.full((2, 3), 3e38), torch.tensor([0, 1])
    assert len(batches([(x, y), (x, y)])) == 2


@pytest.mark.parametrize(
    "other",
    [
        [torch.rand(2, 4), torch.tensor([0, 1])],
        [torch.rand(2, 3).double(), torch.tensor([0, 1])],
        [torch.rand(2, 3), torch.tensor([0, 1], dtype=torch.int32)],
        [torch.rand(2, 3), torch.tensor([[0], [1]])],
        [torch.rand(2, 3), torch.tensor([0, 1]), torch.ones(2)],
        [torch.rand(3, 3), torch.tensor([0, 1])],
        [torch.rand(0, 3), torch.tensor([], dtype=torch.long)],
        (torch.rand(2, 3).numpy(), torch.tensor([0, 1])),
        {"x": torch.rand(2, 3), "y": torch.tensor([0, 1])},
        torch.rand(2, 3),
    ],
)
def test_another_form_goes_the_long_way(other):
    familiar = Familiar(RULE)
    first = [torch.rand(2, 3), torch.tensor([0, 1])]

    familiar.learn(first, Batch(*first))
    assert familiar.take(first) is not None
    assert familiar.take(other) is None


def test_a_batch_that_had_to_be_converted_is_not_learnt():

    familiar = Familiar(RULE)
    item = [torch.rand(2, 3), torch.tensor([0, 1])]
    familiar.learn(item, Batch(item[0].clone(), item[1]))
    assert familiar.take(item) is None
