"""One file for a whole state: tensors as safetensors, all else as JSON in its header, and a sha-256 over all of it."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import torch
from torch import Tensor

from easyconv.errors import ArgumentError, ArgumentTypeError, DamagedFileError, FileMissingError, UnreadableFileError
from easyconv.files.tree import from_json, to_json
from easyconv.files.whole import write_whole
from easyconv.interrupt import deferred_interrupt

__all__ = ["FORMAT_VERSION", "State", "check_unaltered", "is_state_file", "read_state", "write_state"]

FORMAT_VERSION = 1
"""Raised when files change so that an older easyconv cannot read them; a newer one reads all older versions."""

_BEGINNING = b'{"__metadata__":{"sha256":"'
"""How the header of every such file begins, so that the checksum stands at one place."""
_DIGEST = slice(8 + len(_BEGINNING), 8 + len(_BEGINNING) + 64)
_NO_DIGEST = b"0" * 64
_LARGEST_HEADER = 100_000_000  # what safetensors reads
_CHUNK = 1 << 20
_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class State(NamedTuple):
    """What ``read_state`` finds in a file."""

    kind: str
    """What the file is for, as its writer called it."""
    version: int
    """Version of the format."""
    content: Any
    """What was written."""


def write_state(path: str | os.PathLike[str], content: Any, *, kind: str) -> Path:
    """Write nested plain values as one file that is whole or not there.

    Any reader of safetensors finds the tensors, under the dotted paths at which they stand in ``content``.

    Parameters
    ----------
    path : str or path
        Where to write; missing folders are made.
    content : tensor, number, text, bytes, None, or list, tuple or dict of these, nested
        Tensors are read where they are, one after the other: nothing is held in memory twice.
    kind : str
        What the file is for: ``"checkpoint"``, ``"model"``.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    ArgumentTypeError
        When ``content`` holds anything else; the message says where.
    ArgumentError
        When what is not in tensors is larger than the format allows, 100 MB.
    FileWriteError
        When the file cannot be written; an older one is untouched.

    Notes
    -----
    The sha-256 in the header is that of the whole file with 64 zeros in its own place: a changed bit anywhere, the
    header included, makes it wrong.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_state(Path(folder) / "a.safetensors", {"step": 3, "w": torch.ones(2)}, kind="example")
    ...     read_state(path, kind="example").content
    {'step': 3, 'w': tensor([1., 1.])}
    """
    tensors: dict[str, Tensor] = {}
    about = {"version": FORMAT_VERSION, "kind": kind, "tree": to_json(content, tensors)}
    _check_types(tensors)
    # Large elements first, so that each tensor begins at a multiple of their size.
    ordered = dict(sorted(tensors.items(), key=lambda entry: -entry[1].element_size()))
    header = _header(json.dumps(about, separators=(",", ":"), allow_nan=False), ordered)
    size = len(header) + sum(tensor.nbytes for tensor in ordered.values())
    return write_whole(path, lambda file: _write(file, header, ordered.values()), size=size)


def read_state(path: str | os.PathLike[str], *, kind: str | tuple[str, ...]) -> State:
    """Read what ``write_state`` has written. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path
        The file.
    kind : str or tuple of str
        What it must be for, or one of these.

    Returns
    -------
    State
        With new tensors, on the CPU.

    Raises
    ------
    FileMissingError
        When there is no such file.
    DamagedFileError
        When the file was cut off or altered (the sha-256 in it is not that of what it holds), or is no such file.
    UnreadableFileError
        When it is for something else, was written by a newer easyconv, or may not be read.
    """
    # Native code may make another error of a Ctrl-C, and the file would be taken for damaged.
    with deferred_interrupt():
        return _read(Path(path), kind)


def _read(path: Path, kind: str | tuple[str, ...]) -> State:
    check_unaltered(path)
    try:
        return _parse(path, kind)
    except UnreadableFileError:
        raise
    except Exception as error:  # its checksum is right, so somebody has made it so
        raise DamagedFileError(
            f"{str(path)!r} does not hold what easyconv writes ({type(error).__name__}: {error}). Nothing was loaded."
        ) from error


def check_unaltered(path: str | os.PathLike[str]) -> None:
    """See that a file holds what was written, by its sha-256.

    Raises
    ------
    FileMissingError, DamagedFileError, UnreadableFileError
        As in `read_state`.
    """
    path = Path(path)
    found, digest = _digests(path)
    if found is None:
        raise DamagedFileError(
            f"{str(path)!r} is damaged, or was not written by easyconv as a whole: it does not begin like such a file. "
            "Weights alone, of plain torch say, are read by model.load_weights()."
        )
    if found != digest.encode():
        raise DamagedFileError(
            f"{str(path)!r} is damaged: its content does not have the sha-256 that was written with it "
            f"({path.stat().st_size:,} bytes). It was cut off or altered after it was written; nothing was loaded."
        )


def is_state_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as those of `write_state` do, damaged or not."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_DIGEST.start)[8:] == _BEGINNING
    except OSError:
        return False


def _check_types(tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise ArgumentTypeError(f"{name} is a tensor of {tensor.dtype}, which safetensors does not have.")


def _header(about: str, tensors: dict[str, Tensor]) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"sha256": _NO_DIGEST.decode(), "format": "pt", "easyconv": about}}
    start = 0
    for name, tensor in tensors.items():
        end = start + tensor.nbytes
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LARGEST_HEADER:
        raise ArgumentError(
            f"What is not in tensors takes {len(text):,} bytes, and a file holds {_LARGEST_HEADER:,} at most. Keep "
            "long lists of numbers in tensors."
        )
    return len(text).to_bytes(8, "little") + text


def _write(file: BinaryIO, header: bytes, tensors: Iterable[Tensor]) -> None:
    digest = hashlib.sha256(header)
    file.write(header)
    for tensor in tensors:
        data = _bytes_of(tensor)
        digest.update(data)
        file.write(data)
    file.seek(_DIGEST.start)
    file.write(digest.hexdigest().encode())


def _bytes_of(tensor: Tensor) -> memoryview:
    flat = tensor.cpu().contiguous().reshape(-1)
    return memoryview(cast(Any, flat.view(torch.uint8).numpy()))


def _digests(path: Path) -> tuple[bytes | None, str]:
    """The checksum that a file names, if it is of ours, and the one that it has."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            head = file.read(_DIGEST.stop)
            if head[8 : _DIGEST.start] != _BEGINNING:
                return None, ""
            digest.update(head[: _DIGEST.start] + _NO_DIGEST)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise FileMissingError(f"There is no file {str(path)!r}: {error.strerror}.") from error
    except OSError as error:
        raise UnreadableFileError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error
    return head[_DIGEST], digest.hexdigest()


def _parse(path: Path, kind: str | tuple[str, ...]) -> State:
    wanted = (kind,) if isinstance(kind, str) else kind
    from safetensors import safe_open

    with safe_open(os.fspath(path), "pt") as file:
        about = json.loads(file.metadata()["easyconv"])
        if about["version"] > FORMAT_VERSION:
            raise UnreadableFileError(
                f"{str(path)!r} has version {about['version']} of the format, and this easyconv reads up to version "
                f"{FORMAT_VERSION}. Update easyconv."
            )
        if about["kind"] not in wanted:
            raise UnreadableFileError(f"{str(path)!r} holds a {about['kind']}, not a {' or '.join(wanted)}.")
        # Copies: what the library gives is the file itself, mapped into memory.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no dict)
    return State(about["kind"], about["version"], from_json(about["tree"], tensors))
