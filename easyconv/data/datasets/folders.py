"""A folder of pictures as a data set."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from easyconv.arguments import check_choice, check_integer, check_number
from easyconv.data.datasets.array_split import ArraySplit
from easyconv.data.datasets.decoding import Decoded, check_files, decode_to_disk, decode_to_memory
from easyconv.data.datasets.file_split import FileSplit
from easyconv.data.datasets.label_tables import Labels, listed
from easyconv.data.datasets.listing import Listing, class_names_of, list_folder
from easyconv.data.datasets.split import Split
from easyconv.data.datasets.splits import Splits
from easyconv.data.pictures.format import PictureFormat
from easyconv.data.sources.workers import check_workers
from easyconv.errors import ArgumentError, BrokenPictureError
from easyconv.files import cache_folder
from easyconv.notices import warn_user
from easyconv.room import available_memory, free_disk

__all__ = ["image_folder"]

_CACHES = ("auto", "memory", "disk", "none", None)
_SHARE_OF_MEMORY, _SHARE_OF_DISK = 0.25, 0.5
_SHOWN = 10


def image_folder(
    path: str | os.PathLike[str],
    size: int | tuple[int, int],
    *,
    resize: str = "crop",
    channels: int = 3,
    validation_split: float = 0.0,
    labels: Labels = None,
    cache: str | None = "auto",
    broken: str = "refuse",
    seed: int = 0,
    num_workers: int | str = "auto",
) -> Splits:
    """A folder of pictures as a data set: all brought to one size, every file checked before training.

    Parameters
    ----------
    path : path
        One folder per class, as ``torchvision.datasets.ImageFolder`` has it; or ``train``, ``val`` (``valid``,
        ``validation``) and ``test`` with those in them; or with ``labels`` any folder of pictures. Folders in class
        folders are looked through, links are followed, hidden files are not.
    size : int or (int, int)
        Height and width of the pictures; an int stands for both.
    resize : {"crop", "pad", "squash"}, default "crop"
        ``"crop"``: the short side is brought to the size and the middle cut, as AlexNet did. ``"pad"``: the whole
        picture, with black bars. ``"squash"``: proportions do not matter.
    channels : {3, 1}, default 3
        Colour, or grey.
    validation_split : float, default 0.0
        Share of the training pictures to validate on, stratified: each class gives its share, to within one picture.
    labels : path, dict or callable, optional
        A CSV file with a name and a label in each row (a header may come first), a JSON file or dict from names to
        labels, or a function from a path to a label; names are relative to ``path``. Labels are names of classes, or
        whole numbers.
    cache : {"auto", "memory", "disk", "none"} or None, default "auto"
        Where the decoded pictures are kept as bytes: in memory; in a memory-mapped file in the user's cache folder (set
        ``EASYCONV_CACHE`` to move it), which a second run finds there; or nowhere (``"none"`` or None): they are
        decoded in worker processes while the net trains, after one look at each. ``"auto"`` takes the first that fits:
        a quarter of the available memory, half of the free disk.
    broken : {"refuse", "skip"}, default "refuse"
        What to do about files that cannot be read: an error that lists them, or a warning that lists them, and they are
        left out. No class of the training part may lose all its pictures.
    seed : int, default 0
        Chooses the pictures of ``validation_split``, the same on every machine.
    num_workers : int or "auto", default "auto"
        Processes that decode where ``cache`` is ``"none"``; see `loader`.

    Returns
    -------
    Splits
        Classes are numbered from 0 on in the order of their names; whole numbers in the order of their values, so that
        the labels 1 and 5 become the classes 0 and 1, called "1" and "5". ``data.train.files`` are the paths.

    Raises
    ------
    FileMissingError
        When there is no such folder.
    EmptyDataError
        When there are no pictures, or a class has none.
    BrokenPictureError
        When files cannot be read, and ``broken`` is ``"refuse"``.
    DataError
        When labels and pictures do not belong to one another, or parts have other classes.
    ArgumentError, ArgumentTypeError
        For arguments that make no sense.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> folder = tempfile.TemporaryDirectory()
    >>> for name, colour in (("day", "white"), ("night", "black")):
    ...     place = pathlib.Path(folder.name, name)
    ...     place.mkdir()
    ...     for number in range(5):
    ...         Image.new("RGB", (40, 30), colour).save(place / f"{number}.png")
    >>> image_folder(folder.name, size=32, validation_split=0.2)
    Splits(
      train:      <ArraySplit: 8 pictures of 3x32x32, uint8 in memory, 2 classes>
      validation: <ArraySplit: 2 pictures of 3x32x32, uint8 in memory, 2 classes>
    )
    """
    picture_format = PictureFormat(size, resize, channels)
    check_choice("cache", cache, _CACHES)
    check_choice("broken", broken, ("refuse", "skip"))
    check_number("validation_split", validation_split, minimum=0, below=1)
    check_integer("seed", seed, minimum=0)
    check_workers(num_workers)
    listings = list_folder(path, labels)
    if validation_split and "validation" in listings:
        raise ArgumentError(
            f"validation_split={validation_split:g} makes no sense beside a folder of pictures to validate on, which "
            f"{str(path)!r} has. Leave it out."
        )
    where = _where(cache or "none", listings, picture_format)
    decoded = {part: _READERS[where](listing.files, picture_format) for part, listing in listings.items()}
    _see_to_broken(listings, decoded, broken)
    make = _Maker(picture_format, class_names_of(listings["train"]), num_workers, mapped=where == "disk")
    data = Splits(**{part: make(listing, decoded[part]) for part, listing in listings.items()})
    return data.hold_out(validation_split, seed=seed) if validation_split else data


_READERS: dict[str, Callable[[Sequence[str], PictureFormat], Decoded]] = {
    "memory": decode_to_memory,
    "disk": decode_to_disk,
    "none": lambda files, _: check_files(files),
}


class _Maker:
    """Makes splits of the pictures that could be read."""

    def __init__(self, picture_format: PictureFormat, names: Sequence[str], workers: int | str, *, mapped: bool):
        self._workers, self._mapped = workers, mapped
        self._numbers = {name: number for number, name in enumerate(names)}
        self._common: dict[str, Any] = {"class_names": tuple(names), "picture_format": picture_format}

    def __call__(self, listing: Listing, decoded: Decoded) -> Split:
        targets = torch.tensor([self._numbers[str(label)] for label in listing.labels], dtype=torch.int64)
        rows = _readable(listing, decoded)
        files = [listing.files[row] for row in rows]
        if decoded.images is None:
            return FileSplit(files, targets[rows], num_workers=self._workers, **self._common)
        if not self._mapped:
            return ArraySplit(_together(decoded.images, rows), targets[rows], files=files, **self._common)
        # Nothing is moved in a mapped file: what is touched there would take memory.
        split = ArraySplit(decoded.images, targets, files=listing.files, mapped=True, **self._common)
        return split.subset(rows) if decoded.broken else split


def _readable(listing: Listing, decoded: Decoded) -> list[int]:
    return [row for row in range(len(listing.files)) if row not in decoded.broken]


def _together(images: Tensor, rows: Sequence[int]) -> Tensor:
    """Some rows, moved together in place, so that memory never holds two copies."""
    for place, row in enumerate(rows):
        if place != row:
            images[place] = images[row]
    return images[: len(rows)]


def _where(cache: str, listings: dict[str, Listing], picture_format: PictureFormat) -> str:
    """Where the decoded pictures go."""
    if cache != "auto":
        return cache
    pictures = sum(len(listing.files) for listing in listings.values())
    needed = pictures * picture_format.channels * picture_format.height * picture_format.width
    if needed <= _SHARE_OF_MEMORY * available_memory():
        return "memory"
    return "disk" if needed <= _SHARE_OF_DISK * free_disk(cache_folder()) else "none"


def _see_to_broken(listings: dict[str, Listing], decoded: dict[str, Decoded], what: str) -> None:
    broken = [reason for part in decoded.values() for reason in part.broken.values()]
    if not broken:
        return
    pictures = sum(len(listing.files) for listing in listings.values())
    more = f"\n  and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    found = "".join(f"\n  {reason}" for reason in broken[:_SHOWN]) + more
    if what == "refuse":
        raise BrokenPictureError(
            f"{len(broken)} of {pictures} pictures cannot be read. Repair or remove them, or pass broken='skip' to "
            f"leave them out:{found}"
        )
    for part, listing in listings.items():
        left = {listing.labels[row] for row in _readable(listing, decoded[part])}
        gone = sorted(map(str, set(listing.labels) - left))
        if gone and (part == "train" or not left):
            raise BrokenPictureError(
                f"No picture of the class{'es' if len(gone) > 1 else ''} {listed(gone)} of the part {part!r} can be "
                f"read, so none is left without the broken ones. {len(broken)} of {pictures} cannot be read:{found}"
            )
    warn_user(f"{len(broken)} of {pictures} pictures cannot be read and are left out:{found}")
