"""CSVLogger, LambdaCallback and the History callback, by hand and through real fits."""

import csv

import pytest
import torch
from scripted import Scripted, data, scripted_fit

import easyconv as ec
from easyconv.callbacks import Callback, CSVLogger, History, LambdaCallback
from easyconv.errors import ArgumentError, ArgumentTypeError, FileWriteError


def rows(path, delimiter=","):
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_a_fit_as_a_table(tmp_path):
    path = tmp_path / "new" / "log.csv"
    _, history = scripted_fit([0.5, 0.25], CSVLogger(path))
    assert rows(path) == [
        ["epoch", "loss", "val_loss", "learning_rate"],
        ["0", "1.0", "0.5", "1.0"],
        ["1", "1.0", "0.25", "1.0"],
    ]
    assert [float(row[2]) for row in rows(path)[1:]] == history.history["val_loss"]


def test_columns_of_validation_are_there_from_the_beginning(tmp_path):
    path = tmp_path / "log.csv"
    scripted_fit([0.5], CSVLogger(path), epochs=2, validation_freq=2)
    assert rows(path) == [
        ["epoch", "loss", "val_loss", "learning_rate"],
        ["0", "1.0", "", "1.0"],
        ["1", "1.0", "0.5", "1.0"],
    ]


def test_names_that_come_later_get_columns(tmp_path):
    path = tmp_path / "log.csv"
    log = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update({f"extra{epoch}": epoch}) if epoch else None)
    scripted_fit([0.5, 0.4, 0.3], log, CSVLogger(path))
    assert rows(path) == [
        ["epoch", "loss", "val_loss", "learning_rate", "extra1", "extra2"],
        ["0", "1.0", "0.5", "1.0", "", ""],
        ["1", "1.0", "0.4", "1.0", "1", ""],
        ["2", "1.0", "0.3", "1.0", "", "2"],
    ]


def test_each_line_is_in_the_file_at_once(tmp_path):
    path = tmp_path / "log.csv"
    lengths = []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: lengths.append(len(rows(path))))
    scripted_fit([0.5] * 3, CSVLogger(path), look)
    assert lengths == [2, 3, 4]


def test_a_second_fit_begins_anew_or_goes_on(tmp_path):
    path = tmp_path / "log.csv"
    logger = CSVLogger(path)
    scripted_fit([0.5, 0.4], logger)
    scripted_fit([0.3], logger)
    assert [row[0] for row in rows(path)] == ["epoch", "0"]
    going_on = CSVLogger(path, append=True)
    model, _ = scripted_fit([0.2], going_on)
    model.fit(*data(), initial_epoch=1, epochs=2, verbose=0, callbacks=[going_on])
    assert [row[0] for row in rows(path)] == ["epoch", "0", "0", "1"]
    assert [row[2] for row in rows(path)] == ["val_loss", "0.3", "0.2", ""]


def test_appends_to_what_is_not_there_yet_or_empty(tmp_path):
    path = tmp_path / "log.csv"
    scripted_fit([0.5], CSVLogger(path, append=True))
    assert len(rows(path)) == 2
    (tmp_path / "empty.csv").write_text("")
    scripted_fit([0.5], CSVLogger(tmp_path / "empty.csv", append=True))
    assert len(rows(tmp_path / "empty.csv")) == 2


def test_appends_under_the_columns_that_are_there(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("val_loss;epoch;old\n0.9;7;x\n")
    scripted_fit([0.5], CSVLogger(path, separator=";", append=True))
    table = rows(path, ";")
    assert table[0] == ["val_loss", "epoch", "old", "loss", "learning_rate"]
    assert table[1] == ["0.9", "7", "x", "", ""]
    assert table[2] == ["0.5", "0", "", "1.0", "1.0"]


def test_a_file_that_is_another_table_is_refused_before_training(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch;loss\n0;0.5\n")
    model = Scripted([0.5])
    with pytest.raises(ArgumentError, match="separator"):
        model.fit(*data(), verbose=0, callbacks=[CSVLogger(path, append=True)])
    assert model.trained == 0
    assert path.read_text() == "epoch;loss\n0;0.5\n"


def test_a_file_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "log.csv"):
        model = Scripted([0.5])
        with pytest.raises(FileWriteError, match="Cannot write"):
            model.fit(*data(), verbose=0, callbacks=[CSVLogger(path)])
        assert model.trained == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filename": 3}, ArgumentTypeError),
        ({"separator": "--"}, ArgumentError),
        ({"separator": ""}, ArgumentError),
        ({"separator": "\n"}, ArgumentError),
        ({"separator": 1}, ArgumentError),
        ({"append": "yes"}, ArgumentTypeError),
    ],
)
def test_csv_logger_refuses_bad_arguments(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        CSVLogger(**{"filename": "log.csv", **arguments})


def test_lambda_callback_hears_every_event():
    heard = []
    events = [name for name in vars(Callback) if name.startswith("on_")]
    callback = LambdaCallback(**{event: lambda *args, event=event: heard.append(event) for event in events})
    model, _ = scripted_fit([0.5], callback)
    model.predict(data()[0], verbose=0, callbacks=[callback])
    # As in Keras the short names, on_batch_begin and on_batch_end, reach nobody who has the long ones too.
    assert heard == [
        "on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end",
        "on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end", "on_epoch_end",
        "on_train_end", "on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end", "on_predict_end",
    ]  # fmt: skip


def test_lambda_callback_takes_none_as_keras_does_and_refuses_the_rest():
    LambdaCallback(on_epoch_end=None).on_epoch_end(0, {})
    with pytest.raises(ArgumentError, match=r"on_epoch_ends.*Did you mean 'on_epoch_end'"):
        LambdaCallback(on_epoch_ends=print)
    with pytest.raises(ArgumentTypeError, match=r"on_epoch_end.*function"):
        LambdaCallback(on_epoch_end="print")


def test_the_history_callback_has_what_fit_returns():
    record = History()
    _, history = scripted_fit([0.5, 0.4], record)
    assert (record.history, record.epoch) == (history.history, history.epoch)
    scripted_fit([0.3], record)
    assert record.history["val_loss"] == [0.3]
    assert isinstance(record, ec.History)


def test_the_history_callback_keeps_its_own_rows():
    record = History()
    log = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(later=torch.pi))
    _, history = scripted_fit([0.5], record, log)
    assert "later" not in record.history
    assert history.history["later"] == [torch.pi]
