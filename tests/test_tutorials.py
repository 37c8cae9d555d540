"""The tutorials run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TUTORIALS = Path(__file__).parents[1] / "tutorials"
SHAPES = {"train": 256, "t10k": 64}
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def run(name: str, folder: Path, *arguments: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, str(TUTORIALS / name), *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def write_idx(path: Path, array: np.ndarray) -> None:
    """The format of MNIST's files: two zero bytes, type, dimensions, sizes, data."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def make_mnist(root: Path) -> None:
    """A small data set in MNIST's place: the class is a bright bar at a height of its own."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for part, rows in SHAPES.items():
        labels = np.arange(rows) % 10
        images = generator.integers(0, 60, (rows, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 * label + 3 : 2 * label + 6] = 250
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels)


@pytest.mark.slow
def test_quickstart_reads_digits(tmp_path):
    printed = run("01_quickstart.py", tmp_path)
    accuracy = float(re.search(r"Test accuracy: ([\d.]+)%", printed).group(1))
    assert accuracy >= 98.0
    written = {path.name for path in (tmp_path / "quickstart").iterdir()}
    assert written == {"best.pt", "curves.png", "digits.pt", "predictions.png"}


@pytest.mark.slow
def test_mnist_trains_both_nets(tmp_path):
    make_mnist(tmp_path / "root")
    printed = run("02_mnist.py", tmp_path, "--epochs", "1", EASYCONV_DATA=str(tmp_path / "root"))
    assert re.search(r"Two convolutions +\d+\.\d+%\n +GoogLeNet for MNIST +\d+\.\d+%", printed)
    assert "8,490" in printed  # 260 + 5,020 + 3,210 parameters
    written = {path.name for path in (tmp_path / "mnist").iterdir()}
    assert written == {"googlenet_curves.png", "google_net.pt", "mistakes.png", "plain_net.pt", "two_curves.png"}


@pytest.mark.slow
def test_residual_variants_fill_table_and_picture(tmp_path):
    make_mnist(tmp_path / "root")
    small = ("--epochs", "1", "--rows", "128", "--units", "1")
    printed = run("03_residual_variants.py", tmp_path, *small, EASYCONV_DATA=str(tmp_path / "root"))
    table = printed[printed.index("the paper, CIFAR-10") :]
    assert len(re.findall(r"\n\S.* \d+\.\d\d % ", table)) == 10
    assert re.search(r"full pre-activation +\d+\.\d+ % +6\.37 %", table)
    assert [path.name for path in (tmp_path / "residuals").iterdir()] == ["variants.png"]


def make_cifar(root: Path) -> None:
    """JPEG files in the place of CIFAR-10: each class has a grey of its own."""
    for part, rows in {"train": 30, "test": 3}.items():
        for label, name in enumerate(CLASSES):
            folder = root / "cifar10-jpeg" / part / name
            folder.mkdir(parents=True)
            for row in range(rows):
                Image.new("RGB", (32, 32), (25 * label,) * 3).save(folder / f"{row:04}.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("net", ["cnn", "vgg"])
def test_cifar_trains_from_jpeg_files(net, tmp_path):
    make_cifar(tmp_path / "root")
    arguments = ("--net", net, "--epochs", "1")
    printed = run("06_cifar10.py", tmp_path, *arguments, EASYCONV_DATA=str(tmp_path / "root"))
    assert re.search(r"Test accuracy: \d+\.\d\d% after \d+\.\d minutes", printed)
    assert {path.name for path in (tmp_path / "cifar10").iterdir()} == {f"{net}.pt", f"{net}_mistakes.png"}


@pytest.mark.slow
@pytest.mark.parametrize(("net", "epochs"), [("small", "30"), ("airbench", "0.2")])
def test_the_speedrun_says_how_long_it_took(net, epochs, tmp_path):
    make_cifar(tmp_path / "root")
    arguments = ("--net", net, "--epochs", epochs, "--runs", "2")
    printed = run("07_cifar10_speedrun.py", tmp_path, *arguments, EASYCONV_DATA=str(tmp_path / "root"))
    found = re.findall(r"\n +([01]) +\d+\.\d +(\d+\.\d\d)%", printed)
    assert [number for number, _ in found] == ["0", "1"]
    assert net == "airbench" or min(float(accuracy) for _, accuracy in found) > 50


@pytest.mark.slow
def test_a_folder_becomes_a_classifier(tmp_path):
    make_cifar(tmp_path / "root")
    printed = run("04_image_folder.py", tmp_path, "--epochs", "2", EASYCONV_DATA=str(tmp_path / "root"))
    assert "largest class / smallest: 1.00" in printed
    assert re.search(r"Test accuracy: \d+\.\d\d% of 30 pictures", printed)
    assert len(re.findall(r"\w+/\d+\.jpg  <\d+\.jpg: \w+ \d+\.\d%", printed)) == 5
    written = {path.name for path in (tmp_path / "image_folder").iterdir()}
    assert written == {"batch.png", "curves.png", "mistakes.png", "pictures.png", "weights.pt"}


@pytest.mark.slow
def test_transfer_draws_its_curve(tmp_path):
    make_mnist(tmp_path / "root")
    small = ("--counts", "1", "2", "--draws", "1", "--epochs", "1", "--pretrain-epochs", "1")
    printed = run("05_transfer.py", tmp_path, *small, EASYCONV_DATA=str(tmp_path / "root"))
    assert len(re.findall(r"\n +[12] +\d+\.\d% +\d+\.\d%", printed)) == 2
    written = {path.name for path in (tmp_path / "transfer").iterdir()}
    assert written == {"curve.png", "neighbors.png", "zero_to_four.pt"}


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bits(tmp_path):
    make_mnist(tmp_path / "root")
    small = ("--epochs", "2", "--rows", "256", "--kills", "1", "--seconds", "0.3")
    printed = run("08_never_lose_a_run.py", tmp_path, *small, EASYCONV_DATA=str(tmp_path / "root"))
    assert "killed" in printed
    assert printed.count("Epoch 2/2") == 2
    assert printed.endswith("The same bits.\n")


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore:.*From memory the same batches take:easyconv.errors.EasyconvWarning")
def test_an_epoch_of_real_mnist(tmp_path, real_data):
    import easyconv as ec

    sys.path.insert(0, str(TUTORIALS))
    try:
        tutorial = __import__("02_mnist")
    finally:
        sys.path.remove(str(TUTORIALS))
    ec.set_seed(0)
    accuracy = tutorial.train(tutorial.plain_net(), tutorial.make_loaders(real_data), 1, tmp_path)
    assert accuracy > 0.96
