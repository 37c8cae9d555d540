"""What every metric can do, and the running mean that losses and functions use."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from easyconv.errors import ArgumentError, StateError

__all__ = ["Mean", "Metric", "accumulator_dtype", "not_fitting"]

Self = TypeVar("Self", bound="Metric")


def accumulator_dtype(device: torch.device) -> torch.dtype:
    """Float type of running sums: float64, and float32 on Apple's MPS, which has no float64.

    Examples
    --------
    >>> accumulator_dtype(torch.device("cpu"))
    torch.float64
    """
    return torch.float32 if device.type == "mps" else torch.float64


def not_fitting(name: str, output: Any, target: Any) -> ArgumentError:
    """The error for an output and a target that a metric cannot compare."""
    shapes = [tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__ for value in (output, target)]
    several = not (isinstance(output, Tensor) and isinstance(target, Tensor))
    hint = (
        " The net gives several outputs: name the one to measure, metrics={'<output>': ['accuracy']}."
        if several
        else " It takes outputs (N, C, ...) with class numbers (N, ...), or outputs and targets of the same shape."
    )
    return ArgumentError(
        f"The metric {name!r} cannot compare the output {shapes[0]} with the target {shapes[1]}.{hint}"
    )


class Metric(ABC):
    """A number about a whole pass over data, made up batch by batch.

    ``update`` costs a few tensor operations and never waits for the device; the value is read by whoever converts the
    result of ``compute``. The state is made on the device of what comes first.

    Attributes
    ----------
    name : str
        Key in logs and histories.

    Examples
    --------
    >>> class Largest(Metric):
    ...     name = "largest"
    ...     def reset(self):
    ...         self.value = torch.tensor(0.0)
    ...     def update(self, output, target):
    ...         self.value = torch.maximum(self.value, output.max())
    ...     def compute(self):
    ...         return self.value
    >>> metric = Largest()
    >>> metric.reset()
    >>> metric.update(torch.tensor([1.0, 3.0]), None)
    >>> float(metric.compute())
    3.0
    """

    name: str
    takes_any_rows: bool = True
    """Whether a few rows are as good as many; ``False`` keeps the metric from being tried before training."""

    @abstractmethod
    def reset(self) -> None:
        """Forget everything; called at the start of each pass."""

    @abstractmethod
    def update(self, output: Any, target: Any) -> None:
        """Take in one batch: outputs and targets as the loss gets them, detached."""

    @abstractmethod
    def compute(self) -> Tensor:
        """The value so far, a floating 0-dim tensor on the device.

        Raises
        ------
        StateError
            Before the first batch.
        """

    def results(self) -> dict[str, Tensor]:
        """The values by name; one unless the metric has several."""
        return {self.name: self.compute()}

    def state_dict(self) -> dict[str, Any]:
        """What it has gathered: all attributes that are plain data (numbers, text, tensors), means or metrics.

        A metric that keeps anything else must define this and `load_state_dict` itself to be resumed within an epoch.
        """
        return {name: _state_of(value) for name, value in vars(self).items() if not callable(value)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of a metric that was made in the same way."""
        for name, value in state.items():
            present = getattr(self, name, None)
            if isinstance(present, (Mean, Metric)):
                present.load_state_dict(value)
            else:
                setattr(self, name, value)

    def clone(self: Self) -> Self:
        """An independent copy: for validation beside training."""
        return copy.deepcopy(self)

    def _nothing_seen(self) -> StateError:
        return StateError(f"The metric {self.name!r} has seen no data: call update(output, target) first.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Mean:
    """Running mean Σ value·n / Σ n, kept on the device.

    Examples
    --------
    >>> mean = Mean()
    >>> mean.update(torch.tensor(1.0), 3)
    >>> mean.update(torch.tensor(5.0), 1)
    >>> float(mean.compute())
    2.0
    """

    def __init__(self) -> None:
        self._total: Tensor | None = None
        self._count = 0.0

    def reset(self) -> None:
        """Forget everything."""
        self._total = None
        self._count = 0.0

    def update(self, value: Tensor, n: float = 1) -> None:
        """Take in a 0-dim tensor that stands for ``n`` rows; no wait for the device."""
        value = value.detach()
        if self._total is None:
            self._total = torch.zeros((), dtype=accumulator_dtype(value.device), device=value.device)
        # One kernel, which multiplies and adds in the type of the total.
        self._total.add_(value, alpha=n)
        self._count += n

    def state_dict(self) -> dict[str, Any]:
        """Sum and count."""
        return {"total": self._total, "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._total, self._count = state["total"], state["count"]

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come yet."""
        return self._total is None

    def compute(self) -> Tensor:
        """The mean so far, 0-dim; a copy, so that later updates do not change it.

        Raises
        ------
        StateError
            Before the first update.
        """
        if self._total is None:
            raise StateError("The mean has seen no data: call update(value, n) first.")
        return self._total / self._count


def _state_of(value: Any) -> Any:
    return value.state_dict() if isinstance(value, (Mean, Metric)) else value
