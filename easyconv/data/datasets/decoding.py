"""Many picture files decoded into one array, in memory or in a file; the broken ones found."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from easyconv.data.pictures.format import PictureFormat
from easyconv.data.sources.workers import usable_cores
from easyconv.errors import BrokenPictureError
from easyconv.files import cache_folder, write_errors_explained

__all__ = ["Decoded", "check_files", "decode_to_disk", "decode_to_memory"]

_AT_A_TIME = 1024


class Decoded(NamedTuple):
    """Pictures as bytes, and which of the files could not be read."""

    images: Tensor
    """Shape (N, C, H, W); the rows of broken files hold nothing of use."""
    broken: dict[int, str]
    """From numbers of files to what is wrong with them."""

    def kept(self) -> Tensor:
        """Numbers of the files that could be read."""
        return torch.tensor([row for row in range(len(self.images)) if row not in self.broken], dtype=torch.int64)

    def without_broken(self) -> Tensor:
        """The readable pictures, moved together in place, so that memory never holds two copies."""
        rows = self.kept()
        for place, row in enumerate(rows.tolist()):
            if place != row:
                self.images[place] = self.images[row]
        return self.images[: len(rows)]


def decode_to_memory(files: Sequence[str], picture_format: PictureFormat) -> Decoded:
    """All pictures in one tensor."""
    images = torch.empty((len(files), *_shape(picture_format)), dtype=torch.uint8)
    return Decoded(images, _decode(files, picture_format, images.numpy()))


def decode_to_disk(files: Sequence[str], picture_format: PictureFormat) -> Decoded:
    """All pictures in a memory-mapped file in the user's cache folder, which a second run finds there.

    The file is named by a digest of the names, sizes and times of the pictures and of their format. It is written
    beside its place and renamed when it is whole; one that is not whole is made anew.

    Raises
    ------
    FileWriteError
        When the folder cannot be written to, or the disk is full.
    """
    shape = (len(files), *_shape(picture_format))
    place = cache_folder() / "pictures" / f"{_digest(files, picture_format)}.bytes"
    notes = place.with_suffix(".json")
    if place.is_file() and notes.is_file() and place.stat().st_size == int(np.prod(shape)):
        broken = {int(row): reason for row, reason in json.loads(notes.read_text()).items()}
        return Decoded(_mapped(place, shape), broken)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    with write_errors_explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            broken = _decode_into_file(files, picture_format, temporary, shape)
            notes.write_text(json.dumps(broken))
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
    return Decoded(_mapped(place, shape), broken)


def check_files(files: Sequence[str], picture_format: PictureFormat) -> dict[int, str]:
    """Which of the files cannot be read: each is decoded once, and nothing kept."""
    return _decode(files, picture_format, None)


def _decode_into_file(
    files: Sequence[str], picture_format: PictureFormat, path: Path, shape: tuple[int, ...]
) -> dict[int, str]:
    # The blocks are taken from the disk now: a full disk is an error here, and would end the process later.
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
        else:
            file.truncate(int(np.prod(shape)))
    images = np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
    broken = _decode(files, picture_format, images)
    images.flush()
    return broken


def _decode(files: Sequence[str], picture_format: PictureFormat, images: Any) -> dict[int, str]:
    """Fill the rows of ``images`` where there is such an array; returns what is wrong with which files."""
    broken: dict[int, str] = {}

    def read(row: int) -> None:
        try:
            pixels = picture_format(files[row])
        except BrokenPictureError as error:
            broken[row] = str(error)
        else:
            if images is not None:
                images[row] = pixels

    _in_threads(read, len(files))
    return dict(sorted(broken.items()))


def _in_threads(work: Callable[[int], None], count: int) -> None:
    """Some at a time, so that Ctrl-C is heard; a bar where it takes more than two seconds and somebody is looking."""
    bar = tqdm(total=count, desc="reading pictures", unit="", delay=2, leave=False, disable=not sys.stderr.isatty())
    pool = ThreadPoolExecutor(usable_cores())  # PIL decodes without holding the interpreter
    try:
        for start in range(0, count, _AT_A_TIME):
            rows = range(start, min(start + _AT_A_TIME, count))
            for _ in pool.map(work, rows):
                pass
            bar.update(len(rows))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        bar.close()


def _shape(picture_format: PictureFormat) -> tuple[int, int, int]:
    return picture_format.channels, picture_format.height, picture_format.width


def _mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    # Writes stay in this process ("c"): the file is the same for all who read it.
    return torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="c", shape=shape))


def _digest(files: Sequence[str], picture_format: PictureFormat) -> str:
    found = hashlib.blake2b(repr(picture_format).encode(), digest_size=16)
    for file in files:
        try:
            state = os.stat(file)
            known = f"{os.path.abspath(file)}\0{state.st_size}\0{state.st_mtime_ns}\n"
        except OSError:
            known = f"{os.path.abspath(file)}\0missing\n"
        found.update(known.encode("utf-8", "surrogateescape"))
    return found.hexdigest()
