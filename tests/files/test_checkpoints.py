"""A folder from which one checkpoint can always be loaded."""

import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DamagedFileError,
    EasyconvWarning,
    FileWriteError,
    StateError,
    UnreadableFileError,
)
from easyconv.files import CheckpointFolder, state, write_state


def content(step, size=100):
    return {"step": step, "weights": torch.full((size,), float(step))}


@pytest.fixture
def folder(tmp_path):
    with CheckpointFolder(tmp_path / "run") as folder:
        yield folder


def fill(folder, *steps, best=()):
    for step in steps:
        folder.save(content(step), step=step, best=step in best)


def names(folder):
    return sorted(path.name for path in folder.path.iterdir() if path.name != ".lock")


def test_an_empty_folder(folder):
    assert folder.load() is None
    assert folder.load_best() is None
    assert folder.steps() == []


def test_the_newest_two_are_kept_and_the_best(folder):
    fill(folder, 1, 20, 300)
    assert names(folder) == ["step-0000000020.safetensors", "step-0000000300.safetensors"]
    fill(folder, 4000, 50000, 600000, best=[4000])
    assert folder.steps() == [4000, 50000, 600000]
    assert folder.load_best().step == 4000
    fill(folder, 700000, best=[700000])
    assert folder.steps() == [600000, 700000]
    assert folder.load_best().step == 700000
    found = folder.load()
    assert found.step == found.content["step"] == 700000
    assert found.path.name == "step-0000700000-best.safetensors"
    assert torch.equal(found.content["weights"], torch.full((100,), 700000.0))


@pytest.mark.parametrize("keep", [1, 3])
def test_how_many_are_kept_can_be_said(tmp_path, keep):
    with CheckpointFolder(tmp_path, keep=keep) as folder:
        fill(folder, *range(6))
        assert folder.steps() == list(range(6))[-keep:]


def test_more_digits_than_names_have(folder):
    fill(folder, 10**10, 10**11)
    assert folder.load().step == 10**11


@pytest.mark.parametrize("first", [False, True])
def test_one_step_has_one_file(folder, first):
    folder.save(content(5), step=5, best=first)
    folder.save({"again": 1}, step=5, best=not first)
    assert names(folder) == ["step-0000000005-best.safetensors"]
    assert folder.load().content == {"again": 1}


def test_steps_go_upwards(folder):
    fill(folder, 5)
    with pytest.raises(ArgumentError, match=r"holds step 5 already, which step 4 cannot follow"):
        folder.save({}, step=4)
    with pytest.raises(ArgumentError, match="step must be at least 0"):
        folder.save({}, step=-1)
    with pytest.raises(ArgumentTypeError, match="keep"):
        CheckpointFolder(folder.path, keep="all")
    assert folder.steps() == [5]


def test_other_files_are_left_alone(folder):
    for name in ("step-1.safetensors", "step-0000000001.safetensors.damaged", "notes.txt", "step-0000000001.pt"):
        (folder.path / name).write_text("mine")
    fill(folder, 5, 6, 7)
    assert len(names(folder)) == 4 + 2


def test_after_close_nothing_works(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.close()
    for call in (folder.load, folder.load_best, lambda: folder.save({}, step=1)):
        with pytest.raises(StateError, match="was closed"):
            call()


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_damaged_newest_is_named_and_set_aside_and_the_one_before_is_used(folder):
    fill(folder, 5, 6)
    path = folder.load().path
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(EasyconvWarning, match=r"step-0000000006.*damaged.*Going on from step 5.*\.damaged now"):
        assert folder.load().step == 5
    assert names(folder) == ["step-0000000005.safetensors", "step-0000000006.safetensors.damaged"]
    fill(folder, 6)  # the step is reached again
    assert folder.load().step == 6


@pytest.mark.parametrize("error", [None, ValueError("could not determine the shape")], ids=["lost", "made another"])
def test_ctrl_c_while_a_checkpoint_is_read_is_no_damage(folder, monkeypatch, error):
    """Native code may lose the interrupt that Python raises in it, or make another error of it."""
    parse = state._parse

    def interrupted(path, kind):
        os.kill(os.getpid(), signal.SIGINT)
        if error is not None:
            raise error
        return parse(path, kind)

    fill(folder, 5, 6)
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(state, "_parse", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.load()
    assert signal.getsignal(signal.SIGINT) is handler
    assert folder.load().step == 6


def test_every_flip_and_every_cut_falls_back(tmp_path):
    with CheckpointFolder(tmp_path) as folder:
        folder.save(content(5, 10_000), step=5)
        path = folder.save(content(6, 10_000), step=6)
        whole = path.read_bytes()
        damages = [("cut", place) for place in range(0, len(whole), 4096)]
        damages += [("flip", place) for place in random.Random(0).sample(range(len(whole) * 8), 150)]
        for how, place in damages:
            altered = bytearray(whole if how == "flip" else whole[:place])
            if how == "flip":
                altered[place // 8] ^= 1 << place % 8
            path.write_bytes(altered)
            with pytest.warns(EasyconvWarning, match="Going on from step 5"):
                assert folder.load().step == 5
            assert not path.exists()


def test_when_all_are_damaged_nothing_is_moved_and_all_are_named(folder):
    fill(folder, 5, 6)
    before = names(folder)
    for name in before:
        (folder.path / name).write_bytes(b"")
    for _ in range(2):
        with pytest.raises(DamagedFileError, match=r"(?s)None of the checkpoints.*0000006.*0000005.*start anew"):
            folder.load()
    assert names(folder) == before


def test_one_of_a_newer_easyconv_is_not_damaged(folder, monkeypatch):
    fill(folder, 5)
    monkeypatch.setattr(state, "FORMAT_VERSION", 2)
    fill(folder, 6)
    monkeypatch.undo()
    with pytest.raises(UnreadableFileError, match="Update easyconv"):
        folder.load()
    assert folder.steps() == [5, 6]


def test_a_model_is_no_checkpoint(folder):
    write_state(folder.path / "step-0000000005.safetensors", {}, kind="model")
    with pytest.raises(UnreadableFileError, match="holds a model, not a checkpoint"):
        folder.load()


def test_what_was_not_written_right_removes_nothing(folder, monkeypatch):
    fill(folder, 5, 6)

    def spoil(path, *args, **kwargs):
        write_state(path, *args, **kwargs)
        path.write_bytes(path.read_bytes()[:-1])

    monkeypatch.setattr("easyconv.files.checkpoints.write_state", spoil)
    with pytest.raises(DamagedFileError):
        fill(folder, 7)
    with pytest.warns(EasyconvWarning, match="Going on from step 6"):
        assert folder.load().step == 6
    assert folder.steps() == [5, 6]


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open", "pathlib.Path.unlink"])
def test_whichever_call_fails_and_whenever_one_can_be_loaded(tmp_path, monkeypatch, call):
    import importlib

    module, _, name = call.rpartition(".")
    owner = os if module == "os" else Path
    assert importlib.import_module(module.partition(".")[0])
    real = getattr(owner, name)
    outcomes, said = [], []
    for failing in range(12):
        with CheckpointFolder(tmp_path / str(failing)) as folder:
            fill(folder, 5, 6)
            count = 0

            def flaky(*args, failing=failing, **kwargs):
                nonlocal count
                count += 1
                if count == failing + 1:
                    raise OSError(5, "Input/output error")
                return real(*args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(owner, name, flaky)
                try:
                    fill(folder, 7)
                    outcomes.append("saved")
                except (FileWriteError, UnreadableFileError) as error:
                    outcomes.append("refused")
                    said.append(str(error))
            found = folder.load()
            assert found.content["step"] == found.step
            assert found.step == 7 if outcomes[-1] == "saved" else found.step in (6, 7)
            assert set(folder.steps()) >= {6}
    assert all("step-0000000007.safetensors" in text for text in said)
    calls = {"os.fsync": 2, "pathlib.Path.replace": 1, "pathlib.Path.open": 2, "pathlib.Path.unlink": 0}
    assert outcomes.count("refused") == calls[call]


def test_a_read_only_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("easyconv.files.whole.os.access", lambda path, mode: False)
    with pytest.raises(FileWriteError, match="read-only"):
        CheckpointFolder(tmp_path)


FULL = """
import resource, signal, sys, torch
from easyconv.files import CheckpointFolder
from easyconv.errors import FileWriteError
with CheckpointFolder(sys.argv[1]) as folder:
    folder.save({"w": torch.ones(1000)}, step=1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        folder.save({"w": torch.ones(100_000)}, step=2)
    except FileWriteError as error:
        print(error)
    print(folder.load().step, folder.steps(), len(list(folder.path.iterdir())))
"""


def test_a_file_that_the_system_cuts_off(tmp_path):
    run = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    message, found = run.stdout.splitlines()
    assert "step-0000000002.safetensors': File too large (400," in message
    assert "bytes are needed" in message
    assert found == "1 [1] 2"


# --- what the dead leave ----------------------------------------------------------------------------------------------


def test_what_killed_processes_left_is_swept_when_the_folder_is_opened(folder):
    fill(folder, 5)
    folder.close()
    for name in (".step-0000000006.safetensors.00000000-1.tmp", f".x.safetensors.01234567-{os.getpid()}.tmp"):
        (folder.path / name).write_bytes(b"half")
    (folder.path / ".other.tmp").write_bytes(b"a stranger's")
    with CheckpointFolder(folder.path):
        assert names(folder) == [".other.tmp", "step-0000000005.safetensors"]


# --- order ------------------------------------------------------------------------------------------------------------

SAVE = """
import sys, torch
from easyconv.files import CheckpointFolder
with CheckpointFolder(sys.argv[1]) as folder:
    folder.save({"w": torch.ones(100_000)}, step=1)
    folder.save({"w": torch.ones(100_000)}, step=2)
    folder.save({"w": torch.ones(100_000)}, step=3)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_system_is_asked_for_write_flush_rename_flush_and_only_then_for_removal(tmp_path):
    """In the order in which the kernel saw it, for each of three checkpoints."""
    log = tmp_path / "log"
    calls = "openat,write,fsync,rename,renameat,renameat2,unlink,unlinkat"
    command = ["strace", "-f", "-y", "--seccomp-bpf", "-e", f"trace={calls}", "-o", str(log)]
    run = subprocess.run(
        [*command, sys.executable, "-c", SAVE, str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    if "ptrace" in run.stderr:
        pytest.skip(f"strace may not trace here: {run.stderr.splitlines()[0]}")
    assert run.returncode == 0, run.stderr
    events = [event for event in map(event_of, log.read_text().splitlines()) if event]
    saved = ["write", "fsync file", "rename", "fsync folder"]
    assert [event for event, _ in itertools.groupby(events)] == [*saved, *saved, *saved, "remove step-0000000001"]


def event_of(line):
    """What a line of strace tells of a checkpoint."""
    if "/run" not in line or "ENOENT" in line:
        return None
    if " write(" in line:
        return "write" if ".tmp>" in line else None
    if " fsync(" in line:
        return "fsync file" if ".tmp>" in line else "fsync folder"
    if " rename" in line:
        return "rename"
    return f"remove {re.search(r'step-[0-9]+', line)[0]}" if " unlink" in line else None
