"""What a device can do at best, and what a pass asks of it."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from easyconv.device import wait_for

__all__ = ["best_time", "counted", "peak_bandwidth", "peak_flops"]

_TIMES = 5


def best_time(function: Callable[[], object], device: torch.device, times: int = _TIMES) -> float:
    """Seconds of the fastest of several calls.

    Examples
    --------
    >>> best_time(lambda: None, torch.device("cpu")) < 1
    True
    """
    seconds = []
    for _ in range(times):
        wait_for(device)
        start = time.perf_counter()
        function()
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def peak_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Operations per second in a product of two large matrices.

    Examples
    --------
    >>> peak_flops(torch.device("cpu")) > 1e6
    True
    """
    side = 1024 if device.type == "cpu" else 8192
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    product = torch.empty_like(matrix)
    return 2 * side**3 / best_time(lambda: torch.mm(matrix, matrix, out=product), device)


def peak_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, in a copy of a tensor that no cache holds.

    Examples
    --------
    >>> peak_bandwidth(torch.device("cpu")) > 1e6
    True
    """
    count = (64 if device.type == "cpu" else 512) << 20
    source = torch.zeros(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * count / best_time(lambda: target.copy_(source), device)


def counted(function: Callable[[], object]) -> tuple[float, float]:
    """Floating-point operations of a call, and bytes that its operations read and write.

    Examples
    --------
    >>> counted(lambda: torch.mm(torch.ones(2, 3), torch.ones(3, 4)))
    (48.0, 176.0)
    """
    from torch.utils.flop_counter import FlopCounterMode  # brings a third of a second of other imports

    flops, moved = FlopCounterMode(display=False), _Moved()
    with moved, flops:
        function()
    return float(flops.get_total_flops()), float(moved.bytes)


class _Moved(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the sizes of what goes into each operation and comes out of it; views move nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        is_view = any(argument.alias_info and not argument.alias_info.is_write for argument in func._schema.arguments)
        if not is_view:
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result
