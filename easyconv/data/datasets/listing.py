"""Which pictures a folder holds, and what each of them shows."""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from easyconv.data.pictures.files import pictures_in
from easyconv.errors import ArgumentTypeError, DataError, EmptyDataError, FileMissingError

__all__ = ["Labels", "Listing", "class_names_of", "list_folder"]

Labels = str | os.PathLike[str] | Mapping[str, Any] | Callable[[str], Any] | None
_PARTS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_SHOWN = 10


class Listing(NamedTuple):
    """Pictures and their labels, in the order of the paths."""

    files: tuple[str, ...]
    labels: tuple[str | int, ...]


def list_folder(path: str | os.PathLike[str], labels: Labels = None) -> dict[str, Listing]:
    """The pictures of each part of a folder: ``"train"``, and ``"validation"`` and ``"test"`` where they are there.

    Parameters
    ----------
    path : path
        One folder per class; or ``train``, ``val`` (``valid``, ``validation``) and ``test`` with those in them; or with
        ``labels`` any folder of pictures.
    labels : path, dict or callable, optional
        A CSV file (name, label), a JSON file or dict from names to labels, or a function of a path. Names are relative
        to ``path``.

    Raises
    ------
    FileMissingError
        When there is no such folder.
    EmptyDataError
        When there are no pictures, or a class has none.
    DataError
        When pictures and labels do not belong to one another.
    """
    folder = _checked_folder(path)
    if labels is not None:
        return {"train": _labelled(folder, labels)}
    inner = _folders(folder)
    parts = {_PARTS[entry.name.lower()]: entry for entry in inner if entry.name.lower() in _PARTS}
    if "train" not in parts or len(parts) < len(inner) or not _folders(parts["train"]):
        return {"train": _by_class(folder)}
    found = {part: _by_class(entry, all_filled=part == "train") for part, entry in parts.items()}
    known = set(found["train"].labels)
    for part, listing in found.items():
        strange = sorted(set(map(str, listing.labels)) - set(map(str, known)))
        if strange:
            raise DataError(
                f"{str(parts[part])!r} has the class{'es' if len(strange) > 1 else ''} {_listed(strange)}, which "
                f"{str(parts['train'])!r} does not have. Name the folders alike in both."
            )
    return found


def class_names_of(listing: Listing) -> tuple[str, ...]:
    """Names of the classes, in the order of their numbers: sorted, whole numbers by their value.

    Examples
    --------
    >>> class_names_of(Listing(("a.jpg", "b.jpg", "c.jpg"), (10, 2, 10)))
    ('2', '10')
    """
    return tuple(map(str, sorted(set(listing.labels), key=lambda label: (isinstance(label, str), label))))


def _checked_folder(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentTypeError(f"path must be a folder, got {path!r} ({type(path).__name__}).")
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise FileMissingError(f"{str(path)!r} is a file, not a folder. Name the folder that the pictures are in.")
    above = folder.parent
    there = [entry.name for entry in _folders(above)][:5] if above.is_dir() else []
    hint = f" In {str(above)!r} there are {_listed(there)}." if there else ""
    raise FileMissingError(f"There is no folder {str(path)!r}.{hint}")


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"The folder {str(folder)!r} cannot be read: {error.strerror or error}.") from error


def _by_class(folder: Path, *, all_filled: bool = True) -> Listing:
    classes = _folders(folder)
    if not classes:
        loose = len(pictures_in(folder))
        hint = f" The {loose} pictures in it need labels=..., or a folder per class." if loose else ""
        raise EmptyDataError(f"{str(folder)!r} has no folders in it; there must be one for each class.{hint}")
    found = {entry.name: pictures_in(entry) for entry in classes}
    empty = [name for name, files in found.items() if not files]
    if empty and (all_filled or len(empty) == len(found)):
        raise EmptyDataError(
            f"There are no pictures in the class folder{'s' if len(empty) > 1 else ''} {_listed(empty)} of "
            f"{str(folder)!r}. Fill or remove {'them' if len(empty) > 1 else 'it'}."
        )
    files = tuple(file for name in found for file in found[name])
    return Listing(files, tuple(name for name in found for _ in found[name]))


def _labelled(folder: Path, labels: Labels) -> Listing:
    files = pictures_in(folder)
    if not files:
        raise EmptyDataError(f"There are no pictures in the folder {str(folder)!r}.")
    if callable(labels):
        return Listing(files, tuple(_checked_label(labels(file), file) for file in files))
    table = dict(_table(labels))
    names = {os.path.relpath(file, folder).replace(os.sep, "/"): file for file in files}
    given = {os.path.normpath(str(name)).replace(os.sep, "/"): label for name, label in table.items()}
    without, missing = sorted(set(names) - set(given)), sorted(set(given) - set(names))
    if missing:
        raise DataError(
            f"{len(missing)} labels have no picture in {str(folder)!r}: {_listed(missing)}.{_hint(missing)}"
        )
    if without:
        raise DataError(
            f"{len(without)} pictures in {str(folder)!r} have no label: {_listed(without)}. Label them, or move them "
            "elsewhere."
        )
    return Listing(tuple(names.values()), tuple(_checked_label(given[name], name) for name in names))


def _table(labels: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(labels, Mapping):
        return list(labels.items())
    if not isinstance(labels, (str, os.PathLike)):
        raise ArgumentTypeError(
            f"labels must be a CSV or JSON file, a dict from names to labels, or a function of a path, got {labels!r} "
            f"({type(labels).__name__})."
        )
    file = Path(labels).expanduser()
    if not file.is_file():
        raise FileMissingError(f"There is no file of labels {str(labels)!r}.")
    return _from_json(file) if file.suffix.lower() == ".json" else _from_csv(file)


def _from_json(file: Path) -> list[tuple[str, Any]]:
    try:
        loaded = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DataError(f"The file of labels {str(file)!r} is no JSON: {error}.") from error
    if not isinstance(loaded, dict):
        raise DataError(
            f"The file of labels {str(file)!r} must hold an object from names to labels, got {type(loaded).__name__}."
        )
    return list(loaded.items())


def _from_csv(file: Path) -> list[tuple[str, Any]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = [row for row in csv.reader(lines) if row]
    short = next((number for number, row in enumerate(rows) if len(row) < 2), None)
    if not rows or short is not None:
        what = "is empty" if not rows else f"has no label in row {(short or 0) + 1}: {rows[short or 0]}"
        raise DataError(f"The file of labels {str(file)!r} {what}. Each row must be a name and a label.")
    # A header names columns, not a file.
    first = rows[0][0]
    headed = "." not in first and any("." in row[0] for row in rows[1:])
    found = [(row[0].strip(), row[1].strip()) for row in (rows[1:] if headed else rows)]
    name, count = Counter(name for name, _ in found).most_common(1)[0]
    if count > 1:
        raise DataError(f"The file of labels {str(file)!r} has {count} rows for {name!r}. Each picture has one label.")
    whole = all(_is_whole(label) for _, label in found)
    return [(name, int(label) if whole else label) for name, label in found]


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _checked_label(label: Any, name: str) -> str | int:
    if isinstance(label, str) or (isinstance(label, int) and not isinstance(label, bool)):
        return label
    raise DataError(f"The label of {name!r} must be a name or a whole number, got {label!r} ({type(label).__name__}).")


def _hint(missing: Sequence[str]) -> str:
    return " Names need their ending, like 'cat.jpg'." if not any("." in name for name in missing) else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
