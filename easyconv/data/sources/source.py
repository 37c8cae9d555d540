"""What every source of batches has in common: the questions that a loop may ask."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.batch import Batch, unpack
from easyconv.data.sources.class_weights import weights_for
from easyconv.data.sources.convert import is_number
from easyconv.data.sources.inputs import check_inputs, finish_inputs, to_inputs
from easyconv.data.sources.pipeline import Pipeline
from easyconv.data.sources.rules import InputRule
from easyconv.data.sources.targets import fit_targets, to_targets
from easyconv.data.sources.weights import refuse_idle, to_weights
from easyconv.errors import DataError, EasyconvError, LengthError, StateError
from easyconv.nested import leaves, map_tree, rows_of

__all__ = ["Binding", "Source", "check_rows", "located", "one_ahead", "to_batch"]

T = TypeVar("T")


@dataclass(frozen=True)
class Binding:
    """What batches are made to fit: the net's rule, the loss's (``None``: no targets wanted), and the device."""

    inputs: Any
    targets: Any
    device: torch.device
    channels_last: bool = False
    class_weight: Tensor | None = None

    def check(self, batch: Batch, *, whole: bool = False) -> Batch:
        """Inputs, targets and weights that fit, where they lie; ``whole`` data is looked at wherever it lies."""
        x = check_inputs(batch.x, self.inputs, values=whole or _on_cpu(batch.x))
        if self.targets is None:
            return Batch(x)
        y, weight, rows = batch.y, batch.sample_weight, rows_of(x)
        if y is not None:
            size = tuple(x.shape[2:]) if isinstance(x, Tensor) else None
            y = fit_targets(y, self.targets, values=whole or _on_cpu(y), input_size=size)
        elif any(rule.required for _, rule in leaves(self.targets)):
            raise DataError(
                "y is missing: the loss needs targets. Pass x and y, (x, y) for validation_data, or a source of "
                "batches (x, y)."
            )
        if weight is not None:
            weight = to_weights(weight, rows, values=whole or _on_cpu(weight))
            if whole:
                refuse_idle(weight)
        if self.class_weight is not None:
            of_class = weights_for(y, self.class_weight.to(y.device))
            weight = of_class if weight is None else of_class * weight
        return Batch(x, y, weight)

    def send(self, batch: Batch) -> Batch:
        """The batch on the device, its inputs floats."""
        device = self.device
        x, y, weight = (None if part is None else map_tree(lambda t: _move(t, device), part) for part in batch)
        return Batch(finish_inputs(x, self.inputs, channels_last=self.channels_last), y, weight)

    def laid_out(self, batch: Batch) -> Batch:
        """The batch in the memory layout that was asked for, which transforms need not keep."""
        return batch._replace(x=finish_inputs(batch.x, self.inputs, channels_last=self.channels_last))

    @property
    def takes_as_it_is(self) -> bool:
        """Whether a batch of floats and plain targets that fits would come out of `check` and `send` unchanged."""
        return self.device.type == "cpu" and not self._converts and self.class_weight is None

    @property
    def _converts(self) -> bool:
        rules = (rule for _, rule in leaves(self.inputs))
        return self.channels_last or any(rule.dtype is not torch.float32 for rule in rules)

    def leaves_alone(self, batch: Batch) -> bool:
        """Whether `send` would change nothing of such a batch, so that it need not be asked each time."""
        parts = [leaf for part in batch for _, leaf in leaves(part) if leaf is not None]
        floats = all(leaf.is_floating_point() for _, leaf in leaves(batch.x))
        return floats and not self._converts and all(leaf.device == self.device for leaf in parts)


class Source(ABC):
    """Batches of one data set, pass after pass.

    Attributes
    ----------
    rows : int or None
        Samples per pass; ``None`` where nobody knows.
    steps : int or None
        Batches per pass; ``None`` where nobody knows.
    batch_size : int or None
        Samples per batch; ``None`` where somebody else decides.
    one_shot : bool
        Whether it cannot start again: each pass goes on where the last one stopped.
    replays : bool
        Whether a pass can begin in the middle only by taking all batches before, and dropping them.
    name : str
        Which argument it was made from, for messages.
    pipeline : Pipeline or None
        Transforms that the data set brings for its batches.
    preprocessing : Preprocessing or None
        What makes such inputs of any picture, where the data set says it.
    """

    rows: int | None = None
    steps: int | None = None
    batch_size: int | None = None
    one_shot: bool = False
    replays: bool = False
    name: str = "x"
    pipeline: Pipeline | None = None
    preprocessing: Preprocessing | None = None
    _class_weight: Tensor | None = None
    _binding: Binding | None = None
    _training: bool = False

    @property
    def holds_bytes(self) -> bool:
        """Whether its inputs are known to be uint8 images, which are divided by 255 and nothing else."""
        return False

    @abstractmethod
    def example(self, key: int | None = None) -> Batch:
        """Up to two rows, as tensors on the CPU, not yet fitted to a net; no batch is lost.

        Parameters
        ----------
        key : int, optional
            The key of the first pass, where there is one: a loader has to start it for its first batch.
        """

    def place(self, batch: int | None = None) -> str:
        """Where in the user's data an error lies: ``"validation_data, batch 3"``; empty for x itself."""
        argument = "" if self.name == "x" else self.name
        if batch is None:
            return argument
        return f"{argument}, batch {batch}" if argument else f"Batch {batch}"

    @abstractmethod
    def check_first(self, inputs: Any) -> None:
        """Check the inputs that `example` was taken from, so that the message has their own shape and rows."""

    def identity(self) -> dict[str, Any]:
        """What must not change where a training goes on in another process: plain data by names."""
        return {"rows": self.rows, "batches": self.steps, "batch_size": self.batch_size}

    def resize(self, batch_size: int) -> None:  # noqa: B027
        """Give batches of so many rows from now on; call it between passes. Who does not cut the batches, goes on.

        Parameters
        ----------
        batch_size : int
            Rows per batch.
        """

    def peek(self) -> Batch:
        """As `example`, but the first pass is not begun by looking: what it draws is given back, and drawn again."""
        return self.example()

    def labels(self) -> Tensor | None:
        """All targets, where they can be had without reading the samples."""
        return None

    def weigh_classes(self, table: Tensor | None) -> None:
        """Multiply each row's weight by that of its class; call it before `bind`.

        Parameters
        ----------
        table : Tensor of shape (C,), optional
            From `class_weights`; ``None`` weighs all classes alike.
        """
        self._class_weight = table

    def batches(self, key: int | None = None, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """One pass over the data, on the device, ready for the net.

        Parameters
        ----------
        key : int, optional
            Seeds the order (and whatever a loader or a transform draws). ``None`` draws from the global random state,
            as a plain loop over a ``DataLoader`` would.
        epoch : int, default 0
            Passes before this one, for transforms that alternate.
        start : int, default 0
            Batches to leave out, as though they had been given; see `replays`.

        Raises
        ------
        StateError
            Before `bind`.
        DataError
            For a batch that cannot be made right; the message names it.
        """
        binding, pipeline = self._require_binding(), self.pipeline
        # Laid out at the end only: transforms need not keep the layout.
        placed = self._placed(binding if pipeline is None else replace(binding, channels_last=False), key, epoch, start)
        if binding.device.type != "cpu" and not self.one_shot:
            placed = one_ahead(placed)
        if pipeline is None:
            return (batch for _, batch in placed)
        transformed = pipeline.stream(placed, training=self._training, epoch=epoch, key=key, start=start)
        return map(binding.laid_out, transformed)

    @abstractmethod
    def _placed(
        self, binding: Binding, key: int | None, epoch: int, start: int
    ) -> Iterator[tuple[Tensor | None, Batch]]:
        """One pass from batch ``start`` on, before transforms: numbers of rows, where they are known, and the batch."""

    def bind(
        self,
        inputs: Any = InputRule(),  # noqa: B008
        targets: Any = None,
        device: torch.device | str = "cpu",
        *,
        channels_last: bool = False,
        training: bool = False,
    ) -> None:
        """Say what the batches must fit; whole arrays are checked and converted here, once.

        Parameters
        ----------
        inputs : InputRule, or nested tuple or dict of them
            What the net takes.
        targets : TargetRule, or nested tuple or dict of them, optional
            What the loss compares with. ``None`` drops the targets, as ``predict`` does.
        device : torch.device or str, default "cpu"
            Where the batches go.
        channels_last : bool, default False
            Whether images are laid out with their channels last in memory.
        training : bool, default False
            Whether the batches are trained on: they are augmented then, and an order that spoils training gets a
            warning.

        Raises
        ------
        DataError, DataTypeError
            For data that does not fit.
        """
        place = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0", which is what tensors say
        self._binding = Binding(inputs, targets, place, channels_last, self._class_weight)
        self._training = training
        self._bound(training)

    def _bound(self, training: bool) -> None:  # noqa: B027
        """What a source does once it knows the rules."""

    def _require_binding(self) -> Binding:
        if self._binding is None:
            raise StateError("This source does not know its net yet: call bind() before batches().")
        return self._binding


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each taken before the one before it is given: a batch travels while the device is at work.

    Examples
    --------
    >>> list(one_ahead(iter([1, 2, 3])))
    [1, 2, 3]
    """
    for ready in items:
        for following in items:
            yield ready
            ready = following
        yield ready


def to_batch(item: Any, *, labelled: bool | None = None) -> Batch:
    """What a loader yields, as tensors whose lengths agree.

    Examples
    --------
    >>> to_batch(([[0.0, 1.0]], [1])).y
    tensor([1])
    """
    x, y, weight = unpack(item, labelled=labelled)
    if is_number(y) or (isinstance(y, Tensor) and y.dim() == 0):
        raise DataError(
            f"A source must give batches, and this one gives single samples: y is the number {_plain(y)!r}. Pass a "
            "Dataset (an IterableDataset for a generator), whose samples are gathered into batches here."
        )
    x = to_inputs(x)
    y = None if y is None else to_targets(y)
    batch = Batch(x, y, None if weight is None else to_weights(weight, rows_of(x), values=False))
    check_rows(batch)
    return batch


def check_rows(batch: Batch) -> int:
    """The number of rows, which inputs, targets and weights must share.

    Raises
    ------
    LengthError
        When they differ.

    Examples
    --------
    >>> check_rows(Batch(torch.zeros(2, 3), torch.zeros(2)))
    2
    """
    rows = rows_of(batch.x, "x")
    for name, part in (("y", batch.y), ("sample_weight", batch.sample_weight)):
        count = rows if part is None else rows_of(part, name)
        if count != rows:
            single = " Where x is a single sample, give it a batch axis: x[None]." if count == 1 else ""
            raise LengthError(f"x has {_rows(rows)} and {name} has {count}; they must have as many rows.{single}")
    return rows


@contextmanager
def located(place: str) -> Iterator[None]:
    """Say in easyconv's own errors where in the data they lie.

    Examples
    --------
    >>> with located("Batch 3"):
    ...     raise DataError("x is empty.")
    Traceback (most recent call last):
    ...
    easyconv.errors.DataError: Batch 3: x is empty.
    """
    try:
        yield
    except EasyconvError as error:
        if place:
            error.args = (f"{place}: {error}",)
        raise


def _plain(number: Any) -> Any:
    return number.item() if hasattr(number, "item") else number


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _move(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor if tensor.device == device else tensor.to(device, non_blocking=True)


def _on_cpu(tree: Any) -> bool:
    if isinstance(tree, Tensor):
        return tree.is_cpu
    return all(leaf.is_cpu for _, leaf in leaves(tree) if leaf is not None)
