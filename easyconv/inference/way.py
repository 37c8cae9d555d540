"""How to compute answers fastest with the net as it is: rows at a time, and the layout of images."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from easyconv.inference.answers import agree
from easyconv.layers.keeping import kept
from easyconv.layers.layout import as_channels_last, channels_last_pays
from easyconv.nested import rows_of

__all__ = ["MIN_ROWS", "Way", "find_way", "is_compiled", "why_as_it_is"]

MIN_ROWS = 128
"""For fewer rows than this nothing is looked for: finding out would cost more than it saves."""

_LEAST, _MOST_ON_CPU, _MOST_ELSEWHERE = 32, 256, 1024
_CACHE, _ACCELERATOR_CACHE = 8 << 20, 128 << 20
_SAME = 1e-3

Answer = Callable[[Any], Any]


@dataclass(frozen=True)
class Way:
    """How batches are computed.

    Parameters
    ----------
    rows : int, default 32
        Rows at a time.
    channels_last : bool, default False
        Whether images are laid out with their channels last.
    """

    rows: int = _LEAST
    channels_last: bool = False

    def lay(self, x: Any) -> Any:
        """Inputs in the layout of this way."""
        return as_channels_last(x) if self.channels_last else x


def find_way(
    net: nn.Module, answer: Answer, inputs: Any, expected: Any, *, device: torch.device, layout: bool, within: float
) -> Way:
    """Let the net answer for a few rows, and see from that how it is fastest.

    A batch is as large as keeps the largest tensor in the cache: measured on a CPU, 256 rows are 1.2 times as fast as
    64 for a net with small maps, and 0.65 times as fast as 32 for one with large maps. Images have their channels last
    where that pays and the answers stay what they were, but for rounding.

    Parameters
    ----------
    net : torch.nn.Module
        The net, which is left as it was found.
    answer : callable
        From inputs to outputs, by way of the net.
    inputs, expected : tensor or nested tensors
        A few rows, and what the net answers for them.
    device : torch.device
        Where the net runs.
    layout : bool
        Whether channels last may be tried.
    within : float
        How much answers may differ, as a share of the largest; what rounding does.

    Examples
    --------
    >>> net, x = nn.Conv2d(3, 64, 3, padding=1), torch.rand(2, 3, 32, 32)
    >>> find_way(net, net, x, net(x), device=torch.device("cpu"), layout=False, within=0.0)
    Way(rows=32, channels_last=False)
    """
    images = layout and channels_last_pays(net, inputs, device, low_precision=within > _SAME)
    for channels_last in (True, False) if images else (False,):
        largest = _LargestTensor(rows_of(inputs))
        try:
            with kept(net, training=False), largest:
                given = answer(Way(channels_last=channels_last).lay(inputs))
        except Exception:  # a net that needs the other layout; a real fault shows there
            continue
        if agree(given, expected, within=within):
            return Way(_rows_for(largest.bytes_per_row, device), channels_last)
    return Way()


def why_as_it_is(net: nn.Module) -> str:
    """Why a net has to be run as it is, rather than tried or copied; empty where it has not.

    Examples
    --------
    >>> why_as_it_is(nn.Linear(2, 3))
    ''
    """
    if any(module._forward_hooks or module._forward_pre_hooks for module in net.modules()):
        return "the net has forward hooks, which would not see what is computed elsewhere"
    if is_compiled(net):
        return "the net is compiled already"
    return ""


def is_compiled(net: nn.Module) -> bool:
    """Whether ``torch.compile`` has been called on a part of the net.

    Examples
    --------
    >>> is_compiled(nn.Linear(2, 3))
    False
    """
    return any(type(module).__name__ == "OptimizedModule" for module in net.modules())


class _LargestTensor(TorchFunctionMode):
    """Notes the largest tensor with a row per row of the batch that any operation gives."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self._rows = rows
        self.bytes_per_row = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dim() and result.shape[0] == self._rows:
            self.bytes_per_row = max(self.bytes_per_row, result.numel() * result.element_size() // self._rows)
        return result


def _rows_for(bytes_per_row: int, device: torch.device) -> int:
    """The largest power of two that keeps the largest tensor small, within bounds."""
    if not bytes_per_row:  # a scripted net shows nothing of what it does
        return _LEAST
    on_cpu = device.type == "cpu"
    fitting = (_CACHE if on_cpu else _ACCELERATOR_CACHE) // bytes_per_row
    rows = 1 << max(fitting.bit_length() - 1, 0)
    return min(max(rows, _LEAST), _MOST_ON_CPU if on_cpu else _MOST_ELSEWHERE)
