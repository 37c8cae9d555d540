"""load(): data sets by name, from small files in torchvision's own layouts."""

import hashlib
import pickle
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

import easyconv as ec
from easyconv.data.datasets.named import _KNOWN, data_folder
from easyconv.errors import ArgumentTypeError, FileMissingError, MissingExtraError, UnknownNameError

RNG = np.random.default_rng(0)


def idx(array):
    """The format of the MNIST family."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return head + array.tobytes()


def write_mnist(root, name="MNIST", classes=10, prefixes=("train", "t10k")):
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    parts = []
    for prefix, rows in zip(prefixes, (30, 20), strict=True):
        images, labels = RNG.integers(0, 256, (rows, 28, 28), dtype=np.uint8), np.arange(rows, dtype=np.uint8) % classes
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
        parts.append((images, labels))
    return parts


def write_cifar(root, monkeypatch):
    """CIFAR-10 of 10 pictures a file, and the sums that belong to them."""
    kind = torchvision.datasets.CIFAR10
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    images = {}

    def write(name, content):
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return name, hashlib.md5(data).hexdigest()

    def batch(name):
        images[name] = RNG.integers(0, 256, (10, 3072), dtype=np.uint8)
        return write(name, {"data": images[name], "labels": list(range(10))})

    monkeypatch.setattr(kind, "train_list", [batch(f"data_batch_{number}") for number in range(1, 6)])
    monkeypatch.setattr(kind, "test_list", [batch("test_batch")])
    name, md5 = write("batches.meta", {"label_names": [f"class {number}" for number in range(10)]})
    monkeypatch.setattr(kind, "meta", {"filename": name, "key": "label_names", "md5": md5})
    return images


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_the_mnist_family(tmp_path, name, folder):
    (images, labels), (test_images, _) = write_mnist(tmp_path, folder)
    data = ec.data.load(name, root=tmp_path)
    assert torch.equal(data.train.images, torch.from_numpy(images)[:, None])
    assert torch.equal(data.test.images, torch.from_numpy(test_images)[:, None])
    assert data.train.targets.tolist() == labels.tolist()
    assert data.train.images.dtype == torch.uint8
    assert len(data.class_names) == 10
    assert data.validation is None
    assert data.mean == pytest.approx([images.mean() / 255])
    assert data.std == pytest.approx([images.std() / 255])


def test_emnist(tmp_path):
    write_mnist(tmp_path, "EMNIST", prefixes=("emnist-balanced-train", "emnist-balanced-test"))
    data = ec.data.load("emnist", root=tmp_path)
    assert len(data.train) == 30
    assert len(data.class_names) == 47


def test_cifar(tmp_path, monkeypatch):
    pixels = write_cifar(tmp_path, monkeypatch)
    data = ec.data.load("CIFAR10", root=tmp_path)
    assert data.train.images.shape == (50, 3, 32, 32)
    assert torch.equal(data.test.images.flatten(1), torch.from_numpy(pixels["test_batch"]))
    assert data.train.images.is_contiguous()
    assert data.class_names[3] == "class 3"


def test_a_damaged_file_is_noticed(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(
        FileMissingError, match=r"The files of CIFAR10 \(cifar-10-batches-py/\) are not in .* or are damaged"
    ):
        ec.data.load("cifar10", root=tmp_path)


def test_usps_and_svhn_and_stl10(tmp_path, monkeypatch):
    import bz2

    import scipy.io

    lines = "".join(
        f"{1 + row % 10} " + " ".join(f"{k + 1}:{v:.3f}" for k, v in enumerate(RNG.uniform(-1, 1, 256))) + "\n"
        for row in range(6)
    )
    for name, part in (("usps.bz2", "train"), ("usps.t.bz2", "test")):
        data = bz2.compress(lines.encode())
        (tmp_path / name).write_bytes(data)
        url, file, _ = torchvision.datasets.USPS.split_list[part]
        monkeypatch.setitem(torchvision.datasets.USPS.split_list, part, (url, file, hashlib.md5(data).hexdigest()))
    usps = ec.data.load("usps", root=tmp_path)
    assert usps.train.images.shape == (6, 1, 16, 16)
    assert usps.train.targets.tolist() == [0, 1, 2, 3, 4, 5]

    pixels = RNG.integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    for part in ("train", "test"):
        file = tmp_path / f"{part}_32x32.mat"
        scipy.io.savemat(file, {"X": pixels, "y": np.array([[1], [2], [10], [9], [3]])})
        entry = [*torchvision.datasets.SVHN.split_list[part]]
        entry[2] = hashlib.md5(file.read_bytes()).hexdigest()
        monkeypatch.setitem(torchvision.datasets.SVHN.split_list, part, entry)
    svhn = ec.data.load("svhn", root=tmp_path)
    assert svhn.train.targets.tolist() == [1, 2, 0, 9, 3]
    assert np.array_equal(svhn.train.images.numpy(), pixels.transpose(3, 2, 0, 1))


def test_digits_are_split_the_same_way_each_time():
    first, second = ec.data.load("digits"), ec.data.load("digits")
    assert torch.equal(first.test.images, second.test.images)
    assert (len(first.train), len(first.test)) == (1438, 359)
    counts = torch.bincount(first.test.targets) + torch.bincount(first.train.targets)
    assert ((torch.bincount(first.test.targets) - counts / 5).abs() < 1).all()
    assert first.train.images.max() == 255


# --- where the files are ----------------------------------------------------------------------------------------------


def test_where_the_files_are_looked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("EASYCONV_DATA", raising=False)
    monkeypatch.delenv("EASYCONV_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder() == tmp_path / "cache" / "easyconv" / "data"
    monkeypatch.setenv("EASYCONV_CACHE", str(tmp_path / "own"))
    assert data_folder() == tmp_path / "own" / "data"
    monkeypatch.setenv("EASYCONV_DATA", str(tmp_path / "variable"))
    assert data_folder() == tmp_path / "variable"
    assert data_folder(tmp_path / "argument") == tmp_path / "argument"
    assert data_folder("~/x") == Path.home() / "x"


def test_the_variable_is_used(monkeypatch, tmp_path):
    write_mnist(tmp_path)
    monkeypatch.setenv("EASYCONV_DATA", str(tmp_path))
    assert len(ec.data.load("mnist").train) == 30


@pytest.mark.parametrize("name", sorted(set(_KNOWN) - {"digits"}))
def test_without_files_and_network_the_message_says_what_to_do(name, tmp_path):
    with pytest.raises(FileMissingError) as caught:
        ec.data.load(name, root=tmp_path / "none")
    text = str(caught.value)
    assert str(tmp_path / "none") in text
    assert "Put them there from a computer with a network, or say where they are: root=" in text
    assert "EASYCONV_DATA" in text


def test_download_can_be_forbidden(tmp_path):
    with pytest.raises(FileMissingError, match="download=False forbids to fetch them"):
        ec.data.load("mnist", root=tmp_path, download=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileMissingError, match="cannot be fetched"):
        ec.data.load("mnist", root=tmp_path / "file")


def test_a_file_is_fetched_where_there_is_a_network(tmp_path, monkeypatch):
    source = tmp_path / "server"
    write_mnist(source)
    fetched = []

    def download(self):
        fetched.append(self.root)
        (Path(self.root) / "MNIST").mkdir(exist_ok=True)
        (source / "MNIST" / "raw").rename(Path(self.root) / "MNIST" / "raw")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", download)
    assert len(ec.data.load("mnist", root=tmp_path / "new").test) == 20
    assert fetched == [str(tmp_path / "new")]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ec.data.load("minst"), UnknownNameError, "no data set called 'minst'. Did you mean .*'mnist'"),
        (lambda: ec.data.load(3), ArgumentTypeError, "name of a data set, like 'mnist', got 3"),
        (lambda: ec.data.load("mnist", root=3), ArgumentTypeError, "root must be a folder, got 3"),
        (lambda: ec.data.load("mnist", download="yes"), ArgumentTypeError, "download"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r'pip install "easyconv\[data\]"'):
        ec.data.load("digits")


@pytest.mark.real_data
def test_real_mnist_has_the_published_statistics(real_data):
    data = ec.data.load("mnist")
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    assert data.mean == pytest.approx([0.1307], abs=1e-4)
    assert data.std == pytest.approx([0.3081], abs=1e-4)
