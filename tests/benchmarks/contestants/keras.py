"""Keras 3 on its torch backend: the torch net inside ``TorchModuleWrapper``, Keras's optimizer, loss and metric."""

import os
from collections.abc import Callable

import numpy as np

from benchmarks.workloads import LR, MOMENTUM, Score, Task

os.environ["KERAS_BACKEND"] = "torch"

import keras


class Wrapped(keras.Model):
    """A torch net as a Keras model."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.net = keras.layers.TorchModuleWrapper(task.make_net())

    def call(self, inputs: object, training: bool | None = None) -> object:
        return self.net(inputs, training=training)


def train(task: Task) -> Callable[[], Score]:
    model = Wrapped(task)
    optimizer = keras.optimizers.SGD(LR, momentum=MOMENTUM)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    if task.arrays is None:
        data = {"x": task.loader()}
    else:
        x, y = task.arrays
        data = {"x": x.numpy(), "y": y.numpy(), "batch_size": task.batch_size, "shuffle": task.shuffle}

    def epoch() -> Score:
        last = model.fit(**data, epochs=1, verbose=0).history
        return Score(last["loss"][0], last["accuracy"][0])

    return epoch


def predict(task: Task) -> Callable[[], np.ndarray]:
    model = Wrapped(task)
    x = task.dataset.tensors[0].numpy()
    return lambda: model.predict(x, batch_size=task.batch_size, verbose=0)
