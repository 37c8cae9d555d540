"""Learning rates that change between epochs."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from easyconv.arguments import check_integer, check_number
from easyconv.callbacks.monitor import Mode, MonitorCallback, check_verbose, say
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import name_of
from easyconv.optim import get_lr, scale_lr, set_lr
from easyconv.training.callback import Callback, Logs

__all__ = ["DropLR", "LearningRateScheduler", "ReduceLROnPlateau"]


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of each epoch by a function.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, lr)``, or ``schedule(epoch)``, to the rate of the first parameter group; epochs count from 0.
        The other groups keep their ratios to it.
    verbose : int, default 0
        1 prints a line for each epoch.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        When ``schedule`` is no such function, or returns anything but a number from 0 on.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd", lr=1.0)
    >>> halving = LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr)
    >>> history = model.fit(torch.rand(8, 3), torch.arange(8) % 2, epochs=3, callbacks=halving, verbose=0)
    >>> history.history["learning_rate"]
    [1.0, 0.5, 0.25]
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise ArgumentTypeError(
                f"schedule must be a function (epoch, lr) -> lr, got {schedule!r} ({type(schedule).__name__}). For a "
                "schedule of torch's use ec.callbacks.TorchScheduler."
            )
        self.schedule = schedule
        self.verbose = check_verbose(verbose)
        self._takes_rate = _takes(schedule, 2)
        if not self._takes_rate and not _takes(schedule, 1):
            raise ArgumentError(
                f"schedule must take (epoch, lr), but the signature of {name_of(schedule)!r} is "
                f"{inspect.signature(schedule)}."
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Ask the function, and set what it says."""
        optimizer = self.model.optimizer
        rate: Any = self.schedule(*(epoch, get_lr(optimizer))[: 2 if self._takes_rate else 1])
        rate = rate.item() if isinstance(rate, Tensor) and rate.numel() == 1 else rate
        set_lr(optimizer, check_number(f"The rate that {name_of(self.schedule)!r} returns", rate, minimum=0))
        say(self.verbose, f"Epoch {epoch + 1}: learning rate {get_lr(optimizer):.3g}.")


class DropLR(Callback):
    """Multiply the learning rate by ``factor`` once certain epochs are over.

    To drop it when a value stops improving, at most so many times, there is ``ReduceLROnPlateau(times=3)``.

    Parameters
    ----------
    at : int or list of int
        After how many epochs: ``[30, 60, 80]`` trains the epochs 0 to 29 with the rate of ``compile``.
    factor : float, default 0.1
        Between 0 and 1.
    verbose : int, default 0
        1 prints a line for each drop.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When the epochs are not whole numbers from 1 on that rise, or ``factor`` is not between 0 and 1.

    References
    ----------
    As torch's ``MultiStepLR``; the drops of He et al., "Deep Residual Learning for Image Recognition", 2015,
    section 3.4.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd", lr=1.0)
    >>> x, y = torch.rand(8, 3), torch.arange(8) % 2
    >>> history = model.fit(x, y, epochs=4, callbacks=DropLR([1, 3], factor=0.5), verbose=0)
    >>> history.history["learning_rate"]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, at: int | Iterable[int], factor: float = 0.1, *, verbose: int = 0) -> None:
        super().__init__()
        listed = list(at) if isinstance(at, Iterable) and not isinstance(at, str) else [at]
        self.at = [check_integer("at", epoch, minimum=1) for epoch in listed]
        if not self.at or self.at != sorted(set(self.at)):
            raise ArgumentError(f"at must be numbers of epochs that rise, like [30, 60, 80], got {at!r}.")
        self.factor = check_number("factor", factor, above=0.0, below=1.0)
        self.verbose = check_verbose(verbose)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Drop, where it is time."""
        if epoch in self.at:
            before, optimizer = get_lr(self.model.optimizer), self.model.optimizer
            after = scale_lr(optimizer, self.factor)
            say(self.verbose, f"Epoch {epoch + 1}: learning rate from {before:.3g} to {after:.3g}.")


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
    times : int, optional
        At most so many drops; AlexNet's rate was divided three times.

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

    remembers = ("best", "wait", "cooldown_counter", "drops")

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
        times: int | None = None,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = check_number("factor", factor, above=0.0, below=1.0)
        self.patience = check_integer("patience", patience, minimum=0)
        self.verbose = check_verbose(verbose)
        self.cooldown = check_integer("cooldown", cooldown, minimum=0)
        self.min_lr = check_number("min_lr", min_lr, minimum=0.0)
        self.times = None if times is None else check_integer("times", times, minimum=0)
        self._forget()

    def _forget(self) -> None:
        self.best = self.worst()
        self.wait = 0
        self.cooldown_counter = 0
        self.drops = 0

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
        if self.times is not None and self.drops >= self.times:
            return
        optimizer = self.model.optimizer
        first, before = get_lr(optimizer), _rates(optimizer)
        scale_lr(optimizer, self.factor, self.min_lr)
        if _rates(optimizer) != before:
            say(self.verbose, f"Epoch {epoch + 1}: learning rate from {first:.3g} to {get_lr(optimizer):.3g}.")
            self.cooldown_counter = self.cooldown
            self.wait = 0
            self.drops += 1


def _rates(optimizer: Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # builtins that tell nothing about themselves
        return count == 1
    return True
