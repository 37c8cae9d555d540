"""Poutyne: ``Model.fit`` with the batch metric "accuracy", silent."""

from collections.abc import Callable

import numpy as np
from poutyne import Model

from benchmarks.workloads import Score, Task


def _model(task: Task) -> Model:
    net = task.make_net()
    return Model(net, task.optimizer(net), "cross_entropy", batch_metrics=["accuracy"], device="cpu")


def train(task: Task) -> Callable[[], Score]:
    model = _model(task)
    if task.arrays is None:
        loader = task.loader()
        fit = lambda: model.fit_generator(loader, epochs=1, verbose=False)  # noqa: E731
    else:
        x, y = task.arrays
        words = {"batch_size": task.batch_size, "dataloader_kwargs": {"shuffle": task.shuffle}}
        fit = lambda: model.fit(x, y, epochs=1, verbose=False, **words)  # noqa: E731

    def epoch() -> Score:
        row = fit()[-1]
        return Score(row["loss"], row["acc"] / 100)

    return epoch


def predict(task: Task) -> Callable[[], np.ndarray]:
    model = _model(task)
    x, _ = task.dataset.tensors
    return lambda: model.predict(x, batch_size=task.batch_size, verbose=False)
