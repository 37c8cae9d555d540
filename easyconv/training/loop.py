"""The only loops over epochs and batches.

::

    fit:       for each epoch: one_pass(train_step); if due, one_pass(eval_step); a row into the history; callbacks
    one_pass:  for each batch: result = step(batch); totals.add(result); tell whoever listens to batches

Nothing here reads the device per batch, and an event costs nothing when nobody listens to it.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from easyconv.data.sources.batch import Batch
from easyconv.layers.keeping import kept_modes
from easyconv.metrics import Metric
from easyconv.optim import get_lr
from easyconv.seed import derive, seed_for
from easyconv.training.callback import CallbackList, LazyLogs
from easyconv.training.history import History
from easyconv.training.host import HostCopies
from easyconv.training.interrupt import Interrupt, deferred_interrupt
from easyconv.training.splitting import with_hint
from easyconv.training.state import Run, StepResult
from easyconv.training.steps import flush, settle, zero_grad
from easyconv.training.supply import STEP, Supply
from easyconv.training.totals import LossWatch, Totals

__all__ = ["Plan", "Stage", "evaluate", "fit", "predict"]


@dataclass
class Stage:
    """One kind of pass: its batches, the step that each of them gets, and the metrics that it fills."""

    supply: Supply
    step: Callable[[Batch], StepResult]
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Plan:
    """Which epochs to train, after which of them to validate, and what to do before each, callbacks included."""

    epochs: range
    validate_after: Callable[[int], bool]
    before_epoch: Callable[[int], None] = lambda epoch: None


def fit(
    run: Run, plan: Plan, training: Stage, validation: Stage | None, callbacks: CallbackList, *histories: History
) -> None:
    """Train for the epochs of the plan; every history gets a row per epoch.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C: the batch is ended, every ``on_train_end`` has run, weights and histories are kept.
    NonFiniteLossError
        When the loss or its gradients become NaN or infinite.
    """
    last_row: dict[str, float] | None = None

    def checked() -> bool:
        interrupt.raise_if_requested()
        return False

    with deferred_interrupt() as interrupt, kept_modes(run.net), callbacks.training(lambda: last_row):
        for epoch in plan.epochs:
            plan.before_epoch(epoch)
            callbacks.fire("on_epoch_begin", epoch, {})
            run.follow_net()
            with run.average.set_aside() if run.average is not None else nullcontext():
                row = _train_epoch(run, epoch, training, callbacks, interrupt)
            if validation is not None and plan.validate_after(epoch):
                results = evaluate(run, validation, callbacks, checked)
                row |= {f"val_{name}": value for name, value in results.items()}
            if run.optimizer is not None:
                row["learning_rate"] = get_lr(run.optimizer)
            last_row = row
            for history in histories:
                history.append(epoch, row)
            callbacks.fire("on_epoch_end", epoch, row)
            interrupt.raise_if_requested()
            if run.stop:
                break


def evaluate(
    run: Run, stage: Stage, callbacks: CallbackList, stopping: Callable[[], bool] = lambda: False
) -> dict[str, float]:
    """Loss and metrics over one pass, the net in eval mode; ``stopping`` is asked after each batch."""
    totals = Totals(stage.metrics)
    callbacks.fire("on_test_begin", {})
    with kept_modes(run.net), torch.no_grad():
        run.net.eval()
        _one_pass(stage, totals, callbacks, "test", stopping)
    results = totals.read()
    callbacks.fire("on_test_end", results)
    return results


def predict(net: nn.Module, supply: Supply, step: Callable[[Batch], Any], callbacks: CallbackList) -> list[Any]:
    """Outputs of the net, batch by batch, on the CPU: those of all batches together may be too many for the device.

    Callbacks see them on the device.
    """
    copied = HostCopies()
    begin, end = callbacks.listeners("on_predict_batch_begin"), callbacks.listeners("on_predict_batch_end")
    callbacks.fire("on_predict_begin", {})
    with kept_modes(net), torch.no_grad():
        net.eval()
        for index, batch in enumerate(supply.epoch()):
            for hook in begin:
                hook(index, {})
            output = step(batch)
            copied.add(output)
            for hook in end:
                hook(index, {"outputs": output})
    callbacks.fire("on_predict_end", {})
    return copied.finished()


def _train_epoch(run: Run, epoch: int, stage: Stage, callbacks: CallbackList, interrupt: Interrupt) -> dict[str, float]:
    totals, watch = Totals(stage.metrics), LossWatch(f"epoch {epoch + 1}")
    run.finite.start(f"epoch {epoch + 1}")

    def step(batch: Batch) -> StepResult:
        _seed_step(run)
        run.finite.number += 1
        result = stage.step(batch)
        if run.users_step:
            watch.add(result.loss)  # what else it does, nobody can watch
        run.progress.steps += 1
        run.progress.rows += result.size
        return result

    def stopping() -> bool:
        interrupt.raise_if_requested()
        return run.stop

    run.net.train()
    run.parameters = []
    try:
        with torch.enable_grad(), with_hint(run):
            _one_pass(Stage(stage.supply, step, stage.metrics), totals, callbacks, "train", stopping)
        flush(run)
        settle(run)
    finally:
        run.pending_steps = run.pending_rows = 0
        zero_grad(run)
    watch.check()
    run.progress.epochs += 1
    return totals.read()


def _one_pass(stage: Stage, totals: Totals, callbacks: CallbackList, event: str, stopping: Callable[[], bool]) -> None:
    begin = callbacks.listeners(f"on_{event}_batch_begin")
    end = callbacks.listeners(f"on_{event}_batch_end")
    for index, batch in enumerate(stage.supply.epoch()):
        for hook in begin:
            hook(index, {})
        result = stage.step(batch)
        totals.add(result)
        if end:
            logs = LazyLogs(totals.read, result)
            for hook in end:
                hook(index, logs)
        if stopping():
            break


def _seed_step(run: Run) -> None:
    """Key what the step draws (dropout) by its number, so that it depends on nothing that was drawn before."""
    if run.seed is not None:
        seed_for(run.recipe.device, derive(run.seed, STEP, run.progress.steps))
