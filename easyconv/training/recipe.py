"""From the arguments of ``compile`` to a recipe."""

import functools
from typing import Any, Literal, cast, get_args

import torch

from easyconv.arguments import check_choice, check_flag, check_integer, check_number
from easyconv.device import has_fast_bf16, resolve_device
from easyconv.errors import ArgumentError
from easyconv.losses import make_objective
from easyconv.metrics import make_metrics
from easyconv.notices import warn_user
from easyconv.optim import resolve_optimizer
from easyconv.training.state import Layout, Precision, Recipe

__all__ = ["make_recipe"]


def make_recipe(
    *,
    optimizer: Any,
    loss: Any,
    metrics: Any,
    lr: float | None,
    device: str | torch.device,
    precision: Precision | Literal["auto"],
    jit: bool,
    clip_norm: float | None,
    clip_value: float | None,
    accumulate: int,
    ema: float | None,
    channels_last: Layout,
    loss_weights: Any,
) -> Recipe:
    """Resolve every name and check every number, before anything is trained."""
    where = resolve_device(device)
    objective = make_objective(loss, loss_weights)
    return Recipe(
        optimizer=resolve_optimizer(optimizer, lr),
        objective=objective,
        metrics=tuple(
            make_metrics(metrics, kinds=objective.kinds, expects=objective.expects, ignore_index=objective.ignore_index)
        ),
        device=where,
        precision=_precision(precision, where),
        jit=check_flag("jit", jit),
        clip_norm=None if clip_norm is None else check_number("clip_norm", clip_norm, above=0.0),
        clip_value=None if clip_value is None else check_number("clip_value", clip_value, above=0.0),
        accumulate=check_integer("accumulate", accumulate, minimum=1),
        ema=None if ema is None else check_number("ema", ema, above=0.0, below=1.0),
        channels_last=check_choice("channels_last", channels_last, ("auto", True, False)),
    )


def _precision(precision: str, device: torch.device) -> Precision:
    """``"auto"`` is bfloat16 on a device that has units for it, and float32 elsewhere."""
    named = check_choice("precision", precision, ("auto", *get_args(Precision)))
    if named == "auto":
        if not has_fast_bf16(device):
            return "fp32"
        _tell_of_bf16(device.type)
        return "bf16"
    if named == "fp16" and device.type == "cpu":
        raise ArgumentError(
            "precision='fp16' needs an accelerator: a CPU computes float16 slowly and less exactly. Pass "
            "precision='bf16' on a CPU."
        )
    return cast(Precision, named)


@functools.cache
def _tell_of_bf16(kind: str) -> None:
    """Say once that the numbers are not those of float32."""
    warn_user(
        f"precision='auto' trains in bfloat16 here, since this {kind.upper()} is faster in it: outputs are exact to "
        "about three digits, weights stay float32. Write precision='bf16' to mean it, or 'fp32'."
    )
