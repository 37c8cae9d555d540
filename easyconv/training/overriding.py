"""What the user's class defines anew, and what the steps of a run are then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.make import Source
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.inference.pooling import pooled_by_slices
from easyconv.inference.way import is_compiled
from easyconv.layers.keeping import call
from easyconv.notices import warn_user
from easyconv.training.auxiliary import with_auxiliary_losses
from easyconv.training.layout import as_usual
from easyconv.training.state import Computation, LossFunction, Recipe, Run, Step, StepResult
from easyconv.training.steps import as_result, eval_step, train_step

__all__ = ["Overrides", "computation", "loss_function", "test_step_of", "train_step_of"]


@dataclass(frozen=True)
class Overrides:
    """Methods that the user's class defines anew; ``None`` stands for easyconv's own.

    ``note`` and ``adopt`` are not the user's: one is told the first rows that the net gets, their source, and what the
    data went through that the net is trained on, where it is other data that says it; the other what makes such
    inputs of any picture, where the data that is trained on says it.
    """

    train_step: Callable[[Batch], Any] | None = None
    test_step: Callable[[Batch], Any] | None = None
    compute_loss: Callable[[Any, Any, Tensor | None], Tensor] | None = None
    note: Callable[[Any, Source, Preprocessing | None], None] = lambda inputs, source, trained_on: None
    adopt: Callable[[Preprocessing], None] = lambda preprocessing: None

    @property
    def own_targets(self) -> bool:
        """Whether only the user knows what the targets are: a loss or a step is the user's own."""
        return self.compute_loss is not None or self.train_step is not None


def computation(net: nn.Module, compute_loss: LossFunction) -> Computation:
    """The forward pass and the loss of a batch, in one function."""

    def compute(x: Any, y: Any, weight: Tensor | None) -> tuple[Any, Tensor, Mapping[str, Tensor]]:
        output = as_usual(call(net, x), x)
        loss, values = compute_loss(output, y, weight)
        return output, loss, values

    return compute


def loss_function(recipe: Recipe, overrides: Overrides) -> LossFunction:
    """The loss of ``compile``, with those of auxiliary heads, or the user's ``compute_loss``."""
    own = overrides.compute_loss
    if own is None:
        return with_auxiliary_losses(recipe.objective.parts)
    return lambda output, target, sample_weight: (_scalar(own(output, target, sample_weight)), {})


def train_step_of(run: Run, overrides: Overrides) -> Step:
    """What happens to a batch that is trained on: easyconv's own step, or the user's."""
    own = overrides.train_step
    run.users_step = own is not None
    if own is None:
        return partial(train_step, run)
    adapted = _adapted(own, run)
    told = False

    def step(batch: Batch) -> StepResult:
        nonlocal told
        result = adapted(batch)
        if not told and not run.took_own_step:
            _warn_of_ignored_arguments(run.recipe)
            _warn_of_ignored_split(run)
        told = True
        return result

    return step


def test_step_of(run: Run, overrides: Overrides) -> Step:
    """What happens to a batch that is measured."""
    step = partial(eval_step, run) if overrides.test_step is None else _adapted(overrides.test_step, run)
    return step if run.recipe.jit or is_compiled(run.net) else pooled_by_slices(step, run.recipe.device)


def _adapted(step: Callable[[Batch], Any], run: Run) -> Step:
    metrics = [metric.name for metric in run.recipe.metrics]
    return lambda batch: as_result(step(batch), batch, metrics)


def _warn_of_ignored_arguments(recipe: Recipe) -> None:
    given = {
        "precision": recipe.precision != "fp32",
        "jit": recipe.jit,
        "clip_norm": recipe.clip_norm is not None,
        "clip_value": recipe.clip_value is not None,
        "accumulate": recipe.accumulate > 1,
    }
    names = [f"{name}={getattr(recipe, name)!r}" for name, differs in given.items() if differs]
    if names:
        warn_user(
            f"compile({', '.join(names)}) has no effect here: your own train_step has to see to that itself, or call "
            "super().train_step(batch)."
        )


def _warn_of_ignored_split(run: Run) -> None:
    if run.may_split:
        warn_user(
            "fit(on_oom='split') has no effect here: your own train_step would have to cut its batches itself, or call "
            "super().train_step(batch)."
        )


def _scalar(loss: Any) -> Tensor:
    if not isinstance(loss, Tensor):
        raise ArgumentTypeError(f"compute_loss must return a tensor, got {loss!r} ({type(loss).__name__}).")
    if loss.numel() != 1:
        raise ArgumentError(
            f"compute_loss must return the mean loss of the batch, one number, got the shape {tuple(loss.shape)}. End "
            "it with .mean()."
        )
    return loss.reshape(())
