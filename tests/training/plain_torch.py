"""What the tests of this room compare with: nets, data, and a training loop in plain torch."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import easyconv as ec

ROWS, BATCH, CLASSES = 50, 8, 3  # six batches of 8 and one of 2

Batches = Callable[[], Iterable[tuple[Tensor, ...]]]


def data(rows: int = ROWS, seed: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 1, 6, 6, generator=generator)
    return x, torch.randint(CLASSES, (rows,), generator=generator)


def ours(seed: int = 3, dropout: float = 0.25) -> ec.Sequential:
    torch.manual_seed(seed)
    layers = [
        ec.layers.Conv2D(4, 3),
        ec.layers.BatchNorm(),
        ec.layers.Activation("relu"),
        ec.layers.Flatten(),
        ec.layers.Dropout(dropout),
        ec.layers.Dense(CLASSES),
    ]
    return ec.Sequential(layers, input_shape=(1, 6, 6))


def twin(model: nn.Module, dropout: float = 0.25) -> nn.Sequential:
    """The same net in plain torch, with the same weights."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, CLASSES)
    )
    net.load_state_dict(model.state_dict())
    return net


def small(seed: int = 0, outputs: int = CLASSES) -> ec.Sequential:
    """A linear net, for tests that are about something else."""
    torch.manual_seed(seed)
    return ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(outputs)], input_shape=(1, 6, 6))


def loader(*tensors: Tensor, batch_size: int = BATCH, shuffle: bool = True, **options: object) -> DataLoader:
    return DataLoader(TensorDataset(*tensors), batch_size=batch_size, shuffle=shuffle, **options)  # type: ignore[arg-type]


def shuffled(*tensors: Tensor, batch_size: int = BATCH) -> Iterator[tuple[Tensor, ...]]:
    """One pass over arrays: a single ``torch.randperm``."""
    order = torch.randperm(len(tensors[0]))
    for start in range(0, len(order), batch_size):
        yield tuple(tensor[order[start : start + batch_size]] for tensor in tensors)


def train_plainly(
    net: nn.Module,
    batches: Batches,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[..., Tensor] = nn.functional.cross_entropy,
    epochs: int = 2,
) -> dict[str, list[float]]:
    """The ten lines that everybody writes."""
    rows: list[tuple[float, float]] = []
    for _ in range(epochs):
        net.train()
        total, right, seen = 0.0, 0, 0
        for x, *rest in batches():
            optimizer.zero_grad()
            output = net(x)
            loss = loss_of(output, *rest)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
            right += int((output.argmax(1) == rest[0]).sum())
            seen += len(x)
        rows.append((total / seen, right / seen))
    return {"loss": [row[0] for row in rows], "accuracy": [row[1] for row in rows]}


def same_state(one: nn.Module, other: nn.Module) -> bool:
    """Whether two nets hold the same bits."""
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


class Watch(ec.callbacks.Callback):
    """Notes every batch of training and of validation, and the first value of each."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[int] = []
        self.batches: list[int] = []
        self.validated: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(epoch)
        self.batches.append(0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches[-1] += 1

    def on_test_end(self, logs: Any = None) -> None:
        self.validated.append(self.epochs[-1])
