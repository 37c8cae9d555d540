"""One process at a time in a folder; nobody is left holding it."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from easyconv.errors import EasyconvWarning, FileWriteError, FolderInUseError
from easyconv.files import CheckpointFolder, FolderLock

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no fork")


def test_a_second_one_is_refused_until_the_first_is_closed(tmp_path):
    lock = FolderLock(tmp_path)
    with pytest.raises(FolderInUseError, match=rf"in use by process {os.getpid()} \(this one\).*another folder"):
        FolderLock(tmp_path)
    lock.close()
    lock.close()
    with FolderLock(tmp_path):
        pass


def test_one_that_is_forgotten_lets_go(tmp_path):
    FolderLock(tmp_path)
    FolderLock(tmp_path).close()


HOLDER = """
import os, sys, time
from pathlib import Path
from easyconv.files import FolderLock
lock = FolderLock(Path(sys.argv[1]))
child = os.fork() if len(sys.argv) > 2 else 1  # as the worker of a loader, which outlives its parent
if child:
    print(child, flush=True)
time.sleep(60)
"""


def hold(folder, *more):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), *more], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


@POSIX
def test_another_process_is_named_and_a_kill_ends_its_hold_though_its_children_live(tmp_path):
    process, child = hold(tmp_path, "with a child")
    try:
        with pytest.raises(FolderInUseError, match=f"in use by process {process.pid}\\."):
            FolderLock(tmp_path)
        with pytest.raises(FolderInUseError):
            CheckpointFolder(tmp_path)
        process.kill()
        process.wait()
        os.kill(child, 0)  # it lives
        FolderLock(tmp_path).close()
    finally:
        process.kill()
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


@POSIX
def test_the_lock_of_the_parent_holds_though_a_child_has_ended(tmp_path):
    with FolderLock(tmp_path):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.01)
        with pytest.raises(FolderInUseError):
            FolderLock(tmp_path)


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("easyconv.files.lock._lock", refuse)
    with pytest.warns(EasyconvWarning, match=r"has no locks \(No locks available\)"):
        FolderLock(tmp_path).close()


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("easyconv.files.lock.os.open", refuse)
    with pytest.raises(FileWriteError, match=r"\.lock'.*Permission denied"):
        FolderLock(tmp_path)
