"""A folder of pictures as a data set."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor

from easyconv.arguments import check_choice, check_integer, check_number
from easyconv.data.datasets.array_split import ArraySplit
from easyconv.data.datasets.decoding import Decoded, check_files, decode_to_disk, decode_to_memory
from easyconv.data.datasets.file_split import FileSplit
from easyconv.data.datasets.listing import Labels, Listing, class_names_of, list_folder
from easyconv.data.datasets.room import available_memory, free_disk
from easyconv.data.datasets.split import Split
from easyconv.data.datasets.splits import Splits
from easyconv.data.pictures.format import PictureFormat
from easyconv.data.sources.workers import check_workers
from easyconv.errors import ArgumentError, BrokenPictureError
from easyconv.files import cache_folder
from easyconv.notices import warn_user

__all__ = ["image_folder"]

_CACHES = ("auto", "memory", "disk", "none")
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
    cache: str = "auto",
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
    cache : {"auto", "memory", "disk", "none"}, default "auto"
        Where the decoded pictures are kept as bytes: in memory; in a memory-mapped file in the user's cache folder (set
        ``EASYCONV_CACHE`` to move it), which a second run finds there; or nowhere: they are decoded in worker processes
        while the net trains. ``"auto"`` takes the first that fits: a quarter of the available memory, half of the free
        disk.
    broken : {"refuse", "skip"}, default "refuse"
        What to do about files that cannot be read: an error that lists them, or a warning that lists them, and they are
        left out.
    seed : int, default 0
        Chooses the pictures of ``validation_split``, the same on every machine.
    num_workers : int or "auto", default "auto"
        Processes that decode where ``cache`` is ``"none"``; see `loader`.

    Returns
    -------
    Splits
        Classes are numbered in the order of their names. ``data.train.files`` are the paths.

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
    names = class_names_of(listings["train"])
    reader = _Reader(picture_format, names, _where(cache, listings, picture_format), num_workers)
    parts = {part: reader.read(listing) for part, listing in listings.items()}
    _see_to_broken(reader.broken, broken, sum(len(listing.files) for listing in listings.values()))
    data = Splits(**parts)
    return data.hold_out(validation_split, seed=seed) if validation_split else data


class _Reader:
    """Makes splits of listings, and remembers what could not be read."""

    def __init__(self, picture_format: PictureFormat, names: Sequence[str], where: str, workers: int | str) -> None:
        self._format, self._names, self._where, self._workers = picture_format, tuple(names), where, workers
        self.broken: list[str] = []

    def read(self, listing: Listing) -> Split:
        """The readable pictures of a listing."""
        numbers = {name: number for number, name in enumerate(self._names)}
        targets = torch.tensor([numbers[str(label)] for label in listing.labels], dtype=torch.int64)
        if self._where == "none":
            return self._in_files(listing.files, targets)
        decode = decode_to_memory if self._where == "memory" else decode_to_disk
        return self._in_array(decode(listing.files, self._format), listing.files, targets)

    def _in_files(self, files: Sequence[str], targets: Tensor) -> FileSplit:
        broken = check_files(files, self._format)
        self.broken += broken.values()
        rows = [row for row in range(len(files)) if row not in broken]
        return FileSplit(
            [files[row] for row in rows],
            targets[rows],
            class_names=self._names,
            picture_format=self._format,
            num_workers=self._workers,
        )

    def _in_array(self, decoded: Decoded, files: Sequence[str], targets: Tensor) -> ArraySplit:
        self.broken += decoded.broken.values()
        rows = decoded.kept()
        return ArraySplit(
            decoded.without_broken() if decoded.broken else decoded.images,
            targets[rows],
            class_names=self._names,
            files=[files[row] for row in rows.tolist()],
            picture_format=self._format,
            mapped=self._where == "disk",
        )


def _where(cache: str, listings: dict[str, Listing], picture_format: PictureFormat) -> str:
    """Where the decoded pictures go."""
    if cache != "auto":
        return cache
    pictures = sum(len(listing.files) for listing in listings.values())
    needed = pictures * picture_format.channels * picture_format.height * picture_format.width
    if needed <= _SHARE_OF_MEMORY * available_memory():
        return "memory"
    return "disk" if needed <= _SHARE_OF_DISK * free_disk(cache_folder()) else "none"


def _see_to_broken(broken: Sequence[str], what: str, pictures: int) -> None:
    if not broken:
        return
    more = f"\n  and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    listed = "".join(f"\n  {reason}" for reason in broken[:_SHOWN]) + more
    if what == "refuse" or len(broken) == pictures:
        raise BrokenPictureError(
            f"{len(broken)} of {pictures} pictures cannot be read. Repair or remove them, or pass broken='skip' to "
            f"leave them out:{listed}"
        )
    warn_user(f"{len(broken)} of {pictures} pictures cannot be read and are left out:{listed}")
