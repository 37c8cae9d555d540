"""What training has measured: one row per epoch."""

import csv
import io
import numbers
import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch import Tensor

from easyconv.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["History"]

Row = dict[str, float]


class History:
    """Losses, metrics and learning rates, epoch by epoch.

    ``fit`` returns the history of that call; ``model.history`` spans all calls. Names follow Keras: ``loss``,
    ``accuracy``, ``val_loss``, ``val_accuracy``, ``learning_rate``.

    Attributes
    ----------
    epoch : list of int
        Number of each epoch, from 0.
    rows : list of dict
        One dict of name to number per epoch. Epochs without validation have no ``val_`` names.
    params : dict
        ``batch_size`` (also where ``"auto"`` has chosen it; ``None`` where a source of batches decides), ``epochs`` and
        ``steps`` (batches per epoch, ``None`` where unknown) of the last ``fit``.

    Examples
    --------
    >>> history = History()
    >>> history.append(0, {"loss": 0.5, "val_loss": 0.6})
    >>> history.append(1, {"loss": 0.4})
    >>> history.history
    {'loss': [0.5, 0.4], 'val_loss': [0.6]}
    """

    params: Mapping[str, Any] = MappingProxyType({})

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.rows: list[Row] = []
        self._runs: dict[str, int] = {}

    def append(self, epoch: int, row: Row) -> None:
        """Add the row of one epoch; the row stays the caller's, so callbacks may still add to it."""
        self.epoch.append(epoch)
        self.rows.append(row)

    def begin_run(self, name: str, *, anew: bool) -> None:
        """Note where the rows of a run begin that keeps itself in a folder.

        Parameters
        ----------
        name : str
            The folder.
        anew : bool
            Whether it begins now. Otherwise it goes on: rows that are there of it, and all after them, are forgotten,
            since those that the folder holds take their place.
        """
        begin = len(self) if anew else min(self._runs.get(name, len(self)), len(self))
        del self.epoch[begin:], self.rows[begin:]
        self._runs[name] = begin

    @property
    def history(self) -> dict[str, list[float]]:
        """Name to list of values, in the order of the epochs, as in Keras."""
        columns: dict[str, list[float]] = {name: [] for name in self._names()}
        for row in self.rows:
            for name, value in row.items():
                columns[name].append(value)
        return columns

    def plot(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the training curves, train and validation in one colour each.

        Parameters
        ----------
        path : str or path, optional
            Also write the picture there; the ending (``.png``, ``.pdf``, ``.svg``) decides the format.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it by itself.

        Raises
        ------
        MissingExtraError
            When matplotlib is not installed.
        ArgumentError
            When there is no epoch to draw.
        """
        # Several calls of fit may have begun at epoch 0 each; their curves follow one another.
        from easyconv.visualize.curves import plot_curves

        rising = all(before < after for before, after in zip(self.epoch, self.epoch[1:], strict=False))
        epochs = [epoch + 1 for epoch in self.epoch] if rising else list(range(1, len(self) + 1))
        rows = [{name: float(value) for name, value in row.items() if _is_number(value)} for row in self.rows]
        return plot_curves(rows, epochs, path=path)  # type: ignore[no-any-return]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table with one line per epoch; values that an epoch does not have are left empty.

        Raises
        ------
        FileWriteError
            When the file cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=["epoch", *self._names()], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"epoch": epoch, **row} for epoch, row in zip(self.epoch, self.rows, strict=True))
        write_whole(path, lambda file: file.write(text.getvalue().encode()))

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Mapping[str, float]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no epochs)"
        last = ", ".join(f"{name}={_short(value)}" for name, value in self.rows[-1].items())
        return f"History({len(self)} epoch{'' if len(self) == 1 else 's'}; last: {last})"


def _is_number(value: object) -> bool:
    """Callbacks of users may add other things to a row."""
    return isinstance(value, numbers.Real) or (isinstance(value, Tensor) and value.numel() == 1)


def _short(value: Any) -> str:
    return f"{float(value):.4g}" if _is_number(value) else str(value)
