"""Files that are either whole or not there: written beside their place, flushed, then renamed."""

import errno
import functools
import os
import platform
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from easyconv.errors import FileWriteError

__all__ = ["CACHE_VARIABLE", "cache_folder", "check_writable", "sweep", "write_errors_explained", "write_whole"]

CACHE_VARIABLE = "EASYCONV_CACHE"
_TEMPORARY = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)\.tmp")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CANNOT_FLUSH_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}


def cache_folder() -> Path:
    """Where files are kept that can be made or fetched again; it need not exist yet.

    The environment variable ``EASYCONV_CACHE``, or ``easyconv`` in the user's cache folder: ``XDG_CACHE_HOME`` where it
    is set, ``LOCALAPPDATA`` on Windows, ``~/.cache`` elsewhere.

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own).expanduser().absolute()
    home = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    return (Path(home) if home else Path.home() / ".cache") / "easyconv"


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object], *, size: int | None = None) -> Path:
    """Write a file so that a crash, a full disk or a kill leaves the old file as it was.

    The bytes go to a temporary file in the same folder, which is flushed to the disk and renamed over ``path``; then
    the folder is flushed. What killed processes have left there is swept.

    Parameters
    ----------
    path : str or path
        Where the file shall stand; missing folders are made.
    write : callable
        Gets the open binary file and writes into it.
    size : int, optional
        How many bytes it will be, where that is known: for the message when the disk is full.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    FileWriteError
        When the folder cannot be written to, or the disk is full; an older file at ``path`` is untouched.
    """
    path = Path(path)
    place = Path(os.path.realpath(path))  # a link stays a link
    with write_errors_explained(path, size=size):
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(place.parent, os.getpid())
        temporary = _temporary(place)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    try:
        _flush_folder(place.parent)
    except OSError as error:
        raise FileWriteError(
            f"{str(path)!r} was written, but the system cannot say whether its name would survive a power cut: "
            f"{error.strerror or error}. Look after the disk."
        ) from error
    return path


def sweep(folder: Path, *, everything: bool = False) -> None:
    """Remove the temporary files of `write_whole` that nobody is writing any more.

    Parameters
    ----------
    folder : path
        Where to look, not in its subfolders.
    everything : bool, default False
        Also those of other machines and of processes that live: for a folder that is known to be nobody else's.
    """
    for entry in folder.iterdir():
        match = _TEMPORARY.fullmatch(entry.name)
        if match and (everything or (match[1] == _machine() and not _is_alive(int(match[2])))):
            with suppress(OSError):
                entry.unlink()


@functools.cache
def _sweep_once(folder: Path, process: int) -> None:
    """Once in the life of a process: what is left later is left by others, which sweep for themselves."""
    with suppress(OSError):
        sweep(folder)


def _temporary(place: Path) -> Path:
    """Beside its place, since a rename is all or nothing within one file system only."""
    ending = f".{_machine()}-{os.getpid()}.tmp"
    return place.with_name(f".{place.name[: 240 - len(ending)]}{ending}")


@functools.cache
def _machine() -> str:
    """Process numbers mean something on one machine only; folders may be shared."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _is_alive(process: int) -> bool:
    if os.name == "nt":
        return False  # a file that is being written cannot be removed there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Make the folder of ``path`` and see that files can be written there, long before the first one is.

    Raises
    ------
    FileWriteError
        When the folder cannot be made or written to, or ``path`` itself is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise FileWriteError(f"Cannot write {str(path)!r}: it is a folder. Name a file in it.")
    with write_errors_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError("the folder is read-only")
    return path


def _flush_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; some systems have no such call."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, or a folder that may be written and not read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH_FOLDERS:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def write_errors_explained(path: Path, *, size: int | None = None) -> Iterator[None]:
    """Turn what the system says about writing ``path`` into a ``FileWriteError`` that says what to do.

    Parameters
    ----------
    path : path
        What is written.
    size : int, optional
        How many bytes it will be.
    """
    try:
        yield
    except FileWriteError:
        raise
    except (OSError, RuntimeError) as raised:
        # torch.save puts an error of its own on top of that of the disk.
        error = raised if isinstance(raised, OSError) else raised.__context__
        if not isinstance(error, OSError):
            raise
        kept = " The file that was there is unchanged." if path.exists() else ""
        raise FileWriteError(
            f"Cannot write {str(path)!r}: {error.strerror or error}{_bytes(error, path, size)}.{kept} "
            "Free some space, or choose a folder that can be written to."
        ) from error


def _bytes(error: OSError, path: Path, size: int | None) -> str:
    """How much would be needed and how much is there, where that is the question."""
    if error.errno not in _FULL:
        return ""
    parts = [] if size is None else [f"{size:,} bytes are needed"]
    with suppress(OSError):
        parts.append(f"{shutil.disk_usage(path.parent).free:,} are free")
    return f" ({', '.join(parts)})" if parts else ""
