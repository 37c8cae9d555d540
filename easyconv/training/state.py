"""The state of training: the recipe says how, the progress says how far, a run is one call.

``Recipe`` is made by ``compile`` and never changes. ``Progress`` counts what has happened since ``compile``. ``Run`` is
born in ``fit`` or ``evaluate`` (or a call for one batch) and gone after it; ``predict`` needs none.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from easyconv.data.sources.batch import Batch
from easyconv.losses import Objective
from easyconv.metrics import Metric
from easyconv.optim import OptimizerFactory
from easyconv.training.averaging import WeightAverage
from easyconv.training.finite import FiniteWatch

__all__ = ["Computation", "Layout", "LossFunction", "Precision", "Progress", "Recipe", "Run", "SecondPhase", "Step"]
__all__ += ["StepResult"]

Precision = Literal["fp32", "bf16", "fp16"]
Layout = Literal["auto"] | bool
LossFunction = Callable[[Any, Any, Tensor | None], tuple[Tensor, Mapping[str, Tensor]]]
"""Output, target and weights of the samples to the loss, and the losses of several outputs by name."""
Computation = Callable[[Any, Any, Tensor | None], tuple[Any, Tensor, Mapping[str, Tensor]]]
"""Inputs, target and weights of the samples to the output, and what a `LossFunction` gives."""


class StepResult(NamedTuple):
    """What one step found out, detached from the graph and still on the device.

    Parameters
    ----------
    loss : Tensor
        Mean loss of the batch, 0-dim.
    size : int
        Rows of the batch.
    output, target : tensor or nested tensors, optional
        What the metrics compare.
    values : mapping of str to Tensor, optional
        More values to average over the samples: the losses of several outputs, or what a step of the user's returned.

    Examples
    --------
    >>> StepResult(torch.tensor(0.5), size=32).size
    32
    """

    loss: Tensor
    size: int
    output: Any = None
    target: Any = None
    values: Mapping[str, Tensor] = {}


Step = Callable[[Batch], StepResult]


@dataclass(frozen=True)
class Recipe:
    """How to train: everything that ``compile`` was told, resolved and checked."""

    optimizer: OptimizerFactory
    objective: Objective
    metrics: tuple[Metric, ...]
    device: torch.device
    precision: Precision = "fp32"
    jit: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    ema: float | None = None
    channels_last: Layout = "auto"

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which the forward pass and the loss run."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16 if self.precision == "bf16" else torch.float16)


@dataclass(frozen=True)
class SecondPhase:
    """How a run of ``fit`` goes on from some epoch: by another recipe, after ``begin`` has been called."""

    epoch: int
    recipe: Recipe
    begin: Callable[[], object]


@dataclass
class Progress:
    """How far training has come since ``compile``; keyed random draws count on it."""

    epochs: int = 0
    passes: int = 0
    steps: int = 0
    rows: int = 0


@dataclass
class Run:
    """One call of ``fit``, ``evaluate``, ``train_on_batch`` or ``test_on_batch``."""

    net: nn.Module
    recipe: Recipe
    compute: Computation
    """The forward pass and the loss of a batch."""
    finite: FiniteWatch
    """Notices what is NaN or infinite before the optimizer takes it."""
    optimizer: torch.optim.Optimizer | None = None
    scaler: torch.amp.GradScaler | None = None
    average: WeightAverage | None = None
    progress: Progress = field(default_factory=Progress)
    seed: int | None = None
    stop: bool = False
    pending_rows: int = 0
    """Rows whose gradients wait for the optimizer (``accumulate``)."""
    pending_steps: int = 0
    parameters: list[Tensor] = field(default_factory=list)
    """All whose gradients are forgotten before a step; found anew when an epoch begins."""
    hooks: ExitStack = field(default_factory=ExitStack)
    """What follows the steps of the optimizer; taken off it when the run ends or goes on with another one."""
    follow_net: Callable[[], None] = lambda: None
    """Lets the optimizer and the average take up what callbacks have frozen or unfrozen before an epoch."""
    took_own_step: bool = False
    """Whether easyconv's own training step has run, by itself or called by a step of the user's."""
    users_step: bool = False
    """Whether the training step is the user's."""
    may_split: bool = False
    """Whether a batch that does not fit into memory goes through the net in parts (``on_oom="split"``)."""
    rows_at_once: int | None = None
    """How many rows have been found to fit; all of a batch by default."""
