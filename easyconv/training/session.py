"""How a call of ``fit`` or ``evaluate`` becomes a run of the loop."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.make import Source
from easyconv.errors import StateError
from easyconv.interrupt import deferred_interrupt
from easyconv.layers.keeping import kept_modes
from easyconv.metrics import Metric
from easyconv.seed import kept_random_state
from easyconv.training import loop
from easyconv.training.callback import CallbackList
from easyconv.training.equipment import Equipment, follow_steps
from easyconv.training.history import History
from easyconv.training.layout import wants_channels_last
from easyconv.training.options import FitOptions
from easyconv.training.overriding import Overrides, test_step_of, train_step_of
from easyconv.training.position import Keeper
from easyconv.training.preparing import Prepared, check_last_batch
from easyconv.training.state import Progress, Recipe, Run, SecondPhase, StepResult
from easyconv.training.steps import flush, settle, zero_grad
from easyconv.training.supply import Supply, TrainingSupply
from easyconv.training.totals import Totals

__all__ = ["Session", "Training"]


class Session(Equipment):
    """Trains and measures with the equipment of a compiled model.

    Parameters
    ----------
    recipe, arguments
        As `Equipment` has them.
    """

    def __init__(self, recipe: Recipe, arguments: Mapping[str, Any] | None = None) -> None:
        super().__init__(recipe, arguments)
        self.validations = Progress()
        """Counts the passes of validation, which are keyed apart from those of training."""
        self.run: Run | None = None
        self._second: SecondPhase | None = None

    def fit(
        self,
        net: nn.Module,
        overrides: Overrides,
        options: FitOptions,
        *,
        training: Source,
        validation: Source | None,
        class_weight: Any,
        callbacks: CallbackList,
        verbose: object,
        history: History,
        keep: "Callable[[Training], Keeper]" = lambda training: Keeper(),
    ) -> History:
        """Prepare the net and the data, then train; ``history`` and the one that is returned get the rows.

        ``keep`` makes of the training that is about to begin whoever keeps checkpoints of it.
        """
        second, self._second = self._second, None
        supply, checking = self._supplies(options, training, validation)
        fitted = History()
        # A seeded loader draws for its first batch already, which is looked at before the first step.
        with nullcontext() if options.seed is None else kept_random_state(self.recipe.device):
            with deferred_interrupt():
                self._prepare_training(net, overrides, supply, checking, class_weight)
            if second is not None:
                self.use(self.as_compiled)
            run = self.start_training(net, overrides, options.seed)
            run.may_split = options.on_oom == "split"
            self.expect(training, training=True)
            if validation is not None:
                self.expect(validation, training=False)
            if training.preprocessing is not None:
                overrides.adopt(training.preprocessing)
            names = self._log_names(validation is not None)
            callbacks.attach(net, verbose=verbose, steps=supply.steps_per_epoch, epochs=options.epochs, metrics=names)
            for rows in (fitted, history):
                rows.params = _params(training, supply, options)
            train = loop.Stage(supply, train_step_of(run, overrides), self._metrics())
            check = (
                loop.Stage(checking, test_step_of(run, overrides), self._metrics()) if checking is not None else None
            )
            plan = self._plan(run, options, second)
            keeper = keep(Training(self, run, options, plan, train, check, callbacks, fitted, history, verbose))
            with self._running(run):
                if not keeper.is_done():
                    loop.fit(run, plan, train, check, callbacks, fitted, history, keeper=keeper)
        return fitted

    @contextmanager
    def in_two_phases(self, second: SecondPhase) -> Iterator[None]:
        """The next ``fit`` in the block begins by the recipe of ``compile`` and goes on as ``second`` says."""
        self._second = second
        try:
            yield
        finally:
            self._second = None

    def evaluate(
        self, net: nn.Module, overrides: Overrides, source: Source, steps: int | None, callbacks: CallbackList
    ) -> dict[str, float]:
        """Loss and metrics over a source."""
        supply = Supply(source, steps)
        supply.require(1)
        self._prepare(net, overrides, supply).bind()
        run = self.start(net, overrides)
        with self._running(run):
            return loop.evaluate(run, loop.Stage(supply, test_step_of(run, overrides), self._metrics()), callbacks)

    def train_on_batch(
        self, net: nn.Module, overrides: Overrides, source: Source, class_weight: Any
    ) -> dict[str, float]:
        """One optimizer step on the one batch of a source."""
        prepared = self._prepare(net, overrides, Supply(source))
        prepared.weigh(class_weight)
        check_last_batch(net, prepared)
        prepared.bind()
        prepared.rehearse(self._metrics())
        run = self.start_training(net, overrides)
        with self._running(run), kept_modes(net):
            net.train()
            run.finite.start("train_on_batch()")
            with torch.enable_grad(), nullcontext() if run.average is None else run.average.set_aside():
                run.finite.number += 1
                result = train_step_of(run, overrides)(next(source.batches()))
                flush(run)
                settle(run)
            zero_grad(run)
        self.progress.steps += 1
        self.progress.rows += result.size
        return self._totals_of(result)

    def test_on_batch(self, net: nn.Module, overrides: Overrides, source: Source) -> dict[str, float]:
        """Loss and metrics of the one batch of a source."""
        self._prepare(net, overrides, Supply(source)).bind()
        run = self.start(net, overrides)
        with self._running(run), kept_modes(net), torch.no_grad():
            net.eval()
            return self._totals_of(test_step_of(run, overrides)(next(source.batches())))

    def require_run(self) -> Run:
        """The run that is under way.

        Raises
        ------
        StateError
            When there is none: a step was called outside ``fit`` and ``evaluate``.
        """
        if self.run is None:
            raise StateError(
                "train_step() and test_step() work inside fit() and evaluate(). For one batch of your own call "
                "train_on_batch(x, y) or test_on_batch(x, y)."
            )
        return self.run

    def _supplies(
        self, options: FitOptions, training: Source, validation: Source | None
    ) -> tuple[Supply, Supply | None]:
        plan = options.plan()
        supply = TrainingSupply(training, options.steps_per_epoch, options.seed, self.progress)
        supply.require(len(plan.epochs))
        if validation is None:
            return supply, None
        checking = Supply(
            validation,
            options.validation_steps,
            options.seed,
            self.validations,
            name="validation_data",
            argument="validation_steps",
        )
        checking.require(sum(map(plan.validate_after, plan.epochs)))
        return supply, checking

    def _prepare_training(
        self, net: nn.Module, overrides: Overrides, supply: Supply, checking: Supply | None, class_weight: Any
    ) -> None:
        """Fit data and net to each other."""
        prepared = self._prepare(net, overrides, supply)
        prepared.weigh(class_weight)
        check_last_batch(net, prepared)
        channels_last = wants_channels_last(net, self.recipe, prepared.inputs, without=self)
        prepared.bind(channels_last=channels_last)
        prepared.rehearse(self._metrics())
        if checking is not None:
            # A validation starts after its epoch: looking at its data must not draw from the random state of training.
            peek = checking.seed is None
            trained_on = supply.source.preprocessing
            self._prepare(net, overrides, checking, peek=peek, trained_on=trained_on).bind(channels_last=channels_last)

    def _prepare(
        self,
        net: nn.Module,
        overrides: Overrides,
        supply: Supply,
        *,
        peek: bool = False,
        trained_on: Preprocessing | None = None,
    ) -> Prepared:
        net.to(self.recipe.device)
        objective = None if overrides.own_targets else self.recipe.objective
        prepared = Prepared(
            net,
            supply.source,
            objective,
            self.recipe.device,
            key=supply.next_key(),
            peek=peek,
            name=supply.name,
            training=supply.training,
        )
        overrides.note(prepared.inputs, supply.source, trained_on)
        return prepared

    def _plan(self, run: Run, options: FitOptions, second: SecondPhase | None) -> loop.Plan:
        plan = options.plan()
        return plan if second is None else replace(plan, before_epoch=partial(self._go_on, run, second))

    def _go_on(self, run: Run, second: SecondPhase, epoch: int) -> None:
        """Begin the second phase, once its first epoch is there."""
        if epoch < second.epoch or self.recipe is second.recipe:
            return
        second.begin()
        self.use(second.recipe)
        run.recipe = self.recipe
        self.equip(run)

    def _metrics(self) -> tuple[Metric, ...]:
        """Metrics of one stage, so that training and validation do not share theirs."""
        return tuple(metric.clone() for metric in self.recipe.metrics)

    def _log_names(self, validated: bool) -> list[str]:
        names = ["loss", *(metric.name for metric in self.recipe.metrics)]
        return [*names, *(f"val_{name}" for name in names if validated), "learning_rate"]

    def _totals_of(self, result: StepResult) -> dict[str, float]:
        totals = Totals(self._metrics())
        totals.add(result)
        return totals.read()

    @contextmanager
    def _running(self, run: Run) -> Iterator[None]:
        # A callback may evaluate in the middle of a fit, which goes on afterwards.
        outer, self.run = self.run, run
        try:
            with run.hooks:
                follow_steps(run)
                yield
        finally:
            self.run = outer

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "run": None, "_second": None}


@dataclass
class Training:
    """Everything that one call of ``fit`` works with."""

    session: Session
    run: Run
    options: FitOptions
    plan: loop.Plan
    train: loop.Stage
    check: loop.Stage | None
    callbacks: CallbackList
    fitted: History
    """Rows of this training."""
    history: History
    """Rows of all trainings of the model."""
    verbose: object

    @property
    def net(self) -> nn.Module:
        """What is trained."""
        return self.run.net

    @property
    def stages(self) -> list[loop.Stage]:
        """Training, and validation where there is one."""
        return [self.train] if self.check is None else [self.train, self.check]


def _params(source: Source, supply: Supply, options: FitOptions) -> dict[str, Any]:
    return {"batch_size": source.batch_size, "epochs": options.epochs, "steps": supply.steps_per_epoch}
