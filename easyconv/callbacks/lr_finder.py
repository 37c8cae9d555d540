"""Which learning rate to begin with."""

import math
import os
from typing import Any

import torch
from torch import Tensor

from easyconv.arguments import check_integer, check_number
from easyconv.callbacks.undo import Back, noted
from easyconv.errors import ArgumentError, NonFiniteLossError, StateError
from easyconv.optim import set_lr
from easyconv.training.callback import Callback, Logs

__all__ = ["LRFinder"]

_READ_EVERY = 10
"""Losses are read from the device so many at a time."""
_RADIUS = 4
"""Losses are smoothed over so many neighbours on either side."""
_DIVERGED = 4.0
"""The test is over when the smoothed loss is so many times the lowest one."""


class LRFinder(Callback):
    """Train some batches with a rate that rises by the same factor each time, and see where the loss falls fastest.

    Afterwards the model is as it was, bit by bit: weights, optimizer, averages, history, and the global random state.

    Parameters
    ----------
    lowest : float, default 1e-6
        Rate of the first batch.
    highest : float, default 10.0
        Rate of the last batch, where the loss has not become four times the lowest one before.
    steps : int, default 100
        Batches.

    Attributes
    ----------
    rates, losses : list of float
        What was tried, and the loss of each batch before its step.
    suggestion : float
        The rate at which the smoothed loss fell fastest, before its minimum.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When the rates do not rise from above 0, or there are fewer than 10 steps.
    StateError
        When the suggestion is asked for and there is none: before training, or where the loss did not fall.

    References
    ----------
    Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3.

    Examples
    --------
    >>> import easyconv as ec
    >>> data = ec.data.load("digits")
    >>> model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(32, activation="relu"), ec.layers.Dense(10)])
    >>> model.compile("sgd")
    >>> finder = LRFinder().find(model, data.train, seed=0)
    >>> 0.01 < finder.suggestion < 2
    True
    >>> model.history
    History(no epochs)
    """

    def __init__(self, lowest: float = 1e-6, highest: float = 10.0, *, steps: int = 100) -> None:
        super().__init__()
        self.lowest = check_number("lowest", lowest, above=0)
        self.highest = check_number("highest", highest, above=0)
        if self.highest <= self.lowest:
            raise ArgumentError(f"highest must be more than lowest, got {lowest!r} and {highest!r}.")
        self.steps = check_integer("steps", steps, minimum=10)
        self._give_back: Back | None = None
        self._forget()

    def _forget(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._unread: list[Tensor] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_give_back": None, "_unread": []}

    def find(self, model: Any, x: Any, y: Any = None, **arguments: Any) -> "LRFinder":
        """Run the test on data, for as many epochs as it takes.

        Parameters
        ----------
        model : easyconv.Model
            Compiled.
        x, y, **arguments
            As for ``model.fit``; ``epochs`` is seen to.

        Returns
        -------
        LRFinder
            This one.
        """
        mine = [self, *_listed(arguments.pop("callbacks", None))]
        model.fit(x, y, **{"epochs": self.steps, "verbose": 0, **arguments}, callbacks=mine)
        return self

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss fell fastest."""
        smooth = _smoothed(self.losses)
        lowest = min(range(len(smooth)), key=smooth.__getitem__, default=0)
        slopes = [after - before for before, after in zip(smooth, smooth[2 : lowest + 1], strict=False)]
        steepest = min(range(len(slopes)), key=slopes.__getitem__, default=None)
        if steepest is None or slopes[steepest] >= 0:
            raise StateError(
                f"LRFinder has no suggestion: the loss did not fall in {len(self.losses)} batches. Run it with "
                "finder.find(model, x, y), from a lower rate (lowest=) or over more batches (steps=)."
            )
        return self.rates[steepest + 1]

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the loss over the rate, with the suggestion.

        Parameters
        ----------
        path : str or path, optional
            Also write the picture there; the ending decides the format.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it by itself.

        Raises
        ------
        StateError
            When there is nothing to draw, or no suggestion.
        MissingExtraError
            When matplotlib is not installed.
        """
        from easyconv.visualize.figures import GREY, TRAINING, VALIDATION, finish, new_figure

        suggestion, smooth = self.suggestion, _smoothed(self.losses)
        figure = new_figure(6.0, 3.6, "LRFinder.plot()")
        panel = figure.add_subplot()
        panel.plot(self.rates, self.losses, color=TRAINING, linewidth=1, alpha=0.7, label="loss")
        panel.plot(self.rates, smooth, color=VALIDATION, linewidth=2, label="smoothed")
        panel.axvline(suggestion, color=GREY, linestyle="--", linewidth=1)
        top, bottom = max(smooth[: len(smooth) // 2 + 1]), min(smooth)
        panel.set_ylim(bottom - 0.15 * (top - bottom), top + 0.5 * (top - bottom))
        panel.set_xscale("log")
        panel.set_xlabel("learning rate", color=GREY)
        panel.set_title("Loss", loc="left", fontsize=11, fontweight="bold")
        panel.set_title(f"suggestion {suggestion:.2g}", loc="right", fontsize=9, color=GREY)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, loc="upper left")
        return finish(figure, path)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Note all that will be given back."""
        self._forget()
        self._give_back = noted(self.model)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Set the next rate."""
        share = len(self.rates) / (self.steps - 1)
        rate = self.lowest * (self.highest / self.lowest) ** min(1.0, share)
        set_lr(self.model.optimizer, rate)
        self.rates.append(rate)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Keep the loss; look from time to time whether it is over."""
        step = getattr(logs, "step", None)
        if step is not None:
            self._unread.append(step.loss)
        if len(self.rates) >= self.steps or len(self._unread) >= _READ_EVERY:
            self._read()
        if len(self.rates) >= self.steps or self._diverged():
            self.model.stop_training = True

    def absorbs(self, error: BaseException) -> bool:
        """A loss that is no longer a number is how this test may end."""
        return isinstance(error, NonFiniteLossError)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Give everything back."""
        self._read()
        finite = next((i for i, loss in enumerate(self.losses) if not math.isfinite(loss)), len(self.losses))
        self.losses, self.rates = self.losses[:finite], self.rates[:finite]
        if self._give_back is not None:
            self._give_back()
        self._give_back = None

    def _read(self) -> None:
        if self._unread:
            self.losses += torch.stack([loss.detach().float() for loss in self._unread]).tolist()
        self._unread = []

    def _diverged(self) -> bool:
        if self._unread or not self.losses:
            return False
        smooth = _smoothed(self.losses)
        return not math.isfinite(smooth[-1]) or smooth[-1] > _DIVERGED * max(min(smooth), 1e-12)


def _smoothed(losses: list[float]) -> list[float]:
    """Each loss as the mean of itself and its neighbours on both sides, so that nothing is shifted to other rates."""
    around = [losses[max(0, place - _RADIUS) : place + _RADIUS + 1] for place in range(len(losses))]
    return [sum(window) / len(window) for window in around]


def _listed(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
