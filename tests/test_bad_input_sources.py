"""Loaders, data sets and generators that do not give what training needs."""

import pytest
import torch
from bad_input import ROWS, Case, X, Y, batches, loader, run_case
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from easyconv.errors import (
    ArgumentError,
    DataError,
    DataExhaustedError,
    DataTypeError,
    EmptyDataError,
    ShapeError,
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


class OutOfDiskError(Exception):
    pass


def generator():
    yield from batches()


def raising(row):
    if row == 20:
        raise OutOfDiskError("the network drive is away")
    return X[row], Y[row]


EMPTY = [
    Case(
        "drop_last larger than the data",
        lambda b: b.from_source(loader(batch_size=32, drop_last=True)),
        EmptyDataError,
        (
            "The loader gives no batch: its data set has 24 samples, batch_size is 32 and drop_last is True.",
            "Take a smaller batch_size, or drop_last=False.",
        ),
    ),
    Case(
        "drop_last in validation_data",
        lambda b: b.fit(validation_data=loader(batch_size=32, drop_last=True)),
        EmptyDataError,
        (
            "validation_data:",
            "The loader gives no batch: its data set has 24 samples, batch_size is 32 and drop_last is True.",
            "Take a smaller batch_size, or drop_last=False.",
        ),
    ),
    Case(
        "empty generator",
        lambda b: b.from_source(iter([])),
        EmptyDataError,
        (
            "The source gave no batch.",
            "Check that it is not used up already, and that its data is not empty.",
        ),
    ),
    Case(
        "used up generator",
        lambda b: b.from_source(used_up()),
        EmptyDataError,
        (
            "The source gave no batch.",
            "Check that it is not used up already, and that its data is not empty.",
        ),
    ),
    Case(
        "empty data set",
        lambda b: b.from_source(Pairs(0)),
        EmptyDataError,
        (
            "The data set (Pairs) is empty.",
            "Check the folder or file it reads.",
        ),
    ),
    Case(
        "empty stream",
        lambda b: b.from_source(Stream(0)),
        EmptyDataError,
        (
            "The loader gives no batch.",
            "Check its data set and its sampler.",
        ),
    ),
    Case(
        "loader of an empty stream",
        lambda b: b.from_source(DataLoader(Stream(0), batch_size=8)),
        EmptyDataError,
        (
            "The loader gives no batch.",
            "Check its data set and its sampler.",
        ),
    ),
    Case(
        "sampler of nothing",
        lambda b: b.from_source(DataLoader(Pairs(), batch_size=8, sampler=[])),
        EmptyDataError,
        (
            "The loader gives no batch.",
            "Check its data set and its sampler.",
        ),
    ),
    Case(
        "a batch without rows",
        lambda b: b.from_source([(X[:0], Y[:0])]),
        EmptyDataError,
        (
            "Batch 0: x has no rows: its shape is (0, 1, 8, 8).",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "a later batch without rows",
        lambda b: b.from_source([*batches(), (X[:0], Y[:0])]),
        EmptyDataError,
        (
            "Batch 3: x has no rows: its shape is (0, 1, 8, 8).",
            "Pass at least one sample.",
        ),
        steps=True,
    ),
    Case(
        "predict of drop_last",
        lambda b: b.model().predict(loader(batch_size=32, drop_last=True)),
        EmptyDataError,
        (
            "The loader gives no batch: its data set has 24 samples, batch_size is 32 and drop_last is True.",
            "Take a smaller batch_size, or drop_last=False.",
        ),
    ),
    Case(
        "evaluate of drop_last",
        lambda b: b.model().evaluate(loader(batch_size=32, drop_last=True)),
        EmptyDataError,
        (
            "The loader gives no batch: its data set has 24 samples, batch_size is 32 and drop_last is True.",
            "Take a smaller batch_size, or drop_last=False.",
        ),
    ),
    Case(
        "evaluate of a used up generator",
        lambda b: b.model().evaluate(used_up()),
        EmptyDataError,
        (
            "The source gave no batch.",
            "Check that it is not used up already, and that its data is not empty.",
        ),
    ),
    Case(
        "zip, used up",
        lambda b: b.from_source(zip(X[:0].split(8), Y[:0].split(8), strict=True)),
        EmptyDataError,
        (
            "Batch 0: x has no rows: its shape is (0, 1, 8, 8).",
            "Pass at least one sample.",
        ),
    ),
]


def used_up():
    source = generator()
    list(source)
    return source


PARTS = [
    Case(
        "(x, y, index) in a loader",
        lambda b: b.from_source(loader(X, Y, torch.arange(24))),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got a third part int64 of shape (8,) in (float32[8, 1, 8, 8], int64[8], "
            "int64[8]).",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "(x, y, index) in a data set",
        lambda b: b.from_source(Pairs(give=lambda row: (X[row], Y[row], row))),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got a third part int64 of shape (24,) in (float32[24, 1, 8, 8], int64[24], "
            "int64[24]).",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "(x, y, index) in a generator",
        lambda b: b.from_source((x, y, torch.arange(8)) for x, y in batches()),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got a third part int64 of shape (8,) in (float32[8, 1, 8, 8], int64[8], "
            "int64[8]).",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "(x, y, name)",
        lambda b: b.from_source(Pairs(give=lambda row: (X[row], Y[row], f"{row}.png")), shuffle=False),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got a third part ('0.png', '1.png'",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "(x, y, negative floats)",
        lambda b: b.from_source(loader(X, Y, torch.full((24,), -1.5))),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got a third part with the negative value -1.5 in (float32[8, 1, 8, 8], "
            "int64[8], float32[8]).",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "(x, y, image)",
        lambda b: b.from_source(loader(X, Y, X)),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got a third part float32 of shape (8, 1, 8, 8) in (float32[8, 1, 8, 8], "
            "int64[8], float32[8, 1, 8, 8]).",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "(x1, x2, y)",
        lambda b: b.from_source(loader(X, X, Y)),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got a third part int64 of shape (8,) in (float32[8, 1, 8, 8], float32[8, 1, 8, "
            "8], int64[8]).",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "four parts",
        lambda b: b.from_source(loader(X, Y, torch.ones(24), Y)),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got 4 parts in (float32[8, 1, 8, 8], int64[8], float32[8], int64[8]).",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "five parts in a generator",
        lambda b: b.from_source(iter([(X, Y, Y, Y, Y)])),
        DataError,
        (
            "Batch 0: A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on "
            "of shape (N,), got 5 parts in (float32[24, 1, 8, 8], int64[24], int64[24], int64[24], "
            "int64[24]).",
            "For several inputs yield ((x1, x2), y), or a dict with the keys 'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "dict with odd keys",
        lambda b: b.from_source([{"pixels": X, "category": Y}]),
        ArgumentError,
        (
            "The net's forward takes 1 input (input), but x is a dict with the keys 'pixels', 'category'.",
            "Pass the array itself",
            "a dict that is a whole batch has the keys 'x' and 'y'.",
        ),
    ),
    Case(
        "dict with odd keys from a data set",
        lambda b: b.from_source(Pairs(give=lambda row: {"pixels": X[row], "category": Y[row]})),
        ArgumentError,
        (
            "The net's forward takes 1 input (input), but x is a dict with the keys 'pixels', 'category'.",
            "Pass the array itself",
            "a dict that is a whole batch has the keys 'x' and 'y'.",
        ),
    ),
    Case(
        "dict with a key too many",
        lambda b: b.from_source([{"x": X, "y": Y, "id": Y}]),
        DataError,
        (
            "A dict batch must have the keys 'x' and 'y' (and 'sample_weight'), got 'x', 'y', 'id': nobody reads 'id'.",
            "Yield {'x': ..., 'y': ...}",
            "several inputs go into one dict under 'x'.",
        ),
    ),
    Case(
        "dict with x alone",
        lambda b: b.from_source([{"x": X}]),
        DataError,
        (
            "Batch 0: y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
    Case(
        "dict with an index as weight",
        lambda b: b.from_source([{"x": X, "y": Y, "sample_weight": torch.arange(24)}]),
        DataError,
        (
            "A batch must be x, (x, y) or (x, y, sample_weight) with floating weights from 0 on of shape "
            "(N,), got a third part int64 of shape (24,) in {'x': float32[24, 1, 8, 8], 'y': int64[24], "
            "'sample_weight': int64[24]}. For several inputs yield ((x1, x2), y), or a dict with the keys "
            "'x', 'y', 'sample_weight'.",
        ),
    ),
    Case(
        "x alone in a generator",
        lambda b: b.from_source(iter(X.split(8))),
        DataError,
        (
            "Batch 0: y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
    Case(
        "x alone in a loader",
        lambda b: b.from_source(DataLoader(TensorDataset(X), batch_size=8)),
        DataError,
        (
            "y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
    Case(
        "(y, x) swapped",
        lambda b: b.from_source([(Y, X)]),
        DataError,
        (
            "Batch 0: x must be images of shape (N, C, H, W) with C = 1, got shape (24,).",
            "Labels look like this: a batch is (x, y), the inputs first.",
        ),
    ),
    Case(
        "(x, None)",
        lambda b: b.from_source(iter([(X, None)])),
        DataError,
        (
            "Batch 0: y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
    Case(
        "numbers",
        lambda b: b.from_source(iter([1, 2, 3])),
        DataError,
        (
            "Batch 0: x must have one row per sample, got the single number 1.",
            "Pass a list: [x].",
        ),
    ),
    Case(
        "None",
        lambda b: b.from_source(iter([None])),
        DataTypeError,
        ("Batch 0: x must be an array, a tensor or a list of numbers, got None.",),
    ),
    Case(
        "text",
        lambda b: b.from_source(iter(["a.png"])),
        DataTypeError,
        (
            "Batch 0: x must be data, got 'a.png'.",
            "Read the file first (numpy.load, PIL.Image.open), or make a Dataset of the folder: "
            "torchvision.datasets.ImageFolder.",
        ),
    ),
    Case(
        "rows one by one in a generator",
        lambda b: b.from_source((x, y) for x, y in zip(X, Y, strict=True)),
        DataError,
        (
            "Batch 0: A source must give batches, and this one gives single samples: y is the number 0.",
            "Pass a Dataset (an IterableDataset for a generator), whose samples are gathered into batches here.",
        ),
    ),
    Case(
        "PIL pictures without a transform",
        lambda b: b.from_source(DataLoader(Pairs(give=lambda row: (picture(), 1)), batch_size=8)),
        DataError,
        (
            "Batch 0 could not be read: the data raised TypeError: default_collate: batch must contain "
            "tensors, numpy arrays, numbers, dicts or lists",
            "found <class 'PIL.Image.Image'>. The samples are pictures: give the data set a transform that "
            "makes tensors of them, like torchvision.transforms.ToTensor().",
        ),
    ),
    Case(
        "images of two sizes in a data set",
        lambda b: b.from_source(Pairs(give=lambda row: (torch.zeros(1, 8 + row % 2, 8), 1)), shuffle=False),
        DataError,
        (
            "Batch 0 could not be read: the data raised RuntimeError: stack expects each tensor to be "
            "equal size, but got [1, 8, 8] at entry 0 and [1, 9, 8] at entry 1.",
            "The samples have different shapes: resize, crop or pad them to one, in the data set's transform.",
        ),
    ),
    Case(
        "the data set raises",
        lambda b: b.from_source(Pairs(give=raising), shuffle=False, batch_size=8),
        DataError,
        ("Batch 2: Sample 20 could not be read: OutOfDiskError: the network drive is away.",),
        steps=True,
    ),
    Case(
        "the data set raises KeyError",
        lambda b: b.from_source(Pairs(give=lambda row: {}["image"])),
        DataError,
        ("Batch 0: Sample ", " could not be read: KeyError: 'image'."),
    ),
    Case(
        "the generator raises",
        lambda b: b.from_source(raising(20) for _ in range(3)),
        DataError,
        ("Batch 0 could not be read: the data raised OutOfDiskError: the network drive is away",),
    ),
    Case(
        "sample by sample list without y",
        lambda b: b.from_source([X[0], X[1]]),
        DataError,
        (
            "y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
]


def picture():
    from PIL import Image

    return Image.new("L", (8, 8))


KINDS = [
    Case(
        "generator function",
        lambda b: b.from_source(generator),
        DataTypeError,
        ("x must be data or a source of batches, got the function generator: call it, generator().",),
    ),
    Case(
        "function",
        lambda b: b.from_source(lambda: batches()),
        DataTypeError,
        ("x must be data or a source of batches, got the function <lambda>: call it, and pass what it returns.",),
    ),
    Case(
        "class of a data set",
        lambda b: b.from_source(Pairs),
        DataTypeError,
        ("x must be data or a source of batches, got the class Pairs: make an object of it, Pairs(...).",),
    ),
    Case(
        "class of a loader",
        lambda b: b.from_source(DataLoader),
        DataTypeError,
        ("x must be data or a source of batches, got the class DataLoader: make an object of it, DataLoader(...).",),
    ),
    Case(
        "class of a data set in validation_data",
        lambda b: b.fit(validation_data=Pairs),
        DataTypeError,
        (
            "validation_data must be data or a source of batches, got the class Pairs: make an object of "
            "it, Pairs(...).",
        ),
    ),
    Case(
        "data set without length",
        lambda b: b.from_source(NoLength()),
        DataTypeError,
        (
            "A data set must have __len__ and __getitem__, got NoLength without __len__. Add it, or make "
            "it an IterableDataset.",
        ),
    ),
    Case(
        "y with a loader",
        lambda b: b.from_source(loader(), y=Y),
        DataError,
        ("y must be left out where x is a DataLoader, which yields the targets itself: (x, y).",),
    ),
    Case(
        "y with a data set",
        lambda b: b.from_source(Pairs(), y=Y),
        DataError,
        ("y must be left out where x is a Pairs, which yields the targets itself: (x, y).",),
    ),
    Case(
        "y with a generator",
        lambda b: b.from_source(generator(), y=Y),
        DataError,
        ("y must be left out where x is a generator, which yields the targets itself: (x, y).",),
    ),
    Case(
        "y with a TensorDataset",
        lambda b: b.from_source(TensorDataset(X, Y), y=Y),
        DataError,
        ("y must be left out where x is a TensorDataset, which yields the targets itself: (x, y).",),
    ),
    Case(
        "a loader as y",
        lambda b: b.fit(y=loader()),
        DataError,
        (
            "y must be an array of targets, got a DataLoader.",
            "Data for validation goes to validation_data.",
        ),
    ),
    Case(
        "a function as y",
        lambda b: b.fit(y=generator),
        DataTypeError,
        (
            "y must be a tensor, an array or a list of numbers, got <function generator at",
            "> (function).",
            "Convert it to one of these first.",
        ),
    ),
    Case(
        "batch_size with a loader",
        lambda b: b.from_source(loader(), batch_size=16),
        ArgumentError,
        (
            "batch_size=16 has no effect where x is a DataLoader, which makes the batches itself.",
            "Set it when you make it: DataLoader(dataset, batch_size=...), and leave it out here.",
        ),
    ),
    Case(
        "batch_size with a generator",
        lambda b: b.from_source(generator(), batch_size=16),
        ArgumentError,
        (
            "batch_size=16 has no effect where x is a generator, which makes the batches itself.",
            "Set it there, and leave it out here.",
        ),
    ),
    Case(
        "batch_size with a list of batches",
        lambda b: b.from_source(batches(), batch_size=16),
        ArgumentError,
        (
            "batch_size=16 has no effect where x is a list, which makes the batches itself.",
            "Set it there, and leave it out here.",
        ),
    ),
    Case(
        "batch_size with a loader in predict",
        lambda b: b.model().predict(loader(), batch_size=16),
        ArgumentError,
        (
            "batch_size=16 has no effect where x is a DataLoader, which makes the batches itself.",
            "Set it when you make it: DataLoader(dataset, batch_size=...), and leave it out here.",
        ),
    ),
    Case(
        "validation_split with a loader",
        lambda b: b.from_source(loader(), validation_split=0.2),
        DataError,
        (
            "validation_split must be left out where x is a DataLoader, whose batches are made already.",
            "Split its data set, loader.dataset: pass it in place of the loader, or pass validation_data.",
        ),
    ),
    Case(
        "validation_split with a generator",
        lambda b: b.from_source(generator(), validation_split=0.2),
        DataError,
        (
            "validation_split must be left out where x is a generator, which gives one batch after the other.",
            "Pass arrays or a map-style Dataset, or validation_data.",
        ),
    ),
    Case(
        "validation_split with a stream",
        lambda b: b.from_source(Stream(), validation_split=0.2),
        DataError,
        (
            "validation_split must be left out where x is a Stream, which gives one batch after the other.",
            "Pass arrays or a map-style Dataset, or validation_data.",
        ),
    ),
    Case(
        "validation_split with a list of batches",
        lambda b: b.from_source(batches(), validation_split=0.2),
        DataError,
        (
            "validation_split must be left out where x is a list, which gives one batch after the other.",
            "Pass arrays or a map-style Dataset, or validation_data.",
        ),
    ),
    Case(
        "sample_weight with a data set",
        lambda b: b.from_source(Pairs(), sample_weight=torch.ones(24)),
        DataError,
        ("sample_weight must be left out where x is a Pairs: let it yield (x, y, sample_weight).",),
    ),
    Case(
        "train_on_batch with a loader",
        lambda b: b.model().train_on_batch(loader()),
        ArgumentError,
        (
            "batch_size=24 has no effect where x is a DataLoader, which makes the batches itself.",
            "Set it when you make it: DataLoader(dataset, batch_size=...), and leave it out here.",
        ),
    ),
    Case(
        "train_on_batch with a generator",
        lambda b: b.model().train_on_batch(generator()),
        ArgumentError,
        ("The calls for one batch take data (tensors, arrays, lists), not a source of batches.",),
    ),
]

ENDS = [
    Case(
        "a generator for 3 epochs",
        lambda b: b.from_source(generator(), epochs=3),
        ArgumentError,
        (
            "x is a generator: it cannot start again, so it gives 1 pass, not 3.",
            "Pass steps_per_epoch= for a generator that goes on for ever, or something that can be "
            "iterated again (a list, a DataLoader, a class with __iter__).",
        ),
    ),
    Case(
        "a generator that ends in epoch 2",
        lambda b: b.from_source(generator(), epochs=3, steps_per_epoch=2),
        DataExhaustedError,
        (
            "x ends after 1 of the 2 batches that steps_per_epoch=2 asks for.",
            "Lower steps_per_epoch, or pass a source with more batches.",
        ),
        steps=True,
    ),
    Case(
        "a generator shorter than an epoch",
        lambda b: b.from_source(generator(), steps_per_epoch=5),
        DataExhaustedError,
        (
            "x ends after 3 of the 5 batches that steps_per_epoch=5 asks for.",
            "Lower steps_per_epoch, or pass a source with more batches.",
        ),
        steps=True,
    ),
    Case(
        "a validation generator for 2 epochs",
        lambda b: b.fit(epochs=2, validation_data=generator()),
        ArgumentError,
        (
            "validation_data is a generator: it cannot start again, so it gives 1 pass, not 2.",
            "Pass validation_steps= for a generator that goes on for ever, or something that can be "
            "iterated again (a list, a DataLoader, a class with __iter__).",
        ),
    ),
    Case(
        "a validation generator that ends",
        lambda b: b.fit(epochs=2, validation_data=generator(), validation_steps=2),
        DataExhaustedError,
        (
            "validation_data ends after 1 of the 2 batches that validation_steps=2 asks for.",
            "Lower validation_steps, or pass a source with more batches.",
        ),
        steps=True,
    ),
    Case(
        "evaluate with too many steps",
        lambda b: b.model().evaluate(generator(), steps=9),
        DataExhaustedError,
        (
            "x ends after 3 of the 9 batches that steps=9 asks for.",
            "Lower steps, or pass a source with more batches.",
        ),
    ),
    Case(
        "predict with too many steps",
        lambda b: b.model().predict(generator(), steps=9),
        DataExhaustedError,
        (
            "x ends after 3 of the 9 batches that steps=9 asks for.",
            "Lower steps, or pass a source with more batches.",
        ),
    ),
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
    Case(
        "last batch of one row",
        normed(25, 8),
        ArgumentError,
        (
            "The last batch would have a single row (25 rows in batches of 8), and batch norm needs at "
            "least two values per channel in training.",
            "Take another batch size, like 7 or 9 or 10, or a DataLoader with drop_last=True.",
        ),
    ),
    Case(
        "last batch of one row in a loader",
        normed(25, 8, source=True),
        ArgumentError,
        (
            "The last batch would have a single row (25 rows in batches of 8), and batch norm needs at "
            "least two values per channel in training.",
            "Take another batch size, like 7 or 9 or 10, or a DataLoader with drop_last=True.",
        ),
    ),
    Case(
        "last batch of one row after the split",
        normed(32, 24, validation_split=0.22),
        ArgumentError,
        (
            "The last batch would have a single row (25 rows in batches of 24), and batch norm needs at "
            "least two values per channel in training.",
            "Take another batch size, like 23 or 25 or 22, or a DataLoader with drop_last=True.",
        ),
    ),
    Case(
        "batches of one row",
        normed(24, 1),
        ArgumentError,
        (
            "Every batch would have a single row (24 rows in batches of 1), and batch norm needs at least "
            "two values per channel in training.",
            "Take another batch size, like 2 or 3 or 4, or a DataLoader with drop_last=True.",
        ),
    ),
    Case(
        "one row",
        normed(1, 8),
        ArgumentError,
        (
            "There is a single row (1 row in batches of 8), and batch norm needs at least two values per "
            "channel in training.",
            "Pass more rows, or take another norm (GroupNorm, LayerNorm).",
        ),
    ),
    Case(
        "one row in the last of a list of batches",
        lambda b: b.from_source(
            [*batches(), (X[:1], Y[:1])],
            net=nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)),
        ),
        ShapeError,
        (
            "Layer '2' (BatchNorm1d(4",
            "cannot take an input of shape (1, 4)",
            "In training it needs more than one value per channel to take a mean and a variance of. Give "
            "it batches of two samples or more (drop the last, smaller batch with drop_last=True), or "
            "another norm (GroupNorm, LayerNorm).",
            "2      BatchNorm1d  (1, 4)        failed",
        ),
        steps=True,
    ),
]

CASES = EMPTY + PARTS + KINDS + ENDS + SINGLE


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_sources_are_refused(case):
    run_case(case)
