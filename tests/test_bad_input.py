"""Inputs that do not fit: each is made right, or refused before the first step with what to do."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_input import COLOUR, XN, YN, Bench, Case, X, Y, batches, bits, changed, lazy_net, loader, run_case, small_net, trained_bits
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import easyconv as ec
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


def images(mode="L", size=(8, 8), count=24):
    return [Image.new(mode, size) for _ in range(count)]


def table(values):
    return __import__("pandas").DataFrame(values)


SHAPES = [
    Case("3 channels for 1", lambda b: b.fit(X.repeat(1, 3, 1, 1)), DataError),
    Case("1 channel for 3", lambda b: colour(b, COLOUR[:, :1]), DataError),
    Case("4 channels for 3", lambda b: colour(b, COLOUR[:, [0, 1, 2, 0]]), DataError),
    Case("3 channels in validation_data", lambda b: b.fit(validation_data=(X.repeat(1, 3, 1, 1), Y)), DataError),
    Case("3 channels in a loader", lambda b: b.from_source(loader(X.repeat(1, 3, 1, 1))), DataError),
    Case("channels last", lambda b: colour(b, COLOUR_LAST), DataError),
    Case("channels last, NumPy uint8", lambda b: colour(b, (COLOUR_LAST * 255).byte().numpy()), DataError),
    Case("channels last, unknown size", lambda b: b.fit(COLOUR_LAST, net=lazy_net(), good=(COLOUR, Y)), DataError),
    Case("channels last in loader", lambda b: colour_source(b, loader(COLOUR_LAST)), DataError),
    Case("channels last in a list of batches", lambda b: colour_source(b, batches(COLOUR_LAST)), DataError),
    Case("channels last in validation_data", lambda b: colour(b, COLOUR, validation_data=(COLOUR_LAST, Y)), DataError),
    Case(
        "channels last in a validation loader",
        lambda b: colour(b, COLOUR, validation_data=loader(COLOUR_LAST)),
        DataError,
    ),
    Case("one channel last", lambda b: b.fit(X.permute(0, 2, 3, 1)), DataError),
    Case("(N, H, W) for 3 channels", lambda b: colour(b, COLOUR[:, 0]), DataError),
    Case("one image, no batch", lambda b: colour(b, COLOUR[0], Y[:1]), DataError),
    Case("one image, channels last", lambda b: colour(b, COLOUR_LAST[0], Y[:1]), DataError),
    Case("one grey image (H, W)", lambda b: b.fit(X[0, 0], Y[:1]), DataError),
    Case("predict of one image", lambda b: b.model(small_net(3, size=16), good=(COLOUR, Y)).predict(COLOUR[0]), DataError),
    Case("flat rows", lambda b: b.fit(X.flatten(1)), DataError),
    Case("five axes", lambda b: b.fit(X[None]), DataError),
    Case("a single number", lambda b: b.fit(3.5), DataError),
    Case("larger images than the Linear layer", lambda b: b.fit(torch.zeros(24, 1, 9, 9)), ShapeError),
    Case("other size in validation_data", lambda b: b.fit(validation_data=(torch.zeros(24, 1, 9, 9), Y)), ShapeError),
    Case("other size in a later batch", lambda b: b.from_source([*batches(), (torch.zeros(4, 1, 9, 9), Y[:4])]), ShapeError, steps=True),
    Case("other channels in a later batch", lambda b: b.from_source([*batches(), (torch.zeros(4, 3, 8, 8), Y[:4])]), DataError, steps=True),
    Case("images smaller than the kernel", lambda b: b.fit(torch.zeros(24, 1, 2, 2)), ShapeError),
    Case("predict of other size", lambda b: b.model().predict(torch.zeros(2, 1, 9, 9)), ShapeError),
    Case("evaluate of other size", lambda b: b.model().evaluate(torch.zeros(2, 1, 9, 9), Y[:2]), ShapeError),
    Case("sequence for images", lambda b: b.fit(torch.zeros(24, 8)), DataError),
]

TYPES = [
    Case("int64 images beyond 0 and 1", lambda b: b.fit((X.abs() * 100).long()), DataTypeError),
    Case("int16 images", lambda b: b.fit((XN * 100).astype("int16")), DataTypeError),
    Case("uint16 images", lambda b: b.fit((np.abs(XN) * 100).astype("uint16")), DataTypeError),
    Case("int8 images", lambda b: b.fit((XN * 10).astype("int8")), DataTypeError),
    Case("int64 images in a loader", lambda b: b.from_source(loader((X.abs() * 100).long())), DataTypeError),
    Case("uint64 beyond int64", lambda b: b.fit(np.full((24, 1, 8, 8), 2**64 - 1, "uint64")), DataTypeError),
    Case("complex array", lambda b: b.fit(XN.astype("complex64")), DataTypeError),
    Case("complex tensor", lambda b: b.fit(X.to(torch.complex64)), DataTypeError),
    Case("text array", lambda b: b.fit(XN.astype(str)), DataTypeError),
    Case("object array with text", lambda b: b.fit(np.array([["a", 1.0]] * 24, object)), DataTypeError),
    Case("object array with None", lambda b: b.fit(np.array([[None, 1.0]] * 24, object)), DataTypeError),
    Case("list with None", lambda b: b.fit([[None, 1.0]] * 24), DataTypeError),
    Case("list of None", lambda b: b.fit([None] * 24), DataTypeError),
    Case("None", lambda b: b.fit(None), DataTypeError),
    Case("None and no y", lambda b: b.fit(None, None), DataTypeError),
    Case("a path", lambda b: b.fit("images/"), DataTypeError),
    Case("a Path", lambda b: b.fit(Path("images")), DataTypeError),
    Case("bytes", lambda b: b.fit(b"123"), DataTypeError),
    Case("list of paths", lambda b: b.fit(["a.png"] * 24), DataTypeError),
    Case("list of Paths", lambda b: b.fit([Path("a.png")] * 24), DataTypeError),
    Case("dates", lambda b: b.fit(np.full((24, 8), "2026-01-01", "datetime64[D]")), DataTypeError),
    Case("durations", lambda b: b.fit(np.full((24, 8), 3, "timedelta64[s]")), DataTypeError),
    Case("structured array", lambda b: b.fit(np.zeros(24, [("a", "f4"), ("b", "f4")])), DataTypeError),
    Case("masked array", lambda b: b.fit(np.ma.masked_greater(XN, 1.0)), DataTypeError),
    Case("sparse tensor", lambda b: b.fit(X.to_sparse()), DataTypeError),
    Case("SciPy sparse", lambda b: b.fit(__import__("scipy.sparse").sparse.csr_matrix(np.eye(24))), DataTypeError),
    Case("nested tensor", lambda b: b.fit(torch.nested.nested_tensor([X[0], X[1]])), DataTypeError),
    Case("set", lambda b: b.fit({1.0, 2.0}), DataTypeError),
    Case("an object", lambda b: b.fit(object()), DataTypeError),
    Case("a number", lambda b: b.fit(True), DataError),
    Case("a module", lambda b: b.fit(nn.Linear(1, 1)), DataTypeError),
    Case("ragged lists", lambda b: b.fit([[1.0, 2.0], [3.0]] * 12), DataError),
    Case("ragged nested lists", lambda b: b.fit([[[1.0, 2.0]], [[3.0]]] * 12), DataError),
    Case("list of arrays of two shapes", lambda b: b.fit([XN[0], XN[1, :, :4]] * 12), DataError),
    Case("list of tensors of two shapes", lambda b: b.fit([X[0], X[1, :, :4]] * 12), DataError),
    Case("pictures of two sizes", lambda b: b.fit(images(count=12) + images(size=(9, 9), count=12)), DataError),
    Case("pictures with colours for 1 channel", lambda b: b.fit(images("RGB")), DataError),
    Case("object array of ragged arrays", lambda b: b.fit(np.array([XN[0], XN[1, :, :4]] * 12 + [None], object)[:-1]), DataError),
    Case("pandas text", lambda b: b.fit(table({"a": ["x"] * 24, "b": [1.0] * 24})), DataTypeError),
    Case("pandas missing values", lambda b: b.fit(table({"a": [1.0, None] * 12}), net=nn.Linear(1, 3), good=None), NonFiniteDataError),
    Case("meta tensor", lambda b: b.fit(X.to("meta")), DataTypeError),
    Case("quantized tensor", lambda b: b.fit(torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)), DataTypeError),
]

VALUES = [
    Case("NaN in x", lambda b: b.fit(changed(X, (5, 0, 0, 0), NAN)), NonFiniteDataError),
    Case("Inf in x", lambda b: b.fit(changed(X, (23, 0, 0, 0), INF)), NonFiniteDataError),
    Case("-Inf in x", lambda b: b.fit(changed(X, (0, 0, 0, 0), -INF)), NonFiniteDataError),
    Case("beyond float32", lambda b: b.fit(np.where(np.arange(24)[:, None, None, None] == 3, 1e300, XN)), NonFiniteDataError),
    Case("beyond float16 is not the same", lambda b: b.fit(changed(X.half(), (2, 0, 0, 0), INF)), NonFiniteDataError),
    Case("NaN in validation_data", lambda b: b.fit(validation_data=(changed(X, 7, NAN), Y)), NonFiniteDataError),
    Case("NaN in a loader", lambda b: b.from_source(loader(changed(X, 20, NAN))), NonFiniteDataError),
    Case("NaN in a later batch", lambda b: b.from_source(batches(changed(X, 20, NAN))), NonFiniteDataError, steps=True),
    Case("NaN in a validation loader", lambda b: b.fit(validation_data=loader(changed(X, 20, NAN))), NonFiniteDataError),
    Case("NaN in a list of numbers", lambda b: b.fit([[1.0, NAN]] * 24, net=nn.Linear(2, 3), good=(torch.ones(24, 2), Y)), NonFiniteDataError),
    Case("NaN in predict", lambda b: b.model().predict(changed(X, 1, NAN)), NonFiniteDataError),
    Case("NaN in evaluate", lambda b: b.model().evaluate(changed(X, 1, NAN), Y), NonFiniteDataError),
    Case("NaN in train_on_batch", lambda b: b.model().train_on_batch(changed(X, 1, NAN), Y), NonFiniteDataError),
    Case("NaN in the second input", lambda b: b.fit((X[:, 0, 0], changed(X[:, 0, 0], 3, NAN)), net=TwoInputs(), good=((X[:, 0, 0], X[:, 0, 0]), Y)), NonFiniteDataError),
    Case("tokens below 0", lambda b: tokens(b, torch.full((24, 5), -1)), DataError),
    Case("tokens beyond the table", lambda b: tokens(b, torch.full((24, 5), 10)), (DataError, ShapeError)),
    Case("a late token beyond the table", lambda b: tokens(b, changed(torch.zeros(24, 5).long(), (20, 1), 10)), DataError),
    Case("tokens with fractions", lambda b: tokens(b, torch.full((24, 5), 0.5)), DataTypeError),
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
    Case("one input for two", lambda b: two(b, HALF), ArgumentError),
    Case("three inputs for two", lambda b: two(b, (HALF, HALF, HALF)), ArgumentError),
    Case("list of two inputs", lambda b: two(b, [HALF, HALF]), DataError),
    Case("dict with a wrong key", lambda b: two(b, {"left": HALF, "rigth": HALF}), ArgumentError),
    Case("dict with a key too few", lambda b: two(b, {"left": HALF}), ArgumentError),
    Case("dict with a key too many", lambda b: two(b, {"left": HALF, "right": HALF, "id": HALF}), ArgumentError),
    Case("two inputs for one", lambda b: b.fit((X, X)), ArgumentError),
    Case("dict for one input", lambda b: b.fit({"image": X}), ArgumentError),
    Case("inputs of two lengths", lambda b: two(b, (HALF, HALF[:20])), LengthError),
    Case("inputs in a dict of two lengths", lambda b: two(b, {"left": HALF, "right": HALF[:20]}), LengthError),
    Case("empty tuple", lambda b: b.fit(()), EmptyDataError),
    Case("empty dict", lambda b: b.fit({}), EmptyDataError),
    Case("predict with one input for two", lambda b: b.model(TwoInputs(), good=((HALF, HALF), Y)).predict(HALF), ArgumentError),
    Case("validation with one input for two", lambda b: two(b, (HALF, HALF), validation_data=(HALF, Y)), ArgumentError),
    Case("inputs swapped shapes", lambda b: two(b, (HALF, HALF[:, :4])), ShapeError),
]

LENGTHS = [
    Case("24 and 20", lambda b: b.fit(y=Y[:20]), LengthError),
    Case("20 and 24", lambda b: b.fit(X[:20]), LengthError),
    Case("24 and 20 in a batch", lambda b: b.from_source([(X, Y[:20])]), LengthError),
    Case("24 and 20 in validation_data", lambda b: b.fit(validation_data=(X, Y[:20])), LengthError),
    Case("24 and 20 with validation_split", lambda b: b.fit(y=Y[:20], validation_split=0.25), LengthError),
    Case("weights too few", lambda b: b.fit(sample_weight=torch.ones(20)), LengthError),
    Case("empty x", lambda b: b.fit(X[:0], Y[:0]), EmptyDataError),
    Case("empty list", lambda b: b.fit([], []), EmptyDataError),
    Case("empty list alone", lambda b: b.fit([]), EmptyDataError),
    Case("empty array", lambda b: b.fit(np.array([]), np.array([])), EmptyDataError),
    Case("empty y", lambda b: b.fit(y=Y[:0]), EmptyDataError),
    Case("empty validation_data", lambda b: b.fit(validation_data=(X[:0], Y[:0])), EmptyDataError),
    Case("an axis of size 0", lambda b: b.fit(X[:, :, :0]), EmptyDataError),
    Case("predict of nothing", lambda b: b.model().predict(X[:0]), EmptyDataError),
    Case("evaluate of nothing", lambda b: b.model().evaluate(X[:0], Y[:0]), EmptyDataError),
    Case("no y", lambda b: b.fit(y=None), DataError),
    Case("no y in evaluate", lambda b: b.model().evaluate(X), DataError),
    Case("validation_data without y", lambda b: b.fit(validation_data=X), DataError),
    Case("validation_data (x, None)", lambda b: b.fit(validation_data=(X, None)), DataError),
    Case("validation_data of four", lambda b: b.fit(validation_data=(X, Y, Y, Y)), DataError),
    Case("validation_data as list", lambda b: b.fit(validation_data=[X, Y]), DataError),
    Case("y given twice, as x", lambda b: b.fit((X, Y), None), (DataError, ArgumentError)),
]

CASES = SHAPES + TYPES + VALUES + SEVERAL + LENGTHS
