"""Counts what would make the program wait for an accelerator: every way in which values of tensors reach Python."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# What has to know values before it can go on; the first is behind item(), float(), bool() and their like.
WAITING = {"_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2", "unique_dim", "bincount"}
WAITING |= {"unique_consecutive", "repeat_interleave"}
# These go round the dispatcher where the tensor is on the CPU already.
METHODS = ("tolist", "numpy", "cpu", "__array__")


class Reads(TorchDispatchMode):
    """All reads while it is active, as the operation and the tensor that was read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name == "index" and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        if name in WAITING or by_mask:
            self.found.append((name, args[0]))
        return func(*args, **(kwargs or {}))


@contextmanager
def counted() -> Iterator[Reads]:
    """Count in this block."""
    reads = Reads()
    originals = {name: getattr(Tensor, name) for name in METHODS}

    def noting(name: str) -> Any:
        def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            reads.found.append((name, self))
            return originals[name](self, *args, **kwargs)

        return method

    try:
        for name in METHODS:
            setattr(Tensor, name, noting(name))
        with reads:
            yield reads
    finally:
        # They are inherited, so that to give them back is to take ours away.
        for name, original in originals.items():
            setattr(Tensor, name, original) if name == "__array__" else delattr(Tensor, name)
