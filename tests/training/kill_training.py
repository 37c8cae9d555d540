"""Trainings that are killed and started again, each in a process forked from this one, which has imported torch.

Reads one case per line from standard input (a JSON object, see ``Case``) and answers with one line: how each of its
processes ended. What the last of them has made is in the file ``result.json`` of the case's folder.
"""

import hashlib
import importlib
import json
import os
import random
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.data import DataLoader, Dataset

import easyconv as ec

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
    rows: int = ROWS
    batch: int = BATCH
    decay: float | None = None
    """Of the learning rate, after each epoch."""
    chance: dict[str, Any] | None = None
    """Signals from outside at random moments, until a process has ended before one came: see ``Chance``."""


@dataclass
class Chance:
    """When the parent sends which signal to whom."""

    seed: int
    longest: float
    """Seconds; the moments are drawn up to this."""
    signal: str = "KILL"
    group: bool = False
    """To the workers of the loader too, as schedulers do and as the system does where memory runs out."""


@dataclass
class End:
    """How one process of a case has ended."""

    process: int
    code: int
    """A signal is a negative number."""
    seconds: float
    steps: int
    """On which it has trained, the last one perhaps not to its end."""
    torn: bool
    """Whether a file was being written."""


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
        return torch.cat([x, torch.full((1, 6, 6), row / len(self))]), self.y[row]


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
    rename = Path.replace

    def replace(path: Path, target: Any) -> Path:
        nonlocal written
        written += 1
        if written == stop[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(path, target)

    Path.replace = replace  # type: ignore[method-assign, assignment]


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
    pictures = Pictures(case.rows, case.augmented, 1)
    checked = DataLoader(Pictures(16, case.augmented, 2), batch_size=BATCH)
    if case.source == "arrays":
        x, y = zip(*[pictures[row] for row in range(case.rows)], strict=True)
        return {"x": torch.stack(x), "y": torch.stack(y), "batch_size": case.batch, "validation_data": checked}
    loader = DataLoader(pictures, batch_size=case.batch, shuffle=True, num_workers=workers)
    return {"x": loader, "validation_data": checked}


def callbacks_of(case: Case, stop: Any) -> list[ec.callbacks.Callback]:
    callbacks: list[ec.callbacks.Callback] = []
    if case.extras:
        callbacks += [
            ec.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=0.5),
            ec.callbacks.EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True),
            ec.callbacks.ModelCheckpoint(f"{case.folder}/best.safetensors", monitor="val_loss", save_best_only=True),
        ]
    if case.decay is not None:
        callbacks.append(ec.callbacks.TorchScheduler(lambda optimizer: ExponentialLR(optimizer, case.decay)))
    return callbacks if stop is None or stop[0] == "save" else [*callbacks, Ends(stop)]


def log_rows(model: ec.Sequential, case: Case, path: Path) -> None:
    """Write down which rows each step has trained on."""

    def note(module: Any, inputs: tuple[Tensor, ...]) -> None:
        # Whole batches: before the first step, two rows are tried in a copy of the net.
        if model.training and torch.is_grad_enabled() and len(inputs[0]) == case.batch:
            rows = (inputs[0][:, 1, 0, 0] * case.rows).round().long().tolist()
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
    log_rows(model, case, folder / "rows.jsonl")
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


def in_a_fork(case: Case, process: int, chance: Chance | None = None, delay: float = 0.0) -> End:
    """One process from its beginning to its end, or to the signal that is sent after ``delay`` seconds."""
    start, steps, temporary = time.monotonic(), steps_of(case), temporary_files(case)
    child = os.fork()
    if not child:
        run_and_exit(case, process)
    os.setpgid(child, child)
    status = None
    if chance is not None:
        status = wait(child, delay)
        if status is None:
            (os.killpg if chance.group else os.kill)(child, getattr(signal, f"SIG{chance.signal}"))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1] if status is None else status)
    torn = not temporary_files(case) <= temporary
    return End(child, code, time.monotonic() - start, steps_of(case) - steps, torn)


def steps_of(case: Case) -> int:
    """Lines that its processes have written so far."""
    rows = Path(case.folder) / "rows.jsonl"
    return len(rows.read_bytes().splitlines()) if rows.exists() else 0


def temporary_files(case: Case) -> set[str]:
    return {str(path) for path in Path(case.folder).rglob(".*.tmp")}


def wait(child: int, seconds: float) -> int | None:
    """The status of a child that ends within this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.001)
    return None


def run_and_exit(case: Case, process: int) -> None:
    """What the forked process does."""
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


def run(case: Case) -> list[End]:
    """All processes of a case."""
    if case.chance is None:
        ends = [in_a_fork(case, process) for process in range(len(case.stops) + 1)]
    else:
        ends = at_random(case, Chance(**case.chance))
    for end in ends:
        # A worker whose parent is killed while it starts takes init for its parent, and would wait for ever.
        with suppress(ProcessLookupError):
            os.killpg(end.process, signal.SIGKILL)
    return ends


def at_random(case: Case, chance: Chance) -> list[End]:
    draw, ends = random.Random(chance.seed), []
    while not ends or ends[-1].code not in (0, 1):
        ends.append(in_a_fork(case, len(ends), chance, draw.random() * chance.longest))
    return ends


def warm_up() -> None:
    """Import what torch imports at the first optimizer, which takes seconds, here and not in each fork."""
    make_model(Case("", [0]))
    importlib.import_module("safetensors.torch")


def main() -> None:
    torch.set_num_threads(1)
    # A shell lets what it starts in the background ignore Ctrl-C, and Python would leave it at that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warm_up()
    for line in sys.stdin:
        case = Case(**json.loads(line))
        Path(case.folder).mkdir(parents=True, exist_ok=True)
        print(json.dumps([vars(end) for end in run(case)]), flush=True)


if __name__ == "__main__":
    main()
