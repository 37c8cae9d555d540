"""One contestant in a process of its own: reads requests from standard input, answers each with a line of JSON.

``python -m benchmarks.worker NAME FOLDER THREADS`` is started by `runner.py`. What libraries print goes to standard
error; the answers have standard output for themselves.
"""

import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from benchmarks.contestants import CONTESTANTS
from benchmarks.datasets import load
from benchmarks.processes import forget_peak, peak_mb
from benchmarks.recipes import RECIPES, tested
from benchmarks.workloads import MEMORY, WORKLOADS, Score, Task, Workload

Repetition = Callable[[], Any]


class Worker:
    """What a contestant can be asked for; ``prepare`` comes before ``repeat``."""

    def __init__(self, name: str, folder: Path) -> None:
        self._words = CONTESTANTS[name].words
        self._module = importlib.import_module(f"benchmarks.contestants.{CONTESTANTS[name].module}")
        self._folder = folder
        self._run: Repetition | None = None
        self._score: Callable[[Any], Score] = Score._make

    def prepare(self, workload: str, rows: int, check: bool = False) -> dict[str, Any]:
        """Set up a workload; nothing of the one before is left."""
        self._run = None
        gc.collect()
        asked = MEMORY if workload == "memory" else WORKLOADS[workload]
        if asked.verb == "learn":
            self._learn(workload)
        else:
            self._do(asked, asked.task(self._folder, rows, check=check))
        gc.collect()
        forget_peak()
        return {"peak_mb": peak_mb()}

    def repeat(self) -> dict[str, Any]:
        """Do it once: seconds, and what came out."""
        assert self._run is not None, "prepare comes first"
        gc.collect()
        start = time.perf_counter()
        result = self._run()
        seconds = time.perf_counter() - start
        loss, accuracy = self._score(result)
        return {"seconds": seconds, "loss": float(loss), "accuracy": float(accuracy), "peak_mb": peak_mb()}

    def profile(self, workload: str, rows: int, steps: int) -> dict[str, Any]:
        """Where the time of a training step goes; for easyconv, whose `ec.profile` says it."""
        return self._module.profile(WORKLOADS[workload].task(self._folder, rows), steps, **self._words)

    def _do(self, workload: Workload, task: Task) -> None:
        torch.manual_seed(0)
        self._run = getattr(self._module, workload.verb)(task, **self._words)
        self._score = Score._make if workload.verb == "train" else lambda outputs: _scored(outputs, task)

    def _learn(self, workload: str) -> None:
        recipe = RECIPES[workload]
        kept = load(recipe.data, self._folder)
        images = kept._replace(x=kept.x.clone(), y=kept.y.clone())
        self._run = lambda: self._module.learn(recipe, images)
        self._score = lambda net: tested(net, images.test_x, images.test_y, recipe)


def _scored(outputs: Any, task: Task) -> Score:
    outputs = torch.as_tensor(outputs)
    accuracy = (outputs.argmax(1) == task.targets).float().mean()
    return Score(F.cross_entropy(outputs, task.targets).item(), accuracy.item())


def main() -> None:
    """Answer until standard input ends."""
    name, folder, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(int(threads))
    worker = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            worker = worker or Worker(name, Path(folder))
            answer = getattr(worker, request.pop("verb"))(**request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
