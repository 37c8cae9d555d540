"""The shared callbacks against Keras's algorithms, written down here from its documentation and source.

Keras itself is no dependency of the tests; each function below is its rule and nothing else, on random values.
"""

import math
import random
from pathlib import Path

import pytest
from scripted import NAN, Scripted, data, scripted_fit

from easyconv.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint, ReduceLROnPlateau

SEEDS = range(25)


def drawn(seed, count=12):
    """Values on a coarse grid, so that equal ones and differences of exactly ``min_delta`` occur; some are NaN."""
    generator = random.Random(seed)
    values = [generator.randint(1, 8) / 8 for _ in range(count)]
    if seed % 5 == 0:
        values[generator.randrange(count)] = NAN
    return generator, values


def improves(value, best, min_delta, mode):
    return value - min_delta > best if mode == "max" else value + min_delta < best


def early_stopping(values, *, patience, min_delta, baseline, start_from_epoch, mode):
    """Keras's ``EarlyStopping.on_epoch_end``: epochs that run, and the one whose weights are the best."""
    best, wait, best_epoch = (-math.inf if mode == "max" else math.inf), 0, None
    for epoch, value in enumerate(values):
        if epoch < start_from_epoch:
            continue
        if best_epoch is None:
            best_epoch = epoch
        wait += 1
        if improves(value, best, min_delta, mode):
            best, best_epoch = value, epoch
            if baseline is None or improves(value, baseline, min_delta, mode):
                wait = 0
            continue
        if wait >= patience and epoch > 0:
            return epoch + 1, best_epoch
    return len(values), best_epoch


@pytest.mark.parametrize("seed", SEEDS)
def test_early_stopping(seed):
    generator, values = drawn(seed)
    arguments = {
        "patience": generator.randint(0, 4),
        "min_delta": generator.choice([0.0, 0.125]),
        "baseline": generator.choice([None, 0.5]),
        "start_from_epoch": generator.choice([0, 0, 2]),
        "mode": generator.choice(["min", "max"]),
    }
    epochs, best = early_stopping(values, **arguments)
    model, history = scripted_fit(values, EarlyStopping(restore_best_weights=True, **arguments))
    assert len(history) == epochs
    assert model.trained == (epochs if best is None else best + 1)


def plateau(values, *, factor, patience, min_delta, cooldown, min_lr):
    """Keras's ``ReduceLROnPlateau.on_epoch_end``: the rate after each epoch, from 1."""
    best, wait, counter, rate, rates = math.inf, 0, 0, 1.0, []
    for value in values:
        if counter > 0:
            counter, wait = counter - 1, 0
        if improves(value, best, min_delta, "min"):
            best, wait = value, 0
        elif not counter > 0:
            wait += 1
            if wait >= patience and rate > min_lr:
                rate, counter, wait = max(rate * factor, min_lr), cooldown, 0
        rates.append(rate)
    return rates


@pytest.mark.parametrize("seed", SEEDS)
def test_reduce_lr_on_plateau(seed):
    generator, values = drawn(seed)
    arguments = {
        "factor": generator.choice([0.5, 0.1]),
        "patience": generator.randint(0, 4),
        "min_delta": generator.choice([0.0, 0.125]),
        "cooldown": generator.choice([0, 0, 1, 2]),
        "min_lr": generator.choice([0.0, 0.2]),
    }
    seen = []

    class Look(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.optimizer.param_groups[0]["lr"])

    scripted_fit(values, ReduceLROnPlateau(**arguments), Look())
    assert seen == pytest.approx(plateau(values, **arguments))


def checkpoint(values, *, save_best_only, initial_value_threshold, mode):
    """Keras's ``ModelCheckpoint.on_epoch_end``: epochs, from 1, after which it writes."""
    best = (
        initial_value_threshold if initial_value_threshold is not None else (math.inf if mode == "min" else -math.inf)
    )
    written = []
    for epoch, value in enumerate(values):
        if save_best_only and not improves(value, best, 0.0, mode):
            continue
        best = value
        written.append(epoch + 1)
    return written


@pytest.mark.parametrize("seed", SEEDS)
def test_model_checkpoint(seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator, values = drawn(seed)
    arguments = {
        "save_best_only": generator.choice([True, True, False]),
        "initial_value_threshold": generator.choice([None, 0.5]),
        "mode": generator.choice(["min", "max"]),
    }
    scripted_fit(values, ModelCheckpoint("files/{epoch:02d}-{val_loss:.3f}.pt", **arguments))
    expected = [f"{epoch:02d}-{values[epoch - 1]:.3f}.pt" for epoch in checkpoint(values, **arguments)]
    assert sorted(path.name for path in Path("files").glob("*")) == expected


@pytest.mark.parametrize("every", [1, 2, 3, 7])
def test_model_checkpoint_by_batches(every, tmp_path, monkeypatch):
    """Batches are counted on over the epochs; names count epochs and batches from 1."""
    monkeypatch.chdir(tmp_path)
    callback = ModelCheckpoint("files/{epoch}-{batch}.pt", save_freq=every)
    x, y = data(10)
    model = Scripted([])
    model.fit(x, y, batch_size=2, epochs=3, verbose=0, callbacks=callback)
    expected = {f"{step // 5 + 1}-{step % 5 + 1}.pt" for step in range(15) if (step + 1) % every == 0}
    assert {path.name for path in Path("files").glob("*")} == expected


def test_lambda_callback_hears_every_event_of_keras():
    heard = []
    events = [name for name in vars(Callback) if name.startswith("on_")]
    functions = {event: lambda *arguments, event=event: heard.append((event, len(arguments))) for event in events}
    del functions["on_batch_begin"], functions["on_batch_end"]  # short names of two others
    callback = LambdaCallback(**functions)
    model, _ = scripted_fit([0.5], callback)
    model.predict(data()[0], verbose=0, callbacks=callback)
    assert {event for event, _ in heard} == set(functions)
    short = {"on_train_begin", "on_train_end", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end"}
    assert all(count == (1 if event in short else 2) for event, count in heard)
