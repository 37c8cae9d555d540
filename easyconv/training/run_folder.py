"""Where a training keeps itself, and how often (``fit(resume=...)``)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easyconv.arguments import check_flag, check_integer, check_number
from easyconv.errors import ArgumentError, ArgumentTypeError, ResumeError
from easyconv.files import CheckpointFolder

__all__ = ["OpenRun", "RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """A folder in which a training keeps itself: ``fit(..., resume=RunFolder("runs/a", every_steps=500))``.

    Checkpoints are written when training begins, at the end of each epoch, and when it is ended by SIGTERM, Ctrl-C or
    an error; and in between, where that is asked for.

    Parameters
    ----------
    path : str or path
        The folder, ``~`` is your home; it is made where it is missing. One training at a time.
    every_steps : int, optional
        Also after so many batches.
    every_seconds : float, optional
        Also after so many seconds.
    keep : int, default 2
        How many of the newest checkpoints stay.
    monitor : str or None, default "auto"
        Besides them the checkpoint of the best epoch by this value stays, its name ends in ``-best``: ``"auto"`` is
        ``val_loss`` where there is validation and ``loss`` otherwise. Names that tell of accuracy and the like rise,
        all others fall. ``None`` keeps none.
    discard_when_done : bool, default False
        Remove the checkpoints once training has ended as it should; the same command then trains anew.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        For values that make no sense.

    Examples
    --------
    >>> import easyconv as ec, tempfile, torch
    >>> x = torch.rand(40, 3)
    >>> def train(folder, epochs):
    ...     ec.set_seed(0)
    ...     model = ec.Sequential([ec.layers.Dense(2)])
    ...     model.compile("sgd")
    ...     model.fit(x, (x[:, 0] > 0.5).long(), epochs=epochs, resume=RunFolder(folder, keep=1), verbose=0)
    ...     return model
    >>> with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
    ...     _ = train(one, epochs=2)
    ...     resumed, whole = train(one, epochs=4), train(two, epochs=4)
    >>> torch.equal(resumed[0].weight, whole[0].weight), len(resumed.history)
    (True, 4)
    """

    path: str | os.PathLike[str]
    every_steps: int | None = field(default=None, kw_only=True)
    every_seconds: float | None = field(default=None, kw_only=True)
    keep: int = field(default=2, kw_only=True)
    monitor: str | None = field(default="auto", kw_only=True)
    discard_when_done: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)):
            raise ArgumentTypeError(
                f"resume must be the path of a folder, or a RunFolder, got {self.path!r} "
                f"({type(self.path).__name__}). Write fit(resume='runs/first')."
            )
        if not os.fspath(self.path):
            raise ArgumentError("resume must be the path of a folder, got ''. Write fit(resume='runs/first').")
        if self.every_steps is not None:
            check_integer("every_steps", self.every_steps, minimum=1)
        if self.every_seconds is not None:
            check_number("every_seconds", self.every_seconds, above=0.0)
        check_integer("keep", self.keep, minimum=1)
        check_flag("discard_when_done", self.discard_when_done)
        if self.monitor is not None and not isinstance(self.monitor, str):
            raise ArgumentTypeError(f"monitor must be the name of a value or None, got {self.monitor!r}.")

    @staticmethod
    def of(resume: Any) -> "RunFolder":
        """What ``fit(resume=...)`` was given, as a folder."""
        return resume if isinstance(resume, RunFolder) else RunFolder(resume)

    @contextmanager
    def opened(self) -> Iterator["OpenRun"]:
        """Hold the folder for the block, and read what is there.

        Raises
        ------
        FolderInUseError, FileWriteError, DamagedFileError, UnreadableFileError
            See `CheckpointFolder`.
        ResumeError
            When the folder holds checkpoints of something else.
        """
        with CheckpointFolder(Path(self.path).expanduser(), keep=self.keep) as checkpoints:
            found = checkpoints.load()
            content = None if found is None else found.content
            if content is not None and not (isinstance(content, dict) and "position" in content):
                raise ResumeError(
                    f"The checkpoints in {str(self.path)!r} are none of fit(resume=...). Choose another folder."
                )
            yield OpenRun(self, checkpoints, content)


@dataclass(frozen=True)
class OpenRun:
    """A folder of a run that is held, with what its newest checkpoint says."""

    settings: RunFolder
    checkpoints: CheckpointFolder
    content: dict[str, Any] | None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.checkpoints.path

    @property
    def batch_size(self) -> int | None:
        """Rows per batch of the run that is there."""
        return None if self.content is None else self.content["run"]["data"]["batch_size"]
