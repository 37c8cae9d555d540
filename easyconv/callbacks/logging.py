"""Records of training: a table in a file, a list in memory, functions of the user's."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from easyconv.arguments import check_flag
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.files import check_writable
from easyconv.names import suggest
from easyconv.training import history
from easyconv.training.callback import Callback, Logs

__all__ = ["CSVLogger", "History", "LambdaCallback"]

EVENTS = tuple(sorted(name for name in vars(Callback) if name.startswith("on_")))


class LambdaCallback(Callback):
    """Run functions at events, without writing a class.

    Parameters
    ----------
    **functions : callable
        Name of an event to a function with the signature of that event: ``on_epoch_end=lambda epoch, logs: ...``.

    Raises
    ------
    ArgumentError
        When there is no such event; the nearest names are suggested.
    ArgumentTypeError
        When something is not callable.

    Examples
    --------
    >>> from easyconv.callbacks import LambdaCallback
    >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> shout.on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        super().__init__()
        for event, function in functions.items():
            if event not in EVENTS:
                raise ArgumentError(f"LambdaCallback got {event}=, which is no event. {suggest(event, EVENTS)}")
            if function is None:
                continue
            if not callable(function):
                raise ArgumentTypeError(f"LambdaCallback({event}=...) must be a function, got {function!r}.")
            vars(self)[event] = function


class CSVLogger(Callback):
    """Write one line per epoch into a CSV file, flushed after each.

    Parameters
    ----------
    filename : str or path
        Where to write; missing folders are made.
    separator : str, default ","
        One character between the columns.
    append : bool, default False
        Go on with a file that is there, in its columns.

    Raises
    ------
    FileWriteError
        When the folder cannot be written to.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from easyconv.callbacks import CSVLogger
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "log.csv"
    >>> log = CSVLogger(path)
    >>> log.on_train_begin()
    >>> log.on_epoch_end(0, {"loss": 0.5})
    >>> log.on_train_end()
    >>> path.read_text().split()
    ['epoch,loss', '0,0.5']
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = Path(filename)
        if not isinstance(separator, str) or len(separator) != 1:
            raise ArgumentError(f"separator must be one character, got {separator!r}.")
        self.separator = separator
        self.append = check_flag("append", append)
        self._file: TextIO | None = None
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        check_writable(self.filename)
        self._columns = self._columns_there() if self.append else []
        self._file = self.filename.open("a" if self.append else "w", newline="", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line; the first one decides the columns, with those of validation if it is to come later."""
        row = {"epoch": epoch, **(logs or {})}
        if not self._columns:
            self._columns = list(dict.fromkeys(["epoch", *self.params.get("metrics", ()), *row]))
            self._write(self._columns)
        self._write([row.get(name, "") for name in self._columns])

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, values: list[Any]) -> None:
        if self._file is not None:
            csv.writer(self._file, delimiter=self.separator, lineterminator="\n").writerow(values)
            self._file.flush()

    def _columns_there(self) -> list[str]:
        if not self.filename.exists():
            return []
        with self.filename.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file, delimiter=self.separator), [])


class History(Callback, history.History):
    """The rows of each training, as a callback; ``fit`` returns the same without being asked.

    Examples
    --------
    >>> from easyconv.callbacks import History
    >>> record = History()
    >>> record.on_epoch_end(0, {"loss": 0.5})
    >>> record.history
    {'loss': [0.5]}
    """

    def __init__(self) -> None:
        Callback.__init__(self)
        history.History.__init__(self)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        history.History.__init__(self)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the row."""
        self.append(epoch, dict(logs or {}))
