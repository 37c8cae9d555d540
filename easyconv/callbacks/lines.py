"""The text of progress: what a running pass and a finished one look like in so many columns."""

import numbers
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Pass", "final_text", "format_logs", "format_value", "plain_line", "running_line"]

GAP = "  "
WIDEST_BAR, NARROWEST_BAR = 30, 6
PATIENCE_SECONDS = 1.0
"""The time that is left is guessed only after this."""


@dataclass
class Pass:
    """One pass over the data, as far as it has come."""

    title: str
    total: int | None = None
    done: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    start: float = field(default_factory=time.perf_counter)
    before: int = 0
    """Batches of it that another process has done."""

    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self.start


def format_value(value: Any, name: str = "") -> str:
    """Four decimals, so that columns stay; scientific where that says nothing; whole numbers and rates as they are.

    Examples
    --------
    >>> [format_value(value) for value in (0.12345, 12.5, 3, 1.5e-05, 123456.7)]
    ['0.1235', '12.5000', '3', '1.50e-05', '1.23e+05']
    >>> format_value(0.0003, "learning_rate")
    '0.0003'
    """
    if name.startswith("learning_rate"):
        return f"{value:.3g}"
    if isinstance(value, numbers.Integral):
        return str(value)
    magnitude = abs(value)
    return f"{value:.2e}" if magnitude and (magnitude < 1e-3 or magnitude >= 1e5) else f"{value:.4f}"


def format_logs(logs: Mapping[str, Any]) -> str:
    """Names and values in their order.

    Examples
    --------
    >>> format_logs({"loss": 0.12345, "accuracy": 0.9876})
    'loss 0.1235  accuracy 0.9876'
    """
    return GAP.join(f"{name} {format_value(value, name)}" for name, value in logs.items())


def plain_line(state: Pass) -> str:
    """One line about a finished pass, however long, for logs and files."""
    return _joined(state.title, _duration(state.seconds()), format_logs(state.values))


def running_line(state: Pass, width: int, *, ascii_only: bool = False) -> str:
    """One line about a pass that is under way, never wider than ``width``.

    The bar takes the room that the numbers leave; where there is none, the numbers count more.
    """
    seconds, values = _duration(state.seconds()), format_logs(state.values)
    for note in (state.note or _time_left(state), ""):
        told = _joined(_count(state), seconds, note, values)
        bar = _bar(state, width - len(_joined(state.title, told)) - len(GAP), ascii_only)
        if bar:
            return _joined(state.title, bar, told)
    line = _joined(state.title, _count(state), seconds, values)
    return line if len(line) <= width else line[: max(0, width - 3)] + "..."


def final_text(state: Pass, width: int, *, ascii_only: bool = False) -> str:
    """What stays of a finished pass: one line where it fits, the validation below the training where it does not."""
    time_taken, values = _duration(state.seconds()), format_logs(state.values)
    told = _joined(_count(state), time_taken, values)
    room = width - len(_joined(state.title, told)) - len(GAP)
    cells = list(_cells(state.values))
    paired = GAP.join(f"{value} val {of_validation}" if of_validation else value for value, of_validation in cells)
    candidates = [
        _joined(state.title, _bar(state, room, ascii_only), told),
        _joined(state.title, _count(state), time_taken, paired),
        _joined(state.title, time_taken, paired),
    ]
    fitting = [line for line in candidates if len(line) <= width]
    return fitting[0] if fitting else _stacked(_joined(state.title, time_taken), cells, width)


def _stacked(head: str, cells: list[tuple[str, str]], width: int) -> str:
    """Training above validation, value under value; as many columns at a time as fit."""
    lines = []
    for group in _groups(cells, width - len(head)):
        lines.append(GAP.join([head, *(value for value, _ in group)]))
        if any(of_validation for _, of_validation in group):
            below = [of_validation.rjust(len(value)) for value, of_validation in group]
            lines.append(GAP.join(["val".rjust(len(head)), *below]).rstrip())
        head = " " * len(head)
    return "\n".join(lines)


def _groups(cells: list[tuple[str, str]], room: int) -> Iterator[list[tuple[str, str]]]:
    group: list[tuple[str, str]] = []
    used = 0
    for cell in cells:
        needed = len(GAP) + len(cell[0])
        if group and used + needed > room:
            yield group
            group, used = [], 0
        group.append(cell)
        used += needed
    yield group


def _cells(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """``("loss 0.5", "0.6")`` for a value with its validation; the second is empty where there is none."""
    for name, value in values.items():
        if name.startswith("val_") and name.removeprefix("val_") in values:
            continue
        of_validation = values.get(f"val_{name}")
        yield f"{name} {format_value(value, name)}", "" if of_validation is None else format_value(of_validation)


def _bar(state: Pass, room: int, ascii_only: bool) -> str:
    if state.total is None or room < NARROWEST_BAR:
        return ""
    width = min(room, WIDEST_BAR)
    filled = min(width, width * state.done // max(1, state.total))
    full, empty = "#." if ascii_only else "━─"
    return full * filled + empty * (width - filled)


def _count(state: Pass) -> str:
    if state.total is None:
        return f"{state.done} batch{'' if state.done == 1 else 'es'}"
    return f"{state.done:>{len(str(state.total))}}/{state.total}"


def _time_left(state: Pass) -> str:
    seconds = state.seconds()
    if state.total is None or not state.before < state.done < state.total or seconds < PATIENCE_SECONDS:
        return ""
    return f"{_duration(seconds / (state.done - state.before) * (state.total - state.done))} left"


def _duration(seconds: float) -> str:
    """``1.2s``, ``12s``, ``1m05s``, ``2h03m``."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _joined(*parts: str) -> str:
    return GAP.join(_nonempty(parts))


def _nonempty(parts: Iterable[str]) -> Iterator[str]:
    return (part for part in parts if part)
