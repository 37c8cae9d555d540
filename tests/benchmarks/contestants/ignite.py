"""Ignite: ``create_supervised_trainer`` with the metrics ``Average`` (of the loss) and ``Accuracy``."""

from collections.abc import Callable

import numpy as np
import torch
from ignite.engine import Engine, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import EpochOutputStore
from ignite.metrics import Accuracy, Average
from torch import Tensor

from benchmarks.workloads import Score, Task


def _outputs(x: Tensor, y: Tensor, prediction: Tensor, loss: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return prediction.detach(), y, loss.detach()


def train(task: Task) -> Callable[[], Score]:
    net = task.make_net()
    trainer: Engine = create_supervised_trainer(
        net, task.optimizer(net), torch.nn.CrossEntropyLoss(), output_transform=_outputs
    )
    Average(lambda output: output[2]).attach(trainer, "loss")
    Accuracy(lambda output: output[:2]).attach(trainer, "accuracy")
    loader = task.loader()

    def epoch() -> Score:
        found = trainer.run(loader, max_epochs=1).metrics
        return Score(float(found["loss"]), found["accuracy"])

    return epoch


def predict(task: Task) -> Callable[[], np.ndarray]:
    evaluator = create_supervised_evaluator(task.make_net())
    kept = EpochOutputStore(lambda output: output[0])
    kept.attach(evaluator, "outputs")
    loader = task.loader()

    def once() -> np.ndarray:
        evaluator.run(loader)
        return torch.cat(evaluator.state.outputs).numpy()

    return once
