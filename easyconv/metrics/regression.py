"""Metrics of values: streaming sums of errors."""

from abc import abstractmethod

import torch
from torch import Tensor

from easyconv.metrics.base import Metric, accumulator_dtype, not_fitting

__all__ = ["R2", "MeanAbsoluteError", "MeanSquaredError", "RootMeanSquaredError"]


def _aligned(name: str, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs and targets of one shape, in the type in which sums are kept; (N,) and (N, 1) mean the same."""
    if not isinstance(output, Tensor) or not isinstance(target, Tensor):
        raise not_fitting(name, output, target)
    if output.shape != target.shape:
        if output.shape[:1] != target.shape[:1] or output.squeeze().shape != target.squeeze().shape:
            raise not_fitting(name, output, target)
        target = target.reshape(output.shape)
    dtype = accumulator_dtype(output.device)
    return output.to(dtype), target.to(dtype)


class _MeanError(Metric):
    """Mean over all elements of a function of the error."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._total: Tensor | None = None
        self._count = 0

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in one batch."""
        output, target = _aligned(self.name, output, target)
        total = self._error(output - target)
        self._total = total if self._total is None else self._total + total
        self._count += output.numel()

    def compute(self) -> Tensor:
        """Mean so far."""
        if self._total is None:
            raise self._nothing_seen()
        return self._total / self._count

    @abstractmethod
    def _error(self, difference: Tensor) -> Tensor:
        """Sum over a batch."""


class MeanAbsoluteError(_MeanError):
    """Mean of the absolute error, ``abs(output - target)``, over all elements.

    Parameters
    ----------
    name : str, default "mae"

    Examples
    --------
    >>> metric = MeanAbsoluteError()
    >>> metric.update(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    >>> float(metric.compute())
    1.0
    """

    def __init__(self, name: str = "mae") -> None:
        super().__init__(name)

    def _error(self, difference: Tensor) -> Tensor:
        return difference.abs().sum()


class MeanSquaredError(_MeanError):
    """Mean of (output - target)² over all elements.

    Parameters
    ----------
    name : str, default "mse"

    Examples
    --------
    >>> metric = MeanSquaredError()
    >>> metric.update(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    >>> float(metric.compute())
    2.0
    """

    def __init__(self, name: str = "mse") -> None:
        super().__init__(name)

    def _error(self, difference: Tensor) -> Tensor:
        return difference.square().sum()


class RootMeanSquaredError(_MeanError):
    """Square root of the mean of (output - target)² over all elements of the pass.

    Parameters
    ----------
    name : str, default "rmse"

    Examples
    --------
    >>> metric = RootMeanSquaredError()
    >>> metric.update(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 1.0]))
    >>> round(float(metric.compute()), 4)
    2.1213
    """

    def __init__(self, name: str = "rmse") -> None:
        super().__init__(name)

    def _error(self, difference: Tensor) -> Tensor:
        return difference.square().sum()

    def compute(self) -> Tensor:
        """Root of the mean so far."""
        return super().compute().sqrt()


class R2(Metric):
    """Coefficient of determination, 1 - Σ(target - output)² / Σ(target - mean)², averaged over columns.

    A column whose targets are all equal counts 1 where every output is right, and 0 otherwise, as in scikit-learn.

    Parameters
    ----------
    name : str, default "r2"

    Examples
    --------
    >>> metric = R2()
    >>> metric.update(torch.tensor([1.0, 2.0, 2.0]), torch.tensor([1.0, 2.0, 3.0]))
    >>> float(metric.compute())
    0.5
    """

    def __init__(self, name: str = "r2") -> None:
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._origin: Tensor | None = None
        self._sums: Tensor | None = None
        self._count = 0

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in one batch of shape (N,) or (N, ...); dimensions after the first are columns."""
        output, target = _aligned(self.name, output, target)
        output, target = output.reshape(len(output), -1), target.reshape(len(target), -1)
        if self._origin is None:
            # Sums of squares around a value near the data do not cancel when the data lie far from zero.
            self._origin = target[0]
        elif self._origin.shape != target.shape[1:]:
            raise not_fitting(self.name, output, target)
        shifted = target - self._origin
        sums = torch.stack((shifted.sum(dim=0), shifted.square().sum(dim=0), (target - output).square().sum(dim=0)))
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += len(target)

    def compute(self) -> Tensor:
        """Value so far."""
        if self._sums is None:
            raise self._nothing_seen()
        total, squares, residual = self._sums
        spread = squares - total.square() / self._count
        constant = (residual == 0).to(spread.dtype)
        return torch.where(spread > 0, 1 - residual / spread.clamp(min=torch.finfo(spread.dtype).tiny), constant).mean()
