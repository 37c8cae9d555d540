"""Weights files that cannot be read or written: nothing is loaded by halves, nothing is lost, nothing is run."""

import os
import pickle
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from bad_input import Bench, bits, small_net, weights_file
from torch import nn

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, FileMissingError, FileWriteError, WeightsError

GOOD = weights_file(small_net())


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.system, (f"touch {self.proof}",)


def saved(value):
    import io

    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def flipped(data, place):
    changed = bytearray(data)
    changed[place] ^= 0xFF
    return bytes(changed)


DAMAGED = {
    "0 bytes": (lambda proof: b"", "is empty (0 bytes)", "Use an earlier checkpoint"),
    "half a file": (lambda proof: GOOD[: len(GOOD) // 2], "is damaged", "Use an earlier checkpoint"),
    "all but one byte": (lambda proof: GOOD[:-1], "is damaged", "Use an earlier checkpoint"),
    "4 bytes": (lambda proof: GOOD[:4], "is damaged", ""),
    "text": (lambda proof: b"not weights at all\n" * 20, "is damaged", ""),
    "zeros": (lambda proof: bytes(5000), "is damaged", ""),
    "other channels": (
        lambda proof: weights_file(small_net(3)),
        "nothing was loaded",
        "0.weight: (4, 3, 3, 3) in the file, (4, 1, 3, 3) in the net",
    ),
    "other outputs": (
        lambda proof: weights_file(small_net(outputs=5)),
        "3.weight: (5, 144) in the file",
        "Build the net as it was",
    ),
    "other net": (
        lambda proof: weights_file(nn.Linear(2, 2)),
        "Missing in the file: 0.weight",
        "Not in the net: weight, bias",
    ),
    "of the wrapper": (
        lambda proof: weights_file(nn.ModuleDict({"student": small_net()})),
        "Not in the net: student.0.weight",
        "take the prefix away",
    ),
    "a whole model": (lambda proof: saved(small_net()), "holds more than tensors", "state_dict()"),
    "a list": (lambda proof: saved([torch.zeros(1)]), "holds a list, not a state_dict", ""),
    "a tensor": (lambda proof: saved(torch.zeros(1)), "holds a Tensor, not a state_dict", ""),
    "a checkpoint of several things": (
        lambda proof: saved({"model": small_net().state_dict(), "epoch": 3}),
        "is no state_dict: 'model', 'epoch' hold no tensors",
        "load_state_dict()",
    ),
    "a pickle that runs code": (
        lambda proof: pickle.dumps(Evil(proof)),
        "damaged or holds more than tensors",
        "could run code",
    ),
    "a torch file that runs code": (
        lambda proof: saved({"0.weight": Evil(proof)}),
        "holds more than tensors",
        "could run code",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_cannot_be_loaded(name, tmp_path):
    make, *says = DAMAGED[name]
    path, proof = tmp_path / "weights.pt", tmp_path / "proof"
    path.write_bytes(make(proof))
    bench = Bench()
    model = bench.model()
    with pytest.raises(WeightsError) as caught:
        model.load_weights(path)
    for part in (str(path), *says):
        assert part in str(caught.value)
    assert not proof.exists(), "the file has run code"
    bench.check_untouched()


@pytest.mark.parametrize("cut", [0, 1, 100, 1000])
def test_damaged_safetensors(cut, tmp_path):
    path = tmp_path / "weights.safetensors"
    model = ec.Model(small_net())
    model.save_weights(path)
    path.write_bytes(path.read_bytes()[:cut])
    before = bits(model)
    with pytest.raises(WeightsError, match=r"is empty|is damaged") as caught:
        model.load_weights(path)
    assert str(path) in str(caught.value)
    assert bits(model) == before


def test_a_good_file_loads_after_a_bad_one(tmp_path):
    path = tmp_path / "weights.pt"
    model = ec.Model(small_net())
    path.write_bytes(GOOD[:-1])
    with pytest.raises(WeightsError):
        model.load_weights(path)
    with torch.no_grad():
        model.net[0].weight.add_(1)
    path.write_bytes(GOOD)
    assert model.load_weights(path) == ([], [], [])
    assert bits(model.net) == bits(small_net())


def test_missing_file_names_its_neighbours(tmp_path):
    (tmp_path / "best.pt").write_bytes(GOOD)
    model = ec.Model(small_net())
    with pytest.raises(FileMissingError, match=r"There is no weights file '.*bst\.pt'.*'best\.pt'"):
        model.load_weights(tmp_path / "bst.pt")
    with pytest.raises(FileNotFoundError, match="There is no weights file"):
        model.load_weights(tmp_path / "nowhere" / "best.pt")


@pytest.mark.parametrize("name", ["weights.h5", "model.keras", "best.weights.h5"])
def test_names_of_keras(name, tmp_path):
    model = ec.Model(small_net())
    for action in (model.save_weights, model.load_weights):
        with pytest.raises(ArgumentError, match=r"ending of Keras.*'\.pt'"):
            action(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [None, 3, ["best.pt"], b"best.pt"])
def test_no_path(path):
    model = ec.Model(small_net())
    for action in (model.save_weights, model.load_weights):
        with pytest.raises(ArgumentTypeError, match=r"named by a path like 'best\.pt', got"):
            action(path)


def test_the_path_is_a_folder(tmp_path):
    model = ec.Model(small_net())
    with pytest.raises((FileMissingError, WeightsError)) as caught:
        model.load_weights(tmp_path)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(FileWriteError) as caught:
        model.save_weights(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(FileWriteError, match=r"Cannot write '.*best\.pt'.*choose a folder"):
        ec.Model(small_net()).save_weights(tmp_path / "run" / "best.pt")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "best.pt").write_bytes(GOOD)
    folder.chmod(0o500)
    try:
        with pytest.raises(FileWriteError, match=r"Cannot write '.*best\.pt': Permission denied.*is unchanged"):
            ec.Model(small_net()).save_weights(folder / "best.pt")
    finally:
        folder.chmod(0o700)
    assert (folder / "best.pt").read_bytes() == GOOD
    assert [entry.name for entry in folder.iterdir()] == ["best.pt"]


FULL_DISK = """
    import resource, signal, sys
    import torch
    import easyconv as ec
    torch.manual_seed(0)
    model = ec.Model(torch.nn.Linear(300, 300))
    model.save_weights(sys.argv[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    torch.nn.init.zeros_(model.net.weight)
    try:
        model.save_weights(sys.argv[1])
    except ec.errors.FileWriteError as error:
        print("REFUSED", error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs limits on the size of files")
@pytest.mark.parametrize("name", ["best.pt", "best.safetensors"])
def test_a_full_disk_keeps_the_old_file(name, tmp_path):
    path = tmp_path / name
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.stdout.startswith("REFUSED"), done.stderr
    assert str(path) in done.stdout
    assert "unchanged" in done.stdout
    torch.manual_seed(0)
    wanted = torch.nn.Linear(300, 300).weight
    kept = ec.Model(torch.nn.Linear(300, 300))
    kept.load_weights(path)
    assert torch.equal(kept.net.weight, wanted)
    assert [entry.name for entry in tmp_path.iterdir()] == [name], "rubbish is left behind"


def test_an_unbuilt_model_takes_a_file_of_its_own_or_nothing(tmp_path):
    path = tmp_path / "weights.pt"
    layers = [ec.layers.Conv2D(4, 3), ec.layers.Flatten(), ec.layers.Dense(3)]
    path.write_bytes(weights_file(nn.Linear(2, 2)))
    model = ec.Sequential(layers)
    with pytest.raises(WeightsError, match="nothing was loaded"):
        model.load_weights(path)
    assert model.build((1, 8, 8)).count_params() == 40 + 435


def test_checkpoints_are_refused_before_training(tmp_path):
    bench = Bench()
    model = bench.model()
    (tmp_path / "run").write_text("a file")
    callback = ec.callbacks.ModelCheckpoint(str(tmp_path / "run" / "best.pt"), monitor="loss")
    with pytest.raises(FileWriteError, match="Cannot write"):
        model.fit(*bench.watched[0].good, verbose=0, callbacks=[callback])
    bench.check_untouched()


def test_paths_are_paths(tmp_path):
    model = ec.Model(small_net())
    for path in (tmp_path / "a.pt", str(tmp_path / "deep" / "er" / "b.safetensors"), Path(tmp_path, "c")):
        model.save_weights(path)
        assert ec.Model(small_net()).load_weights(path) == ([], [], [])
