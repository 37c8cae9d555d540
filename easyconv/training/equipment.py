"""With what a net is trained: recipe, optimizer, loss scaler, averaged weights; all that lasts from call to call."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.data.sources.make import Source
from easyconv.layers.keeping import kept
from easyconv.notices import warn_user
from easyconv.optim import OptimizerFactory
from easyconv.optim.adopting import exchange
from easyconv.seed import kept_random_state
from easyconv.training.advice import warn_of_idle_optimizer, warn_of_untrained_layers
from easyconv.training.averaging import WeightAverage
from easyconv.training.compiling import CompiledComputation, can_replay
from easyconv.training.finite import FiniteWatch
from easyconv.training.identity import settings_of
from easyconv.training.overriding import Overrides, computation, loss_function
from easyconv.training.state import Progress, Recipe, Run

__all__ = ["Equipment", "follow_steps"]


class Equipment:
    """What ``compile`` makes, and what training adds to it.

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
        self._compiled: CompiledComputation | None = None

    @property
    def why_uncompiled(self) -> str:
        """Why ``jit=True`` has no effect; empty where it has one, or nothing has been compiled yet."""
        return self._compiled.in_vain if self._compiled is not None else ""

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
        self.use(replace(self.as_compiled, optimizer=optimizer))

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

    def use(self, recipe: Recipe) -> None:
        """Go on by another recipe, with an optimizer that has gathered nothing."""
        if recipe is not self.recipe:
            self.recipe, self.optimizer = recipe, None

    def start(self, net: nn.Module, overrides: Overrides, seed: int | None = None) -> Run:
        """A new run, with what earlier calls have left."""
        compute = computation(net, loss_function(self.recipe, overrides))
        if self.recipe.jit:
            aside = partial(_aside, net, self.recipe.device)
            compute = self._compiled = self._compiled or CompiledComputation(
                compute, aside=aside, cuda_graphs=can_replay(self.recipe)
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

    def start_training(self, net: nn.Module, overrides: Overrides, seed: int | None = None) -> Run:
        """A new run with the optimizer, and the average of the weights where one is kept."""
        run = self.start(net, overrides, seed)
        self._equip(run)
        return run

    def expect(self, source: Source, *, training: bool) -> None:
        """Let code be made for batches of this source."""
        if self._compiled is not None:
            size, rows = source.batch_size, source.rows
            self._compiled.expect(None if size is None or rows is None else min(size, rows), training=training)

    def equip(self, run: Run) -> None:
        """Give a run the optimizer and the average that the session has for the net as it is now."""
        self._equip(run)
        follow_steps(run)

    def _equip(self, run: Run) -> None:
        run.optimizer = self._optimizer_for(run.net)
        if self.recipe.ema is not None:
            run.average = self.average = WeightAverage.following(run.net, self.recipe.ema, self.average)
        run.follow_net = partial(self._follow_net, run, _trained(run.net))

    def _follow_net(self, run: Run, before: list[int]) -> None:
        """Train what is no longer frozen, and average what is trained."""
        if _trained(run.net) != before:
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

    def __getstate__(self) -> dict[str, Any]:
        # What torch.compile made belongs to this very net; a copy compiles its own.
        return {**vars(self), "_compiled": None}


def follow_steps(run: Run) -> None:
    """Average the weights after each step of the optimizer that the run has now."""
    run.hooks.close()
    if run.average is not None and run.optimizer is not None:
        run.hooks.enter_context(run.average.following_steps(run.optimizer))


def _trained(net: nn.Module) -> list[int]:
    return [id(parameter) for parameter in net.parameters() if parameter.requires_grad]


@contextmanager
def _aside(net: nn.Module, device: torch.device) -> Iterator[None]:
    """What is computed in the block leaves nothing behind."""
    with kept_random_state(device), kept(net):
        yield
