"""What ``fit`` itself costs per step, and whether that grows with anything: ``python -m benchmarks.fit_cost ROUNDS``.

A case trains a perceptron with ``fit``, and right after it the same net in the barest loop there is: whole batches
gathered, forward, loss, backward, ``torch.optim.SGD(fused=True)``; no sums, no accuracy. The difference is the cost.
One thread, and its time on the processor, which does not count what others do meanwhile. Batches of 64 rows of 64
numbers. Prints JSON.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import easyconv as ec
from benchmarks.nets import make_net

__all__ = ["CASES", "SHAPES", "Case", "around_the_batch", "new_model"]

BATCH, FEATURES = 64, 64
METRICS = ["accuracy", "top2", "top5"]
SHAPES = {"perceptron": (784,), "course_cnn": (1, 28, 28), "resnet18": (3, 32, 32)}
"""The nets whose start is measured, and a row of each."""


@dataclass(frozen=True)
class Case:
    """A net and how it is trained."""

    callbacks: int = 0
    metrics: int = 0
    layers: int = 2
    width: int = 32
    steps: int = 100
    epochs: int = 1

    def make_net(self) -> nn.Sequential:
        """So many dense layers."""
        torch.manual_seed(0)
        hidden = [nn.Linear(self.width, self.width) for _ in range(self.layers - 2)]
        return nn.Sequential(nn.Linear(FEATURES, self.width), nn.ReLU(), *hidden, nn.Linear(self.width, 10))


CASES: dict[str, dict[str, Case]] = {
    "callbacks that hear every batch": {str(count): Case(callbacks=count) for count in (0, 1, 5)},
    "metrics": {str(count): Case(metrics=count) for count in (0, 1, 3)},
    "dense layers": {str(layers): Case(layers=layers) for layers in (2, 8, 32)},
    "width": {str(width): Case(width=width) for width in (32, 128, 512)},
    "rows": {f"{BATCH * steps:,}": Case(steps=steps) for steps in (100, 400, 1600)},
    "epochs of 10 steps": {str(epochs): Case(steps=10, epochs=epochs) for epochs in (10, 50, 200)},
}


class Listener(ec.callbacks.Callback):
    """Hears every batch, and does nothing."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


def fitting(case: Case, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    """``fit``, once more."""
    model = ec.Model(case.make_net())
    model.compile(ec.optim.SGD(lr=0.01), metrics=METRICS[: case.metrics], device="cpu")
    listeners = [Listener() for _ in range(case.callbacks)]
    words = {"batch_size": BATCH, "epochs": case.epochs, "verbose": 0}
    return lambda: model.fit(x, y, callbacks=listeners, **words)


def bare(case: Case, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    """The barest loop."""
    net = case.make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, fused=True)

    def run() -> None:
        for _ in range(case.epochs):
            for index in torch.randperm(len(x)).split(BATCH):
                loss = F.cross_entropy(net(x.index_select(0, index)), y.index_select(0, index))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    return run


def per_step(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Microseconds per step that ``fit`` took longer than the bare loop, in each round."""
    pairs, found = {}, {}
    for group, cases in CASES.items():
        found[group] = {name: [] for name in cases}
        for name, case in cases.items():
            x, y = torch.rand(BATCH * case.steps, FEATURES), torch.arange(BATCH * case.steps) % 10
            pairs[group, name] = case, fitting(case, x, y), bare(case, x, y)
    for turn in range(rounds + 1):
        for (group, name), (case, fit, loop) in pairs.items():
            cost = (_seconds(fit) - _seconds(loop)) / (case.steps * case.epochs) * 1e6
            if turn:  # the first round warms up
                found[group][name].append(cost)
    return found


def start_up(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of ``fit`` before its first batch and after its last: of a new model, and once more."""
    found: dict[str, dict[str, list[float]]] = {name: {"new": [], "again": []} for name in SHAPES}
    for turn in range(rounds + 1):
        for name in SHAPES:
            model, x = new_model(name)
            for which in ("new", "again"):
                cost = around_the_batch(model, x)
                if turn:
                    found[name][which].append(cost)
    return found


def new_model(name: str) -> tuple[ec.Model, torch.Tensor]:
    """A model that has not been trained yet, and two rows for it."""
    model = ec.Model(make_net(name))
    model.compile(ec.optim.SGD(lr=0.01), metrics=["accuracy"], device="cpu")
    return model, torch.rand(2, *SHAPES[name])


def around_the_batch(model: ec.Model, x: torch.Tensor) -> float:
    """Milliseconds of ``fit`` before its one batch and after it."""
    marks: list[float] = []

    def note(batch: int, logs: Any = None) -> None:
        marks.append(time.process_time())

    listener = ec.callbacks.LambdaCallback(on_train_batch_begin=note, on_train_batch_end=note)
    start = time.process_time()
    model.fit(x, torch.tensor([0, 1]), batch_size=2, verbose=0, callbacks=[listener])
    return (time.process_time() - start - (marks[1] - marks[0])) * 1e3


def _seconds(run: Callable[[], None]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    rounds = int(sys.argv[1])
    found = {"rounds": rounds, "per_step": per_step(rounds), "start_up": start_up(rounds)}
    for group, cases in found["per_step"].items():
        medians = {name: round(statistics.median(values)) for name, values in cases.items()}
        print(f"  µs per step, {group}: {medians}", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
