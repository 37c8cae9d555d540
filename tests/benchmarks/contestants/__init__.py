"""Who takes part. Each module here has ``train(task)`` and ``predict(task)``, which set up and return one repetition.

``train`` returns a function that trains one epoch and gives its `Score`; ``predict`` one that gives the raw outputs of
all rows as a NumPy array; ``learn(recipe, images)``, where there is one, trains a net from the start and returns it.
easyconv also has ``profile(task, steps)``, which measures the parts of a training step.
Libraries are imported inside the modules only, so that each is in the memory of its own process and no other.
"""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["CONTESTANTS", "Contestant", "installed"]

TRAINING = ("W0", "W0-loader", "W1", "W2", "W2-workers", "W3", "W4")
LEARNING = ("MNIST-99", "CIFAR-70")


@dataclass(frozen=True)
class Contestant:
    """A module here, with its words, and the workloads that it takes part in."""

    title: str
    module: str
    package: str = "torch"
    imports: str = "torch"
    workloads: tuple[str, ...] = (*TRAINING, "W5")
    words: dict[str, Any] = field(default_factory=dict)


_BF16 = ("W1", "W2", "W3", "W4", "W5")

CONTESTANTS = {
    "tutorial": Contestant("tutorial loop", "tutorial"),
    "tuned": Contestant("tuned loop", "tuned", workloads=(*TRAINING, "W5", *LEARNING)),
    "tuned-bf16": Contestant("tuned loop, bf16", "tuned", workloads=_BF16, words={"bf16": True}),
    "keras": Contestant("Keras on torch", "keras", "keras", "keras"),
    "lightning": Contestant("Lightning", "lightning", "lightning", "lightning"),
    "fastai": Contestant("fastai", "fastai", "fastai", "fastai.vision.all"),
    "poutyne": Contestant("Poutyne", "poutyne", "poutyne", "poutyne"),
    "skorch": Contestant("skorch", "skorch", "skorch", "skorch"),
    "ignite": Contestant("Ignite", "ignite", "pytorch-ignite", "ignite.engine"),
    "easyconv": Contestant("easyconv", "easyconv", "easyconv", "easyconv", workloads=(*TRAINING, "W5", *LEARNING)),
    "easyconv-bar": Contestant("easyconv, progress bar", "easyconv", "easyconv", "easyconv", ("W0",), {"bar": True}),
    "easyconv-bf16": Contestant("easyconv, bf16", "easyconv", "easyconv", "easyconv", _BF16, {"precision": "bf16"}),
    "easyconv-fast": Contestant(
        "easyconv, predict(fast=True)", "easyconv", "easyconv", "easyconv", ("W5",), {"fast": True}
    ),
    "easyconv-cache": Contestant(
        "easyconv, ec.data.cache", "easyconv", "easyconv", "easyconv", ("W2", "W2-workers"), {"cache": True}
    ),
}


def installed(package: str) -> str | None:
    """Version of a package, ``None`` where it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
