"""Callbacks take nothing with them: not when another one fails, and not from ``evaluate`` and ``predict``."""

import copy
import pickle

import fakes
import pytest
import torch
from settings import EXPORTED, make

import easyconv as ec
from easyconv.callbacks import Callback

HOOKS = ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"]
HOOKS += ["on_test_begin", "on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end"]
NOTES = {"relative_lr", "schedule_began_at", "schedule_left_at"}
X, Y = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fakes.install(monkeypatch)


def compiled(name, hidden="relu"):
    torch.manual_seed(0)
    layers = [ec.layers.Dense(6, activation=hidden), ec.layers.Dropout(0.5), ec.layers.Dense(2)]
    model = ec.Sequential(layers, input_shape=(4,))
    model.compile(ec.optim.SGD(lr=0.1, momentum=0.9), ema=0.5 if name == "SwapEMAWeights" else None)
    return model


def surroundings(model):
    """Hooks and wrappers at the net and the optimizer, modes, settings, the global random state."""
    optimizer = model.optimizer
    return {
        "hooks": [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()],
        "modes": [part.training for part in model.modules()],
        "optimizer": (
            len(optimizer._optimizer_step_pre_hooks),
            len(optimizer._optimizer_step_post_hooks),
            "step" in vars(optimizer),
            [set(group) - NOTES for group in optimizer.param_groups],
        ),
        "random": torch.get_rng_state().tolist(),
        "grad": torch.is_grad_enabled(),
    }


class Fails(Callback):
    def __init__(self, hook):
        def fail(*_):
            raise ZeroDivisionError

        vars(self)[hook] = fail


@pytest.mark.parametrize("name", EXPORTED)
def test_nothing_is_left_when_another_fails(name, capsys):
    model = compiled(name)
    model.fit(X, Y, batch_size=4, seed=0, verbose=0)
    before = surroundings(model)
    for hook in HOOKS:
        with pytest.raises(ZeroDivisionError):
            model.fit(
                *(X, Y),
                batch_size=4,
                epochs=2,
                seed=0,
                verbose=0,
                validation_data=(X, Y),
                callbacks=[make(name, "0"), Fails(hook)],
            )
        assert surroundings(model) == before, hook


@pytest.mark.parametrize("name", EXPORTED)
def test_evaluate_and_predict_are_left_alone(name, capsys):
    model = compiled(name)
    model.fit(X, Y, batch_size=4, seed=0, verbose=0)
    before, state = surroundings(model), copy.deepcopy(model.state_dict())
    plain = model.evaluate(X, Y, verbose=0), model.predict(X, verbose=0).tolist()
    callback = make(name, "0")
    watched = (
        model.evaluate(X, Y, verbose=0, callbacks=callback),
        model.predict(X, verbose=0, callbacks=callback).tolist(),
    )
    assert watched == plain
    assert surroundings(model) == before
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", EXPORTED)
def test_pickled_and_copied_before_and_after(name, capsys):
    callback = make(name, "0")
    assert type(pickle.loads(pickle.dumps(callback))) is EXPORTED[name]
    model = compiled(name)
    model.fit(X, Y, batch_size=4, epochs=2, seed=0, verbose=0, validation_data=(X, Y), callbacks=callback)
    for twin in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        other = compiled(name)
        other.fit(X, Y, batch_size=4, epochs=2, seed=0, verbose=0, validation_data=(X, Y), callbacks=twin)
        assert twin.model is other
        assert callback.model is model
        assert all(torch.equal(value, model.state_dict()[key]) for key, value in other.state_dict().items())


@pytest.mark.parametrize(
    "name", ["ActivationMonitor", "GradientMonitor", "TensorBoard", "Timer", "LRFinder", "CSVLogger"]
)
def test_watching_changes_no_bit_of_the_training(name):
    watched = compiled(name)
    if name != "LRFinder":
        watched.fit(X, Y, batch_size=4, epochs=3, validation_data=(X, Y), verbose=0, callbacks=make(name))
    else:
        make(name).find(watched, X, Y, batch_size=4)
        watched.fit(X, Y, batch_size=4, epochs=3, verbose=0)
    plain = compiled(name)
    plain.fit(X, Y, batch_size=4, epochs=3, verbose=0, validation_data=None if name == "LRFinder" else (X, Y))
    for key, value in plain.state_dict().items():
        assert torch.equal(value, watched.state_dict()[key])
