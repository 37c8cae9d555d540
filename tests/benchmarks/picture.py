"""The picture of docs/benchmarks.md: one panel per workload, one line per contestant."""

import statistics
from pathlib import Path
from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.figures import ratios

__all__ = ["draw"]

OURS, LOOPS, OTHERS = "#c8102e", "#222222", "#8a94a0"


def draw(results: dict[str, Any], path: Path) -> None:
    """Medians as dots, from the least to the largest as lines; the base at 1."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    found = {key: section for key, section in results["workloads"].items() if section["verb"] != "learn"}
    if not found:
        return
    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    figure, panels = plt.subplots(
        rows, columns, figsize=(3.6 * columns, 3.4 * rows), squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(found) :]:
        panel.set_visible(False)
    for panel, (key, section) in zip(panels.flat, found.items(), strict=False):
        _panel(panel, key, section)
    figure.suptitle(
        "Time as a ratio to the tutorial loop of the same round: median, least and largest (lower is better)"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(panel: Any, key: str, section: dict[str, Any]) -> None:
    names = [name for name in section["contestants"] if name != section["base"] and ratios(section, name)]
    names.sort(key=lambda name: statistics.median(ratios(section, name)), reverse=True)
    for height, name in enumerate(names):
        values = ratios(section, name)
        color = OURS if name.startswith("easyconv") else LOOPS if name.startswith("tuned") else OTHERS
        middle = statistics.median(values)
        panel.plot([min(values), max(values)], [height, height], color=color, linewidth=1.5, alpha=0.6)
        panel.plot(middle, height, "o", color=color, markersize=5)
        panel.annotate(f"{middle:.2f}", (middle, height), (0, 4), textcoords="offset points", ha="center", fontsize=7)
    panel.axvline(1, color=LOOPS, linewidth=0.8, linestyle=":")
    panel.set_xscale("log")
    ticks = [tick for tick in (0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 8) if _within(tick, section, names)]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.set_ylim(-0.6, len(names) - 0.2)
    panel.set_yticks(range(len(names)), [_label(key, name) for name in names], fontsize=8)
    for label, name in zip(panel.get_yticklabels(), names, strict=True):
        label.set_color(OURS if name.startswith("easyconv") else LOOPS)
    panel.set_title(f"{key}: {section['title']}", fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _within(tick: float, section: dict[str, Any], names: list[str]) -> bool:
    values = [1.0, *(value for name in names for value in ratios(section, name))]
    return 0.85 * min(values) <= tick <= 1.15 * max(values)


def _label(key: str, name: str) -> str:
    return CONTESTANTS[name].title
