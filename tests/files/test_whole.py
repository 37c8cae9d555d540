"""Files are whole or not there, whatever fails and wherever."""

import os
import stat
from pathlib import Path

import pytest

from easyconv.errors import FileWriteError
from easyconv.files import check_writable, write_whole

FULL = OSError(28, "No space left on device")


def write(text):
    return lambda file: file.write(text.encode())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    assert write_whole(str(path), write("hello")) == path
    assert path.read_text() == "hello"
    write_whole(path, write("again"))
    assert path.read_text() == "again"
    assert names(path.parent) == ["file.txt"]


def fail(*_args, **_kwargs):
    raise FULL


def half(file):
    file.write(b"half of the new")
    raise FULL


FAILURES = {
    "open": lambda patch: patch.setattr(Path, "open", fail),
    "write": lambda patch: None,  # see below: the writer itself fails
    "fsync": lambda patch: patch.setattr("easyconv.files.whole.os.fsync", fail),
    "rename": lambda patch: patch.setattr(Path, "replace", fail),
}


@pytest.mark.parametrize("where", FAILURES)
@pytest.mark.parametrize("old", [None, "the old"])
def test_a_failure_keeps_the_older_file_and_leaves_nothing(tmp_path, monkeypatch, where, old):
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)
    with monkeypatch.context() as patch:
        FAILURES[where](patch)
        with pytest.raises(FileWriteError, match="No space left on device") as caught:
            write_whole(path, half if where == "write" else write("the new"))
    assert ("unchanged" in str(caught.value)) == (old is not None)
    assert isinstance(caught.value, OSError)
    assert names(tmp_path) == ([] if old is None else ["file.txt"])
    if old is not None:
        assert path.read_text() == old


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
def test_other_errors_pass_and_leave_nothing(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("the old")

    def stop(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_whole(path, stop)
    assert names(tmp_path) == ["file.txt"]
    assert path.read_text() == "the old"


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr("easyconv.files.whole.os.fsync", lambda fd: (events.append(_kind(fd)), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda *a: (events.append("rename"), replace(*a))[1])
    write_whole(tmp_path / "file.txt", write("x"))
    assert events == ["file", "rename", "folder"]


def _kind(descriptor):
    return "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("easyconv.files.whole.os.open", fail)
    write_whole(tmp_path / "file.txt", write("x"))
    assert (tmp_path / "file.txt").read_text() == "x"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    for text in ("one", "two"):
        write_whole(link, write(text))
        assert link.is_symlink()
        assert target.read_text() == text
    assert names(tmp_path / "far") == ["target.txt"]


@pytest.mark.parametrize("function", [check_writable, lambda path: write_whole(path, write("x"))])
def test_places_that_cannot_be(tmp_path, function):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(FileWriteError, match="Cannot write"):
        function(tmp_path / "file" / "below.txt")
    with pytest.raises(FileWriteError, match="Cannot write"):
        function(tmp_path)
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_check_writable_makes_the_folder_but_no_file(tmp_path):
    path = tmp_path / "new" / "file.txt"
    assert check_writable(path) == path
    assert names(tmp_path / "new") == []


def test_check_writable_refuses_a_read_only_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("easyconv.files.whole.os.access", lambda path, mode: False)
    with pytest.raises(FileWriteError, match=r"read-only.*choose a folder"):
        check_writable(tmp_path / "file.txt")
