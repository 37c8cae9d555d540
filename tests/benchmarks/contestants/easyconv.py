"""easyconv: ``fit`` and ``predict`` by default, and with one word more."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

import easyconv as ec
from benchmarks.datasets import STATISTICS, Images
from benchmarks.recipes import Recipe, triangle
from benchmarks.terminal import terminal
from benchmarks.workloads import LR, MOMENTUM, Score, Task


def train(task: Task, *, precision: str = "fp32", cache: bool = False, bar: bool = False) -> Callable[[], Score]:
    model, data = _model(task, precision), _data(task, cache=cache)

    def epoch() -> Score:
        with terminal() if bar else nullcontext():
            last = model.fit(**data, epochs=1, verbose=int(bar)).history
        return Score(last["loss"][-1], last["accuracy"][-1])

    return epoch


def profile(task: Task, steps: int, *, precision: str = "fp32", cache: bool = False) -> dict[str, Any]:
    data = _data(task, cache=cache)
    data.pop("shuffle", None)
    found = ec.profile(_model(task, precision), **data, steps=steps, words=()).to_dict()
    return {word: found[word] for word in ("seconds", "roofline")}


def predict(task: Task, *, precision: str = "fp32", fast: bool = False) -> Callable[[], np.ndarray]:
    if fast and "fast" not in inspect.signature(ec.Model.predict).parameters:
        raise NotImplementedError("this version has no predict(fast=True)")
    model = ec.Model(task.make_net())
    model.compile(precision=precision, device="cpu")
    x, _ = task.dataset.tensors
    words = {"fast": True} if fast else {}
    return lambda: model.predict(x, verbose=0, **words)


def learn(recipe: Recipe, images: Images) -> nn.Module:
    data = ec.data.from_arrays((images.x, images.y)).normalize(*STATISTICS[recipe.data])
    model = ec.Model(recipe.make_net(images.x))
    optimizer = torch.optim.SGD(recipe.groups(model.net), lr=recipe.peak, momentum=0.9, nesterov=True, fused=True)
    loss = nn.CrossEntropyLoss(label_smoothing=recipe.smoothing)
    model.compile(optimizer, loss, precision="bf16", device="cpu")
    steps = iter(range(recipe.steps))

    def set_rate(batch: int, logs: dict[str, float] | None = None) -> None:
        ec.optim.set_lr(model.optimizer, triangle(next(steps), recipe.steps, recipe))

    rate = ec.callbacks.LambdaCallback(on_train_batch_begin=set_rate)
    model.fit(
        data.train,
        batch_size=recipe.batch_size,
        epochs=2,
        steps_per_epoch=recipe.steps // 2,
        callbacks=[rate],
        verbose=0,
    )
    return model.net


def _model(task: Task, precision: str) -> ec.Model:
    net = task.make_net()
    model = ec.Model(net)
    optimizer = task.optimizer(net) if task.as_loader else ec.optim.SGD(lr=LR, momentum=MOMENTUM)
    model.compile(optimizer, "cross_entropy", metrics=["accuracy"], device="cpu", precision=precision)
    return model


def _data(task: Task, *, cache: bool) -> dict[str, Any]:
    """Arrays; a ``DataLoader`` as the user has it; or, where there is a word for it, easyconv's own data set."""
    if task.arrays is not None:
        x, y = task.arrays
        return {"x": x, "y": y, "batch_size": task.batch_size, "shuffle": task.shuffle}
    ours = None
    if cache:
        ours = ec.data.cache(task.dataset)
    elif getattr(task.dataset, "augment", False):
        crop = ec.augment.RandomCrop(task.dataset.images.shape[-1], padding=4)
        data = ec.data.from_arrays((task.dataset.images, task.dataset.targets))
        data = data.augment(crop, ec.augment.RandomHorizontalFlip())
        ours = data.normalize(task.dataset.mean, task.dataset.std).train
    return {"x": task.loader()} if ours is None else {"x": ours, "batch_size": task.batch_size, "shuffle": task.shuffle}
