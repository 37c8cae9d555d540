"""TerminateOnNaN, MaxSteps and TimeLimit."""

import types

import pytest
import torch

import easyconv as ec
from easyconv.callbacks import Callback, LambdaCallback, MaxSteps, TerminateOnNaN, TimeLimit, stopping
from easyconv.errors import ArgumentError, ArgumentTypeError, NonFiniteLossError

X, Y = torch.rand(12, 3), torch.rand(12)


class Counts(Callback):
    def __init__(self):
        self.epochs, self.batches, self.ended = 0, 0, 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    def on_train_end(self, logs=None):
        self.ended += 1


def compiled(lr=0.01):
    torch.manual_seed(0)
    model = ec.Sequential([ec.layers.Dense(1)], input_shape=(3,))
    model.compile("sgd", "mse", lr=lr)
    return model


def fit(model, *callbacks, **arguments):
    return model.fit(X, Y, batch_size=4, verbose=0, callbacks=list(callbacks), **{"epochs": 5, **arguments})


def test_a_loss_that_is_no_number_ends_training_in_peace(capsys):
    seen, later = Counts(), Counts()
    history = fit(compiled(1e30), seen, TerminateOnNaN(), later)
    assert len(history) < 5
    assert (seen.ended, later.ended) == (1, 1)
    assert "batch" in (told := capsys.readouterr().out)
    assert told.startswith("The loss became ")
    assert told.endswith("training stops.\n")


def test_without_it_there_is_an_error():
    with pytest.raises(NonFiniteLossError):
        fit(compiled(1e30))


def test_other_errors_are_no_business_of_it():
    def fail(epoch, logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(compiled(), TerminateOnNaN(), LambdaCallback(on_epoch_end=fail))


def test_a_failure_in_on_train_end_still_comes_out(capsys):
    def fail(logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(compiled(1e30), TerminateOnNaN(), LambdaCallback(on_train_end=fail))


def test_the_model_is_usable_afterwards(capsys):
    model = compiled(1e30)
    fit(model, TerminateOnNaN())
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    model.compile("sgd", "mse", lr=0.01)
    assert len(fit(model)) == 5


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8, 15, 100])
def test_trains_so_many_steps(steps):
    seen = Counts()
    history = fit(compiled(), MaxSteps(steps), seen, validation_data=(X, Y))
    assert seen.batches == min(steps, 15)
    assert seen.epochs == len(history) == -(-min(steps, 15) // 3)
    assert all("val_loss" in row for row in history)


def test_steps_are_counted_anew_in_each_fit():
    model, limit = compiled(), MaxSteps(2)
    for _ in range(2):
        fit(model, limit, seen := Counts())
        assert seen.batches == 2


def test_the_same_weights_as_a_shorter_training():
    short, long = compiled(), compiled()
    fit(short, epochs=2, seed=0)
    fit(long, MaxSteps(6), epochs=9, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(short.parameters(), long.parameters(), strict=True))


@pytest.mark.parametrize(("seconds", "batches"), [(0.5, 1), (2, 2), (2.5, 3), (7, 7)])
def test_stops_when_the_time_is_over(monkeypatch, capsys, seconds, batches):
    clock = types.SimpleNamespace(now=100.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(stopping, "time", clock)
    tick = LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(clock, "now", clock.now + 1.0))
    fit(compiled(), tick, TimeLimit(seconds, verbose=1), seen := Counts())
    assert seen.batches == batches
    assert capsys.readouterr().out == f"Stopped: {seconds:g} seconds are over.\n"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MaxSteps(0), ArgumentError, "steps must be at least 1"),
        (lambda: MaxSteps(1.5), ArgumentTypeError, "steps must be an integer"),
        (lambda: TimeLimit(0), ArgumentError, "seconds must be more than 0"),
        (lambda: TimeLimit("1h"), ArgumentTypeError, "seconds must be a number"),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
