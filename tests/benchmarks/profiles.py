"""Where the time goes: a training step of each workload that has a goal, and the passes before the first step."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.goals import PROFILED
from benchmarks.processes import Process, WorkerError, environment
from benchmarks.workloads import WORKLOADS

__all__ = ["measure_profiles"]

_STEPS, _FEW_STEPS = 10, {"W4": 2}
"""How many steps are measured each time; those of ResNet-18 take a second."""


def measure_profiles(folder: Path, threads: int, rounds: int, *, quick: bool) -> dict[str, Any]:
    """What ``ec.profile`` finds, in rounds, and milliseconds of each pass that ``fit`` makes before the first step."""
    found = [{"workload": key, "contestant": name, "rounds": []} for key, name in PROFILED]
    failed: dict[str, str] = {}
    processes = {name: Process(name, folder, threads) for name in dict.fromkeys(name for _, name in PROFILED)}
    try:
        for process in processes.values():  # none shall still import while another measures
            process.ask("prepare", workload="W0", rows=WORKLOADS["W0"].quick_rows)
        for _ in range(rounds):
            for row in found:
                _add_round(row, processes[row["contestant"]], failed, quick=quick)
    finally:
        for process in processes.values():
            process.end()
    steps = [row for row in found if row["rounds"]]
    return {"rounds": rounds, "steps": steps, "failed": failed, "passes": _passes(3 if quick else 11)}


def _add_round(row: dict[str, Any], process: Process, failed: dict[str, str], *, quick: bool) -> None:
    key = row["workload"]
    rows = WORKLOADS[key].quick_rows if quick else WORKLOADS[key].rows
    try:
        row["rounds"].append(process.ask("profile", workload=key, rows=rows, steps=_FEW_STEPS.get(key, _STEPS)))
    except WorkerError as error:
        failed[row["contestant"]] = f"{key}: {error}"


def _passes(rounds: int) -> dict[str, dict[str, list[float]]]:
    command = [sys.executable, "-m", "benchmarks.passes", str(rounds)]
    done = subprocess.run(command, env=environment(1), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)
