"""Metrics that others wrote: functions, and objects of torchmetrics."""

import copy
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from easyconv.errors import ArgumentError, ArgumentTypeError, StateError
from easyconv.metrics.base import Mean, Metric, accumulator_dtype, not_fitting
from easyconv.metrics.classification import Kind
from easyconv.names import name_of, optional_import, snake_case
from easyconv.nested import first_rows

__all__ = ["AUROC", "AveragePrecision", "FunctionMetric", "TorchMetric"]


class FunctionMetric(Metric):
    """Mean over rows of what a function returns.

    Parameters
    ----------
    function : callable
        ``function(output, target)`` returns one value, the mean of the batch, which counts as often as the batch has
        rows; or one value per row, of shape (N,) or (N, 1).
    name : str, optional
        The function's own name where it is left out.

    Raises
    ------
    ArgumentTypeError
        In ``update``, when the function returns something that is neither a tensor nor a number.
    ArgumentError
        In ``update``, when it returns a tensor of another shape.

    Examples
    --------
    >>> def bias(output, target):
    ...     return (output - target).mean()
    >>> metric = FunctionMetric(bias)
    >>> metric.update(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    >>> metric.name, float(metric.compute())
    ('bias', 1.0)
    """

    takes_any_rows = False

    def __init__(self, function: Callable[[Any, Any], Any], name: str | None = None) -> None:
        self.name = name_of(function).strip("<>") if name is None else name
        self._function = function
        self._mean = Mean()

    def reset(self) -> None:
        """Forget everything."""
        self._mean.reset()

    def update(self, output: Any, target: Any) -> None:
        """Take in one batch."""
        value = self._function(output, target)
        rows = first_rows(output)
        if isinstance(value, Real):
            value = torch.tensor(float(value))
        if not isinstance(value, Tensor):
            raise ArgumentTypeError(
                f"The metric {self.name!r} returned {type(value).__name__}, not a tensor. Return one value, or one "
                "value per row, computed by torch."
            )
        if value.ndim and value.shape not in ((rows,), (rows, 1)):
            raise ArgumentError(
                f"The metric {self.name!r} returned a tensor of shape {tuple(value.shape)} for a batch of {rows} rows. "
                "Return one value (shape ()) or one value per row."
            )
        self._mean.update(value.to(accumulator_dtype(value.device)).mean() if value.ndim else value, rows)

    def compute(self) -> Tensor:
        """Mean so far."""
        if self._mean.is_empty:
            raise self._nothing_seen()
        return self._mean.compute()


class TorchMetric(Metric):
    """An object of torchmetrics, or anything else with ``update(output, target)``, ``compute()`` and ``reset()``.

    Parameters
    ----------
    metric : object
        Copied, so that training and validation do not share it.
    name : str, optional
        Where it is left out, the name of its class. A collection gives several values: their own names, after
        ``"<name>_"`` where a name is given.
    kind : {"any", "classes", "binary", "values"}, default "any"
        With ``"binary"``, float targets become integers, as torchmetrics wants them.

    Examples
    --------
    >>> import torchmetrics
    >>> metric = TorchMetric(torchmetrics.MeanSquaredError())
    >>> metric.update(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    >>> metric.name, float(metric.compute())
    ('mean_squared_error', 2.0)
    """

    takes_any_rows = False

    def __init__(self, metric: Any, name: str | None = None, *, kind: Kind = "any") -> None:
        self.name = snake_case(type(metric).__name__) if name is None else name
        self._prefix = "" if name is None else f"{name}_"
        self._metric = copy.deepcopy(metric)
        self._kind = kind
        self._device: torch.device | None = None

    def reset(self) -> None:
        """Forget everything."""
        self._metric.reset()

    def update(self, output: Any, target: Any) -> None:
        """Take in one batch."""
        if isinstance(output, Tensor) and output.device != self._device and hasattr(self._metric, "to"):
            self._metric = self._metric.to(output.device)
            self._device = output.device
        if self._kind == "binary" and isinstance(target, Tensor) and target.is_floating_point():
            target = target.long()
        self._metric.update(output, target)

    def compute(self) -> Tensor:
        """The value so far, of a metric that has one."""
        values = self.results()
        if len(values) != 1:
            raise StateError(f"The metric {self.name!r} has several values, {sorted(values)}: call results().")
        return next(iter(values.values()))

    def results(self) -> dict[str, Tensor]:
        """The values by name."""
        value = self._metric.compute()
        if isinstance(value, Mapping):
            return {f"{self._prefix}{key}": self._scalar(f"{self._prefix}{key}", part) for key, part in value.items()}
        return {self.name: self._scalar(self.name, value)}

    def state_dict(self) -> dict[str, Any]:
        """What the object has gathered; of a collection, what each of its metrics has."""
        return {"parts": [_gathered(part) for part in self._parts()]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for part, gathered in zip(self._parts(), state["parts"], strict=True):
            for name, value in gathered.items():
                setattr(part, name, value)

    def _parts(self) -> list[Any]:
        collection = hasattr(self._metric, "add_metrics") and hasattr(self._metric, "values")
        return list(self._metric.values()) if collection else [self._metric]

    def _scalar(self, name: str, value: Any) -> Tensor:
        if isinstance(value, Real):
            return torch.tensor(float(value))
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ArgumentError(
                f"The metric {name!r} computed {what}; a metric must compute one number. Give it an average "
                "(average='macro'), or look at it outside of fit()."
            )
        return value.reshape(()) if value.is_floating_point() else value.reshape(()).float()


def _gathered(metric: Any) -> dict[str, Any]:
    """The states of an object of torchmetrics, or all attributes of another one that are no code."""
    if hasattr(metric, "_defaults"):
        return {name: getattr(metric, name) for name in (*metric._defaults, "_update_count")}
    return {name: value for name, value in vars(metric).items() if not callable(value)}


class _Curve(Metric):
    """A metric of torchmetrics over all outputs of a pass, which are kept, and looked at once they are all there.

    Objects of torchmetrics look at each batch, to guess whether it holds probabilities, and so wait for the device.
    """

    takes_any_rows = False
    _function: str

    def __init__(self, name: str, *, logits: bool, kind: Kind) -> None:
        self.name = name
        self.logits = logits
        self.kind = kind
        self._library()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._form = ""
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in one batch."""
        if not isinstance(output, Tensor) or not isinstance(target, Tensor):
            raise not_fitting(self.name, output, target)
        binary = self.kind == "binary" or output.ndim < 2 or output.shape[1] == 1
        if binary and target.shape != output.shape and target.numel() == output.numel():
            target = target.reshape(output.shape)
        if not binary and target.ndim == output.ndim:
            target = target.argmax(dim=1) if target.shape == output.shape else target.squeeze(1)
        if target.shape != (output.shape if binary else (output.shape[0], *output.shape[2:])):
            raise not_fitting(self.name, output, target)
        several = output.ndim >= 2 and output.shape[1] > 1
        self._form = "multiclass" if not binary else "multilabel" if several else "binary"
        if self.logits:
            output = output.sigmoid() if binary else output.softmax(dim=1)
        self._outputs.append(_by_row(output.detach()) if several else output.detach().flatten())
        self._targets.append(_by_row(target.long()) if self._form == "multilabel" else target.long().flatten())

    def compute(self) -> Tensor:
        """The value so far."""
        if not self._outputs:
            raise self._nothing_seen()
        outputs, targets = torch.cat(self._outputs), torch.cat(self._targets)
        function = getattr(self._library(), f"{self._form}_{self._function}")
        word = {"multiclass": "num_classes", "multilabel": "num_labels"}.get(self._form)
        value: Tensor = function(outputs, targets, validate_args=False, **({word: outputs.shape[1]} if word else {}))
        return value

    def _library(self) -> Any:
        return optional_import("torchmetrics.functional.classification", "metrics", f"the metric {self.name!r}")


def _by_row(values: Tensor) -> Tensor:
    """(N, C, ...) as (M, C): pixels are rows too, and batches may have pictures of other sizes."""
    return values.movedim(1, -1).flatten(0, -2)


class AUROC(_Curve):
    """Area under the receiver operating characteristic, by torchmetrics.

    Two classes: of class 1. Several: the mean of one class against the rest. All outputs of a pass are kept, and
    looked at when somebody asks for the value: at the end of the pass.

    Parameters
    ----------
    name : str, default "auroc"
    logits : bool, default True
        Whether outputs are logits rather than probabilities.
    kind : {"any", "classes", "binary", "values"}, default "any"
        ``"binary"``: each column is a label of its own.

    Raises
    ------
    MissingExtraError
        When torchmetrics is not installed.

    Examples
    --------
    >>> metric = AUROC()
    >>> metric.update(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([1, 0, 1]))
    >>> float(metric.compute())
    1.0
    """

    _function = "auroc"

    def __init__(self, name: str = "auroc", *, logits: bool = True, kind: Kind = "any") -> None:
        super().__init__(name, logits=logits, kind=kind)


class AveragePrecision(_Curve):
    """Area under the curve of precision against recall, by torchmetrics; parameters and averages as for `AUROC`.

    Examples
    --------
    >>> metric = AveragePrecision()
    >>> metric.update(torch.tensor([3.0, 1.0, 2.0]), torch.tensor([1, 0, 1]))
    >>> float(metric.compute())
    1.0
    """

    _function = "average_precision"

    def __init__(self, name: str = "average_precision", *, logits: bool = True, kind: Kind = "any") -> None:
        super().__init__(name, logits=logits, kind=kind)
