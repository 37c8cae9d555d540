"""What ``fit`` costs per step, beside loops written by hand.

A two-layer perceptron (784-32-10, batches of 64) is trained on data in memory by five contestants: the loop of every
tutorial, a loop tuned by hand, and easyconv in three ways. All start from the same weights, use the same number of
threads, and take turns in rounds of one epoch each, so that whatever else the machine does hits all of them alike. The
first round is not counted.

Run ``python tests/benchmarks/overhead.py --json result.json``; the table is Markdown.
"""

import argparse
import contextlib
import copy
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

import easyconv as ec

BATCH = 64
Contestant = Callable[[], None]


def make_net() -> nn.Sequential:
    """The perceptron, with the same weights each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))


def make_data(rows: int) -> tuple[Tensor, Tensor, str]:
    """MNIST where ``EASYCONV_DATA`` names a folder with it, random numbers of the same shape elsewhere."""
    folder = os.environ.get("EASYCONV_DATA")
    if folder:
        from torchvision.datasets import MNIST

        with contextlib.suppress(RuntimeError):
            data = MNIST(folder, train=True)
            return data.data[:rows].reshape(-1, 784).float() / 255, data.targets[:rows], "MNIST"
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(rows, 784, generator=generator)
    return x, torch.randint(0, 10, (rows,), generator=generator), "random numbers"


def tutorial_loop(x: Tensor, y: Tensor) -> Contestant:
    """``DataLoader``, and loss and accuracy read with ``.item()`` every batch."""
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)

    def epoch() -> None:
        net.train()
        running_loss, correct, total = 0.0, 0, 0
        for inputs, labels in loader:
            optimizer.zero_grad()
            outputs = net(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * labels.size(0)
            correct += (outputs.argmax(1) == labels).sum().item()
            total += labels.size(0)
        assert running_loss / total > 0
        assert correct <= total

    return epoch


def tuned_loop(x: Tensor, y: Tensor) -> Contestant:
    """One permutation per epoch, whole batches gathered at once, sums kept as tensors."""
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def epoch() -> None:
        net.train()
        running_loss, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        for index in torch.randperm(len(x)).split(BATCH):
            inputs, labels = x.index_select(0, index), y.index_select(0, index)
            optimizer.zero_grad(set_to_none=True)
            outputs = net(inputs)
            loss = F.cross_entropy(outputs, labels)
            loss.backward()
            optimizer.step()
            running_loss.add_(loss.detach(), alpha=len(labels))
            correct += (outputs.argmax(1) == labels).sum()
        assert (running_loss / len(x)).item() > 0
        assert correct.item() <= len(x)

    return epoch


def easyconv_fit(x: Any, y: Any = None, verbose: int = 0) -> Contestant:
    """``fit`` for one more epoch."""
    model = ec.Model(copy.deepcopy(make_net()))
    model.compile(ec.optim.SGD(lr=0.01), "cross_entropy", metrics=["accuracy"], device="cpu")

    def epoch() -> None:
        model.fit(x, y, batch_size=BATCH, epochs=1, verbose=verbose)

    return epoch


@contextlib.contextmanager
def terminal() -> Iterator[None]:
    """Standard output is a pseudo-terminal in this block; what is written there is read and dropped."""
    if sys.platform == "win32":
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
        return
    master, slave = os.openpty()

    def drain() -> None:
        with contextlib.suppress(OSError):
            while os.read(master, 65536):
                pass

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    try:
        with os.fdopen(slave, "w") as file, contextlib.redirect_stdout(file):
            yield
    finally:
        reader.join(timeout=1)
        os.close(master)


def with_bar(x: Tensor, y: Tensor) -> Contestant:
    """``fit`` with a progress bar into a terminal."""
    fit = easyconv_fit(x, y, verbose=1)

    def epoch() -> None:
        with terminal():
            fit()

    return epoch


def measure(contestants: dict[str, Contestant], rounds: int, steps: int) -> dict[str, list[float]]:
    """Microseconds per step of each contestant in each round; the first round warms up and is dropped."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(rounds + 1):
        # Each round starts with another contestant, so that none always runs after the same one.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            contestants[name]()
            times[name].append((time.perf_counter() - start) / steps * 1e6)
    return {name: values[1:] for name, values in times.items()}


def table(times: dict[str, list[float]]) -> str:
    """Markdown: microseconds per step, and the ratio to the first contestant in the same round."""
    base = next(iter(times.values()))
    lines = ["| contestant | µs per step: median [min max] | ratio to the tutorial loop |", "|---|---|---|"]
    for name, values in times.items():
        ratios = [value / other for value, other in zip(values, base, strict=True)]
        lines.append(f"| {name} | {_spread(values, '.0f')} | {_spread(ratios, '.3f')} |")
    return "\n".join(lines)


def _spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} [{min(values):{form}} {max(values):{form}}]"


def main() -> None:
    """Measure, print the table, and write the numbers where a path is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    x, y, data = make_data(options.rows)
    contestants = {
        "tutorial loop (DataLoader, .item() every batch)": tutorial_loop(x, y),
        "tuned loop (index_select, sums on the device)": tuned_loop(x, y),
        "easyconv, arrays": easyconv_fit(x, y),
        "easyconv, DataLoader": easyconv_fit(DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)),
        "easyconv, arrays, progress bar": with_bar(x, y),
    }
    # A DataLoader brings its own batch size.
    times = measure(contestants, options.rounds, -(-len(x) // BATCH))
    print(f"784-32-10, batches of {BATCH}, {len(x)} rows of {data}, SGD, {options.rounds} rounds of one epoch,")
    print(f"{options.threads} thread(s), torch {torch.__version__}, Python {platform.python_version()}\n")
    print(table(times))
    if options.json is not None:
        about = {"rows": len(x), "data": data, "threads": options.threads, "torch": torch.__version__}
        options.json.write_text(json.dumps({**about, "microseconds_per_step": times}, indent=2) + "\n")


if __name__ == "__main__":
    main()
