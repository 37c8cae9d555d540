"""Trainings that are killed and started again, each in a process forked from this one, which has imported torch.

Reads one case per line from standard input (a JSON object, see ``Case``) and answers with one line: the codes with
which its processes ended. What the last of them has made is in the file ``result.json`` of the case's folder.
"""

import hashlib
import json
import os
import random
import signal
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import easyconv as ec
from easyconv.files import whole

ROWS, BATCH, EPOCHS, CLASSES = 40, 8, 3, 3
STEPS = ROWS // BATCH


@dataclass
class Case:
    """A training, and how each of its processes ends."""

    folder: str
    workers: list[int]
    """Of the loader, process by process; the last number holds for all that follow."""
    augmented: bool = False
    extras: bool = False
    """An average of the weights, a plateau, early stopping and the best checkpoint."""
    stops: list[Any] = field(default_factory=list)
    """Where each process but the last is ended: ``[event, epoch, batch, signal]``."""
    source: str = "loader"
    epochs: int = EPOCHS
    every_steps: int | None = 2


class Pictures(Dataset):
    """Noise, shifted at random by all three generators; the second channel says which row it is."""

    def __init__(self, rows: int, augmented: bool, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(rows, 1, 6, 6, generator=generator)
        self.y = torch.randint(CLASSES, (rows,), generator=generator)
        self.augmented = augmented

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        x = self.x[row]
        if self.augmented:
            x = x + 0.1 * torch.randn(1, 6, 6) + random.random() + float(np.random.rand())
        return torch.cat([x, torch.full((1, 6, 6), row / ROWS)]), self.y[row]


class Ends(ec.callbacks.Callback):
    """Ends the process by a signal, at one moment of the training."""

    def __init__(self, stop: Any) -> None:
        self.event, self.epoch, self.batch, self.signal = stop
        self.now = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch

    def _end(self, event: str, batch: int) -> None:
        if (event, self.now, batch) == (self.event, self.epoch, self.batch):
            os.kill(os.getpid(), getattr(signal, f"SIG{self.signal}"))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._end("begin", batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end("step", batch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end("validation", batch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._end("epoch", 0)


def end_in_save(stop: Any) -> None:
    """Kill the process when it writes a file for the n-th time: after the write, before the name."""
    written = 0
    rename = whole.os.replace

    def replace(*arguments: Any, **options: Any) -> None:
        nonlocal written
        written += 1
        if written == stop[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*arguments, **options)

    whole.os.replace = replace  # type: ignore[assignment]


def make_model(case: Case) -> ec.Sequential:
    torch.manual_seed(5)
    model = ec.Sequential(
        [
            ec.layers.Conv2D(4, 3),
            ec.layers.BatchNorm(),
            ec.layers.Activation("relu"),
            ec.layers.Flatten(),
            ec.layers.Dropout(0.3),
            ec.layers.Dense(CLASSES),
        ]
    )
    model.compile("adam", metrics=["accuracy"], lr=0.02, ema=0.9 if case.extras else None)
    return model


def data_of(case: Case, workers: int) -> dict[str, Any]:
    pictures = Pictures(ROWS, case.augmented, 1)
    checked = DataLoader(Pictures(16, case.augmented, 2), batch_size=BATCH)
    if case.source == "arrays":
        x, y = zip(*[pictures[row] for row in range(ROWS)], strict=True)
        return {"x": torch.stack(x), "y": torch.stack(y), "batch_size": BATCH, "validation_data": checked}
    loader = DataLoader(pictures, batch_size=BATCH, shuffle=True, num_workers=workers)
    return {"x": loader, "validation_data": checked}


def callbacks_of(case: Case, stop: Any) -> list[ec.callbacks.Callback]:
    callbacks: list[ec.callbacks.Callback] = []
    if case.extras:
        callbacks += [
            ec.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=0.5),
            ec.callbacks.EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True),
            ec.callbacks.ModelCheckpoint(f"{case.folder}/best.safetensors", monitor="val_loss", save_best_only=True),
        ]
    return callbacks if stop is None or stop[0] == "save" else [*callbacks, Ends(stop)]


def log_rows(model: ec.Sequential, path: Path) -> None:
    """Write down which rows each step has trained on."""

    def note(module: Any, inputs: tuple[Tensor, ...]) -> None:
        # Whole batches: before the first step, two rows are tried in a copy of the net.
        if model.training and torch.is_grad_enabled() and len(inputs[0]) == BATCH:
            rows = (inputs[0][:, 1, 0, 0] * ROWS).round().long().tolist()
            step = model._session.progress.steps  # type: ignore[union-attr]
            with path.open("a") as file:
                file.write(json.dumps([step, rows]) + "\n")

    model[0].register_forward_pre_hook(note)


def digest(model: ec.Sequential, history: ec.History) -> str:
    """Of weights, buffers, optimizer and history."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    for state in model.optimizer.state_dict()["state"].values():  # type: ignore[union-attr]
        for value in state.values():
            found.update(torch.as_tensor(value).contiguous().numpy().tobytes())
    found.update(repr([group["lr"] for group in model.optimizer.param_groups]).encode())  # type: ignore[union-attr]
    found.update(repr([history.epoch, history.rows]).encode())
    return found.hexdigest()


def train(case: Case, process: int) -> None:
    """One process of a case."""
    stop = case.stops[process] if process < len(case.stops) else None
    if stop is not None and stop[0] == "save":
        end_in_save(stop)
    model, folder = make_model(case), Path(case.folder)
    model.build((2, 6, 6))
    log_rows(model, folder / "rows.jsonl")
    random.seed(process)
    np.random.seed(process)
    torch.manual_seed(process)
    history = model.fit(
        **data_of(case, case.workers[min(process, len(case.workers) - 1)]),
        epochs=case.epochs,
        callbacks=callbacks_of(case, stop),
        resume=ec.RunFolder(folder / "run", every_steps=case.every_steps),
        verbose=0,
    )
    best = folder / "best.safetensors"
    result = {
        "digest": digest(model, history),
        "epochs": history.epoch,
        "best": hashlib.sha256(best.read_bytes()).hexdigest() if best.exists() else None,
    }
    (folder / "result.json").write_text(json.dumps(result))


def in_a_fork(case: Case, process: int) -> int:
    """The code with which the process ended; a signal is a negative number."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        train(case, process)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    except BaseException:
        (Path(case.folder) / "error.txt").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        case = Case(**json.loads(line))
        Path(case.folder).mkdir(parents=True, exist_ok=True)
        codes = [in_a_fork(case, process) for process in range(len(case.stops) + 1)]
        print(json.dumps(codes), flush=True)


if __name__ == "__main__":
    main()
