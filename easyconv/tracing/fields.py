"""What a position of a tensor sees of the net's input."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Field", "Reach", "Trace", "in_words"]


class Reach(Enum):
    """What a position sees where that is no window."""

    ALL = "all"
    MIXED = "mixed"
    UNKNOWN = "unknown"
    CONSTANT = "constant"  # does not depend on the input


@dataclass(frozen=True)
class Field:
    """A window of the input.

    Attributes
    ----------
    axes : tuple of int
        Axes of the tensor that hold positions.
    size : tuple of int
        Input positions that one position sees, along each of ``axes``.
    jump : tuple of int
        Input positions between neighbours, along each of ``axes``.
    """

    axes: tuple[int, ...]
    size: tuple[int, ...]
    jump: tuple[int, ...]

    def moved(self, axes: Iterable[int]) -> "Field":
        """The same window on other axes."""
        return Field(tuple(axes), self.size, self.jump)


Trace = Field | Reach


def in_words(trace: Trace) -> tuple[tuple[int, ...] | str | None, tuple[int, ...] | None]:
    """Receptive field and jump as users see them: ``"all"``, ``"?"``, or ``None`` where there are no positions.

    Examples
    --------
    >>> in_words(Field((2,), (3,), (1,))), in_words(Reach.ALL)
    (((3,), (1,)), ('all', None))
    """
    if isinstance(trace, Field):
        return trace.size, trace.jump
    if trace is Reach.UNKNOWN:
        return "?", None
    return ("all" if trace in (Reach.ALL, Reach.MIXED) else None), None
