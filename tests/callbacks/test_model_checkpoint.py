"""ModelCheckpoint: when it writes, what the files hold and how they are called, as in Keras."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from scripted import NAN, Scripted, data, scripted_fit

import easyconv as ec
from easyconv.callbacks import LambdaCallback, ModelCheckpoint
from easyconv.errors import ArgumentError, ArgumentTypeError, FileWriteError


def mark(path):
    return int(torch.load(path, weights_only=True)["mark"].item())


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_writes_after_every_epoch(tmp_path):
    seen = []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(mark(tmp_path / "w.pt")))
    scripted_fit([0.5, 0.6, 0.7], ModelCheckpoint(tmp_path / "w.pt"), look)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "arguments", "written"),
    [
        ([0.5, 0.6, 0.4, 0.4, 0.3], {}, [1, 3, 5]),
        ([NAN, 0.6, NAN, 0.5], {}, [2, 4]),  # NaN is never the best
        ([0.5, 0.6, 0.7, 0.6], {"mode": "max"}, [1, 2, 3]),
        ([0.5, 0.3, 0.4, 0.2], {"initial_value_threshold": 0.35}, [2, 4]),
        ([0.5, 0.3, 0.4, 0.2], {"initial_value_threshold": 0.1}, []),
    ],
)
def test_writes_only_the_best(tmp_path, values, arguments, written):
    scripted_fit(values, ModelCheckpoint(tmp_path / "{epoch}.pt", save_best_only=True, **arguments))
    assert names(tmp_path) == [f"{epoch}.pt" for epoch in written]
    assert [mark(tmp_path / f"{epoch}.pt") for epoch in written] == written


def test_the_best_accuracy_is_the_highest(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.pt", monitor="val_accuracy", save_best_only=True)
    scripted_fit([0.5, 0.4, 0.6], checkpoint, metric="accuracy")
    assert names(tmp_path) == ["1.pt", "3.pt"]


def test_epochs_without_validation_are_skipped(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.pt", save_best_only=True)
    scripted_fit([0.5, 0.6, 0.4], checkpoint, epochs=6, validation_freq=2)
    assert names(tmp_path) == ["2.pt", "6.pt"]


def test_a_name_that_needs_a_validation_waits_for_it(tmp_path):
    scripted_fit([0.5, 0.6], ModelCheckpoint(tmp_path / "{epoch}-{val_loss:.1f}.pt"), epochs=5, validation_freq=2)
    assert names(tmp_path) == ["2-0.5.pt", "4-0.6.pt"]


def test_writes_after_so_many_batches(tmp_path):
    # 3 batches per epoch: batches 2, 4, 6 in all are batch 2 of epoch 1, and 1 and 3 of epoch 2.
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{batch}.pt", save_freq=2)
    model = Scripted([])
    model.fit(*data(12), batch_size=4, epochs=2, verbose=0, callbacks=[checkpoint])
    assert names(tmp_path) == ["1-2.pt", "2-1.pt", "2-3.pt"]
    assert [mark(tmp_path / name) for name in names(tmp_path)] == [2, 4, 6]


def test_counts_batches_over_several_fits_as_keras_does(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{batch}.pt", save_freq=4)
    model = Scripted([])
    for epoch in range(2):
        model.fit(*data(12), batch_size=4, initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[checkpoint])
    assert names(tmp_path) == ["2-1.pt"]


def test_the_best_after_batches_reads_running_means(tmp_path):
    x, y = torch.ones(4, 1), torch.tensor([[4.0], [2.0], [3.0], [1.0]])
    model = ec.Sequential([torch.nn.Identity(), torch.nn.Linear(1, 1)])
    model.compile("sgd", "mae", lr=1e-9)
    torch.nn.init.zeros_(model[1].weight)
    torch.nn.init.zeros_(model[1].bias)
    checkpoint = ModelCheckpoint(tmp_path / "{batch}-{loss:.2f}.pt", monitor="loss", save_freq=1, save_best_only=True)
    model.fit(x, y, batch_size=1, shuffle=False, verbose=0, callbacks=[checkpoint])
    assert names(tmp_path) == ["1-4.00.pt", "2-3.00.pt", "4-2.50.pt"]  # means 4, 3, 3, 2.5


def test_the_best_lives_through_several_fits_as_in_keras(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "best.pt", save_best_only=True)
    model, _ = scripted_fit([0.5, 0.3], checkpoint)
    assert mark(tmp_path / "best.pt") == 2
    model.script = [0.4, 0.2]
    model.fit(*data(), validation_data=data(), epochs=1, verbose=0, callbacks=[checkpoint])
    assert mark(tmp_path / "best.pt") == 2
    model.fit(*data(), validation_data=data(), epochs=1, verbose=0, callbacks=[checkpoint])
    assert mark(tmp_path / "best.pt") == 4


def test_names_count_epochs_from_1_and_hold_logs(tmp_path):
    checkpoint = ModelCheckpoint(str(tmp_path / "run{epoch}" / "{epoch:02d}-{val_loss:.2f}-{loss:.0f}.safetensors"))
    scripted_fit([0.123, 0.456], checkpoint)
    assert (tmp_path / "run1" / "01-0.12-1.safetensors").is_file()
    assert load_file(tmp_path / "run2" / "02-0.46-1.safetensors")["mark"].item() == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run1", "run2"]  # no folder named with braces


def test_doubled_braces_belong_to_the_path(tmp_path):
    scripted_fit([0.1], ModelCheckpoint(tmp_path / "{{a}}.pt"))
    assert names(tmp_path) == ["{a}.pt"]


def test_plain_torch_loads_what_a_wrapper_wrote(tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(3, 2))
    model = ec.Model(net)
    model.compile("sgd")
    model.fit(torch.randn(8, 3), torch.randint(0, 2, (8,)), verbose=0, callbacks=ModelCheckpoint(tmp_path / "w.pt"))
    other = torch.nn.Sequential(torch.nn.Linear(3, 2))
    other.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True), strict=True)
    assert torch.equal(other[0].weight, net[0].weight)


def test_says_what_it_does(tmp_path, capsys):
    path = tmp_path / "w.pt"
    scripted_fit([0.5, 0.6, 0.4], ModelCheckpoint(path, verbose=1, save_best_only=True))
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 1: wrote {path}: val_loss improved from inf to 0.5000.",
        f"Epoch 3: wrote {path}: val_loss improved from 0.5000 to 0.4000.",
    ]
    scripted_fit([0.5], ModelCheckpoint(path, verbose=1))
    assert capsys.readouterr().out == f"Epoch 1: wrote {path}.\n"


def refused_before_training(checkpoint, match, error=ArgumentError, **arguments):
    model = Scripted([0.5] * 9)
    arguments = {"validation_data": data(), **arguments}
    with pytest.raises(error, match=match):
        model.fit(*data(), verbose=0, callbacks=[checkpoint], **arguments)
    assert model.trained == 0


def test_hopeless_wishes_are_refused_before_training(tmp_path):
    best = {"save_best_only": True}
    where = tmp_path / "w.pt"
    refused_before_training(ModelCheckpoint(where, **best), "no validation data", validation_data=None)
    refused_before_training(ModelCheckpoint(where, monitor="val_los", mode="min", **best), "Did you mean 'val_loss'")
    refused_before_training(ModelCheckpoint(where, save_freq=1, **best), "save_freq='epoch'")
    refused_before_training(ModelCheckpoint(tmp_path / "{val_los}.pt"), "Did you mean 'val_loss'")
    refused_before_training(ModelCheckpoint(tmp_path / "{val_loss}.pt"), "'val_loss'", validation_data=None)
    refused_before_training(ModelCheckpoint(tmp_path / "{val_loss}.pt", save_freq=1), "'val_loss'")
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    refused_before_training(ModelCheckpoint(tmp_path / "file" / "w.pt"), "Cannot write", FileWriteError)
    refused_before_training(ModelCheckpoint(tmp_path / "file" / "{epoch}" / "w.pt"), "Cannot write", FileWriteError)
    (tmp_path / "folder.pt").mkdir()
    refused_before_training(ModelCheckpoint(tmp_path / "folder.pt"), "it is a folder", FileWriteError)


def test_a_read_only_folder_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("easyconv.files.whole.os.access", lambda *_: False)
    refused_before_training(ModelCheckpoint(tmp_path / "w.pt"), "read-only", FileWriteError)


def test_unknown_names_are_refused_after_the_first_epoch(tmp_path):
    with pytest.raises(ArgumentError, match=r"'wobble' in braces.*'epoch'"):
        scripted_fit([0.5, 0.5], ModelCheckpoint(tmp_path / "{wobble}.pt"))
    with pytest.raises(ArgumentError, match="cannot be filled in"):
        scripted_fit([0.5, 0.5], ModelCheckpoint(tmp_path / "{loss:d}.pt"))


def test_names_that_a_callback_logs_can_be_used(tmp_path):
    log = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_los=epoch / 10))
    checkpoint = ModelCheckpoint(tmp_path / "{val_los:.1f}.pt", monitor="val_los", mode="max", save_best_only=True)
    scripted_fit([0.5, 0.5], log, checkpoint)
    assert names(tmp_path) == ["0.0.pt", "0.1.pt"]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"filepath": 3}, ArgumentTypeError, "filepath"),
        ({"filepath": "w.keras"}, ArgumentError, "Keras"),
        ({"filepath": "w.weights.h5"}, ArgumentError, "Keras"),
        ({"filepath": "{epoch.pt"}, ArgumentError, "braces"),
        ({"filepath": "{}.pt"}, ArgumentError, "braces"),
        ({"filepath": "{0}.pt"}, ArgumentError, "braces"),
        ({"filepath": "{logs[loss]}.pt"}, ArgumentError, "braces"),
        ({"save_freq": 0}, ArgumentError, "save_freq"),
        ({"save_freq": "batch"}, ArgumentTypeError, "save_freq"),
        ({"save_freq": True}, ArgumentTypeError, "save_freq"),
        ({"save_best_only": "yes"}, ArgumentTypeError, "save_best_only"),
        ({"save_weights_only": 1}, ArgumentTypeError, "save_weights_only must be"),
        ({"save_weights_only": False}, ArgumentError, "has an ending of torch's files"),
        ({"mode": "best"}, ArgumentError, "mode"),
        ({"initial_value_threshold": NAN}, ArgumentError, "initial_value_threshold"),
        ({"monitor": "val_wobble", "save_best_only": True}, ArgumentError, "mode='max'"),
        ({"verbose": "loud"}, ArgumentTypeError, "verbose"),
    ],
)
def test_refuses_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        ModelCheckpoint(**{"filepath": "w.pt", **arguments})


def test_what_it_does_not_compare_needs_no_direction(tmp_path):
    scripted_fit([0.5], ModelCheckpoint(tmp_path / "w.pt", monitor="wobble"))
    assert names(tmp_path) == ["w.pt"]


def test_a_failing_write_keeps_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "w.pt"
    scripted_fit([0.5], ModelCheckpoint(path))
    before = path.read_bytes()

    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("easyconv.saving.weights.torch.save", full)
    with pytest.raises(FileWriteError, match=r"No space left on device.*unchanged"):
        scripted_fit([0.5, 0.4], ModelCheckpoint(path))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["w.pt"]


def test_keras_arguments_are_understood(tmp_path):
    checkpoint = ModelCheckpoint(
        filepath=tmp_path / "w.pt",
        monitor="val_loss",
        verbose=0,
        save_best_only=True,
        save_weights_only=True,
        mode="min",
    )
    scripted_fit([0.5], checkpoint)
    assert names(tmp_path) == ["w.pt"]


def kept_files(values, **arguments):
    """Names of the files after each epoch."""
    folder, seen = Path("kept"), []
    look = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(sorted(path.stem for path in folder.iterdir())))
    scripted_fit(values, ModelCheckpoint("kept/{epoch}.pt", **arguments), look)
    return seen


def test_keeps_the_three_best(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = kept_files([0.5, 0.9, 0.4, 0.6, 0.8, 0.1, NAN], keep=3)
    assert found == [
        ["1"],
        ["1", "2"],
        ["1", "2", "3"],
        ["1", "3", "4"],
        ["1", "3", "4"],
        ["1", "3", "6"],
        ["1", "3", "6"],
    ]


def test_keeps_the_last_best_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = kept_files([0.5, 0.9, 0.4, 0.3], keep=2, save_best_only=True)
    assert found == [["1"], ["1"], ["1", "3"], ["3", "4"]]


def test_keeps_the_highest_where_more_is_better(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert kept_files([0.5, 0.9, 0.4, 0.6], keep=2, mode="max")[-1] == ["2", "4"]


def test_removes_no_file_of_anybody_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("kept").mkdir()
    Path("kept/other.pt").write_text("mine")
    assert kept_files([0.5, 0.4, 0.3], keep=1)[-1] == ["3", "other"]


def test_what_is_kept_can_be_loaded_and_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scripted_fit([0.5, 0.9, 0.4, 0.6], ModelCheckpoint("{epoch}-{val_loss:.1f}.pt", keep=2, verbose=1))
    assert torch.load("1-0.5.pt", weights_only=True)["mark"].item() == 1
    assert torch.load("3-0.4.pt", weights_only=True)["mark"].item() == 3
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: wrote 1-0.5.pt: val_loss improved from inf to 0.5000.",
        "Epoch 2: wrote 2-0.9.pt: val_loss 0.9000 is among the 2 best.",
        "Epoch 3: wrote 3-0.4.pt: val_loss improved from 0.5000 to 0.4000.",
    ]


def test_keep_is_checked():
    with pytest.raises(ArgumentError, match=r"keep=2\) would write every file over the last one"):
        ModelCheckpoint("best.pt", keep=2)
    with pytest.raises(ArgumentError, match="keep must be at least 1"):
        ModelCheckpoint("{epoch}.pt", keep=0)
    with pytest.raises(ArgumentError, match=r"'val_los' should fall or rise. Did you mean 'val_loss'\? Otherwise pass"):
        ModelCheckpoint("{epoch}.pt", monitor="val_los", keep=2)
    with pytest.raises(ArgumentError, match=r"'val_lss'\) is not in the logs, .*Did you mean 'val_loss'"):
        scripted_fit([0.5], ModelCheckpoint("{epoch}.pt", monitor="val_lss", mode="min", keep=2))


def test_writes_the_whole_model(tmp_path):
    x, y = torch.rand(12, 4), torch.arange(12) % 3
    model = ec.Sequential([ec.layers.Dense(3)])
    model.compile("adam", lr=0.1)
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.safetensors", save_weights_only=False)
    model.fit(x, y, epochs=2, callbacks=checkpoint, verbose=0, seed=0)
    assert names(tmp_path) == ["1.safetensors", "2.safetensors"]
    twin = ec.load(tmp_path / "1.safetensors")
    twin.fit(x, y, epochs=1, verbose=0, seed=0)  # goes on with the state of the optimizer
    assert torch.equal(twin[0].weight, model[0].weight)


def test_code_is_refused_before_the_first_epoch(tmp_path):
    model = ec.Sequential([ec.layers.Dense(3), ec.layers.Lambda(lambda x: x * 2)])
    model.compile("sgd")
    checkpoint = ModelCheckpoint(tmp_path / "a.safetensors", save_weights_only=False)
    with pytest.raises(ArgumentTypeError, match="which is code"):
        model.fit(torch.rand(6, 4), torch.arange(6) % 3, callbacks=checkpoint, verbose=0)
    assert names(tmp_path) == []
