"""All that a training changes, noted so that it can be given back bit by bit."""

import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from easyconv.seed import random_state
from easyconv.training.session import Session

__all__ = ["Back", "snapshot"]

Back = Callable[[], None]


def snapshot(model: Any) -> Back:
    """Note weights, buffers, optimizer, loss scaler, average, progress, history and global random state of a model.

    Parameters
    ----------
    model : easyconv.Model
        In the midst of ``on_train_begin``.

    Returns
    -------
    callable
        Gives everything back, at ``on_train_end``.
    """
    session: Session = model._session
    parts = [
        _tensors(model, session.optimizer),
        _extra_states(model),
        _optimizer(session.optimizer),
        _scaler(session),
        _average(session),
        _counters(session, model.history),
        random_state(session.recipe.device),
    ]

    def give_back() -> None:
        with torch.no_grad():
            for part in parts:
                part()

    return give_back


def _tensors(net: nn.Module, optimizer: Optimizer | None) -> Back:
    """Parameters stay the same objects; a buffer may be another tensor by then."""
    held = [] if optimizer is None else [p for group in optimizer.param_groups for p in group["params"]]
    parameters = [(parameter, parameter.detach().clone()) for parameter in dict.fromkeys([*net.parameters(), *held])]
    buffers = {name: buffer.detach().clone() for name, buffer in net.named_buffers()}

    def give_back() -> None:
        for parameter, value in parameters:
            parameter.copy_(value)
        for name, value in buffers.items():
            net.get_buffer(name).copy_(value)

    return give_back


def _extra_states(net: nn.Module) -> Back:
    own = [part for part in net.modules() if type(part).get_extra_state is not nn.Module.get_extra_state]
    states = [(part, copy.deepcopy(part.get_extra_state())) for part in own]

    def give_back() -> None:
        for part, state in states:
            part.set_extra_state(state)

    return give_back


def _optimizer(optimizer: Optimizer | None) -> Back:
    if optimizer is None:
        return lambda: None
    groups = [{name: _copied(value) for name, value in group.items()} for group in optimizer.param_groups]
    states = {held: {name: _copied(value) for name, value in state.items()} for held, state in optimizer.state.items()}

    def give_back() -> None:
        for group, settings in zip(optimizer.param_groups, groups, strict=True):
            params = group["params"]
            group.clear()
            group.update(settings, params=params)
        optimizer.state = defaultdict(dict, states)

    return give_back


def _copied(value: Any) -> Any:
    """A setting or moment; parameters in lists stay what they are."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    return list(value) if isinstance(value, list) else copy.deepcopy(value)


def _scaler(session: Session) -> Back:
    scaler = session.scaler
    if scaler is None:
        return lambda: None
    state = scaler.state_dict()
    return lambda: scaler.load_state_dict(state)


def _average(session: Session) -> Back:
    average = session.average
    if average is None:
        return lambda: None
    copies = [value.clone() for value in average.averages]
    raw = None if average._raw is None else [value.clone() for value in average._raw]

    def give_back() -> None:
        average.averages, average._raw, average._began = copies, raw, None

    return give_back


def _counters(session: Session, history: Any) -> Back:
    counts = [(progress, dict(vars(progress))) for progress in (session.progress, session.validations)]
    epochs = len(history)

    def give_back() -> None:
        for progress, values in counts:
            vars(progress).update(values)
        del history.epoch[epochs:], history.rows[epochs:]

    return give_back
