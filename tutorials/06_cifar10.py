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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import easyconv as ec


def load(root: Path) -> ec.data.Splits:
    """CIFAR-10 with a training and a test part."""
    packed = root / "cifar10-jpeg.tar.gz"
    if packed.exists():
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(packed) as archive:
                archive.extractall(folder, filter="data")
            return ec.data.image_folder(Path(folder) / "cifar10-jpeg", size=32, cache="memory")
    if (root / "cifar10-jpeg").exists():
        return ec.data.image_folder(root / "cifar10-jpeg", size=32, cache="memory")
    return ec.data.load("cifar10", root=root)


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


def train(plan: Plan, data: ec.data.Splits) -> ec.Model:
    """Train a net; the test images only show how far it has come."""
    model = plan.make()
    triangle = ec.callbacks.OneCycle(plan.peak, rise=0.2, anneal="linear", cycle_momentum=False)
    model.fit(
        data.train,
        batch_size=plan.batch_size,
        epochs=plan.epochs,
        validation_data=data.test,
        validation_batch_size=500,
        callbacks=triangle,
        seed=0,
    )
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

    shifts = ec.augment.RandomCrop(32, padding=4, padding_mode="reflect")
    data = load(arguments.root).augment(shifts, ec.augment.RandomHorizontalFlip()).normalize()

    ec.set_seed(0)
    plan = PLANS[arguments.net]
    if arguments.epochs is not None:
        plan.epochs = arguments.epochs
    start = time.perf_counter()
    model = train(plan, data)
    minutes = (time.perf_counter() - start) / 60

    _, accuracy = model.evaluate(data.test, batch_size=500, verbose=0)
    outputs = model.predict(data.test, batch_size=500, verbose=0)
    model.save_weights(arguments.folder / f"{arguments.net}.pt")
    mistakes = arguments.folder / f"{arguments.net}_mistakes.png"
    ec.visualize.predictions(data.test.images, data.test.targets, outputs, class_names=data.class_names, path=mistakes)
    print(f"\nTest accuracy: {accuracy:.2%} after {minutes:.1f} minutes of training and validation")


if __name__ == "__main__":
    main()
