"""What the verbs return, show and stop at, as Keras documents it."""

from typing import Any

import numpy as np
import pytest
import torch
from plain_torch import BATCH, CLASSES, Watch, data, same_state, small
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    EasyconvWarning,
    NotCompiledError,
    StateError,
)


def model_for(metrics: Any = None, **options: Any) -> ec.Sequential:
    model = small()
    model.compile("adam", metrics=metrics, **options)
    return model


def test_what_evaluate_returns() -> None:
    x, y = data()
    bare = model_for().evaluate(x, y, verbose=0)
    assert isinstance(bare, float)
    model = model_for(["top2", "accuracy"])
    listed = model.evaluate(x, y, verbose=0)
    named = model.evaluate(x, y, verbose=0, return_dict=True)
    assert isinstance(listed, list)
    assert list(named) == ["loss", "top2", "accuracy"]
    assert list(named.values()) == listed
    assert listed[0] == bare
    assert model_for().evaluate(x, y, verbose=0, return_dict=True) == {"loss": bare}


def test_one_batch_calls() -> None:
    x, y = data(8)
    model = model_for(["accuracy"])
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))
    net.load_state_dict(model.state_dict())
    output = net(x)
    loss = functional.cross_entropy(output, y)
    accuracy = (output.argmax(1) == y).double().mean().item()
    assert model.test_on_batch(x, y) == pytest.approx([loss.item(), accuracy])
    assert model.test_on_batch(x, y, return_dict=True) == pytest.approx({"loss": loss.item(), "accuracy": accuracy})
    np.testing.assert_array_equal(model.predict_on_batch(x), output.detach().numpy())
    assert same_state(model, net)
    optimizer = torch.optim.Adam(net.parameters())
    loss.backward()
    optimizer.step()
    assert model.train_on_batch(x, y) == pytest.approx([loss.item(), accuracy])
    assert same_state(model, net)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_train_on_batch_weighs_rows_and_classes() -> None:
    x, y = data(8)
    weight = torch.rand(8)
    model = model_for()
    expected = (functional.cross_entropy(model(x), y, reduction="none") * weight).mean().item()
    assert model.test_on_batch(x, y, weight) == pytest.approx(expected)
    assert model.train_on_batch(x, y, weight) == pytest.approx(expected)
    expected = (functional.cross_entropy(model(x), y, reduction="none") * torch.tensor([1.0, 2.0, 3.0])[y]).mean()
    assert model.train_on_batch(x, y, class_weight=[1.0, 2.0, 3.0]) == pytest.approx(expected.item())


def test_the_one_batch_calls_want_data() -> None:
    with pytest.raises(ArgumentError, match="take data"):
        model_for().train_on_batch(iter([data(4)]))


def test_predictions_are_numpy_arrays_of_the_nets_structure() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x.sum(1)

    class Named(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"same": x, "pair": (x, -x)}

    x = torch.randn(10, 3)
    first, second = ec.Model(Two()).predict(x, batch_size=4, verbose=0)
    np.testing.assert_array_equal(first, x.numpy())
    np.testing.assert_array_equal(second, x.sum(1).numpy())
    named = ec.Model(Named()).predict(x, batch_size=4, verbose=0)
    np.testing.assert_array_equal(named["same"], x.numpy())
    np.testing.assert_array_equal(named["pair"][1], -x.numpy())


def test_predictions_that_cannot_be_joined() -> None:
    class Padded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), len(x))

    with pytest.raises(ArgumentError, match=r"cannot be joined.*\(2,\), \(4,\).*predict_on_batch"):
        ec.Model(Padded()).predict(torch.zeros(6, 2), batch_size=4, verbose=0)


@pytest.mark.parametrize(
    ("loss", "ending", "probabilities", "classes"),
    [
        ("cross_entropy", None, lambda o: o.softmax(1), lambda o: o.argmax(1)),
        ("nll", "log_softmax", lambda o: o.exp(), lambda o: o.argmax(1)),
        ("bce", None, torch.sigmoid, lambda o: (o > 0).long()),
    ],
)
def test_probabilities_and_classes(loss: str, ending: str | None, probabilities: Any, classes: Any) -> None:
    torch.manual_seed(1)
    layers = [ec.layers.Dense(CLASSES), *([ec.layers.Activation(ending)] if ending else [])]
    model = ec.Sequential(layers, input_shape=(5,))
    model.compile("sgd", loss, lr=0.1)
    x = torch.randn(11, 5)
    output = torch.from_numpy(model.predict(x, verbose=0))
    np.testing.assert_allclose(model.predict_proba(x, verbose=0), probabilities(output).numpy(), rtol=1e-6)
    np.testing.assert_array_equal(model.predict_classes(x, verbose=0), classes(output).numpy())
    assert model.predict_classes(x, verbose=0).dtype == np.int64


def test_a_loss_without_probabilities() -> None:
    model = ec.Sequential([ec.layers.Dense(1)], input_shape=(5,))
    model.compile("sgd", "mse", lr=0.1)
    with pytest.raises(StateError, match="'mse' does not say what the probabilities are"):
        model.predict_proba(torch.zeros(2, 5), verbose=0)


def test_before_compile() -> None:
    model = small()
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(NotCompiledError, match="call compile"):
            call(*data())
    assert model.predict(data()[0], verbose=0).shape == (50, CLASSES)


@pytest.mark.parametrize("verbose", ["auto", 0, 1, 2])
def test_verbose(verbose: Any, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_for(["accuracy"])
    model.fit(*data(), epochs=2, verbose=verbose)
    model.evaluate(*data(), verbose=verbose)
    model.predict(data()[0], verbose=verbose)
    shown = capsys.readouterr().out
    assert (shown == "") == (verbose == 0)
    if verbose != 0:
        assert "Epoch 1/2" in shown
        assert "Epoch 2/2" in shown
        assert "accuracy" in shown
    if verbose in (2, "auto"):  # the output here is no terminal
        assert "\r" not in shown


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_a_bad_verbose_is_refused(verbose: Any) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match="verbose"):
        model_for().fit(*data(), verbose=verbose)


def test_names_of_the_logs_are_told_beforehand() -> None:
    told = {}

    class Ask(ec.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            told.update(self.params)

    history = model_for(["accuracy"]).fit(
        *data(), batch_size=BATCH, epochs=2, validation_data=data(9), callbacks=Ask(), verbose=0
    )
    assert set(told["metrics"]) == set(history.history)
    assert (told["epochs"], told["steps"], told["verbose"]) == (2, 7, 0)


# Stopping


@pytest.mark.parametrize("when", ["batch begin", "batch end", "epoch begin", "epoch end", "train begin"])
def test_stop_training(when: str) -> None:
    class Stop(Watch):
        def stop(self, name: str) -> None:
            if name == when and (name == "train begin" or len(self.epochs) == 2):
                assert self.model.stop_training is False
                self.model.stop_training = True
                assert self.model.stop_training is True

        def on_train_begin(self, logs: Any = None) -> None:
            self.stop("train begin")

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_begin(epoch)
            self.stop("epoch begin")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.stop("epoch end")

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                self.stop("batch begin")

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_train_batch_end(batch)
            if batch == 2:
                self.stop("batch end")

    watch = Stop()
    model = model_for()
    history = model.fit(*data(), batch_size=BATCH, epochs=4, callbacks=watch, verbose=0)
    expected = {
        "batch begin": [7, 3],
        "batch end": [7, 3],
        "epoch begin": [7, 1],
        "epoch end": [7, 7],
        "train begin": [1],
    }[when]
    assert watch.batches == expected
    assert history.epoch == list(range(len(expected)))
    # The next fit starts unstopped.
    assert model.fit(*data(), epochs=2, verbose=0).epoch == [0, 1]


def test_a_stopped_epoch_still_flushes_validates_and_is_noted() -> None:
    class Stop(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 2

    model, other = small(), small()
    x, y = data()
    model.compile("sgd", lr=0.1, accumulate=2)
    history = model.fit(
        x, y, batch_size=4, shuffle=False, epochs=3, validation_data=(x, y), callbacks=Stop(), verbose=0
    )
    other.compile("sgd", lr=0.1, accumulate=2)
    other.fit(x[:12], y[:12], batch_size=4, shuffle=False, verbose=0)
    assert same_state(model, other)
    assert len(history.history["val_loss"]) == 1


def test_a_callback_may_evaluate_and_predict_in_the_middle() -> None:
    class Middle(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                self.model.evaluate(*data(), verbose=0)
                self.model.predict(data()[0], verbose=0)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            assert logs is not None
            logs["own"] = self.model.evaluate(*data(20, seed=3), batch_size=BATCH, verbose=0)
            self.model.stop_training = epoch == 1

    class Stepping(ec.Model):
        def train_step(self, batch: Any) -> Any:
            return super().train_step(batch)

    model, other = (Stepping(nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))) for _ in range(2))
    other.load_state_dict(model.state_dict())
    for each in (model, other):
        each.compile("sgd", lr=0.1)
    torch.manual_seed(0)
    history = model.fit(
        *data(), epochs=9, batch_size=BATCH, validation_data=data(20, seed=3), callbacks=Middle(), verbose=0
    )
    torch.manual_seed(0)
    other.fit(*data(), epochs=2, batch_size=BATCH, verbose=0)
    assert history.epoch == [0, 1]
    assert history.history["own"] == history.history["val_loss"]
    assert same_state(model, other)


def test_validation_data_may_be_a_list_of_arrays() -> None:
    x, y = torch.rand(8, 3), torch.arange(8) % 2
    rows = []
    for checked in ((x, y), [x, y]):
        ec.set_seed(0)
        model = ec.Sequential([ec.layers.Dense(2)])
        model.compile("sgd")
        rows.append(model.fit(x, y, validation_data=checked, seed=0, verbose=0).rows)
    assert rows[0] == rows[1]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_data_becomes_what_the_net_computes_in(dtype: torch.dtype) -> None:
    x, y = torch.rand(8, 3), torch.arange(8) % 2
    model = ec.Sequential([ec.layers.Dense(2)], input_shape=(3,)).to(dtype)
    model.compile("sgd")
    for given in ((x, y), (DataLoader(TensorDataset(x, y), batch_size=4), None)):
        model.fit(*given, verbose=0)
        outputs = model.predict(given[0], verbose=0)
        plain = model(x.to(dtype)).detach()
        assert outputs.dtype == (np.float64 if dtype == torch.float64 else np.float32)
        np.testing.assert_array_equal(outputs, plain.to(torch.float64 if dtype == torch.float64 else torch.float32))


def test_keywords_of_keras_say_what_to_write() -> None:
    model = ec.Sequential([ec.layers.Dense(2)])
    with pytest.raises(ArgumentTypeError, match=r"compile\(\) has no argument learning_rate=. Write lr=."):
        model.compile(learning_rate=0.1)
    with pytest.raises(ArgumentTypeError, match=r"fit\(\) has no argument workers=. .*num_workers"):
        model.fit([[0.0]], [0], workers=2)
    with pytest.raises(ArgumentTypeError, match=r"fit\(\) has no argument epoch=. Did you mean 'epochs'"):
        model.fit([[0.0]], [0], epoch=2)


def test_a_misspelt_event_of_a_callback_is_noticed() -> None:
    class Mine(ec.callbacks.Callback):
        def on_epoch_ends(self, epoch: int, logs: object = None) -> None: ...

    model = ec.Sequential([ec.layers.Dense(2)])
    model.compile()
    with pytest.warns(EasyconvWarning, match="Mine.on_epoch_ends is no event.*Did you mean 'on_epoch_end'"):
        model.fit([[0.0], [1.0]], [0, 1], callbacks=Mine(), verbose=0)


def test_layers_that_torch_does_not_see_are_noticed() -> None:
    class Net(ec.Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [ec.layers.Dense(4), ec.layers.Dense(4)]
            self.head = ec.layers.Dense(2)

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    model = Net()
    model.compile()
    with pytest.warns(EasyconvWarning, match="'blocks' stand in a plain list.*torch.nn.ModuleList"):
        model.fit([[0.0], [1.0]], [0, 1], verbose=0)


def test_the_mark_of_keras_on_a_layer_is_noticed() -> None:
    model = ec.Sequential([ec.layers.Dense(4), ec.layers.Dense(2)])
    model[0].trainable = False
    model.compile()
    with pytest.warns(EasyconvWarning, match="trainable=False on '0' is Keras's word.*model.freeze"):
        model.fit([[0.0], [1.0]], [0, 1], verbose=0)


@pytest.mark.parametrize("name", ["accuracy", "f1", "top3"])
def test_metrics_of_classes_are_refused_for_values(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"The metric '{name}' is about classes, and the loss about values"):
        ec.Sequential([ec.layers.Dense(1)]).compile(loss="mse", metrics=[name])


@pytest.mark.parametrize("what", ["loss", "metrics"])
def test_the_order_of_keras_is_noticed(what: str) -> None:
    def pinball(y_true: Tensor, y_pred: Tensor) -> Tensor:
        return torch.maximum(0.9 * (y_true - y_pred), 0.1 * (y_pred - y_true)).mean()

    with pytest.raises(ArgumentError, match=r"takes \(y_true, y_pred\), as in Keras.*def f\(y_pred, y_true\)"):
        ec.Sequential([ec.layers.Dense(1)]).compile(**{what: pinball})  # type: ignore[arg-type]
