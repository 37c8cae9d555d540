"""CIFAR-10 in seconds: how far a small net comes when every step counts.

Run it with ``make speedrun``, or ``python tutorials/07_cifar10_speedrun.py``. On a CPU a small net passes 70 % of the
test images in some ten seconds of training; on a GPU (``--net airbench``) the net and recipe of Keller Jordan's
airbench aim at 94 %. The images are read as in ``06_cifar10.py``: ``EASYCONV_DATA`` names the folder.

What makes the difference, in the order of what it gives:

- the first filters whiten the patches of the images, and need no training;
- a rate that rises quickly and falls to zero, with Nesterov's momentum: most is learned at the end, when it is small;
- ``precision="auto"``: bfloat16 where the machine is fast at it;
- on a GPU, where more epochs are affordable: every image alternately as it is and mirrored, shifted by two pixels,
  labels that are not quite sure, an average of the weights, and the mean of the answers for an image and its mirror
  image.

The recipe is that of Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, in easyconv's words; the
small net is its first steps.
"""

import argparse
import os
import runpy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import easyconv as ec

SEEN = 2000
"""Images whose patches make the first filters."""

load = runpy.run_path(str(Path(__file__).with_name("06_cifar10.py")))["load"]


def small_net(images: torch.Tensor) -> ec.Model:
    """Whitened patches of 4x4, then three convolutions."""
    net = ec.Sequential([
        ("whiten", ec.layers.Conv2D(48, 4, stride=2, init=ec.layers.whitening(images, negated=False, eps=0.01))),
        ("block1", ec.ConvBlock(32, pool=2)),
        ("block2", ec.ConvBlock(64)),
        ("block3", ec.ConvBlock(128, pool=2)),
        ("flatten", ec.layers.Flatten()),
        ("head", ec.layers.Dense(10)),
    ])  # fmt: skip
    net.build(images.shape[1:]).freeze("whiten")
    return net


def airbench(images: torch.Tensor) -> ec.Model:
    """Airbench's: whitened patches of 2x2, then three groups of two convolutions."""
    norm = {"momentum": 0.4, "affine": False}
    words = {"norm": lambda: ec.layers.BatchNorm(**norm), "activation": "gelu", "init": starts_as_identity}

    def group(channels: int) -> list[torch.nn.Module]:
        first = ec.ConvBlock(channels, pool=2, order="conv pool norm activation", **words)
        return [first, ec.ConvBlock(channels, **words)]

    net = ec.Sequential([
        ec.layers.Conv2D(24, 2, init=ec.layers.whitening(images), activation="gelu"),
        *group(64), *group(256), *group(256),
        ec.layers.MaxPool2D(3),
        ec.layers.Flatten(),
        ec.layers.Dense(10, bias=False),
        ec.layers.Lambda(scaled),
    ])  # fmt: skip
    net.build(images.shape[1:]).freeze("0")
    return net


def starts_as_identity(weight: torch.Tensor) -> None:
    """As many filters as there are channels pass these on; the others are torch's own random ones."""
    torch.nn.init.kaiming_uniform_(weight, a=5**0.5)
    torch.nn.init.dirac_(weight[: weight.shape[1]])


def scaled(outputs: torch.Tensor) -> torch.Tensor:
    """Smaller outputs, so that the first steps are not too sure."""
    return outputs / 9


@dataclass
class Plan:
    """A net, and how to train it."""

    make: Callable[[torch.Tensor], ec.Model]
    epochs: float
    batch_size: int
    peak: float
    """Highest learning rate."""
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    ema: float | None = None
    augmentation: tuple[ec.augment.Transform, ...] = ()
    tta: str | None = None


MOVES = (ec.augment.AlternatingFlip(), ec.augment.RandomCrop(32, padding=2, padding_mode="reflect"))
PLANS = {
    "small": Plan(small_net, 1.5, 128, peak=0.25, label_smoothing=0.1),
    "airbench": Plan(airbench, 9.9, 1024, 0.75, 3e-3, 0.2, ema=0.95, augmentation=MOVES, tta="flip"),
}


def train(plan: Plan, data: ec.data.Splits, seed: int) -> ec.Model:
    """A net from nothing, whitening included."""
    ec.set_seed(seed)
    model = plan.make(data.train.preprocessing(data.train.images[:SEEN]))
    model.compile(
        ec.optim.SGD(lr=plan.peak, momentum=0.9, nesterov=True, weight_decay=plan.weight_decay, groups="no_bias_decay"),
        torch.nn.CrossEntropyLoss(label_smoothing=plan.label_smoothing),
        metrics=["accuracy"],
        precision="auto",
        ema=plan.ema,
    )
    # One "epoch" of so many steps: the last pass over the data need not be whole.
    steps = max(round(plan.epochs * len(data.train) / plan.batch_size), 1)
    schedule = ec.callbacks.OneCycle(rise=0.2, anneal="linear", cycle_momentum=False)
    model.fit(data.train, batch_size=plan.batch_size, steps_per_epoch=steps, callbacks=[schedule], seed=seed)
    return model


def accuracy(model: ec.Model, test: ec.data.Split, tta: str | None) -> float:
    """Share of the test images that are told right."""
    classes = model.predict_classes(test, tta=tta, verbose=0)
    return float((classes == test.targets.numpy()).mean())


def main() -> None:
    """Train a few nets from nothing, each with a seed of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=PLANS, default="airbench" if torch.cuda.is_available() else "small")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("EASYCONV_DATA", "data")))
    arguments = parser.parse_args()
    plan = PLANS[arguments.net]
    if arguments.epochs is not None:
        plan.epochs = arguments.epochs

    data = load(arguments.root).augment(*plan.augmentation).normalize()
    print("run   seconds of training   test accuracy")
    for run in range(arguments.runs):
        start = time.perf_counter()
        model = train(plan, data, seed=run)
        seconds = time.perf_counter() - start
        print(f"{run:3}   {seconds:19.1f}   {accuracy(model, data.test, plan.tta):13.2%}")


if __name__ == "__main__":
    main()
