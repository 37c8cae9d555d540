"""Batch norms folded into the convolutions before them: in evaluation mode both together are one convolution."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from easyconv.layers.keeping import call
from easyconv.nested import leaves

__all__ = ["fold_batch_norms"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_QUESTIONS = ("__get__", "__len__", "dim", "is_contiguous", "is_floating_point", "numel", "size", "stride")
"""Operations that look at the form of a tensor only, where they do not give a tensor."""

Pair = tuple[str, str]


def fold_batch_norms(net: nn.Module, inputs: Any) -> int:
    """Fold every batch norm that gets the output of a convolution, which nobody else gets; the net is changed.

    Parameters
    ----------
    net : torch.nn.Module
        Is put into evaluation mode; norms that were folded are ``nn.Identity`` afterwards.
    inputs : tensor or nested tensors
        A few rows. The net runs on them once, to see where the output of each convolution goes; so it does not matter
        how its ``forward`` is written.

    Returns
    -------
    int
        How many norms were folded.

    Notes
    -----
    y = g (w * x + b - m) / sqrt(v + e) + c is a convolution with w' = w g / sqrt(v + e) and
    b' = (b - m) g / sqrt(v + e) + c.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    >>> fold_batch_norms(net, torch.rand(2, 1, 5, 5)), type(net[1]).__name__
    (1, 'Identity')
    """
    net.eval()
    modules = dict(net.named_modules(remove_duplicate=False))
    places = Counter(id(module) for module in modules.values())
    names = {id(module): name for name, module in modules.items() if places[id(module)] == 1}
    watched = {name: module for name, module in modules.items() if id(module) in names and _matters(module)}
    pairs = list(_pairs(net, watched, inputs))
    for convolution, norm in pairs:
        _fold(modules[convolution], modules[norm])
        net.set_submodule(norm, nn.Identity())
    return len(pairs)


def _pairs(net: nn.Module, watched: dict[str, nn.Module], inputs: Any) -> Iterator[Pair]:
    """Names of a convolution and of the norm that alone gets its output; both run once."""
    if any(isinstance(module, torch.jit.ScriptModule) for module in net.modules()):
        return  # what scripted code gets cannot be seen
    uses = _Uses()
    with torch.no_grad(), _noted(watched, uses), uses:
        answers = call(net, inputs)
    for _, answer in leaves(answers):
        uses.note(answer, call)
    times = Counter(name for name, _ in (*uses.given, *uses.taken))
    taken = {id(tensor): name for name, tensor in uses.taken}
    for name, output in uses.given:
        norm = taken.get(id(output))
        if norm is not None and times[name] == times[norm] == 1 and uses.of(output) == [functional.batch_norm]:
            yield name, norm


class _Uses(TorchFunctionMode):
    """Notes which operations get the outputs of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[str, Tensor]] = []
        """Convolutions and what they gave; the tensors are kept, so that no other can get their identity."""
        self.taken: list[tuple[str, Tensor]] = []
        """Norms and what they got."""
        self._by: dict[int, list[Callable[..., Any]]] = {}

    def give(self, name: str, output: Tensor) -> None:
        self.given.append((name, output))
        self._by[id(output)] = []

    def note(self, tensor: Any, by: Callable[..., Any]) -> None:
        if id(tensor) in self._by:
            self._by[id(tensor)].append(by)

    def of(self, tensor: Tensor) -> list[Callable[..., Any]]:
        return self._by[id(tensor)]

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) or getattr(func, "__name__", "") not in _QUESTIONS:
            for _, argument in leaves((args, kwargs or {})):
                self.note(argument, func)
        return result


@contextmanager
def _noted(watched: dict[str, nn.Module], uses: _Uses) -> Iterator[None]:
    with ExitStack() as handles:
        for name, module in watched.items():
            if _is_norm(module):
                handles.callback(module.register_forward_pre_hook(_taker(name, uses)).remove)
            else:
                handles.callback(module.register_forward_hook(_giver(name, uses)).remove)
        yield


def _taker(name: str, uses: _Uses) -> Callable[..., None]:
    return lambda module, args: uses.taken.append((name, args[0]))


def _giver(name: str, uses: _Uses) -> Callable[..., None]:
    return lambda module, args, output: uses.give(name, output)


def _matters(module: nn.Module) -> bool:
    return type(module) in _CONVOLUTIONS or _is_norm(module)


def _is_norm(module: nn.Module) -> bool:
    plain = isinstance(module, _BatchNorm) and type(module).forward is _BatchNorm.forward
    return plain and module.running_mean is not None and module.running_var is not None


@torch.no_grad()
def _fold(convolution: Any, norm: Any) -> None:
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
