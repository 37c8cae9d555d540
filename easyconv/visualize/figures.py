"""Figures that belong to whoever asked for them: nothing stays open in pyplot."""

import functools
import io
import os
from typing import Any

from easyconv.names import optional_import

__all__ = ["GREY", "RIGHT", "TRAINING", "VALIDATION", "WRONG", "finish", "new_figure"]

# From Paul Tol's schemes: told apart by colour-blind eyes and in grey print.
TRAINING, VALIDATION = "#6699CC", "#D55E00"
RIGHT, WRONG = "#1B7837", "#B2182B"
GREY = "#666666"


def new_figure(width: float, height: float, purpose: str) -> Any:
    """An empty figure of ``width`` by ``height`` inches that shows itself in a notebook.

    Raises
    ------
    MissingExtraError
        When matplotlib is not installed; ``purpose`` says what needs it.
    """
    module = optional_import("matplotlib.figure", "viz", purpose)
    figure = module.Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure._repr_png_ = functools.partial(_png, figure)
    return figure


def finish(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    """Save the figure where ``path`` says, and return it."""
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
