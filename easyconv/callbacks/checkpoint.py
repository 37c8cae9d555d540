"""Weights on disk while training goes on."""

import os
from pathlib import Path
from typing import Literal

from easyconv.arguments import check_flag, check_integer, check_number
from easyconv.callbacks.monitor import Mode, MonitorCallback, say
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.files import check_writable
from easyconv.saving import check_weights_path
from easyconv.training.callback import Logs

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(MonitorCallback):
    """Write the weights after epochs, or only when they are the best so far.

    The file holds the net's own keys, so plain torch loads it; it is written beside its place and renamed, so a crash
    or a full disk never costs the file that was there.

    Parameters
    ----------
    filepath : str or path
        Where to write: ``"best.pt"``, ``"best.safetensors"``. Names of the logs may stand in braces:
        ``"{epoch:02d}-{val_loss:.3f}.pt"`` (epochs count from 1 here, as in Keras).
    monitor : str, default "val_loss"
        Name in the logs of an epoch; looked at only with ``save_best_only``.
    verbose : int, default 0
        1 prints a line for each file.
    save_best_only : bool, default False
        Write only when ``monitor`` is better than ever before.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better.
    save_freq : "epoch" or int, default "epoch"
        An integer writes after every so many batches.
    initial_value_threshold : float, optional
        Only what is better than this counts as best.

    Raises
    ------
    ArgumentError
        When ``monitor`` can never be in the logs, or a name in braces is not there.
    FileWriteError
        When the folder cannot be written to: at the start of training, not after the first epoch.

    Examples
    --------
    >>> from easyconv.callbacks import ModelCheckpoint
    >>> ModelCheckpoint("best.pt", monitor="val_accuracy", save_best_only=True).larger_is_better
    True
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        *,
        save_best_only: bool = False,
        mode: Mode = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        # Without save_best_only nothing is compared, so a name that "auto" cannot judge must not be refused.
        super().__init__(monitor, mode if save_best_only or mode != "auto" else "min")
        if not isinstance(filepath, (str, os.PathLike)):
            raise ArgumentTypeError(f"filepath must be a path like 'best.pt', got {filepath!r}.")
        self.filepath = os.fspath(filepath)
        check_weights_path(self.filepath)
        self.verbose = verbose
        self.save_best_only = check_flag("save_best_only", save_best_only)
        self.save_freq: Literal["epoch"] | int = (
            "epoch" if save_freq == "epoch" else check_integer("save_freq", save_freq, minimum=1)
        )
        threshold = initial_value_threshold
        self.best = self.worst() if threshold is None else check_number("initial_value_threshold", threshold)
        self._batches = 0
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See that the folder can be written to."""
        if self.save_best_only:
            super().on_train_begin(logs)
        check_writable(Path(self.filepath))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the epoch, for the name of the file."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write, where epochs are what is counted."""
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write, where batches are what is counted."""
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches % self.save_freq == 0:
            self._save(self._epoch, logs or {}, batch)

    def _save(self, epoch: int, logs: Logs, batch: int | None = None) -> None:
        if self.save_best_only:
            value = self.value_in(logs)
            if value is None or not self.improves(value, self.best):
                return
            say(self.verbose, f"Epoch {epoch + 1}: {self.monitor} {self.best:.4f} → {value:.4f}.")
            self.best = value
        path = self._path(epoch, logs, batch)
        self.model.save_weights(path)
        say(self.verbose, f"Epoch {epoch + 1}: wrote {path}.")

    def _path(self, epoch: int, logs: Logs, batch: int | None) -> str:
        if "{" not in self.filepath:
            return self.filepath
        names = {**logs, "epoch": epoch + 1, "batch": batch if batch is not None else 0}
        try:
            return self.filepath.format(**names)
        except (KeyError, IndexError) as error:
            raise ArgumentError(
                f"ModelCheckpoint(filepath={self.filepath!r}) names {error} in braces; there are "
                f"{', '.join(map(repr, names))}."
            ) from None
