"""The loop of every tutorial: a ``DataLoader``, and loss and accuracy read with ``.item()`` every batch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.workloads import Score, Task


def train(task: Task) -> Callable[[], Score]:
    net = task.make_net()
    optimizer = task.optimizer(net)
    criterion = nn.CrossEntropyLoss()
    loader = task.loader()

    def epoch() -> Score:
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
        return Score(running_loss / total, correct / total)

    return epoch


def predict(task: Task) -> Callable[[], np.ndarray]:
    net = task.make_net()
    loader = task.loader()

    def once() -> np.ndarray:
        net.eval()
        outputs = []
        with torch.no_grad():
            for inputs, _ in loader:
                outputs.append(net(inputs))
        return torch.cat(outputs).numpy()

    return once
