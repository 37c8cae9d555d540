"""How long each library takes to import, and how much memory: a fresh process each."""

import json
import subprocess
import sys
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.processes import environment
from benchmarks.runner import turns

__all__ = ["measure_imports"]

_PROGRAM = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from benchmarks.processes import peak_mb
start = time.perf_counter()
import {module}
print(json.dumps({{"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}}))
"""


def measure_imports(names: list[str], threads: int, rounds: int) -> dict[str, Any]:
    """Seconds and MB after ``import`` of each library, in rounds."""
    modules = list(dict.fromkeys(["torch", *(CONTESTANTS[name].imports for name in names)]))
    found: dict[str, Any] = {module: {"seconds": [], "peak_mb": []} for module in modules}
    for module in modules:
        _import(module, threads)  # the first reads files from the disk, and compiles them
    for order in turns(modules, rounds):
        for module in order:
            for word, value in _import(module, threads).items():
                found[module][word].append(value)
    return {"rounds": rounds, "modules": found}


def _import(module: str, threads: int) -> dict[str, float]:
    command = [sys.executable, "-c", _PROGRAM.format(module=module)]
    done = subprocess.run(command, env=environment(threads), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])
