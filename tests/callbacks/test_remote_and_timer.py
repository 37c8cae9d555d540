"""RemoteMonitor against a server on this machine; Timer; SwapEMAWeights."""

import json
import types
import urllib.parse

import fakes
import pytest
import torch

import easyconv as ec
from easyconv.callbacks import Callback, LambdaCallback, RemoteMonitor, SwapEMAWeights, Timer, timing
from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvWarning, StateError

X, Y = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2


@pytest.fixture(autouse=True)
def _server(monkeypatch):
    fakes.install(monkeypatch)
    monkeypatch.setattr(fakes.Handler, "status", 200)


def fit(*callbacks, **arguments):
    torch.manual_seed(0)
    model = ec.Sequential([ec.layers.Dense(2)], input_shape=(4,))
    model.compile("sgd", lr=0.1, ema=arguments.pop("ema", None))
    arguments = {"batch_size": 5, "epochs": 3, "verbose": 0, **arguments}
    return model, model.fit(X, Y, callbacks=list(callbacks), **arguments)


# Keras posts {"epoch": epoch, **logs} to root + path: as text of a form's field, or itself with send_as_json.
def test_sends_json():
    _, history = fit(RemoteMonitor(fakes.server(), send_as_json=True))
    kinds, paths, bodies = zip(*((kind, path, json.loads(body)) for _, path, kind, body in fakes.TOLD), strict=True)
    assert set(kinds) == {"application/json"}
    assert set(paths) == {"/publish/epoch/end/"}
    assert list(bodies) == [{"epoch": epoch, **row} for epoch, row in enumerate(history.rows)]


def test_sends_a_form():
    _, history = fit(RemoteMonitor(fakes.server(), "/news", "row"), epochs=1)
    [(_, path, kind, body)] = fakes.TOLD
    assert (path, kind) == ("/news", "application/x-www-form-urlencoded")
    assert json.loads(urllib.parse.parse_qs(body)["row"][0]) == {"epoch": 0, **history.rows[0]}


def test_numbers_that_json_lacks_and_other_things_are_sent_too():
    odd = {"nan": float("nan"), "text": "a", "count": 3, "tensor": torch.tensor(0.5), "list": [1]}
    fit(
        LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(odd)),
        RemoteMonitor(fakes.server(), send_as_json=True),
        epochs=1,
    )
    sent = json.loads(fakes.TOLD[0][3])
    assert {name: sent[name] for name in odd} == {"nan": None, "text": "a", "count": 3, "tensor": 0.5, "list": "[1]"}


@pytest.mark.parametrize("status", [404, 500])
def test_a_server_that_refuses_is_told_of_once(monkeypatch, status):
    monkeypatch.setattr(fakes.Handler, "status", status)
    with pytest.warns(EasyconvWarning) as told:
        _, history = fit(RemoteMonitor(fakes.server()))
    assert len(history) == 3
    assert len(fakes.TOLD) == 3
    [message] = [str(warning.message) for warning in told]
    assert message.startswith(f"RemoteMonitor could not reach {fakes.server()}/publish/epoch/end/: HTTP Error {status}")
    assert message.endswith("Training goes on without it.")


@pytest.mark.parametrize("root", ["http://127.0.0.1:1", "http://[broken", "https://127.0.0.1:1"])
def test_a_server_that_is_not_there_never_stops_training(root):
    with pytest.warns(EasyconvWarning, match="could not reach") as told:
        _, history = fit(RemoteMonitor(root))
    assert (len(told), len(history)) == (1, 3)


def test_a_server_that_answers_nonsense_never_stops_training(monkeypatch):
    monkeypatch.setattr(fakes.Handler, "send_response", lambda self, status: self.wfile.write(b"nonsense\r\n"))
    with pytest.warns(EasyconvWarning, match="could not reach"):
        assert len(fit(RemoteMonitor(fakes.server()))[1]) == 3


def test_arguments_of_the_remote_monitor_are_checked():
    with pytest.raises(
        ArgumentError, match=r"root must be a web address like 'http://localhost:9000', got 'file:///x'"
    ):
        RemoteMonitor("file:///x")
    with pytest.raises(ArgumentTypeError, match="path must be text, got 3"):
        RemoteMonitor(path=3)
    with pytest.raises(ArgumentError, match="timeout must be more than 0"):
        RemoteMonitor(timeout=0)


def test_seconds_and_samples(monkeypatch):
    clock = types.SimpleNamespace(now=50.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(timing, "time", clock)

    def passes(seconds):
        return lambda *_: setattr(clock, "now", clock.now + seconds)

    tick = LambdaCallback(on_train_batch_end=passes(2.0), on_test_batch_end=passes(7.0))
    timer = Timer()
    _, history = fit(tick, timer, validation_data=(X, Y), validation_freq=2)  # three batches of 5, 5 and 2 rows
    assert history.history["seconds"] == [6.0, 27.0, 6.0]
    assert history.history["samples_per_second"] == [2.0, 2.0, 2.0]
    assert timer.rows[1] == {"seconds": 27.0, "samples_per_second": 2.0}


def test_averages_are_validated_and_kept():
    """As with swap_on_epoch=True in Keras: what is looked at is the average of the weights after each step."""
    seen = []

    class Look(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append([parameter.tolist() for parameter in self.model.parameters()])

    model, _ = fit(SwapEMAWeights(swap_on_epoch=True), Look(), ema=0.5, shuffle=False)
    torch.manual_seed(0)
    twin = ec.Sequential([ec.layers.Dense(2)], input_shape=(4,))
    averages = [parameter.detach().clone() for parameter in twin.parameters()]
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    for epoch in range(3):
        for rows in torch.arange(12).split(5):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(twin(X[rows]), Y[rows]).backward()
            optimizer.step()
            for average, parameter in zip(averages, twin.parameters(), strict=True):
                average.lerp_(parameter.detach(), 0.5)
        assert [average.tolist() for average in averages] == seen[epoch]
    assert [parameter.tolist() for parameter in model.parameters()] == seen[-1]


def test_without_averages_it_is_refused():
    with pytest.raises(StateError, match=r"SwapEMAWeights needs averaged weights, .* compile\(..., ema=0.999\)"):
        fit(SwapEMAWeights())
