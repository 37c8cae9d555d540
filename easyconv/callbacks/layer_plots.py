"""Numbers of layers over the epochs."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from easyconv.names import optional_import
from easyconv.visualize.figures import GREY, finish, new_figure

__all__ = ["plot_layers"]

_PURPOSE = "Plotting layers"
_FEW = 10
_LOG_SPAN = 20.0


def plot_layers(
    rows: Sequence[Mapping[str, Mapping[str, float]]],
    panels: Mapping[str, str],
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """One panel per quantity, one line per layer, coloured by depth.

    Parameters
    ----------
    rows : sequence of dict
        One per epoch: name of layer to its numbers.
    panels : mapping of str to str
        Which numbers, and the headings of their panels.
    path : str or path, optional
        Also write the picture there.

    Examples
    --------
    >>> figure = plot_layers([{"0": {"norm": 1.0}}, {"0": {"norm": 0.5}}], {"norm": "Norm"})
    >>> figure.axes[0].get_title(loc="left")
    'Norm'
    """
    layers = list(dict.fromkeys(layer for row in rows for layer in row))
    colours = optional_import("matplotlib", "viz", _PURPOSE).colormaps["viridis"]
    figure = new_figure(4.1 * len(panels) + 1.4, 3.4, _PURPOSE)
    for place, (number, heading) in enumerate(panels.items(), start=1):
        panel = figure.add_subplot(1, len(panels), place)
        seen: list[float] = []
        for depth, layer in enumerate(layers):
            points = [(epoch, row[layer][number]) for epoch, row in enumerate(rows, start=1) if layer in row]
            seen += [value for _, value in points]
            colour = colours(0.9 * depth / max(1, len(layers) - 1))
            panel.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1.5, color=colour, label=layer)
        _dress(panel, heading, seen, len(rows))
    _legend(figure, len(layers))
    return finish(figure, path)


def _dress(panel: Any, heading: str, values: Sequence[float], epochs: int) -> None:
    panel.set_title(heading, loc="left", fontsize=11, fontweight="bold")
    if heading.startswith("Share"):
        panel.set_ylim(-0.03, 1.03)
    elif min(values) > 0 and max(values) > _LOG_SPAN * min(values):
        panel.set_yscale("log")
    panel.xaxis.set_major_locator(optional_import("matplotlib.ticker", "viz", _PURPOSE).MaxNLocator(8, integer=True))
    if epochs == 1:
        panel.set_xlim(0.5, 1.5)
    panel.set_xlabel("epoch", color=GREY)
    panel.grid(axis="y", color="#E5E5E5", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(colors=GREY, labelsize=9)


def _legend(figure: Any, count: int) -> None:
    """All layers where they are few; else the first, the middle and the last."""
    lines, labels = figure.axes[0].get_legend_handles_labels()
    places = range(count) if count <= _FEW else (0, count // 2, count - 1)
    chosen = [lines[place] for place in places], [labels[place] for place in places]
    figure.legend(*chosen, loc="outside right upper", frameon=False, fontsize=9, title="layer", title_fontsize=9)
