"""What training changes, as plain data, and back: the net; and what a session has gathered besides."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.training.averaging import WeightAverage
from easyconv.training.session import Session

__all__ = ["give_group_settings", "group_settings", "load_net", "net_state", "restore", "snapshot", "tensors_of"]

Snapshot = dict[str, Any]


def snapshot(session: Session, net: nn.Module) -> Snapshot:
    """Everything that training goes on with besides the net itself; parameters are called by their names.

    Parameters
    ----------
    session : Session
        Of a compiled model.
    net : torch.nn.Module
        What it trains.

    Returns
    -------
    dict
        Numbers, text, tensors (those of the session, no copies) and what holds them.
    """
    names: dict[Tensor, str] = {parameter: name for name, parameter in _parameters(session, net).items()}
    return {
        "progress": asdict(session.progress),
        "validations": asdict(session.validations),
        "optimizer": None if session.optimizer is None else _optimizer_state(session.optimizer, names),
        "scaler": None if session.scaler is None else session.scaler.state_dict(),
        "average": None if session.average is None else _average_state(session.average, names),
        "others": {
            place: _optimizer_state(optimizer, names) for place, optimizer in _other_optimizers(session, net).items()
        },
    }


def restore(session: Session, net: nn.Module, state: Mapping[str, Any]) -> None:
    """Put a snapshot into the session of a model that was compiled in the same way.

    Parameters
    ----------
    session : Session
        Newly compiled.
    net : torch.nn.Module
        With the weights that belong to the snapshot.
    state : dict
        What `snapshot` gave.

    Raises
    ------
    KeyError, ValueError
        When the net has other parameters.
    """
    parameters = _parameters(session, net)
    vars(session.progress).update(state["progress"])
    vars(session.validations).update(state["validations"])
    if state["optimizer"] is not None:
        if session.optimizer is None:
            session.optimizer = session.recipe.optimizer(net, session.recipe.objective.parameters())
        _load_optimizer(session.optimizer, state["optimizer"], parameters)
    for place, optimizer in _other_optimizers(session, net).items():
        if place in state.get("others", {}):
            _load_optimizer(optimizer, state["others"][place], parameters)
    if state["scaler"] is not None and session.scaler is not None:
        session.scaler.load_state_dict(dict(state["scaler"]))
    if state["average"] is not None:
        weights: list[Tensor] = [parameters[name] for name in state["average"]["names"]]
        session.average = WeightAverage.restored(weights, session.as_compiled.ema or 0.0, state["average"])


def net_state(session: Session, net: nn.Module) -> Snapshot:
    """Weights, buffers, what is trained, and what modules keep besides; tensors are those of the net, no copies."""
    return {
        "tensors": tensors_of(session, net),
        "state_dict": list(net.state_dict()),
        "trained": {name: weight.requires_grad for name, weight in net.named_parameters()},
        "extra": {name: module.get_extra_state() for name, module in _with_extra_state(net)},
    }


def load_net(session: Session, net: nn.Module, state: Mapping[str, Any]) -> None:
    """Put what `net_state` gave into a net of the same making."""
    with torch.no_grad():
        for name, tensor in tensors_of(session, net).items():
            tensor.copy_(state["tensors"][name])
    for name, weight in net.named_parameters():
        weight.requires_grad_(state["trained"][name])
    for name, module in _with_extra_state(net):
        module.set_extra_state(state["extra"][name])


def tensors_of(session: Session, net: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, those of the loss too, and those that ``state_dict`` leaves out."""
    tied = dict(net.named_parameters(remove_duplicate=False))
    of_loss = {
        f"(loss).{index}.{name}": buffer
        for index, module in enumerate(session.recipe.objective.modules())
        for name, buffer in module.named_buffers()
    }
    return {**tied, **_parameters(session, net), **dict(net.named_buffers(remove_duplicate=False)), **of_loss}


def group_settings(session: Session) -> list[dict[str, Any]]:
    """Rates and all else that the optimizer's groups say, without their parameters."""
    groups = () if session.optimizer is None else session.optimizer.param_groups
    return [{name: value for name, value in group.items() if name != "params"} for group in groups]


def give_group_settings(session: Session, settings: Iterable[Mapping[str, Any]]) -> None:
    """Put what `group_settings` gave into an optimizer of the same groups."""
    groups = () if session.optimizer is None else session.optimizer.param_groups
    for group, given in zip(groups, settings, strict=True):
        parameters = group["params"]
        group.clear()
        group.update(given, params=parameters)


def _other_optimizers(session: Session, net: nn.Module) -> dict[str, torch.optim.Optimizer]:
    """Optimizers that modules of the user's keep as attributes, for a ``train_step`` of their own, by their places."""
    known = set(_parameters(session, net).values())
    return {
        f"{name}.{attribute}": value
        for name, module in net.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, torch.optim.Optimizer) and value is not session.optimizer and _trains(value, known)
    }


def _trains(optimizer: torch.optim.Optimizer, parameters: set[nn.Parameter]) -> bool:
    return all(parameter in parameters for group in optimizer.param_groups for parameter in group["params"])


def _with_extra_state(net: nn.Module) -> list[tuple[str, nn.Module]]:
    usual = nn.Module.get_extra_state
    return [(name, module) for name, module in net.named_modules() if type(module).get_extra_state is not usual]


def _parameters(session: Session, net: nn.Module) -> dict[str, nn.Parameter]:
    """Name to parameter, those of the loss too."""
    of_loss = {f"(loss).{index}": value for index, value in enumerate(session.recipe.objective.parameters())}
    return {**dict(net.named_parameters()), **of_loss}


def _optimizer_state(optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str]) -> Snapshot:
    groups = _with_params(optimizer.param_groups, names)
    return {"groups": groups, "state": {names[parameter]: dict(part) for parameter, part in optimizer.state.items()}}


def _with_params(groups: Iterable[Mapping[str, Any]], others: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Parameter groups with what stands for their parameters elsewhere."""
    return [{**group, "params": [others[parameter] for parameter in group["params"]]} for group in groups]


def _load_optimizer(
    optimizer: torch.optim.Optimizer, state: Mapping[str, Any], parameters: Mapping[str, nn.Parameter]
) -> None:
    """Give it the groups and all else as they were; it stays the object that schedules may hold."""
    optimizer.param_groups[:] = _with_params(state["groups"], parameters)
    order = {name: index for index, name in enumerate(name for group in state["groups"] for name in group["params"])}
    numbered = {order[name]: part for name, part in state["state"].items()}
    optimizer.load_state_dict({"state": numbered, "param_groups": _with_params(state["groups"], order)})


def _average_state(average: WeightAverage, names: Mapping[Tensor, str]) -> Snapshot:
    return {"names": [names[weight] for weight in average.weights], **average.state()}
