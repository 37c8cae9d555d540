"""What callbacks that watch one number have in common."""

import difflib
import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from easyconv.arguments import check_choice, check_integer, check_number
from easyconv.directions import larger_is_better, meant_name
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import normalize
from easyconv.training.callback import Callback, Logs

__all__ = ["Mode", "MonitorCallback", "check_verbose", "say"]

Mode = Literal["auto", "min", "max"]


class MonitorCallback(Callback):
    """Base of callbacks that compare one value of the logs with the best so far.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name in the logs of an epoch.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; ``"auto"`` knows losses, errors and the metrics of easyconv by their names.
    min_delta : float, default 0.0
        Smaller changes are no improvement.

    Raises
    ------
    ArgumentError
        When ``"auto"`` cannot tell, or when the value is not in the logs: the names that are there are listed.
    """

    def __init__(self, monitor: str = "val_loss", mode: Mode = "auto", min_delta: float = 0.0) -> None:
        super().__init__()
        if not isinstance(monitor, str):
            raise ArgumentTypeError(
                f"monitor must be a name like 'val_loss', got {monitor!r} ({type(monitor).__name__})."
            )
        self.monitor = monitor
        self.mode = check_choice("mode", mode, ("auto", "min", "max"))
        self.min_delta = check_number("min_delta", min_delta, minimum=0.0)
        self.larger_is_better = _larger_is_better(monitor, self.mode)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See at once whether the value can ever be there."""
        self._refuse_hopeless_name()

    def worst(self) -> float:
        """A value that everything is better than."""
        return -math.inf if self.larger_is_better else math.inf

    def improves(self, value: float, best: float) -> bool:
        """Whether ``value`` beats ``best`` by more than ``min_delta``; NaN never does."""
        return value - self.min_delta > best if self.larger_is_better else value + self.min_delta < best

    def value_in(self, logs: Logs | None) -> float | None:
        """The watched value, or ``None`` in an epoch without validation.

        Raises
        ------
        ArgumentError
            When it can never be there.
        """
        logs = logs or {}
        if self.monitor in logs:
            return float(logs[self.monitor])
        if self.is_of_validation(self.monitor) and not any(name.startswith("val_") for name in logs):
            return None
        raise ArgumentError(self._unknown(list(logs)))

    def is_of_validation(self, name: str) -> bool:
        """Whether this is a value of validation, which only some epochs may have."""
        known = self.params.get("metrics", ())
        return name.startswith("val_") and any(other.startswith("val_") for other in known)

    def _refuse_hopeless_name(self) -> None:
        known = list(self.params.get("metrics", ()))
        if not known or self.monitor in known or self.params.get("may_log_more"):
            return
        # A net of several outputs, or a step of the user's, logs names that nobody knows yet: only a misspelt name, or
        # val_ without validation data, is a mistake for sure.
        lacks_validation = self.monitor.startswith("val_") and not self.is_of_validation(self.monitor)
        if lacks_validation or _meant(self.monitor, known):
            raise ArgumentError(self._unknown(known))

    def _unknown(self, known: list[str]) -> str:
        who = f"{type(self).__name__}(monitor={self.monitor!r})"
        if self.monitor.startswith("val_") and not any(name.startswith("val_") for name in known):
            plain = self.monitor.removeprefix("val_")
            return (
                f"{who} watches a validation value, but fit() has no validation data. Pass validation_data= or "
                f"validation_split=, or watch monitor={_near(plain, known) or 'loss'!r}."
            )
        near = _near(self.monitor, known)
        hint = f" Did you mean {near!r}?" if near else ""
        return f"{who} is not in the logs, which have {', '.join(map(repr, known))}.{hint}"


def _meant(name: str, known: Sequence[str]) -> str | None:
    """The name that this one misspells or abbreviates part by part: ``val_acc`` for ``val_accuracy``."""
    parts = normalize(name).split("_")
    for candidate in known:
        pairs = list(zip_longest(parts, candidate.split("_"), fillvalue=""))
        if all(_similar(part, whole) for part, whole in pairs):
            return candidate
    return None


def _similar(part: str, whole: str) -> bool:
    if part == whole or (len(part) > 2 and whole.startswith(part)):
        return True
    return difflib.SequenceMatcher(None, part, whole).ratio() >= 0.8


def _near(name: str, known: Sequence[str]) -> str | None:
    """What was probably meant."""
    return _meant(name, known) or next(iter(difflib.get_close_matches(normalize(name), known, n=1)), None)


def _larger_is_better(monitor: str, mode: Mode) -> bool:
    if mode != "auto":
        return mode == "max"
    known = larger_is_better(monitor)
    if known is not None:
        return known
    meant = meant_name(monitor)
    hint = f"Did you mean {meant!r}? Otherwise pass" if meant else "Pass"
    raise ArgumentError(
        f"mode='auto' cannot tell whether {monitor!r} should fall or rise. {hint} mode='min' or mode='max'."
    )


def check_verbose(verbose: object) -> int:
    """0 for silence, more for a line whenever something is done; ``True`` and ``False`` pass."""
    return int(verbose) if isinstance(verbose, bool) else check_integer("verbose", verbose, minimum=0)


def say(verbose: int, message: str) -> None:
    """Print a line where the user asked for it; a progress bar keeps itself below what is printed."""
    if verbose > 0:
        print(message, flush=True)
