"""Where in a training somebody is, and who is told of every moment from which it could go on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Keeper", "Position"]


@dataclass(frozen=True)
class Position:
    """A moment between two steps of a training.

    Parameters
    ----------
    epoch : int
        The epoch that is under way, or comes next.
    batch : int, default 0
        How many of its batches have been trained on.
    begun : bool, default False
        Whether its ``on_epoch_begin`` is over.
    totals : object, optional
        The `Totals` of these batches.
    row : dict, optional
        What training has measured, where all batches are over; validation and ``on_epoch_end`` follow.

    Examples
    --------
    >>> Position(3).begun
    False
    """

    epoch: int
    batch: int = 0
    begun: bool = False
    totals: Any = None
    row: Mapping[str, float] | None = field(default=None)


class Keeper:
    """What the loop tells of its way to whoever keeps checkpoints; this one keeps nothing."""

    notes: bool = False
    """Whether it wants to hear of every step."""
    stops_on_sigterm: bool = False
    """Whether a SIGTERM is held back until the state is saved."""

    def __init__(self) -> None:
        self.verify: Callable[[], None] = lambda: None
        """Raises when what the last steps have made must not be kept."""

    def is_done(self) -> bool:
        """Whether nothing is left to do, since an earlier process did it all; the model then is as it was there."""
        return False

    def begin(self, first_epoch: int) -> Position:
        """Where to start; called after ``on_train_begin``."""
        return Position(first_epoch)

    def leave(self) -> None:
        """The last moment is over: callbacks, or the net, are about to change."""

    def reach(self, position: Position) -> None:
        """A moment from which training can go on: everything before it is done, nothing after it has begun."""

    def may_stop(self) -> bool:
        """Whether nothing is lost by stopping now."""
        return True

    def end_epoch(self, epoch: int, row: Mapping[str, float]) -> None:
        """An epoch is over, with everything that belongs to it."""

    def rescue(self, error: BaseException) -> None:
        """Training is about to end by this error."""

    def end(self) -> None:
        """Training has ended as it should, ``on_train_end`` included."""
