"""What happens to one batch: a training step, an evaluation step, a prediction step."""

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.data.sources.batch import Batch, batch_size_of
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.layers.keeping import call
from easyconv.optim import direct
from easyconv.training.auxiliary import main_output
from easyconv.training.blame import LEAST_SCALE, stop
from easyconv.training.splitting import in_parts
from easyconv.training.state import Recipe, Run, StepResult

__all__ = ["as_result", "eval_step", "flush", "predict_step", "settle", "train_step", "zero_grad"]


def train_step(run: Run, batch: Batch) -> StepResult:
    """Forward under autocast, loss, backward, clip, optimizer.

    With ``accumulate``, gradients of several batches are summed, each weighed by its rows, before the optimizer runs.

    Raises
    ------
    NonFiniteLossError
        Before the optimizer runs, when the loss or the gradients are NaN or infinite; on an accelerator it may be the
        batch before that was so.
    """
    run.took_own_step = True
    if not run.pending_steps:
        zero_grad(run)
    run.finite.before(batch, run.progress.steps)
    result = in_parts(run, batch, _gradients) if run.may_split else _gradients(run, batch)
    run.pending_steps += 1
    run.pending_rows += result.size
    bad = run.finite.look(result.loss, _gradients_to_look_at(run))
    if bad is not None:
        stop(run, bad)
    if run.pending_steps == run.recipe.accumulate:
        flush(run)
    return result


def settle(run: Run) -> None:
    """Make sure that the last batch was finite too, which on an accelerator is not known before.

    Raises
    ------
    NonFiniteLossError
        When it was not.
    """
    bad = run.finite.settled()
    if bad is not None:
        stop(run, bad)


def eval_step(run: Run, batch: Batch) -> StepResult:
    """Forward and loss."""
    output, loss, values = _forward(run, batch)
    return StepResult(loss.detach(), batch_size_of(batch), output, batch.y, values)


def predict_step(net: nn.Module, recipe: Recipe | None, batch: Batch) -> Any:
    """Forward only: the raw outputs of the net, which need not have been compiled."""
    with recipe.autocast() if recipe is not None else nullcontext():
        return call(net, batch.x)


def flush(run: Run) -> None:
    """Let the optimizer take the gradients that wait, if any do."""
    if not run.pending_steps or run.optimizer is None:
        return
    recipe = run.recipe
    if run.scaler is not None:
        run.scaler.unscale_(run.optimizer)
    if recipe.accumulate > 1:
        torch._foreach_div_([p.grad for p in _parameters(run.optimizer) if p.grad is not None], run.pending_rows)
    if recipe.clip_norm is not None:
        nn.utils.clip_grad_norm_(_parameters(run.optimizer), recipe.clip_norm)
    if recipe.clip_value is not None:
        nn.utils.clip_grad_value_(_parameters(run.optimizer), recipe.clip_value)
    _optimizer_step(run, run.optimizer)
    run.pending_steps = run.pending_rows = 0


def zero_grad(run: Run) -> None:
    """Forget every gradient: of the net, frozen parameters too, and of what else the optimizer trains (a loss)."""
    # To walk through the net costs more than the work itself, so it is done once an epoch.
    if not run.parameters:
        run.parameters = [*run.net.parameters(), *(_parameters(run.optimizer) if run.optimizer is not None else ())]
        run.parameters = list(dict.fromkeys(run.parameters))
    for parameter in run.parameters:
        parameter.grad = None


def as_result(returned: object, batch: Batch, metrics: Collection[str] = ()) -> StepResult:
    """What an overridden step returned, as a ``StepResult``.

    Parameters
    ----------
    returned : StepResult or mapping of str to tensor or number
        A mapping needs the key ``"loss"``; its other values are averaged over the samples and logged.
    batch : Batch
        What the step was given.
    metrics : collection of str, optional
        Names of the metrics of ``compile``, which need an output to measure, or are among the returned values.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        When it is neither, or has no ``"loss"``, or leaves a metric without anything to measure.
    """
    result = returned if isinstance(returned, StepResult) else _from_values(returned, batch)
    missing = [name for name in metrics if name not in result.values] if result.output is None else []
    if missing:
        raise ArgumentError(
            f"compile() was given the metrics {missing}, but the step returned no output that they could measure. "
            "Return a StepResult(loss, size, output, target), or put these names into the dict beside 'loss'."
        )
    return result


def _from_values(returned: object, batch: Batch) -> StepResult:
    if not isinstance(returned, Mapping):
        raise ArgumentTypeError(
            "train_step and test_step must return a StepResult or a dict like {'loss': loss}, "
            f"got {type(returned).__name__}."
        )
    values = {name: torch.as_tensor(value).detach() for name, value in returned.items()}
    if "loss" not in values:
        raise ArgumentError(f"The dict that a step returns needs the key 'loss', got the keys {sorted(values)}.")
    for name, value in values.items():
        if value.numel() != 1:
            raise ArgumentError(f"A step must return one number as {name!r}, got the shape {tuple(value.shape)}.")
    loss = values.pop("loss").reshape(())
    return StepResult(loss, batch_size_of(batch), values={name: value.reshape(()) for name, value in values.items()})


def _forward(run: Run, batch: Batch) -> tuple[Any, Tensor, Mapping[str, Tensor]]:
    with run.recipe.autocast():
        output, loss, values = run.compute(batch.x, batch.y, batch.sample_weight)
    return main_output(output, batch.y), loss, values


def _gradients(run: Run, batch: Batch, share: float = 1.0) -> StepResult:
    """Add the gradients of a batch, or of a part of one, whose loss counts ``share``."""
    output, loss, values = _forward(run, batch)
    size = batch_size_of(batch)
    weight = size if run.recipe.accumulate > 1 else share
    weighed = loss if weight == 1 else loss * weight
    (run.scaler.scale(weighed) if run.scaler is not None else weighed).backward()  # type: ignore[no-untyped-call]
    return StepResult(loss.detach(), size, _detached(output), batch.y, values)


def _gradients_to_look_at(run: Run) -> list[Tensor]:
    """Those that the optimizer will take; none with a loss scaler, which passes over infinite ones by itself."""
    if run.scaler is not None or run.optimizer is None:
        return []
    groups = run.optimizer.param_groups
    return [found for group in groups for parameter in group["params"] if (found := parameter.grad) is not None]


def _optimizer_step(run: Run, optimizer: torch.optim.Optimizer) -> None:
    if run.scaler is None:
        direct.step(optimizer, run.finite.brake(optimizer, run.average.averages if run.average is not None else ()))
        return
    direct.begin_moments(optimizer)
    run.finite.scaled(run.scaler, optimizer)
    run.scaler.step(optimizer)
    run.scaler.update()
    scale = run.scaler._get_scale_async()
    if scale is not None:
        run.finite.raise_flag(scale < LEAST_SCALE)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _detached(output: Any) -> Any:
    return (
        output.detach()
        if isinstance(output, Tensor)
        else torch.utils._pytree.tree_map_only(Tensor, torch.Tensor.detach, output)
    )
