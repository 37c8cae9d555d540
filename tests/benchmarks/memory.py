"""Peak memory of ``fit`` on arrays: a fresh process each, one epoch on 60,000 rows that are in memory already."""

from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.processes import Process, WorkerError
from benchmarks.workloads import MEMORY

__all__ = ["measure_memory"]


def measure_memory(names: list[str], folder: Path, threads: int, rounds: int, *, quick: bool) -> dict[str, Any]:
    """MB at the peak, and how many of them came with the training."""
    rows = MEMORY.quick_rows if quick else MEMORY.rows
    plain = [name for name in names if not CONTESTANTS[name].words]
    found: dict[str, Any] = {name: {"peak_mb": [], "growth_mb": []} for name in plain}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for name in plain:
            process = Process(name, folder, threads)
            try:
                before = process.ask("prepare", workload="memory", rows=rows)["peak_mb"]
                after = process.ask("repeat")["peak_mb"]
                found[name]["peak_mb"].append(after)
                found[name]["growth_mb"].append(after - before)
            except WorkerError as error:
                failed[name] = str(error)
            process.end()
    found = {name: values for name, values in found.items() if name not in failed}
    return {"title": MEMORY.title, "rows": rows, "rounds": rounds, "contestants": found, "failed": failed}
