"""One process at a time in a folder."""

import contextlib
import errno
import os
import sys
import weakref
from pathlib import Path
from typing import Any

from easyconv.errors import FolderInUseError
from easyconv.files.whole import write_errors_explained
from easyconv.notices import warn_user

__all__ = ["FolderLock"]

_NAME = ".lock"
_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL}
_FAR = 1 << 30
"""Where Windows locks a byte: it would keep others from reading those that say who has the folder."""
_held: "weakref.WeakSet[FolderLock]" = weakref.WeakSet()


class FolderLock:
    """Hold a folder for this object alone, until it is closed or the process ends, by a kill too.

    Parameters
    ----------
    folder : path
        It must exist. The lock is the system's, on a file ``.lock`` in it, which stays there.

    Raises
    ------
    FolderInUseError
        When another process, or another part of this one, holds the folder.
    FileWriteError
        When the folder cannot be written to.

    Notes
    -----
    Processes that are forked meanwhile (the workers of a loader) do not hold the folder, and may outlive this one.
    Where the file system has no locks, a warning says so and nothing is locked.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, FolderLock(Path(folder)):
    ...     print(sorted(path.name for path in Path(folder).iterdir()))
    ['.lock']
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = None
        path = folder / _NAME
        with write_errors_explained(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
        except OSError as error:
            owner = _owner(descriptor)
            os.close(descriptor)
            if error.errno not in _NO_LOCKS_HERE:
                raise FolderInUseError(
                    f"The folder {str(folder)!r} is in use by {owner}. Two runs in one folder would overwrite each "
                    "other: wait for the other one, end it, or choose another folder."
                ) from error
            warn_user(
                f"The file system of {str(folder)!r} has no locks ({error.strerror}): see to it that no other process "
                "uses the folder."
            )
            return
        self._descriptor = descriptor
        _sign(descriptor)
        _let_go_in_children()
        _held.add(self)

    def close(self) -> None:
        """Let others have the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "FolderLock":
        return self

    def __exit__(self, *trace: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sign(descriptor: int) -> None:
    """Say who it is, for the message that another process gives."""
    with contextlib.suppress(OSError):  # a full disk is no reason not to hold the folder
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()}".encode())


def _owner(descriptor: int) -> str:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = os.read(descriptor, 100).decode(errors="replace")
    except OSError:
        text = ""
    return f"{text} (this one)" if text == f"process {os.getpid()}" else text or "another process"


def _let_go_in_children(_done: list[Any] = []) -> None:  # noqa: B006 (once per process)
    if not _done and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_close_all)
        _done.append(True)


def _close_all() -> None:
    """In a new child: its copies of the descriptors would keep the folders locked after the parent's end."""
    for lock in list(_held):
        lock.close()
