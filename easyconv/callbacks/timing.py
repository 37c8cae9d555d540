"""How long training takes."""

import time
from collections.abc import Mapping
from typing import Any

from easyconv.training.callback import Callback, Logs

__all__ = ["Timer"]


class Timer(Callback):
    """Seconds of each epoch, and samples per second of its training, in the logs and so in the history.

    ``seconds`` is the whole epoch, validation included; ``samples_per_second`` counts the training alone. The first
    epoch has the start of workers in it, and with ``jit=True`` the compiling.

    Attributes
    ----------
    rows : list of dict
        Both numbers, epoch by epoch.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd")
    >>> history = model.fit(torch.rand(8, 3), torch.arange(8) % 2, epochs=2, callbacks=Timer(), verbose=0)
    >>> sorted(history.history)
    ['learning_rate', 'loss', 'samples_per_second', 'seconds']
    """

    def __init__(self) -> None:
        super().__init__()
        self._forget()

    def _forget(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._samples = 0
        self._began = time.perf_counter()
        self._trained: float | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self._forget()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._samples, self._trained = 0, None
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count the samples."""
        step = getattr(logs, "step", None)
        self._samples += step.size if step is not None else 0

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Training is over for this epoch. The loss has been read by now, so that a device has done its work."""
        self._trained = time.perf_counter() - self._began

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stop the clock."""
        seconds = time.perf_counter() - self._began
        training = seconds if self._trained is None else self._trained
        row = {"seconds": seconds, "samples_per_second": self._samples / max(training, 1e-9)}
        self.rows.append(row)
        if logs is not None:
            logs.update(row)

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, and the epoch that is under way."""
        used = time.perf_counter() - self._began
        return {"rows": list(self.rows), "samples": self._samples, "used": used, "trained": self._trained}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the clock where it was."""
        self.rows, self._samples, self._trained = list(state["rows"]), state["samples"], state["trained"]
        self._began = time.perf_counter() - float(state["used"])
