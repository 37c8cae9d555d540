"""Losses and metrics of one pass, summed on the device and read when somebody looks."""

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from easyconv.errors import NonFiniteLossError
from easyconv.metrics import Mean, Metric
from easyconv.metrics.gathering import Gathering
from easyconv.training.state import StepResult

__all__ = ["LossWatch", "Totals"]

SECONDS_BETWEEN_READS = 1.0


class Totals:
    """Sums over the batches of one pass; means weigh samples, not batches.

    Parameters
    ----------
    metrics : iterable of Metric
        Reset at once; updated by every :meth:`add`.
    """

    def __init__(self, metrics: Iterable[Metric] = ()) -> None:
        self.metrics = tuple(metrics)
        for metric in self.metrics:
            metric.reset()
        self._gathering = Gathering(self.metrics)
        self.loss = Mean()
        self.values: dict[str, Mean] = {}
        self._measured = False

    def add(self, result: StepResult) -> None:
        """Take in one step, with tensor operations only."""
        self.loss.update(result.loss, result.size)
        for name, value in result.values.items():
            self.values.setdefault(name, Mean()).update(value, result.size)
        if result.output is None:
            # A step of the user's that returned numbers only has measured everything itself.
            return
        self._measured = True
        self._gathering.update(result.output, result.target)

    def state_dict(self) -> dict[str, Any]:
        """What was gathered so far, on the device."""
        self._gathering.settle()
        return {
            "loss": self.loss.state_dict(),
            "values": {name: mean.state_dict() for name, mean in self.values.items()},
            "metrics": [metric.state_dict() for metric in self.metrics],
            "measured": self._measured,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.loss.load_state_dict(state["loss"])
        for name, part in state["values"].items():
            self.values.setdefault(name, Mean()).load_state_dict(part)
        for metric, part in zip(self.metrics, state["metrics"], strict=True):
            metric.load_state_dict(part)
        self._measured = state["measured"]

    def read(self) -> dict[str, float]:
        """Name to mean so far: the loss, the losses of several outputs, then the metrics in the order of compile."""
        self._gathering.settle()
        named = {"loss": self.loss.compute()}
        named.update({name: mean.compute() for name, mean in self.values.items()})
        for metric in self.metrics if self._measured else ():
            named.update(metric.results())
        return _to_floats(named)


class LossWatch:
    """Notices that a step of the user's gave a loss that is no number, without a device read per batch.

    What easyconv's own step does is watched by `easyconv.training.finite.FiniteWatch`. Losses are kept as they are and
    read together, about once a second and at the end of the epoch.

    Parameters
    ----------
    where : str
        Names the pass in the error: ``"epoch 3"``.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._next_check = time.monotonic() + SECONDS_BETWEEN_READS
        self._checked = 0
        self._unchecked: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """Keep one loss; check all that wait when it is time."""
        self._unchecked.append(loss)
        if time.monotonic() >= self._next_check:
            self.check()

    def check(self) -> None:
        """Read the losses since the last check.

        Raises
        ------
        NonFiniteLossError
            Names the first batch whose loss was NaN or infinite.
        """
        losses = _read(self._unchecked)
        self._unchecked.clear()
        for batch, loss in enumerate(losses, start=self._checked + 1):
            if not math.isfinite(loss):
                error = NonFiniteLossError(
                    f"The loss became {loss} in batch {batch} of {self.where}; the weights can no longer be trusted, "
                    "for your own train_step has made its update. Lower the learning rate, clip the gradients, or look "
                    "for extreme values in the data. super().train_step(batch) keeps the optimizer from such a batch, "
                    "and says where it began; a ModelCheckpoint callback keeps the weights from before."
                )
                error.batch = batch
                raise error
        self._checked += len(losses)
        self._next_check = time.monotonic() + SECONDS_BETWEEN_READS


def _to_floats(named: dict[str, Tensor]) -> dict[str, float]:
    return dict(zip(named, _read(list(named.values())), strict=True))


def _read(scalars: list[Tensor]) -> list[float]:
    """The numbers in tensors that may be on several devices: one read from each device, however many there are."""
    numbers = [0.0] * len(scalars)
    for device in {scalar.device for scalar in scalars}:
        places = [place for place, scalar in enumerate(scalars) if scalar.device == device]
        dtype = torch.float32 if device.type == "mps" else torch.float64
        values = torch.stack([scalars[place].detach().to(dtype) for place in places]).tolist()
        for place, value in zip(places, values, strict=True):
            numbers[place] = value
    return numbers
