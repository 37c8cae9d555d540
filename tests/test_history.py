"""History: rows, columns, tables and pictures of training."""

import csv
import pickle

import numpy as np
import pytest
import torch

import easyconv as ec
from easyconv.callbacks import LambdaCallback
from easyconv.errors import EmptyDataError, FileWriteError

X, Y = torch.randn(12, 4), torch.arange(12) % 3


def classifier():
    model = ec.Sequential([ec.layers.Dense(3)])
    model.compile("sgd", metrics=["accuracy"])
    return model


def made(*rows):
    history = ec.History()
    for epoch, row in enumerate(rows):
        history.append(epoch, row)
    return history


def test_what_fit_returns():
    history = classifier().fit(X, Y, epochs=3, validation_data=(X, Y), validation_freq=2, verbose=0)
    assert history.epoch == [0, 1, 2]
    assert {name: len(values) for name, values in history.history.items()} == {
        "loss": 3, "accuracy": 3, "learning_rate": 3, "val_loss": 1, "val_accuracy": 1,
    }  # fmt: skip
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert "val_loss" not in history.rows[0]
    assert history.rows[1]["val_loss"] == history.history["val_loss"][0]
    assert len(history) == 3
    assert list(history) == history.rows


def test_the_model_remembers_all_fits():
    model = classifier()
    first = model.fit(X, Y, epochs=2, verbose=0)
    second = model.fit(X, Y, initial_epoch=2, epochs=3, verbose=0)
    assert (first.epoch, second.epoch, model.history.epoch) == ([0, 1], [2], [0, 1, 2])
    assert model.history.history["loss"] == first.history["loss"] + second.history["loss"]


def test_no_epochs():
    history = classifier().fit(X, Y, epochs=0, verbose=0)
    assert (history.history, history.epoch, len(history), bool(history)) == ({}, [], 0, True)
    assert repr(history) == "History(no epochs)"
    with pytest.raises(EmptyDataError):
        history.plot()


def test_repr():
    assert repr(made({"loss": 0.123456})) == "History(1 epoch; last: loss=0.1235)"
    assert (
        repr(made({"loss": 1.0}, {"loss": 0.5, "val_loss": 2e-5}))
        == "History(2 epochs; last: loss=0.5, val_loss=2e-05)"
    )


def test_callbacks_may_log_anything():
    extra = {"word": "warm", "t": torch.tensor(0.5), "n": np.float32(2.0), "many": [1, 2]}
    log = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra))
    history = classifier().fit(X, Y, epochs=2, verbose=0, callbacks=[log])
    assert history.history["word"] == ["warm", "warm"]
    assert repr(history).endswith("word=warm, t=0.5, n=2, many=[1, 2])")
    panels = {panel.get_title(loc="left").lower() for panel in history.plot().axes}
    assert panels == {"loss", "accuracy", "t", "n"}


def test_to_csv(tmp_path):
    history = made({"loss": 0.5}, {"loss": 0.25, "val_loss": 1 / 3}, {"extra": 1.0})
    path = tmp_path / "new" / "history.csv"
    history.to_csv(path)
    with path.open(newline="") as file:
        table = list(csv.reader(file))
    assert table == [
        ["epoch", "loss", "val_loss", "extra"],
        ["0", "0.5", "", ""],
        ["1", "0.25", repr(1 / 3), ""],
        ["2", "", "", "1.0"],
    ]


def test_to_csv_where_it_cannot(tmp_path):
    with pytest.raises(FileWriteError):
        made({"loss": 0.5}).to_csv(tmp_path)


def test_pickled():
    history = made({"loss": 0.5}, {"loss": 0.25})
    copy = pickle.loads(pickle.dumps(history))
    assert (copy.history, copy.epoch) == (history.history, history.epoch)


def lines_of(figure, label):
    panel = figure.axes[0]
    return next(line for line in panel.get_lines() if line.get_label() == label)


def test_plot_counts_epochs_from_1_as_the_progress_does():
    figure = made({"loss": 3.0, "val_loss": 4.0}, {"loss": 2.0}, {"loss": 1.0, "val_loss": 2.0}).plot()
    assert list(lines_of(figure, "training").get_xdata()) == [1, 2, 3]
    assert list(lines_of(figure, "validation").get_xdata()) == [1, 3]
    assert figure.axes[0].get_title(loc="right") == "best 2 in epoch 3"


def test_plot_of_several_fits_goes_on():
    model = classifier()
    for _ in range(2):
        model.fit(X, Y, epochs=2, verbose=0)
    assert model.history.epoch == [0, 1, 0, 1]
    assert list(lines_of(model.history.plot(), "training").get_xdata()) == [1, 2, 3, 4]


def test_plot_into_a_file(tmp_path):
    made({"loss": 1.0}).plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
