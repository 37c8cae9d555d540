"""All that a training changes, noted so that it can be given back bit by bit."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from easyconv.seed import random_state
from easyconv.training.session import Session
from easyconv.training.snapshot import load_net, net_state, restore, snapshot

__all__ = ["Back", "noted"]

Back = Callable[[], None]


def noted(model: Any) -> Back:
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
    net, rest = _copied(net_state(session, model)), _copied(snapshot(session, model))
    history, epochs = model.history, len(model.history)
    give_back_random_state = random_state(session.recipe.device)

    def give_back() -> None:
        load_net(session, model, net)
        restore(session, model, rest)
        del history.epoch[epochs:], history.rows[epochs:]
        give_back_random_state()

    return give_back


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone(memory_format=torch.preserve_format)
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(part) for part in value)
    return copy.deepcopy(value)
