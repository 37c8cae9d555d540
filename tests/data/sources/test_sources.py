"""Which way data goes: what is data, what yields batches, what is refused."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from easyconv.data.sources.make import make_source
from easyconv.data.sources.rules import TargetRule
from easyconv.data.sources.source import one_ahead
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError, DataTypeError, EmptyDataError

X, Y = torch.arange(20.0).reshape(10, 2), torch.arange(10) % 3
RULE = TargetRule("classes", (3,))
BATCHES = [(X[:6], Y[:6]), (X[6:], Y[6:])]


def collect(source):
    source.bind(targets=RULE)
    batches = list(source.batches())
    return torch.cat([batch.x for batch in batches]), torch.cat([batch.y for batch in batches])


class Sequence:
    """Like Keras's ``PyDataset``: batches by number."""

    ended = 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        x, y = BATCHES[index]
        return x.numpy(), y.numpy()

    def on_epoch_end(self):
        self.ended += 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: BATCHES,
        lambda: list(DataLoader(TensorDataset(X, Y), batch_size=4)),
        lambda: [{"x": x, "y": y} for x, y in BATCHES],
        lambda: iter(BATCHES),
        lambda: (batch for batch in BATCHES),
        Sequence,
        lambda: DataLoader(TensorDataset(X, Y), batch_size=3),
        lambda: list(zip(X, Y, strict=True)),
        lambda: [(x, int(y)) for x, y in zip(X, Y, strict=True)],
        lambda: TensorDataset(X, Y),
    ],
)
def test_every_source_gives_the_same_rows(make):
    source = make_source(make())
    assert source.example().x.tolist() == X[:2].tolist()
    x, y = collect(source)
    assert torch.equal(x, X)
    assert torch.equal(y, Y)


def test_a_list_without_y_is_data_unless_it_holds_pairs():
    assert make_source([1.0, 2.0, 3.0]).rows == 3
    assert make_source([(1.0, 2.0), (3.0, 4.0)]).example().x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert make_source([[1.0, 2.0], [3.0, 4.0]]).rows == 2
    assert make_source([np.zeros((4, 4)), np.ones((4, 4))]).example().x.shape == (2, 4, 4)
    assert make_source([torch.zeros(4), torch.ones(4)]).rows == 2
    assert make_source(range(4)).rows == 4


def test_generators_go_on_where_they_stopped():
    source = make_source(batch for batch in BATCHES + BATCHES)
    assert source.one_shot
    assert source.steps is None
    source.example()
    source.bind(targets=RULE)
    first = source.batches(1)
    assert len(next(first).x) == 6
    assert [len(batch.x) for batch in source.batches(2)] == [4, 6, 4]
    assert list(source.batches()) == []


def test_iterables_start_again():
    source = make_source(BATCHES)
    assert (source.one_shot, source.steps) == (False, 2)
    source.bind(targets=RULE)
    assert [sum(len(batch.x) for batch in source.batches()) for _ in range(2)] == [10, 10]


def test_keras_sequences_are_told_of_the_end_of_a_pass():
    data = Sequence()
    collect(make_source(data))
    assert data.ended == 1


def test_an_iterable_of_inputs_alone_can_be_predicted():
    source = make_source(iter([X[:4], X[4:]]))
    source.bind(targets=None)
    assert [len(batch.x) for batch in source.batches()] == [4, 6]


def test_missing_targets_in_a_batch():
    source = make_source(iter([X]))
    source.bind(targets=RULE)
    with pytest.raises(DataError, match="Batch 0: y is missing"):
        next(source.batches())


def generate():
    yield X, Y


@pytest.mark.parametrize(
    ("x", "arguments", "error", "text"),
    [
        (None, {}, DataTypeError, "x must be data or a source of batches, got None"),
        (generate, {}, DataTypeError, r"got the function generate: call it, generate\(\)"),
        (TensorDataset, {}, DataTypeError, "got the class TensorDataset: make an object of it"),
        ("folder", {}, DataTypeError, "Read the file first"),
        ({1, 2}, {}, DataTypeError, "got a set"),
        (object(), {}, DataTypeError, "must be a tensor, an array"),
        (TensorDataset(X, Y), {"y": Y}, DataError, "y must be left out where x is a TensorDataset"),
        (DataLoader(TensorDataset(X, Y)), {"y": Y}, DataError, "y must be left out where x is a DataLoader"),
        (DataLoader(TensorDataset(X, Y)), {"sample_weight": X}, DataError, r"let it yield \(x, y, sample_weight\)"),
        (
            DataLoader(TensorDataset(X, Y)),
            {"batch_size": 8},
            ArgumentError,
            "batch_size=8 has no effect where x is a Data",
        ),
        (BATCHES, {"batch_size": 8}, ArgumentError, "batch_size=8 has no effect where x is a list"),
        (X, {"y": DataLoader(TensorDataset(X))}, DataError, "y must be an array of targets, got a DataLoader"),
        (X, {"batch_size": 0}, ArgumentError, "batch_size must be at least 1, got 0"),
        (X, {"shuffle": 1}, ArgumentTypeError, "shuffle must be True or False"),
        ((), {}, EmptyDataError, "empty tuple"),
    ],
)
def test_refusals(x, arguments, error, text):
    with pytest.raises(error, match=text):
        make_source(x, **arguments)


def test_batch_size_that_agrees_with_the_loader_is_no_error():
    assert make_source(DataLoader(TensorDataset(X, Y), batch_size=8), batch_size=8).batch_size == 8


def test_the_name_given_is_the_name_in_messages():
    with pytest.raises(DataTypeError, match="validation x must be data"):
        make_source(None, name="validation x")


def test_an_empty_iterable():
    source = make_source(iter([]))
    with pytest.raises(EmptyDataError, match="used up already"):
        source.example()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_one_ahead_takes_the_next_item_before_it_gives_one(count):
    taken = []

    def items():
        for number in range(count):
            taken.append(number)
            yield number

    for number in one_ahead(items()):
        assert len(taken) == min(number + 2, count)
    assert taken == list(range(count))
