"""Inputs that do not fit: each is made right, or refused before the first step with what to do."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_input import (
    COLOUR,
    XN,
    Bench,
    Case,
    X,
    Y,
    batches,
    changed,
    lazy_net,
    loader,
    run_case,
    small_net,
    trained_bits,
)
from PIL import Image
from torch import nn

from easyconv.errors import (
    ArgumentError,
    DataError,
    DataTypeError,
    EmptyDataError,
    LengthError,
    NonFiniteDataError,
    ShapeError,
)

NAN, INF = float("nan"), float("inf")
COLOUR_LAST = COLOUR.permute(0, 2, 3, 1).contiguous()


def colour(b, x, y=Y, **options):
    return b.fit(x, y, net=small_net(3, size=16), good=(COLOUR, Y), **options)


def colour_source(b, source, **options):
    return b.from_source(source, net=small_net(3, size=16), good=(COLOUR, Y), **options)


class Sparse:
    """Looks like a sparse matrix of SciPy."""

    shape = (24, 24)

    def toarray(self):
        return np.eye(24)


def images(mode="L", size=(8, 8), count=24):
    return [Image.new(mode, size) for _ in range(count)]


class Frame:
    """Looks like a table of pandas."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def to_numpy(self):
        return self.values


SHAPES = [
    Case(
        "3 channels for 1",
        lambda b: b.fit(X.repeat(1, 3, 1, 1)),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 1, got shape (24, 3, 8, 8) with 3 channels.",
            "Average the colours (x.mean(1, keepdims=True)), or build the net for 3 channels.",
        ),
    ),
    Case(
        "1 channel for 3",
        lambda b: colour(b, COLOUR[:, :1]),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 3, got shape (24, 1, 16, 16) with 1 channel.",
            "Repeat the one there is (x.repeat(3, 1) of an array, x.repeat_interleave(3, 1) of a tensor), "
            "or build the net for one channel.",
        ),
    ),
    Case(
        "4 channels for 3",
        lambda b: colour(b, COLOUR[:, [0, 1, 2, 0]]),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 3, got shape (24, 4, 16, 16) with 4 channels.",
            "Build the net for 4 channels, or give it data of 3.",
        ),
    ),
    Case(
        "3 channels in validation_data",
        lambda b: b.fit(validation_data=(X.repeat(1, 3, 1, 1), Y)),
        DataError,
        (
            "validation_data: x must be images of shape (N, C, H, W) with C = 1, got shape (24, 3, 8, 8) "
            "with 3 channels.",
            "Average the colours (x.mean(1, keepdims=True)), or build the net for 3 channels.",
        ),
    ),
    Case(
        "3 channels in a loader",
        lambda b: b.from_source(loader(X.repeat(1, 3, 1, 1))),
        DataError,
        (
            "Batch 0: x must be images of shape (N, C, H, W) with C = 1, got shape (8, 3, 8, 8) with 3 channels.",
            "Average the colours (x.mean(1, keepdims=True)), or build the net for 3 channels.",
        ),
    ),
    Case(
        "channels last",
        lambda b: colour(b, COLOUR_LAST),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 3, got shape (24, 16, 16, 3), which has the "
            "channels last.",
            "Move them: x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor.",
        ),
    ),
    Case(
        "channels last, NumPy uint8",
        lambda b: colour(b, (COLOUR_LAST * 255).byte().numpy()),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 3, got shape (24, 16, 16, 3), which has the "
            "channels last.",
            "Move them: x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor.",
        ),
    ),
    Case(
        "channels last, unknown size",
        lambda b: b.fit(COLOUR_LAST, net=lazy_net(), good=(COLOUR, Y)),
        DataError,
        (
            "x must be images of shape (N, C, H, W), got shape (24, 16, 16, 3), which has the channels last.",
            "Move them: x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor.",
        ),
    ),
    Case(
        "channels last in loader",
        lambda b: colour_source(b, loader(COLOUR_LAST)),
        DataError,
        (
            "Batch 0: x must be images of shape (N, C, H, W) with C = 3, got shape (8, 16, 16, 3), which "
            "has the channels last.",
            "Move them: x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor.",
        ),
    ),
    Case(
        "channels last in a list of batches",
        lambda b: colour_source(b, batches(COLOUR_LAST)),
        DataError,
        (
            "Batch 0: x must be images of shape (N, C, H, W) with C = 3, got shape (8, 16, 16, 3), which "
            "has the channels last.",
            "Move them: x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor.",
        ),
    ),
    Case(
        "channels last in validation_data",
        lambda b: colour(b, COLOUR, validation_data=(COLOUR_LAST, Y)),
        DataError,
        (
            "validation_data: x must be images of shape (N, C, H, W) with C = 3, got shape (24, 16, 16, "
            "3), which has the channels last.",
            "Move them: x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor.",
        ),
    ),
    Case(
        "channels last in a validation loader",
        lambda b: colour(b, COLOUR, validation_data=loader(COLOUR_LAST)),
        DataError,
        (
            "validation_data, batch 0: x must be images of shape (N, C, H, W) with C = 3, got shape (8, "
            "16, 16, 3), which has the channels last.",
            "Move them: x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor.",
        ),
    ),
    Case(
        "one channel last",
        lambda b: b.fit(X.permute(0, 2, 3, 1)),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 1, got shape (24, 8, 8, 1), which has the channels last.",
            "Move them: x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor.",
        ),
    ),
    Case(
        "(N, H, W) for 3 channels",
        lambda b: colour(b, COLOUR[:, 0]),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 3, got shape (24, 16, 16).",
            "The axis of the 3 channels is missing: x[:, None].repeat(3, 1) of an array repeats the one "
            "there is, x[:, None].repeat_interleave(3, 1) of a tensor.",
        ),
    ),
    Case(
        "one image, no batch",
        lambda b: colour(b, COLOUR[0], Y[:1]),
        DataError,
        (
            "x has 3 rows and y has 1",
            "they must have as many rows.",
            "Where x is a single sample, give it a batch axis: x[None].",
        ),
    ),
    Case(
        "one image, channels last",
        lambda b: colour(b, COLOUR_LAST[0], Y[:1]),
        DataError,
        (
            "x has 16 rows and y has 1",
            "they must have as many rows.",
            "Where x is a single sample, give it a batch axis: x[None].",
        ),
    ),
    Case(
        "one grey image (H, W)",
        lambda b: b.fit(X[0, 0], Y[:1]),
        DataError,
        (
            "x has 8 rows and y has 1",
            "they must have as many rows.",
            "Where x is a single sample, give it a batch axis: x[None].",
        ),
    ),
    Case(
        "predict of one image",
        lambda b: b.model(small_net(3, size=16), good=(COLOUR, Y)).predict(COLOUR[0]),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 3, got shape (3, 16, 16).",
            "This looks like one image without the batch axis",
            "a batch of one is x[None].",
        ),
    ),
    Case(
        "flat rows",
        lambda b: b.fit(X.flatten(1)),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 1, got shape (24, 64).",
            "Flat rows get their axes back with x.reshape(-1, 1, H, W)",
            "one image alone is x[None, None], a batch of one with one channel.",
        ),
    ),
    Case(
        "five axes",
        lambda b: b.fit(X[None]),
        DataError,
        (
            "x has 1 row and y has 24",
            "they must have as many rows.",
        ),
    ),
    Case(
        "a single number",
        lambda b: b.fit(3.5),
        DataError,
        (
            "x must have one row per sample, got the single number 3.5.",
            "Pass a list: [x].",
        ),
    ),
    Case(
        "larger images than the Linear layer",
        lambda b: b.fit(torch.zeros(24, 1, 9, 9)),
        ShapeError,
        (
            "Layer '3' (Linear(in_features=144, out_features=3, bias=True)) cannot take an input of shape (2, 196)",
            "It expects 144 features in the last dimension; make it Linear(196, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "3      Linear   (2, 196)      failed",
        ),
    ),
    Case(
        "other size in validation_data",
        lambda b: b.fit(validation_data=(torch.zeros(24, 1, 9, 9), Y)),
        ShapeError,
        (
            "Layer '3' (Linear(in_features=144, out_features=3, bias=True)) cannot take an input of shape (2, 196)",
            "It expects 144 features in the last dimension; make it Linear(196, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "3      Linear   (2, 196)      failed",
        ),
    ),
    Case(
        "other size in a later batch",
        lambda b: b.from_source([*batches(), (torch.zeros(4, 1, 9, 9), Y[:4])]),
        ShapeError,
        (
            "Layer '3' (Linear(in_features=144, out_features=3, bias=True)) cannot take an input of shape (4, 196)",
            "It expects 144 features in the last dimension; make it Linear(196, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "3      Linear   (4, 196)      failed",
        ),
        steps=True,
    ),
    Case(
        "other channels in a later batch",
        lambda b: b.from_source([*batches(), (torch.zeros(4, 3, 8, 8), Y[:4])]),
        DataError,
        (
            "Batch 3: x must be images of shape (N, C, H, W) with C = 1, got shape (4, 3, 8, 8) with 3 channels.",
            "Average the colours (x.mean(1, keepdims=True)), or build the net for 3 channels.",
        ),
        steps=True,
    ),
    Case(
        "images smaller than the kernel",
        lambda b: b.fit(torch.zeros(24, 1, 2, 2)),
        ShapeError,
        (
            "Layer '0' (Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))) cannot take an input of shape (2, 1, 2, 2)",
            "The feature map has become too small for its window of (3, 3): use larger inputs, fewer "
            "poolings or strides before it, a smaller kernel, or padding.",
            "0      Conv2d  (2, 1, 2, 2)  failed",
        ),
    ),
    Case(
        "predict of other size",
        lambda b: b.model().predict(torch.zeros(2, 1, 9, 9)),
        ShapeError,
        (
            "Layer '3' (Linear(in_features=144, out_features=3, bias=True)) cannot take an input of shape (2, 196)",
            "It expects 144 features in the last dimension; make it Linear(196, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "3      Linear   (2, 196)      failed",
        ),
    ),
    Case(
        "evaluate of other size",
        lambda b: b.model().evaluate(torch.zeros(2, 1, 9, 9), Y[:2]),
        ShapeError,
        (
            "Layer '3' (Linear(in_features=144, out_features=3, bias=True)) cannot take an input of shape (2, 196)",
            "It expects 144 features in the last dimension; make it Linear(196, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "3      Linear   (2, 196)      failed",
        ),
    ),
    Case(
        "sequence for images",
        lambda b: b.fit(torch.zeros(24, 8)),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 1, got shape (24, 8).",
            "Flat rows get their axes back with x.reshape(-1, 1, H, W)",
            "one image alone is x[None, None], a batch of one with one channel.",
        ),
    ),
]

TYPES = [
    Case(
        "int64 images beyond 0 and 1",
        lambda b: b.fit((X.abs() * 100).long()),
        DataTypeError,
        (
            "x must hold floats or uint8, got integers of shape (24, 1, 8, 8) with values from 0 to 410",
            'it is not clear whether to scale them. (x / 410).astype("float32") scales them, '
            'x.astype("float32") keeps the values (x.to(torch.float32) for a tensor).',
        ),
    ),
    Case(
        "int16 images",
        lambda b: b.fit((XN * 100).astype("int16")),
        DataTypeError,
        (
            "x must hold floats or uint8, got integers of shape (24, 1, 8, 8) with values from -315 to 410",
            'it is not clear whether to scale them. (x / 410).astype("float32") scales them, '
            'x.astype("float32") keeps the values (x.to(torch.float32) for a tensor).',
        ),
    ),
    Case(
        "uint16 images",
        lambda b: b.fit((np.abs(XN) * 100).astype("uint16")),
        DataTypeError,
        (
            "x must hold floats or uint8, got integers of shape (24, 1, 8, 8) with values from 0 to 410",
            'it is not clear whether to scale them. (x / 410).astype("float32") scales them, '
            'x.astype("float32") keeps the values (x.to(torch.float32) for a tensor).',
        ),
    ),
    Case(
        "int8 images",
        lambda b: b.fit((XN * 10).astype("int8")),
        DataTypeError,
        (
            "x must hold floats or uint8, got integers of shape (24, 1, 8, 8) with values from -31 to 41",
            'it is not clear whether to scale them. (x / 41).astype("float32") scales them, '
            'x.astype("float32") keeps the values (x.to(torch.float32) for a tensor).',
        ),
    ),
    Case(
        "int64 images in a loader",
        lambda b: b.from_source(loader((X.abs() * 100).long())),
        DataTypeError,
        (
            "Batch 0: x must hold floats or uint8, got integers of shape (8, 1, 8, 8) with values from 0 to 410",
            'it is not clear whether to scale them. (x / 410).astype("float32") scales them, '
            'x.astype("float32") keeps the values (x.to(torch.float32) for a tensor).',
        ),
    ),
    Case(
        "uint64 beyond int64",
        lambda b: b.fit(np.full((24, 1, 8, 8), 2**64 - 1, "uint64")),
        DataTypeError,
        (
            "x holds 18446744073709551615, which is beyond 64-bit integers.",
            "Pass floats.",
        ),
    ),
    Case(
        "complex array",
        lambda b: b.fit(XN.astype("complex64")),
        DataTypeError,
        (
            "x must hold real numbers, got complex64 of shape (24, 1, 8, 8).",
            "Pass abs(x), or real and imaginary parts as channels.",
        ),
    ),
    Case(
        "complex tensor",
        lambda b: b.fit(X.to(torch.complex64)),
        DataTypeError,
        (
            "x must hold real numbers, got complex64 of shape (24, 1, 8, 8).",
            "Pass abs(x), or real and imaginary parts as channels.",
        ),
    ),
    Case(
        "text array",
        lambda b: b.fit(XN.astype(str)),
        DataTypeError,
        (
            "x must hold numbers, got text such as '-1.1258398'.",
            "Convert it: numpy.asarray(x).astype(float).",
        ),
    ),
    Case(
        "object array with text",
        lambda b: b.fit(np.array([["a", 1.0]] * 24, object)),
        DataTypeError,
        (
            "x must hold numbers, got text such as 'a'.",
            "For class names take names, labels = numpy.unique(x, return_inverse=True).",
        ),
    ),
    Case(
        "object array with None",
        lambda b: b.fit(np.array([[None, 1.0]] * 24, object)),
        DataTypeError,
        (
            "x must hold numbers, got None in it.",
            "Remove or fill the missing values.",
        ),
    ),
    Case(
        "list with None",
        lambda b: b.fit([[None, 1.0]] * 24),
        DataTypeError,
        (
            "x must hold numbers, got None in it.",
            "Remove or fill the missing values.",
        ),
    ),
    Case(
        "list of None",
        lambda b: b.fit([None] * 24),
        DataTypeError,
        (
            "x must hold numbers, got None in it.",
            "Remove or fill the missing values.",
        ),
    ),
    Case(
        "None",
        lambda b: b.fit(None),
        DataTypeError,
        (
            "x must be data or a source of batches, got None.",
            "Pass a tensor, an array, a list of numbers, a Dataset or a DataLoader.",
        ),
    ),
    Case(
        "None and no y",
        lambda b: b.fit(None, None),
        DataTypeError,
        (
            "x must be data or a source of batches, got None.",
            "Pass a tensor, an array, a list of numbers, a Dataset or a DataLoader.",
        ),
    ),
    Case(
        "a path",
        lambda b: b.fit("images/"),
        DataTypeError,
        (
            "x must be data, got 'images/'.",
            "Read the file first (numpy.load, PIL.Image.open), or make a Dataset of the folder: "
            "torchvision.datasets.ImageFolder.",
        ),
    ),
    Case(
        "a Path",
        lambda b: b.fit(Path("images")),
        DataTypeError,
        (
            "x must be data, got PosixPath('images').",
            "Read the file first (numpy.load, PIL.Image.open), or make a Dataset of the folder: "
            "torchvision.datasets.ImageFolder.",
        ),
    ),
    Case(
        "bytes",
        lambda b: b.fit(b"123"),
        DataTypeError,
        (
            "x must be data, got b'123'.",
            "Read the file first (numpy.load, PIL.Image.open), or make a Dataset of the folder: "
            "torchvision.datasets.ImageFolder.",
        ),
    ),
    Case(
        "list of paths",
        lambda b: b.fit(["a.png"] * 24),
        DataTypeError,
        (
            "x must hold numbers, got paths such as 'a.png'.",
            "Read the files first (PIL.Image.open, numpy.load), or make a Dataset of the folder: "
            "torchvision.datasets.ImageFolder.",
        ),
    ),
    Case(
        "list of Paths",
        lambda b: b.fit([Path("a.png")] * 24),
        DataTypeError,
        (
            "x must hold numbers, got paths such as 'a.png'.",
            "Read the files first (PIL.Image.open, numpy.load), or make a Dataset of the folder: "
            "torchvision.datasets.ImageFolder.",
        ),
    ),
    Case(
        "dates",
        lambda b: b.fit(np.full((24, 8), "2026-01-01", "datetime64[D]")),
        DataTypeError,
        (
            "x must hold numbers, got dates or durations (datetime64[D]).",
            "Make numbers of them first: x.astype('int64').",
        ),
    ),
    Case(
        "durations",
        lambda b: b.fit(np.full((24, 8), 3, "timedelta64[s]")),
        DataTypeError,
        (
            "x must hold numbers, got dates or durations (timedelta64[s]).",
            "Make numbers of them first: x.astype('int64').",
        ),
    ),
    Case(
        "structured array",
        lambda b: b.fit(np.zeros(24, [("a", "f4"), ("b", "f4")])),
        DataTypeError,
        (
            "x must be an array of numbers, got [('a', '<f4'), ('b', '<f4')] of shape (24,).",
            "For a table with named columns take numpy.lib.recfunctions.structured_to_unstructured.",
        ),
    ),
    Case(
        "masked array",
        lambda b: b.fit(np.ma.masked_greater(XN, 1.0)),
        DataTypeError,
        (
            "x has 257 masked values, which have no number.",
            "Fill them first: x.filled(0).",
        ),
    ),
    Case(
        "sparse tensor",
        lambda b: b.fit(X.to_sparse()),
        DataTypeError,
        (
            "x must be a dense tensor, got a sparse or nested one.",
            "Pass x.to_dense().",
        ),
    ),
    Case(
        "SciPy sparse",
        lambda b: b.fit(Sparse()),
        DataTypeError,
        (
            "x must be a dense array, got a sparse one (Sparse).",
            "Pass x.toarray().",
        ),
    ),
    Case(
        "nested tensor",
        lambda b: b.fit(torch.nested.nested_tensor([X[0], X[1]])),
        DataTypeError,
        (
            "x must be a dense tensor, got a sparse or nested one.",
            "Pass x.to_dense().",
        ),
    ),
    Case(
        "set",
        lambda b: b.fit({1.0, 2.0}),
        DataTypeError,
        (
            "x must have an order, got a set.",
            "Pass a list: sorted(x).",
        ),
    ),
    Case(
        "an object",
        lambda b: b.fit(object()),
        DataTypeError,
        (
            "x must be a tensor, an array or a list of numbers, got <object object at",
            "> (object).",
            "Convert it to one of these first.",
        ),
    ),
    Case(
        "a number",
        lambda b: b.fit(True),
        DataError,
        (
            "x must have one row per sample, got the single number True.",
            "Pass a list: [x].",
        ),
    ),
    Case(
        "a module",
        lambda b: b.fit(nn.Linear(1, 1)),
        DataTypeError,
        (
            "x must be a tensor, an array or a list of numbers, got Linear(in_features=1, out_features=1, "
            "bias=True) (Linear).",
            "Convert it to one of these first.",
        ),
    ),
    Case(
        "ragged lists",
        lambda b: b.fit([[1.0, 2.0], [3.0]] * 12),
        DataError,
        (
            "x must have rows of one shape, got (2,) in row 0 and (1,) in row 1.",
            "Resize or pad them",
            "arrays that belong side by side, as (x, y) or as several inputs, go into a tuple, not a list.",
        ),
    ),
    Case(
        "ragged nested lists",
        lambda b: b.fit([[[1.0, 2.0]], [[3.0]]] * 12),
        DataError,
        (
            "x must have rows of one shape, got (1, 2) in row 0 and (1, 1) in row 1.",
            "Resize or pad them",
            "arrays that belong side by side, as (x, y) or as several inputs, go into a tuple, not a list.",
        ),
    ),
    Case(
        "list of arrays of two shapes",
        lambda b: b.fit([XN[0], XN[1, :, :4]] * 12),
        DataError,
        (
            "x must have rows of one shape, got (1, 8, 8) in row 0 and (1, 4, 8) in row 1.",
            "Resize or pad them",
            "arrays that belong side by side, as (x, y) or as several inputs, go into a tuple, not a list.",
        ),
    ),
    Case(
        "list of tensors of two shapes",
        lambda b: b.fit([X[0], X[1, :, :4]] * 12),
        DataError,
        (
            "x must have rows of one shape, got (1, 8, 8) in row 0 and (1, 4, 8) in row 1.",
            "Resize or pad them",
            "arrays that belong side by side, as (x, y) or as several inputs, go into a tuple, not a list.",
        ),
    ),
    Case(
        "pictures of two sizes",
        lambda b: b.fit(images(count=12) + images(size=(9, 9), count=12)),
        DataError,
        (
            "x must have rows of one shape, got (1, 8, 8) in row 0 and (1, 9, 9) in row 12.",
            "Resize or pad them",
            "arrays that belong side by side, as (x, y) or as several inputs, go into a tuple, not a list.",
        ),
    ),
    Case(
        "pictures with colours for 1 channel",
        lambda b: b.fit(images("RGB")),
        DataError,
        (
            "x must be images of shape (N, C, H, W) with C = 1, got shape (24, 3, 8, 8) with 3 channels.",
            "Average the colours (x.mean(1, keepdims=True)), or build the net for 3 channels.",
        ),
    ),
    Case(
        "object array of ragged arrays",
        lambda b: b.fit(np.array([XN[0], XN[1, :, :4]] * 12 + [None], object)[:-1]),
        DataError,
        (
            "x must have rows of one shape, got (1, 8, 8) in row 0 and (1, 4, 8) in row 1.",
            "Resize or pad them",
            "arrays that belong side by side, as (x, y) or as several inputs, go into a tuple, not a list.",
        ),
    ),
    Case(
        "pandas text",
        lambda b: b.fit(Frame(np.array([["x", 1.0]] * 24, object))),
        DataTypeError,
        (
            "x must hold numbers, got text such as 'x'.",
            "For class names take names, labels = numpy.unique(x, return_inverse=True).",
        ),
    ),
    Case(
        "pandas missing values",
        lambda b: b.fit(Frame(np.array([[1.0], [NAN]] * 12)), net=nn.Linear(1, 3), good=None),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 12 that are NaN or infinite (as float32), the first in row 1.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "meta tensor",
        lambda b: b.fit(X.to("meta")),
        DataTypeError,
        (
            "x must have values, got a tensor on the 'meta' device, which has a shape only.",
            "Make it on the CPU.",
        ),
    ),
    Case(
        "quantized tensor",
        lambda b: b.fit(torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)),
        DataTypeError,
        (
            "x must hold plain numbers, got torch.qint8.",
            "Pass x.dequantize().",
        ),
    ),
]

VALUES = [
    Case(
        "NaN in x",
        lambda b: b.fit(changed(X, (5, 0, 0, 0), NAN)),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 5.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "Inf in x",
        lambda b: b.fit(changed(X, (23, 0, 0, 0), INF)),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 23.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "-Inf in x",
        lambda b: b.fit(changed(X, (0, 0, 0, 0), -INF)),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 0.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "beyond float32",
        lambda b: b.fit(np.where(np.arange(24)[:, None, None, None] == 3, 1e300, XN.astype(float))),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 64 that are NaN or infinite (as float32), the first in row 3.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "Inf in float16",
        lambda b: b.fit(changed(X.half(), (2, 0, 0, 0), INF)),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 2.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "NaN in validation_data",
        lambda b: b.fit(validation_data=(changed(X, 7, NAN), Y)),
        NonFiniteDataError,
        (
            "validation_data: x must hold finite numbers, got 64 that are NaN or infinite (as float32), "
            "the first in row 7.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "NaN in a loader",
        lambda b: b.from_source(loader(changed(X, 20, NAN))),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 64 that are NaN or infinite (as float32), the first in row 20.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "NaN in a later batch",
        lambda b: b.from_source(batches(changed(X, 20, NAN))),
        NonFiniteDataError,
        (
            "Batch 2: x must hold finite numbers, got 64 that are NaN or infinite (as float32), the first in row 4.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
        steps=True,
    ),
    Case(
        "NaN in a validation loader",
        lambda b: b.fit(validation_data=loader(changed(X, 20, NAN))),
        NonFiniteDataError,
        (
            "validation_data: x must hold finite numbers, got 64 that are NaN or infinite (as float32), "
            "the first in row 20.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "NaN in a list of numbers",
        lambda b: b.fit([[1.0, NAN]] * 24, net=nn.Linear(2, 3), good=(torch.ones(24, 2), Y)),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 24 that are NaN or infinite (as float32), the first in row 0.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "NaN in predict",
        lambda b: b.model().predict(changed(X, 1, NAN)),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 64 that are NaN or infinite (as float32), the first in row 1.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "NaN in evaluate",
        lambda b: b.model().evaluate(changed(X, 1, NAN), Y),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 64 that are NaN or infinite (as float32), the first in row 1.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "NaN in train_on_batch",
        lambda b: b.model().train_on_batch(changed(X, 1, NAN), Y),
        NonFiniteDataError,
        (
            "x must hold finite numbers, got 64 that are NaN or infinite (as float32), the first in row 1.",
            "Remove those rows, or fill them: numpy.nan_to_num(x).",
        ),
    ),
    Case(
        "NaN in the second input",
        lambda b: b.fit((X[:, 0, 0], changed(X[:, 0, 0], 3, NAN)), net=TwoInputs(), good=((X[:, 0, 0], X[:, 0, 0]), Y)),
        NonFiniteDataError,
        (
            "x[1] must hold finite numbers, got 8 that are NaN or infinite (as float32), the first in row 3.",
            "Remove those rows, or fill them: numpy.nan_to_num(x[1]).",
        ),
    ),
    Case(
        "tokens below 0",
        lambda b: tokens(b, torch.full((24, 5), -1)),
        DataError,
        (
            "x must hold token numbers from 0 on, since the first layer is an embedding, got -1, the first in row 0.",
            "Give missing tokens a number of their own (padding_idx).",
        ),
    ),
    Case(
        "tokens beyond the table",
        lambda b: tokens(b, torch.full((24, 5), 10)),
        ShapeError,
        (
            "Layer '0' (Embedding(10, 4)) cannot take an input of shape (2, 5)",
            "It takes ids from 0 to 9, and got ids from 10 to 10; make it Embedding(11, 4), or map the ids "
            "into that range.",
            "0      Embedding  (2, 5)  failed",
        ),
    ),
    Case(
        "a late token beyond the table",
        lambda b: tokens(b, changed(torch.zeros(24, 5).long(), (20, 1), 10)),
        DataError,
        (
            "x must hold token numbers from 0 to 9, since the first layer is an embedding of 10, got 10, "
            "the first too large in row 20.",
            "Make it Embedding(11, ...), or map the tokens into that range.",
        ),
    ),
    Case(
        "tokens with fractions",
        lambda b: tokens(b, torch.full((24, 5), 0.5)),
        DataTypeError,
        (
            "x must hold integers, since the first layer is an embedding, got float32 of shape (24, 5) "
            "with fractions, the first in row 0.",
            "Pass token numbers, or start the net with another layer.",
        ),
    ),
]


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, left, right):
        return self.left(left) + self.right(right)


def tokens(b, x):
    net = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(20, 3))
    return b.fit(x, net=net, good=(torch.arange(120).reshape(24, 5) % 10, Y))


def two(b, x, y=Y, **options):
    half = X[:, 0, 0]
    return b.fit(x, y, net=TwoInputs(), good=((half, half), Y), **options)


HALF = X[:, 0, 0]
SEVERAL = [
    Case(
        "one input for two",
        lambda b: two(b, HALF),
        ArgumentError,
        (
            "The net's forward takes 2 inputs (left, right), but x is one array.",
            "Pass a tuple of 2 arrays in this order, or a dict {'left': ..., 'right': ...}.",
        ),
    ),
    Case(
        "three inputs for two",
        lambda b: two(b, (HALF, HALF, HALF)),
        ArgumentError,
        (
            "The net's forward takes 2 inputs (left, right), but x is a tuple of 3 arrays.",
            "Pass a tuple of 2 arrays in this order, or a dict {'left': ..., 'right': ...}.",
        ),
    ),
    Case(
        "list of two inputs",
        lambda b: two(b, [HALF, HALF]),
        DataError,
        (
            "x has 2 rows and y has 24",
            "they must have as many rows.",
        ),
    ),
    Case(
        "dict with a wrong key",
        lambda b: two(b, {"left": HALF, "rigth": HALF}),
        ArgumentError,
        (
            "The net's forward takes 2 inputs (left, right), but x is a dict with the keys 'left', 'rigth'.",
            "Pass a tuple of 2 arrays in this order, or a dict {'left': ..., 'right': ...}.",
        ),
    ),
    Case(
        "dict with a key too few",
        lambda b: two(b, {"left": HALF}),
        ArgumentError,
        (
            "The net's forward takes 2 inputs (left, right), but x is a dict with the keys 'left'.",
            "Pass a tuple of 2 arrays in this order, or a dict {'left': ..., 'right': ...}.",
        ),
    ),
    Case(
        "dict with a key too many",
        lambda b: two(b, {"left": HALF, "right": HALF, "id": HALF}),
        ArgumentError,
        (
            "The net's forward takes 2 inputs (left, right), but x is a dict with the keys 'left', 'right', 'id'.",
            "Pass a tuple of 2 arrays in this order, or a dict {'left': ..., 'right': ...}.",
        ),
    ),
    Case(
        "two inputs for one",
        lambda b: b.fit((X, X)),
        ArgumentError,
        (
            "The net's forward takes 1 input (input), but x is a tuple of 2 arrays.",
            "A tuple is several inputs: pass one array, and targets apart, fit(x, y).",
        ),
    ),
    Case(
        "dict for one input",
        lambda b: b.fit({"image": X}),
        ArgumentError,
        (
            "The net's forward takes 1 input (input), but x is a dict with the keys 'image'.",
            "Pass the array itself",
            "a dict that is a whole batch has the keys 'x' and 'y'.",
        ),
    ),
    Case(
        "inputs of two lengths",
        lambda b: two(b, (HALF, HALF[:20])),
        LengthError,
        (
            "x[0] has 24 rows and x[1] has 20",
            "they must have as many rows.",
        ),
    ),
    Case(
        "inputs in a dict of two lengths",
        lambda b: two(b, {"left": HALF, "right": HALF[:20]}),
        LengthError,
        (
            "x['left'] has 24 rows and x['right'] has 20",
            "they must have as many rows.",
        ),
    ),
    Case(
        "empty tuple",
        lambda b: b.fit(()),
        EmptyDataError,
        ("x is an empty tuple: there is no array in it.",),
    ),
    Case(
        "empty dict",
        lambda b: b.fit({}),
        EmptyDataError,
        ("x is an empty dict: there is no array in it.",),
    ),
    Case(
        "predict with one input for two",
        lambda b: b.model(TwoInputs(), good=((HALF, HALF), Y)).predict(HALF),
        ArgumentError,
        (
            "The net's forward takes 2 inputs (left, right), but x is one array.",
            "Pass a tuple of 2 arrays in this order, or a dict {'left': ..., 'right': ...}.",
        ),
    ),
    Case(
        "validation with one input for two",
        lambda b: two(b, (HALF, HALF), validation_data=(HALF, Y)),
        ArgumentError,
        (
            "validation_data:",
            "The net's forward takes 2 inputs (left, right), but x is one array.",
            "Pass a tuple of 2 arrays in this order, or a dict {'left': ..., 'right': ...}.",
        ),
    ),
    Case(
        "inputs swapped shapes",
        lambda b: two(b, (HALF, HALF[:, :4])),
        ShapeError,
        (
            "Layer 'right' (Linear(in_features=8, out_features=3, bias=True)) cannot take an input of shape (2, 4)",
            "It expects 8 features in the last dimension; make it Linear(4, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "right  Linear  (2, 4)  failed",
        ),
    ),
]

LENGTHS = [
    Case(
        "24 and 20",
        lambda b: b.fit(y=Y[:20]),
        LengthError,
        (
            "x has 24 rows and y has 20",
            "they must have as many rows.",
        ),
    ),
    Case(
        "20 and 24",
        lambda b: b.fit(X[:20]),
        LengthError,
        (
            "x has 20 rows and y has 24",
            "they must have as many rows.",
        ),
    ),
    Case(
        "24 and 20 in a batch",
        lambda b: b.from_source([(X, Y[:20])]),
        LengthError,
        (
            "Batch 0: x has 24 rows and y has 20",
            "they must have as many rows.",
        ),
    ),
    Case(
        "24 and 20 in validation_data",
        lambda b: b.fit(validation_data=(X, Y[:20])),
        LengthError,
        (
            "validation_data: x has 24 rows and y has 20",
            "they must have as many rows.",
        ),
    ),
    Case(
        "24 and 20 with validation_split",
        lambda b: b.fit(y=Y[:20], validation_split=0.25),
        LengthError,
        (
            "x has 24 rows and y has 20",
            "they must have as many rows.",
        ),
    ),
    Case(
        "weights too few",
        lambda b: b.fit(sample_weight=torch.ones(20)),
        LengthError,
        ("sample_weight must have one number for each of the 24 samples, got 20.",),
    ),
    Case(
        "empty x",
        lambda b: b.fit(X[:0], Y[:0]),
        EmptyDataError,
        (
            "x has no rows: its shape is (0, 1, 8, 8).",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "empty list",
        lambda b: b.fit([], []),
        EmptyDataError,
        (
            "x has no rows: it is an empty list.",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "empty list alone",
        lambda b: b.fit([]),
        EmptyDataError,
        (
            "x has no rows: it is an empty list.",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "empty array",
        lambda b: b.fit(np.array([]), np.array([])),
        EmptyDataError,
        (
            "x has no rows: its shape is (0,).",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "empty y",
        lambda b: b.fit(y=Y[:0]),
        EmptyDataError,
        (
            "y has no rows: its shape is (0,).",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "empty validation_data",
        lambda b: b.fit(validation_data=(X[:0], Y[:0])),
        EmptyDataError,
        (
            "validation_data: x has no rows: its shape is (0, 1, 8, 8).",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "an axis of size 0",
        lambda b: b.fit(X[:, :, :0]),
        EmptyDataError,
        (
            "x holds no values: its shape is (24, 1, 0, 8), with an axis of size 0.",
            "Look how it was cut.",
        ),
    ),
    Case(
        "predict of nothing",
        lambda b: b.model().predict(X[:0]),
        EmptyDataError,
        (
            "x has no rows: its shape is (0, 1, 8, 8).",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "evaluate of nothing",
        lambda b: b.model().evaluate(X[:0], Y[:0]),
        EmptyDataError,
        (
            "x has no rows: its shape is (0, 1, 8, 8).",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "no y",
        lambda b: b.fit(y=None),
        DataError,
        (
            "y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
    Case(
        "no y in evaluate",
        lambda b: b.model().evaluate(X),
        DataError,
        (
            "y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
    Case(
        "validation_data without y",
        lambda b: b.fit(validation_data=X),
        DataError,
        (
            "validation_data: y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
    Case(
        "validation_data (x, None)",
        lambda b: b.fit(validation_data=(X, None)),
        DataError,
        (
            "validation_data: y is missing: the loss needs targets.",
            "Pass x and y, (x, y) for validation_data, or a source of batches (x, y).",
        ),
    ),
    Case(
        "validation_data of four",
        lambda b: b.fit(validation_data=(X, Y, Y, Y)),
        DataError,
        ("validation_data must be (x, y), (x, y, sample_weight), a Dataset or a source of batches, got a tuple of 4.",),
    ),
    Case(
        "y given twice, as x",
        lambda b: b.fit((X, Y), None),
        ArgumentError,
        (
            "The net's forward takes 1 input (input), but x is a tuple of 2 arrays.",
            "A tuple is several inputs: pass one array, and targets apart, fit(x, y).",
        ),
    ),
]

CASES = SHAPES + TYPES + VALUES + SEVERAL + LENGTHS


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_inputs_are_refused(case):
    run_case(case)


FIRST_CALL = [case for case in SHAPES + TYPES + VALUES if not case.steps]


class Other(Bench):
    """Hands the data of a refused ``fit`` to another verb."""

    def __init__(self, verb):
        super().__init__()
        self.verb = verb

    def fit(self, x=X, y=Y, *, net=None, how=None, good=(X, Y), validation_data=None, **options):
        return self.ask(self.model(net, good=good, **(how or {})), x, y, validation_data)

    def from_source(self, source, **options):
        return self.ask(self.model(options.get("net"), good=options.get("good", (X, Y))), source, None, None)

    def ask(self, model, x, y, validation_data):
        if validation_data is not None:
            x, y = validation_data if isinstance(validation_data, tuple) else (validation_data, None)
        if self.verb == "predict":
            return model.predict(x, verbose=0)
        return model.evaluate(x, y, verbose=0)


@pytest.mark.parametrize("verb", ["evaluate", "predict"])
@pytest.mark.parametrize("case", FIRST_CALL, ids=repr)
def test_the_other_verbs_refuse_the_same_inputs(case, verb):
    bench = Other(verb)
    with pytest.raises(case.error if isinstance(case.error, type) else tuple(case.error)):
        case.act(bench)
    bench.check_untouched()


class Unbuilt(Bench):
    """Trains a net whose sizes are not known, in place of the one with known sizes."""

    def model(self, net=None, *, good=(X, Y), **how):
        return super().model(lazy_net() if net is None else net, good=good, **how)


@pytest.mark.parametrize(
    # Colours fit a net that has not seen its first picture yet.
    "case",
    [case for case in TYPES + VALUES + LENGTHS if not case.steps and "colours" not in case.name],
    ids=repr,
)
def test_a_net_without_sizes_is_left_without_or_with_all_of_them(case):
    bench = Unbuilt()
    with pytest.raises(case.error):
        case.act(bench)
    for one in bench.watched:
        assert one.model.optimizer is None or not one.model.optimizer.state
        if one.good is not None:
            history = one.model.fit(*one.good, verbose=0, batch_size=8)
            assert np.isfinite(history.history["loss"]).all()


BYTES = (X.abs() * 60).clamp(max=255).byte()
LISTS = X.tolist()

# What is given, and the float32 tensor that it must train exactly like.
SAME = {
    "float64": (XN.astype("float64"), X),
    "float64 tensor": (X.double(), X),
    "float16": (X.half(), X.half().float()),
    "bfloat16": (X.bfloat16(), X.bfloat16().float()),
    "longdouble": (XN.astype(np.longdouble), X),
    "big-endian": (XN.astype(">f4"), X),
    "big-endian float64": (XN.astype(">f8"), X),
    "Fortran order": (np.asfortranarray(XN), X),
    "negative strides": (XN[::-1, :, ::-1], X.flip(0, 2)),
    "every second row": (np.repeat(XN, 2, axis=0)[::2], X),
    "read-only": (np.frombuffer(XN.tobytes(), "float32").reshape(XN.shape), X),
    "with gradient": (X.clone().requires_grad_(), X),
    "in a graph": (X.clone().requires_grad_() * 1, X),
    "a Parameter": (nn.Parameter(X.clone()), X),
    "an expanded tensor": (X[:1].expand(24, 1, 8, 8), X[:1].repeat(24, 1, 1, 1)),
    "channels-last memory": (X.to(memory_format=torch.channels_last), X),
    "nested lists": (LISTS, X),
    "list of arrays": (list(XN), X),
    "list of float64 arrays": (list(XN.astype(float)), X),
    "list of tensors": (list(X), X),
    "list of (H, W) arrays": (list(XN[:, 0]), X),
    "object array of arrays": (np.array([*list(XN), None], object)[:-1], X),
    "object array of numbers": (XN.astype(object), X),
    "(N, H, W)": (X[:, 0], X),
    "(N, H, W) array": (XN[:, 0], X),
    "masked array, nothing masked": (np.ma.array(XN), X),
    "like a table": (Frame(XN), X),
    "bool": (X > 0, (X > 0).float()),
    "bool array": (XN > 0, (X > 0).float()),
    "int64 of 0 and 1": ((X > 0).long(), (X > 0).float()),
    "uint8": (BYTES, BYTES.float() / 255),
    "uint8 array": (BYTES.numpy(), BYTES.float() / 255),
    "uint8 (N, H, W)": (BYTES[:, 0], BYTES.float() / 255),
    "pictures": ([Image.fromarray(one[0].numpy()) for one in BYTES], BYTES.float() / 255),
    "a subclass of ndarray": (XN.view(np.recarray), X),
    "a memory map": ("memmap", X),
}


@pytest.mark.parametrize("name", SAME)
def test_inputs_are_made_right(name, tmp_path):
    given, right = SAME[name]
    if isinstance(given, str):
        np.save(tmp_path / "x.npy", XN)
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert trained_bits(given, Y) == trained_bits(right, Y)


@pytest.mark.parametrize("name", ["uint8", "float64", "bool", "(N, H, W)", "with gradient"])
def test_batches_of_a_loader_are_made_right(name):
    given, right = SAME[name]
    given = torch.as_tensor(given).detach()
    assert trained_bits(loader(given, Y)) == trained_bits(loader(right, Y))


def test_pandas():
    pandas = pytest.importorskip("pandas")
    rows = X.flatten(1)
    net = nn.Linear(64, 3)
    right = trained_bits(rows, Y, net=net)
    assert trained_bits(pandas.DataFrame(rows.numpy()), pandas.Series(Y.numpy()), net=net) == right
    with pytest.raises(NonFiniteDataError, match="x must hold finite numbers"):
        trained_bits(pandas.DataFrame(rows.numpy()).mask(lambda frame: frame > 1), Y, net=net)


def test_the_data_of_the_user_is_not_changed():
    x, y = XN.copy(), Y.numpy().astype("int16")
    Bench().fit(x, y, epochs=2)
    assert (x == XN).all()
    assert (y == Y.numpy()).all()


def test_two_inputs_in_any_form():
    net, x = TwoInputs(), (HALF, HALF.flip(0))
    right = trained_bits(x, Y, net=net)
    assert trained_bits({"left": x[0], "right": x[1]}, Y, net=net) == right
    assert trained_bits({"right": x[1], "left": x[0].double()}, Y, net=net) == right
    assert trained_bits([({"left": a, "right": b}, y) for a, b, y in _cut(*x, Y)], None, net=net) == trained_bits(
        [((a, b), y) for a, b, y in _cut(*x, Y)], None, net=net
    )


def _cut(*tensors):
    return zip(*(tensor.split(8) for tensor in tensors), strict=True)


def test_tokens_that_the_net_changes_first_are_its_own_business():
    class Hashed(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.table(x % 10).mean(1))

    x = torch.arange(24 * 5).reshape(24, 5)
    net = Hashed()
    assert trained_bits(x, Y, net=net) == trained_bits(x % 10, Y, net=net)


def test_no_warning_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Bench().fit(XN.astype("float64"), Y.int(), validation_split=0.25, how={"metrics": ["accuracy"]}, seed=0)
        Bench().from_source(loader(), validation_data=loader())
