"""The processes that contestants run in: started, asked, ended; and how much memory one has used."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["Process", "WorkerError", "environment", "forget_peak", "peak_mb"]

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class WorkerError(Exception):
    """A contestant could not do what it was asked for."""


class Process:
    """A `worker.py` for one contestant."""

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by end()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, str(folder), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(threads),
        )

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """The worker's answer.

        Raises
        ------
        WorkerError
            When it failed or is gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"the process ended; last it said: {self._last_words()}"}
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def end(self) -> None:
        """Let it go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _last_words(self) -> str:
        self._errors.seek(0)
        return " / ".join(self._errors.read().splitlines()[-3:])


def environment(threads: int) -> dict[str, str]:
    """For processes that measure: equal threads, this package found, nothing drawn, no network."""
    folder = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(part for part in (folder, os.environ.get("PYTHONPATH")) if part)
    words = {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path, "KERAS_BACKEND": "torch", "MPLBACKEND": "agg"}
    # As installed, packages have their bytecode; without it every import would compile anew what pip has not.
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **words}


def peak_mb() -> float:
    """Largest resident memory of this process, in MB, since it began or `forget_peak`."""
    # Not getrusage() where there is a better way: on Linux it begins with the size of the parent.
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def forget_peak() -> None:
    """Count the peak from now on, where the system can."""
    with suppress(OSError):
        _CLEAR.write_text("5")
