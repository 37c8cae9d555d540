"""What a data set holds: counts, sizes, duplicates, and pictures that look wrong."""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from easyconv.data.datasets.split import Split
from easyconv.data.datasets.splits import Splits
from easyconv.errors import ArgumentTypeError

__all__ = ["Description", "Place", "Suspect", "describe"]

_AT_A_TIME = 64 << 20
"""Bytes of pixels."""
_MOST_NUMBERS = 10_000
"""Whole numbers beyond that need not be classes, and are counted only where they occur."""
_DARK, _BRIGHT = 0.1, 0.9
_LONG = 4.0
_SHOWN = 5


class Place(NamedTuple):
    """Where a picture is: the part, its number there, and its file where that is known."""

    part: str
    row: int
    file: str | None = None

    def __str__(self) -> str:
        """The file, or part and number."""
        return self.file if self.file is not None else f"{self.part}[{self.row}]"


class Suspect(NamedTuple):
    """A picture that may not be what it should be, and why."""

    place: Place
    reason: str


class Sizes(NamedTuple):
    """Smallest, median and largest width and height of the files, in pixels."""

    width: tuple[int, int, int]
    height: tuple[int, int, int]


@dataclass(frozen=True)
class Description:
    """What `describe` found; printed, it is a table.

    Attributes
    ----------
    counts : dict of str to dict of str to int
        For each part the pictures of each class; a single entry ``"all"`` where there are no classes.
    sizes : Sizes or None
        Of the files as they are; None where there are no files.
    duplicates : list of list of Place
        Groups of pictures that are equal, byte by byte, as the net gets them before transforms.
    leaks : list of list of Place
        Those groups that lie in more than one part: what is tested was trained on.
    contradictions : list of list of Place
        Those groups whose pictures have different labels.
    suspects : list of Suspect
        Pictures of one colour, nearly black or white, of one pixel, very long, or whose file is gone.
    """

    counts: dict[str, dict[str, int]]
    sizes: Sizes | None = None
    duplicates: list[list[Place]] = field(default_factory=list)
    leaks: list[list[Place]] = field(default_factory=list)
    contradictions: list[list[Place]] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)

    @property
    def balance(self) -> float:
        """The largest class of the first part divided by its smallest; infinite where one is empty."""
        counts = list(next(iter(self.counts.values())).values())
        return max(counts) / min(counts) if min(counts) else float("inf")

    def __repr__(self) -> str:
        """The table."""
        return "\n".join([*self._count_lines(), *self._size_lines(), *self._finding_lines()])

    def _count_lines(self) -> Iterator[str]:
        parts = list(self.counts)
        names = list(dict.fromkeys(name for counts in self.counts.values() for name in counts))
        width = max(5, *(len(name) for name in names))
        yield f"{'':<{width}}" + "".join(f"{part:>12}" for part in parts)
        shown = names if len(names) <= 20 else names[:10]
        for name in shown:
            yield f"{name:<{width}}" + "".join(f"{self.counts[part].get(name, 0):>12,}" for part in parts)
        if len(shown) < len(names):
            yield f"... and {len(names) - len(shown)} more classes"
        yield f"{'total':<{width}}" + "".join(f"{sum(self.counts[part].values()):>12,}" for part in parts)
        if len(names) > 1:
            yield f"largest class / smallest: {self.balance:.2f}"

    def _size_lines(self) -> Iterator[str]:
        if self.sizes is not None:
            (w0, w1, w2), (h0, h1, h2) = self.sizes
            yield f"files: width {w0} to {w2} (median {w1}), height {h0} to {h2} (median {h1})"

    def _finding_lines(self) -> Iterator[str]:
        for title, groups in (
            ("equal pictures", self.duplicates),
            ("of them in more than one part", self.leaks),
            ("of them with different labels", self.contradictions),
        ):
            yield f"{title}: {len(groups)} group{'' if len(groups) == 1 else 's'}"
            yield from ("  " + " = ".join(map(str, group[:4])) for group in groups[:_SHOWN])
        yield f"suspicious pictures: {len(self.suspects)}"
        yield from (f"  {suspect.place}: {suspect.reason}" for suspect in self.suspects[:_SHOWN])


def describe(data: Splits | Split) -> Description:
    """Look through a data set: how many of each class, how large, what is there twice, what looks wrong.

    Parameters
    ----------
    data : Splits or Split
        What `load`, `image_folder`, `from_arrays` or `cache` returned. Every picture is looked at once, some at a time,
        and of every file the size is read.

    Returns
    -------
    Description
        To print, or to work with.

    Raises
    ------
    ArgumentTypeError
        For anything else.

    Examples
    --------
    >>> import easyconv as ec
    >>> images = torch.arange(5 * 64, dtype=torch.int64).remainder(251).to(torch.uint8).view(5, 1, 8, 8)
    >>> data = ec.data.from_arrays((images[[0, 1, 2, 3]], [0, 1, 1, 0]), test=(images[[3, 4]], [0, 1]))
    >>> describe(data).leaks
    [[Place(part='train', row=3, file=None), Place(part='test', row=0, file=None)]]
    """
    if isinstance(data, Splits):
        parts = data.parts
    elif isinstance(data, Split):
        parts = {"data": data}
    else:
        raise ArgumentTypeError(
            "describe() takes what load(), image_folder(), from_arrays() or cache() returned, got "
            f"{type(data).__name__}."
        )
    seen: dict[bytes, list[Place]] = defaultdict(list)
    suspects: list[Suspect] = []
    sizes: list[tuple[int, int]] = []
    for part, split in parts.items():
        for places, images in _chunks(part, split):
            for place, digest in zip(places, _digests(images), strict=True):
                seen[digest].append(place)
            suspects += _odd_colours(places, images)
            measured = [(place, _size(place.file)) for place in places if place.file is not None]
            suspects += _odd_shapes(measured)
            sizes += [size for _, size in measured if size is not None]
    groups = [places for places in seen.values() if len(places) > 1]
    return Description(
        counts={part: _counts(split) for part, split in parts.items()},
        sizes=_extremes(sizes),
        duplicates=groups,
        leaks=[group for group in groups if len({place.part for place in group}) > 1],
        contradictions=[group for group in groups if len({_label(parts, place) for place in group}) > 1],
        suspects=suspects,
    )


def _chunks(part: str, split: Split) -> Iterator[tuple[list[Place], Tensor]]:
    files: Any = split.files if split.files is not None else itertools.repeat(None)
    places = [Place(part, row, file) for row, file in zip(range(len(split)), files, strict=False)]
    rows = max(1, _AT_A_TIME // (split.channels * split.size[0] * split.size[1])) if len(split) else 1
    for start in range(0, len(split), rows):
        chosen = places[start : start + rows]
        yield chosen, split.pictures(range(start, start + len(chosen)))


def _digests(images: Tensor) -> Iterator[bytes]:
    return (hashlib.blake2b(row, digest_size=16).digest() for row in np.ascontiguousarray(images.numpy()))


def _odd_colours(places: list[Place], images: Tensor) -> Iterator[Suspect]:
    low, high = torch.aminmax(images.flatten(1), dim=1)
    whole = 255.0 if images.dtype == torch.uint8 else 1.0
    colour = images.flatten(2)
    flat = (colour == colour[:, :, :1]).flatten(1).all(1) & (colour.shape[2] > 1)
    for found, reason in (
        (flat, "all of one colour"),
        (~flat & (high < _DARK * whole) & (low >= 0), "nearly black"),
        (~flat & (low > _BRIGHT * whole) & (high <= whole), "nearly white"),
    ):
        yield from (Suspect(places[row], reason) for row in found.nonzero().flatten().tolist())


def _odd_shapes(measured: list[tuple[Place, tuple[int, int] | None]]) -> Iterator[Suspect]:
    for place, size in measured:
        if size is None:
            yield Suspect(place, "the file cannot be read any more")
        elif min(size) == 1:
            yield Suspect(place, f"{size[0]} x {size[1]} pixels")
        elif max(size) > _LONG * min(size):
            yield Suspect(place, f"very long: {size[0]} x {size[1]} pixels")


def _size(file: str) -> tuple[int, int] | None:
    """Width and height, from the first bytes of the file; None where it is there no more."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return image.width, image.height
    except OSError:
        return None


def _extremes(sizes: list[tuple[int, int]]) -> Sizes | None:
    if not sizes:
        return None
    columns = np.array(sizes)
    wide, high = (
        (int(column.min()), int(np.median(column)), int(column.max())) for column in (columns[:, 0], columns[:, 1])
    )
    return Sizes(wide, high)


def _counts(split: Split) -> dict[str, int]:
    targets = split.targets
    if not isinstance(targets, Tensor) or targets.dim() != 1 or targets.is_floating_point() or not len(targets):
        return {"all": len(split)}
    values, found = (column.tolist() for column in torch.unique(targets, return_counts=True))
    counts = {int(value): count for value, count in zip(values, found, strict=True)}
    names = split.class_names
    if names is not None:
        return {name: counts.get(label, 0) for label, name in enumerate(names)} | {
            str(label): count for label, count in counts.items() if not 0 <= label < len(names)
        }
    if min(counts) >= 0 and max(counts) < _MOST_NUMBERS:
        return {str(label): counts.get(label, 0) for label in range(max(counts) + 1)}
    return {str(label): count for label, count in counts.items()}


def _label(parts: dict[str, Split], place: Place) -> Any:
    targets = parts[place.part].targets
    if not isinstance(targets, Tensor) or targets.dim() != 1:
        return None
    return targets[place.row].item()
