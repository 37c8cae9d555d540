"""Cuts a source of batches into passes, so that every one of them is whole."""

from collections.abc import Iterator

from easyconv.data.sources.batch import Batch
from easyconv.data.sources.make import Source
from easyconv.errors import ArgumentError, DataExhaustedError, EmptyDataError
from easyconv.seed import derive
from easyconv.training.state import Progress

__all__ = ["CHECK", "ORDER", "STEP", "Supply", "TrainingSupply"]

ORDER, STEP, CHECK = 0, 1, 2
"""Purposes of the keyed seeds: the order of a training pass, the draws of a step, the order of a validation pass."""


class Supply:
    """Batches of one source, a pass at a time.

    Without ``steps`` a pass is the whole source. With ``steps`` it is that many batches, from the start each time, as
    in Keras, so that each pass measures the same samples; a generator cannot start again and goes on.

    Parameters
    ----------
    source : Source
        Where the batches come from.
    steps : int, optional
        Batches per pass.
    seed : int, optional
        Keys the order of every pass; without it the global random state decides.
    progress : Progress, optional
        Counts the passes, also over several calls of ``fit``.
    name : str, default "x"
        Names the source in errors.
    argument : str, optional
        What the user calls ``steps``; ``"steps"``, or ``"steps_per_epoch"`` for training.
    """

    purpose = CHECK
    training = False
    """Whether its batches are trained on."""
    argument = "steps"
    goes_on = False
    """Whether a pass goes on in the source where the last one stopped, and starts again there where it ends."""

    def __init__(
        self,
        source: Source,
        steps: int | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
        *,
        name: str = "x",
        argument: str | None = None,
    ) -> None:
        self.source = source
        self.steps = steps
        self.seed = seed
        self.progress = progress if progress is not None else Progress()
        self.name = name
        if argument is not None:
            self.argument = argument
        self._current: Iterator[Batch] | None = None
        self._given = False

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches in a pass, where that is known."""
        return self.steps if self.steps is not None else self.source.steps

    def require(self, passes: int) -> None:
        """See, before anything is computed, that the source can give as many passes as are asked for.

        Raises
        ------
        ArgumentError
            When a generator is to give several passes and nobody says how long one is.
        DataExhaustedError
            When it is known to have fewer batches than one pass needs, and does not start again.
        """
        if self.source.one_shot and self.steps is None and passes > 1:
            raise ArgumentError(
                f"{self.name} is a generator: it cannot start again, so it gives 1 pass, not {passes}. Pass "
                f"{self.argument}= for a generator that goes on for ever, or something that can be iterated again "
                "(a list, a DataLoader, a class with __iter__)."
            )
        known = self.source.steps
        if passes and not self.goes_on and self.steps is not None and known is not None and known < self.steps:
            raise DataExhaustedError(self._too_short(known, self.steps))

    def epoch(self) -> Iterator[Batch]:
        """Batches of the next pass.

        Raises
        ------
        EmptyDataError
            When the source yields nothing.
        DataExhaustedError
            When the source ends before the pass does.
        """
        return self._whole_pass() if self.steps is None else self._counted(self.steps)

    def next_key(self) -> int | None:
        """What keys the order of the next pass over the source."""
        return None if self.seed is None else derive(self.seed, self.purpose, self.progress.passes)

    def _whole_pass(self) -> Iterator[Batch]:
        for batch in self._start():
            self._given = True
            yield batch
        if not self._given:
            raise EmptyDataError(_empty(self.name))

    def _counted(self, steps: int) -> Iterator[Batch]:
        current = self._start() if self._current is None else self._current
        for step in range(steps):
            batch = next(current, None)
            if batch is None and self.goes_on and not self.source.one_shot:
                current = self._start()
                batch = next(current, None)
            if batch is None:
                raise self._ended(step, steps)
            self._given = True
            yield batch
        if self.goes_on:
            self._current = current

    def _start(self) -> Iterator[Batch]:
        key, epoch = self.next_key(), self.progress.passes
        self.progress.passes += 1
        return self.source.batches(key, epoch)

    def _ended(self, step: int, steps: int) -> Exception:
        if not self._given:
            return EmptyDataError(_empty(self.name))
        return DataExhaustedError(self._too_short(step, steps))

    def _too_short(self, step: int, steps: int) -> str:
        return (
            f"{self.name} ends after {step} of the {steps} batches that {self.argument}={steps} asks for. Lower "
            f"{self.argument}, or pass a source with more batches."
        )


class TrainingSupply(Supply):
    """Batches to train on: with ``steps`` each epoch goes on in the source where the last one stopped.

    A source that can start again does so when it ends.
    """

    purpose = ORDER
    training = True
    argument = "steps_per_epoch"
    goes_on = True


def _empty(name: str) -> str:
    return (
        f"{name} gave no batch at all. Look whether the data set is empty, whether a DataLoader with drop_last=True "
        "has a batch_size larger than its data, or whether a generator has been used up already."
    )
