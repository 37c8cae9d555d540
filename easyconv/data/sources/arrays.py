"""The fast way: whole arrays, one permutation per pass, whole batches gathered at once."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from easyconv.data.sources.batch import Batch
from easyconv.data.sources.inputs import check_inputs
from easyconv.data.sources.order import warn_of_order
from easyconv.data.sources.source import Binding, Source, check_rows, located
from easyconv.nested import leaves, map_tree, rows_of

__all__ = ["ArraySource"]

# Data that takes more of the device's free memory than this is sent batch by batch.
_SHARE_OF_DEVICE = 0.25


class ArraySource(Source):
    """Batches of arrays that are in memory as a whole.

    Batches are copies, so that a net that writes into its input leaves the arrays alone: cut in their order, or with
    shuffling gathered in that of ``torch.randperm``. The last batch holds what remains.

    Parameters
    ----------
    x, y, sample_weight : tensor or tree
        From `to_inputs`, `to_targets` and `to_weights`.
    batch_size : int, default 32
        Samples per batch.
    shuffle : bool, default False
        Whether each pass has an order of its own.
    chosen : Tensor of shape (N,), optional
        Numbers of the rows of ``x`` that are meant, one for each row of ``y``: a part of an array that is too large to
        be copied.

    Raises
    ------
    LengthError
        When the lengths differ.

    Examples
    --------
    >>> source = ArraySource(torch.arange(5.0), batch_size=2)
    >>> source.bind()
    >>> [batch.x.tolist() for batch in source.batches()]
    [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Tensor | None = None,
        *,
        batch_size: int = 32,
        shuffle: bool = False,
        chosen: Tensor | None = None,
    ) -> None:
        self._raw = self._data = Batch(x, y, sample_weight)
        self._shuffle = shuffle
        self._chosen = chosen
        self.rows: int = check_rows(self._raw if chosen is None else Batch(chosen, y, sample_weight))
        self.resize(batch_size)

    def resize(self, batch_size: int) -> None:
        """Give batches of so many rows; see `Source.resize`."""
        self.batch_size: int = batch_size
        self.steps: int = -(-self.rows // batch_size)

    @property
    def holds_bytes(self) -> bool:
        """Whether they are uint8 images."""
        x = self._raw.x
        return isinstance(x, Tensor) and x.dtype == torch.uint8 and x.dim() >= 3

    def identity(self) -> dict[str, Any]:
        """Its size and order; see `Source.identity`."""
        return {**super().identity(), "shuffle": self._shuffle}

    def example(self, key: int | None = None) -> Batch:
        """The first two rows; see `Source.example`."""
        return self._rows_at(self._raw, torch.arange(min(2, self.rows)), lambda t, index: t[index.to(t.device)].cpu())

    def check_first(self, inputs: Any) -> None:
        """All rows; see `Source.check_first`."""
        with located(self.place()):
            check_inputs(self._raw.x, inputs)

    def labels(self) -> Tensor | None:
        """All targets, as they were given."""
        return self._raw.y if isinstance(self._raw.y, Tensor) else None

    def _bound(self, training: bool) -> None:
        binding = self._require_binding()
        with located(self.place()):
            data = binding.check(self._raw, whole=True)
        if training:
            warn_of_order(data.y, binding.targets, batch_size=self.batch_size, shuffled=self._shuffle)
        if binding.device.type != "cpu" and _fits(data, binding.device, self._share()):
            if self._chosen is not None:
                chosen, self._chosen = self._chosen, None
                data = data._replace(x=map_tree(lambda t: t[chosen], data.x))
            data = _each(data, lambda t: t.to(binding.device))
        self._data = data

    def _share(self) -> float:
        """How much of the inputs is meant."""
        return 1.0 if self._chosen is None else self.rows / rows_of(self._raw.x)

    def _rows_at(self, data: Batch, index: Tensor, gather: Any) -> Batch:
        """Some rows, by their numbers in the part that is meant."""
        if self._chosen is None:
            return _each(data, lambda t: gather(t, index))
        rows = self._chosen[index.cpu()]
        others = _each(data._replace(x=None), lambda t: gather(t, index))
        return others._replace(x=map_tree(lambda t: gather(t, rows), data.x))

    def _placed(self, binding: Binding, key: int | None, epoch: int, start: int) -> Iterator[tuple[Tensor, Batch]]:
        return self._shuffled(binding, key, start) if self._shuffle else self._in_order(binding, start)

    def _in_order(self, binding: Binding, first: int) -> Iterator[tuple[Tensor, Batch]]:
        size = self.batch_size
        for start in range(first * size, self.rows, size):
            end = min(start + size, self.rows)
            index = torch.arange(start, end)
            # A copy: a net that writes into its input (``x.sub_(mean)``) must not change the user's data.
            if self._chosen is None:
                batch = _each(_slice(self._data, start, end - start), torch.clone)
            else:
                batch = self._rows_at(self._data, index, _gather)
            yield index, binding.send(batch)

    def _shuffled(self, binding: Binding, key: int | None, first: int) -> Iterator[tuple[Tensor, Batch]]:
        # The CPU's generator: the same order whatever the device.
        generator = None if key is None else torch.Generator().manual_seed(key)
        order = torch.randperm(self.rows, generator=generator)
        device = next(leaf for _, leaf in leaves(self._data.x)).device
        gather = _gather_pinned if device.type == "cpu" and binding.device.type == "cuda" else _gather
        is_ready = binding.leaves_alone(self._data)
        for index in torch.split(order.to(device), self.batch_size)[first:]:
            batch = self._rows_at(self._data, index, gather)
            yield index, (batch if is_ready else binding.send(batch))


def _each(data: Batch, function: Any) -> Batch:
    x, y, weight = data
    return Batch(
        function(x) if isinstance(x, Tensor) else None if x is None else map_tree(function, x),
        None if y is None else map_tree(function, y),
        None if weight is None else function(weight),
    )


def _slice(data: Batch, start: int, count: int) -> Batch:
    return _each(data, lambda tensor: tensor.narrow(0, start, count))


def _gather(tensor: Tensor, index: Tensor) -> Tensor:
    return tensor.index_select(0, index)


def _gather_pinned(tensor: Tensor, index: Tensor) -> Tensor:
    """Rows in page-locked memory, from where they travel while the CPU goes on."""
    if tensor.device.type != "cpu":
        return tensor.index_select(0, index.to(tensor.device))
    rows = torch.empty((len(index), *tensor.shape[1:]), dtype=tensor.dtype, pin_memory=True)
    return torch.index_select(tensor, 0, index, out=rows)


def _fits(data: Batch, device: torch.device, share: float) -> bool:
    tensors = [leaf for part in data for _, leaf in leaves(part) if leaf is not None]
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor.device != device)
    return bool(needed * share <= _SHARE_OF_DEVICE * _free_memory(device))


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    if device.type == "xpu":
        return int(torch.xpu.mem_get_info(device)[0])
    return 0
