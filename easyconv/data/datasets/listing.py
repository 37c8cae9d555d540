"""Which pictures a folder holds, and what each of them shows."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from easyconv.data.datasets.label_tables import Labels, checked_label, label_table, listed
from easyconv.data.pictures.files import ENDINGS, is_picture_file, pictures_in
from easyconv.errors import ArgumentTypeError, DataError, EmptyDataError, FileMissingError
from easyconv.notices import warn_user

__all__ = ["Listing", "class_names_of", "list_folder"]

_PARTS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Folders that are parts and no classes; "Train" and "training_set" are meant too."""


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
    parts = _parts_of(folder)
    if parts is None:
        return {"train": _by_class(folder)}
    found = {part: _by_class(entry, all_filled=part == "train") for part, entry in parts.items()}
    known = set(found["train"].labels)
    for part, listing in found.items():
        strange = sorted(set(map(str, listing.labels)) - set(map(str, known)))
        if strange:
            raise DataError(
                f"{str(parts[part])!r} has the class{'es' if len(strange) > 1 else ''} {listed(strange)}, which "
                f"{str(parts['train'])!r} does not have. Name the folders alike in both."
            )
    return found


def _parts_of(folder: Path) -> dict[str, Path] | None:
    """The folders of the parts, or None where all folders are classes: one of these may well be called "test"."""
    inner = _folders(folder)
    known = [entry for entry in inner if _part(entry) is not None]
    parts = {str(_part(entry)): entry for entry in known}
    rest = [entry for entry in inner if entry not in known]
    deep = [entry for entry in known if _folders(entry) and not _loose(entry)]
    if "train" not in parts and (len(deep) > 1 or (deep and not rest)):
        raise DataError(f"{_parts_there(folder, deep)}, but none to train on. Name that one 'train'.")
    if parts.get("train") not in deep:
        return None
    if len(parts) < len(known):
        raise DataError(f"{_parts_there(folder, known)}. Leave one of each: train, val and test.")
    strange = [entry.name for entry in rest if pictures_in(entry)]
    if strange:
        raise DataError(
            f"{_parts_there(folder, known)}, and other ones with pictures, {listed(strange)}, which are neither parts "
            "with a folder per class nor classes. Move them elsewhere; if 'train' is the name of a class, put its "
            "pictures into it without folders in between."
        )
    return parts


def _part(folder: Path) -> str | None:
    return _PARTS.get(folder.name.lower().removesuffix("set").rstrip(" _-"))


def _parts_there(folder: Path, known: Sequence[Path]) -> str:
    return f"{str(folder)!r} has folders of parts, {listed([entry.name for entry in known])}"


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
    hint = f" In {str(above)!r} there are {listed(there)}." if there else ""
    raise FileMissingError(f"There is no folder {str(path)!r}.{hint}")


def _folders(folder: Path) -> list[Path]:
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_dir()]
    except OSError as error:
        raise DataError(f"The folder {str(folder)!r} cannot be read: {error.strerror or error}.") from error
    return sorted(entries, key=lambda entry: entry.name)  # paths of Windows are sorted without regard to capitals


def _by_class(folder: Path, *, all_filled: bool = True) -> Listing:
    classes = _folders(folder)
    if not classes:
        loose = len(pictures_in(folder))
        hint = f" The {loose} pictures in it need labels=..., or a folder per class." if loose else ""
        raise EmptyDataError(f"{str(folder)!r} has no folders in it; there must be one for each class.{hint}")
    _warn_of_loose(folder)
    found = {entry.name: pictures_in(entry) for entry in classes}
    empty = [name for name, files in found.items() if not files]
    if empty and (all_filled or len(empty) == len(found)):
        raise EmptyDataError(
            f"There are no pictures in the class folder{'s' if len(empty) > 1 else ''} {listed(empty)} of "
            f"{str(folder)!r}. Fill or remove {'them' if len(empty) > 1 else 'it'}. Files count that end in "
            f"{', '.join(ENDINGS)}."
        )
    if len(found) == 1 and _folders(classes[0]) and not _loose(classes[0]):
        warn_user(
            f"There is one class only in {str(folder)!r}, {classes[0].name!r}, whose pictures are in folders again. If "
            f"those are the classes, pass {str(classes[0])!r}."
        )
    files = tuple(file for name in found for file in found[name])
    return Listing(files, tuple(name for name in found for _ in found[name]))


def _warn_of_loose(folder: Path) -> None:
    loose = _loose(folder)
    if loose:
        warn_user(
            f"{len(loose)} pictures in {str(folder)!r} are in none of its class folders, and are left out: "
            f"{listed(loose)}."
        )


def _loose(folder: Path) -> list[str]:
    """Pictures that are in no folder of their own."""
    return sorted(entry.name for entry in folder.iterdir() if is_picture_file(entry) and not entry.is_dir())


def _labelled(folder: Path, labels: Labels) -> Listing:
    files = pictures_in(folder)
    if not files:
        raise EmptyDataError(f"There are no pictures in the folder {str(folder)!r}.")
    if callable(labels):
        answers = {file: labels(file) for file in files}
        _refuse_unlabelled(folder, [file for file, label in answers.items() if label is None])
        return _one_kind(Listing(files, tuple(checked_label(answers[file], file) for file in files)))
    table = label_table(labels)
    names = {os.path.relpath(file, folder).replace(os.sep, "/"): file for file in files}
    given = {os.path.normpath(str(name)).replace(os.sep, "/"): label for name, label in table.items()}
    without, missing = sorted(set(names) - set(given)), sorted(set(given) - set(names))
    if missing:
        raise DataError(f"{len(missing)} labels have no picture in {str(folder)!r}: {listed(missing)}.{_hint(missing)}")
    _refuse_unlabelled(folder, without)
    return _one_kind(Listing(tuple(names.values()), tuple(checked_label(given[name], name) for name in names)))


def _refuse_unlabelled(folder: Path, without: Sequence[str]) -> None:
    if without:
        raise DataError(
            f"{len(without)} pictures in {str(folder)!r} have no label: {listed(without)}. Label them, or move them "
            "elsewhere."
        )


def _one_kind(listing: Listing) -> Listing:
    """Refuse 1 beside "1": the names of their classes would be the same."""
    example = {type(label): (label, file) for label, file in zip(listing.labels, listing.files, strict=True)}
    if len(example) > 1:
        (first, one), (second, other) = list(example.values())[:2]
        raise DataError(
            f"Labels must all be names, or all be whole numbers, got {first!r} for {one!r} and {second!r} for "
            f"{other!r}."
        )
    return listing


def _hint(missing: Sequence[str]) -> str:
    return " Names need their ending, like 'cat.jpg'." if not any("." in name for name in missing) else ""
