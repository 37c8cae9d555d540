"""One file for a state: what goes in comes out, and every change of it is noticed."""

import hashlib
import json
import random
import re
import struct

import pytest
import torch
from safetensors.torch import load_file

from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DamagedFileError,
    FileMissingError,
    FileWriteError,
    UnreadableFileError,
)
from easyconv.files import check_unaltered, is_state_file, read_state, state, write_state
from easyconv.files.state import _DIGEST, _NAMES


def content(size=3):
    generator = torch.Generator().manual_seed(0)
    return {
        "step": 7,
        "net": {"0.weight": torch.randn(size, 5, generator=generator), "0.bias": torch.zeros(size)},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "groups": [{"betas": (0.9, 0.99)}]},
        "odd": torch.arange(3, dtype=torch.uint8),
        "turned": torch.arange(6.0).reshape(2, 3).t(),
    }


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).tolist()


def same(left, right):
    if isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert bits(left) == bits(right)
    elif isinstance(left, dict):
        assert list(left) == list(right)
        for key in left:
            same(left[key], right[key])
    elif isinstance(left, (list, tuple)):
        assert type(left) is type(right)
        for a, b in zip(left, right, strict=True):
            same(a, b)
    else:
        assert (type(left), left) == (type(right), right)


@pytest.fixture
def path(tmp_path):
    return write_state(tmp_path / "a.safetensors", content(), kind="example")


def test_what_goes_in_comes_out(path):
    found = read_state(path, kind="example")
    assert found[:2] == ("example", state.FORMAT_VERSION)
    same(found.content, content())


def test_other_readers_find_the_tensors_by_their_paths(path):
    found = load_file(path)
    assert set(found) == {
        "net.0.weight",
        "net.0.bias",
        "optimizer.state.0.step",
        "odd",
        "turned",
    }
    assert torch.equal(found["net.0.weight"], content()["net"]["0.weight"])


def test_the_same_content_makes_the_same_file(path):
    other = write_state(path.with_name("b.safetensors"), content(), kind="example")
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("dtype", [*_NAMES, torch.complex64, torch.complex128])
def test_every_type_of_number(tmp_path, dtype):
    value = torch.tensor([0, 1, 1 - 2j if dtype.is_complex else 1]).to(dtype)
    values = [value, value[0], value[:0]]
    same(read_state(write_state(tmp_path / "a", values, kind="x"), kind="x").content, values)


def test_types_that_the_format_does_not_have(tmp_path):
    with pytest.raises(ArgumentTypeError, match=r"a\.b is a tensor of torch\.float8_e4m3fnuz"):
        write_state(tmp_path / "a", {"a": {"b": torch.zeros(2).to(torch.float8_e4m3fnuz)}}, kind="x")
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_does_not_hang_on_the_file(path):
    found = read_state(path, kind="example").content
    path.write_bytes(b"")
    found["net"]["0.weight"].add_(1)
    same(found["net"]["0.weight"], content()["net"]["0.weight"] + 1)


def test_no_flipped_bit_is_accepted(path):
    whole = path.read_bytes()
    places = random.Random(0).sample(range(len(whole) * 8), 700) + list(range(300))  # and the first 300 all
    assert len(set(places)) >= 900
    for place in places:
        altered = bytearray(whole)
        altered[place // 8] ^= 1 << place % 8
        path.write_bytes(altered)
        with pytest.raises(DamagedFileError, match=r"a\.safetensors' is damaged"):
            read_state(path, kind="example")


def test_no_cut_is_accepted_and_nothing_added(tmp_path):
    path = write_state(tmp_path / "a.safetensors", content(size=30_000), kind="example")
    whole = path.read_bytes()
    assert len(whole) > 600_000
    places = [*range(0, len(whole), 4096), *range(120), len(whole) - 1]
    for place in reversed(places):
        with path.open("r+b") as file:
            file.truncate(place)
        with pytest.raises(DamagedFileError, match=r"a\.safetensors' is damaged"):
            read_state(path, kind="example")
    path.write_bytes(whole + b"\0")
    with pytest.raises(DamagedFileError, match=f"{len(whole) + 1:,} bytes"):
        check_unaltered(path)
    path.write_bytes(whole)
    check_unaltered(path)


def test_two_parts_that_change_places_are_noticed(path):
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(whole[:99] + whole[half:] + whole[99:half])
    with pytest.raises(DamagedFileError):
        read_state(path, kind="example")


def forged(path, about, tensors=b"", header=None):
    """A file whose checksum is right, as somebody with bad intentions would make it."""

    header = header or {"__metadata__": {"sha256": "0" * 64, "format": "pt", "easyconv": about}}
    text = json.dumps(header, separators=(",", ":")).encode()
    whole = struct.pack("<Q", len(text)) + text + tensors
    digest = hashlib.sha256(whole).hexdigest().encode()
    path.write_bytes(whole[: _DIGEST.start] + digest + whole[_DIGEST.stop :])
    return path


def about(**other):
    return json.dumps({"version": 1, "kind": "example", "tree": 3, **other})


def test_the_forger_can_make_good_files(path):
    assert read_state(forged(path, about()), kind="example").content == 3


ZEROS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
FORGERIES = {
    "no text": "no json",
    "no version": json.dumps({"kind": "example", "tree": 3}),
    "version of text": about(version="new"),
    "a mark that stands for nothing": about(tree={"$exec": "print"}),
    "a tensor that is not there": about(tree={"$tensor": "../../etc/passwd"}),
    "a key that is a list": about(tree={"$dict": [[[1], 2]]}),
    "deeper than the interpreter": '{"version":1,"kind":"example","tree":' + "[" * 100_000 + "]" * 100_000 + "}",
    "no about": None,
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_files_that_are_forged(path, kind):
    header = {"__metadata__": {"sha256": "0" * 64}} if FORGERIES[kind] is None else None
    forged(path, FORGERIES[kind], header=header)
    with pytest.raises(DamagedFileError, match="does not hold what easyconv writes"):
        read_state(path, kind="example")


@pytest.mark.parametrize(
    "entry",
    [
        {**ZEROS, "shape": [2**40]},
        {**ZEROS, "data_offsets": [0, 2**60]},
        {**ZEROS, "data_offsets": [8, 0]},
        {**ZEROS, "dtype": "PICKLE"},
    ],
)
def test_tensors_that_reach_beyond_the_file(path, entry):
    header = {"__metadata__": {"sha256": "0" * 64, "easyconv": about()}, "w": entry}
    forged(path, None, bytes(8), header)
    with pytest.raises(DamagedFileError, match="does not hold what easyconv writes"):
        read_state(path, kind="example")


def test_a_header_that_claims_more_than_the_memory(path):
    path.write_bytes(struct.pack("<Q", 2**62) + path.read_bytes()[8:])
    with pytest.raises(DamagedFileError):
        read_state(path, kind="example")


def test_a_file_of_a_newer_version_says_so(path, monkeypatch):
    monkeypatch.setattr(state, "FORMAT_VERSION", 2)
    write_state(path, content(), kind="example")
    monkeypatch.undo()
    with pytest.raises(
        UnreadableFileError, match=r"version 2 of the format.*up to version 1\. Update easyconv"
    ) as caught:
        read_state(path, kind="example")
    assert not isinstance(caught.value, DamagedFileError)


def test_a_file_for_something_else(path):
    with pytest.raises(UnreadableFileError, match="holds a example, not a checkpoint"):
        read_state(path, kind="checkpoint")


def test_files_that_are_not_there_or_not_ours(tmp_path):
    with pytest.raises(FileMissingError, match=r"There is no file .*nowhere"):
        read_state(tmp_path / "nowhere", kind="x")
    with pytest.raises(FileMissingError, match="Is a directory"):
        read_state(tmp_path, kind="x")
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(DamagedFileError, match=r"was not written by easyconv as a whole.*load_weights"):
        read_state(tmp_path / "w.pt", kind="x")
    assert not is_state_file(tmp_path / "w.pt")
    assert not is_state_file(tmp_path / "nowhere")
    assert is_state_file(write_state(tmp_path / "s", 3, kind="x"))


def test_a_file_that_may_not_be_read(path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(UnreadableFileError, match="cannot be read: Permission denied"):
        read_state(path, kind="example")


def test_what_the_header_cannot_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_LARGEST_HEADER", 1000)
    with pytest.raises(ArgumentError, match=r"not in tensors takes 2,\d\d\d bytes, and a file holds 1,000 at most"):
        write_state(tmp_path / "a", {"history": "x" * 2000}, kind="x")
    assert list(tmp_path.iterdir()) == []


WRITES = 7  # the header, five tensors, the checksum


class Failing:
    """A file whose n-th write fails, after a part of it."""

    def __init__(self, file, writes):
        self.file, self.writes = file, writes

    def write(self, data):
        self.writes -= 1
        if self.writes < 0:
            self.file.write(bytes(data)[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *trace):
        self.file.close()


def test_whichever_write_fails_the_older_file_is_there(path, monkeypatch):
    before, opened = path.read_bytes(), type(path).open
    for number in range(WRITES + 1):
        with monkeypatch.context() as patch:
            patch.setattr(
                "pathlib.Path.open",
                lambda self, mode="r", number=number: (
                    Failing(opened(self, mode), number) if mode == "wb" else opened(self, mode)
                ),
            )
            if number == WRITES:
                write_state(path, {**content(), "step": 8}, kind="example")
                break
            with pytest.raises(FileWriteError, match="No space left on device") as caught:
                write_state(path, {**content(), "step": 8}, kind="example")
        assert str(path) in str(caught.value)
        assert re.search(
            r"device \([\d,]+ bytes are needed, [\d,]+ are free\)\. The file .* unchanged", str(caught.value)
        )
        assert path.read_bytes() == before
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert read_state(path, kind="example").content["step"] == 8
