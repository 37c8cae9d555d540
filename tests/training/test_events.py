"""Callbacks hear every event, in Keras's order, however a call ends."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from plain_torch import data, loader, small
from torch import Tensor

import easyconv as ec
from easyconv.training import totals
from easyconv.training.callback import LazyLogs

BATCHES, CHECKS = 5, 2  # batches of training and of validation


class Listen(ec.callbacks.Callback):
    """Notes every event with its number."""

    def __init__(self, at: str | None = None, do: Callable[[Any], None] | None = None) -> None:
        super().__init__()
        self.events: list[str] = []
        self.at, self.do = at, do

    def note(self, event: str) -> None:
        self.events.append(event)
        if event == self.at and self.do is not None and self.events.count(event) == (2 if "batch" in event else 1):
            self.do(self.model)


def _listener(name: str) -> Callable[..., None]:
    short = name.removeprefix("on_")
    if "epoch" in name or "batch" in name:
        return lambda self, number, logs=None: self.note(f"{short} {number}")
    return lambda self, logs=None: self.note(short)


KERAS = [
    f"on_{part}_{when}"
    for part in ("train", "epoch", "train_batch", "test", "test_batch", "predict", "predict_batch")
    for when in ("begin", "end")
]
for _name in KERAS:
    setattr(Listen, _name, _listener(_name))


def passed(kind: str, batches: int) -> list[str]:
    return [f"{kind}_batch_{when} {batch}" for batch in range(batches) for when in ("begin", "end")]


def epoch_events(epoch: int, validated: bool = True) -> list[str]:
    check = ["test_begin", *passed("test", CHECKS), "test_end"] if validated else []
    return [f"epoch_begin {epoch}", *passed("train", BATCHES), *check, f"epoch_end {epoch}"]


def whole(epochs: int, **options: Any) -> list[str]:
    return ["train_begin", *(event for epoch in range(epochs) for event in epoch_events(epoch, **options)), "train_end"]


def fit(listener: Any, epochs: int = 3, x: Any = None, **options: Any) -> ec.Model:
    model = small()
    model.compile("sgd", lr=0.01, metrics=["accuracy"])
    given = {"x": data(20)[0], "y": data(20)[1], "batch_size": 4} if x is None else {"x": x}
    options = {"validation_data": data(8, seed=2), "validation_batch_size": 4} | options
    model.fit(**given, epochs=epochs, callbacks=listener, verbose=0, **options)
    return model


def test_every_event_of_keras_exists() -> None:
    names = {name for name in dir(ec.callbacks.Callback) if name.startswith("on_")}
    assert names == {*KERAS, "on_batch_begin", "on_batch_end"}


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_a_normal_end(epochs: int) -> None:
    listener = Listen()
    fit(listener, epochs)
    assert listener.events == whole(epochs)
    # The same as a closed formula: two events per call, epoch, batch and validation.
    assert len(listener.events) == 2 + epochs * (2 + 2 * BATCHES + 2 + 2 * CHECKS)


def test_without_validation_and_with_validation_freq() -> None:
    listener = Listen()
    fit(listener, 2, validation_data=None, validation_batch_size=None)
    assert listener.events == whole(2, validated=False)
    listener = Listen()
    fit(listener, 4, validation_freq=2)
    expected = [event for epoch in range(4) for event in epoch_events(epoch, epoch % 2 == 1)]
    assert listener.events == ["train_begin", *expected, "train_end"]


def test_evaluate_and_predict() -> None:
    model = fit(None, 0)
    listener = Listen()
    model.evaluate(*data(20), batch_size=4, callbacks=listener, verbose=0)
    assert listener.events == ["test_begin", *passed("test", BATCHES), "test_end"]
    listener = Listen()
    model.predict(data(20)[0], batch_size=4, callbacks=listener, verbose=0)
    assert listener.events == ["predict_begin", *passed("predict", BATCHES), "predict_end"]


def stop(model: Any) -> None:
    model.stop_training = True


def fail(model: Any) -> None:
    raise OverflowError("mine")


def press(model: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_stopping_in_a_batch_ends_the_epoch_early() -> None:
    listener = Listen("train_batch_end 2", stop)
    fit(listener, 4)
    second = ["epoch_begin 1", *passed("train", 3), "test_begin", *passed("test", CHECKS), "test_end", "epoch_end 1"]
    assert listener.events == ["train_begin", *epoch_events(0), *second, "train_end"]


def test_stopping_at_the_end_of_an_epoch() -> None:
    listener = Listen("epoch_end 1", stop)
    fit(listener, 4)
    assert listener.events == whole(2)


@pytest.mark.parametrize(
    "at", ["epoch_begin 0", "train_batch_begin 2", "train_batch_end 2", "test_begin", "test_batch_end 1", "epoch_end 0"]
)
def test_an_error_in_a_callback(at: str) -> None:
    listener, other = Listen(at, fail), Listen()
    with pytest.raises(OverflowError, match="mine"):
        fit([listener, other], 3)
    events = whole(3)
    index = events.index(at, events.index(at) + 1) if "batch" in at else events.index(at)
    assert listener.events == [*events[: index + 1], "train_end"]
    # The other stands behind, and hears nothing of the event that failed.
    assert other.events == [*events[:index], "train_end"]


@pytest.mark.parametrize("at", ["train_batch_begin 2", "train_batch_end 2"])
def test_ctrl_c(at: str) -> None:
    listener = Listen(at, press)
    with pytest.raises(KeyboardInterrupt):
        fit(listener, 3)
    assert listener.events == ["train_begin", *epoch_events(0), "epoch_begin 1", *passed("train", 3), "train_end"]


def test_an_error_in_the_loader() -> None:
    class Broken:
        def __iter__(self) -> Iterator[Any]:
            for index, batch in enumerate(loader(*data(20), batch_size=4)):
                if index == 3:
                    raise OSError("gone")
                yield batch

    listener = Listen()
    with pytest.raises(ec.errors.DataError, match="gone"):
        fit(listener, 2, Broken())
    assert listener.events == ["train_begin", "epoch_begin 0", *passed("train", 3), "train_end"]


def test_whoever_saw_the_beginning_sees_the_end() -> None:
    class FailsToBegin(Listen):
        def on_train_begin(self, logs: Any = None) -> None:
            super().on_train_begin(logs)  # type: ignore[misc]
            fail(None)

    first, second, third = Listen(), FailsToBegin(), Listen()
    with pytest.raises(OverflowError):
        fit([first, second, third])
    assert first.events == ["train_begin", "train_end"]
    assert second.events == ["train_begin"]
    assert third.events == []


def test_an_error_at_the_end_does_not_keep_others_from_theirs() -> None:
    class FailsToEnd(Listen):
        def on_train_end(self, logs: Any = None) -> None:
            fail(None)

    last = Listen()
    with pytest.raises(OverflowError):
        fit([FailsToEnd(), last], 1)
    assert last.events == whole(1)


def test_what_is_refused_is_refused_before_any_event() -> None:
    listener = Listen()
    with pytest.raises(ec.errors.LengthError):
        fit(listener, 1, validation_data=(data(8)[0], data(7)[1]))
    assert listener.events == []


def test_callbacks_hear_events_in_their_order() -> None:
    heard = []

    class Named(ec.callbacks.Callback):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            heard.append(self.name)

    fit([Named("a"), Named("b")], 2)
    assert heard == ["a", "b", "a", "b"]


def test_short_names_of_batch_events() -> None:
    heard: list[tuple[str, int]] = []

    class Short(ec.callbacks.Callback):
        def on_batch_begin(self, batch: int, logs: Any = None) -> None:
            heard.append(("begin", batch))

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append(("end", batch))
            assert 0 < logs["loss"] < 10

    fit(Short(), 2)
    assert heard == 2 * [(when, batch) for batch in range(BATCHES) for when in ("begin", "end")]


def test_who_has_both_names_of_an_event_hears_it_once() -> None:
    """As in Keras, where the long name calls the short one unless it is overridden."""
    heard: list[str] = []

    class Both(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append("long")

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            heard.append("short")

    class Through(Both):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ec.callbacks.Callback.on_train_batch_end(self, batch, logs)

    fit(Both(), 1)
    assert heard == BATCHES * ["long"]
    heard.clear()
    fit(Through(), 1)
    assert heard == BATCHES * ["short"]


def test_a_hook_that_is_set_on_the_instance_is_heard() -> None:
    heard = []
    callback = ec.callbacks.Callback()
    callback.on_epoch_end = lambda epoch, logs=None: heard.append(epoch)  # type: ignore[method-assign]
    fit(callback, 2)
    assert heard == [0, 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (ec.callbacks.Callback, r"got the class Callback; write Callback\(\.\.\.\)"),
        (print, "instances of easyconv.callbacks.Callback, got <built-in function print>"),
        ([ec.callbacks.Callback(), None], "got None"),
        ("early", "got 'early'"),
    ],
)
def test_what_is_no_callback_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ec.errors.ArgumentTypeError, match=message):
        fit(given)


# Logs


def test_logs_of_epochs() -> None:
    rows, lasts = [], []

    class Logs(ec.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rows.append(dict(logs))
            logs["own"] = float(epoch)

        def on_test_end(self, logs: Any = None) -> None:
            rows.append(dict(logs))

        def on_train_end(self, logs: Any = None) -> None:
            lasts.append(dict(logs))

    model = fit(Logs(), 2)
    names = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert [list(row) for row in rows] == 2 * [["loss", "accuracy"], names]
    assert rows[1]["val_loss"] == rows[0]["loss"]
    assert model.history.history["own"] == [0.0, 1.0]  # what is written into the logs is history
    assert lasts == [{**rows[3], "own": 1.0}]


def test_the_last_row_is_that_of_a_whole_epoch() -> None:
    lasts = []

    class Logs(ec.callbacks.Callback):
        def on_test_begin(self, logs: Any = None) -> None:
            if len(self.model.history) == 1:
                fail(None)

        def on_train_end(self, logs: Any = None) -> None:
            lasts.append(logs)

    class Early(Logs):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            fail(None)

    with pytest.raises(OverflowError):
        fit(Logs(), 3)
    assert lasts[0]["val_loss"] > 0
    with pytest.raises(OverflowError):
        fit(Early(), 3)
    assert lasts[1] is None


def test_logs_of_batches_are_running_means() -> None:
    seen = []

    class Logs(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append({**logs})

    x, y = data(20)
    model = small()
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 3))
    net.load_state_dict(model.state_dict())
    model.compile("sgd", lr=0.1, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=8, shuffle=False, callbacks=Logs(), verbose=0)
    total, rows = 0.0, 0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for start, logs in zip((0, 8, 16), seen, strict=True):
        loss = torch.nn.functional.cross_entropy(net(x[start : start + 8]), y[start : start + 8])
        rows += len(x[start : start + 8])
        total += loss.item() * len(x[start : start + 8])
        assert logs["loss"] == total / rows
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert list(seen[0]) == ["loss", "accuracy"]
    assert seen[-1]["loss"] == history.history["loss"][0]


@pytest.mark.parametrize(
    "look",
    [
        lambda logs: logs["loss"],
        dict,
        lambda logs: {**logs},
        list,
        len,
        lambda logs: logs.get("loss"),
        lambda logs: "loss" in logs,
        lambda logs: logs.items() and list(logs.items()),
        lambda logs: logs.copy() if hasattr(logs, "copy") else dict(logs),
        repr,
        lambda logs: logs.update(own=1.0),
        lambda logs: logs == {"loss": 1.0},
    ],
)
def test_lazy_logs_are_read_once_when_somebody_looks(look: Callable[[Any], Any]) -> None:
    reads = []

    def read() -> dict[str, float]:
        reads.append(1)
        return {"loss": 0.5}

    logs = LazyLogs(read)
    assert (logs or {}) is logs
    assert reads == []
    look(logs)
    look(logs)
    assert len(reads) == 1


def test_nobody_looks_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    original = totals.Totals.read
    monkeypatch.setattr(totals.Totals, "read", lambda self: reads.append(1) or original(self))

    class Deaf(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            logs = logs or {}

    class Looks(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 3:
                assert logs["loss"] == dict(logs)["loss"]

    fit([Deaf(), Deaf()], 2)
    assert len(reads) == 4  # the results of two epochs and two validations
    reads.clear()
    fit([Looks(), Looks()], 2)
    assert len(reads) == 6  # and one read for the batch that both look into


READS = ("item", "tolist", "__bool__", "__float__", "__int__", "__index__", "numpy", "cpu")


@pytest.mark.parametrize("verb", ["fit", "fit with everything", "evaluate"])
def test_no_batch_reads_the_device(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"reads": 0}

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(Tensor, name)

        def method(self: Tensor, *arguments: Any, **options: Any) -> Any:
            counts["reads"] += 1
            return original(self, *arguments, **options)

        return method

    def reads(batches: int) -> int:
        model = small()
        everything = verb == "fit with everything"
        options: dict[str, Any] = {"clip_norm": 1.0, "accumulate": 2, "ema": 0.9} if everything else {}
        # Not Adam: torch reads its step count, which it keeps on the host.
        optimizer = ec.optim.SGD(lr=0.01, momentum=0.9)
        model.compile(optimizer, metrics=["accuracy", "top2", "f1"] if everything else ["accuracy"], **options)
        x, y = data(2 * batches)
        counts["reads"] = 0
        if verb == "evaluate":
            model.evaluate(x, y, batch_size=2, verbose=0)
        else:
            weights = {"class_weight": [1.0, 2.0, 3.0], "sample_weight": torch.ones(len(x))} if everything else {}
            model.fit(x, y, batch_size=2, verbose=0, validation_data=(x, y), **weights)
        return counts["reads"]

    monkeypatch.setattr(totals, "SECONDS_BETWEEN_READS", 1e9)  # one look a second, whatever the number of batches
    for name in READS:
        monkeypatch.setattr(Tensor, name, counted(name))
    few, many = reads(10), reads(60)
    assert few > 0  # the counting works
    assert many == few
