"""Contestants take turns: in each round each does one repetition, so that whatever else the machine does hits all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.processes import Process, WorkerError
from benchmarks.workloads import WORKLOADS

__all__ = ["Runner", "turns"]

Say = Callable[[str], None]


def turns(names: list[str], rounds: int) -> list[list[str]]:
    """Who comes when: each round starts with another one, so that none always runs after the same one."""
    shifts = [turn % len(names) for turn in range(rounds)]
    return [names[shift:] + names[:shift] for shift in shifts]


class Runner:
    """The processes of the contestants, one each, for all workloads."""

    def __init__(self, names: list[str], folder: Path, threads: int, say: Say) -> None:
        self._folder, self._threads, self._say = folder, threads, say
        self._names = names
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.end()

    def run(self, key: str, rounds: int, *, quick: bool) -> dict[str, Any]:
        """One workload, all contestants that take part in it."""
        workload = WORKLOADS[key]
        rows = workload.quick_rows if quick else workload.rows
        found: dict[str, Any] = {}
        failed: dict[str, str] = {}

        def attempt(name: str, act: Callable[[str], None]) -> None:
            if name not in failed:
                try:
                    act(name)
                except WorkerError as error:
                    failed[name] = str(error)
                    self._drop(name)
                    self._say(f"  {name} drops out: {error}")

        def prepare(name: str) -> None:
            found[name] = {"check": self._prepare(name, key, rows), "seconds": [], "loss": [], "accuracy": []}

        def repeat(name: str) -> None:
            answer = self._process(name).ask("repeat")
            for word in ("seconds", "loss", "accuracy"):
                found[name][word].append(answer[word])

        taking_part = [name for name in self._names if key in CONTESTANTS[name].workloads]
        for name in taking_part:
            attempt(name, prepare)
        for order in turns(taking_part, rounds):
            for name in order:
                attempt(name, repeat)
        return {
            "title": workload.title,
            "base": workload.base,
            "verb": workload.verb,
            "rows": rows,
            "steps": -(-rows // workload.batch_size),
            "batch_size": workload.batch_size,
            "rounds": rounds,
            "contestants": {name: values for name, values in found.items() if name not in failed},
            "failed": failed,
        }

    def _prepare(self, name: str, key: str, rows: int) -> dict[str, float] | None:
        """Have it ready and warm. Before that, a few rows in order, to compare what contestants compute."""
        workload, process = WORKLOADS[key], self._process(name)
        if workload.verb == "learn":
            process.ask("prepare", workload=key, rows=rows)
            return None
        process.ask("prepare", workload=key, rows=min(workload.quick_rows, 10 * workload.batch_size), check=True)
        answer = process.ask("repeat")
        process.ask("prepare", workload=key, rows=rows)
        process.ask("repeat")
        return {"loss": answer["loss"], "accuracy": answer["accuracy"]}

    def _process(self, name: str) -> Process:
        if name not in self._processes:
            self._processes[name] = Process(name, self._folder, self._threads)
        return self._processes[name]

    def _drop(self, name: str) -> None:
        self._processes.pop(name).end()
