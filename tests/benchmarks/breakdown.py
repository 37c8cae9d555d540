"""Two sections of docs/benchmarks.md: which goals were reached, and where the time goes."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.figures import spread
from benchmarks.goals import goal_of, goals

__all__ = ["goals_reached", "where_the_time_goes"]

NONE = "\N{EN DASH}"
PARTS = ("data", "forward", "loss", "backward", "optimizer", "framework")

_GOALS = """## Goals

Set before anything was measured. Reached is what has a median within the limit.

| goal | at most | seen: median [min max] | reached |
|---|---|---|---|
"""

_STEPS = """## Where the time goes

A training step of easyconv, as `ec.profile` shows it ([docs/profiling.md](profiling.md)): medians of {rounds} round{s}.
Forward and backward are torch's kernels, whoever calls them. `framework` is what `fit` takes beyond a loop written by
hand, and may be below zero. Forward and backward together are bound by arithmetic or by memory, as the roofline model
has it, and reach so much of what that allows. Only training has steps: `predict` has no row here.

| | ms per batch | {parts} | forward and backward | bound by | at most | seen | reached |
|{dashes}
"""

_PASSES = """\
What `fit` does with two rows before its first step, and all else before it and after the last: milliseconds of a new
model, one thread. `how the net takes the rows` runs the net up to its first layer that says what it takes, where one
does; the dry run is a whole pass; `channels last or not` tries a copy where code of the user's runs in the net.

| | {parts} | all else | together |
|{dashes}
"""


def goals_reached(results: dict[str, Any]) -> str:
    """The table of goals; empty where nothing was measured that has one."""
    rows = [f"| {' | '.join([goal.title, *goal.cells()])} |" for goal in goals(results)]
    return _GOALS + "\n".join(rows) if rows else ""


def where_the_time_goes(results: dict[str, Any]) -> str:
    """Parts of a training step, and of the start of ``fit``."""
    if "profile" not in results:
        return ""
    section = results["profile"]
    head = _STEPS.format(
        rounds=section["rounds"],
        s="" if section["rounds"] == 1 else "s",
        parts=" | ".join(PARTS),
        dashes="---|" * (len(PARTS) + 7),
    )
    steps = "\n".join(_step(results, row) for row in section["steps"])
    return f"{head}{steps}\n\n{_passes(section['passes'])}"


def _step(results: dict[str, Any], row: dict[str, Any]) -> str:
    def median(of: Callable[[dict[str, float]], float]) -> float:
        return statistics.median(of(found["seconds"]) for found in row["rounds"])

    def share(*parts: str) -> str:
        return f"{median(lambda seconds: sum(seconds[part] for part in parts) / sum(seconds.values())):.0%}"

    key, name = row["workload"], row["contestant"]
    cells = [f"{key}, {CONTESTANTS[name].title}", f"{1e3 * median(lambda seconds: sum(seconds.values())):.2f}"]
    cells += [*(share(part) for part in PARTS), share("forward", "backward"), _bound(row)]
    goal = goal_of(results, key, name)
    return f"| {' | '.join([*cells, *([NONE] * 3 if goal is None else goal.cells())])} |"


def _bound(row: dict[str, Any]) -> str:
    lines = [found["roofline"] for found in row["rounds"]]
    bound = statistics.mode(line["bound"] for line in lines)
    return f"{bound}, {statistics.median(line['reached'] for line in lines if line['bound'] == bound):.0%}"


def _passes(found: dict[str, dict[str, list[float]]]) -> str:
    parts = [part for part in next(iter(found.values())) if part != "all"]
    lines = [_PASSES.format(parts=" | ".join(parts), dashes="---|" * (len(parts) + 3)).rstrip()]
    for name, values in found.items():
        named = [values[part] for part in parts]
        rest = [whole - sum(others) for whole, *others in zip(values["all"], *named, strict=True)]
        cells = [spread(figures, ".1f") for figures in (*named, rest, values["all"])]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)
