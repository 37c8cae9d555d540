"""What ``fit(resume=...)`` costs: the net of ``tutorials/02_mnist.py``, with checkpoints and without.

Run it with ``make bench-safety``, on a machine that does nothing else. Rounds are interleaved, each begins with another
of the ways, all with the same seed; a third training, again without checkpoints, shows what chance does. What counts
are ratios of medians, with the spread of the ratios within the rounds. MNIST is read from the folder that
``EASYCONV_DATA`` names, and takes the place of pictures of noise where it is there.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

import easyconv as ec

GOAL = 0.01
"""The share of the run time that safety may cost."""
WAYS = ("without", "with", "without again")
MEAN, STD = 0.1307, 0.3081


def data(rows: int) -> TensorDataset:
    """Pictures of MNIST's size, normalized."""
    try:
        train = ec.data.load("mnist", download=False).train
        images, labels = train.images[:rows], train.targets[:rows]
    except ec.errors.FileMissingError:
        print("(no MNIST: pictures of noise)")
        images, labels = torch.randint(0, 256, (rows, 1, 28, 28), dtype=torch.uint8), torch.arange(rows) % 10
    return TensorDataset((images / 255 - MEAN) / STD, labels)


def plain_net() -> ec.Sequential:
    """The first net of the tutorial."""
    ec.set_seed(0)
    model = ec.Sequential([
        ec.layers.Conv2D(10, 5),
        ec.layers.MaxPool2D(2),
        ec.layers.Activation("relu"),
        ec.layers.Conv2D(20, 5),
        ec.layers.MaxPool2D(2),
        ec.layers.Activation("relu"),
        ec.layers.Flatten(),
        ec.layers.Dense(10),
    ], input_shape=(1, 28, 28))  # fmt: skip
    model.compile(ec.optim.SGD(lr=0.01, momentum=0.5), metrics=["accuracy"])
    return model


def seconds(way: str, dataset: TensorDataset, test: TensorDataset, epochs: int) -> float:
    """How long one training takes, from a model that is compiled to one that is trained."""
    model = plain_net()
    loaders = DataLoader(dataset, 64, shuffle=True), DataLoader(test, 256)
    with tempfile.TemporaryDirectory() as folder:
        resume = ec.RunFolder(Path(folder) / "run", every_seconds=60) if way == "with" else None
        start = time.perf_counter()
        model.fit(loaders[0], epochs=epochs, validation_data=loaders[1], seed=0, resume=resume, verbose=0)
        return time.perf_counter() - start


def spread(times: dict[str, list[float]], way: str) -> str:
    """The ratio to the trainings without checkpoints: of the medians, and the range within the rounds."""
    ratios = [one / other for one, other in zip(times[way], times["without"], strict=True)]
    ratio = statistics.median(times[way]) / statistics.median(times["without"])
    return f"{ratio:.4f}  ({min(ratios):.4f} to {max(ratios):.4f})"


def main() -> None:
    """Take the times, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=60_000)
    arguments = parser.parse_args()
    dataset, test = data(arguments.rows), data(min(arguments.rows, 10_000))
    for way in WAYS:
        seconds(way, dataset, test, 1)  # caches, imports
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(arguments.rounds):
        for place in range(len(WAYS)):
            way = WAYS[(number + place) % len(WAYS)]
            times[way].append(seconds(way, dataset, test, arguments.epochs))
        print(f"round {number + 1}: " + ", ".join(f"{way} {times[way][-1]:.2f} s" for way in WAYS), flush=True)

    print(f"\n{arguments.epochs} epochs of {len(dataset):,} rows, a checkpoint at the end of each and every 60 seconds")
    for way in WAYS:
        print(f"  {way:14} median {statistics.median(times[way]):6.2f} s   ratio {spread(times, way)}")
    cost = statistics.median(times["with"]) / statistics.median(times["without"]) - 1
    print(f"\nSafety costs {cost:+.2%} (goal: less than {GOAL:.0%}).")


if __name__ == "__main__":
    main()
