"""Lightning: a ``LightningModule`` that logs loss and accuracy per epoch; without bar, logger and checkpoints."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from benchmarks.workloads import Score, Task

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Module(lightning.LightningModule):
    """The net, its step and its optimizer."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.net = task.make_net()
        self._optimizer = task.optimizer(self.net)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        inputs, labels = batch
        outputs = self.net(inputs)
        loss = F.cross_entropy(outputs, labels)
        accuracy = (outputs.argmax(1) == labels).float().mean()
        self.log_dict({"loss": loss, "accuracy": accuracy}, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.net(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self._optimizer


def _trainer() -> Any:
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def train(task: Task) -> Callable[[], Score]:
    module, trainer, loader = Module(task), _trainer(), task.loader()

    def epoch() -> Score:
        trainer.fit_loop.max_epochs += 1
        trainer.fit(module, loader)
        return Score(trainer.callback_metrics["loss"].item(), trainer.callback_metrics["accuracy"].item())

    return epoch


def predict(task: Task) -> Callable[[], np.ndarray]:
    module, trainer, loader = Module(task), _trainer(), task.loader()
    return lambda: torch.cat(trainer.predict(module, loader)).numpy()
