"""The numbers and words that ``fit`` is called with."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from easyconv.arguments import check_choice, check_integer
from easyconv.errors import ArgumentTypeError
from easyconv.training.loop import Plan

__all__ = ["FitOptions", "OnOutOfMemory"]

OnOutOfMemory = Literal["raise", "split"]


@dataclass(frozen=True)
class FitOptions:
    """Epochs and steps of one ``fit``, checked; see ``Model.fit`` for what they mean.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        When one of the numbers is not an integer, or too small; when one of the words is not known.
    """

    epochs: int = 1
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_freq: int | Collection[int] = 1
    seed: int | None = None
    on_oom: OnOutOfMemory = "raise"

    def __post_init__(self) -> None:
        check_integer("epochs", self.epochs, minimum=0)
        check_integer("initial_epoch", self.initial_epoch, minimum=0)
        for name, minimum in (("steps_per_epoch", 1), ("validation_steps", 1), ("seed", 0)):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=minimum)
        check_choice("on_oom", self.on_oom, ("raise", "split"))
        _check_validation_freq(self.validation_freq)

    def plan(self) -> Plan:
        """Which epochs, and after which of them validation is due."""
        freq, epochs = self.validation_freq, range(self.initial_epoch, self.epochs)
        if isinstance(freq, Collection):
            return Plan(epochs, lambda epoch: epoch + 1 in freq)
        return Plan(epochs, lambda epoch: (epoch + 1) % freq == 0)


def _check_validation_freq(freq: object) -> None:
    if isinstance(freq, str):
        raise ArgumentTypeError(f"validation_freq must be an integer or a list of epochs (from 1), got {freq!r}.")
    for epoch in freq if isinstance(freq, Collection) else (freq,):
        check_integer("validation_freq", epoch, minimum=1)
