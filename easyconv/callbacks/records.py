"""Records of training: a table in a file, a list in memory, functions of the user's."""

import csv
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from easyconv.arguments import check_flag
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.files import check_writable, write_errors_explained, write_whole
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
    """Write one line per epoch into a CSV file, at once, so that a crash keeps what was there.

    Parameters
    ----------
    filename : str or path
        Where to write; missing folders are made. Values that an epoch does not have are left empty; where a later
        epoch has new names, the file is written anew with columns for them.
    separator : str, default ","
        One character between the columns.
    append : bool, default False
        Go on with a file that is there, in its columns.

    Raises
    ------
    ArgumentError
        When the file to go on with is no such table.
    FileWriteError
        When the file cannot be written to.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from easyconv.callbacks import CSVLogger
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "log.csv"
    >>> log = CSVLogger(path)
    >>> log.on_train_begin()
    >>> log.on_epoch_end(0, {"loss": 0.5})
    >>> path.read_text().split()
    ['epoch,loss', '0,0.5']
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        if not isinstance(filename, (str, os.PathLike)):
            raise ArgumentTypeError(f"filename must be a path like 'log.csv', got {filename!r}.")
        self.filename = Path(filename)
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise ArgumentError(f"separator must be one character that is no quote and no line end, got {separator!r}.")
        self.separator = separator
        self.append = check_flag("append", append)
        self._columns: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """The table as it is now: what a killed process wrote after this is no part of the training that goes on."""
        return {"text": self.filename.read_text(encoding="utf-8") if self.filename.exists() else ""}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Write the table as it was then."""
        write_whole(self.filename, lambda file: file.write(str(state["text"]).encode()))
        self._columns = next(iter(self._lines()), [])

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin the file, or read the columns of the one to go on with."""
        check_writable(self.filename)
        with write_errors_explained(self.filename):
            self.filename.open("a" if self.append else "w").close()
        self._columns = next(iter(self._lines()), [])
        if self._columns and "epoch" not in self._columns:
            raise ArgumentError(
                f"CSVLogger cannot go on with {str(self.filename)!r}: its first line, {self._columns}, has no column "
                f"'epoch' (separator={self.separator!r}). Pass the separator of that file, or another name."
            )

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line; the first one makes columns for the values of validation too, if it is to come later."""
        row = {"epoch": epoch, **(logs or {})}
        expected = [] if self._columns else self.params.get("metrics", ())
        columns = list(dict.fromkeys([*self._columns, "epoch", *expected, *row]))
        line = [row.get(name, "") for name in columns]
        if columns != self._columns:
            self._write_anew(columns, line)
        else:
            with write_errors_explained(self.filename), self.filename.open("a", newline="", encoding="utf-8") as file:
                self._writer(file).writerow(line)

    def _write_anew(self, columns: list[str], line: list[Any]) -> None:
        text = io.StringIO(newline="")
        filled = ([*old, *[""] * (len(columns) - len(old))] for old in self._lines()[1:])
        self._writer(text).writerows([columns, *filled, line])
        write_whole(self.filename, lambda file: file.write(text.getvalue().encode()))
        self._columns = columns

    def _lines(self) -> list[list[str]]:
        with self.filename.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file, delimiter=self.separator))

    def _writer(self, file: TextIO) -> Any:
        return csv.writer(file, delimiter=self.separator, lineterminator="\n")


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

    remembers = ("epoch", "rows")

    def __init__(self) -> None:
        Callback.__init__(self)
        history.History.__init__(self)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        history.History.__init__(self)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the row."""
        self.append(epoch, dict(logs or {}))
