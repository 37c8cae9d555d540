"""Many picture files decoded into one array, in memory or in a file; the broken ones found."""

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from easyconv.data.pictures.format import PictureFormat
from easyconv.data.pictures.reading import check_picture
from easyconv.data.sources.workers import usable_cores
from easyconv.errors import BrokenPictureError, FileWriteError
from easyconv.files import cache_folder, write_errors_explained, write_whole

__all__ = ["Decoded", "check_files", "decode_to_disk", "decode_to_memory"]

_AT_A_TIME, _PER_TASK = 4096, 8
"""Pictures that are handed to the threads at once, and to one of them; handing over costs as much as a small one."""
_VERSION = 1
"""To be raised when pictures come out differently, so that no file of an older version is taken for theirs."""


class Decoded(NamedTuple):
    """Pictures as bytes, and which of the files could not be read."""

    images: Tensor | None
    """Shape (N, C, H, W); the rows of broken files hold nothing of use. None where the files were only checked."""
    broken: dict[int, str]
    """From numbers of files to what is wrong with them."""


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
    place = _place(files, repr(picture_format)).with_suffix(".bytes")
    if place.is_file() and place.stat().st_size == math.prod(shape):
        broken = _noted(_notes_of(place), files)
        if broken is not None:
            return Decoded(_mapped(place, shape), broken)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    with write_errors_explained(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            broken = _decode_into_file(files, picture_format, temporary, shape)
            _note(_notes_of(place), broken)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
    return Decoded(_mapped(place, shape), broken)


def check_files(files: Sequence[str]) -> Decoded:
    """Read every file once and keep nothing but what is wrong with which; a second run finds that in the cache folder.

    It may be that nothing can be written there: then the next run reads them again.
    """
    notes = _notes_of(_place(files, "checked"))
    broken = _noted(notes, files)
    if broken is None:
        broken = _broken_ones(lambda row: check_picture(files[row]), len(files))
        with suppress(FileWriteError):
            _note(notes, broken)
    return Decoded(None, broken)


def _place(files: Sequence[str], what: str) -> Path:
    return cache_folder() / "pictures" / _digest(files, what)


def _notes_of(place: Path) -> Path:
    return place.with_suffix(".json")


def _note(notes: Path, broken: dict[int, str]) -> None:
    write_whole(notes, lambda file: file.write(json.dumps(list(broken)).encode()))


def _noted(notes: Path, files: Sequence[str]) -> dict[int, str] | None:
    """What an earlier run found broken; None where it has to be found out anew."""
    try:
        rows = [int(row) for row in json.loads(notes.read_bytes())]
        names = [files[row] for row in rows]
    except (IndexError, OSError, TypeError, ValueError):
        return None
    # What was forbidden or out of reach then may be readable now, though its size and its time are the same.
    still = _broken_ones(lambda number: check_picture(names[number]), len(names))
    return {rows[number]: reason for number, reason in still.items()} if len(still) == len(rows) else None


def _decode_into_file(
    files: Sequence[str], picture_format: PictureFormat, path: Path, shape: tuple[int, ...]
) -> dict[int, str]:
    # The blocks are taken from the disk now: a full disk is an error here, and would end the process later.
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, math.prod(shape))
        else:
            file.truncate(math.prod(shape))
    images = np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
    broken = _decode(files, picture_format, images)
    images.flush()
    return broken


def _decode(files: Sequence[str], picture_format: PictureFormat, images: Any) -> dict[int, str]:
    """Fill the rows of ``images``; returns what is wrong with which files."""

    def read(row: int) -> None:
        images[row] = picture_format(files[row])

    return _broken_ones(read, len(files))


def _broken_ones(read: Callable[[int], None], count: int) -> dict[int, str]:
    """Read all pictures in threads, and say what is wrong with which."""
    broken: dict[int, str] = {}

    def tried(row: int) -> None:
        try:
            read(row)
        except BrokenPictureError as error:
            broken[row] = str(error)

    _in_threads(tried, count)
    return dict(sorted(broken.items()))


def _in_threads(work: Callable[[int], None], count: int) -> None:
    """Some at a time, so that Ctrl-C is heard; a bar where it takes more than two seconds and somebody is looking."""
    bar = tqdm(total=count, desc="reading pictures", unit="", delay=2, leave=False, disable=not sys.stderr.isatty())
    pool = ThreadPoolExecutor(usable_cores())  # PIL decodes without holding the interpreter

    def some(start: int) -> int:
        rows = range(start, min(start + _PER_TASK, count))
        for row in rows:
            work(row)
        return len(rows)

    try:
        for start in range(0, count, _AT_A_TIME):
            for done in pool.map(some, range(start, min(start + _AT_A_TIME, count), _PER_TASK)):
                bar.update(done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        bar.close()


def _shape(picture_format: PictureFormat) -> tuple[int, int, int]:
    return picture_format.channels, picture_format.height, picture_format.width


def _mapped(path: Path, shape: tuple[int, ...]) -> Tensor:
    # Writes stay in this process ("c"): the file is the same for all who read it.
    return torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="c", shape=shape))


def _digest(files: Sequence[str], what: str) -> str:
    found = hashlib.blake2b(f"{_VERSION} {what}".encode(), digest_size=16)
    for file in files:
        try:
            state = os.stat(file)
            known = f"{os.path.abspath(file)}\0{state.st_size}\0{state.st_mtime_ns}\n"
        except OSError:
            known = f"{os.path.abspath(file)}\0missing\n"
        found.update(known.encode("utf-8", "surrogateescape"))
    return found.hexdigest()
