"""Max-pooling on a CPU as the maximum of shifted slices: the same values, several times as fast."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["max_by_slices", "pooled_by_slices", "pooling_by_slices"]

_POOLINGS = (functional.max_pool2d, torch.max_pool2d)
_NAMES = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_DTYPES = (torch.float32, torch.float64, torch.bfloat16)
_FEW_CHANNELS = 32

T = TypeVar("T")
R = TypeVar("R")
Window = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def pooling_by_slices(device: torch.device) -> AbstractContextManager[Any]:
    """A block in which max-pooling is computed by slices where that is faster: without gradients, on a CPU.

    No net is changed: calls of ``max_pool2d`` are redirected, those in functions too, and only in this thread.

    Parameters
    ----------
    device : torch.device
        Where the net runs; on anything but a CPU the block does nothing.

    Examples
    --------
    >>> with torch.no_grad(), pooling_by_slices(torch.device("cpu")):
    ...     torch.nn.MaxPool2d(2)(torch.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _PoolingBySlices() if device.type == "cpu" else nullcontext()


def pooled_by_slices(step: Callable[[T], R], device: torch.device) -> Callable[[T], R]:
    """The same step, computed in such a block.

    Examples
    --------
    >>> step = pooled_by_slices(torch.nn.MaxPool2d(2), torch.device("cpu"))
    >>> with torch.no_grad():
    ...     step(torch.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 1, 2, 2])
    """
    if device.type != "cpu":
        return step

    def pooled(batch: T) -> R:
        with _PoolingBySlices():
            return step(batch)

    return pooled


class _PoolingBySlices(TorchFunctionMode):
    """Redirects ``max_pool2d``, by which ``nn.MaxPool2d`` does its work."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _POOLINGS and type(args[0] if args else None) is Tensor:
            window = _window(args[1:], kwargs or {})
            if window is not None and _pays(args[0], window):
                return max_by_slices(args[0], *window)
        return func(*args, **(kwargs or {}))


def max_by_slices(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """What ``max_pool2d`` gives, NaN included; where zeros of both signs meet, the sign may be the other one.

    The maximum over a window is that over its columns of the maxima over its rows. torch looks at each number of each
    window by itself where the channels come first in memory; here whole slices are compared by vector instructions.

    Parameters
    ----------
    x : Tensor of shape (N, C, H, W)
        Floats.
    kernel, stride, padding : (int, int)
        For rows and columns.

    Examples
    --------
    >>> max_by_slices(torch.arange(9.0).reshape(1, 1, 3, 3), (2, 2), (1, 1), (0, 0))
    tensor([[[[4., 5.],
              [7., 8.]]]])
    """
    if any(padding):
        rows, columns = padding
        x = functional.pad(x, (columns, columns, rows, rows), value=float("-inf"))
    for axis, size, step in zip((2, 3), kernel, stride, strict=True):
        x = _along(x, axis, size, step)
    return x


def _along(x: Tensor, axis: int, size: int, step: int) -> Tensor:
    if size == 1 and step == 1:
        return x
    last = (x.shape[axis] - size) // step * step
    shifted = [_every(x, axis, start, start + last + 1, step) for start in range(size)]
    if size == 1:
        return shifted[0].clone()
    largest = torch.maximum(shifted[0], shifted[1])
    for other in shifted[2:]:
        torch.maximum(largest, other, out=largest)
    return largest


def _every(x: Tensor, axis: int, start: int, stop: int, step: int) -> Tensor:
    return x[:, :, start:stop:step] if axis == 2 else x[:, :, :, start:stop:step]


def _window(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Window | None:
    """Kernel, stride and padding of a call that slices can stand for."""
    given = {**dict(zip(_NAMES, args, strict=False)), **{name: kwargs[name] for name in _NAMES if name in kwargs}}
    if given.get("ceil_mode") or given.get("return_indices") or _pair(given.get("dilation", 1)) != (1, 1):
        return None
    kernel, padding = _pair(given.get("kernel_size")), _pair(given.get("padding", 0))
    stride = kernel if not given.get("stride") else _pair(given["stride"])
    if kernel is None or stride is None or padding is None or min(*kernel, *stride) < 1:
        return None
    # What is wrong is refused by torch, in its own words.
    fits = all(0 <= 2 * pad <= size for pad, size in zip(padding, kernel, strict=True))
    return (kernel, stride, padding) if fits else None


def _pair(value: Any) -> tuple[int, int] | None:
    if type(value) is int:
        return value, value
    whole = isinstance(value, (tuple, list)) and all(type(part) is int for part in value)
    if not whole or len(value) not in (1, 2):
        return None
    return cast(tuple[int, int], (value[0], value[-1]))


def _pays(x: Tensor, window: Window) -> bool:
    kernel, _, padding = window
    if x.dim() != 4 or x.device.type != "cpu" or x.dtype not in _DTYPES:
        return False
    if x.requires_grad and torch.is_grad_enabled():  # equal largest values would share the gradient
        return False
    if any(size + 2 * pad < side for size, pad, side in zip(x.shape[2:], padding, kernel, strict=True)):
        return False
    if x.is_contiguous():
        return True
    # With the channels last torch has vector instructions too, which need many channels.
    return not any(padding) and max(kernel) <= 3 and x.shape[1] < _FEW_CHANNELS
