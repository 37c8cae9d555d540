"""fastai: a ``Learner`` around torch's optimizer, with loss and accuracy of the training rows; without bar and log."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from fastai.learner import AvgLoss, Learner
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper
from fastai.vision.all import DataLoaders, noop

from benchmarks.workloads import LR, MOMENTUM, Score, Task


def _learner(task: Task) -> Learner:
    learner = Learner(
        DataLoaders(task.loader(), []),
        task.make_net(),
        loss_func=torch.nn.CrossEntropyLoss(),
        opt_func=partial(OptimWrapper, opt=torch.optim.SGD),
        lr=LR,
        moms=(MOMENTUM,) * 3,
        wd=0.0,
        metrics=[AvgLoss(), accuracy],
    )
    learner.recorder.train_metrics, learner.recorder.valid_metrics = True, False
    learner.remove_cb(learner.progress)
    learner.logger = noop
    return learner


def train(task: Task) -> Callable[[], Score]:
    learner = _learner(task)
    learner.create_opt()
    learner.opt.set_hyper("mom", MOMENTUM)

    def epoch() -> Score:
        learner.fit(1)
        _, loss, share = learner.recorder.values[-1]
        return Score(float(loss), float(share))

    return epoch


def predict(task: Task) -> Callable[[], np.ndarray]:
    learner = _learner(task)
    loader = task.loader()
    return lambda: learner.get_preds(dl=loader, act=noop, reorder=False)[0].numpy()
