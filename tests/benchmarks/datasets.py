"""The data, read once by the parent and handed to the workers as files, so that no worker imports what reads it."""

import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["STATISTICS", "Images", "Pictures", "load", "prepare"]

STATISTICS = {
    "mnist": ((0.1307,), (0.3081,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
}
"""Mean and standard deviation of each channel."""

_SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


class Images(NamedTuple):
    """Images of shape (N, C, H, W), uint8, and their classes: for training and for testing."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


def prepare(name: str, folder: Path) -> str:
    """Write a data set to a file for the workers; return what it is: real, or noise where there is none."""
    images, what = _read(name)
    torch.save(images._asdict(), folder / f"{name}.pt")
    return what


def load(name: str, folder: Path) -> Images:
    """What `prepare` wrote, mapped into memory rather than read."""
    return Images(**torch.load(folder / f"{name}.pt", mmap=True))


def _read(name: str) -> tuple[Images, str]:
    import easyconv as ec

    try:
        if name == "mnist":
            return _images(ec.data.load("mnist", download=False)), "MNIST"
        packed = Path(os.environ.get("EASYCONV_DATA", "data")) / "cifar10-jpeg.tar.gz"
        if packed.exists():
            return _unpacked(packed), "CIFAR-10 as JPEG files"
        return _images(ec.data.load("cifar10", download=False)), "CIFAR-10"
    except ec.errors.FileMissingError:
        return _noise(name), "noise"


def _unpacked(packed: Path) -> Images:
    import easyconv as ec

    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
        data = _images(ec.data.image_folder(Path(folder) / "cifar10-jpeg", size=32, cache="memory"))
    order = torch.randperm(len(data.x), generator=torch.Generator().manual_seed(0))  # the files are sorted by class
    return data._replace(x=data.x[order], y=data.y[order])


def _images(data: Any) -> Images:
    parts = [torch.as_tensor(part) for half in (data.train, data.test) for part in (half.images, half.targets)]
    return Images(*(part.contiguous() for part in parts))


def _noise(name: str) -> Images:
    generator = torch.Generator().manual_seed(0)

    def some(rows: int) -> tuple[Tensor, Tensor]:
        images = torch.randint(0, 256, (rows, *_SHAPES[name]), dtype=torch.uint8, generator=generator)
        return images, torch.arange(rows) % 10

    return Images(*some(60_000), *some(10_000))


class Pictures(Dataset):
    """PIL pictures with torchvision's transforms, as tutorials have them."""

    def __init__(self, images: Tensor, targets: Tensor, name: str, *, augment: bool = False) -> None:
        from torchvision.transforms import v2

        self.images, self.targets, self.augment = images, targets, augment
        self.mean, self.std = STATISTICS[name]
        random = [v2.RandomCrop(images.shape[-1], padding=4), v2.RandomHorizontalFlip()] if augment else []
        to_floats = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(self.mean, self.std)]
        self._transform = v2.Compose([*random, *to_floats])
        self._arrays = images.permute(0, 2, 3, 1).squeeze(-1).numpy()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self._transform(Image.fromarray(self._arrays[index])), int(self.targets[index])
