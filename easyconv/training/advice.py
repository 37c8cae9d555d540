"""Warnings about mistakes that would train without an error, and badly."""

from typing import Any
from warnings import warn

from torch import Tensor, nn

from easyconv.errors import EasyconvWarning
from easyconv.losses import Objective

__all__ = ["warn_of_idle_optimizer", "warn_of_wrong_ending"]


def warn_of_wrong_ending(net: nn.Module, output: Any, objective: Objective) -> None:
    """Warn where the last layer and the loss both apply a softmax or sigmoid, or neither does."""
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return
    last = _last_layer(net)
    problem = None
    if objective.name == "cross_entropy" and _sums_to_one(output):
        problem = (
            "outputs are probabilities already (a softmax at the end), and cross_entropy applies a softmax itself: the "
            "net would learn slowly. Remove the softmax; predict_proba() gives probabilities"
        )
    elif objective.expects == "logits" and isinstance(last, nn.Sigmoid):
        problem = (
            f"last layer is a sigmoid, and the loss {objective.name!r} applies one itself: the net would learn slowly. "
            "Remove the sigmoid; predict_proba() gives probabilities"
        )
    elif objective.expects == "log_probabilities" and not _sums_to_one(output.exp()):
        problem = (
            f"outputs are no log-probabilities, which the loss {objective.name!r} expects. End the net with "
            "Activation('log_softmax'), or use loss='cross_entropy' on the raw outputs"
        )
    if problem is not None:
        warn(f"The net's {problem}.", EasyconvWarning, stacklevel=2)


def warn_of_idle_optimizer(optimizer: Any) -> None:
    """Warn where every parameter group has the rate 0, so that nothing would change."""
    if all(float(group["lr"]) == 0 for group in optimizer.param_groups if "lr" in group):
        warn(
            "The optimizer's learning rate is 0, so no weight will change unless a schedule raises it. Give the "
            "optimizer lr=0.001 or so.",
            EasyconvWarning,
            stacklevel=2,
        )


def _sums_to_one(output: Tensor) -> bool:
    if output.dim() < 2 or output.shape[1] < 2:
        return False
    values = output.detach().float()
    return bool((values >= 0).all()) and bool(((values.sum(1) - 1).abs() < 1e-4).all())


def _last_layer(net: nn.Module) -> nn.Module | None:
    leaves = [module for module in net.modules() if not any(module.children())]
    return leaves[-1] if leaves else None
