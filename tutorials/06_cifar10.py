"""CIFAR-10 twice: the course's small net passes 70 %, a VGG with batch norm passes 85 % in minutes on a CPU.

Run it with ``make cifar``, or ``python tutorials/06_cifar10.py --net vgg``. The data set is downloaded where there is a
network. ``EASYCONV_DATA=folder`` reads it from a folder instead, which has ``cifar-10-batches-py/`` in it, or the same
images as JPEG files: ``cifar10-jpeg/train/<class>/0000.jpg``, unpacked or as ``cifar10-jpeg.tar.gz``.

What makes them learn in few epochs: images shifted and mirrored at random, a large learning rate that rises and then
falls to zero, and bfloat16, which newer CPUs do twice as fast.
"""

import argparse
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

import easyconv as ec

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def load(root: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images as bytes of shape (N, 3, 32, 32) and labels, to train and to test."""
    packed = root / "cifar10-jpeg.tar.gz"
    if packed.exists():
        with tempfile.TemporaryDirectory() as folder, tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
            return load_jpegs(Path(folder))
    if (root / "cifar10-jpeg").exists():
        return load_jpegs(root)
    download = not (root / "cifar-10-batches-py").exists()
    parts = [datasets.CIFAR10(root, train=train, download=download) for train in (True, False)]
    return tuple((torch.from_numpy(part.data).permute(0, 3, 1, 2), torch.tensor(part.targets)) for part in parts)


def load_jpegs(root: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The same from one folder per class."""
    parts = [datasets.ImageFolder(root / "cifar10-jpeg" / part) for part in ("train", "test")]
    images = [torch.from_numpy(np.stack([np.asarray(image) for image, _ in part])) for part in parts]
    return tuple(
        (pixels.permute(0, 3, 1, 2), torch.tensor(part.targets)) for pixels, part in zip(images, parts, strict=True)
    )


class ShiftedAndMirrored:
    """Batches in a new order each epoch, every image shifted by up to 4 pixels and mirrored half of the time."""

    def __init__(self, images: Tensor, labels: Tensor, batch_size: int) -> None:
        self.padded = torch.nn.functional.pad(images.float(), (4, 4, 4, 4), mode="reflect")
        self.labels = labels
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(self.labels)).split(self.batch_size)[: len(self)]:
            down, right = torch.randint(0, 9, (2, len(rows), 1))
            place = torch.arange(32)
            across = torch.where(torch.rand(len(rows), 1) < 0.5, place, 31 - place) + right
            index = rows[:, None, None], (place + down)[:, :, None], across[:, None, :]
            yield self.padded[index[0], :, index[1], index[2]].permute(0, 3, 1, 2), self.labels[rows]


def triangle(model: ec.Model, peak: float, steps: int) -> ec.callbacks.Callback:
    """A learning rate that rises to its peak over a fifth of the steps, and falls to zero over the others."""
    count = iter(range(steps))

    def set_rate(batch: int, logs: dict[str, float] | None = None) -> None:
        done = (next(count) + 1) / (steps + 1)
        ec.optim.set_lr(model.optimizer, peak * min(done / 0.2, (1 - done) / 0.8))

    return ec.callbacks.LambdaCallback(on_train_batch_begin=set_rate)


def make_cnn() -> ec.Model:
    """The course's: two convolutions and a wide dense layer, with dropout."""
    model = ec.zoo.cifar_cnn()
    model.compile("adam", lr=0.001, metrics=["accuracy"], precision="bf16")
    return model


def make_vgg() -> ec.Model:
    """Four stages of two convolutions with batch norm."""
    model = ec.zoo.cifar_vgg()
    optimizer = ec.optim.SGD(lr=0.001, momentum=0.9, nesterov=True, weight_decay=5e-4, groups="no_bias_decay")
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    model.compile(optimizer, loss, metrics=["accuracy"], precision="bf16")
    return model


@dataclass
class Plan:
    """A net and how to train it."""

    make: Callable[[], ec.Model]
    epochs: int
    batch_size: int
    peak: float


PLANS = {"cnn": Plan(make_cnn, 9, 128, peak=0.002), "vgg": Plan(make_vgg, 9, 256, peak=0.4)}


def train(plan: Plan, images: Tensor, labels: Tensor, test: tuple[Tensor, Tensor]) -> ec.Model:
    """Train a net; the test images only show how far it has come."""
    model = plan.make()
    batches = ShiftedAndMirrored(images, labels, plan.batch_size)
    rate = triangle(model, plan.peak, steps=plan.epochs * len(batches))
    model.fit(batches, epochs=plan.epochs, validation_data=test, validation_batch_size=500, callbacks=[rate], seed=0)
    return model


def main() -> None:
    """Train a net, test it, and draw the mistakes of which it is most sure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=PLANS, default="vgg")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("EASYCONV_DATA", "data")))
    parser.add_argument("--folder", type=Path, default=Path("cifar10"), help="where pictures and weights go")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    pictures = load(arguments.root)
    mean, std = (f(pictures[0][0].float(), dim=(0, 2, 3)).view(3, 1, 1) for f in (torch.mean, torch.std))
    data, test = (((images - mean) / std, labels) for images, labels in pictures)

    ec.set_seed(0)
    plan = PLANS[arguments.net]
    if arguments.epochs is not None:
        plan.epochs = arguments.epochs
    start = time.perf_counter()
    model = train(plan, *data, test)
    minutes = (time.perf_counter() - start) / 60

    _, accuracy = model.evaluate(*test, batch_size=500, verbose=0)
    outputs = model.predict(test[0], batch_size=500, verbose=0)
    model.save_weights(arguments.folder / f"{arguments.net}.pt")
    ec.visualize.predictions(
        pictures[1][0], test[1], outputs, class_names=CLASSES, path=arguments.folder / f"{arguments.net}_mistakes.png"
    )
    print(f"\nTest accuracy: {accuracy:.2%} after {minutes:.1f} minutes of training and validation")


if __name__ == "__main__":
    main()
