"""The only loops over epochs and batches.

::

    fit:       for each epoch: one_pass(train_step); if due, one_pass(eval_step); a row into the history; callbacks
    one_pass:  for each batch: result = step(batch); totals.add(result); tell whoever listens to batches

Nothing here reads the device per batch, and an event costs nothing when nobody listens to it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from easyconv.data.sources.batch import Batch
from easyconv.heap import kept_heap
from easyconv.interrupt import Interrupt, deferred_interrupt
from easyconv.layers.keeping import kept_modes
from easyconv.metrics import Metric
from easyconv.optim import get_lr
from easyconv.seed import derive, seed_for
from easyconv.training.callback import CallbackList, LazyLogs
from easyconv.training.history import History
from easyconv.training.host import HostCopies
from easyconv.training.position import Keeper, Position
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
    run: Run,
    plan: Plan,
    training: Stage,
    validation: Stage | None,
    callbacks: CallbackList,
    *histories: History,
    keeper: Keeper | None = None,
) -> None:
    """Train for the epochs of the plan; every history gets a row per epoch.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C: the batch is ended, every ``on_train_end`` has run, weights and histories are kept.
    NonFiniteLossError
        When the loss or its gradients become NaN or infinite.
    """
    keeper = Keeper() if keeper is None else keeper
    terminate = keeper.stops_on_sigterm
    with kept_heap(), deferred_interrupt(terminate=terminate) as interrupt, kept_modes(run.net):
        epochs = _Epochs(run, plan, training, validation, callbacks, keeper, interrupt)
        with callbacks.training(lambda: epochs.last_row):
            try:
                for epoch, row in epochs:
                    for history in histories:
                        history.append(epoch, row)
                    epochs.close(epoch, row)
            except BaseException as error:
                epochs.rescue(error)
                raise
        keeper.end()


@dataclass
class _Epochs:
    """The epochs of one training, each with its validation."""

    run: Run
    plan: Plan
    training: Stage
    validation: Stage | None
    callbacks: CallbackList
    keeper: Keeper
    interrupt: Interrupt
    last_row: dict[str, float] | None = None

    def __iter__(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Number and row of each epoch; `close` it before the next one."""
        start = self.keeper.begin(self.plan.epochs.start)
        for epoch in range(start.epoch, self.plan.epochs.stop):
            self.last_row = row = self._epoch(start if epoch == start.epoch else Position(epoch))
            yield epoch, row
            if self.run.stop:
                return

    def close(self, epoch: int, row: dict[str, float]) -> None:
        """Tell everybody that an epoch is over."""
        self.callbacks.fire("on_epoch_end", epoch, row)
        self.keeper.end_epoch(epoch, row)
        self.stop_if_asked()

    def rescue(self, error: BaseException) -> None:
        """Let the state be saved before training ends by an error; who insists on the end does not want to wait."""
        if not self.interrupt.insisted:
            self.keeper.rescue(error)

    def stop_if_asked(self) -> bool:
        """End training by the error that belongs to the signal, if one has come and nothing is lost by it.

        Returns
        -------
        bool
            Whether a callback wants the batch to be the last one.
        """
        if self.interrupt.requested and self.keeper.may_stop():
            self.interrupt.raise_if_requested()
        return self.run.stop

    def _epoch(self, at: Position) -> dict[str, float]:
        run, epoch = self.run, at.epoch
        if not at.begun:
            self.keeper.leave()
            self.plan.before_epoch(epoch)
            self.callbacks.fire("on_epoch_begin", epoch, {})
        run.follow_net()
        if at.row is None:
            with run.average.set_aside() if run.average is not None else nullcontext():
                row = _TrainingPass(self, at).row()
        else:
            row = dict(at.row)
        if self.keeper.notes:
            self.keeper.reach(Position(epoch, begun=True, row=row))
        if self.validation is not None and self.plan.validate_after(epoch):
            results = evaluate(run, self.validation, self.callbacks, lambda: self.stop_if_asked() and False)
            row |= {f"val_{name}": value for name, value in results.items()}
        if run.optimizer is not None:
            row["learning_rate"] = get_lr(run.optimizer)
        return row


def evaluate(
    run: Run, stage: Stage, callbacks: CallbackList, stopping: Callable[[], bool] = lambda: False
) -> dict[str, float]:
    """Loss and metrics over one pass, the net in eval mode; ``stopping`` is asked after each batch."""
    totals = Totals(stage.metrics)
    callbacks.fire("on_test_begin", {})
    with _heap_for(stage.supply), kept_modes(run.net), torch.no_grad():
        run.net.eval()
        _one_pass(stage, totals, callbacks, "test", lambda done: stopping())
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
    with _heap_for(supply), kept_modes(net), torch.no_grad():
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


def _heap_for(supply: Supply) -> AbstractContextManager[None]:
    """A single batch wants no memory twice."""
    return nullcontext() if supply.steps_per_epoch == 1 else kept_heap()


class _TrainingPass:
    """One pass of training, or the rest of one."""

    def __init__(self, epochs: _Epochs, at: Position) -> None:
        self._epochs, self._at = epochs, at
        self._run, self._stage, self._keeper = epochs.run, epochs.training, epochs.keeper
        self._totals = Totals(self._stage.metrics) if at.totals is None else at.totals
        self._watch = LossWatch(f"epoch {at.epoch + 1}")

    def row(self) -> dict[str, float]:
        """Train; what was measured meanwhile."""
        run, at = self._run, self._at
        run.finite.start(f"epoch {at.epoch + 1}", at.batch)
        self._keeper.verify = self._verify
        run.net.train()
        run.parameters = []
        try:
            self._train()
        except BaseException as error:
            # Here, where the net still has the weights that are trained, and not their averages.
            self._epochs.rescue(error)
            raise
        finally:
            run.pending_steps = run.pending_rows = 0
            zero_grad(run)
        self._watch.check()
        run.progress.epochs += 1
        return self._totals.read()

    def _train(self) -> None:
        run, stage, start = self._run, self._stage, self._at.batch
        with torch.enable_grad(), with_hint(run):
            self._reach(start)
            trained = Stage(stage.supply, self._step, stage.metrics)
            callbacks, leave = self._epochs.callbacks, self._keeper.leave
            _one_pass(trained, self._totals, callbacks, "train", self._after, start=start, leave=leave)
        flush(run)
        settle(run)

    def _step(self, batch: Batch) -> StepResult:
        run = self._run
        _seed_step(run)
        run.finite.number += 1
        result = self._stage.step(batch)
        if run.users_step:
            self._watch.add(result.loss)  # what else it does, nobody can watch
        run.progress.steps += 1
        run.progress.rows += result.size
        return result

    def _verify(self) -> None:
        settle(self._run)
        self._watch.check()

    def _reach(self, done: int) -> None:
        # Gradients that wait for the optimizer are not kept: such a moment is none to go on from.
        if self._keeper.notes and not self._run.pending_steps:
            self._keeper.reach(Position(self._at.epoch, done, begun=True, totals=self._totals))

    def _after(self, done: int) -> bool:
        self._reach(done)
        return self._epochs.stop_if_asked()


def _one_pass(
    stage: Stage,
    totals: Totals,
    callbacks: CallbackList,
    event: str,
    after: Callable[[int], bool],
    *,
    start: int = 0,
    leave: Callable[[], None] = lambda: None,
) -> None:
    """The batches of one pass from ``start`` on.

    ``after`` hears how many are done, and says whether to stop; ``leave`` is called before callbacks are.
    """
    begin = callbacks.listeners(f"on_{event}_batch_begin")
    end = callbacks.listeners(f"on_{event}_batch_end")
    for index, batch in enumerate(stage.supply.epoch(start), start):
        if begin:
            leave()
        for hook in begin:
            hook(index, {})
        result = stage.step(batch)
        totals.add(result)
        if end:
            leave()
            logs = LazyLogs(totals.read, result)
            for hook in end:
                hook(index, logs)
        if after(index + 1):
            break


def _seed_step(run: Run) -> None:
    """Key what the step draws (dropout) by its number, so that it depends on nothing that was drawn before."""
    if run.seed is not None:
        seed_for(run.recipe.device, derive(run.seed, STEP, run.progress.steps))
