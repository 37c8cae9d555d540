"""ReduceLROnPlateau against traces worked out by hand from Keras's algorithm.

In each epoch: during the cooldown count it down and forget the epochs without improvement; take a better value; else,
when no cooldown is left, count the epoch, and drop the rate when ``patience`` is reached.
"""

import pytest
import torch
from scripted import NAN, scripted_fit

import easyconv as ec
from easyconv.callbacks import ReduceLROnPlateau
from easyconv.errors import ArgumentError, ArgumentTypeError

TRACES = [
    # values, arguments, rates after each epoch (they begin at 1)
    ([0.5, 0.6, 0.6, 0.6], {"patience": 2, "factor": 0.5}, [1, 1, 0.5, 0.5]),
    ([0.5, 0.6, 0.6, 0.6, 0.6], {"patience": 2, "factor": 0.5}, [1, 1, 0.5, 0.5, 0.25]),
    ([0.5, 0.6, 0.4, 0.6, 0.6], {"patience": 2, "factor": 0.5}, [1, 1, 1, 1, 0.5]),
    ([0.5, 0.6, 0.6], {"patience": 0, "factor": 0.5}, [1, 0.5, 0.25]),  # as 1
    ([0.5, 0.49995, 0.49], {"patience": 1, "factor": 0.5}, [1, 0.5, 0.5]),  # min_delta is 1e-4
    ([0.5, 0.49, 0.48], {"patience": 1, "factor": 0.5, "min_delta": 0.1}, [1, 0.5, 0.25]),
    # patience 1, cooldown 2: after a drop one epoch is left out (the second of the cooldown counts again, as in Keras)
    ([0.5, 0.6, 0.6, 0.6, 0.6], {"patience": 1, "factor": 0.5, "cooldown": 2}, [1, 0.5, 0.5, 0.25, 0.25]),
    ([0.5, 0.6, 0.6, 0.6, 0.6], {"patience": 2, "factor": 0.5, "cooldown": 2}, [1, 1, 0.5, 0.5, 0.5]),
    ([0.5, 0.6, 0.6, 0.6], {"patience": 1, "factor": 0.5, "min_lr": 0.3}, [1, 0.5, 0.3, 0.3]),
    ([0.5, NAN, NAN, 0.4], {"patience": 1, "factor": 0.5}, [1, 0.5, 0.25, 0.25]),
    ([NAN, 0.4, 0.5], {"patience": 1, "factor": 0.5}, [0.5, 0.5, 0.25]),
]


class Rates(ec.callbacks.Callback):
    """Looks at the rate after all others of the epoch."""

    def __init__(self):
        self.rates = []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(self.model.optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize(("values", "arguments", "rates"), TRACES)
def test_drops_where_keras_drops(values, arguments, rates):
    seen = Rates()
    _, history = scripted_fit(values, ReduceLROnPlateau(**arguments), seen)
    assert seen.rates == pytest.approx(rates)
    # The history has the rate with which the epoch was trained.
    assert history.history["learning_rate"] == pytest.approx([1, *rates[:-1]])


@pytest.mark.parametrize(("values", "arguments", "rates"), TRACES)
def test_rising_values_are_the_mirror_image(values, arguments, rates):
    seen = Rates()
    plateau = ReduceLROnPlateau("val_accuracy", **arguments)
    scripted_fit([-value for value in values], plateau, seen, metric="accuracy")
    assert seen.rates == pytest.approx(rates)


def test_divides_by_ten_by_default():
    seen = Rates()
    scripted_fit([0.5] * 12, ReduceLROnPlateau(), seen)
    assert seen.rates == pytest.approx([1.0] * 10 + [0.1] * 2)


def test_epochs_without_validation_are_skipped():
    seen = Rates()
    plateau = ReduceLROnPlateau(patience=2, factor=0.5)
    scripted_fit([0.5, 0.6, 0.7], plateau, seen, epochs=6, validation_freq=2)
    assert seen.rates == [1, 1, 1, 1, 1, 0.5]


def test_groups_keep_their_ratios_down_to_the_smallest_rate():
    head, body = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [head], "lr": 1.0}, {"params": [body], "lr": 0.1}])
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_lr=0.04)
    plateau.set_model(type("Holder", (), {"optimizer": optimizer})())
    trace = []
    for epoch in range(7):
        plateau.on_epoch_end(epoch, {"loss": 1.0})
        trace.append(tuple(group["lr"] for group in optimizer.param_groups))
    expected = [(1, 0.1), (0.5, 0.05), (0.25, 0.04), (0.125, 0.04), (0.0625, 0.04), (0.04, 0.04), (0.04, 0.04)]
    assert trace == [pytest.approx(pair) for pair in expected]


def test_patience_starts_again_when_only_another_group_could_drop():
    first, second = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": [second], "lr": 1.0}])
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=2, min_lr=0.1)
    plateau.set_model(type("Holder", (), {"optimizer": optimizer})())
    trace = []
    for epoch in range(6):
        plateau.on_epoch_end(epoch, {"loss": 1.0})
        trace.append(optimizer.param_groups[1]["lr"])
    assert trace == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25])


def test_starts_afresh_in_each_fit():
    plateau, seen = ReduceLROnPlateau(patience=2, factor=0.5), Rates()
    for _ in range(2):
        scripted_fit([0.5, 0.6], plateau, seen)
    assert seen.rates == [1, 1, 1, 1]


def test_says_what_it_does(capsys):
    scripted_fit([0.5, 0.6], ReduceLROnPlateau(patience=1, verbose=1))
    assert capsys.readouterr().out == "Epoch 2: learning rate from 1 to 0.1.\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"factor": 1.0}, ArgumentError),
        ({"factor": 0.0}, ArgumentError),
        ({"factor": "0.1"}, ArgumentTypeError),
        ({"patience": -1}, ArgumentError),
        ({"cooldown": -1}, ArgumentError),
        ({"cooldown": 0.5}, ArgumentTypeError),
        ({"min_lr": -1e-3}, ArgumentError),
        ({"min_delta": -1}, ArgumentError),
        ({"mode": "up"}, ArgumentError),
        ({"verbose": None}, ArgumentTypeError),
    ],
)
def test_refuses_bad_arguments(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        ReduceLROnPlateau(**arguments)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("patience", "cooldown", "min_delta"), [(1, 0, 0), (2, 0, 0.25), (3, 1, 0.5), (2, 3, 0.25)])
def test_drops_where_torch_drops(seed, patience, cooldown, min_delta):
    """torch drops after more than ``patience`` bad epochs and leaves all of the cooldown out; Keras counts its last."""
    values = (torch.randint(1, 12, (40,), generator=torch.Generator().manual_seed(seed)) / 4).tolist()
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    plateau = ReduceLROnPlateau("loss", 0.5, patience, cooldown=cooldown, min_delta=min_delta, min_lr=1 / 64)
    plateau.set_model(type("Holder", (), {"optimizer": optimizer})())
    twin = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        twin,
        factor=0.5,
        patience=patience - 1,
        threshold=min_delta,
        threshold_mode="abs",
        cooldown=max(0, cooldown - 1),
        min_lr=1 / 64,
        eps=0,
    )
    for epoch, value in enumerate(values):
        plateau.on_epoch_end(epoch, {"loss": value})
        oracle.step(value)
        assert optimizer.param_groups[0]["lr"] == twin.param_groups[0]["lr"], epoch
    assert optimizer.param_groups[0]["lr"] < 1.0


def test_drops_no_more_often_than_told():
    seen = Rates()
    scripted_fit([0.5] * 7, ReduceLROnPlateau(patience=1, times=3), seen)
    assert seen.rates == pytest.approx([1, 0.1, 0.01, 0.001, 0.001, 0.001, 0.001])
    with pytest.raises(ArgumentError, match="times"):
        ReduceLROnPlateau(times=-1)
