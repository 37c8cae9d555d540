"""What people see while training runs: a bar in a terminal or notebook, a line per epoch elsewhere.

How a line reads is in ``lines.py``, where it is drawn in ``places.py``; here is when.
"""

import math
import numbers
import time
from collections.abc import Mapping
from typing import Any, Literal

import torch

from easyconv.arguments import check_choice
from easyconv.callbacks.lines import Pass, final_text, plain_line, running_line
from easyconv.callbacks.places import Place, in_notebook, is_terminal, make_place
from easyconv.training.callback import Callback, Logs

__all__ = ["ProgressBar", "ProgressLines", "Verbosity", "progress_callbacks"]

Verbosity = Literal["auto", 0, 1, 2]

REFRESH_SECONDS = 0.2
"""How often the bar reads running means from the device."""
SHARE_OF_TIME = 0.02
"""A bar whose values take long to compute is drawn less often, so that it costs no more than this."""


def progress_callbacks(verbose: Verbosity) -> list[Callback]:
    """The callbacks that ``verbose`` stands for.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}
        0 is silent, 1 a bar per epoch, 2 a line per epoch; ``"auto"`` is 1 in a terminal or notebook and 2 elsewhere.

    Raises
    ------
    ArgumentError
        For anything else.
    """
    if isinstance(verbose, bool):
        verbose = 1 if verbose else 0
    level = check_choice("verbose", verbose, ("auto", 0, 1, 2))
    if level == "auto":
        level = 1 if in_notebook() or is_terminal() else 2
    kinds: tuple[list[Callback], ...] = ([], [ProgressBar()], [ProgressLines()])
    return kinds[level]


class _Progress(Callback):
    """What both kinds share: which logs to show, and the title of an epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._training = False
        self._shown_rate: float | None = None
        self._pass: Pass | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Training shows epochs; ``evaluate`` alone shows one pass."""
        self._training = True
        self._shown_rate = None

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Back to passes."""
        self._training = False

    def _title(self, epoch: int) -> str:
        last = str(self.params.get("epochs", "?"))
        return f"Epoch {epoch + 1:>{len(last)}}/{last}"

    def _worth_showing(self, logs: Logs) -> dict[str, Any]:
        """All numbers, but the learning rate only where it has changed."""
        shown = _numbers(logs)
        rate = shown.get("learning_rate")
        if self._shown_rate is None or rate == self._shown_rate:
            shown.pop("learning_rate", None)
        self._shown_rate = rate
        return shown


class ProgressLines(_Progress):
    """One plain line per epoch and per ``evaluate``, for logs and files: no control characters.

    It is what ``fit(verbose=2)`` shows. ``predict`` has no values and no line.

    Examples
    --------
    >>> from easyconv.callbacks import ProgressLines
    >>> lines = ProgressLines()
    >>> lines.set_params({"epochs": 10})
    >>> lines.on_epoch_begin(2)
    >>> lines.on_epoch_end(2, {"loss": 0.1234, "accuracy": 0.9876})
    Epoch  3/10  0.0s  loss 0.1234  accuracy 0.9876
    """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._pass = Pass(self._title(epoch))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the line."""
        self._write(self._worth_showing(logs or {}))

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        if not self._training:
            self._pass = Pass("Evaluate")

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the line of an ``evaluate``."""
        if not self._training:
            self._write(_numbers(logs or {}))

    def _write(self, values: Mapping[str, Any]) -> None:
        if self._pass is not None:
            self._pass.values = values
            print(plain_line(self._pass), flush=True)
            self._pass = None


class ProgressBar(_Progress):
    """A bar per epoch with running means and time; it reads them a few times a second, not per batch.

    It is what ``fit(verbose=1)`` shows, in a terminal by ``tqdm`` and in a notebook as an output that is updated. What
    remains of an epoch is one line with all its values, or, where they do not fit, the validation below the training.

    Examples
    --------
    >>> from easyconv.callbacks import ProgressBar
    >>> bar = ProgressBar()
    >>> bar.set_params({"epochs": 10, "steps": 469})
    """

    def __init__(self) -> None:
        super().__init__()
        self._place: Place | None = None
        self._done = 0
        self._logs: Logs | None = None
        self._next_draw = math.inf

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Open the bar of the epoch."""
        self._open(self._title(epoch))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move on; the first batch is not the epoch's first where training goes on from a checkpoint."""
        if not self._done and self._pass is not None:
            self._pass.before = batch
        self._done = batch + 1
        self._logs = logs
        if time.perf_counter() >= self._next_draw:
            self._draw()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Leave the finished bar with the row of the epoch."""
        self._close(self._worth_showing(logs or {}))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Leave a bar that was cut short as it is."""
        super().on_train_end(logs)
        self._close(None)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Open a bar for an ``evaluate``; within training say that validation has begun."""
        if self._training:
            self._draw("validating")
        else:
            self._open("Evaluate")

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move on; a validation during training does not move the bar of its epoch."""
        if not self._training:
            self.on_train_batch_end(batch, logs)
        elif time.perf_counter() >= self._next_draw:
            self._draw(f"validating {batch + 1}")

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Leave the bar with the results."""
        if not self._training:
            self._close(_numbers(logs or {}))

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Open a bar."""
        self._open("Predict")

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move on."""
        self.on_train_batch_end(batch)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Leave the bar."""
        self._close({})

    def _open(self, title: str) -> None:
        self._close(None)
        self._pass = Pass(title, self.params.get("steps"))
        # Only training is sure to end with an event that gives the streams back.
        self._place = make_place(keep_prints_apart=self._training)
        self._done = 0
        self._logs = None
        self._draw()

    def _draw(self, note: str = "") -> None:
        if self._pass is None or self._place is None:
            return
        began = time.perf_counter()
        self._pass.done, self._pass.note = self._done, note
        if self._logs is not None:
            self._pass.values = _numbers(self._logs)
            self._logs = None
        self._place.show(running_line(self._pass, self._place.width(), ascii_only=self._place.ascii_only))
        now = time.perf_counter()
        self._next_draw = now + max(REFRESH_SECONDS, (now - began) / SHARE_OF_TIME)

    def _close(self, values: Mapping[str, Any] | None) -> None:
        """End the line: with these values, or, where a pass was cut short, as it is."""
        state, place = self._pass, self._place
        self._pass = self._place = self._logs = None
        self._next_draw = math.inf
        if state is None or place is None:
            return
        state.done, state.note = self._done, ""
        if values is None:
            place.close(running_line(state, place.width(), ascii_only=place.ascii_only))
            return
        state.values = values
        place.close(final_text(state, place.width(), ascii_only=place.ascii_only))


def _numbers(logs: Mapping[str, Any]) -> dict[str, Any]:
    """What can be shown as a number; callbacks of users may log other things."""
    one = {name: value.item() if _is_scalar(value) else value for name, value in logs.items()}
    return {name: value for name, value in one.items() if isinstance(value, numbers.Real)}


def _is_scalar(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.numel() == 1
