"""Labels that stand beside the pictures: in a CSV or JSON file, or a dict."""

import csv
import json
import numbers
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from easyconv.errors import ArgumentTypeError, DataError, FileMissingError

__all__ = ["Labels", "checked_label", "label_table", "listed"]

Labels = str | os.PathLike[str] | Mapping[str, Any] | Callable[[str], Any] | None
_SHOWN = 10


def label_table(labels: Any) -> dict[str, Any]:
    """From names of files to labels.

    Parameters
    ----------
    labels : path or mapping
        A CSV file (name, label; a header may come first), a JSON file with an object, or a dict. Labels of a CSV file
        are whole numbers where all of them are.

    Raises
    ------
    DataError
        When the file holds something else, no label for a name, or two.
    FileMissingError
        When there is no such file.
    ArgumentTypeError
        When it is none of these.

    Examples
    --------
    >>> label_table({"a.jpg": "cat"})
    {'a.jpg': 'cat'}
    """
    if isinstance(labels, Mapping):
        return dict(labels)
    if not isinstance(labels, (str, os.PathLike)):
        raise ArgumentTypeError(
            f"labels must be a CSV or JSON file, a dict from names to labels, or a function of a path, got {labels!r} "
            f"({type(labels).__name__})."
        )
    file = Path(labels).expanduser()
    if not file.is_file():
        raise FileMissingError(f"There is no file of labels {str(labels)!r}: it would be {str(file.absolute())!r}.")
    return _from_json(file) if file.suffix.lower() == ".json" else _from_csv(file)


def checked_label(label: Any, name: str) -> str | int:
    """A name or a whole number, of plain Python.

    Raises
    ------
    DataError
        When it is neither.

    Examples
    --------
    >>> checked_label(3, "cat.jpg")
    3
    """
    if isinstance(label, str) and label:
        return str(label)
    if isinstance(label, numbers.Integral) and not isinstance(label, bool):
        return int(label)
    raise DataError(f"The label of {name!r} must be a name or a whole number, got {label!r} ({type(label).__name__}).")


def listed(names: Sequence[str]) -> str:
    """The first ten names, and how many more there are.

    Examples
    --------
    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


def _from_json(file: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=list)
    except ValueError as error:
        raise DataError(f"The file of labels {str(file)!r} is no JSON: {error}.") from error
    if not isinstance(loaded, list) or not all(isinstance(pair, tuple) for pair in loaded):
        raise DataError(
            f"The file of labels {str(file)!r} must hold an object from names to labels, got {type(loaded).__name__}."
        )
    return _without_repeats(loaded, file)


def _from_csv(file: Path) -> dict[str, Any]:
    rows = _rows_of(file)
    wrong = next((number for number, row in rows.items() if len(row) != 2 or not all(row)), None)
    if not rows or wrong is not None:
        what = "is empty" if wrong is None else f"has no name and label in row {wrong}: {rows[wrong]}"
        raise DataError(
            f"The file of labels {str(file)!r} {what}. Each row must be a name and a label; where they are in other "
            "columns, read the file yourself and pass a dict."
        )
    pairs = [(name, label) for name, label in rows.values()]
    # A header names columns, not a file.
    headed = "." not in pairs[0][0] and any("." in name for name, _ in pairs[1:])
    found = _without_repeats(pairs[1:] if headed else pairs, file)
    if all(re.fullmatch("-?[0-9]+", label) for label in found.values()):
        return {name: int(label) for name, label in found.items()}
    return found


def _rows_of(file: Path) -> dict[int, list[str]]:
    """Rows that are not empty, by their numbers."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = enumerate(csv.reader(lines), 1)
            return {number: [cell.strip() for cell in row] for number, row in rows if row}
    except (ValueError, csv.Error) as error:
        raise DataError(f"The file of labels {str(file)!r} is no CSV in UTF-8: {error}.") from error


def _without_repeats(pairs: Sequence[tuple[str, Any]], file: Path) -> dict[str, Any]:
    repeated = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if repeated:
        raise DataError(
            f"The file of labels {str(file)!r} has several labels for {listed(repeated)}. Each picture has one label."
        )
    return dict(pairs)
