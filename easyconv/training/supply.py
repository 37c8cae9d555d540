"""Cuts a source of batches into passes, so that every one of them is whole."""

import hashlib
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

import torch
from torch import Tensor

from easyconv.data.sources.batch import Batch
from easyconv.data.sources.make import Source
from easyconv.errors import ArgumentError, DataExhaustedError, EmptyDataError, ResumeError
from easyconv.nested import leaves
from easyconv.notices import warn_user
from easyconv.seed import derive
from easyconv.training.state import Progress

__all__ = ["CHECK", "ORDER", "STEP", "Place", "Supply", "TrainingSupply"]

ORDER, STEP, CHECK = 0, 1, 2
"""Purposes of the keyed seeds: the order of a training pass, the draws of a step, the order of a validation pass."""


class Place(NamedTuple):
    """How far a pass is: the number of batches that were given, and the last of them."""

    taken: int
    last: Batch | None

    def digest(self) -> str | None:
        """Tells whether another batch is the same; without what an accelerator has computed, which may differ."""
        if self.last is None:
            return None
        found = hashlib.blake2b(digest_size=16)
        for _, leaf in (pair for part in self.last for pair in leaves(part)):
            if isinstance(leaf, Tensor) and (leaf.is_cpu or not leaf.is_floating_point()):
                found.update(leaf.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()


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

    Attributes
    ----------
    taken : int
        Batches of the present pass that were given; of all passes, where the source cannot start again.
    last : Batch or None
        The last of them, where ``remembers`` is true.
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
        self.taken = 0
        self.last: Batch | None = None
        self.remembers = False
        self._current: Iterator[Batch] | None = None
        self._given = False
        self._resumed = False
        self._digest: str | None = None

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

    def epoch(self, done: int = 0) -> Iterator[Batch]:
        """Batches of the next pass, or of the rest of one of which so many were given in another process.

        Raises
        ------
        EmptyDataError
            When the source yields nothing.
        DataExhaustedError
            When the source ends before the pass does.
        """
        return self._whole_pass() if self.steps is None else self._counted(done, self.steps)

    def next_key(self) -> int | None:
        """What keys the order of the next pass over the source."""
        return self._key(self.progress.passes)

    def place(self) -> Place:
        """How far the present pass is."""
        return Place(self.taken, self.last)

    def go_on_after(self, taken: int, digest: str | None) -> None:
        """Begin with the rest of the pass of which another process has taken so many batches.

        Parameters
        ----------
        taken : int
            Of this pass; of all passes, where the source cannot start again.
        digest : str, optional
            `Place.digest` of the last of them.
        """
        self.taken = taken
        self._resumed = self._given = taken > 0
        self._digest = digest

    def _whole_pass(self) -> Iterator[Batch]:
        try:
            for batch in self._start():
                yield self._noted(batch)
        finally:
            self._end_pass()
        if not self._given:
            raise EmptyDataError(_empty(self.name))

    def _counted(self, done: int, steps: int) -> Iterator[Batch]:
        current = self._start() if self._current is None else self._current
        for step in range(done, steps):
            batch = next(current, None)
            if batch is None and self.goes_on and not self.source.one_shot:
                current = self._start()
                batch = next(current, None)
            if batch is None:
                raise self._ended(step, steps)
            yield self._noted(batch)
        if self.goes_on:
            self._current = current
        else:
            self._end_pass()

    def _noted(self, batch: Batch) -> Batch:
        self._given = True
        self.taken += 1
        if self.remembers:
            self.last = batch
        return batch

    def _end_pass(self) -> None:
        if not self.source.one_shot:
            self.taken = 0

    def _start(self) -> Iterator[Batch]:
        if self._resumed:
            self._resumed = False
            return self._rest()
        epoch = self.progress.passes
        if not self.source.one_shot:
            self.taken = 0
        batches = self.source.batches(self._key(epoch), epoch)
        first = list(islice(batches, 1))
        # Not before: a pass that fails at its first batch is yet to come for whoever goes on.
        self.progress.passes += 1
        return chain(first, batches)

    def _rest(self) -> Iterator[Batch]:
        """The pass that another process began, once its last batch is seen to be the same here."""
        epoch = self.progress.passes - 1
        if self.source.replays and self.taken > 1:
            warn_user(
                f"{self.name} cannot begin in the middle: the first {self.taken} batches are read again, and not "
                "trained on again."
            )
        batches = self.source.batches(self._key(epoch), epoch, self.taken - 1)
        batch = next(batches, None)
        if self._digest is not None and (batch is None or Place(self.taken, batch).digest() != self._digest):
            self._refuse_other_batches()
        return batches

    def _refuse_other_batches(self) -> None:
        what = f"{self.name} does not give the same batches again: batch {self.taken} is another one than in the run"
        if self.source.replays:
            raise ResumeError(
                f"{what} that is to go on, so rows would be left out or trained on twice. A stream can be resumed only "
                "if it gives the same batches for the same random seed, from its beginning. Take a data set with "
                "__getitem__ and __len__, or start anew in another folder."
            )
        warn_user(
            f"{what} that goes on. Has the data changed, or does it draw from a random generator of its own? Each row "
            "is still trained on once an epoch, but the result is not that of an undisturbed run."
        )

    def _key(self, epoch: int) -> int | None:
        return None if self.seed is None else derive(self.seed, self.purpose, epoch)

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
