"""Batches that somebody else makes: loaders, lists of batches, generators."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from torch import Tensor

from easyconv.data.sources.batch import Batch
from easyconv.data.sources.familiar import Familiar
from easyconv.data.sources.inputs import check_inputs
from easyconv.data.sources.source import Binding, Source, located, to_batch
from easyconv.errors import DataError, EmptyDataError, SampleError
from easyconv.nested import map_tree
from easyconv.seed import drawing_apart, random_state

__all__ = ["IterableSource", "StreamSource"]

_END = object()
"""What comes after the last item."""


@dataclass(frozen=True)
class _Pending:
    """A pass that was begun to look at its first batch."""

    key: int | None
    iterator: Iterator[Any]
    first: Batch
    looked_at: bool = False
    """Whether nobody goes on with it, since its draws were given back."""

    def serves(self, key: int | None) -> bool:
        return self.key == key and not self.looked_at


class StreamSource(Source):
    """A pass over whatever yields batches; the first batch may be looked at beforehand without being lost."""

    replays = True
    _pending: _Pending | None = None
    _live: Iterator[Any] | None = None
    _known_values: bool = False
    """Whether all values have been looked at already."""

    @abstractmethod
    def _open(self) -> Iterator[Any]:
        """A new pass, which draws from the global random state."""

    def _open_keyed(self, key: int, epoch: int, start: int) -> Iterator[Any]:
        """A new pass from batch ``start`` on, whose random draws follow from the key."""
        return self._after(start, drawing_apart(self._open, key))

    def _random_state(self) -> Callable[[], None]:
        """Gives back the state of all generators that the source draws from."""
        return random_state()

    def _rows(self, index: int) -> Tensor | None:
        """Numbers of the samples in a batch of the present pass, where they are known."""

    def _why_empty(self) -> str:
        return "The source gave no batch. Check that it is not used up already, and that its data is not empty."

    def example(self, key: int | None = None) -> Batch:
        """Up to two rows of the first batch, which the first pass begins with; see `Source.example`."""
        if self._pending is None:
            iterator = self._start(key)
            first = self._read(iterator, 0)
            if first is None:
                raise EmptyDataError(self._empty())
            self._pending = _Pending(key, iterator, first)
        batch = self._pending.first
        return Batch(*(None if part is None else map_tree(lambda t: t[:2].cpu(), part) for part in batch))

    def peek(self) -> Batch:
        """Up to two rows of a first batch; see `Source.peek`."""
        if self.one_shot or self._pending is not None:
            return self.example()
        give_back = self._random_state()
        try:
            rows = self.example()
        finally:
            give_back()
        if self._pending is not None:
            self._pending = replace(self._pending, looked_at=True)
        return rows

    def _placed(
        self, binding: Binding, key: int | None, epoch: int, start: int
    ) -> Iterator[tuple[Tensor | None, Batch]]:
        familiar = Familiar(binding.targets, known_values=self._known_values)
        as_it_is = binding.takes_as_it_is
        iterator, first = self._take_up(key, epoch, start)
        index = start
        if first is not None:
            yield self._rows(0), self._ready(binding, first, index)
            index = 1
        while (item := self._next_item(iterator, index)) is not _END:
            batch = familiar.take(item) if as_it_is else None
            if batch is None:
                batch = self._ready(binding, self._as_batch(item, index), index)
                familiar.learn(item, batch)
            yield self._rows(index), batch
            index += 1
        if index == 0 and not self.one_shot:
            raise EmptyDataError(self._empty())
        self._after_pass()

    def _ready(self, binding: Binding, batch: Batch, index: int) -> Batch:
        with located(self.place(index)):
            return binding.send(binding.check(batch))

    def check_first(self, inputs: Any) -> None:
        """The first batch; see `Source.check_first`."""
        if self._pending is not None:
            with located(self.place(0)):
                check_inputs(self._pending.first.x, inputs)

    def _empty(self) -> str:
        return f"{self.place()}: {self._why_empty()}" if self.place() else self._why_empty()

    def _after_pass(self) -> None:
        """What a source does at the end of a whole pass."""

    def _take_up(self, key: int | None, epoch: int, start: int) -> tuple[Iterator[Any], Batch | None]:
        pending, self._pending = self._pending, None
        if pending is not None and self.one_shot:
            return (pending.iterator, pending.first) if not start else (self._after(start - 1, pending.iterator), None)
        # With a key it was begun as the first pass: samplers that are told the number of the pass begin anew later.
        is_first = key is None or not epoch
        if pending is not None and pending.serves(key) and is_first and not start:
            return pending.iterator, pending.first
        return self._start(key, epoch, start), None

    def _start(self, key: int | None, epoch: int = 0, start: int = 0) -> Iterator[Any]:
        if not self.one_shot or self._live is None:
            opened = self._after(start, self._open()) if key is None else self._open_keyed(key, epoch, start)
            self._live = opened if self.one_shot else None
            return opened
        return self._live

    def _after(self, start: int, iterator: Iterator[Any]) -> Iterator[Any]:
        """The same iterator, once its first items have been taken."""
        for index in range(start):
            self._next_item(iterator, index)
        return iterator

    def _read(self, iterator: Iterator[Any], index: int) -> Batch | None:
        item = self._next_item(iterator, index)
        return None if item is _END else self._as_batch(item, index)

    def _next_item(self, iterator: Iterator[Any], index: int) -> Any:
        try:
            return next(iterator, _END)
        except Exception as error:
            self._refuse(error, index)

    def _refuse(self, error: Exception, index: int) -> NoReturn:
        """Say which batch could not be read."""
        place = self.place(index)
        try:
            with located(place):
                raise error
        except SampleError:
            raise
        except Exception as told:
            raise DataError(
                f"{place} could not be read: the data raised {type(told).__name__}: {told}{_collate_hint(told)}"
            ) from told

    def _as_batch(self, item: Any, index: int) -> Batch:
        with located(self.place(index)):
            return to_batch(item)


class IterableSource(StreamSource):
    """Any iterable of batches: a list of them, a generator, or an object with ``__len__`` and ``__getitem__``.

    Parameters
    ----------
    iterable : iterable
        An iterator (a generator, for instance) cannot start again: its source is ``one_shot``.

    Examples
    --------
    >>> import torch
    >>> source = IterableSource([(torch.zeros(2, 3), torch.zeros(2))])
    >>> source.bind()
    >>> [len(batch.x) for batch in source.batches()]
    [2]
    """

    def __init__(self, iterable: Any) -> None:
        self._iterable = iterable
        self.one_shot = hasattr(iterable, "__next__")
        try:
            self.steps = len(iterable)
        except TypeError:
            self.steps = None

    def _open(self) -> Iterator[Any]:
        if hasattr(self._iterable, "__iter__"):
            return iter(self._iterable)
        return (self._iterable[index] for index in range(len(self._iterable)))

    def _after_pass(self) -> None:
        # Keras's PyDataset shuffles itself here.
        if callable(getattr(self._iterable, "on_epoch_end", None)):
            self._iterable.on_epoch_end()


def _collate_hint(error: Exception) -> str:
    """What to do about samples that torch cannot put into one batch."""
    text = str(error)
    if "PIL" in text and "collate" in text:
        return (
            ". The samples are pictures: give the data set a transform that makes tensors of them, like "
            "torchvision.transforms.ToTensor()."
        )
    if "collate" in text and "found" in text:
        return ". Let the data set give tensors, arrays or numbers, or give the DataLoader a collate_fn."
    if "stack expects each tensor to be equal size" in text or "equal size" in text:
        return ". The samples have different shapes: resize, crop or pad them to one, in the data set's transform."
    return ""
