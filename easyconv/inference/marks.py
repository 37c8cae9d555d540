"""Whether a net has changed since it was looked at."""

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["mark_of"]

_PLAIN = (bool, int, float, str, tuple, type(None))


def mark_of(net: nn.Module) -> Hashable:
    """What is different after any change of a net's weights, layers or settings.

    torch counts how often each tensor was written to, but not what went through ``.data``; so the norm of each tensor
    counts too. To read all weights costs less than to run the net on one row.

    Parameters
    ----------
    net : torch.nn.Module
        The net.

    Examples
    --------
    >>> net = nn.Linear(2, 3)
    >>> before = mark_of(net)
    >>> before == mark_of(net)
    True
    >>> _ = net.weight.data.mul_(2.0)
    >>> before == mark_of(net)
    False
    """
    tensors = [*net.parameters(), *net.buffers()]
    outside = tuple((id(tensor), tensor.data_ptr(), _version(tensor), tensor.dtype) for tensor in tensors)
    return outside, _norms(tensors), tuple(_settings(module) for module in net.modules())


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


@torch.no_grad()
def _norms(tensors: list[Tensor]) -> tuple[float, ...]:
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if not floats:
        return ()
    norms: Any = torch._foreach_norm(floats)
    return tuple(torch.stack([norm.to(floats[0].device, torch.float32) for norm in norms]).tolist())


def _settings(module: nn.Module) -> Hashable:
    """Layers, and attributes that are plain values; the mode is not the net's answer in evaluation."""
    values = tuple(
        (name, repr(value))
        for name, value in vars(module).items()
        if isinstance(value, _PLAIN) and name not in ("training", "_is_full_backward_hook")
    )
    return id(module), type(module), tuple(map(id, module._modules.values())), values
