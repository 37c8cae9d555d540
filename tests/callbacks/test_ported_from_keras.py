"""Callbacks as people write them for Keras: only the import has changed."""

import math

import pytest
import torch
from scripted import scripted_fit

import easyconv as ec
from easyconv.callbacks import Callback


class LossHistory(Callback):  # the first example of many a Keras course: no super().__init__()
    def on_train_begin(self, logs={}):  # noqa: B006
        self.losses = []
        self.val_losses = []

    def on_batch_end(self, batch, logs={}):  # noqa: B006
        self.losses.append(logs.get("loss"))

    def on_epoch_end(self, epoch, logs={}):  # noqa: B006
        self.val_losses.append(logs.get("val_loss"))


class StopAtValue(Callback):
    def __init__(self, monitor="val_loss", value=0.1):
        self.monitor = monitor
        self.value = value

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        current = logs.get(self.monitor)
        if current is not None and current < self.value:
            print(f"Epoch {epoch + 1}: reached {self.value}, so stopping training.")
            self.model.stop_training = True


class F1FromPredictions(Callback):
    def __init__(self, validation_data):
        super(F1FromPredictions, self).__init__()  # noqa: UP008
        self.x, self.y = validation_data

    def on_epoch_end(self, epoch, logs=None):
        logs = logs if logs is not None else {}
        predicted = self.model.predict(self.x, verbose=0).argmax(axis=1)
        logs["val_right"] = float((predicted == self.y).mean())


class ExponentialDecay(Callback):
    """The way of old Keras callbacks: a rate of the user's own in the logs, parameters of the call from self.params."""

    def on_epoch_begin(self, epoch, logs=None):
        self.rate = 0.1 * math.exp(-epoch / self.params["epochs"])
        for group in self.model.optimizer.param_groups:
            group["lr"] = self.rate

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        logs["lr"] = self.rate


def test_loss_history():
    record = LossHistory()
    _, history = scripted_fit([0.5, 0.4], record)
    assert record.losses == [1.0, 1.0]
    assert record.val_losses == history.history["val_loss"]


def test_stop_at_value(capsys):
    _, history = scripted_fit([0.5, 0.05, 0.01], StopAtValue())
    assert len(history) == 2
    assert capsys.readouterr().out == "Epoch 2: reached 0.1, so stopping training.\n"


def test_values_from_predictions_are_logged_watched_and_kept():
    torch.manual_seed(0)
    x, y = torch.randn(40, 4), torch.randint(0, 2, (40,))
    model = ec.Sequential([ec.layers.Dense(2)])
    model.compile("sgd", lr=0.1)
    stopping = ec.callbacks.EarlyStopping("val_right", mode="max", patience=50, restore_best_weights=True)
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[F1FromPredictions((x.numpy(), y.numpy())), stopping])
    assert len(history.history["val_right"]) == 3
    assert stopping.best == max(history.history["val_right"])
    assert float((model.predict(x, verbose=0).argmax(axis=1) == y.numpy()).mean()) == stopping.best


def test_exponential_decay():
    _, history = scripted_fit([0.5, 0.4], ExponentialDecay())
    expected = [0.1, 0.1 * math.exp(-0.5)]
    assert history.history["lr"] == pytest.approx(expected)
    assert history.history["learning_rate"] == pytest.approx(expected)


def test_stopping_in_the_middle_of_an_epoch():
    class StopAfterTwoBatches(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                self.model.stop_training = True

    from scripted import Scripted, data

    model = Scripted([0.5])
    history = model.fit(
        *data(20), batch_size=4, epochs=3, validation_data=data(), verbose=0, callbacks=StopAfterTwoBatches()
    )
    assert model.trained == 2
    assert history.history["val_loss"] == [0.5]  # as in Keras the epoch ends with its validation


def test_what_base_class_has_is_there_without_init():
    class Bare(Callback):
        def __init__(self):
            pass

    assert (Bare().model, dict(Bare().params)) == (None, {})
