"""The batch size at which a row costs least."""

from dataclasses import dataclass

import torch

from easyconv.errors import ArgumentError
from easyconv.room import available_memory
from easyconv.trials.trial import Trial

__all__ = ["ChosenSize", "choose_batch_size", "sizes_to_try"]

_LEAST, _MOST = 32, 1024
_LEAST_STEPS = 16
"""An epoch has at least so many steps, or it would train too little."""
_NEARLY = 1.1
"""A smaller batch is taken where a row costs at most so many times what it costs in the best; it makes more steps."""
_SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True)
class ChosenSize:
    """A batch size, and what it was chosen from.

    Parameters
    ----------
    size : int
        Rows per batch.
    seconds_per_row : dict of int to float
        Each size that was tried, and what a row cost.

    Examples
    --------
    >>> print(ChosenSize(64, {32: 3e-5, 64: 2e-5}))
    batch_size="auto": 64 rows (µs per row: 32: 30.0, 64: 20.0)
    """

    size: int
    seconds_per_row: dict[int, float]

    def __str__(self) -> str:
        tried = ", ".join(f"{size}: {seconds * 1e6:.1f}" for size, seconds in self.seconds_per_row.items())
        return f'batch_size="auto": {self.size} rows (µs per row: {tried})'


def choose_batch_size(trial: Trial, rows: int, device: torch.device) -> ChosenSize:
    """Try sizes from 32 rows on, each twice the one before, and take the smallest that is nearly as fast as the best.

    Ends where a row gets no cheaper, where memory is short, and where an epoch would have less than 16 steps.

    Parameters
    ----------
    trial : Trial
        What is timed.
    rows : int
        Rows of an epoch.
    device : torch.device
        Where it trains.

    Raises
    ------
    ArgumentError
        When not even the smallest batch fits into memory.
    """
    costs: dict[int, float] = {}
    sizes = sizes_to_try(rows)
    kept_per_row = 0.0
    for size in sizes:
        if device.type == "cpu" and kept_per_row * size > _SHARE_OF_MEMORY * available_memory():
            break
        try:
            kept_per_row = trial.warm_up(size) / size
            costs[size] = trial.seconds_per_row(size)
        except torch.OutOfMemoryError as error:
            if not costs:
                raise ArgumentError(
                    f"batch_size='auto' found no size that fits into the memory of {device}: {size} rows do not. Pass "
                    "a smaller number, smaller images, or compile(precision='bf16')."
                ) from error
            torch.get_device_module(device).empty_cache()
            break
        if len(costs) > 2 and min(list(costs.values())[-2:]) > min(costs.values()):
            break
    best = min(costs.values())
    return ChosenSize(next(size for size, cost in costs.items() if cost <= _NEARLY * best), costs)


def sizes_to_try(rows: int) -> list[int]:
    """Powers of two from 32 on that leave an epoch its steps, and no last batch of one row, which norms cannot take.

    Examples
    --------
    >>> sizes_to_try(1500), sizes_to_try(20), sizes_to_try(33)
    ([32, 64], [32], [31])
    """
    most = min(max(rows // _LEAST_STEPS, _LEAST), _MOST)
    sizes = [1 << power for power in range(_LEAST.bit_length() - 1, most.bit_length())]
    whole = [size for size in sizes if rows % size != 1]
    return whole or [next(size for size in range(_LEAST - 1, 1, -1) if rows % size != 1)]
