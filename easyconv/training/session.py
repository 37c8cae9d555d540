"""What lasts from one ``compile`` to the next, and how a call becomes a run of the loop."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.make import Source
from easyconv.errors import StateError
from easyconv.layers.keeping import kept_modes
from easyconv.metrics import Metric
from easyconv.notices import warn_user
from easyconv.optim import OptimizerFactory
from easyconv.optim.adopting import exchange
from easyconv.seed import kept_random_state
from easyconv.training import loop
from easyconv.training.advice import warn_of_idle_optimizer, warn_of_untrained_layers
from easyconv.training.averaging import WeightAverage
from easyconv.training.callback import CallbackList
from easyconv.training.compiling import CompiledComputation, can_replay
from easyconv.training.finite import FiniteWatch
from easyconv.training.history import History
from easyconv.training.identity import settings_of
from easyconv.training.layout import wants_channels_last
from easyconv.training.options import FitOptions
from easyconv.training.overriding import Overrides, computation, loss_function, test_step_of, train_step_of
from easyconv.training.position import Keeper
from easyconv.training.preparing import Prepared, check_last_batch
from easyconv.training.state import Progress, Recipe, Run, SecondPhase, StepResult
from easyconv.training.steps import flush, settle, zero_grad
from easyconv.training.supply import Supply, TrainingSupply
from easyconv.training.totals import Totals

__all__ = ["Session", "Training"]


class Session:
    """The state of a compiled model: how to train, the optimizer, how far training has come.

    Parameters
    ----------
    recipe : Recipe
        How to train.
    arguments : mapping
        What ``compile`` was called with, of which the recipe was made.
    """

    def __init__(self, recipe: Recipe, arguments: Mapping[str, Any] | None = None) -> None:
        self.recipe = recipe
        self.arguments = dict(arguments or {})
        self.as_compiled = recipe
        """What ``compile`` said; ``recipe`` is another one after a second phase."""
        self.optimizer: torch.optim.Optimizer | None = None
        self.optimizer_as_made: dict[str, Any] = {}
        """Its settings before any schedule has changed them."""
        self.scaler = torch.amp.GradScaler(recipe.device.type) if recipe.precision == "fp16" else None
        self.average: WeightAverage | None = None
        self.progress = Progress()
        self.validations = Progress()
        """Counts the passes of validation, which are keyed apart from those of training."""
        self.run: Run | None = None
        self._compiled: CompiledComputation | None = None
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
            self._prepare_training(net, overrides, supply, checking, class_weight)
            if second is not None:
                self._use(self.as_compiled)
            run = self._start_training(net, overrides, options.seed)
            run.may_split = options.on_oom == "split"
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
        run = self._start(net, overrides)
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
        run = self._start_training(net, overrides)
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
        run = self._start(net, overrides)
        with self._running(run), kept_modes(net), torch.no_grad():
            net.eval()
            return self._totals_of(test_step_of(run, overrides)(next(source.batches())))

    def warn_of_dropped_state(self, recipe: Recipe) -> None:
        """Say what another ``compile`` loses: the optimizer's moments and step count."""
        if self.optimizer is None or not self.optimizer.state or recipe.optimizer.uses(self.optimizer):
            return
        warn_user(
            f"compile() starts the optimizer afresh: what {type(self.optimizer).__name__} has gathered in "
            f"{self.progress.steps} steps is dropped; the weights stay. Call fit() again without compile() to go on."
        )

    def fine(self, lr: float | None, decay: float) -> Recipe:
        """That of ``compile`` at lower rates, layer by layer.

        Parameters
        ----------
        lr : float, optional
            Rate of the head; a tenth of that of ``compile`` by default.
        decay : float
            How the rate of each stage stands to that of the next.
        """
        optimizer = self.as_compiled.optimizer
        return replace(self.as_compiled, optimizer=optimizer.fine(optimizer.lr / 10 if lr is None else lr, decay))

    def go_on_with(self, optimizer: OptimizerFactory) -> None:
        """Train by the recipe of ``compile`` with another optimizer, as after a second phase."""
        self._use(replace(self.as_compiled, optimizer=optimizer))

    def exchange(self, pairs: Mapping[Tensor, Tensor]) -> None:
        """Let the optimizer train new parameters of the net in the places of old ones."""
        existing = self.as_compiled.optimizer.existing
        for optimizer in (self.optimizer, existing):
            if optimizer is not None:
                exchange(optimizer, pairs)
        if existing is None:
            return
        held = {parameter for group in existing.param_groups for parameter in group["params"]}
        if not held.issuperset(pairs.values()):
            warn_user(
                f"The optimizer ({type(existing).__name__}) was made by you without the old head, and does not train "
                "the new one. Call compile() again: with a name or ec.optim.SGD(...), or with an optimizer of the new "
                "parameters."
            )

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

    def _start(self, net: nn.Module, overrides: Overrides, seed: int | None = None) -> Run:
        """A new run, with what earlier calls have left."""
        compute = computation(net, loss_function(self.recipe, overrides))
        if self.recipe.jit:
            compute = self._compiled = self._compiled or CompiledComputation(
                compute, cuda_graphs=can_replay(self.recipe)
            )
        self.recipe.objective.to(self.recipe.device)
        return Run(
            net=net,
            recipe=self.recipe,
            compute=compute,
            finite=FiniteWatch(net, self.recipe.device),
            scaler=self.scaler,
            progress=self.progress,
            seed=seed,
        )

    def _start_training(self, net: nn.Module, overrides: Overrides, seed: int | None = None) -> Run:
        """A new run with the optimizer, and the average of the weights where one is kept."""
        run = self._start(net, overrides, seed)
        self._equip(run)
        return run

    def equip(self, run: Run) -> None:
        """Give a run the optimizer and the average that the session has for the net as it is now."""
        self._equip(run)
        _follow_steps(run)

    def _equip(self, run: Run) -> None:
        run.optimizer = self._optimizer_for(run.net)
        if self.recipe.ema is not None:
            run.average = self.average = WeightAverage.following(run.net, self.recipe.ema, self.average)
        run.follow_net = partial(self._follow_net, run, _trained(run.net))

    def _follow_net(self, run: Run, before: list[int]) -> None:
        """Train what is no longer frozen, and average what is trained."""
        if _trained(run.net) != before:
            self.equip(run)

    def _use(self, recipe: Recipe) -> None:
        """Go on by another recipe, with an optimizer that has gathered nothing."""
        if recipe is not self.recipe:
            self.recipe, self.optimizer = recipe, None

    def _plan(self, run: Run, options: FitOptions, second: SecondPhase | None) -> loop.Plan:
        plan = options.plan()
        return plan if second is None else replace(plan, before_epoch=partial(self._go_on, run, second))

    def _go_on(self, run: Run, second: SecondPhase, epoch: int) -> None:
        """Begin the second phase, once its first epoch is there."""
        if epoch < second.epoch or self.recipe is second.recipe:
            return
        second.begin()
        self._use(second.recipe)
        run.recipe = self.recipe
        self.equip(run)

    def _optimizer_for(self, net: nn.Module) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = self.recipe.optimizer(net, self.recipe.objective.parameters())
            self.optimizer_as_made = settings_of(self.optimizer)
        else:
            self.recipe.optimizer.adopt(self.optimizer, net)
        warn_of_idle_optimizer(self.optimizer)
        warn_of_untrained_layers(net)
        return self.optimizer

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
                _follow_steps(run)
                yield
        finally:
            self.run = outer

    def __getstate__(self) -> dict[str, Any]:
        # What torch.compile made belongs to this very net; a copy compiles its own.
        return {**vars(self), "_compiled": None, "run": None, "_second": None}


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


def _trained(net: nn.Module) -> list[int]:
    return [id(parameter) for parameter in net.parameters() if parameter.requires_grad]


def _params(source: Source, supply: Supply, options: FitOptions) -> dict[str, Any]:
    return {"batch_size": source.batch_size, "epochs": options.epochs, "steps": supply.steps_per_epoch}


def _follow_steps(run: Run) -> None:
    """Average the weights after each step of the optimizer that the run has now."""
    run.hooks.close()
    if run.average is not None and run.optimizer is not None:
        run.hooks.enter_context(run.average.following_steps(run.optimizer))
