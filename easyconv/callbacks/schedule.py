"""Learning rates that change during training."""

from torch.optim import Optimizer

from easyconv.arguments import check_integer, check_number
from easyconv.callbacks.monitor import Mode, MonitorCallback, check_verbose, say
from easyconv.optim import get_lr, scale_lr
from easyconv.training.callback import Logs

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(MonitorCallback):
    """Multiply the learning rate by ``factor`` when a value has stopped improving.

    With its defaults it divides the rate by 10, as AlexNet was trained: "divide the learning rate by 10 when the
    validation error rate stopped improving" (Krizhevsky et al., 2012, section 5). All parameter groups keep their
    ratios.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name in the logs of an epoch.
    factor : float, default 0.1
        Between 0 and 1.
    patience : int, default 10
        Epochs without improvement after which the rate drops.
    verbose : int, default 0
        1 prints a line for each drop.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better.
    min_delta : float, default 1e-4
        Smaller changes are no improvement.
    cooldown : int, default 0
        Epochs after a drop in which nothing is counted.
    min_lr : float, default 0.0
        The rate never drops below this.

    Raises
    ------
    ArgumentError
        When ``factor`` is not between 0 and 1, or ``monitor`` can never be in the logs.

    Examples
    --------
    >>> from easyconv.callbacks import ReduceLROnPlateau
    >>> ReduceLROnPlateau(patience=3).factor
    0.1
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        *,
        verbose: int = 0,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = check_number("factor", factor, above=0.0, below=1.0)
        self.patience = check_integer("patience", patience, minimum=0)
        self.verbose = check_verbose(verbose)
        self.cooldown = check_integer("cooldown", cooldown, minimum=0)
        self.min_lr = check_number("min_lr", min_lr, minimum=0.0)
        self._forget()

    def _forget(self) -> None:
        self.best = self.worst()
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        super().on_train_begin(logs)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and drop the rate when patience is over."""
        value = self.value_in(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best = value
            self.wait = 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._drop(epoch)

    def _drop(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        first, before = get_lr(optimizer), _rates(optimizer)
        scale_lr(optimizer, self.factor, self.min_lr)
        if _rates(optimizer) != before:
            say(self.verbose, f"Epoch {epoch + 1}: learning rate from {first:.3g} to {get_lr(optimizer):.3g}.")
            self.cooldown_counter = self.cooldown
            self.wait = 0


def _rates(optimizer: Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]
