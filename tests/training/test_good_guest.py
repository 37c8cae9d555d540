"""``fit``, ``evaluate`` and ``predict`` leave everything that is not theirs as they found it."""

import copy
import inspect
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from plain_torch import BATCH, CLASSES, data, loader, ours, same_state, small
from torch import Tensor, nn

import easyconv as ec

HOOKS = [name for name, _ in inspect.getmembers(ec.callbacks.Callback, inspect.isfunction) if name.startswith("on_")]
VERBS: dict[str, Callable[[ec.Model, Any], Any]] = {
    "fit": lambda model, callback: model.fit(
        *data(), batch_size=BATCH, epochs=2, validation_data=data(9), callbacks=callback, verbose=0, seed=1
    ),
    "evaluate": lambda model, callback: model.evaluate(*data(), batch_size=BATCH, callbacks=callback, verbose=0),
    "predict": lambda model, callback: model.predict(data()[0], batch_size=BATCH, callbacks=callback, verbose=0),
}
FIRED = {
    "fit": [hook for hook in HOOKS if "predict" not in hook],
    "evaluate": [hook for hook in HOOKS if "test" in hook],
    "predict": [hook for hook in HOOKS if "predict" in hook],
}


def mixed(channels_last: Any = True) -> ec.Sequential:
    """A compiled net whose layers are in different modes, and whose filters lie in two layouts."""
    torch.manual_seed(0)
    model = ec.Sequential(
        [
            ec.layers.Conv2D(4, 3),
            ec.layers.BatchNorm(),
            ec.layers.Dropout(0.5),
            ec.layers.Conv2D(4, 1),
            ec.layers.Conv2D(2, 3),
            ec.layers.Flatten(),
            ec.layers.Dense(CLASSES),
        ],
        input_shape=(1, 6, 6),
    )
    model.compile("adam", metrics=["accuracy"], channels_last=channels_last)
    model.train()
    model[1].eval()
    model[4].to(memory_format=torch.channels_last)
    model[5].eval()
    model.register_buffer("picture", torch.zeros(1, 3, 4, 4))
    return model


def surroundings(model: nn.Module) -> dict[str, Any]:
    return {
        "modes": {name: module.training for name, module in model.named_modules()},
        "grad": torch.is_grad_enabled(),
        "handler": signal.getsignal(signal.SIGINT),
        "layout": {name: value.stride() for name, value in model.state_dict().items()},
        "identity": {name: id(value) for name, value in model.named_parameters()},
        "requires_grad": {name: value.requires_grad for name, value in model.named_parameters()},
        "hooks": sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()),
        "random": torch.get_rng_state().tolist(),
        "default type": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
    }


def failing(hook: str, error: BaseException) -> ec.callbacks.Callback:
    class Fails(ec.callbacks.Callback):
        pass

    def fail(self: Any, *arguments: Any) -> None:
        raise error

    setattr(Fails, hook, fail)
    return Fails()


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("verb", VERBS)
def test_after_a_good_end(verb: str, grad: bool) -> None:
    model = mixed()
    with torch.set_grad_enabled(grad):
        before = surroundings(model)
        VERBS[verb](model, None)
        assert surroundings(model) == before


@pytest.mark.parametrize(("verb", "hook"), [(verb, hook) for verb in VERBS for hook in FIRED[verb]])
def test_after_an_error_in_any_hook(verb: str, hook: str) -> None:
    model = mixed()
    before = surroundings(model)
    with pytest.raises(OverflowError, match="mine"):
        VERBS[verb](model, failing(hook, OverflowError("mine")))
    assert surroundings(model) == before
    assert all(parameter.grad is None for parameter in model.parameters())
    VERBS[verb](model, None)
    assert surroundings(model) == before


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if "train" in hook or "epoch" in hook])
def test_fit_calls_every_hook_of_training(hook: str) -> None:
    # The sweep above proves something only where the hooks are really reached.
    with pytest.raises(OverflowError):
        VERBS["fit"](mixed(), failing(hook, OverflowError()))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("at", [0, 3])
def test_after_an_error_in_the_loader(verb: str, at: int) -> None:
    class Broken:
        def __iter__(self) -> Iterator[Any]:
            for index, batch in enumerate(loader(*data())):
                if index == at:
                    raise OSError("disk is gone")
                yield batch

    model = mixed()
    if verb == "fit":
        run = lambda: model.fit(Broken(), seed=1, verbose=0)  # noqa: E731
    else:
        run = lambda: getattr(model, verb)(Broken(), verbose=0)  # noqa: E731
    before = surroundings(model)
    with pytest.raises(ec.errors.DataError, match=f"Batch {at} could not be read.*OSError: disk is gone"):
        run()
    after = surroundings(model)
    if verb != "fit":  # a shuffling loader draws, as in a plain loop
        before.pop("random"), after.pop("random")
    assert after == before


@pytest.mark.parametrize("verb", VERBS)
def test_after_an_error_in_the_net(verb: str) -> None:
    class Fragile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(36, CLASSES), nn.BatchNorm1d(CLASSES)
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            if self.calls > 4:
                raise OverflowError("net")
            return self.norm(self.layer(x.flatten(1)))

    model = ec.Model(Fragile())
    model.compile(channels_last=True)
    model.net.norm.eval()
    before = surroundings(model)
    with pytest.raises(OverflowError, match="net"):
        VERBS[verb](model, None)
    assert surroundings(model) == before


def test_batch_norm_in_eval_mode_is_trained_and_given_back() -> None:
    model = ours()
    model.compile()
    model.eval()
    statistics = model[1].running_mean.clone()
    model.fit(*data(), verbose=0)
    assert not torch.equal(model[1].running_mean, statistics)  # fit trains in train mode
    assert not any(module.training for module in model.modules())
    statistics = model[1].running_mean.clone()
    model.train()
    model.evaluate(*data(), verbose=0)
    model.predict(data()[0], verbose=0)
    assert torch.equal(model[1].running_mean, statistics)
    assert all(module.training for module in model.modules())


def test_users_data_is_left_alone() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(36, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.sub_(1.0).flatten(1))

    x, y = data()
    kept = x.clone()
    model = ec.Model(Writes())
    model.compile()
    for shuffle in (True, False):
        model.fit(x, y, shuffle=shuffle, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    assert torch.equal(x, kept)


# Ctrl-C


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class Press(ec.callbacks.Callback):
    """Presses Ctrl-C in one hook of the second epoch, and notes what is seen."""

    def __init__(self, hook: str, times: int = 1) -> None:
        super().__init__()
        self.hook, self.times = hook, times
        self.steps: list[tuple[int, int]] = []
        self.epoch, self.ended = 0, 0
        self.after: list[str] = []

    def _at(self, hook: str) -> None:
        if hook == self.hook and self.epoch == 1 and not self.after:
            self.after.append("pressed")
            for _ in range(self.times):
                press()
            self.after.append("went on")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        self._at("on_epoch_begin")

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == 2:
            self._at("on_train_batch_begin")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append((self.epoch, batch))
        if batch == 2:
            self._at("on_train_batch_end")

    def on_test_begin(self, logs: Any = None) -> None:
        self._at("on_test_begin")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.after += ["test batch"] if self.epoch == 1 and self.after else []
        self._at("on_test_batch_end")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._at("on_epoch_end")

    def on_train_end(self, logs: Any = None) -> None:
        self._at("on_train_end")
        self.ended += 1


class Pressed(torch.utils.data.Dataset[Any]):
    """Ctrl-C comes while the first rows are read; a worker that dies of it is all that is seen."""

    def __init__(self, dies: bool) -> None:
        self.dies = dies

    def __len__(self) -> int:
        return 8

    def __getitem__(self, row: int) -> Any:
        press()
        if self.dies:
            raise RuntimeError("DataLoader worker exited unexpectedly")
        return torch.zeros(1, 6, 6), 0


@pytest.mark.parametrize("dies", [False, True])
def test_ctrl_c_while_the_first_rows_are_read(dies: bool) -> None:
    model = small()
    model.compile("sgd", lr=0.1)
    before, found = copy.deepcopy(model.state_dict()), signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        model.fit(torch.utils.data.DataLoader(Pressed(dies), batch_size=1), verbose=0)
    assert signal.getsignal(signal.SIGINT) is found
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def interrupted(hook: str, epochs: int = 4, times: int = 1) -> tuple[ec.Sequential, Press]:
    model, callback = small(), Press(hook, times)
    model.compile("sgd", lr=0.1)
    found = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            *data(),
            batch_size=BATCH,
            shuffle=False,
            epochs=epochs,
            validation_data=data(20, seed=3),
            callbacks=callback,
            verbose=0,
        )
    assert signal.getsignal(signal.SIGINT) is found
    return model, callback


@pytest.mark.parametrize(
    ("hook", "batches", "rows"),
    [
        ("on_epoch_begin", 1, 1),
        ("on_train_batch_begin", 3, 1),
        ("on_train_batch_end", 3, 1),
        ("on_test_begin", 7, 1),
        ("on_test_batch_end", 7, 1),
        ("on_epoch_end", 7, 2),
    ],
)
def test_ctrl_c_ends_the_batch_and_keeps_what_was_reached(hook: str, batches: int, rows: int) -> None:
    model, callback = interrupted(hook)
    assert callback.after[:2] == ["pressed", "went on"]
    assert callback.after.count("test batch") <= 1  # a validation is not carried on with
    assert callback.steps == [(0, batch) for batch in range(7)] + [(1, batch) for batch in range(batches)]
    assert callback.ended == 1
    assert model.history.epoch == list(range(rows))
    # The weights are those after the last batch that was begun.
    x, y = data()
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))
    net.load_state_dict(small().state_dict())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _, batch in callback.steps:
        part = slice(batch * BATCH, (batch + 1) * BATCH)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[part]), y[part]).backward()
        optimizer.step()
    assert same_state(model, net)
    # And training can go on.
    assert model.fit(*data(), epochs=2, verbose=0).epoch == [0, 1]
    assert model.history.epoch == [*range(rows), 0, 1]


def test_ctrl_c_while_the_last_callbacks_work_is_not_lost() -> None:
    model, callback = interrupted("on_train_end", epochs=2)
    assert callback.ended == 1
    assert model.history.epoch == [0, 1]


def test_a_second_ctrl_c_stops_at_once() -> None:
    model, callback = interrupted("on_train_batch_end", times=2)
    assert callback.after == ["pressed"]
    assert callback.ended == 1
    assert model.history.epoch == [0]


def test_ctrl_c_hides_no_callback_that_fails_at_the_end() -> None:
    class Fails(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            press()

        def on_train_end(self, logs: Any = None) -> None:
            raise OverflowError("at the end")

    model = small()
    model.compile()
    with (
        pytest.warns(ec.errors.EasyconvWarning, match=r"failed in on_train_end as well.*at the end"),
        pytest.raises(KeyboardInterrupt),
    ):
        model.fit(*data(), callbacks=Fails(), verbose=0)


def test_a_handler_of_the_programs_own_stays_in_charge() -> None:
    caught = []

    def own(signum: int, frame: Any) -> None:
        caught.append(signum)

    class Presses(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            press()

    model = small()
    model.compile()
    found = signal.signal(signal.SIGINT, own)
    try:
        model.fit(*data(), batch_size=50, epochs=2, callbacks=Presses(), verbose=0)
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, found)
    assert caught == [signal.SIGINT] * 2


def test_other_threads_train_without_touching_signals() -> None:
    model = small()
    model.compile()
    found = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: model.fit(*data(), epochs=2, verbose=0))
    thread.start()
    thread.join()
    assert len(model.history) == 2
    assert signal.getsignal(signal.SIGINT) is found
