"""Files that are either whole or not there: written beside their place, flushed, then renamed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from easyconv.errors import FileWriteError

__all__ = ["CACHE_VARIABLE", "cache_folder", "check_writable", "write_errors_explained", "write_whole"]

CACHE_VARIABLE = "EASYCONV_CACHE"


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


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    """Write a file so that a crash, a full disk or a kill leaves the old file as it was.

    The bytes go to a temporary file in the same folder, which is flushed to the disk and renamed over ``path``.

    Parameters
    ----------
    path : str or path
        Where the file shall stand; missing folders are made.
    write : callable
        Gets the open binary file and writes into it.

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
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    with write_errors_explained(path):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        _flush_folder(place.parent)
    return path


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
    """Make the rename itself survive a power cut; some file systems have no such call."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def write_errors_explained(path: Path) -> Iterator[None]:
    """Turn what the system says about writing ``path`` into a ``FileWriteError`` that says what to do."""
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
            f"Cannot write {str(path)!r}: {error.strerror or error}.{kept} "
            "Free some space, or choose a folder that can be written to."
        ) from error
