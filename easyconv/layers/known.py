"""Nets in which no code of the user's runs."""

from typing import Any

from torch import nn

from easyconv.layers.containers import Parallel
from easyconv.layers.function import Lambda

__all__ = ["is_known", "runs_straight"]

_ROOMS = ("torch.nn.modules.", "torchvision.", "easyconv.")


def is_known(net: nn.Module) -> bool:
    """Whether a net is made of layers of torch, torchvision and easyconv alone, without functions and hooks of others.

    Such layers take any memory layout, and what they compute hangs on their weights and plain settings alone.

    Examples
    --------
    >>> is_known(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    True
    >>> is_known(Lambda(lambda x: x.view(len(x), -1)))
    False
    """
    return all(_is_ours(module) and not _has_hooks(module) for module in net.modules())


def runs_straight(net: nn.Module) -> bool:
    """Whether each layer gets its input from the same one, whatever the numbers and shapes are: no ``if`` on them.

    Examples
    --------
    >>> runs_straight(nn.Sequential(nn.Linear(2, 3))), runs_straight(Lambda(lambda x: x if x.mean() > 0 else -x))
    (True, False)
    """
    if is_known(net):
        return True
    from torch.fx import Tracer

    class OursAreLeaves(Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return _is_ours(m) and all(map(_is_ours, m.modules()))

    try:
        OursAreLeaves().trace(net)
    except Exception:  # torch cannot follow what depends on numbers, and much else: that is the safe answer
        return False
    return True


def _is_ours(module: nn.Module) -> bool:
    functions = isinstance(module, Lambda) or (isinstance(module, Parallel) and not isinstance(module.merge, str))
    return type(module).__module__.startswith(_ROOMS) and not functions and "forward" not in vars(module)


def _has_hooks(module: Any) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)
