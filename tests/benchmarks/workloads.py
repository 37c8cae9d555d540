"""What is to be done: the table of workloads, and the task that a contestant gets from one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmarks.datasets import STATISTICS, Images, Pictures, load
from benchmarks.nets import make_net

__all__ = ["MEMORY", "WORKLOADS", "Score", "Task", "Workload"]

LR, MOMENTUM = 0.01, 0.9


class Score(NamedTuple):
    """Mean loss and accuracy (a share) of the rows that were trained on, or predicted."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Task:
    """This net, on this data, so."""

    make_net: Callable[[], nn.Module]
    dataset: Dataset
    batch_size: int
    shuffle: bool
    workers: int
    as_loader: bool
    """Whether the user has a ``DataLoader`` and an optimizer already."""

    @property
    def arrays(self) -> tuple[Tensor, Tensor] | None:
        """Inputs and targets in memory, where the task has them so."""
        given = isinstance(self.dataset, TensorDataset) and not self.as_loader
        return self.dataset.tensors if given else None

    @property
    def targets(self) -> Tensor:
        """The classes of all rows."""
        return self.dataset.tensors[1] if isinstance(self.dataset, TensorDataset) else self.dataset.targets

    def loader(self) -> DataLoader:
        """The data behind the ``DataLoader`` of a tutorial."""
        return DataLoader(self.dataset, batch_size=self.batch_size, shuffle=self.shuffle, num_workers=self.workers)

    def optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a tutorial."""
        return torch.optim.SGD(net.parameters(), lr=LR, momentum=MOMENTUM)


@dataclass(frozen=True)
class Workload:
    """A row of the table; a repetition trains one epoch on ``rows``, predicts them, or learns until the goal."""

    title: str
    net: str
    rows: int
    quick_rows: int
    verb: Literal["train", "predict", "learn"] = "train"
    data: str = "mnist"
    form: Literal["vectors", "images", "pictures"] = "images"
    batch_size: int = 64
    workers: int = 0
    as_loader: bool = False
    augment: bool = False
    base: str = "tutorial"
    """The contestant that counts as 1."""

    def task(self, folder: Path, rows: int, *, check: bool = False) -> Task:
        """For a contestant. For a check rows stay in order and as they are, so that all compute the same numbers."""
        dataset = self._dataset(load(self.data, folder), rows, augment=self.augment and not check)
        return Task(
            make_net=lambda: make_net(self.net),
            dataset=dataset,
            batch_size=self.batch_size,
            shuffle=self.verb == "train" and not check,
            workers=self.workers,
            as_loader=self.as_loader,
        )

    def _dataset(self, images: Images, rows: int, *, augment: bool) -> Dataset:
        x, y = images.x[:rows].clone(), images.y[:rows].clone()
        if self.form == "pictures":
            return Pictures(x, y, self.data, augment=augment)
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in STATISTICS[self.data])
        x = x.float().div_(255).sub_(mean).div_(std)
        return TensorDataset(x.flatten(1) if self.form == "vectors" else x, y)


WORKLOADS = {
    "W0": Workload("perceptron, arrays", "perceptron", 20_032, 3_200, form="vectors"),
    "W0-loader": Workload(
        "perceptron, the user's DataLoader and optimizer", "perceptron", 20_032, 3_200, form="vectors", as_loader=True
    ),
    "W1": Workload("course CNN, arrays", "course_cnn", 6_400, 1_280),
    "W2": Workload("course CNN, PIL DataLoader", "course_cnn", 3_200, 640, form="pictures"),
    "W2-workers": Workload(
        "course CNN, PIL DataLoader, 2 workers", "course_cnn", 3_200, 640, form="pictures", workers=2
    ),
    "W3": Workload("MNIST GoogLeNet, arrays", "mnist_googlenet", 1_280, 256),
    "W4": Workload(
        "ResNet-18, CIFAR-10, crop and flip", "resnet18", 192, 64, data="cifar10", form="pictures", augment=True
    ),
    "W5": Workload("predict 10,000, course CNN", "course_cnn", 10_000, 2_000, verb="predict"),
    "MNIST-99": Workload("time to 99 % on MNIST", "", 60_000, 60_000, verb="learn", base="tuned"),
    "CIFAR-70": Workload("time to 70 % on CIFAR-10", "", 50_000, 50_000, verb="learn", data="cifar10", base="tuned"),
}

MEMORY = Workload("peak memory of fit, perceptron on 60,000 rows", "perceptron", 60_000, 6_400, form="vectors")
