"""Targets and weights that do not fit: each is made right, or refused before the first step with what to do."""

import numpy as np
import pytest
import torch
from bad_input import ROWS, Bench, Case, X, Y, batches, changed, loader, run_case, small_net, trained_bits
from torch import nn
from torch.utils.data import Dataset

from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DataTypeError,
    EasyconvWarning,
    LabelError,
    LengthError,
    NonFiniteDataError,
)

NAN = float("nan")
ONE_HOT = torch.eye(3)[Y]
BINARY = (Y == 1).float()
VALUES = torch.linspace(-1, 1, ROWS)


def binary(b, y, outputs=1, **options):
    return b.fit(
        y=y,
        net=small_net(outputs=outputs),
        how={"loss": "bce"},
        good=(X, BINARY if outputs == 1 else ONE_HOT),
        **options,
    )


def values(b, y, outputs=1, loss="mse", **options):
    return b.fit(
        y=y,
        net=small_net(outputs=outputs),
        how={"loss": loss},
        good=(X, VALUES if outputs == 1 else ONE_HOT),
        **options,
    )


def pixels(b, y, **options):
    net = nn.Conv2d(1, 3, 3, padding=1)
    return b.fit(y=y, net=net, good=(X, torch.zeros(24, 8, 8).long()), **options)


class Rows(Dataset):
    """A data set that tells nothing of its labels."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        return self.x[row], self.y[row]


class Kept(Rows):
    @property
    def targets(self):
        return self.y


RANGE = [
    Case(
        "label 3 of 3 classes",
        lambda b: b.fit(y=changed(Y, 5, 3)),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3, NumPy int32",
        lambda b: b.fit(y=changed(Y, 5, 3).int().numpy()),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3, as float",
        lambda b: b.fit(y=changed(Y, 5, 3).float()),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3, as (N, 1)",
        lambda b: b.fit(y=changed(Y, 5, 3)[:, None]),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3, in a list",
        lambda b: b.fit(y=changed(Y, 5, 3).tolist()),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "labels from 1",
        lambda b: b.fit(y=Y + 1),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 2.",
            "These labels start at 1: subtract 1.",
        ),
    ),
    Case(
        "labels from 1, some missing",
        lambda b: b.fit(y=torch.where(Y == 0, 2, Y) + 1),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 0.",
            "These labels start at 1: subtract 1.",
        ),
    ),
    Case(
        "label -1",
        lambda b: b.fit(y=changed(Y, 2, -1)),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got -1 in row 2.",
            "Remove those rows, or name the label to skip: CrossEntropyLoss(ignore_index=...).",
        ),
    ),
    Case(
        "label -100",
        lambda b: b.fit(y=changed(Y, Y == 1, -100)),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got -100 in row 1. "
            "torch would skip such rows in silence",
            "y[y == -100] = -1 and CrossEntropyLoss(ignore_index=-1).",
        ),
    ),
    Case(
        "label 255",
        lambda b: b.fit(y=changed(Y.to(torch.uint8), 2, 255)),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 255 in row 2.",
            "Where 255 marks what does not count, name it: CrossEntropyLoss(ignore_index=255).",
        ),
    ),
    Case(
        "label far away",
        lambda b: b.fit(y=changed(Y, 2, 10**12)),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 1000000000000 in row 2.",
            "Are these numbers of rows, or values to predict?",
            'For values use loss="mse".',
        ),
    ),
    Case(
        "label 3 in validation_data only",
        lambda b: b.fit(validation_data=(X, changed(Y, 5, 3))),
        LabelError,
        (
            "validation_data: y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, "
            "got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3 in a loader's last batch",
        lambda b: b.from_source(loader(X, changed(Y, 23, 3))),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 23.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3 in a validation loader's last batch",
        lambda b: b.fit(validation_data=loader(X, changed(Y, 23, 3))),
        LabelError,
        (
            "validation_data: y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, "
            "got 3 in row 23.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3 in a data set's last row",
        lambda b: b.from_source(Rows(X, changed(Y, 23, 3)), shuffle=False),
        LabelError,
        (
            "Batch 0: y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 23.",
            "End the net with 4 outputs, or correct the labels.",
        ),
        steps=True,
    ),
    Case(
        "label 3 among kept labels",
        lambda b: b.from_source(Kept(X, changed(Y, 23, 3)), shuffle=False),
        LabelError,
        (
            "Batch 0: y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 23.",
            "End the net with 4 outputs, or correct the labels.",
        ),
        steps=True,
    ),
    Case(
        "label 3 in the last of a list of batches",
        lambda b: b.from_source(batches(X, changed(Y, 23, 3))),
        LabelError,
        (
            "Batch 2: y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 7.",
            "End the net with 4 outputs, or correct the labels.",
        ),
        steps=True,
    ),
    Case(
        "label 3 in a generator's last batch",
        lambda b: b.from_source(iter(batches(X, changed(Y, 23, 3)))),
        LabelError,
        (
            "Batch 2: y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 7.",
            "End the net with 4 outputs, or correct the labels.",
        ),
        steps=True,
    ),
    Case(
        "label 3 in evaluate",
        lambda b: b.model().evaluate(X, changed(Y, 5, 3), verbose=0),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3 in train_on_batch",
        lambda b: b.model().train_on_batch(X, changed(Y, 5, 3)),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3 with validation_split",
        lambda b: b.fit(y=changed(Y, 5, 3), validation_split=0.25, seed=0),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 3.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3 for nll",
        lambda b: b.fit(y=changed(Y, 5, 3), net=nn.Sequential(small_net(), nn.LogSoftmax(1)), how={"loss": "nll"}),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for nll, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3 for CrossEntropyLoss()",
        lambda b: b.fit(y=changed(Y, 5, 3), how={"loss": nn.CrossEntropyLoss()}),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3 for hinge",
        lambda b: b.fit(y=changed(Y, 5, 3), how={"loss": "hinge"}),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for hinge, got 3 in row 5.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "label 3, own function around cross_entropy",
        lambda b: b.fit(
            y=changed(Y, 5, 3), how={"loss": lambda o, t: nn.functional.cross_entropy(o, t)}, shuffle=False
        ),
        LabelError,
        (
            "The loss '<lambda>' failed on the output, a tensor (8, 3), and the target, a tensor (8,) "
            "(float32 and int64):",
            "Target 3 is out of bounds.",
            "Look whether their shapes, types and values are what it expects.",
        ),
    ),
    Case(
        "label 255 beside ignore_index=-1",
        lambda b: b.fit(y=changed(changed(Y, 0, -1), 2, 255), how={"loss": nn.CrossEntropyLoss(ignore_index=-1)}),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 255 in row 2.",
            "Where 255 marks what does not count, name it: CrossEntropyLoss(ignore_index=255).",
        ),
    ),
    Case(
        "pixel label 3",
        lambda b: pixels(b, changed(torch.zeros(24, 8, 8).long(), (3, 1, 1), 3)),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 3.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
]

KINDS = [
    Case(
        "fractions",
        lambda b: b.fit(y=Y * 0.85),
        LabelError,
        (
            "y must be whole numbers for cross_entropy, got 0.85 in row 1.",
            'For numbers to predict use loss="mse".',
        ),
    ),
    Case(
        "0.5 and 1.7",
        lambda b: b.fit(y=torch.tensor([0.5, 1.7] * 12)),
        LabelError,
        (
            "y must be whole numbers for cross_entropy, got 0.5 in row 0.",
            'For numbers to predict use loss="mse".',
        ),
    ),
    Case(
        "NaN label",
        lambda b: b.fit(y=changed(Y.float(), 3, NAN)),
        NonFiniteDataError,
        (
            "y must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 3.",
            "Remove those rows, or fill them: numpy.nan_to_num(y).",
        ),
    ),
    Case(
        "NaN in a list",
        lambda b: b.fit(y=[0, 1, NAN] * 8),
        NonFiniteDataError,
        (
            "y must hold finite numbers, got 8 that are NaN or infinite (as float32), the first in row 2.",
            "Remove those rows, or fill them: numpy.nan_to_num(y).",
        ),
    ),
    Case(
        "Inf label",
        lambda b: b.fit(y=changed(Y.float(), 3, float("inf"))),
        NonFiniteDataError,
        (
            "y must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 3.",
            "Remove those rows, or fill them: numpy.nan_to_num(y).",
        ),
    ),
    Case(
        "text labels",
        lambda b: b.fit(y=["cat", "dog", "cow"] * 8),
        DataTypeError,
        (
            "y must hold numbers, got text such as 'cat'.",
            "For class names take names, labels = numpy.unique(y, return_inverse=True).",
        ),
    ),
    Case(
        "text labels, NumPy",
        lambda b: b.fit(y=np.array(["cat", "dog", "cow"] * 8)),
        DataTypeError,
        (
            "y must hold numbers, got text such as 'cat'.",
            "For class names take names, labels = numpy.unique(y, return_inverse=True).",
        ),
    ),
    Case(
        "text labels, objects",
        lambda b: b.fit(y=np.array(["cat", "dog", "cow"] * 8, object)),
        DataTypeError,
        (
            "y must hold numbers, got text such as 'cat'.",
            "For class names take names, labels = numpy.unique(y, return_inverse=True).",
        ),
    ),
    Case(
        "text that are numbers",
        lambda b: b.fit(y=["0", "1", "2"] * 8),
        DataTypeError,
        (
            "y must hold numbers, got text such as '0'.",
            "Convert it: numpy.asarray(y).astype(float).",
        ),
    ),
    Case(
        "text labels with validation_split",
        lambda b: b.fit(y=["cat", "dog", "cow"] * 8, validation_split=0.25, seed=0),
        DataTypeError,
        (
            "y must hold numbers, got text such as 'cat'.",
            "For class names take names, labels = numpy.unique(y, return_inverse=True).",
        ),
    ),
    Case(
        "text labels in a list of batches",
        lambda b: b.from_source([(X, ["cat", "dog", "cow"] * 8)]),
        DataTypeError,
        (
            "Batch 0: y must hold numbers, got text such as 'cat'.",
            "For class names take names, labels = numpy.unique(y, return_inverse=True).",
        ),
    ),
    Case(
        "text labels in a data set",
        lambda b: b.from_source(Rows(X, ["cat", "dog", "cow"] * 8), shuffle=False),
        DataTypeError,
        (
            "Batch 0: y must hold numbers, got text such as 'cat'.",
            "For class names take names, labels = numpy.unique(y, return_inverse=True).",
        ),
    ),
    Case(
        "None among labels",
        lambda b: b.fit(y=[0, None, 1] * 8),
        DataTypeError,
        (
            "y must hold numbers, got None in it.",
            "Remove or fill the missing values.",
        ),
    ),
    Case(
        "complex labels",
        lambda b: b.fit(y=Y.to(torch.complex64)),
        DataTypeError,
        (
            "y must hold real numbers, got complex64 of shape (24,).",
            "Pass abs(y), or real and imaginary parts as channels.",
        ),
    ),
    Case(
        "ragged labels",
        lambda b: b.fit(y=[[0], [0, 1]] * 12),
        DataError,
        (
            "y must have rows of one shape, got (1,) in row 0 and (2,) in row 1.",
            "Resize or pad them",
            "arrays that belong side by side, as (x, y) or as several inputs, go into a tuple, not a list.",
        ),
    ),
    Case(
        "labels in a dict",
        lambda b: b.fit(y={"label": Y}),
        DataError,
        (
            "y must be one array, since the net gives one output of shape (N, 3), got a dict with the keys 'label'.",
            "Pass y['label'], or let the net give several outputs.",
        ),
    ),
    Case(
        "labels in a tuple",
        lambda b: b.fit(y=(Y,)),
        DataError,
        (
            "y must be one array, since the net gives one output of shape (N, 3), got a tuple of 1 arrays.",
            "Pass y[0], or let the net give several outputs.",
        ),
    ),
    Case(
        "one-hot of 4 for 3 outputs",
        lambda b: b.fit(y=torch.eye(4)[Y]),
        LabelError,
        (
            "y is one-hot with 4 columns, but the net's output has 3 classes.",
            "Let the net end with 4 outputs, or pass class indices: y.argmax(1).",
        ),
    ),
    Case(
        "one-hot of 2 for 3 outputs",
        lambda b: b.fit(y=torch.eye(2)[Y % 2]),
        LabelError,
        (
            "y is one-hot with 2 columns, but the net's output has 3 classes.",
            "Let the net end with 2 outputs, or pass class indices: y.argmax(1).",
        ),
    ),
    Case(
        "one-hot int of 4 for 3",
        lambda b: b.fit(y=torch.eye(4).long()[Y]),
        LabelError,
        (
            "y is one-hot with 4 columns, but the net's output has 3 classes.",
            "Let the net end with 4 outputs, or pass class indices: y.argmax(1).",
        ),
    ),
    Case(
        "two ones in a row",
        lambda b: b.fit(y=changed(ONE_HOT, 4, 1.0)),
        LabelError,
        (
            "y has one number per class, which must be probabilities for cross_entropy: at least 0 with the sum 1.",
            "Row 4 has the sum 3 and the least value 1.",
            'For several labels per sample use loss="bce".',
        ),
    ),
    Case(
        "two ones in an int row",
        lambda b: b.fit(y=changed(ONE_HOT.long(), 4, 1)),
        LabelError,
        (
            "y must be one-hot (a single 1 per sample) or class indices for cross_entropy, got int64 of "
            "shape (24, 3) that is neither, first in row 4.",
            'For several labels per sample use loss="bce".',
        ),
    ),
    Case(
        "probabilities that sum to 0.9",
        lambda b: b.fit(y=ONE_HOT * 0.9),
        LabelError,
        (
            "y has one number per class, which must be probabilities for cross_entropy: at least 0 with the sum 1.",
            "Row 0 has the sum 0.9 and the least value 0.",
            'For several labels per sample use loss="bce".',
        ),
    ),
    Case(
        "probabilities below 0",
        lambda b: b.fit(y=changed(ONE_HOT, 4, torch.tensor([1.5, -0.5, 0.0]))),
        LabelError,
        (
            "y has one number per class, which must be probabilities for cross_entropy: at least 0 with the sum 1.",
            "Row 4 has the sum 1 and the least value -0.5.",
            'For several labels per sample use loss="bce".',
        ),
    ),
    Case(
        "NaN in probabilities",
        lambda b: b.fit(y=changed(ONE_HOT, 4, NAN)),
        NonFiniteDataError,
        (
            "y must hold finite numbers, got 3 that are NaN or infinite (as float32), the first in row 4.",
            "Remove those rows, or fill them: numpy.nan_to_num(y).",
        ),
    ),
    Case(
        "two labels per row",
        lambda b: b.fit(y=torch.stack([Y, Y], 1)),
        LabelError,
        (
            "y must be class labels of shape (N,) for the net's output (N, 3) and cross_entropy, got int64 "
            "of shape (24, 2).",
            'For several labels per sample use loss="bce".',
        ),
    ),
    Case(
        "a label per pixel",
        lambda b: b.fit(y=torch.zeros(24, 8, 8).long()),
        LabelError,
        (
            "y must be class labels of shape (N,) for the net's output (N, 3) and cross_entropy, got int64 "
            "of shape (24, 8, 8).",
            "For a label per pixel the net must keep its spatial axes: no Flatten or pooling to one.",
        ),
    ),
    Case(
        "one label for a picture",
        lambda b: pixels(b, Y),
        LabelError,
        (
            "y must be class labels of shape (N, 8, 8) for the net's output (N, 3, 8, 8) and "
            "cross_entropy, got int64 of shape (24,).",
            "For one label per sample a Flatten or GlobalAvgPool before the last Dense layer is missing.",
        ),
    ),
    Case(
        "labels of other pixels",
        lambda b: pixels(b, torch.zeros(24, 4, 4).long()),
        LabelError,
        (
            "y must be class labels of shape (N, 8, 8) for the net's output (N, 3, 8, 8) and "
            "cross_entropy, got int64 of shape (24, 4, 4).",
            "Resize the labels to the output, or let the net give outputs of the labels' size.",
        ),
    ),
    Case(
        "cross_entropy with 1 output",
        lambda b: b.fit(y=Y % 2, net=small_net(outputs=1), good=None),
        LabelError,
        (
            "y holds class labels for cross_entropy, which needs one output per class, but the net's "
            "output is (N, 1): one number per sample.",
            'For two classes use loss="bce" with this output',
            "otherwise end the net with as many outputs as there are classes.",
        ),
    ),
    Case(
        "missing Flatten",
        lambda b: b.fit(net=nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(6, 3)), good=None),
        LabelError,
        (
            "y must be class labels of shape (N, 6, 3) for the net's output (N, 4, 6, 3) and "
            "cross_entropy, got int64 of shape (24,).",
            "For one label per sample a Flatten or GlobalAvgPool before the last Dense layer is missing.",
        ),
    ),
    Case(
        "missing GlobalAvgPool",
        lambda b: b.fit(net=nn.Conv2d(1, 3, 3), good=None),
        LabelError,
        (
            "y must be class labels of shape (N, 6, 6) for the net's output (N, 3, 6, 6) and "
            "cross_entropy, got int64 of shape (24,).",
            "For one label per sample a Flatten or GlobalAvgPool before the last Dense layer is missing.",
        ),
    ),
    Case(
        "labels 0-9 for 3 outputs",
        lambda b: b.fit(y=torch.arange(24) % 10),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got 3 in row 3.",
            "End the net with 10 outputs, or correct the labels.",
        ),
    ),
    Case(
        "images as labels",
        lambda b: b.fit(y=X),
        LabelError,
        (
            "y must be class labels of shape (N,) for the net's output (N, 3) and cross_entropy, got "
            "float32 of shape (24, 1, 8, 8).",
            "For a label per pixel the net must keep its spatial axes: no Flatten or pooling to one.",
        ),
    ),
]

BCE = [
    Case(
        "bce, (N,) for 3 outputs",
        lambda b: binary(b, Y, outputs=3),
        DataError,
        (
            "y must have the shape of the net's output for bce, (N, 3), got (24,).",
            "For one yes-or-no label per sample end the net with one output",
            'for 3 classes use loss="cross_entropy".',
        ),
    ),
    Case(
        "bce, labels 0 to 2",
        lambda b: binary(b, Y),
        LabelError,
        (
            "y must be between 0 and 1 for bce, got 2 in row 2 (values from 0 to 2).",
            'For more than two classes use loss="cross_entropy" and one output per class.',
        ),
    ),
    Case(
        "bce, labels -1 and 1",
        lambda b: binary(b, BINARY * 2 - 1),
        LabelError,
        (
            "y must be between 0 and 1 for bce, got -1 in row 0 (values from -1 to 1).",
            "Labels of -1 and 1 become 0 and 1 with (y + 1) / 2.",
        ),
    ),
    Case(
        "bce, labels 1 and 2",
        lambda b: binary(b, BINARY + 1),
        LabelError,
        (
            "y must be between 0 and 1 for bce, got 2 in row 1 (values from 1 to 2).",
            "Labels start at 0: subtract 1.",
        ),
    ),
    Case(
        "bce, labels 0 and 255",
        lambda b: binary(b, (BINARY * 255).byte()),
        LabelError,
        (
            "y must be between 0 and 1 for bce, got 255 in row 1 (values from 0 to 255).",
            'For more than two classes use loss="cross_entropy" and one output per class.',
        ),
    ),
    Case(
        "bce, NaN",
        lambda b: binary(b, changed(BINARY, 3, NAN)),
        NonFiniteDataError,
        (
            "y must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 3.",
            "Remove those rows, or fill them: numpy.nan_to_num(y).",
        ),
    ),
    Case(
        "bce, (N, 2) for one output",
        lambda b: binary(b, torch.eye(2)[Y % 2]),
        DataError,
        (
            "y must have the shape of the net's output for bce, (N, 1), got (24, 2).",
            'These are one-hot rows of two classes: pass the second column, y[:, 1], or take loss="cross_entropy".',
        ),
    ),
    Case(
        "bce, 1.5 in one of three",
        lambda b: binary(b, changed(ONE_HOT, (4, 1), 1.5), outputs=3),
        LabelError,
        (
            "y must be between 0 and 1 for bce, got 1.5 in row 4 (values from 0 to 1.5).",
            'For more than two classes use loss="cross_entropy" and one output per class.',
        ),
    ),
    Case(
        "bce, label 2 in validation",
        lambda b: binary(b, BINARY, validation_data=(X, Y)),
        LabelError,
        (
            "validation_data: y must be between 0 and 1 for bce, got 2 in row 2 (values from 0 to 2).",
            'For more than two classes use loss="cross_entropy" and one output per class.',
        ),
    ),
    Case(
        "bce, text",
        lambda b: binary(b, ["yes", "no"] * 12),
        DataTypeError,
        (
            "y must hold numbers, got text such as 'yes'.",
            "For class names take names, labels = numpy.unique(y, return_inverse=True).",
        ),
    ),
]

REGRESSION = [
    Case(
        "(N,) for 3 outputs",
        lambda b: values(b, VALUES, outputs=3),
        DataError,
        (
            "y must have the shape of the net's output for mse, (N, 3), got (24,).",
            "For one number per sample end the net with one output.",
        ),
    ),
    Case(
        "(N, 3) for 1 output",
        lambda b: values(b, ONE_HOT),
        DataError,
        (
            "y must have the shape of the net's output for mse, (N, 1), got (24, 3).",
            "Let the net end with 3 outputs per sample of that shape, or reshape the targets.",
        ),
    ),
    Case(
        "(N, 2) for 3 outputs",
        lambda b: values(b, ONE_HOT[:, :2], outputs=3),
        DataError,
        (
            "y must have the shape of the net's output for mse, (N, 3), got (24, 2).",
            "Let the net end with 2 outputs per sample of that shape, or reshape the targets.",
        ),
    ),
    Case(
        "(N, 1, 3)? no: (N, 3, 2)",
        lambda b: values(b, torch.zeros(24, 3, 2), outputs=3),
        DataError,
        (
            "y must have the shape of the net's output for mse, (N, 3), got (24, 3, 2).",
            "Let the net end with 6 outputs per sample of that shape, or reshape the targets.",
        ),
    ),
    Case(
        "NaN among values",
        lambda b: values(b, changed(VALUES, 3, NAN)),
        NonFiniteDataError,
        (
            "y must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 3.",
            "Remove those rows, or fill them: numpy.nan_to_num(y).",
        ),
    ),
    Case(
        "NaN among values in a loader",
        lambda b: b.from_source(
            loader(X, changed(VALUES, 23, NAN)), net=small_net(outputs=1), how={"loss": "mse"}, good=(X, VALUES)
        ),
        NonFiniteDataError,
        (
            "y must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 23.",
            "Remove those rows, or fill them: numpy.nan_to_num(y).",
        ),
    ),
    Case(
        "images for a number",
        lambda b: values(b, X),
        DataError,
        (
            "y must have the shape of the net's output for mse, (N, 1), got (24, 1, 8, 8).",
            "Let the net end with 64 outputs per sample of that shape, or reshape the targets.",
        ),
    ),
    Case(
        "class labels for mse",
        lambda b: values(b, Y, outputs=3),
        DataError,
        (
            "y must have the shape of the net's output for mse, (N, 3), got (24,).",
            "For one number per sample end the net with one output.",
        ),
    ),
    Case(
        "own loss would broadcast",
        lambda b: values(b, VALUES, loss=lambda o, t: ((o - t) ** 2).mean()),
        EasyconvWarning,
        (
            "The loss '<lambda>' makes a table of shape (8, 8) of the output (8, 1) and the target (8,): "
            "each output is compared with every target.",
            "Give both one shape in it: target.reshape(output.shape).",
        ),
    ),
    Case(
        "own loss, one value per pair",
        lambda b: values(b, VALUES, loss=lambda o, t: (o - t) ** 2),
        EasyconvWarning,
        (
            "The loss '<lambda>' makes a table of shape (8, 8) of the output (8, 1) and the target (8,): "
            "each output is compared with every target.",
            "Give both one shape in it: target.reshape(output.shape).",
        ),
    ),
]

WEIGHTS = [
    Case(
        "negative sample_weight",
        lambda b: b.fit(sample_weight=changed(torch.ones(24), 3, -1.0)),
        DataError,
        (
            "sample_weight must be at least 0, got -1 in row 3.",
            "Samples of weight 0 do not count.",
        ),
    ),
    Case(
        "NaN sample_weight",
        lambda b: b.fit(sample_weight=changed(torch.ones(24), 3, NAN)),
        NonFiniteDataError,
        (
            "sample_weight must hold finite numbers, got 1 that is NaN or infinite (as float32), the first in row 3.",
            "Remove those rows, or fill them: numpy.nan_to_num(sample_weight).",
        ),
    ),
    Case(
        "sample_weight (N, 3)",
        lambda b: b.fit(sample_weight=torch.ones(24, 3)),
        DataError,
        ("sample_weight must be one number per sample, shape (24,), got shape (24, 3).",),
    ),
    Case(
        "sample_weight a number",
        lambda b: b.fit(sample_weight=2.0),
        DataError,
        (
            "sample_weight must be one number per sample, shape (24,), got the single number 2.0.",
            "A weight that all samples share is another learning rate: lr=.",
        ),
    ),
    Case(
        "sample_weight text",
        lambda b: b.fit(sample_weight="balanced"),
        DataTypeError,
        (
            "sample_weight must be one number per sample, shape (24,), got a str.",
            'Weights of classes go to class_weight: "balanced", or a dict {class: weight}.',
        ),
    ),
    Case(
        "sample_weight a dict",
        lambda b: b.fit(sample_weight={0: 1.0}),
        DataTypeError,
        (
            "sample_weight must be one number per sample, shape (24,), got a dict.",
            'Weights of classes go to class_weight: "balanced", or a dict {class: weight}.',
        ),
    ),
    Case(
        "sample_weight empty",
        lambda b: b.fit(sample_weight=[]),
        DataError,
        (
            "sample_weight has no rows: it is an empty list.",
            "Pass at least one sample.",
        ),
    ),
    Case(
        "sample_weight all zero",
        lambda b: b.fit(sample_weight=torch.zeros(24)),
        DataError,
        (
            "sample_weight is 0 for all 24 samples, so that none counts.",
            "Give some of them a weight above 0.",
        ),
    ),
    Case(
        "sample_weight in validation negative",
        lambda b: b.fit(validation_data=(X, Y, -torch.ones(24))),
        DataError,
        (
            "validation_data: sample_weight must be at least 0, got -1 in row 0.",
            "Samples of weight 0 do not count.",
        ),
    ),
    Case(
        "sample_weight too few in validation",
        lambda b: b.fit(validation_data=(X, Y, torch.ones(20))),
        LengthError,
        ("validation_data: sample_weight must have one number for each of the 24 samples, got 20.",),
    ),
    Case(
        "sample_weight with a loader",
        lambda b: b.from_source(loader(), sample_weight=torch.ones(24)),
        DataError,
        ("sample_weight must be left out where x is a DataLoader: let it yield (x, y, sample_weight).",),
    ),
    Case(
        "sample_weight negative in evaluate",
        lambda b: b.model().evaluate(X, Y, sample_weight=-torch.ones(24)),
        DataError,
        (
            "sample_weight must be at least 0, got -1 in row 0.",
            "Samples of weight 0 do not count.",
        ),
    ),
    Case(
        "loss has no row values",
        lambda b: b.fit(sample_weight=torch.ones(24), how={"loss": lambda o, t: nn.functional.cross_entropy(o, t)}),
        ArgumentError,
        (
            "sample_weight and class_weight need a loss per row, but '<lambda>' returns a tensor of shape "
            "() for 8 rows.",
            'Return one value per row (they are averaged), or a module that has reduction="none".',
        ),
    ),
    Case(
        "class_weight too many",
        lambda b: b.fit(class_weight=[1.0] * 4),
        ArgumentError,
        (
            "class_weight has 4 weights, but there are 3 classes.",
            "Give one weight per class, or a dict {class: weight} of some.",
        ),
    ),
    Case(
        "class_weight too few",
        lambda b: b.fit(class_weight=[1.0] * 2),
        ArgumentError,
        (
            "class_weight has 2 weights, but there are 3 classes.",
            "Give one weight per class, or a dict {class: weight} of some.",
        ),
    ),
    Case(
        "class_weight a number",
        lambda b: b.fit(class_weight=2.0),
        ArgumentTypeError,
        (
            "class_weight must be a dict {class: weight}, a list of one weight per class, or 'balanced', "
            "got 2.0 (float).",
        ),
    ),
    Case(
        "class_weight misspelt",
        lambda b: b.fit(class_weight="balance"),
        ArgumentError,
        (
            "class_weight must be a dict, a list or 'balanced', got 'balance'.",
            "A dict maps numbers of classes to weights, a list has one weight per class.",
        ),
    ),
    Case(
        "class_weight a set",
        lambda b: b.fit(class_weight={1.0, 2.0}),
        ArgumentTypeError,
        (
            "class_weight must be a dict {class: weight}, a list of one weight per class, or 'balanced', "
            "got {1.0, 2.0} (set).",
        ),
    ),
    Case(
        "class_weight negative",
        lambda b: b.fit(class_weight={0: -1.0}),
        ArgumentError,
        ("class_weight[0] must be at least 0, got -1.0.",),
    ),
    Case(
        "class_weight NaN",
        lambda b: b.fit(class_weight={0: NAN}),
        ArgumentError,
        ("class_weight[0] must be at least 0, got nan.",),
    ),
    Case(
        "class_weight text value",
        lambda b: b.fit(class_weight={0: "2"}),
        ArgumentTypeError,
        (
            "class_weight[0] must be a number, got '2' (str).",
            "Write 2.",
        ),
    ),
    Case(
        "class_weight None value",
        lambda b: b.fit(class_weight={0: None}),
        ArgumentTypeError,
        ("class_weight[0] must be a number, got None (NoneType).",),
    ),
    Case(
        "class_weight unknown class",
        lambda b: b.fit(class_weight={3: 1.0}),
        ArgumentError,
        (
            "class_weight has the class 3, but there are 3 classes, 0 to 2.",
            "Labels start at 0.",
        ),
    ),
    Case(
        "class_weight class -1",
        lambda b: b.fit(class_weight={-1: 1.0}),
        ArgumentError,
        ("A key of class_weight must be at least 0, got -1.",),
    ),
    Case(
        "class_weight class names",
        lambda b: b.fit(class_weight={"cat": 1.0}),
        ArgumentTypeError,
        ("A key of class_weight must be an integer, the number of a class from 0 to 2, got 'cat'.",),
    ),
    Case(
        "class_weight float keys",
        lambda b: b.fit(class_weight={0.0: 1.0}),
        ArgumentTypeError,
        (
            "A key of class_weight must be an integer, got 0.0 (float).",
            "Write 0.",
        ),
    ),
    Case(
        "class_weight of arrays",
        lambda b: b.fit(class_weight={0: torch.ones(2)}),
        ArgumentTypeError,
        ("class_weight[0] must be a number, got tensor([1., 1.]) (Tensor).",),
    ),
    Case(
        "class_weight 2-d",
        lambda b: b.fit(class_weight=np.ones((3, 3))),
        ArgumentTypeError,
        ("class_weight[0] must be a number, got [1.0, 1.0, 1.0] (list).",),
    ),
    Case(
        "class_weight all zero",
        lambda b: b.fit(class_weight=[0.0] * 3),
        ArgumentError,
        (
            "class_weight is 0 for all 3 classes, so that no sample counts.",
            "Give some a weight above 0.",
        ),
    ),
    Case(
        "class_weight for mse",
        lambda b: values(b, VALUES, class_weight={0: 2.0}),
        ArgumentError,
        (
            "class_weight needs one output and a loss over classes ('cross_entropy', 'nll', 'bce').",
            "Weigh rows with sample_weight instead.",
        ),
    ),
    Case(
        "class_weight for own loss",
        lambda b: b.fit(class_weight={0: 2.0}, how={"loss": lambda o, t: nn.functional.cross_entropy(o, t)}),
        ArgumentError,
        (
            "class_weight needs one output and a loss over classes ('cross_entropy', 'nll', 'bce').",
            "Weigh rows with sample_weight instead.",
        ),
    ),
    Case(
        "class_weight balanced without labels",
        lambda b: b.from_source(batches(), class_weight="balanced"),
        ArgumentError,
        (
            "class_weight='balanced' needs all labels, which this data does not tell.",
            "Pass arrays, a data set that keeps its labels in .targets, or one weight per class.",
        ),
    ),
    Case(
        "class_weight balanced, label out of range",
        lambda b: b.fit(y=changed(Y, 3, 3), class_weight="balanced"),
        LabelError,
        (
            "class_weight='balanced': the labels go up to 3, but there are 3 classes.",
            "End the net with 4 outputs, or correct the labels.",
        ),
    ),
    Case(
        "class_weight balanced, negative label",
        lambda b: b.fit(y=changed(Y, 3, -1), class_weight="balanced"),
        LabelError,
        (
            "y must hold labels from 0 to 2 (the net has 3 outputs) for cross_entropy, got -1 in row 3.",
            "Remove those rows, or name the label to skip: CrossEntropyLoss(ignore_index=...).",
        ),
    ),
    Case(
        "class_weight balanced, fractions",
        lambda b: b.fit(y=Y * 0.85, class_weight="balanced"),
        LabelError,
        (
            "y must be whole numbers for cross_entropy, got 0.85 in row 1.",
            'For numbers to predict use loss="mse".',
        ),
    ),
    Case(
        "class_weight for pixels",
        lambda b: pixels(b, torch.zeros(24, 8, 8).long(), class_weight={0: 2.0}),
        LabelError,
        (
            "class_weight needs one label per row, of shape (N,), (N, 1) or one-hot (N, 3), got (24, 8, 8).",
            "For labels per pixel give the weights to the loss: torch.nn.CrossEntropyLoss(weight=...).",
        ),
    ),
    Case(
        "class_weight with three yes-or-no answers",
        lambda b: binary(b, ONE_HOT, outputs=3, class_weight={0: 2.0}),
        ArgumentError,
        (
            "class_weight needs one label per row, but the net gives (3,) yes-or-no answers.",
            "Weigh rows with sample_weight, or answers in the loss: torch.nn.BCEWithLogitsLoss(pos_weight=...).",
        ),
    ),
]

ORDER = [
    Case(
        "sorted labels, shuffle=False",
        lambda b: b.fit(y=Y.sort().values, shuffle=False),
        EasyconvWarning,
        (
            "The training labels are sorted by class and the data is not shuffled: most batches hold one "
            "class, from which a net learns badly.",
            "Pass shuffle=True (to the DataLoader, where there is one).",
        ),
    ),
    Case(
        "sorted labels in a loader",
        lambda b: b.from_source(loader(X, Y.sort().values)),
        EasyconvWarning,
        (
            "The training labels are sorted by class and the data is not shuffled: most batches hold one "
            "class, from which a net learns badly.",
            "Pass shuffle=True (to the DataLoader, where there is one).",
        ),
    ),
    Case(
        "sorted one-hot labels, shuffle=False",
        lambda b: b.fit(y=ONE_HOT[Y.sort().indices], shuffle=False),
        EasyconvWarning,
        (
            "The training labels are sorted by class and the data is not shuffled: most batches hold one "
            "class, from which a net learns badly.",
            "Pass shuffle=True (to the DataLoader, where there is one).",
        ),
    ),
    Case(
        "sorted kept labels",
        lambda b: b.from_source(Kept(X, Y.sort().values), shuffle=False, batch_size=8),
        EasyconvWarning,
        (
            "The training labels are sorted by class and the data is not shuffled: most batches hold one "
            "class, from which a net learns badly.",
            "Pass shuffle=True (to the DataLoader, where there is one).",
        ),
    ),
    Case(
        "all labels one class",
        lambda b: b.fit(y=torch.zeros(24).long()),
        EasyconvWarning,
        ("All 24 training labels are 0: there is nothing to learn from one class.",),
    ),
    Case(
        "all labels one class, bce",
        lambda b: binary(b, torch.zeros(24)),
        EasyconvWarning,
        ("All 24 training labels are 0: there is nothing to learn from one class.",),
    ),
    Case(
        "all labels one class, loader",
        lambda b: b.from_source(loader(X, torch.ones(24).long())),
        EasyconvWarning,
        ("All 24 training labels are 1: there is nothing to learn from one class.",),
    ),
]

CASES = RANGE + KINDS + BCE + REGRESSION + WEIGHTS + ORDER


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_targets_are_refused_or_warned_of(case):
    run_case(case)


# What is given, and the labels that it must train exactly like.
SAME = {
    **{kind: (Y.numpy().astype(kind), Y) for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")},
    "uint64": (Y.numpy().astype("uint64"), Y),
    "big-endian": (Y.numpy().astype(">i4"), Y),
    "float32": (Y.float(), Y),
    "float64": (Y.numpy().astype(float), Y),
    "float16": (Y.half(), Y),
    "(N, 1)": (Y[:, None], Y),
    "(N, 1) int32 array": (Y.int().numpy()[:, None], Y),
    "(N, 1) float": (Y.float()[:, None], Y),
    "list": (Y.tolist(), Y),
    "list of lists": (Y[:, None].tolist(), Y),
    "list of tensors": (list(Y), Y),
    "list of NumPy numbers": (list(Y.numpy()), Y),
    "tuple of numbers": (tuple(Y.tolist()), Y),
    "object array": (Y.numpy().astype(object), Y),
    "one-hot float": (ONE_HOT, Y),
    "one-hot int": (ONE_HOT.long(), Y),
    "one-hot bool": (ONE_HOT.bool(), Y),
    "one-hot uint8 array": (ONE_HOT.byte().numpy(), Y),
    "one-hot lists": (ONE_HOT.tolist(), Y),
    "negative strides": (Y.numpy()[::-1], Y.flip(0)),
    "with gradient": (Y.float().requires_grad_(), Y),
}


@pytest.mark.parametrize("name", SAME)
def test_labels_are_made_right(name):
    given, right = SAME[name]
    assert trained_bits(X, given) == trained_bits(X, right)
    assert trained_bits(X, given, validation_data=(X, given)) == trained_bits(X, right)


@pytest.mark.parametrize(
    "name", ["int32", "uint8", "float32", "(N, 1)", "one-hot float", "one-hot int", "one-hot bool"]
)
def test_labels_of_a_loader_are_made_right(name):
    given, right = SAME[name]
    assert trained_bits(loader(X, torch.as_tensor(given))) == trained_bits(loader(X, right))


def test_two_classes_by_bool():
    net = small_net(outputs=2)
    assert trained_bits(X, Y == 1, net=net) == trained_bits(X, (Y == 1).long(), net=net)


def test_soft_labels_are_torchs():
    soft = torch.softmax(torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(0)), 1)
    model = Bench().model()
    wanted = nn.functional.cross_entropy(model.net(X), soft).item()
    assert model.evaluate(X, soft, verbose=0) == pytest.approx(wanted, rel=1e-6)
    assert model.evaluate(X, soft.double().numpy(), verbose=0) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", nn.MSELoss(), nn.functional.l1_loss])
def test_one_number_per_row_is_never_broadcast(loss):
    net, how = small_net(outputs=1), {"loss": loss}
    right = trained_bits(X, VALUES[:, None], net=net, how=how)
    assert trained_bits(X, VALUES, net=net, how=how) == right
    assert trained_bits(X, VALUES.double().numpy(), net=net, how=how) == right
    assert trained_bits(X, VALUES.tolist(), net=net, how=how) == right
    flat = nn.Sequential(net, nn.Flatten(0))
    assert trained_bits(X, VALUES[:, None], net=flat, how=how) == trained_bits(X, VALUES, net=flat, how=how)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool])
def test_yes_or_no_labels_of_any_form(kind):
    net, how = small_net(outputs=1), {"loss": "bce"}
    right = trained_bits(X, BINARY[:, None], net=net, how=how)
    assert trained_bits(X, BINARY.to(kind), net=net, how=how) == right
    assert trained_bits(X, BINARY.to(kind)[:, None], net=net, how=how) == right


def test_labels_to_ignore_when_they_are_named():
    y = changed(Y, slice(0, 6), 255)
    for weights in (None, {0: 2.0}, "balanced"):
        how = {"loss": nn.CrossEntropyLoss(ignore_index=255)}
        other = {"loss": nn.CrossEntropyLoss(ignore_index=-1)}
        left = trained_bits(X, y, how=how, class_weight=weights)
        assert left == trained_bits(X, torch.where(y == 255, -1, y), how=other, class_weight=weights)


def test_an_empty_class_weight_weighs_nothing():
    assert trained_bits(X, Y, class_weight={}) == trained_bits(X, Y, class_weight={0: 1.0})


@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0], (1, 2, 3), np.array([1, 2, 3]), torch.tensor([1.0, 2.0, 3.0])])
def test_class_weights_of_any_form(weights):
    assert trained_bits(X, Y, class_weight=weights) == trained_bits(X, Y, class_weight={1: 2, 2: 3.0})
    rows = torch.tensor([1.0, 2.0, 3.0])[Y]
    for form in (rows, rows[:, None], rows.double().numpy(), rows.tolist(), rows.int()):
        assert trained_bits(X, Y, sample_weight=form) == trained_bits(X, Y, class_weight=weights)


def test_a_pairwise_loss_is_not_suspected():
    def pairs(output, target):
        same = (target[:, None] == target[None]).float()
        return ((output - output.T).abs() * same).mean() + output.pow(2).mean()

    Bench().fit(y=VALUES, net=small_net(outputs=1), how={"loss": pairs}, good=None)


def test_a_loss_that_takes_care_of_shapes_is_not_suspected():
    Bench().fit(y=VALUES, net=small_net(outputs=1), how={"loss": lambda o, t: (o.squeeze(1) - t).pow(2)}, good=None)
    Bench().fit(y=VALUES, net=small_net(outputs=1), how={"loss": lambda o, t: (o - t[:, None]).pow(2)}, good=None)


def test_several_outputs_each_get_their_labels_made_right():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def forward(self, x):
            return self.net(x), self.net(x.flip(3))

    right = trained_bits(X, (Y, Y.flip(0)), net=Two())
    assert trained_bits(X, (Y.int().numpy(), ONE_HOT.flip(0)), net=Two()) == right
    with pytest.raises(LabelError, match=r"y\[1\] must hold labels from 0 to 2"):
        trained_bits(X, (Y, Y + 1), net=Two())
