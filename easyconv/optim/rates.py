"""Learning rates of an optimizer that exists, and its description."""

import inspect
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from easyconv.arguments import check_number

__all__ = ["arguments_of", "describe", "get_lr", "scale_lr", "set_lr"]

_RELATIVE = "relative_lr"


def get_lr(optimizer: Optimizer) -> float:
    """Learning rate of the first parameter group.

    Examples
    --------
    >>> import torch
    >>> get_lr(torch.optim.SGD([torch.zeros(1)], lr=0.5))
    0.5
    """
    return float(optimizer.param_groups[0]["lr"])


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of the first parameter group; the others keep their ratios to it.

    With several groups the ratios are remembered in each group under ``"relative_lr"``, so that they outlive a rate
    of 0.

    Raises
    ------
    ArgumentError
        When ``lr`` is negative or not finite.

    Examples
    --------
    >>> import torch
    >>> groups = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "lr": 0.1}]
    >>> optimizer = torch.optim.SGD(groups, lr=1.0)
    >>> set_lr(optimizer, 0.5)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.5, 0.05]
    """
    lr = check_number("lr", lr, minimum=0)
    groups = optimizer.param_groups
    if len(groups) > 1 and _RELATIVE not in groups[0]:
        first = get_lr(optimizer)
        for group in groups:
            group[_RELATIVE] = float(group["lr"]) / first if first > 0 else 1.0
    for group in groups:
        _write_lr(group, lr * group.get(_RELATIVE, 1.0))


def scale_lr(optimizer: Optimizer, factor: float, min_lr: float = 0.0) -> float:
    """Multiply the learning rate of every parameter group, down to ``min_lr`` at least.

    Parameters
    ----------
    optimizer : Optimizer
    factor : float
        At least 0.
    min_lr : float, default 0.0
        No group falls below it; one that is below already stays.

    Returns
    -------
    float
        The new learning rate of the first group.

    Examples
    --------
    >>> import torch
    >>> scale_lr(torch.optim.SGD([torch.zeros(1)], lr=0.5), 0.1)
    0.05
    """
    factor = check_number("factor", factor, minimum=0)
    min_lr = check_number("min_lr", min_lr, minimum=0)
    # read before anything is written: groups may share a rate that is a tensor
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    for group, old in zip(optimizer.param_groups, rates, strict=True):
        _write_lr(group, max(old * factor, min(old, min_lr)))
    return get_lr(optimizer)


def _write_lr(group: dict[str, Any], lr: float) -> None:
    if isinstance(group["lr"], Tensor):  # in place, because a captured graph reads this very tensor
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def describe(optimizer: Optimizer) -> str:
    """The class, the learning rate, and the arguments that are not torch's defaults, of the first parameter group.

    Examples
    --------
    >>> import torch
    >>> describe(torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9))
    'SGD(lr=0.1, momentum=0.9)'
    """
    group = optimizer.param_groups[0]
    shown = {"lr": f"{get_lr(optimizer):g}"}
    for name, parameter in arguments_of(type(optimizer)).items():
        if name != "lr" and name in group and group[name] != parameter.default:
            shown[name] = repr(group[name])
    groups = f", {len(optimizer.param_groups)} parameter groups" if len(optimizer.param_groups) > 1 else ""
    return f"{type(optimizer).__name__}({', '.join(f'{key}={value}' for key, value in shown.items())}{groups})"


def arguments_of(cls: type[Optimizer]) -> dict[str, inspect.Parameter]:
    """Arguments of ``cls`` without the parameters to train."""
    named = list(inspect.signature(cls).parameters.items())
    return dict(named[1:])
