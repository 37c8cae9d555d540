"""A batch that does not fit into memory goes through the net in parts, with the gradients of the whole (``on_oom``).

The mean loss of a batch of N rows is Σ n·l / N over parts of n rows with the mean losses l, and so are its gradients.
That holds for losses that are means over rows, weighed ones (Σ w·l / N) among them. Batch norms see each part by
itself.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import ceil
from typing import Any

import torch
from torch import Tensor

from easyconv.data.sources.batch import Batch, batch_size_of
from easyconv.nested import map_tree
from easyconv.notices import warn_user
from easyconv.seed import derive, seed_for
from easyconv.training.compiling import CompiledComputation
from easyconv.training.state import Run, StepResult
from easyconv.training.supply import STEP

__all__ = ["in_parts", "is_out_of_memory", "parts_of", "with_hint"]


def in_parts(run: Run, batch: Batch, gradients: Callable[[Run, Batch, float], StepResult]) -> StepResult:
    """Add the gradients of a batch to those that wait, in as many parts as memory asks for.

    Parameters
    ----------
    run : Run
        Its ``rows_at_once`` is halved each time that memory runs out, and stays.
    batch : Batch
        The whole batch.
    gradients : callable
        ``(run, part, share)``: adds the gradients of a part, whose loss counts ``share``.

    Returns
    -------
    StepResult
        Of the whole batch: its mean loss, the outputs of all rows.

    Raises
    ------
    torch.OutOfMemoryError
        When not even one row fits.
    """
    waiting = [(parameter, parameter.grad) for parameter in run.parameters if parameter.grad is not None]
    fitted_before = run.rows_at_once
    _forget(run)
    while (found := _tried(run, batch, gradients)) is None:
        # Only here are the frames of the failed try gone, and with them what they held.
        _begin_again(run)
    _add(waiting)
    if run.rows_at_once != fitted_before:
        _tell(run, batch_size_of(batch))
    return found


def parts_of(batch: Batch, rows_at_once: int | None) -> list[Batch]:
    """The batch in as few parts of at most so many rows as there can be, all of nearly the same size.

    Examples
    --------
    >>> [len(part.x) for part in parts_of(Batch(torch.zeros(10, 3)), 4)]
    [4, 3, 3]
    """
    rows = batch_size_of(batch)
    count = 1 if rows_at_once is None else ceil(rows / rows_at_once)
    if count == 1:
        return [batch]
    ends = [0]
    for part in range(count):
        ends.append(ends[-1] + rows // count + (part < rows % count))
    return [_rows_of(batch, start, end) for start, end in pairwise(ends)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an accelerator's memory was too small, in whatever words it says so.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("MPS backend out of memory")), is_out_of_memory(RuntimeError("a bad shape"))
    (True, False)
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return type(error) is RuntimeError and "out of memory" in str(error)


@contextmanager
def with_hint(run: Run) -> Iterator[None]:
    """Say what to do where memory runs out in the block."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            error.args = (f"{error}\n{_hint(run)}",)
        raise


def _tried(run: Run, batch: Batch, gradients: Callable[[Run, Batch, float], StepResult]) -> StepResult | None:
    """``None`` where memory ran out; fewer rows are to be tried then."""
    rows, parts = batch_size_of(batch), parts_of(batch, run.rows_at_once)
    try:
        return _joined([gradients(run, part, batch_size_of(part) / rows) for part in parts], batch)
    except RuntimeError as error:
        largest = batch_size_of(parts[0])
        if not is_out_of_memory(error) or largest == 1:
            raise
        run.rows_at_once = ceil(largest / 2)
    return None


def _begin_again(run: Run) -> None:
    """Throw away what the parts that fitted have left: gradients, statistics, draws, and memory kept for later."""
    device = run.recipe.device
    _forget(run)
    run.finite.once_more()
    if isinstance(run.compute, CompiledComputation):
        run.compute.expect_parts()
    if run.seed is not None:
        seed_for(device, derive(run.seed, STEP, run.progress.steps))
    # The error and the frames of the net hold one another, and those hold what was computed.
    gc.collect()
    if device.type != "cpu":
        torch.get_device_module(device).empty_cache()


def _forget(run: Run) -> None:
    for parameter in run.parameters:
        parameter.grad = None


def _add(waiting: list[tuple[Tensor, Tensor]]) -> None:
    """Add the gradients of the batches before this one (``accumulate``)."""
    for parameter, gradient in waiting:
        parameter.grad = gradient if parameter.grad is None else gradient.add_(parameter.grad)


def _joined(results: list[StepResult], batch: Batch) -> StepResult:
    if len(results) == 1:
        return results[0]
    rows = batch_size_of(batch)
    shares = [result.size / rows for result in results]
    names = results[0].values
    return StepResult(
        loss=_weighed([result.loss for result in results], shares),
        size=rows,
        output=torch.utils._pytree.tree_map(_together, *(result.output for result in results)),
        target=batch.y,
        values={name: _weighed([result.values[name] for result in results], shares) for name in names},
    )


def _weighed(numbers: list[Tensor], shares: list[float]) -> Tensor:
    return torch.stack([number * share for number, share in zip(numbers, shares, strict=True)]).sum()


def _together(*leaves: Any) -> Any:
    return torch.cat(leaves) if isinstance(leaves[0], Tensor) and leaves[0].ndim else leaves[0]


def _rows_of(batch: Batch, start: int, end: int) -> Batch:
    def cut(tensor: Tensor) -> Tensor:
        return tensor[start:end]

    return Batch(*(None if part is None else map_tree(cut, part) for part in batch))


def _tell(run: Run, rows: int) -> None:
    at_once = run.rows_at_once or rows
    warn_user(
        f"A batch of {rows} rows did not fit into the memory of {run.recipe.device}: from here on at most {at_once} "
        f"go through the net at once, {ceil(rows / at_once)} parts for such a batch, and the optimizer gets the "
        "gradients of the whole. Batch norms see each part by itself. compile(precision='bf16') needs less memory."
    )


def _hint(run: Run) -> str:
    if run.may_split and run.users_step and not run.took_own_step:
        return (
            "fit(on_oom='split') cannot cut a batch for a train_step of your own: call super().train_step(batch) in "
            "it, or take a smaller batch_size."
        )
    if run.may_split:
        return (
            "fit(on_oom='split') has put fewer and fewer rows through the net at once, and what is left does not fit "
            "either. Take a smaller net or smaller inputs, or compile(precision='bf16')."
        )
    return (
        f"The memory of {run.recipe.device} is too small for this step. Take a smaller batch_size (with "
        "compile(accumulate=2) the optimizer gets two of them as one), or fit(on_oom='split'), which puts a batch "
        "through the net in parts, or compile(precision='bf16')."
    )
