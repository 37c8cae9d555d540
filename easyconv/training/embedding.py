"""What a layer inside a net makes of inputs: vectors that stand for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.data.sources.batch import Batch
from easyconv.errors import StateError
from easyconv.layers.keeping import call

__all__ = ["watched"]


@contextmanager
def watched(net: nn.Module, layer: nn.Module, name: str, *, before: bool) -> Iterator[Callable[[Batch], Tensor]]:
    """A step that gives the inputs or outputs of one layer as rows; the hook is gone after the block.

    Parameters
    ----------
    net : torch.nn.Module
        The net that is run.
    layer : torch.nn.Module
        A layer of it.
    name : str
        What the user calls the layer.
    before : bool
        Whether what reaches the layer is wanted, rather than what leaves it.
    """
    seen: list[Any] = []
    if before:
        handle = layer.register_forward_pre_hook(lambda _, args: seen.append(args[0] if args else None))
    else:
        handle = layer.register_forward_hook(lambda _, args, output: seen.append(output))

    def step(batch: Batch) -> Tensor:
        seen.clear()
        call(net, batch.x)
        if len(seen) != 1:
            why = "is not run in evaluation mode" if not seen else f"is run {len(seen)} times for each input"
            raise StateError(f"embed() looks at the layer {name!r}, which {why}. Name another one: layer='...'.")
        return _as_rows(seen.pop(), name)

    try:
        yield step
    finally:
        handle.remove()


def _as_rows(value: Any, name: str) -> Tensor:
    """Shape (N, D): maps are averaged over their positions, all else is flattened."""
    if not isinstance(value, Tensor) or value.dim() < 2:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise StateError(
            f"embed() needs a layer that gives one tensor with a row per input, and {name!r} gives {got}. Name another "
            "one: layer='...'."
        )
    rows = value.flatten(2).mean(2) if value.dim() >= 4 else value.flatten(1)
    return rows.float() if rows.dtype in (torch.bfloat16, torch.float16) else rows
