"""Training in TensorBoard."""

import numbers
import os
import time
import warnings
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from easyconv.arguments import check_flag, check_integer
from easyconv.errors import ArgumentTypeError
from easyconv.layers.keeping import kept_modes, split_call
from easyconv.names import optional_import
from easyconv.notices import warn_user
from easyconv.seed import kept_random_state
from easyconv.training.callback import Callback, Logs

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Write curves, the graph of the net, histograms and pictures of its weights for TensorBoard.

    Look at them with ``tensorboard --logdir logs``. Names are Keras's: ``epoch_loss`` in the folders ``train`` and
    ``validation``, ``batch_loss``, ``evaluation_loss_vs_iterations`` for ``evaluate``.

    Parameters
    ----------
    log_dir : str or path, default "logs"
        Folder; one per run is easy to compare.
    histogram_freq : int, default 0
        Histograms of all weights after every so many epochs; 0 for none.
    write_graph : bool, default True
        Write the graph. A net that cannot be traced gets a warning instead.
    write_images : bool, default False
        Pictures of the filters of the first convolution, after each epoch.
    write_steps_per_second : bool, default False
        Also ``epoch_steps_per_second``.
    update_freq : "epoch", "batch" or int, default "epoch"
        Also the running means after every batch, or every so many; each reads the device.

    Raises
    ------
    MissingExtraError
        When training begins and tensorboard is not installed: ``pip install "easyconv[tensorboard]"``.
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    Examples
    --------
    >>> from easyconv.callbacks import TensorBoard
    >>> TensorBoard("logs/small", histogram_freq=1).log_dir.as_posix()
    'logs/small'
    """

    remembers = ("steps",)

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        *,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Literal["epoch", "batch"] | int = "epoch",
    ) -> None:
        super().__init__()
        if not isinstance(log_dir, (str, os.PathLike)):
            raise ArgumentTypeError(f"log_dir must be a folder like 'logs', got {log_dir!r}.")
        self.log_dir = Path(log_dir)
        self.histogram_freq = check_integer("histogram_freq", histogram_freq, minimum=0)
        self.write_graph = check_flag("write_graph", write_graph)
        self.write_images = check_flag("write_images", write_images)
        self.write_steps_per_second = check_flag("write_steps_per_second", write_steps_per_second)
        named = {"epoch": 0, "batch": 1}.get(update_freq) if isinstance(update_freq, str) else None
        self._every = check_integer("update_freq", update_freq, minimum=1) if named is None else named
        self.steps = 0
        """Training batches so far, in all calls of ``fit``."""
        self._writers: dict[str, Any] = {}
        self._training = False
        self._began = (0.0, 0)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_writers": {}}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Write the graph."""
        self._training = True
        if self.write_graph:
            self._write_graph()
        else:
            self._writer("train")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._began = (time.perf_counter(), self.steps)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the running means, where it is time."""
        self.steps += 1
        if self._every and self.steps % self._every == 0:
            self._write("train", logs or {}, self.steps - 1, "batch_{}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the row, training and validation apart, and what is asked for of the weights."""
        row = dict(logs or {})
        of_validation = {name.removeprefix("val_"): row.pop(name) for name in list(row) if name.startswith("val_")}
        if self.write_steps_per_second:
            began, steps = self._began
            row["steps_per_second"] = (self.steps - steps) / max(time.perf_counter() - began, 1e-9)
        self._write("train", row, epoch, "epoch_{}")
        self._write("validation", of_validation, epoch, "epoch_{}")
        if self.histogram_freq and (epoch + 1) % self.histogram_freq == 0:
            for name, parameter in self.model.named_parameters():
                self._writer("train").add_histogram(name, parameter.detach().float().cpu(), epoch)
        if self.write_images:
            self._write_filters(epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the results of ``evaluate``; those of a validation stand in the row of the epoch."""
        if not self._training:
            self._write("validation", logs or {}, self.steps, "evaluation_{}_vs_iterations")
            self._close()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        self._training = False
        self._close()

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            module = optional_import("torch.utils.tensorboard", "tensorboard", "TensorBoard")
            self._writers[name] = module.SummaryWriter(str(self.log_dir / name))
        return self._writers[name]

    def _write(self, where: str, values: Any, step: int, template: str) -> None:
        for name, value in values.items():
            if _is_number(value):
                self._writer(where).add_scalar(template.format(name), float(value), step)

    def _write_graph(self) -> None:
        writer = self._writer("train")
        args, kwargs = split_call(self.model, self.model._example())
        problem = "its inputs have names" if kwargs else ""
        if not problem:
            with kept_random_state(), kept_modes(self.model), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.model.eval()
                try:
                    writer.add_graph(self.model, args)
                except Exception as error:  # whatever the user's forward() does that a trace cannot follow
                    problem = str(error).strip().partition("\n")[0] or type(error).__name__
        if problem:
            warn_user(f"TensorBoard has no graph of this net ({problem}). Pass write_graph=False to leave it out.")

    def _write_filters(self, epoch: int) -> None:
        first = next((p for p in self.model.parameters() if isinstance(p, Tensor) and p.dim() == 4), None)
        if first is None:
            return
        filters = first.detach().float().cpu()
        filters = filters if filters.shape[1] == 3 else filters[:, :1]
        low, high = filters.amin((1, 2, 3), keepdim=True), filters.amax((1, 2, 3), keepdim=True)
        scaled = (filters - low) / (high - low).clamp(min=1e-12)
        self._writer("train").add_images("filters", scaled, epoch)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) or (isinstance(value, Tensor) and value.numel() == 1)
