"""Learning curves: one panel per quantity, training against validation."""

import math
import os
from collections.abc import Sequence
from typing import Any

from easyconv.directions import larger_is_better
from easyconv.errors import EmptyDataError, LengthError
from easyconv.names import optional_import
from easyconv.visualize.figures import GREY, TRAINING, VALIDATION, finish, new_figure

__all__ = ["plot_curves"]

_PURPOSE = "Plotting a history"
_RATE = "learning_rate"
_SHORT = ("auc", "f1", "iou", "mae", "map", "mape", "mse", "psnr", "rmse", "ssim")
_LOG_SPAN = 50.0
_FEW = 40

Points = tuple[list[int], list[float]]


def plot_curves(rows: list[dict[str, float]], epochs: list[int], *, path: str | os.PathLike[str] | None = None) -> Any:
    """Draw how training went.

    One panel per quantity: training dashed and light, validation (``val_...``) solid. The best epoch of validation
    (of training where there is none) is marked where the name tells whether low or high is good. The learning rate
    gets a panel if it changed. Values that are not finite are marked at the bottom of their panel.

    Parameters
    ----------
    rows : list of dict of str to float
        One row per epoch; a quantity that was not measured in an epoch is left out of its row.
    epochs : list of int
        Number of each row's epoch, as it shall stand on the axis.
    path : path, optional
        Where to save the picture; the ending says the format (``.png``, ``.pdf``, ``.svg``).

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot, so there is nothing to close.

    Raises
    ------
    EmptyDataError
        When there is nothing to draw.
    LengthError
        When rows and epochs differ in number.
    MissingExtraError
        When matplotlib is not installed.

    Examples
    --------
    >>> rows = [{"loss": 2.0, "val_loss": 2.1}, {"loss": 1.0, "val_loss": 1.5}]
    >>> figure = plot_curves(rows, [1, 2])
    >>> [panel.get_title(loc="left") for panel in figure.axes]
    ['Loss']
    """
    if len(rows) != len(epochs):
        raise LengthError(f"rows and epochs must have the same length, got {len(rows)} rows and {len(epochs)} epochs.")
    names = _panels(rows)
    if not names:
        raise EmptyDataError(f"There is nothing to draw in {len(rows)} rows. Train for at least one epoch first.")
    columns = min(len(names), 3 if len(names) != 4 else 2)
    lines = -(-len(names) // columns)
    figure = new_figure(max(4.6, 4.1 * columns), 2.9 * lines + 0.4, _PURPOSE)
    for i, name in enumerate(names):
        panel = figure.add_subplot(lines, columns, i + 1)
        _draw_panel(panel, name, rows, epochs)
        if i + columns >= len(names):
            panel.set_xlabel("epoch", color=GREY)
    _legend(figure)
    return finish(figure, path)


def _panels(rows: Sequence[dict[str, float]]) -> list[str]:
    """Quantities in the order in which they appear, the learning rate last and only if it changed."""
    names = list(dict.fromkeys(key.removeprefix("val_") for row in rows for key in row))
    rates = [name for name in names if name.startswith(_RATE)]
    changed = [name for name in rates if len({row[name] for row in rows if name in row}) > 1]
    return [name for name in names if name not in rates] + changed


def _points(rows: Sequence[dict[str, float]], epochs: Sequence[int], key: str) -> tuple[Points, list[int]]:
    """Finite points of one quantity, and the epochs in which it was not finite."""
    found = [(epoch, float(row[key])) for row, epoch in zip(rows, epochs, strict=True) if key in row]
    finite = [(epoch, value) for epoch, value in found if math.isfinite(value)]
    return ([e for e, _ in finite], [v for _, v in finite]), [e for e, v in found if not math.isfinite(v)]


def _draw_panel(panel: Any, name: str, rows: Sequence[dict[str, float]], epochs: Sequence[int]) -> None:
    (train, bad), (val, val_bad) = _points(rows, epochs, name), _points(rows, epochs, f"val_{name}")
    rate = name.startswith(_RATE)
    colour = GREY if rate else TRAINING
    style = "-" if rate else "--"
    shared = {"markersize": 3.5, "drawstyle": "steps-mid" if rate else "default"}
    panel.plot(*train, style, color=colour, marker=_marker(train), linewidth=1.6, label="training", **shared)
    if val[0]:
        panel.plot(*val, "-", color=VALIDATION, marker=_marker(val), linewidth=1.8, label="validation", **shared)
    _dress(panel, name, epochs, train[1] + val[1])
    best_of, best_colour = (val, VALIDATION) if val[0] else (train, TRAINING)
    if not rate and best_of[0]:
        _mark_best(panel, name, best_of, best_colour)
    _mark_bad(panel, sorted({*bad, *val_bad}))


def _marker(points: Points) -> str | None:
    return "o" if len(points[0]) <= _FEW else None


def _dress(panel: Any, name: str, epochs: Sequence[int], values: Sequence[float]) -> None:
    """Axes: whole epochs, room for labels, a log scale where the values span far."""
    ticker = optional_import("matplotlib.ticker", "viz", _PURPOSE)
    panel.set_title(_heading(name), loc="left", fontsize=11, fontweight="bold")
    wide = bool(values) and min(values) > 0 and max(values) / min(values) > _LOG_SPAN
    if wide and (larger_is_better(name) is False or name.startswith(_RATE)):
        panel.set_yscale("log")
    elif not name.startswith(_RATE):
        panel.yaxis.set_major_locator(ticker.MaxNLocator(nbins=5))
    panel.margins(x=0.03, y=0.16)
    panel.xaxis.set_major_locator(ticker.MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    if len(set(epochs)) == 1:
        panel.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)
        panel.set_xticks([epochs[0]])
    panel.grid(axis="y", color="#E5E5E5", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#AAAAAA")
    panel.tick_params(colors=GREY, labelsize=9)


def _heading(name: str) -> str:
    words = [word.upper() if word in _SHORT else word for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _mark_best(panel: Any, name: str, points: Points, colour: str) -> None:
    rises = larger_is_better(name)
    if rises is None:
        return
    epoch, value = max(zip(*points, strict=True), key=lambda point: point[1] if rises else -point[1])
    panel.plot([epoch], [value], "o", markersize=8, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=2)
    panel.set_title(f"best {value:.4g} in epoch {epoch}", loc="right", fontsize=9, color=colour)


def _mark_bad(panel: Any, epochs: Sequence[int]) -> None:
    if epochs:
        foot = panel.get_xaxis_transform()
        panel.plot(epochs, [0.03] * len(epochs), "x", color="black", markersize=5, transform=foot, label="not finite")


def _legend(figure: Any) -> None:
    """One legend for all panels, left out where there is only one kind of line."""
    entries: dict[str, Any] = {}
    for panel in figure.axes:
        for line, label in zip(*panel.get_legend_handles_labels(), strict=True):
            if not panel.get_title(loc="left").lower().startswith("learning rate"):
                entries.setdefault(label, line)
    if len(entries) > 1:
        figure.legend(
            list(entries.values()), list(entries), loc="outside upper left", ncols=len(entries), frameon=False
        )
