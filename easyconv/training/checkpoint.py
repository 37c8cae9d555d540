"""A training between two steps, as plain data, and back."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map_only

from easyconv.errors import ArgumentTypeError, ResumeError
from easyconv.files.tree import to_json
from easyconv.metrics import Metric
from easyconv.training.callback import Callback, CallbackList
from easyconv.training.history import History
from easyconv.training.position import Position
from easyconv.training.session import Training
from easyconv.training.snapshot import load_net, net_state, restore, snapshot
from easyconv.training.supply import Place
from easyconv.training.totals import Totals

__all__ = ["Content", "announce_epoch", "check_callbacks", "check_metrics", "gather", "load_callbacks", "put_back"]

Content = dict[str, Any]


def gather(training: Training, position: Position, places: tuple[Place, ...]) -> Content:
    """All that another process needs to go on; tensors are those of the training, no copies.

    Parameters
    ----------
    training : Training
        Between two steps.
    position : Position
        Between which.
    places : tuple of Place
        How far the data was taken, of training and of validation.
    """
    totals = position.totals
    return {
        "position": {
            "epoch": position.epoch,
            "batch": position.batch,
            "begun": position.begun,
            "row": None if position.row is None else dict(position.row),
            "totals": None if totals is None else totals.state_dict(),
        },
        "data": [{"taken": place.taken, "digest": place.digest()} for place in places],
        "net": net_state(training.session, training.net),
        "second_phase": training.session.recipe is not training.session.as_compiled,
        "session": snapshot(training.session, training.net),
        "callbacks": [[_name(callback), callback.state_dict()] for callback in _stateful(training.callbacks)],
        "history": {"epoch": list(training.fitted.epoch), "rows": [dict(row) for row in training.fitted.rows]},
        "stopped": training.run.stop,
        "epochs": training.plan.epochs.stop,
        "ended": None,
    }


def put_back(training: Training, content: Content, run: str) -> Position:
    """Let a training go on from what `gather` gave; where that is. Its callbacks are told by `load_callbacks`.

    Parameters
    ----------
    training : Training
        That has done nothing yet.
    content : dict
        From a checkpoint of the same run.
    run : str
        Name of the run.
    """
    where = _position(training, content["position"])
    load_net(training.session, training.net, content["net"])
    if content["second_phase"]:
        # Its optimizer is another one.
        training.plan.before_epoch(where.epoch)
    restore(training.session, training.net, content["session"])
    training.session.equip(training.run)
    for stage, place in zip(training.stages, content["data"], strict=True):
        stage.supply.go_on_after(place["taken"], place["digest"])
    _give_history(training, content["history"], run)
    return where


def check_callbacks(callbacks: CallbackList, content: Content) -> None:
    """See that those who keep a state are the same.

    Raises
    ------
    ResumeError
        When they are not.
    """
    before, now = [name for name, _ in content["callbacks"]], [_name(callback) for callback in _stateful(callbacks)]
    if before != now:
        raise ResumeError(
            f"The run was trained with the callbacks {before or 'none'} (those that have a state), and is to go on "
            f"with {now or 'none'}. Pass the same callbacks in the same order, or choose another folder for a new run."
        )


def check_metrics(metrics: Iterable[Metric]) -> None:
    """See, before anything is trained, that what metrics gather can be written within an epoch.

    Raises
    ------
    ArgumentTypeError
        When one keeps something that is no plain data.
    """
    for metric in metrics:
        metric.reset()
        try:
            to_json(metric.state_dict(), {}, metric.name)
        except ArgumentTypeError as error:
            raise ArgumentTypeError(
                f"The metric {metric.name!r} cannot be kept in a checkpoint: {error} Give its class state_dict() and "
                "load_state_dict(), or leave out resume=."
            ) from error


def announce_epoch(callbacks: CallbackList, content: Content) -> None:
    """Let those who keep no state hear that the epoch begins, of which they have not heard in this process.

    Call it before `put_back`: what they do to the model then (a rate that is multiplied, say) is done there already.
    """
    if content["position"]["begun"]:
        for callback in callbacks.callbacks:
            if not _keeps_state(callback):
                callback.on_epoch_begin(content["position"]["epoch"], {})


def load_callbacks(callbacks: CallbackList, content: Content) -> None:
    """Give each callback its state."""
    for callback, (_, state) in zip(_stateful(callbacks), content["callbacks"], strict=True):
        if state:
            callback.load_state_dict(state)


def _give_history(training: Training, state: Mapping[str, Any], run: str) -> None:
    """The rows of the run; those that the model has of it, from earlier in this process, are replaced."""
    training.history.begin_run(run, anew=False)
    histories: tuple[History, ...] = (training.fitted, training.history)
    for history in histories:
        for epoch, row in zip(state["epoch"], state["rows"], strict=True):
            history.append(epoch, row)


def _position(training: Training, state: Mapping[str, Any]) -> Position:
    totals = None
    if state["totals"] is not None:
        device = training.run.recipe.device
        totals = Totals(training.train.metrics)
        totals.load_state_dict(tree_map_only(Tensor, lambda tensor: tensor.to(device), state["totals"]))
    return Position(state["epoch"], state["batch"], state["begun"], totals, state["row"])


def _stateful(callbacks: CallbackList) -> list[Callback]:
    return [callback for callback in callbacks.callbacks if _keeps_state(callback)]


def _keeps_state(callback: Callback) -> bool:
    """Told by the class: before ``on_train_begin``, or before an epoch, the state itself may not be there yet."""
    return bool(callback.remembers) or type(callback).state_dict is not Callback.state_dict


def _name(callback: Callback) -> str:
    return type(callback).__qualname__
