"""Targets and weights that do not fit: each is made right, or refused before the first step with what to do."""

import numpy as np
import pytest
import torch
from bad_input import ROWS, Bench, Case, X, Y, YN, batches, changed, loader, run_case, small_net, trained_bits
from torch import nn
from torch.utils.data import DataLoader, Dataset

import easyconv as ec
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
    return b.fit(y=y, net=small_net(outputs=outputs), how={"loss": "bce"}, good=(X, BINARY if outputs == 1 else ONE_HOT), **options)


def values(b, y, outputs=1, loss="mse", **options):
    return b.fit(y=y, net=small_net(outputs=outputs), how={"loss": loss}, good=(X, VALUES if outputs == 1 else ONE_HOT), **options)


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
    Case("label 3 of 3 classes", lambda b: b.fit(y=changed(Y, 5, 3)), LabelError),
    Case("label 3, NumPy int32", lambda b: b.fit(y=changed(Y, 5, 3).int().numpy()), LabelError),
    Case("label 3, as float", lambda b: b.fit(y=changed(Y, 5, 3).float()), LabelError),
    Case("label 3, as (N, 1)", lambda b: b.fit(y=changed(Y, 5, 3)[:, None]), LabelError),
    Case("label 3, in a list", lambda b: b.fit(y=changed(Y, 5, 3).tolist()), LabelError),
    Case("labels from 1", lambda b: b.fit(y=Y + 1), LabelError),
    Case("labels from 1, some missing", lambda b: b.fit(y=torch.where(Y == 0, 2, Y) + 1), LabelError),
    Case("label -1", lambda b: b.fit(y=changed(Y, 2, -1)), LabelError),
    Case("label -100", lambda b: b.fit(y=changed(Y, Y == 1, -100)), LabelError),
    Case("label 255", lambda b: b.fit(y=changed(Y.to(torch.uint8), 2, 255)), LabelError),
    Case("label far away", lambda b: b.fit(y=changed(Y, 2, 10**12)), LabelError),
    Case("label 3 in validation_data only", lambda b: b.fit(validation_data=(X, changed(Y, 5, 3))), LabelError),
    Case("label 3 in a loader's last batch", lambda b: b.from_source(loader(X, changed(Y, 23, 3))), LabelError),
    Case("label 3 in a validation loader's last batch", lambda b: b.fit(validation_data=loader(X, changed(Y, 23, 3))), LabelError),
    Case("label 3 in a data set's last row", lambda b: b.from_source(Rows(X, changed(Y, 23, 3)), shuffle=False), LabelError, steps=True),
    Case("label 3 among kept labels", lambda b: b.from_source(Kept(X, changed(Y, 23, 3)), shuffle=False), LabelError, steps=True),
    Case("label 3 in the last of a list of batches", lambda b: b.from_source(batches(X, changed(Y, 23, 3))), LabelError, steps=True),
    Case("label 3 in a generator's last batch", lambda b: b.from_source(iter(batches(X, changed(Y, 23, 3)))), LabelError, steps=True),
    Case("label 3 in evaluate", lambda b: b.model().evaluate(X, changed(Y, 5, 3), verbose=0), LabelError),
    Case("label 3 in train_on_batch", lambda b: b.model().train_on_batch(X, changed(Y, 5, 3)), LabelError),
    Case("label 3 with validation_split", lambda b: b.fit(y=changed(Y, 5, 3), validation_split=0.25, seed=0), LabelError),
    Case("label 3 for nll", lambda b: b.fit(y=changed(Y, 5, 3), net=nn.Sequential(small_net(), nn.LogSoftmax(1)), how={"loss": "nll"}), LabelError),
    Case("label 3 for CrossEntropyLoss()", lambda b: b.fit(y=changed(Y, 5, 3), how={"loss": nn.CrossEntropyLoss()}), LabelError),
    Case("label 3 for hinge", lambda b: b.fit(y=changed(Y, 5, 3), how={"loss": "hinge"}), LabelError),
    Case("label 3, own function around cross_entropy", lambda b: b.fit(y=changed(Y, 5, 3), how={"loss": lambda o, t: nn.functional.cross_entropy(o, t)}), (LabelError, ArgumentError)),
    Case("label 255 beside ignore_index=-1", lambda b: b.fit(y=changed(changed(Y, 0, -1), 2, 255), how={"loss": nn.CrossEntropyLoss(ignore_index=-1)}), LabelError),
    Case("pixel label 3", lambda b: pixels(b, changed(torch.zeros(24, 8, 8).long(), (3, 1, 1), 3)), LabelError),
]

KINDS = [
    Case("fractions", lambda b: b.fit(y=Y * 0.85), LabelError),
    Case("0.5 and 1.7", lambda b: b.fit(y=torch.tensor([0.5, 1.7] * 12)), LabelError),
    Case("NaN label", lambda b: b.fit(y=changed(Y.float(), 3, NAN)), NonFiniteDataError),
    Case("NaN in a list", lambda b: b.fit(y=[0, 1, NAN] * 8), NonFiniteDataError),
    Case("Inf label", lambda b: b.fit(y=changed(Y.float(), 3, float("inf"))), NonFiniteDataError),
    Case("text labels", lambda b: b.fit(y=["cat", "dog", "cow"] * 8), DataTypeError),
    Case("text labels, NumPy", lambda b: b.fit(y=np.array(["cat", "dog", "cow"] * 8)), DataTypeError),
    Case("text labels, objects", lambda b: b.fit(y=np.array(["cat", "dog", "cow"] * 8, object)), DataTypeError),
    Case("text that are numbers", lambda b: b.fit(y=["0", "1", "2"] * 8), DataTypeError),
    Case("text labels with validation_split", lambda b: b.fit(y=["cat", "dog", "cow"] * 8, validation_split=0.25), DataTypeError),
    Case("text labels in a list of batches", lambda b: b.from_source([(X, ["cat", "dog", "cow"] * 8)]), DataTypeError),
    Case("text labels in a data set", lambda b: b.from_source(Rows(X, ["cat", "dog", "cow"] * 8)), DataTypeError),
    Case("None among labels", lambda b: b.fit(y=[0, None, 1] * 8), DataTypeError),
    Case("complex labels", lambda b: b.fit(y=Y.to(torch.complex64)), DataTypeError),
    Case("ragged labels", lambda b: b.fit(y=[[0], [0, 1]] * 12), DataError),
    Case("labels in a dict", lambda b: b.fit(y={"label": Y}), DataError),
    Case("labels in a tuple", lambda b: b.fit(y=(Y,)), DataError),
    Case("one-hot of 4 for 3 outputs", lambda b: b.fit(y=torch.eye(4)[Y]), LabelError),
    Case("one-hot of 2 for 3 outputs", lambda b: b.fit(y=torch.eye(2)[Y % 2]), LabelError),
    Case("one-hot int of 4 for 3", lambda b: b.fit(y=torch.eye(4).long()[Y]), LabelError),
    Case("two ones in a row", lambda b: b.fit(y=changed(ONE_HOT, 4, 1.0)), LabelError),
    Case("two ones in an int row", lambda b: b.fit(y=changed(ONE_HOT.long(), 4, 1)), LabelError),
    Case("probabilities that sum to 0.9", lambda b: b.fit(y=ONE_HOT * 0.9), LabelError),
    Case("probabilities below 0", lambda b: b.fit(y=changed(ONE_HOT, 4, torch.tensor([1.5, -0.5, 0.0]))), LabelError),
    Case("NaN in probabilities", lambda b: b.fit(y=changed(ONE_HOT, 4, NAN)), NonFiniteDataError),
    Case("two labels per row", lambda b: b.fit(y=torch.stack([Y, Y], 1)), LabelError),
    Case("a label per pixel", lambda b: b.fit(y=torch.zeros(24, 8, 8).long()), LabelError),
    Case("one label for a picture", lambda b: pixels(b, Y), LabelError),
    Case("labels of other pixels", lambda b: pixels(b, torch.zeros(24, 4, 4).long()), LabelError),
    Case("cross_entropy with 1 output", lambda b: b.fit(y=Y % 2, net=small_net(outputs=1), good=None), LabelError),
    Case("missing Flatten", lambda b: b.fit(net=nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(6, 3)), good=None), LabelError),
    Case("missing GlobalAvgPool", lambda b: b.fit(net=nn.Conv2d(1, 3, 3), good=None), LabelError),
    Case("labels 0-9 for 3 outputs", lambda b: b.fit(y=torch.arange(24) % 10), LabelError),
    Case("images as labels", lambda b: b.fit(y=X), LabelError),
]

BCE = [
    Case("bce, (N,) for 3 outputs", lambda b: binary(b, Y, outputs=3), (DataError, LabelError)),
    Case("bce, labels 0 to 2", lambda b: binary(b, Y), LabelError),
    Case("bce, labels -1 and 1", lambda b: binary(b, BINARY * 2 - 1), LabelError),
    Case("bce, labels 1 and 2", lambda b: binary(b, BINARY + 1), LabelError),
    Case("bce, labels 0 and 255", lambda b: binary(b, (BINARY * 255).byte()), LabelError),
    Case("bce, NaN", lambda b: binary(b, changed(BINARY, 3, NAN)), NonFiniteDataError),
    Case("bce, (N, 2) for one output", lambda b: binary(b, torch.eye(2)[Y % 2]), (DataError, LabelError)),
    Case("bce, 1.5 in one of three", lambda b: binary(b, changed(ONE_HOT, (4, 1), 1.5), outputs=3), LabelError),
    Case("bce, label 2 in validation", lambda b: binary(b, BINARY, validation_data=(X, Y)), LabelError),
    Case("bce, text", lambda b: binary(b, ["yes", "no"] * 12), DataTypeError),
]

REGRESSION = [
    Case("(N,) for 3 outputs", lambda b: values(b, VALUES, outputs=3), DataError),
    Case("(N, 3) for 1 output", lambda b: values(b, ONE_HOT), DataError),
    Case("(N, 2) for 3 outputs", lambda b: values(b, ONE_HOT[:, :2], outputs=3), DataError),
    Case("(N, 1, 3)? no: (N, 3, 2)", lambda b: values(b, torch.zeros(24, 3, 2), outputs=3), DataError),
    Case("NaN among values", lambda b: values(b, changed(VALUES, 3, NAN)), NonFiniteDataError),
    Case("NaN among values in a loader", lambda b: b.from_source(loader(X, changed(VALUES, 23, NAN)), net=small_net(outputs=1), how={"loss": "mse"}, good=(X, VALUES)), NonFiniteDataError),
    Case("images for a number", lambda b: values(b, X), DataError),
    Case("class labels for mse", lambda b: values(b, Y, outputs=3), DataError),
    Case("own loss would broadcast", lambda b: values(b, VALUES, loss=lambda o, t: ((o - t) ** 2).mean()), EasyconvWarning),
    Case("own loss, one value per pair", lambda b: values(b, VALUES, loss=lambda o, t: (o - t) ** 2), (EasyconvWarning, ArgumentError)),
]

WEIGHTS = [
    Case("negative sample_weight", lambda b: b.fit(sample_weight=changed(torch.ones(24), 3, -1.0)), DataError),
    Case("NaN sample_weight", lambda b: b.fit(sample_weight=changed(torch.ones(24), 3, NAN)), NonFiniteDataError),
    Case("sample_weight (N, 3)", lambda b: b.fit(sample_weight=torch.ones(24, 3)), DataError),
    Case("sample_weight a number", lambda b: b.fit(sample_weight=2.0), DataError),
    Case("sample_weight text", lambda b: b.fit(sample_weight="balanced"), DataTypeError),
    Case("sample_weight a dict", lambda b: b.fit(sample_weight={0: 1.0}), DataTypeError),
    Case("sample_weight empty", lambda b: b.fit(sample_weight=[]), DataError),
    Case("sample_weight all zero", lambda b: b.fit(sample_weight=torch.zeros(24)), DataError),
    Case("sample_weight in validation negative", lambda b: b.fit(validation_data=(X, Y, -torch.ones(24))), DataError),
    Case("sample_weight too few in validation", lambda b: b.fit(validation_data=(X, Y, torch.ones(20))), LengthError),
    Case("sample_weight with a loader", lambda b: b.from_source(loader(), sample_weight=torch.ones(24)), DataError),
    Case("sample_weight negative in evaluate", lambda b: b.model().evaluate(X, Y, sample_weight=-torch.ones(24)), DataError),
    Case("loss has no row values", lambda b: b.fit(sample_weight=torch.ones(24), how={"loss": lambda o, t: nn.functional.cross_entropy(o, t)}), ArgumentError),
    Case("class_weight too many", lambda b: b.fit(class_weight=[1.0] * 4), ArgumentError),
    Case("class_weight too few", lambda b: b.fit(class_weight=[1.0] * 2), ArgumentError),
    Case("class_weight a number", lambda b: b.fit(class_weight=2.0), ArgumentTypeError),
    Case("class_weight misspelt", lambda b: b.fit(class_weight="balance"), ArgumentError),
    Case("class_weight a set", lambda b: b.fit(class_weight={1.0, 2.0}), ArgumentTypeError),
    Case("class_weight negative", lambda b: b.fit(class_weight={0: -1.0}), ArgumentError),
    Case("class_weight NaN", lambda b: b.fit(class_weight={0: NAN}), ArgumentError),
    Case("class_weight text value", lambda b: b.fit(class_weight={0: "2"}), ArgumentTypeError),
    Case("class_weight None value", lambda b: b.fit(class_weight={0: None}), ArgumentTypeError),
    Case("class_weight unknown class", lambda b: b.fit(class_weight={3: 1.0}), ArgumentError),
    Case("class_weight class -1", lambda b: b.fit(class_weight={-1: 1.0}), ArgumentError),
    Case("class_weight class names", lambda b: b.fit(class_weight={"cat": 1.0}), ArgumentTypeError),
    Case("class_weight float keys", lambda b: b.fit(class_weight={0.0: 1.0}), ArgumentTypeError),
    Case("class_weight of arrays", lambda b: b.fit(class_weight={0: torch.ones(2)}), ArgumentTypeError),
    Case("class_weight 2-d", lambda b: b.fit(class_weight=np.ones((3, 3))), ArgumentTypeError),
    Case("class_weight empty", lambda b: b.fit(class_weight={}), ArgumentError),
    Case("class_weight all zero", lambda b: b.fit(class_weight=[0.0] * 3), ArgumentError),
    Case("class_weight for mse", lambda b: values(b, VALUES, class_weight={0: 2.0}), ArgumentError),
    Case("class_weight for own loss", lambda b: b.fit(class_weight={0: 2.0}, how={"loss": lambda o, t: nn.functional.cross_entropy(o, t)}), ArgumentError),
    Case("class_weight balanced without labels", lambda b: b.from_source(batches(), class_weight="balanced"), ArgumentError),
    Case("class_weight balanced, label out of range", lambda b: b.fit(y=changed(Y, 3, 3), class_weight="balanced"), LabelError),
    Case("class_weight balanced, negative label", lambda b: b.fit(y=changed(Y, 3, -1), class_weight="balanced"), LabelError),
    Case("class_weight balanced, fractions", lambda b: b.fit(y=Y * 0.85, class_weight="balanced"), LabelError),
    Case("class_weight for pixels", lambda b: pixels(b, torch.zeros(24, 8, 8).long(), class_weight={0: 2.0}), LabelError),
    Case("class_weight with three yes-or-no answers", lambda b: binary(b, ONE_HOT, outputs=3, class_weight={0: 2.0}), ArgumentError),
]

ORDER = [
    Case("sorted labels, shuffle=False", lambda b: b.fit(y=Y.sort().values, shuffle=False), EasyconvWarning),
    Case("sorted labels in a loader", lambda b: b.from_source(loader(X, Y.sort().values)), EasyconvWarning),
    Case("sorted one-hot labels, shuffle=False", lambda b: b.fit(y=ONE_HOT[Y.sort().indices], shuffle=False), EasyconvWarning),
    Case("sorted kept labels", lambda b: b.from_source(Kept(X, Y.sort().values), shuffle=False, batch_size=8), EasyconvWarning),
    Case("all labels one class", lambda b: b.fit(y=torch.zeros(24).long()), EasyconvWarning),
    Case("all labels one class, bce", lambda b: binary(b, torch.zeros(24)), EasyconvWarning),
    Case("all labels one class, loader", lambda b: b.from_source(loader(X, torch.ones(24).long())), EasyconvWarning),
]

CASES = RANGE + KINDS + BCE + REGRESSION + WEIGHTS + ORDER
