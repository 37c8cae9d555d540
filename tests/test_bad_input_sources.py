"""Loaders, data sets and generators that do not give what training needs."""

import pytest
import torch
from bad_input import COLOUR, ROWS, Bench, Case, X, Y, batches, changed, loader, run_case, small_net
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DataExhaustedError,
    DataTypeError,
    EasyconvWarning,
    EmptyDataError,
    LengthError,
    NonFiniteDataError,
)


class Pairs(Dataset):
    def __init__(self, rows=ROWS, give=lambda row: (X[row], Y[row])):
        self.rows, self.give = rows, give

    def __len__(self):
        return self.rows

    def __getitem__(self, row):
        return self.give(row)


class NoLength(Dataset):
    def __getitem__(self, row):
        return X[row], Y[row]


class Stream(IterableDataset):
    def __init__(self, rows=ROWS):
        self.rows = rows

    def __iter__(self):
        return iter([(X[row], Y[row]) for row in range(self.rows)])


class OutOfDisk(Exception):
    pass


def generator():
    yield from batches()


def raising(row):
    if row == 20:
        raise OutOfDisk("the network drive is away")
    return X[row], Y[row]


EMPTY = [
    Case("drop_last larger than the data", lambda b: b.from_source(loader(batch_size=32, drop_last=True)), EmptyDataError),
    Case("drop_last in validation_data", lambda b: b.fit(validation_data=loader(batch_size=32, drop_last=True)), EmptyDataError),
    Case("empty generator", lambda b: b.from_source(iter([])), EmptyDataError),
    Case("used up generator", lambda b: b.from_source(used_up()), EmptyDataError),
    Case("empty data set", lambda b: b.from_source(Pairs(0)), EmptyDataError),
    Case("empty stream", lambda b: b.from_source(Stream(0)), EmptyDataError),
    Case("loader of an empty stream", lambda b: b.from_source(DataLoader(Stream(0), batch_size=8)), EmptyDataError),
    Case("sampler of nothing", lambda b: b.from_source(DataLoader(Pairs(), batch_size=8, sampler=[])), EmptyDataError),
    Case("a batch without rows", lambda b: b.from_source([(X[:0], Y[:0])]), EmptyDataError),
    Case("a later batch without rows", lambda b: b.from_source([*batches(), (X[:0], Y[:0])]), EmptyDataError, steps=True),
    Case("predict of drop_last", lambda b: b.model().predict(loader(batch_size=32, drop_last=True)), EmptyDataError),
    Case("evaluate of drop_last", lambda b: b.model().evaluate(loader(batch_size=32, drop_last=True)), EmptyDataError),
    Case("evaluate of a used up generator", lambda b: b.model().evaluate(used_up()), EmptyDataError),
    Case("zip, used up", lambda b: b.from_source(zip(X[:0].split(8), Y[:0].split(8))), EmptyDataError),
]


def used_up():
    source = generator()
    list(source)
    return source


PARTS = [
    Case("(x, y, index) in a loader", lambda b: b.from_source(loader(X, Y, torch.arange(24))), DataError),
    Case("(x, y, index) in a data set", lambda b: b.from_source(Pairs(give=lambda row: (X[row], Y[row], row))), DataError),
    Case("(x, y, index) in a generator", lambda b: b.from_source((x, y, torch.arange(8)) for x, y in batches()), DataError),
    Case("(x, y, name)", lambda b: b.from_source(Pairs(give=lambda row: (X[row], Y[row], f"{row}.png"))), DataError),
    Case("(x, y, negative floats)", lambda b: b.from_source(loader(X, Y, torch.randn(24))), DataError),
    Case("(x, y, image)", lambda b: b.from_source(loader(X, Y, X)), DataError),
    Case("(x1, x2, y)", lambda b: b.from_source(loader(X, X, Y)), DataError),
    Case("four parts", lambda b: b.from_source(loader(X, Y, torch.ones(24), Y)), DataError),
    Case("five parts in a generator", lambda b: b.from_source(iter([(X, Y, Y, Y, Y)])), DataError),
    Case("dict with odd keys", lambda b: b.from_source([{"pixels": X, "category": Y}]), (DataError, ArgumentError)),
    Case("dict with odd keys from a data set", lambda b: b.from_source(Pairs(give=lambda row: {"pixels": X[row], "category": Y[row]})), (DataError, ArgumentError)),
    Case("dict with a key too many", lambda b: b.from_source([{"x": X, "y": Y, "id": Y}]), DataError),
    Case("dict with x alone", lambda b: b.from_source([{"x": X}]), DataError),
    Case("dict with an index as weight", lambda b: b.from_source([{"x": X, "y": Y, "sample_weight": torch.arange(24)}]), DataError),
    Case("x alone in a generator", lambda b: b.from_source(iter(X.split(8))), DataError),
    Case("x alone in a loader", lambda b: b.from_source(DataLoader(TensorDataset(X), batch_size=8)), DataError),
    Case("(y, x) swapped", lambda b: b.from_source([(Y, X)]), DataError),
    Case("(x, None)", lambda b: b.from_source(iter([(X, None)])), DataError),
    Case("numbers", lambda b: b.from_source(iter([1, 2, 3])), DataError),
    Case("None", lambda b: b.from_source(iter([None])), DataTypeError),
    Case("text", lambda b: b.from_source(iter(["a.png"])), DataTypeError),
    Case("rows one by one in a generator", lambda b: b.from_source((x, y) for x, y in zip(X, Y)), (DataError, LengthError)),
    Case("PIL pictures without a transform", lambda b: b.from_source(DataLoader(Pairs(give=lambda row: (picture(), 1)), batch_size=8)), DataError),
    Case("images of two sizes in a data set", lambda b: b.from_source(Pairs(give=lambda row: (torch.zeros(1, 8 + row % 2, 8), 1))), DataError),
    Case("the data set raises", lambda b: b.from_source(Pairs(give=raising), shuffle=False, batch_size=8), DataError, steps=True),
    Case("the data set raises KeyError", lambda b: b.from_source(Pairs(give=lambda row: {}["image"])), DataError),
    Case("the generator raises", lambda b: b.from_source(raising(20) for _ in range(3)), DataError),
    Case("sample by sample list without y", lambda b: b.from_source([X[0], X[1]]), DataError),
]


def picture():
    from PIL import Image

    return Image.new("L", (8, 8))


KINDS = [
    Case("generator function", lambda b: b.from_source(generator), DataTypeError),
    Case("function", lambda b: b.from_source(lambda: batches()), DataTypeError),
    Case("class of a data set", lambda b: b.from_source(Pairs), DataTypeError),
    Case("class of a loader", lambda b: b.from_source(DataLoader), DataTypeError),
    Case("class of a data set in validation_data", lambda b: b.fit(validation_data=Pairs), DataTypeError),
    Case("data set without length", lambda b: b.from_source(NoLength()), DataTypeError),
    Case("y with a loader", lambda b: b.from_source(loader(), y=Y), DataError),
    Case("y with a data set", lambda b: b.from_source(Pairs(), y=Y), DataError),
    Case("y with a generator", lambda b: b.from_source(generator(), y=Y), DataError),
    Case("y with a TensorDataset", lambda b: b.from_source(TensorDataset(X, Y), y=Y), DataError),
    Case("a loader as y", lambda b: b.fit(y=loader()), DataTypeError),
    Case("a function as y", lambda b: b.fit(y=generator), DataTypeError),
    Case("batch_size with a loader", lambda b: b.from_source(loader(), batch_size=16), ArgumentError),
    Case("batch_size with a generator", lambda b: b.from_source(generator(), batch_size=16), ArgumentError),
    Case("batch_size with a list of batches", lambda b: b.from_source(batches(), batch_size=16), ArgumentError),
    Case("batch_size with a loader in predict", lambda b: b.model().predict(loader(), batch_size=16), ArgumentError),
    Case("validation_split with a loader", lambda b: b.from_source(loader(), validation_split=0.2), DataError),
    Case("validation_split with a generator", lambda b: b.from_source(generator(), validation_split=0.2), DataError),
    Case("validation_split with a stream", lambda b: b.from_source(Stream(), validation_split=0.2), DataError),
    Case("validation_split with a list of batches", lambda b: b.from_source(batches(), validation_split=0.2), DataError),
    Case("sample_weight with a data set", lambda b: b.from_source(Pairs(), sample_weight=torch.ones(24)), DataError),
    Case("train_on_batch with a loader", lambda b: b.model().train_on_batch(loader()), ArgumentError),
    Case("train_on_batch with a generator", lambda b: b.model().train_on_batch(generator()), ArgumentError),
]

ENDS = [
    Case("a generator for 3 epochs", lambda b: b.from_source(generator(), epochs=3), ArgumentError),
    Case("a generator that ends in epoch 2", lambda b: b.from_source(generator(), epochs=3, steps_per_epoch=2), DataExhaustedError, steps=True),
    Case("a generator shorter than an epoch", lambda b: b.from_source(generator(), steps_per_epoch=5), DataExhaustedError, steps=True),
    Case("a validation generator for 2 epochs", lambda b: b.fit(epochs=2, validation_data=generator()), ArgumentError),
    Case("a validation generator that ends", lambda b: b.fit(epochs=2, validation_data=generator(), validation_steps=2), DataExhaustedError, steps=True),
    Case("evaluate with too many steps", lambda b: b.model().evaluate(generator(), steps=9), DataExhaustedError),
    Case("predict with too many steps", lambda b: b.model().predict(generator(), steps=9), DataExhaustedError),
]


def normed(rows, batch_size, source=False, **options):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    def act(b):
        x, y = X.repeat(2, 1, 1, 1)[:rows], Y.repeat(2)[:rows]
        if source:
            return b.from_source(loader(x, y, batch_size=batch_size), net=net)
        return b.fit(x, y, batch_size=batch_size, net=net, **options)

    return act


SINGLE = [
    Case("last batch of one row", normed(25, 8), ArgumentError),
    Case("last batch of one row in a loader", normed(25, 8, source=True), ArgumentError),
    Case("last batch of one row after the split", normed(32, 24, validation_split=0.22), ArgumentError),
    Case("batches of one row", normed(24, 1), ArgumentError),
    Case("one row", normed(1, 8), ArgumentError),
    Case("train_on_batch of one row", lambda b: b.model(nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))).train_on_batch(X[:1], Y[:1]), (ArgumentError, RuntimeError)),
    Case("one row in the last of a list of batches", lambda b: b.from_source([*batches(), (X[:1], Y[:1])], net=nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))), (ArgumentError, RuntimeError), steps=True),
]

CASES = EMPTY + PARTS + KINDS + ENDS + SINGLE
