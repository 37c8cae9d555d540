"""Which files of a folder are pictures."""

import os
from collections.abc import Iterator

from easyconv.errors import DataError

__all__ = ["ENDINGS", "is_picture_file", "pictures_in"]

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""torchvision's, and GIF."""


def is_picture_file(path: str | os.PathLike[str]) -> bool:
    """Whether a name ends like that of a picture, in capitals or not, and is not hidden.

    Examples
    --------
    >>> is_picture_file("cat.JPG"), is_picture_file(".cat.jpg"), is_picture_file("cat.txt")
    (True, False, False)
    """
    name = os.path.basename(os.fspath(path))
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def pictures_in(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """All pictures in a folder and the folders in it; links are followed, but not in circles.

    They are sorted by their names, those of a folder before those of the folders in it, the same on every machine.

    Raises
    ------
    DataError
        When a folder cannot be read.
    """
    return tuple(_walk(os.fspath(folder), frozenset()))


def _walk(folder: str, above: frozenset[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        return
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if _is_folder(entry) else files).append(entry.path)
    except OSError as error:
        raise DataError(f"The folder {folder!r} cannot be read: {error.strerror or error}.") from error
    yield from sorted(file for file in files if is_picture_file(file))
    for inner in sorted(folders):
        yield from _walk(inner, above | {real})


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: whoever reads it will say so
        return False
