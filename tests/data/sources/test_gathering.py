"""Loaders over tensors in memory: whole batches at once, and nobody can tell."""

import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)

from easyconv.data.sources.gathering import gather_batches, is_gatherable
from easyconv.data.sources.loaders import LoaderSource
from easyconv.errors import DataError

X, Y = torch.arange(44.0).reshape(11, 4), torch.arange(11)


class Own(TensorDataset):
    def __getitem__(self, index):
        return tuple(2 * tensor[index] for tensor in self.tensors)


class Counted(TensorDataset):
    pass


def loader(dataset=None, **options):
    return DataLoader(TensorDataset(X, Y) if dataset is None else dataset, **{"batch_size": 4, **options})


PLAIN = {
    "in order": {},
    "shuffled": {"shuffle": True},
    "last batch dropped": {"shuffle": True, "drop_last": True},
    "a generator": {"shuffle": True, "generator": "own"},
    "with replacement": {"sampler": lambda data: RandomSampler(data, replacement=True, num_samples=20)},
    "weighted": {"sampler": lambda data: WeightedRandomSampler(torch.arange(1.0, 12.0), 9)},
    "batches of a sampler": {
        "batch_size": 1,
        "batch_sampler": lambda data: BatchSampler(RandomSampler(data), 3, drop_last=False),
    },
    "counted from the end": {"sampler": lambda data: [-1, -2, 3, 0, 1]},
    "tensors as numbers": {"sampler": lambda data: torch.tensor([4, 5, 6])},
}


def made(options):
    dataset = TensorDataset(X, Y)
    options = {key: value(dataset) if callable(value) else value for key, value in options.items()}
    if options.get("generator") == "own":
        options["generator"] = torch.Generator().manual_seed(3)
    return loader(dataset, **options)


@pytest.mark.parametrize("case", PLAIN)
def test_the_same_batches_and_the_same_draws(case):
    found = []
    for run in (gather_batches, iter):
        source = made(PLAIN[case])
        assert is_gatherable(source)
        torch.manual_seed(5)
        # Two passes, with a draw between two batches, as a step with dropout makes it.
        passes = []
        for _ in range(2):
            for batch in run(source):
                assert type(batch) is list
                passes.append([tensor.tolist() for tensor in batch])
                passes.append(torch.rand(1).item())
        found.append((passes, torch.get_rng_state().tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "other",
    [
        loader(Own(X, Y)),
        loader(Counted(X, Y)),
        loader(Subset(TensorDataset(X, Y), [1, 2, 3])),
        loader(num_workers=1),
        loader(collate_fn=lambda rows: default_collate(rows)),
        loader(batch_size=None),
        loader(TensorDataset(X.clone().requires_grad_(), Y)),
        [(X, Y)],
    ],
    ids=["own rows", "subclass", "subset", "workers", "own collate", "no batches", "gradients", "a list"],
)
def test_anything_else_is_used_as_it_is(other):
    assert not is_gatherable(other)


def test_batches_are_copies():
    source = LoaderSource(loader())
    source.bind()
    next(source.batches()).x.zero_()
    assert X[0, 1] == 1.0


def test_a_wrong_row_is_the_loaders_own_error():
    source = LoaderSource(loader(sampler=[0, 1, 99]))
    source.bind()
    with pytest.raises(DataError, match=r"Batch 0 could not be read: the data raised IndexError: .*99"):
        list(source.batches())


def test_rows_are_not_read_one_by_one(monkeypatch):
    source = LoaderSource(loader())
    source.bind()
    monkeypatch.setattr(TensorDataset, "__getitem__", None)
    assert sum(len(batch.x) for batch in source.batches()) == 11
