"""The command line: ``run`` measures and writes JSON, ``report`` makes the page and the picture of it."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS, installed
from benchmarks.datasets import prepare
from benchmarks.goals import PROFILED
from benchmarks.imports import measure_imports
from benchmarks.memory import measure_memory
from benchmarks.picture import draw
from benchmarks.processes import environment
from benchmarks.profiles import measure_profiles
from benchmarks.report import page, sameness, table
from benchmarks.runner import Runner
from benchmarks.workloads import MEMORY, WORKLOADS

__all__ = ["main"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
OTHERS = ["imports", "memory", "fit-cost", "profile"]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="measure, and write the JSON file after each workload")
    every = [*WORKLOADS, *OTHERS]
    run.add_argument("--workloads", nargs="+", choices=every, default=every, metavar="W", help=", ".join(every))
    run.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), metavar="C")
    run.add_argument("--rounds", type=int, default=5)
    run.add_argument("--threads", type=int, default=_cores(), help="of each process; all cores by default")
    run.add_argument("--quick", action="store_true", help="few rows, to see that all works; no figures to quote")
    run.add_argument("--update", action="store_true", help="keep what is in the file about other workloads")
    run.add_argument("--remark", default="", help="a sentence for the page, about what else the machine did, say")
    report = verbs.add_parser("report", help="make docs/benchmarks.md and its picture from the JSON file")
    report.add_argument("--page", type=Path, default=DOCS / "benchmarks.md")
    report.add_argument("--picture", type=Path, default=DOCS / "images" / "benchmarks.png")
    for verb in (run, report):
        verb.add_argument("--json", type=Path, default=DOCS / "benchmarks.json")
    arguments = parser.parse_args()
    if arguments.verb == "run":
        measure(arguments)
    else:
        results = json.loads(arguments.json.read_text())
        arguments.page.write_text(page(results))
        draw(results, arguments.picture)


def measure(arguments: argparse.Namespace) -> None:
    """Everything that was asked for."""
    start = time.perf_counter()
    names, left_out = _present(arguments.contestants)
    about = {**_machine(arguments.threads), "quick": arguments.quick, "versions": _versions(names), "data": {}}
    about["remark"] = arguments.remark
    results = _kept(arguments.json, about) if arguments.update else {"workloads": {}, "minutes": {}, "about": about}
    results["left_out"] = left_out

    def done(key: str, began: float) -> None:
        results["minutes"][key] = round((time.perf_counter() - began) / 60, 2)
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as folder:
        results["about"]["data"] |= _prepared(arguments.workloads, Path(folder))
        with Runner(names, Path(folder), arguments.threads, _say) as runner:
            for key in (key for key in WORKLOADS if key in arguments.workloads):
                if WORKLOADS[key].verb == "learn" and results["about"]["data"][WORKLOADS[key].data] == "noise":
                    left_out[key] = f"there is no {WORKLOADS[key].data} here to learn"
                    continue
                began = time.perf_counter()
                _say(f"\n{key}: {WORKLOADS[key].title}")
                results["workloads"][key] = section = runner.run(key, arguments.rounds, quick=arguments.quick)
                _say(table(section))
                _say(sameness(section))
                done(key, began)
        for key, act in _other(arguments, names, Path(folder)).items():
            if key in arguments.workloads:
                began = time.perf_counter()
                _say(f"\n{key}")
                results[key] = act()
                done(key, began)
    _say(f"\n{(time.perf_counter() - start) / 60:.1f} minutes; written to {arguments.json.name}")


def _kept(file: Path, about: dict[str, Any]) -> dict[str, Any]:
    """What the file has about other workloads, if it was measured in the same way."""
    results = json.loads(file.read_text())
    for word in ("processor", "cores", "threads", "system", "quick"):
        if results["about"][word] != about[word]:
            raise SystemExit(
                f"{file} was measured with {word} {results['about'][word]!r}, and this is {about[word]!r}: figures of "
                "both do not belong in one file. Leave out --update, or name another file with --json."
            )
    results["about"]["versions"] |= about["versions"]
    results["about"]["remark"] = about["remark"] or results["about"]["remark"]
    return results


def _other(arguments: argparse.Namespace, names: list[str], folder: Path) -> dict[str, Callable[[], Any]]:
    rounds, threads, quick = arguments.rounds, arguments.threads, arguments.quick
    return {
        "imports": lambda: measure_imports(names, threads, rounds),
        # Memory hardly varies.
        "memory": lambda: measure_memory(names, folder, threads, min(rounds, 2), quick=quick),
        "fit-cost": lambda: _fit_cost(3 if quick else max(rounds, 11)),
        "profile": lambda: measure_profiles(folder, threads, min(rounds, 3), quick=quick),
    }


def _fit_cost(rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.fit_cost", str(rounds)]
    done = subprocess.run(command, env=environment(1), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _present(names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Contestants whose library is installed, and why the others are left out."""
    left_out = {}
    for name in names:
        package = CONTESTANTS[name].package
        if installed(package) is None:
            left_out[name] = f"{package} is not installed"
            _say(f"left out: {name} ({left_out[name]})")
    return [name for name in names if name not in left_out], left_out


def _prepared(keys: list[str], folder: Path) -> dict[str, str]:
    """Data sets that the workloads need, and what each is in truth."""
    needed = {WORKLOADS[key].data for key in keys if key in WORKLOADS} | ({MEMORY.data} if "memory" in keys else set())
    needed |= {WORKLOADS[key].data for key, _ in PROFILED} if "profile" in keys else set()
    return {name: prepare(name, folder) for name in sorted(needed)}


def _versions(names: list[str]) -> dict[str, str]:
    packages = ["torch", "torchvision", *(CONTESTANTS[name].package for name in names)]
    return {"Python": platform.python_version(), **{package: str(installed(package)) for package in packages}}


def _machine(threads: int) -> dict[str, Any]:
    about = Path("/proc/cpuinfo")
    models = [line.split(":")[1].strip() for line in _lines(about) if line.startswith("model name")]
    processor = models[0] if models else platform.processor() or platform.machine()
    return {"processor": processor, "cores": _cores(), "threads": threads, "system": platform.system()}


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _say(text: str) -> None:
    print(text, flush=True)
