"""Cuts a source of batches into epochs, so that every epoch is whole."""

from collections.abc import Iterator

from easyconv.data.batch import Batch
from easyconv.data.sources import Source
from easyconv.errors import ArgumentError, DataExhaustedError, EmptyDataError
from easyconv.seed import derive
from easyconv.training.state import Progress

__all__ = ["ORDER", "STEP", "Supply"]

ORDER, STEP = 0, 1
"""Purposes of the keyed seeds: the order of a pass, the random draws of a step."""


class Supply:
    """Batches of one source, an epoch at a time.

    Without ``steps`` an epoch is one pass over the source. With ``steps`` it is that many batches, and the next epoch
    goes on where the last one stopped, as in Keras; a source that can start again does so when it ends.

    Parameters
    ----------
    source : Source
        Where the batches come from.
    steps : int, optional
        Batches per epoch.
    seed : int, optional
        Keys the order of every pass; without it the global random state decides.
    progress : Progress, optional
        Counts the passes, also over several calls of ``fit``.
    name : str, default "x"
        Names the source in errors.
    """

    def __init__(
        self,
        source: Source,
        steps: int | None = None,
        seed: int | None = None,
        *,
        progress: Progress | None = None,
        name: str = "x",
    ) -> None:
        self.source = source
        self.steps = steps
        self.seed = seed
        self.progress = progress if progress is not None else Progress()
        self.name = name
        self._current: Iterator[Batch] | None = None
        self._given = 0

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches in an epoch, where that is known."""
        return self.steps if self.steps is not None else self.source.steps

    def refuse_second_epoch(self, epochs: int) -> None:
        """See, before training starts, that the source can give as many epochs as are asked for.

        Raises
        ------
        ArgumentError
            When a generator is to give several epochs and nobody says how long one is.
        """
        if self.source.one_shot and self.steps is None and epochs > 1:
            raise ArgumentError(
                f"{self.name} is a generator: it cannot start again, so it gives 1 epoch, not {epochs}. Pass "
                "steps_per_epoch= for a generator that goes on for ever, or something that can be iterated again "
                "(a list, a DataLoader, a class with __iter__)."
            )

    def epoch(self) -> Iterator[Batch]:
        """Batches of the next epoch.

        Raises
        ------
        EmptyDataError
            When the source yields nothing.
        DataExhaustedError
            When a source that cannot start again ends before the epoch does.
        """
        return self._whole_pass() if self.steps is None else self._counted(self.steps)

    def _whole_pass(self) -> Iterator[Batch]:
        given = False
        for batch in self._next_pass():
            given = True
            yield batch
        if not given:
            raise EmptyDataError(_empty(self.name))

    def _counted(self, steps: int) -> Iterator[Batch]:
        for step in range(steps):
            yield self._next_batch(step, steps)

    def _next_batch(self, step: int, steps: int) -> Batch:
        if self._current is None:
            self._current = self._next_pass()
        batch = next(self._current, None)
        if batch is None and not self.source.one_shot:
            self._current = self._next_pass()
            batch = next(self._current, None)
        if batch is not None:
            self._given += 1
            return batch
        if self._given:
            raise DataExhaustedError(
                f"{self.name} ended after {step} of the {steps} batches of this epoch. Lower steps_per_epoch (or "
                "validation_steps, steps), or pass a source that can start again."
            )
        raise EmptyDataError(_empty(self.name))

    def next_key(self) -> int | None:
        """What keys the order of the next pass."""
        return None if self.seed is None else derive(self.seed, ORDER, self.progress.passes)

    def _next_pass(self) -> Iterator[Batch]:
        key = self.next_key()
        self.progress.passes += 1
        return self.source.batches(key)


def _empty(name: str) -> str:
    return (
        f"{name} gave no batch at all. Look whether the data set is empty, whether a DataLoader with drop_last=True "
        "has a batch_size larger than its data, or whether a generator has been used up already."
    )
