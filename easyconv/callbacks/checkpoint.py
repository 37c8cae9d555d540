"""Weights on disk while training goes on."""

import difflib
import os
import string
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from easyconv.arguments import check_flag, check_integer, check_number
from easyconv.callbacks.monitor import Mode, MonitorCallback, check_verbose, say
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.files import check_writable
from easyconv.names import suggest
from easyconv.saving import check_model_path, check_weights_path
from easyconv.training.callback import Logs

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(MonitorCallback):
    """Write the weights, or the whole model, after epochs, or only when they are the best so far.

    The file holds the net's own keys, so plain torch loads it; it is written beside its place and renamed, so a crash
    or a full disk never costs the file that was there.

    Parameters
    ----------
    filepath : str or path
        Where to write: ``"best.pt"``, ``"best.safetensors"``. Names of the logs may stand in braces:
        ``"{epoch:02d}-{val_loss:.3f}.pt"`` (epochs count from 1 here, as in Keras; so does ``{batch}``, which is there
        when ``save_freq`` is an integer). An epoch without validation cannot fill in a ``val_`` name and is left out.
    monitor : str, default "val_loss"
        Name in the logs of an epoch; looked at only with ``save_best_only``.
    verbose : int, default 0
        1 prints a line for each file.
    save_best_only : bool, default False
        Write only when ``monitor`` is better than ever before, in earlier calls of ``fit`` too.
    save_weights_only : bool, default True
        ``False``, Keras's default, writes whole models, as ``model.save`` does and `easyconv.load` reads them: for nets
        of our layers, blocks and zoo.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better.
    save_freq : "epoch" or int, default "epoch"
        An integer writes after every so many batches.
    initial_value_threshold : float, optional
        Only what is better than this counts as best.
    keep : int, optional
        Have no more than the so many best files by ``monitor``, and remove those of this callback that are no longer
        among them. Needs names that differ: ``"{epoch:02d}-{val_loss:.3f}.pt"``. All files stay by default.

    Raises
    ------
    ArgumentError
        When ``monitor`` can never be in the logs, or ``filepath`` cannot be filled in.
    ArgumentTypeError
        When training begins, and the model has classes or functions of yours, which ``save_weights_only=False`` cannot
        write.
    FileWriteError
        When the folder cannot be written to: at the start of training, not after the first epoch.

    Examples
    --------
    >>> from easyconv.callbacks import ModelCheckpoint
    >>> ModelCheckpoint("best.pt", monitor="val_accuracy", save_best_only=True).larger_is_better
    True
    >>> three_best = ModelCheckpoint("{epoch:02d}-{val_accuracy:.3f}.pt", monitor="val_accuracy", keep=3)
    """

    remembers = ("best", "kept", "_batches", "_epoch")

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        *,
        save_best_only: bool = False,
        save_weights_only: bool = True,
        mode: Mode = "auto",
        save_freq: Literal["epoch"] | int = "epoch",
        initial_value_threshold: float | None = None,
        keep: int | None = None,
    ) -> None:
        # Where nothing is compared, a name that "auto" cannot judge must not be refused.
        super().__init__(monitor, mode if save_best_only or keep is not None or mode != "auto" else "min")
        if not isinstance(filepath, (str, os.PathLike)):
            raise ArgumentTypeError(f"filepath must be a path like 'best.pt', got {filepath!r}.")
        self.filepath = os.fspath(filepath)
        self.save_weights_only = check_flag("save_weights_only", save_weights_only)
        (check_weights_path if self.save_weights_only else check_model_path)(self.filepath)
        self._names = _names_in(self.filepath)
        self.verbose = check_verbose(verbose)
        self.save_best_only = check_flag("save_best_only", save_best_only)
        self.save_freq: Literal["epoch"] | int = (
            "epoch" if save_freq == "epoch" else check_integer("save_freq", save_freq, minimum=1)
        )
        threshold = initial_value_threshold
        self.best = self.worst() if threshold is None else check_number("initial_value_threshold", threshold)
        self.keep = None if keep is None else check_integer("keep", keep, minimum=1)
        if self.keep is not None and not self._names:
            raise ArgumentError(
                f"ModelCheckpoint(filepath={self.filepath!r}, keep={keep}) would write every file over the last one. "
                "Put a name into it: '{epoch:02d}.pt'."
            )
        self.kept: list[tuple[float, str]] = []
        """Values and files that ``keep`` has left, the best first."""
        self._batches = 0
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See that the value can be there, and that the folder can be written to."""
        if self._compares:
            super().on_train_begin(logs)
            if self.save_freq != "epoch" and self.monitor.startswith("val_"):
                raise ArgumentError(
                    f"ModelCheckpoint(monitor={self.monitor!r}, save_freq={self.save_freq}) compares after batches, "
                    "where there is no validation yet. Use save_freq='epoch', or watch "
                    f"monitor={self.monitor.removeprefix('val_')!r}."
                )
        self._refuse_hopeless_path()
        check_writable(_before_braces(self.filepath))
        if not self.save_weights_only:
            self._try_to_save()

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

    @property
    def _compares(self) -> bool:
        return self.save_best_only or self.keep is not None

    def _save(self, epoch: int, logs: Logs, batch: int | None = None) -> None:
        value = self.value_in(logs) if self._compares else None
        if self._compares and (value is None or not self._is_worth_a_file(value)):
            return
        path = self._path(epoch, logs, batch)
        if path is None:
            return
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        say(self.verbose, f"Epoch {epoch + 1}: wrote {path}{self._reason(value)}.")
        if value is not None:
            self.best = value if self.improves(value, self.best) else self.best
            self._remove_all_but_the_best(value, path)

    def _try_to_save(self) -> None:
        """See before the first epoch that the whole model can be written, code of the user's or not."""
        with TemporaryDirectory() as folder:
            self.model.save(Path(folder) / _before_braces(self.filepath).name)

    def _is_worth_a_file(self, value: float) -> bool:
        if self.save_best_only or self.keep is None:
            return self.improves(value, self.best)
        worst = self.kept[-1][0] if len(self.kept) >= self.keep else self.worst()
        return self.improves(value, worst)

    def _reason(self, value: float | None) -> str:
        if value is None:
            return ""
        if self.improves(value, self.best):
            return f": {self.monitor} improved from {self.best:.4f} to {value:.4f}"
        return f": {self.monitor} {value:.4f} is among the {self.keep} best"

    def _remove_all_but_the_best(self, value: float, path: str) -> None:
        if self.keep is None:
            return
        others = [entry for entry in self.kept if entry[1] != path]
        ranked = sorted([*others, (value, path)], key=lambda entry: entry[0], reverse=self.larger_is_better)
        self.kept = ranked[: self.keep]
        for _, old in ranked[self.keep :]:
            Path(old).unlink(missing_ok=True)

    def _path(self, epoch: int, logs: Logs, batch: int | None) -> str | None:
        """The path with its names filled in; ``None`` where it waits for a validation."""
        names: dict[str, Any] = {**logs, "epoch": epoch + 1}
        if batch is not None:
            names["batch"] = batch + 1
        lacking = [name for name in self._names if name not in names]
        if lacking and batch is None and all(self.is_of_validation(name) for name in lacking):
            return None
        if lacking:
            raise ArgumentError(self._unknown_in_braces(lacking[0], list(names)))
        try:
            return self.filepath.format(**names)
        except (ValueError, TypeError) as error:
            raise ArgumentError(f"ModelCheckpoint(filepath={self.filepath!r}) cannot be filled in: {error}.") from None

    def _refuse_hopeless_path(self) -> None:
        known = ["epoch", *self.params.get("metrics", ())]
        if len(known) == 1 or self.params.get("may_log_more"):
            return
        by_batch = self.save_freq != "epoch"
        known += ["batch"] if by_batch else []
        for name in self._names:
            no_validation = name.startswith("val_") and (by_batch or not self.is_of_validation(name))
            if no_validation or (name not in known and difflib.get_close_matches(name, known, n=1, cutoff=0.8)):
                raise ArgumentError(self._unknown_in_braces(name, known))

    def _unknown_in_braces(self, name: str, known: list[str]) -> str:
        there = [other for other in known if self.save_freq == "epoch" or not other.startswith("val_")]
        return (
            f"ModelCheckpoint(filepath={self.filepath!r}) has {name!r} in braces, which is not in the logs there. "
            f"{suggest(name, there)}"
        )


def _names_in(template: str) -> list[str]:
    """The names in braces: ``"{epoch:02d}-{loss:.2f}.pt"`` has epoch and loss."""
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ArgumentError(f"filepath={template!r} has braces that do not match: {error}.") from None
    strange = [name for name in fields if not name.isidentifier()]
    if strange:
        raise ArgumentError(
            f"filepath={template!r} has {strange[0]!r} in braces; put a name there, like {{epoch:02d}} or "
            "{val_loss:.3f}, and double the braces that belong to the path."
        )
    return fields


def _before_braces(template: str) -> Path:
    """A path in the deepest folder that is known before names are filled in."""
    parts = Path(template).parts
    plain = next((index for index, part in enumerate(parts) if "{" in part), len(parts) - 1)
    return Path(*parts[:plain], parts[-1].replace("{", "").replace("}", ""))
