"""skorch: ``NeuralNetClassifier.partial_fit`` with an ``EpochScoring`` of the training accuracy, silent."""

from collections.abc import Callable

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring

from benchmarks.workloads import LR, MOMENTUM, Score, Task


def _net(task: Task) -> NeuralNetClassifier:
    return NeuralNetClassifier(
        task.make_net(),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=LR,
        optimizer__momentum=MOMENTUM,
        batch_size=task.batch_size,
        max_epochs=1,
        train_split=None,
        classes=list(range(10)),
        callbacks=[EpochScoring("accuracy", lower_is_better=False, on_train=True, name="train_accuracy")],
        iterator_train__shuffle=task.shuffle,
        iterator_train__num_workers=task.workers,
        verbose=0,
    ).initialize()


def train(task: Task) -> Callable[[], Score]:
    net = _net(task)
    data = task.arrays or (task.dataset, None)

    def epoch() -> Score:
        net.partial_fit(*data)
        row = net.history[-1]
        return Score(row["train_loss"], row["train_accuracy"])

    return epoch


def predict(task: Task) -> Callable[[], np.ndarray]:
    net = _net(task)
    x, _ = task.dataset.tensors
    return lambda: net.forward(x).numpy()
