"""Whether a net has changed since it was looked at."""

from collections.abc import Hashable

import torch
from torch import Tensor, nn

__all__ = ["mark_of"]

_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_AT_A_TIME = 1 << 20

_PLAIN = (bool, int, float, str, tuple, type(None))


def mark_of(net: nn.Module) -> Hashable:
    """What is different after any change of a net's weights, layers or settings.

    torch counts how often each tensor was written to, but not what went through ``.data``; so a sum over the bits of
    each tensor counts too. Attributes that are no plain values are not looked into.

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
    return outside, _sums(tensors), tuple(_settings(module) for module in net.modules())


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


@torch.no_grad()
def _sums(tensors: list[Tensor]) -> tuple[int, ...]:
    """A sum of the bits of each tensor, each number weighed by its place: signs and order count as well."""
    found = [_sum(tensor.detach()) for tensor in tensors if tensor.numel() and not tensor.is_quantized]
    return tuple(torch.stack([total.cpu() for total in found]).tolist()) if found else ()


def _sum(tensor: Tensor) -> Tensor:
    bits = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    whole = bits.contiguous().flatten().view(_WHOLE[bits.element_size()])
    weights = torch.arange(1, min(len(whole), _AT_A_TIME) + 1, dtype=whole.dtype, device=whole.device)
    parts: tuple[Tensor, ...] = torch.split(whole, _AT_A_TIME)
    sums = [(part * weights[: len(part)]).sum(dtype=torch.int64) for part in parts]
    return sum((number * part for number, part in enumerate(sums, 1)), torch.zeros_like(sums[0]))


def _settings(module: nn.Module) -> Hashable:
    """Layers, and attributes that are plain values; the mode is not the net's answer in evaluation."""
    values = tuple(
        (name, repr(value))
        for name, value in vars(module).items()
        if isinstance(value, _PLAIN) and name not in ("training", "_is_full_backward_hook")
    )
    return id(module), type(module), tuple(map(id, module._modules.values())), values
