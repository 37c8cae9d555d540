"""Loaders used as they are: random state, keys, workers, errors with the batch's number."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, Subset, TensorDataset

from easyconv.data.sources.loaders import known_labels
from easyconv.data.sources.make import make_source
from easyconv.data.sources.rules import TargetRule
from easyconv.errors import DataError, EasyconvWarning, EmptyDataError, LabelError, LengthError, NonFiniteDataError

X, Y = torch.arange(20.0).reshape(10, 2), torch.arange(10) % 3
RULE = TargetRule("classes", (3,))


class Noisy(Dataset):
    """Draws from all three global generators, as augmentations do."""

    def __len__(self):
        return 8

    def __getitem__(self, row):
        return torch.tensor([float(row), random.random(), np.random.rand(), torch.rand(()).item()]), row % 3


def passes(source, keys):
    return [torch.cat([batch.x for batch in source.batches(key)]) for key in keys]


def test_the_loader_is_used_as_a_plain_loop_would():
    loader = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)
    torch.manual_seed(2)
    plain = [x for _ in range(2) for x, _ in loader]
    after = torch.rand(1)
    source = make_source(loader)
    source.bind(targets=RULE)
    torch.manual_seed(2)
    ours = [batch.x for _ in range(2) for batch in source.batches()]
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
    assert torch.equal(torch.rand(1), after)
    assert (source.rows, source.steps, source.batch_size) == (10, 3, 4)


def test_an_example_is_not_drawn_twice():
    loader = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)
    torch.manual_seed(2)
    plain = [x for x, _ in loader]
    torch.manual_seed(2)
    source = make_source(loader)
    example = source.example()
    assert torch.equal(source.example().x, example.x)
    assert torch.equal(example.x, plain[0][:2])
    source.bind(targets=RULE)
    assert torch.equal(torch.cat([batch.x for batch in source.batches()]), torch.cat(plain))
    assert sum(len(batch.x) for batch in source.batches()) == 10


@pytest.mark.parametrize("generator", [False, True])
def test_keyed_passes_are_bit_identical(generator):
    made = torch.Generator() if generator else None
    loader = DataLoader(Noisy(), batch_size=3, shuffle=True, generator=made)
    source = make_source(loader)
    source.bind(targets=RULE)
    first, second, again = passes(source, [1, 2, 1])
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    other = make_source(DataLoader(Noisy(), batch_size=3, shuffle=True, generator=made))
    assert len(other.example(1).x) == 2
    torch.rand(3)
    np.random.rand(3)
    random.random()
    other.bind(targets=RULE)
    assert torch.equal(passes(other, [1])[0], first)


def test_a_keyed_pass_does_not_take_up_an_unkeyed_example():
    source = make_source(DataLoader(Noisy(), batch_size=3, shuffle=True))
    source.bind(targets=RULE)
    (first,) = passes(source, [1])
    source.example()
    assert torch.equal(passes(source, [1])[0], first)


@pytest.mark.slow
@pytest.mark.parametrize("persistent", [False, True])
def test_keyed_passes_with_workers(persistent):
    loader = DataLoader(Noisy(), batch_size=3, shuffle=True, num_workers=2, persistent_workers=persistent)
    source = make_source(loader)
    source.bind(targets=RULE)
    first, second, again = passes(source, [1, 2, 1])
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_data_sets_are_read_in_batches():
    source = make_source(Noisy(), batch_size=3)
    source.bind(targets=RULE)
    assert [len(batch.x) for batch in source.batches()] == [3, 3, 2]
    assert source.rows == 8


def test_a_tensor_data_set_goes_the_way_of_arrays():
    ours = make_source(TensorDataset(X, Y, torch.ones(10)), batch_size=4, shuffle=True)
    arrays = make_source(X, Y, sample_weight=torch.ones(10), batch_size=4, shuffle=True)
    for source in (ours, arrays):
        source.bind(targets=RULE)
    pairs = zip(ours.batches(1), arrays.batches(1), strict=True)
    assert all(torch.equal(a, b) for left, right in pairs for a, b in zip(left, right, strict=True))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


def test_a_stream_of_samples():
    source = make_source(Stream(), batch_size=4)
    source.bind(targets=RULE)
    assert [len(batch.x) for batch in source.batches()] == [4, 4, 2]
    assert (source.rows, source.steps) == (None, None)


def test_rows_with_drop_last():
    assert make_source(DataLoader(TensorDataset(X, Y), batch_size=4, drop_last=True)).rows == 8
    sampler = RandomSampler(TensorDataset(X, Y), num_samples=6)
    assert make_source(DataLoader(TensorDataset(X, Y), batch_size=4, sampler=sampler)).rows == 6


def test_errors_name_the_batch():
    bad = X.clone()
    bad[5, 1] = float("nan")
    source = make_source(DataLoader(list(zip(bad, Y, strict=True)), batch_size=4))
    source.bind(targets=RULE)
    with pytest.raises(NonFiniteDataError, match=r"Batch 1: x must hold finite numbers.* in row 1"):
        list(source.batches())
    source = make_source(DataLoader(list(zip(X, Y, strict=True)), batch_size=4))
    source.bind(targets=TargetRule("classes", (2,), loss="cross_entropy"))
    with pytest.raises(LabelError, match="Batch 0: y must hold labels from 0 to 1"):
        list(source.batches())
    source = make_source([(X, Y[:5])])
    with pytest.raises(LengthError, match="Batch 0: x has 10 rows and y has 5"):
        source.example()


class Broken(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, row):
        if row == 5:
            raise FileNotFoundError("5.png")
        return torch.zeros(2), 0


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_data_sets_own_error_is_passed_on(workers):
    source = make_source(DataLoader(Broken(), batch_size=2, num_workers=workers))
    source.bind(targets=RULE)
    with pytest.raises(
        DataError, match=r"(?s)Batch 2 could not be read: the data raised FileNotFoundError: .*5\.png"
    ) as caught:
        list(source.batches())
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_empty_loaders():
    source = make_source(DataLoader(TensorDataset(X, Y), batch_size=16, drop_last=True))
    with pytest.raises(EmptyDataError, match="10 samples, batch_size is 16 and drop_last is True"):
        source.example()
    source.bind(targets=RULE)
    with pytest.raises(EmptyDataError, match="drop_last=False"):
        list(source.batches())
    with pytest.raises(EmptyDataError, match="its data set is empty"):
        make_source(DataLoader(TensorDataset(X[:0], Y[:0]))).example()


def test_sorted_loaders_warn_in_training_only():
    data = TensorDataset(X, torch.tensor([0] * 5 + [1] * 5))
    source = make_source(DataLoader(data, batch_size=2))
    with pytest.warns(EasyconvWarning, match="sorted by class"):
        source.bind(targets=RULE, training=True)


@pytest.mark.filterwarnings("error")
def test_shuffled_loaders_do_not_warn():
    data = TensorDataset(X, torch.tensor([0] * 5 + [1] * 5))
    make_source(DataLoader(data, batch_size=2, shuffle=True)).bind(targets=RULE, training=True)
    make_source(DataLoader(data, batch_size=2)).bind(targets=RULE)


def test_known_labels():
    class WithTargets(Noisy):
        targets = [0, 1] * 4

    assert known_labels(WithTargets()).tolist() == [0, 1] * 4
    assert known_labels(Subset(WithTargets(), [1, 3])).tolist() == [1, 1]
    assert known_labels(Noisy()) is None
    assert known_labels(Subset(Noisy(), [0])) is None
