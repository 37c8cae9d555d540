"""Every callback goes on from its ``state_dict()`` as if nothing had happened.

In a training that is otherwise undisturbed, at some event, the callback is thrown away: a new one is made, sees
``on_train_begin``, and gets the state, which has been through a file that holds plain data only. All that follows must
be as it was without the exchange: rates, weights, rows, files, what servers are told, and where training stops.
"""

import copy
import io
import types

import fakes
import pytest
import torch
from settings import EXPORTED, make

import easyconv as ec
from easyconv.callbacks import Callback
from easyconv.errors import ArgumentError

EVENTS = [name for name in vars(Callback) if name.startswith("on_")]
EPOCHS, BATCHES = 5, 3
VALUES = [0.5, 0.6, 0.55, 0.7, 0.4]
"""What validation is said to have given."""
PLACES = [1, 3, 4, 6, 8, 12]
"""Ends of batches and epochs, counted together: 4 is the end of the first epoch."""
STATEFUL = {
    "ActivationMonitor": {"every": 2},
    "CSVLogger": {},
    "EarlyStopping": {"patience": 3, "restore_best_weights": True},
    "GradientMonitor": {},
    "History": {},
    "MaxSteps": {"steps": 8},
    "ModelCheckpoint": {"filepath": "{epoch}.pt", "save_best_only": False, "keep": 2},
    "OneCycle": {"rise": 0.4},
    "ReduceLROnPlateau": {"patience": 2, "cooldown": 1},
    "TensorBoard": {},
    "TimeLimit": {"seconds": 8},
    "Timer": {},
    "TorchScheduler": {},
    "WandbLogger": {},
    "WarmupCosine": {"warmup": 0.4},
}
"""Arguments with which it matters that the state is handed on."""
OTHERS = set(EXPORTED) - set(STATEFUL) - {"LRFinder"}  # that is no training which anybody would want to go on


@pytest.fixture
def clock(monkeypatch, tmp_path):
    """Seconds that pass with the batches only; an empty folder; no server outside."""
    monkeypatch.chdir(tmp_path)
    fakes.install(monkeypatch)
    clock = types.SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    for module in (ec.callbacks.stopping, ec.callbacks.timing, ec.callbacks.tensorboard):
        monkeypatch.setattr(module, "time", clock)
    return clock


class Exchanged(Callback):
    """Passes all on to another callback, which is exchanged for a new one at an event."""

    def __init__(self, new, place, hand_over=True):
        self.inner, self.new, self.place, self.hand_over = new(), new, place, hand_over
        self.seen = 0

    def set_model(self, model):
        super().set_model(model)
        self.inner.set_model(model)

    def set_params(self, params):
        super().set_params(params)
        self.inner.set_params(params)

    def exchange(self):
        file = io.BytesIO()
        torch.save(self.inner.state_dict(), file)
        file.seek(0)
        rates = copy.deepcopy(self.model.optimizer.state_dict())
        self.inner = self.new()
        self.inner.set_params(self.params)
        self.inner.set_model(self.model)
        self.inner.on_train_begin({})
        self.model.optimizer.load_state_dict(rates)
        if self.hand_over:
            self.inner.load_state_dict(torch.load(file, weights_only=True))


def _passes_on(event):
    def hook(self, *arguments):
        if event not in ("on_batch_begin", "on_batch_end"):  # the long names call them
            getattr(self.inner, event)(*arguments)
        if event in ("on_train_batch_end", "on_epoch_end"):
            self.seen += 1
            if self.seen == self.place:
                self.exchange()

    return hook


for _event in EVENTS:
    setattr(Exchanged, _event, _passes_on(_event))


class Recorder(Callback):
    """Writes down what can be seen from outside."""

    def __init__(self, clock):
        self.clock, self.trace = clock, []

    def on_train_batch_end(self, batch, logs=None):
        self.clock.now += 1.0
        groups = self.model.optimizer.param_groups
        self.trace.append([(group["lr"], group["momentum"]) for group in groups])

    def on_epoch_end(self, epoch, logs=None):
        self.trace.append((epoch, dict(logs), self.model.optimizer.param_groups[0]["lr"]))


class Script(Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = VALUES[epoch]


def run(name, clock, tmp_path, place=0, hand_over=True):
    """All that a training does, with the callback exchanged at a place (0: never)."""
    for file in tmp_path.iterdir():
        file.unlink()
    fakes.TOLD.clear()
    clock.now = 0.0
    torch.manual_seed(0)
    model = ec.Sequential([ec.layers.Dense(6, activation="relu"), ec.layers.Dense(2)], input_shape=(4,))
    optimizer = ec.optim.SGD(lr=0.1, momentum=0.9, groups=ec.optim.layer_rates({"1": 1.0}, rest=0.1))
    model.compile(optimizer, ema=0.5 if name == "SwapEMAWeights" else None)
    x = torch.randn(4 * BATCHES, 4)
    y = torch.arange(len(x)) % 2
    exchanged = Exchanged(lambda: make(name, "0", **STATEFUL.get(name, {})), place, hand_over)
    recorder = Recorder(clock)
    history = model.fit(
        *(x, y),
        batch_size=4,
        epochs=EPOCHS,
        validation_data=(x, y),
        seed=0,
        verbose=0,
        callbacks=[Script(), exchanged, recorder],
    )
    return {
        "trace": recorder.trace,
        "history": history.history,
        "weights": {name: value.tolist() for name, value in model.state_dict().items()},
        "files": {file.name: file.read_bytes() for file in sorted(tmp_path.iterdir()) if file.is_file()},
        "told": list(fakes.TOLD),
        "rows": copy.deepcopy(getattr(exchanged.inner, "rows", None)),
    }


@pytest.mark.parametrize("name", [name for name in EXPORTED if name in OTHERS or name in STATEFUL])
def test_goes_on_as_if_undisturbed(name, clock, tmp_path, capsys):
    expected = run(name, clock, tmp_path)
    for place in PLACES:
        found = run(name, clock, tmp_path, place)
        for what, value in expected.items():
            assert found[what] == value, f"{what} differs where {name} was exchanged at {place}"


@pytest.mark.parametrize("name", [name for name in STATEFUL if name != "WandbLogger"])  # see test_trackers.py
def test_would_not_without_its_state(name, clock, tmp_path):
    def outcome(place):
        try:
            return run(name, clock, tmp_path, place, hand_over=False)
        except AttributeError as error:  # a schedule that has never begun
            return str(error)

    expected = run(name, clock, tmp_path)
    assert any(outcome(place) != expected for place in PLACES)


def test_every_training_reaches_the_last_place(clock, tmp_path):
    for name in STATEFUL:
        trace = run(name, clock, tmp_path)["trace"]
        assert len(trace) >= min(PLACES[-1], 9), name


@pytest.mark.parametrize("name", [name for name, cls in EXPORTED.items() if cls.remembers])
def test_refuses_the_state_of_another(name, clock):
    callback = make(name, "0")
    with pytest.raises(ArgumentError, match=rf"{name} cannot go on from this state, which lacks .*in the same order"):
        callback.load_state_dict({"nonsense": 1})


def test_a_class_of_the_users_needs_only_the_names():
    class Counting(Callback):
        remembers = ("count", "seen")

        def __init__(self):
            self.count, self.seen = 0, []

    first, second = Counting(), Counting()
    first.count, first.seen = 3, [1, 2]
    state = first.state_dict()
    first.seen.append(3)
    second.load_state_dict(state)
    assert (second.count, second.seen) == (3, [1, 2])
    assert Callback().state_dict() == {}


def test_what_is_frozen_is_frozen_again(clock):
    model = ec.Sequential([ec.layers.Dense(3), ec.layers.Dense(2)], input_shape=(4,))
    freeze = ec.callbacks.Freeze("0", epoch=1)
    freeze.set_model(model)
    freeze.on_train_begin({})
    freeze.load_state_dict({"done": True})
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, False, True, True]
    freeze.load_state_dict({"done": False})
    assert freeze.state_dict() == {"done": False}
