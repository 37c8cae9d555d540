"""Ending training early."""

import copy
import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from easyconv.arguments import check_flag, check_integer, check_number
from easyconv.callbacks.monitor import Mode, MonitorCallback, check_verbose, say
from easyconv.errors import NonFiniteLossError
from easyconv.training.callback import Callback, Logs

__all__ = ["EarlyStopping", "MaxSteps", "TerminateOnNaN", "TimeLimit"]


class EarlyStopping(MonitorCallback):
    """Stop when a value has not improved for some epochs.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name in the logs of an epoch.
    min_delta : float, default 0.0
        Smaller changes are no improvement.
    patience : int, default 0
        Epochs without improvement after which training stops.
    verbose : int, default 0
        1 prints a line when it stops.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better.
    baseline : float, optional
        Stop unless the value gets better than this.
    restore_best_weights : bool, default False
        Give the model the weights of the best epoch, also when training ends for another reason.
    start_from_epoch : int, default 0
        Epochs to wait before watching.

    Raises
    ------
    ArgumentError
        When ``monitor`` can never be in the logs; the names that are there are listed.

    Examples
    --------
    >>> from easyconv.callbacks import EarlyStopping
    >>> EarlyStopping(monitor="val_accuracy", patience=3).larger_is_better
    True
    """

    remembers = ("wait", "best", "best_epoch", "best_weights", "stopped_epoch")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        *,
        verbose: int = 0,
        mode: Mode = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = check_integer("patience", patience, minimum=0)
        self.verbose = check_verbose(verbose)
        self.baseline = None if baseline is None else check_number("baseline", baseline)
        self.restore_best_weights = check_flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = check_integer("start_from_epoch", start_from_epoch, minimum=0)
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.best = self.worst()
        self.best_epoch = 0
        self.best_weights: dict[str, Any] | None = None
        self.stopped_epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        super().on_train_begin(logs)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, keep the best weights, stop when patience is over."""
        value = self.value_in(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep_weights(epoch)  # as in Keras, the first ones stand where none are ever better (NaN)
        self.wait += 1
        if self.improves(value, self.best):
            self.best = value
            self._keep_weights(epoch)
            # As in Keras, patience starts again only where the baseline is beaten too.
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Say so, and give back the best weights."""
        if self.stopped_epoch > 0:
            best = f"{self.monitor} was {self.best:.4f} at best"
            say(self.verbose, f"Epoch {self.stopped_epoch + 1}: stopped early; {best}.")
        if self.restore_best_weights and self.best_weights is not None:
            say(self.verbose, f"Restored the weights of epoch {self.best_epoch + 1}.")
            self.model.load_state_dict(self.best_weights)

    def _keep_weights(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = {name: _copied(value) for name, value in self.model.state_dict().items()}


class TerminateOnNaN(Callback):
    """End training in peace when the loss or its gradients become NaN or infinite.

    ``fit`` notices that by itself before the optimizer takes it, and raises a `NonFiniteLossError` that says where it
    began. With this callback it prints in which batch, every ``on_train_end`` runs, and ``fit`` returns the history of
    the whole epochs. The net has the weights of before that batch, where Keras leaves NaN.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(1)])
    >>> model.compile("sgd", "mse", lr=1e30)
    >>> history = model.fit(torch.rand(8, 3), torch.rand(8), epochs=9, callbacks=TerminateOnNaN(), verbose=0)
    The loss became ... in batch 1 of epoch ...
    >>> len(history) < 9
    True
    """

    def absorbs(self, error: BaseException) -> bool:
        """A loss that is no number, or gradients that are none, are what this waits for."""
        if not isinstance(error, NonFiniteLossError):
            return False
        say(1, f"{str(error).partition(';')[0]}; training stops.")
        return True


class MaxSteps(Callback):
    """Stop after a number of batches, in whatever epoch that is.

    The epoch is ended as ever: with its validation, its row in the history and its events.

    Parameters
    ----------
    steps : int
        Batches of this ``fit``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When ``steps`` is not a whole number from 1 on.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd")
    >>> x, y = torch.rand(80, 3), torch.arange(80) % 2
    >>> history = model.fit(x, y, batch_size=8, epochs=9, callbacks=MaxSteps(25), verbose=0)
    >>> history.epoch
    [0, 1, 2]
    """

    remembers = ("done",)

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = check_integer("steps", steps, minimum=1)
        self.done = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self.done = 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count."""
        self.done += 1
        if self.done >= self.steps:
            self.model.stop_training = True


class TimeLimit(Callback):
    """Stop when a time is over, at the end of the batch that is under way.

    The epoch is ended as ever: with its validation, its row in the history and its events. A training that goes on in
    another process has the time that was left.

    Parameters
    ----------
    seconds : float
        Above 0.
    verbose : int, default 0
        1 prints a line when it stops.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When ``seconds`` is not a number above 0.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd")
    >>> x, y = torch.rand(80, 3), torch.arange(80) % 2
    >>> history = model.fit(x, y, epochs=10**6, callbacks=TimeLimit(0.1), verbose=0)
    >>> len(history) < 10**6
    True
    """

    def __init__(self, seconds: float, *, verbose: int = 0) -> None:
        super().__init__()
        self.seconds = check_number("seconds", seconds, above=0)
        self.verbose = check_verbose(verbose)
        self._began = time.perf_counter()

    def used(self) -> float:
        """Seconds since the beginning, those of the processes before included."""
        return time.perf_counter() - self._began

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the clock."""
        if self.used() >= self.seconds and not self.model.stop_training:
            say(self.verbose, f"Stopped: {self.seconds:g} seconds are over.")
            self.model.stop_training = True

    def state_dict(self) -> dict[str, Any]:
        """The time that is used up."""
        return {"used": self.used()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put the clock to where it was."""
        self._began = time.perf_counter() - float(state["used"])


def _copied(value: Any) -> Any:
    """A tensor, or the extra state that some modules keep beside their tensors."""
    return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
