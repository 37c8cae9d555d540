"""What people see while training runs: a bar in a terminal or notebook, a line per epoch elsewhere."""

import sys
import time
from typing import Any, Literal

from easyconv.arguments import check_choice
from easyconv.training.callback import Callback, Logs

__all__ = ["ProgressBar", "ProgressLines", "Verbosity", "progress_callbacks"]

Verbosity = Literal["auto", 0, 1, 2]

REFRESH_SECONDS = 0.2
"""How often the bar reads running means from the device."""


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
        level = 1 if _in_notebook() or sys.stdout.isatty() else 2
    kinds: tuple[list[Callback], ...] = ([], [ProgressBar()], [ProgressLines()])
    return kinds[level]


def format_logs(logs: Logs) -> str:
    """``loss: 0.1234 - accuracy: 0.9876``; tiny and huge values in scientific notation.

    Examples
    --------
    >>> format_logs({"loss": 0.12345, "learning_rate": 1e-5})
    'loss: 0.1235 - learning_rate: 1.000e-05'
    """
    return " - ".join(f"{name}: {_format(value)}" for name, value in logs.items())


class _Progress(Callback):
    """What both kinds share: which logs to show, and the title of an epoch."""

    def __init__(self) -> None:
        super().__init__()
        self._training = False
        self._shown_rate: float | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Training shows epochs; ``evaluate`` alone shows one pass."""
        self._training = True
        self._shown_rate = None

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Back to passes."""
        self._training = False

    def _title(self, epoch: int) -> str:
        return f"Epoch {epoch + 1}/{self.params.get('epochs', '?')}"

    def _worth_showing(self, logs: Logs) -> dict[str, Any]:
        """All logs, but the learning rate only where it has changed."""
        shown = {name: value for name, value in logs.items() if isinstance(value, (int, float))}
        rate = shown.get("learning_rate")
        if self._shown_rate is None or rate == self._shown_rate:
            shown.pop("learning_rate", None)
        self._shown_rate = rate
        return shown


class ProgressLines(_Progress):
    """One plain line per epoch, for logs and files: no control characters."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the line."""
        seconds = time.perf_counter() - self._start
        print(f"{self._title(epoch)} - {seconds:.1f}s - {format_logs(self._worth_showing(logs or {}))}", flush=True)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        if not self._training:
            self._start = time.perf_counter()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the line of an ``evaluate``."""
        if not self._training:
            print(f"Evaluate - {time.perf_counter() - self._start:.1f}s - {format_logs(logs or {})}", flush=True)


class ProgressBar(_Progress):
    """A ``tqdm`` bar per epoch with running means; it reads them a few times a second, not per batch."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        self._pending = 0
        self._next_refresh = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Open the bar of the epoch."""
        self._open(self._title(epoch), self.params.get("steps"))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move on."""
        self._advance(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Leave the finished bar with the row of the epoch."""
        self._close(self._worth_showing(logs or {}))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Leave a bar that was cut short as it is."""
        super().on_train_end(logs)
        self._close(None)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Open a bar for an ``evaluate``."""
        if not self._training:
            self._open("Evaluate", self.params.get("steps"))

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move on; a validation during training does not move the bar of its epoch."""
        if not self._training:
            self._advance(logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Leave the bar with the results."""
        if not self._training:
            self._close(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Open a bar."""
        self._open("Predict", self.params.get("steps"))

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move on."""
        self._advance(None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Leave the bar."""
        self._close({})

    def _open(self, title: str, steps: int | None) -> None:
        self._close(None)
        self._bar = _tqdm()(total=steps, desc=title, leave=True, file=sys.stdout, dynamic_ncols=True, unit="batch")
        self._pending = 0
        self._next_refresh = 0.0

    def _advance(self, logs: Logs | None) -> None:
        self._pending += 1
        now = time.monotonic()
        if now < self._next_refresh or self._bar is None:
            return
        self._next_refresh = now + REFRESH_SECONDS
        if logs is not None:
            self._bar.set_postfix_str(format_logs(logs), refresh=False)
        self._move()

    def _move(self) -> None:
        self._bar.update(self._pending)
        self._pending = 0

    def _close(self, logs: Logs | None) -> None:
        if self._bar is None:
            return
        if logs is not None:
            self._bar.set_postfix_str(format_logs(logs), refresh=False)
        self._move()
        self._bar.refresh()
        self._bar.close()
        self._bar = None


def _format(value: float) -> str:
    magnitude = abs(value)
    return f"{value:.3e}" if magnitude and (magnitude < 1e-3 or magnitude >= 1e5) else f"{value:.4f}"


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def _tqdm() -> Any:
    """The bar for a notebook where its widgets are installed, the plain one elsewhere."""
    if _in_notebook() and _has_widgets():
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar
    from tqdm import tqdm as plain_bar

    return plain_bar


def _has_widgets() -> bool:
    from importlib.util import find_spec

    return find_spec("ipywidgets") is not None
