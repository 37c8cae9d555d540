"""Any schedule of ``torch.optim.lr_scheduler``, stepped per batch or per epoch."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim import lr_scheduler as schedules

from easyconv.arguments import check_choice
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import suggest
from easyconv.training.callback import Callback, Logs

__all__ = ["BEGAN_AT", "LEFT_AT", "TorchScheduler"]

BEGAN_AT, LEFT_AT = "schedule_began_at", "schedule_left_at"
"""Notes that schedules of whole trainings leave in the parameter groups."""


class TorchScheduler(Callback):
    """Any schedule of ``torch.optim.lr_scheduler``.

    Each ``fit`` starts the schedule anew, from the rates that the optimizer then has.

    Parameters
    ----------
    make : callable
        From the optimizer to the schedule: ``lambda optimizer: StepLR(optimizer, 30)``.
    per : {"epoch", "batch"}, default "epoch"
        When it is stepped. The row of an epoch in the history has the rate that the epoch was trained with; per batch,
        the rate after its last batch.
    monitor : str, optional
        For torch's ``ReduceLROnPlateau``: the value in the logs of an epoch that it is stepped with. Epochs without
        validation are left out.

    Raises
    ------
    ArgumentTypeError
        When ``make`` is a schedule instead of a function, or makes something else.
    ArgumentError
        When the rates are 0 at the start, as an earlier schedule may have left them; or ``monitor`` is not in the logs.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd", lr=1.0)
    >>> halving = TorchScheduler(lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5))
    >>> history = model.fit(torch.rand(8, 3), torch.arange(8) % 2, epochs=3, callbacks=halving, verbose=0)
    >>> history.history["learning_rate"]
    [1.0, 0.5, 0.25]
    """

    def __init__(
        self, make: Callable[[Optimizer], Any], *, per: Literal["epoch", "batch"] = "epoch", monitor: str | None = None
    ) -> None:
        super().__init__()
        if isinstance(make, schedules.LRScheduler) or not callable(make):
            raise ArgumentTypeError(
                "make must be a function from the optimizer to a schedule, like lambda optimizer: StepLR(optimizer, "
                f"30), got {make!r} ({type(make).__name__}); the optimizer is made by fit()."
            )
        if not (monitor is None or isinstance(monitor, str)):
            raise ArgumentTypeError(f"monitor must be a name like 'val_loss', got {monitor!r}.")
        self.make = make
        self.per = check_choice("per", per, ("epoch", "batch"))
        self.monitor = monitor
        self._forget()

    def _forget(self) -> None:
        self.scheduler: Any = None
        self._optimizer: Optimizer | None = None
        self._leave: Callable[[], None] | None = None
        self._total: int | None = None
        self._done = 0
        self._found: list[list[str]] = []

    def __getstate__(self) -> dict[str, Any]:
        # A copy trains another optimizer.
        fresh: dict[str, Any] = {
            "scheduler": None,
            "_optimizer": None,
            "_leave": None,
            "_total": None,
            "_done": 0,
            "_found": [],
        }
        return {**vars(self), **fresh}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self._forget()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Make the schedule, where there is none for the present optimizer."""
        optimizer = self.model.optimizer
        if self._optimizer is optimizer:
            return
        if not any(float(group["lr"]) for group in optimizer.param_groups):
            raise ArgumentError(
                f"{type(self).__name__} starts from the learning rate of the optimizer, which is 0, as an earlier "
                "schedule may have left it. Set it first: ec.optim.set_lr(model.optimizer, 0.1), or compile() again."
            )
        self._total, self._done = self._steps_from(epoch), 0
        self._begin(optimizer)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Step, where batches count."""
        if self.per == "batch":
            self._step()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Step, where epochs count."""
        if self.per == "batch":
            return
        if not isinstance(self.scheduler, schedules.ReduceLROnPlateau):
            self._step()
        elif (value := self._watched(logs or {})) is not None:
            self._step(value)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Leave the rates as they are, and nothing else at the optimizer."""
        if self._leave is not None:
            self._leave()
        self._leave = None

    def state_dict(self) -> dict[str, Any]:
        """The schedule's own state, and what it has changed at the optimizer."""
        if self.scheduler is None or self._optimizer is None:
            return {}
        settings = [_settings(group) for group in self._optimizer.param_groups]
        state = self.scheduler.state_dict()
        return {
            "scheduler": state,
            "settings": settings,
            "found": self._found,
            "total": self._total,
            "done": self._done,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Make the schedule and put it where it was."""
        if not state:
            return
        self._total, self._done = state["total"], state["done"]
        for group, found in zip(self.model.optimizer.param_groups, state["found"], strict=True):
            # Of the schedule in the other process: in the end it is to be taken away here.
            for name in set(_settings(group)) - set(found):
                del group[name]
        self._begin(self.model.optimizer)
        self.scheduler.load_state_dict(state["scheduler"])
        for group, settings in zip(self.model.optimizer.param_groups, state["settings"], strict=True):
            group.update(settings)

    def _made(self, optimizer: Optimizer) -> Any:
        return self.make(optimizer)

    def _steps_from(self, epoch: int) -> int | None:
        """After how many steps the schedule has come to its end, where it has one."""
        return None

    def _begin(self, optimizer: Optimizer) -> None:
        if self._leave is not None:
            self._leave()
        for group in optimizer.param_groups:
            # What an earlier schedule began with; torch would take it for the rate of this one.
            group.pop("initial_lr", None)
        self._found = [sorted(_settings(group)) for group in optimizer.param_groups]
        self._leave = _noted(optimizer)
        self.scheduler = self._made(optimizer)
        if not isinstance(self.scheduler, (schedules.LRScheduler, schedules.ReduceLROnPlateau)):
            raise ArgumentTypeError(
                "make must return a schedule of torch.optim.lr_scheduler, got "
                f"{self.scheduler!r} ({type(self.scheduler).__name__})."
            )
        if isinstance(self.scheduler, schedules.ReduceLROnPlateau) and (self.monitor is None or self.per == "batch"):
            raise ArgumentError(
                "torch's ReduceLROnPlateau is stepped with a value of each epoch: pass monitor='val_loss' and leave "
                "per='epoch', or use ec.callbacks.ReduceLROnPlateau."
            )
        self._optimizer = optimizer

    def _step(self, *value: float) -> None:
        self._done += 1
        if self._done == self._total:
            return  # the last step of training has had the last rate
        if self._done > 1:
            self.scheduler.step(*value)
            return
        with warnings.catch_warnings():
            # With compile(accumulate=...) or a step of the user's own, the optimizer may not have run yet.
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            self.scheduler.step(*value)

    def _watched(self, logs: Mapping[str, Any]) -> float | None:
        name = str(self.monitor)
        if name in logs:
            return float(logs[name])
        later = name in self.params.get("metrics", ()) and name.startswith("val_")
        if later and not any(other.startswith("val_") for other in logs):
            return None
        raise ArgumentError(f"TorchScheduler(monitor={name!r}) is not in the logs. {suggest(name, logs)}")


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _noted(optimizer: Optimizer) -> Callable[[], None]:
    """What is called later takes away what schedules leave at an optimizer: new settings, and a wrapped ``step``."""
    wrapped = "step" in vars(optimizer)
    names = [set(group) for group in optimizer.param_groups]

    def leave() -> None:
        if not wrapped:
            vars(optimizer).pop("step", None)
        for group, known in zip(optimizer.param_groups, names, strict=False):
            for name in set(group) - known - {"relative_lr", BEGAN_AT}:
                del group[name]

    return leave
