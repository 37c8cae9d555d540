"""Which files of a folder are pictures."""

import os
from collections.abc import Iterator
from pathlib import Path

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
    """All pictures in a folder and the folders in it, sorted by their paths; links are followed, but not in circles."""
    return tuple(sorted(_walk(Path(folder), frozenset())))


def _walk(folder: Path, above: frozenset[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, above | {real})
        elif is_picture_file(entry):
            yield str(entry)
