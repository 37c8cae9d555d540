"""Names to watch that are not there: refused before training where that is sure, else at the end of an epoch."""

import pytest
import torch
from scripted import Scripted, scripted_fit

import easyconv as ec
from easyconv.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint, ReduceLROnPlateau
from easyconv.errors import ArgumentError

KINDS = [
    lambda monitor: EarlyStopping(monitor, mode="min"),
    lambda monitor: ReduceLROnPlateau(monitor, mode="min"),
    lambda monitor: ModelCheckpoint("never.pt", monitor, mode="min", save_best_only=True),
]


class Batches(Callback):
    """Counts batches, and hears of nothing else."""

    def __init__(self):
        self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1


def classifier(metrics=("accuracy",)):
    model = ec.Sequential([ec.layers.Dense(3)])
    model.compile("sgd", metrics=list(metrics))
    return model, (torch.randn(12, 4), torch.randint(0, 3, (12,)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("monitor", "validated", "match"),
    [
        ("val_loss", False, "no validation data.*monitor='loss'"),
        ("val_accuracy", False, "no validation data.*monitor='accuracy'"),
        ("val_acc", False, "no validation data.*monitor='accuracy'"),
        ("val_wobble", False, "no validation data"),
        ("val_acc", True, "Did you mean 'val_accuracy'"),
        ("val_acuracy", True, "Did you mean 'val_accuracy'"),
        ("val-loss", True, "Did you mean 'val_loss'"),
        ("acc", True, "Did you mean 'accuracy'"),
        ("Loss", True, "Did you mean 'loss'"),
        ("validation_loss", True, None),
        ("wobble", True, None),
    ],
)
def test_a_name_that_cannot_be_there(kind, monitor, validated, match):
    model, (x, y) = classifier()
    batches = Batches()
    validation = (x, y) if validated else None
    with pytest.raises(ArgumentError, match=match or f"{monitor!r}.*'val_accuracy'") as caught:
        model.fit(
            x, y, batch_size=4, epochs=3, verbose=0, validation_data=validation, callbacks=[kind(monitor), batches]
        )
    assert repr(monitor) in str(caught.value)
    assert batches.count == (0 if match else 3)  # in doubt, after one epoch of three batches


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_callback_logs_can_be_watched(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, (x, y) = classifier()

    class OwnValidation(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_acc"] = 0.5

    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[OwnValidation(), kind("val_acc")])
    assert history.history["val_acc"] == [0.5, 0.5]


def test_a_callback_that_comes_later_is_too_late():
    model, (x, y) = classifier()
    log = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(late=1.0))
    with pytest.raises(ArgumentError, match=r"'late'.*is not in the logs"):
        model.fit(x, y, verbose=0, callbacks=[EarlyStopping("late", mode="min"), log])


def test_values_of_a_step_of_the_users_can_be_watched():
    # "val_score" is not among the names known before training: epochs without validation are skipped all the same.
    stopping = EarlyStopping("val_score", mode="max", patience=1)
    _, history = scripted_fit([0.5, 0.4, 0.9], stopping, metric="score", epochs=6, validation_freq=2)
    assert len(history) == 4


def test_losses_of_several_outputs_can_be_watched():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(4, 1), torch.nn.Linear(4, 1)

        def forward(self, x):
            return {"a": self.a(x), "b": self.b(x)}

    model = ec.Model(Two())
    model.compile("sgd", {"a": "mse", "b": "mse"})
    x = torch.randn(8, 4)
    y = {"a": torch.randn(8, 1), "b": torch.randn(8, 1)}
    name = next(key for key in model.evaluate(x, y, return_dict=True, verbose=0) if key != "loss")
    stopping = EarlyStopping(f"val_{name}", patience=99)
    history = model.fit(x, y, epochs=4, validation_data=(x, y), validation_freq=2, verbose=0, callbacks=[stopping])
    assert stopping.best == min(history.history[f"val_{name}"])


def test_a_missing_validation_value_is_an_error_where_there_was_validation():
    with pytest.raises(ArgumentError, match=r"val_other.*Did you mean|val_other.*is not in the logs"):
        scripted_fit([0.5, 0.5], EarlyStopping("val_other_things", mode="min"), metric="score")


def test_hooks_called_by_hand_need_no_parameters():
    stopping = EarlyStopping("loss", patience=1)
    stopping.set_model(model := Scripted([]))
    stopping.on_train_begin()
    stopping.on_epoch_end(0, {"loss": 1.0})
    stopping.on_epoch_end(1, {"loss": 2.0})
    assert stopping.stopped_epoch == 1
    assert model.trained == 0
