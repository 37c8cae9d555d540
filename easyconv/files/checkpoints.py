"""A folder of checkpoints, of which one can always be loaded."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError, DamagedFileError, FileWriteError, StateError
from easyconv.files.lock import FolderLock
from easyconv.files.state import check_unaltered, read_state, write_state
from easyconv.files.whole import check_writable, sweep
from easyconv.notices import warn_user

__all__ = ["Checkpoint", "CheckpointFolder"]

_KIND = "checkpoint"
_BEST = "-best"
_NAME = re.compile(r"step-(\d{10,})(-best)?\.safetensors")


class Checkpoint(NamedTuple):
    """What ``CheckpointFolder.load`` finds."""

    step: int
    """The number under which it was saved."""
    content: Any
    """What was saved."""
    path: Path
    """Its file."""


class CheckpointFolder:
    """Keeps the newest checkpoints of one run, each in one file; a kill at any moment leaves one that can be loaded.

    Parameters
    ----------
    path : str or path
        The folder; it is made where it is missing. It is held until `close` or the end of the process.
    keep : int, default 2
        How many of the newest to keep; besides them the best stays, if `save` was told so.

    Raises
    ------
    FolderInUseError
        When another process works in the folder.
    FileWriteError
        When the folder cannot be made or written to.
    ArgumentError, ArgumentTypeError
        When ``keep`` is no number of at least 1.

    Notes
    -----
    An older checkpoint is removed only after the new one was read back, so the disk must have room for ``keep + 1`` of
    them, and for the best.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as path:
    ...     with CheckpointFolder(path) as folder:
    ...         for step in (10, 20, 30):
    ...             _ = folder.save({"weights": [step]}, step=step, best=step == 10)
    ...         folder.load().step, folder.load_best().step, folder.steps()
    (30, 10, [10, 20, 30])
    """

    def __init__(self, path: str | os.PathLike[str], *, keep: int = 2) -> None:
        self.keep = check_integer("keep", keep, minimum=1)
        folder = Path(path).absolute()  # the program may go elsewhere meanwhile
        if folder.exists() and not folder.is_dir():
            raise FileWriteError(f"Checkpoints go into a folder, and {str(folder)!r} is a file. Choose another path.")
        self.path = check_writable(folder / "x").parent
        self._lock = FolderLock(self.path)
        self._is_open = True
        sweep(self.path, everything=True)

    def save(self, content: Any, *, step: int, best: bool = False) -> Path:
        """Write a checkpoint, then remove those that are not kept any more.

        Parameters
        ----------
        content : nested tensors, numbers and text
            As `write_state` takes it.
        step : int
            How far the run is, not less than at the last time.
        best : bool, default False
            Whether this is the best so far, which is kept until there is a better one.

        Returns
        -------
        pathlib.Path
            Its file.

        Raises
        ------
        FileWriteError
            When the disk is full or fails; the checkpoints that were there can be loaded.
        DamagedFileError
            When what was written cannot be read back; the same holds.
        ArgumentError
            When the folder holds a later step.
        StateError
            After `close`.
        """
        self._require_open()
        path = self._path(check_integer("step", step, minimum=0), best)
        write_state(path, content, kind=_KIND)
        check_unaltered(path)
        self._tidy(path)
        return path

    def load(self) -> Checkpoint | None:
        """The newest checkpoint that is sound; None where there is none at all.

        A damaged one is named in a warning and set aside: it gets the ending ``.damaged``.

        Raises
        ------
        DamagedFileError
            When there are checkpoints, and all of them are damaged; they stay as they are.
        UnreadableFileError
            When the newest was written by a newer easyconv, or may not be read.
        StateError
            After `close`.
        """
        return self._first_sound(self._newest_first())

    def load_best(self) -> Checkpoint | None:
        """The one that was saved last as the best; None where there is none. Raises what `load` does."""
        return self._first_sound(path for path in self._newest_first() if _is_best(path))

    def steps(self) -> list[int]:
        """The steps of all checkpoints that are there, in ascending order."""
        return sorted({_step_of(path) for path in self._newest_first()})

    def clear(self) -> None:
        """Remove all checkpoints."""
        self._require_open()
        for path in self._newest_first():
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let other processes have the folder."""
        self._is_open = False
        self._lock.close()

    def __enter__(self) -> "CheckpointFolder":
        return self

    def __exit__(self, *trace: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if not self._is_open:
            raise StateError(f"The folder of checkpoints {str(self.path)!r} was closed. Open it anew.")

    def _newest_first(self) -> list[Path]:
        found = [entry for entry in self.path.iterdir() if _NAME.fullmatch(entry.name)]
        return sorted(found, key=lambda path: (_step_of(path), _is_best(path)), reverse=True)

    def _path(self, step: int, best: bool) -> Path:
        """Where a checkpoint goes: a run counts upwards, and has one file for each step."""
        newest = next(iter(self._newest_first()), None)
        if newest is not None and step < _step_of(newest):
            raise ArgumentError(
                f"The folder {str(self.path)!r} holds step {_step_of(newest)} already, which step {step} cannot "
                "follow. Go on from load(), or choose another folder."
            )
        place = self.path / f"step-{step:010d}.safetensors"
        as_best = place.with_stem(f"{place.stem}{_BEST}")
        return as_best if best or as_best.exists() else place

    def _tidy(self, newest: Path) -> None:
        there = self._newest_first()
        steps = sorted({_step_of(path) for path in there}, reverse=True)[: self.keep]
        best = next(filter(_is_best, there), None)
        for path in there:
            outdated = _step_of(path) not in steps and path != best
            if outdated or (_step_of(path) == _step_of(newest) and path != newest):
                with suppress(OSError):  # it is in the way of nothing
                    path.unlink()

    def _first_sound(self, paths: Iterable[Path]) -> Checkpoint | None:
        self._require_open()
        damaged: dict[Path, DamagedFileError] = {}
        for path in paths:
            try:
                checkpoint = Checkpoint(_step_of(path), read_state(path, kind=_KIND).content, path)
            except DamagedFileError as error:  # noqa: PERF203 (a handful of files)
                damaged[path] = error
            else:
                _set_aside(damaged, checkpoint)
                return checkpoint
        if damaged:
            reasons = "\n".join(f"  {error}" for error in damaged.values())
            raise DamagedFileError(
                f"None of the checkpoints in {str(self.path)!r} can be loaded:\n{reasons}\n"
                "Copy one from elsewhere, or empty the folder to start anew."
            )
        return None


def _step_of(path: Path) -> int:
    return int(path.name.partition("-")[2].partition("-")[0].partition(".")[0])


def _is_best(path: Path) -> bool:
    return path.stem.endswith(_BEST)


def _set_aside(damaged: dict[Path, DamagedFileError], used: Checkpoint) -> None:
    """Out of the way, not away: somebody may want to find out what happened."""
    for path, error in damaged.items():
        aside = path.with_name(f"{path.name}.damaged")
        with suppress(OSError):  # a folder that may only be read has the same checkpoint to load
            path.replace(aside)
        warn_user(f"{error} Going on from step {used.step} ({used.path.name}); the damaged file is {aside.name} now.")
