"""One copy of a model that trains for a few steps while somebody looks at the clock."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from easyconv.data.sources.batch import Batch
from easyconv.device import wait_for
from easyconv.errors import EasyconvWarning
from easyconv.nested import map_tree, rows_of
from easyconv.optim import set_lr
from easyconv.seed import kept_random_state
from easyconv.training.callback import Callback, Logs

__all__ = ["Trial", "quietly", "repeated"]

_SECONDS = 0.1
_MOST_STEPS = 50


class Trial:
    """Steps of `fit` on rows that are repeated, on a copy of a model; the random state is given back.

    It is the whole of ``fit`` that is timed, between the begin and the end of an epoch: the loop, the metrics and the
    optimizer too. Rows are in memory, so that reading data does not count.

    Parameters
    ----------
    twin : Model
        A compiled copy, which nobody needs afterwards.
    rows : Batch
        A few rows, as the net gets them, and their targets.
    device : torch.device
        Where it trains.
    """

    def __init__(self, twin: Any, rows: Batch, device: torch.device) -> None:
        self._twin = twin
        self._rows = rows
        self._device = device

    def warm_up(self, batch_size: int) -> int:
        """Make one step; returns the bytes that its forward pass keeps for the backward pass."""
        kept: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            self._fit(batch_size, 1)
        return sum(kept.values())

    def seconds_per_row(self, batch_size: int, *, times: int = 3) -> float:
        """The best of several measurements, each of as many steps as fill a tenth of a second; warm it up before."""
        first = self._fit(batch_size, 1)
        steps = min(max(int(_SECONDS / first), 1), _MOST_STEPS)
        return min(self._fit(batch_size, steps) for _ in range(times)) / (steps * batch_size)

    def seconds_per_step(self, batch_size: int, steps: int) -> float:
        """The best of some steps, so that other work on the machine does not count; each is waited for."""
        x, y, _ = repeated(self._rows, batch_size)
        return min(self._steps(steps, x, y, batch_size=batch_size, shuffle=False))

    def seconds_per_batch_of(self, source: Any, batch_size: int, steps: int) -> float:
        """The mean over some batches of a source, reading them included; the first, before which workers start, is not.

        Parameters
        ----------
        source : DataLoader, Dataset or part of a data set
            With one batch more than ``steps`` at least.
        batch_size : int
            Rows per batch; that of a loader is its own.
        steps : int
            How many.
        """
        seconds = self._steps(steps, source, batch_size=batch_size)
        return sum(seconds) / len(seconds)

    def _steps(self, count: int, *data: Any, **options: Any) -> list[float]:
        """Seconds from the end of each batch to that of the next."""
        clock = _BatchClock(self._device)
        with quietly(self._device):
            self._twin.fit(*data, steps_per_epoch=count + 1, callbacks=clock, verbose=0, **options)
        return [end - start for start, end in pairwise(clock.ends)]

    def _fit(self, batch_size: int, steps: int) -> float:
        x, y, _ = repeated(self._rows, batch_size)
        clock = _Clock(self._device)
        with quietly(self._device):
            self._twin.fit(
                x, y, batch_size=batch_size, steps_per_epoch=steps, callbacks=clock, verbose=0, shuffle=False
            )
        return clock.seconds


class _Still(Callback):
    """Steps of rate 0: a few rows again and again would be another training, which may well diverge."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Stop the weights."""
        set_lr(self.model.optimizer, 0.0)


class _Clock(_Still):
    """How long an epoch takes; it hears of no batch, so that nobody waits for it."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device
        self.seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        wait_for(self._device)
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stop the clock."""
        wait_for(self._device)
        self.seconds = time.perf_counter() - self._start


class _BatchClock(_Still):
    """When each batch has ended."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the clock."""
        wait_for(self._device)
        self.ends.append(time.perf_counter())


def repeated(rows: Batch, count: int) -> Batch:
    """A batch of so many rows: those that there are, again and again.

    Examples
    --------
    >>> repeated(Batch(torch.tensor([1, 2]), torch.tensor([3, 4])), 3).x
    tensor([1, 2, 1])
    """
    index = torch.arange(count) % rows_of(rows.x)

    def taken(tensor: Tensor) -> Tensor:
        return tensor[index.to(tensor.device)]

    return Batch(map_tree(taken, rows.x), None if rows.y is None else map_tree(taken, rows.y))


@contextmanager
def quietly(device: torch.device) -> Iterator[None]:
    """Keep the random state, and say nothing: what is noticed about a trial is said when the model itself trains."""
    with kept_random_state(device), warnings.catch_warnings():
        warnings.simplefilter("ignore", EasyconvWarning)
        yield
