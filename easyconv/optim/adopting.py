"""Parameters that become trainable while an optimizer is in use find their group."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from easyconv.optim.groups import Group

__all__ = ["adopt_into_groups", "exchange"]


def adopt_into_groups(optimizer: Optimizer, groups: Sequence[Group]) -> None:
    """Put what can be trained and is not held yet where the others of its group are.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Was made with the groups that the net had then.
    groups : sequence of dict
        The groups that the net has now. The parameters of a group are held in this order afterwards, so that an
        optimizer that is made now numbers them alike in its ``state_dict``.

    Examples
    --------
    >>> net = torch.nn.Linear(2, 3)
    >>> optimizer = torch.optim.SGD([{"params": []}, {"params": [net.bias], "lr": 0.2}], lr=0.1)
    >>> adopt_into_groups(optimizer, [{"params": [net.weight]}, {"params": [net.bias], "lr": 0.2}])
    >>> [len(group["params"]) for group in optimizer.param_groups]
    [1, 1]
    """
    homes = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    for place, group in enumerate(groups):
        new = [parameter for parameter in group["params"] if parameter.requires_grad and id(parameter) not in homes]
        if not new:
            continue
        home = _home(optimizer, place, group, homes)
        if home is None:
            optimizer.add_param_group({**group, "params": new, "lr": _rate_now(optimizer, groups[0], group)})
        else:
            order = {id(parameter): number for number, parameter in enumerate(group["params"])}
            home["params"].extend(new)
            home["params"].sort(key=lambda parameter: order.get(id(parameter), len(order)))


def exchange(optimizer: Optimizer, pairs: Mapping[Tensor, Tensor]) -> None:
    """Put new parameters into the places of old ones; what was gathered for the old ones is forgotten.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Whose, and whoever made it.
    pairs : mapping of Tensor to Tensor
        Old parameters, held or not, to new ones.

    Examples
    --------
    >>> old, new = torch.nn.Linear(2, 3), torch.nn.Linear(2, 4)
    >>> optimizer = torch.optim.SGD(old.parameters(), lr=0.1)
    >>> exchange(optimizer, {old.weight: new.weight, old.bias: new.bias})
    >>> [parameter.shape for parameter in optimizer.param_groups[0]["params"]]
    [torch.Size([4, 2]), torch.Size([4])]
    """
    for group in optimizer.param_groups:
        group["params"] = [pairs.get(held, held) for held in group["params"]]
    for old in pairs:
        optimizer.state.pop(old, None)


def _home(optimizer: Optimizer, place: int, group: Group, homes: dict[int, Any]) -> dict[str, Any] | None:
    """The group of the optimizer that holds others of ``group``, or that was made for it and is empty still."""
    for parameter in group["params"]:
        if id(parameter) in homes:
            found: dict[str, Any] = homes[id(parameter)]
            return found
    made = optimizer.param_groups
    return made[place] if place < len(made) and not made[place]["params"] else None


def _rate_now(optimizer: Optimizer, first: Group, group: Group) -> float | Tensor:
    """The learning rate of a new group, lowered or raised as that of the first has been since it was made."""
    default, now = optimizer.defaults["lr"], optimizer.param_groups[0]["lr"]
    before = float(first.get("lr", default))
    rate = float(group.get("lr", default)) * (float(now) / before if before > 0 else 1.0)
    return torch.full_like(now, rate) if isinstance(now, Tensor) else rate
