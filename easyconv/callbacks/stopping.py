"""Ending training early."""

import copy
from typing import Any

from torch import Tensor

from easyconv.arguments import check_flag, check_integer, check_number
from easyconv.callbacks.monitor import Mode, MonitorCallback, check_verbose, say
from easyconv.training.callback import Logs

__all__ = ["EarlyStopping"]


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
        self.wait += 1
        if self.improves(value, self.best):
            self._keep(value, epoch)
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

    def _keep(self, value: float, epoch: int) -> None:
        self.best, self.best_epoch = value, epoch
        if self.restore_best_weights:
            self.best_weights = {name: _copied(value) for name, value in self.model.state_dict().items()}


def _copied(value: Any) -> Any:
    """A tensor, or the extra state that some modules keep beside their tensors."""
    return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
