"""What a session has gathered, as plain data, and back: optimizer, averages, loss scaler, counts."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.training.averaging import WeightAverage
from easyconv.training.session import Session
from easyconv.training.state import Progress

__all__ = ["restore", "snapshot"]

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
    session.progress = Progress(**state["progress"])
    session.validations = Progress(**state["validations"])
    if state["optimizer"] is not None:
        session.optimizer = _optimizer(session, net, state["optimizer"], parameters)
    if state["scaler"] is not None and session.scaler is not None:
        session.scaler.load_state_dict(dict(state["scaler"]))
    if state["average"] is not None:
        weights: list[Tensor] = [parameters[name] for name in state["average"]["names"]]
        session.average = WeightAverage.restored(weights, session.as_compiled.ema or 0.0, state["average"])


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


def _optimizer(
    session: Session, net: nn.Module, state: Mapping[str, Any], parameters: Mapping[str, nn.Parameter]
) -> torch.optim.Optimizer:
    """One of the right kind, with the groups and all else as they were."""
    optimizer = session.recipe.optimizer(net, session.recipe.objective.parameters())
    optimizer.param_groups[:] = _with_params(state["groups"], parameters)
    order = {name: index for index, name in enumerate(name for group in state["groups"] for name in group["params"])}
    numbered = {order[name]: part for name, part in state["state"].items()}
    optimizer.load_state_dict({"state": numbered, "param_groups": _with_params(state["groups"], order)})
    return optimizer


def _average_state(average: WeightAverage, names: Mapping[Tensor, str]) -> Snapshot:
    return {"names": [names[weight] for weight in average.weights], **average.state()}
