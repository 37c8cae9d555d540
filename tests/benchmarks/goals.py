"""What was to be reached, set before anything was measured, and what the JSON file has about it."""

import statistics
from dataclasses import dataclass
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.figures import ratios, spread
from benchmarks.workloads import WORKLOADS

__all__ = ["PROFILED", "RATIOS", "Goal", "goal_of", "goals"]

RATIOS = {
    ("W0", "easyconv"): 0.50,
    ("W0-loader", "easyconv"): 1.03,
    ("W1", "easyconv"): 0.80,
    ("W1", "easyconv-bf16"): 0.55,
    ("W2", "easyconv"): 1.03,
    ("W2", "easyconv-cache"): 0.40,
    ("W3", "easyconv"): 0.70,
    ("W3", "easyconv-bf16"): 0.45,
    ("W4", "easyconv"): 1.00,
    ("W4", "easyconv-bf16"): 0.50,
    ("W5", "easyconv"): 0.42,
    ("W5", "easyconv-fast"): 0.22,
    ("MNIST-99", "easyconv"): 1.05,
    ("CIFAR-70", "easyconv"): 1.05,
}
"""Seconds of a contestant, at most so many times those of the workload's base."""
PROFILED = [(key, name) for key, name in RATIOS if WORKLOADS[key].verb == "train"]
"""Those whose steps are measured part by part."""
IMPORT_SECONDS, IMPORT_MB = 0.1, 10
"""More than ``import torch``."""
START_UP_MS = 5
MEMORY_MB = 50
"""More than the tuned loop."""


@dataclass(frozen=True)
class Goal:
    """A figure that should be no larger than a limit, and what it was in each round."""

    title: str
    limit: float
    seen: list[float]
    unit: str = ""
    digits: int = 0

    @property
    def reached(self) -> bool:
        """Whether the median, as it is shown, is within the limit."""
        return round(statistics.median(self.seen), self.digits) <= self.limit

    def cells(self) -> list[str]:
        """Limit, figures and verdict, for a table."""
        verdict = "yes" if self.reached else "**no**"
        return [f"{self.limit:.2f}" if not self.unit else f"{self.limit:g} {self.unit}", self._spread(), verdict]

    def _spread(self) -> str:
        return f"{spread(self.seen, f'.{self.digits}f')} {self.unit}".rstrip()


def goals(results: dict[str, Any]) -> list[Goal]:
    """All goals that the file has figures for."""
    found = [goal_of(results, workload, name) for workload, name in RATIOS]
    return [*(goal for goal in found if goal is not None), *_imports(results), *_start_up(results), *_memory(results)]


def goal_of(results: dict[str, Any], workload: str, name: str) -> Goal | None:
    """That of a contestant in a workload; ``None`` where it was not measured, or has none."""
    section = results["workloads"].get(workload)
    if section is None or name not in section["contestants"] or (workload, name) not in RATIOS:
        return None
    seen = ratios(section, name)
    title = f"{workload}: {section['title']}; {CONTESTANTS[name].title}, ratio to the {_base(section)}"
    return Goal(title, RATIOS[workload, name], seen, digits=3) if seen else None


def _base(section: dict[str, Any]) -> str:
    return CONTESTANTS[section["base"]].title


def _imports(results: dict[str, Any]) -> list[Goal]:
    modules = results.get("imports", {"modules": {}})["modules"]
    if not {"torch", "easyconv"} <= set(modules):
        return []
    more = {word: _differences(modules["easyconv"][word], modules["torch"][word]) for word in ("seconds", "peak_mb")}
    return [
        Goal("`import easyconv`, beyond `import torch`", IMPORT_SECONDS, more["seconds"], "s", digits=3),
        Goal("`import easyconv`, memory beyond `import torch`", IMPORT_MB, more["peak_mb"], "MB", digits=1),
    ]


def _start_up(results: dict[str, Any]) -> list[Goal]:
    found = results.get("fit-cost", {"start_up": {}})["start_up"]
    return [
        Goal(f"start and end of `fit`, a new {name}", START_UP_MS, values["new"], "ms", digits=1)
        for name, values in found.items()
    ]


def _memory(results: dict[str, Any]) -> list[Goal]:
    found = results.get("memory", {"contestants": {}})["contestants"]
    if not {"easyconv", "tuned"} <= set(found):
        return []
    more = _differences(found["easyconv"]["peak_mb"], found["tuned"]["peak_mb"])
    return [Goal("peak memory of `fit`, beyond the tuned loop", MEMORY_MB, more, "MB")]


def _differences(mine: list[float], others: list[float]) -> list[float]:
    return [one - other for one, other in zip(mine, others, strict=True)]
