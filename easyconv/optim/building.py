"""From a function of parameters to the optimizer of a net."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvError, StateError
from easyconv.optim.groups import Group

__all__ = ["build", "check_some_trainable", "make_optimizer", "refuse_lbfgs"]

_FUSED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
_HOW = ("fused", "foreach", "differentiable", "capturable")


def build(
    function: Callable[..., Any],
    name: str,
    net: nn.Module,
    extra_parameters: Iterable[nn.Parameter],
    *,
    split: Callable[[nn.Module], list[Group]] | None = None,
) -> Optimizer:
    """Optimizer of what can be trained in ``net`` and in a loss, in one group or as ``split`` groups the net.

    Raises
    ------
    StateError
        When there is nothing to train.
    ArgumentError, ArgumentTypeError
        When ``function`` refuses the parameters, or returns no optimizer, or one that ``fit`` cannot use.
    """
    found = {id(parameter): parameter for parameter in (*net.parameters(), *extra_parameters)}
    check_some_trainable(found.values())
    trainable: list[Any] = [parameter for parameter in found.values() if parameter.requires_grad]
    if split is not None:
        trainable = _in_groups(trainable, split(net))
    try:
        optimizer = function(trainable)
    except EasyconvError:
        raise
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"The optimizer {name} refused the parameters of this net: {error}") from error
    if not isinstance(optimizer, Optimizer):
        raise ArgumentTypeError(
            f"The function {name!r} must return a torch.optim.Optimizer, got {type(optimizer).__name__}."
        )
    refuse_lbfgs(optimizer)
    return optimizer


def make_optimizer(cls: type[Optimizer], arguments: Mapping[str, Any], parameters: list[Any]) -> Optimizer:
    """An optimizer of torch; one fused kernel does its step on CUDA, where nobody has said how.

    On the CPU that would give other bits than a plain loop, so there it is left to ``fused=True`` of the user's.
    """
    if cls in _FUSED and not any(word in arguments for word in _HOW) and _all_on_cuda(parameters):
        arguments = {**arguments, "fused": True}
    return cls(parameters, **arguments)


def _all_on_cuda(parameters: list[Any]) -> bool:
    groups = [part["params"] if isinstance(part, dict) else [part] for part in parameters]
    found = [parameter for group in groups for parameter in group]
    return all(parameter.is_cuda and parameter.is_floating_point() for parameter in found)


def _in_groups(trainable: list[nn.Parameter], groups: list[Group]) -> list[Group]:
    """The trainable parameters of each group, also where there are none yet; what no group holds is the loss's."""
    held = {id(parameter) for group in groups for parameter in group["params"]}
    rest = [parameter for parameter in trainable if id(parameter) not in held]
    filled = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in groups]
    return [*filled, {"params": rest}] if rest else filled


def check_some_trainable(parameters: Iterable[nn.Parameter]) -> None:
    """Refuse to train nothing: no parameters, or frozen ones only."""
    flags = [parameter.requires_grad for parameter in parameters]
    if not flags:
        raise StateError(
            "There is nothing to train: the net has no parameters. Add a layer with weights, or use evaluate() and "
            "predict(), which need none."
        )
    if not any(flags):
        raise StateError(
            f"There is nothing to train: all {len(flags)} parameters are frozen. Unfreeze some: model.unfreeze()."
        )


def refuse_lbfgs(optimizer: Any) -> None:
    """Refuse ``LBFGS`` as a name, a class or an object."""
    is_name = isinstance(optimizer, str) and optimizer.strip().lower() == "lbfgs"
    is_class = isinstance(optimizer, type) and issubclass(optimizer, torch.optim.LBFGS)
    if is_name or is_class or isinstance(optimizer, torch.optim.LBFGS):
        raise ArgumentError(
            "LBFGS computes the loss of one batch several times per step, which fit() does not do. Use 'adam' or "
            "'sgd', or write a loop for LBFGS."
        )
