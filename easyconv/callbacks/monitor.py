"""What callbacks that watch one number have in common."""

import difflib
import math
from typing import Any, Literal

from easyconv.arguments import check_choice, check_number
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.training.callback import Callback, Logs

__all__ = ["Mode", "MonitorCallback", "say"]

Mode = Literal["auto", "min", "max"]

HIGHER_IS_BETTER = ("acc", "auc", "auroc", "average_precision", "f1", "precision", "r2", "recall", "top")
LOWER_IS_BETTER = ("error", "huber", "loss", "mae", "mse", "rmse")


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
        if self.monitor.startswith("val_") and self.monitor in self.params.get("metrics", ()):
            return None
        raise ArgumentError(self._unknown(list(logs)))

    def _refuse_hopeless_name(self) -> None:
        known = list(self.params.get("metrics", ()))
        if not known or self.monitor in known:
            return
        # A callback of the user's may add any name later; a near miss or a val_ without validation data is a mistake.
        lacks_validation = self.monitor.startswith("val_") and self.monitor.removeprefix("val_") in known
        if lacks_validation or difflib.get_close_matches(self.monitor, known, n=1, cutoff=0.8):
            raise ArgumentError(self._unknown(known))

    def _unknown(self, known: list[str]) -> str:
        who = f"{type(self).__name__}(monitor={self.monitor!r})"
        if self.monitor.startswith("val_") and not any(name.startswith("val_") for name in known):
            plain = self.monitor.removeprefix("val_")
            return (
                f"{who} watches a validation value, but fit() has no validation data. Pass validation_data= or "
                f"validation_split=, or watch monitor={plain!r}."
            )
        near = difflib.get_close_matches(self.monitor, known, n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"{who} is not in the logs, which have {', '.join(map(repr, known))}.{hint}"


def _larger_is_better(monitor: str, mode: Mode) -> bool:
    if mode != "auto":
        return mode == "max"
    name = monitor.removeprefix("val_")
    if name.endswith(LOWER_IS_BETTER) or name.startswith(LOWER_IS_BETTER):
        return False
    if any(part.startswith(HIGHER_IS_BETTER) for part in (name, *name.split("_"))):
        return True
    raise ArgumentError(
        f"mode='auto' cannot tell whether {monitor!r} should fall or rise. Pass mode='min' or mode='max'."
    )


def say(verbose: Any, message: str) -> None:
    """Print a line where the user asked for it, above a progress bar and not through it."""
    if verbose:
        from tqdm import tqdm

        tqdm.write(message)
