"""Layers that torch does not know of, because they stand in a plain list or dict."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

__all__ = ["hidden_layers", "marked_untrainable"]


def hidden_layers(net: nn.Module) -> list[str]:
    """Attributes of ``net`` and its parts that hold layers which are neither trained nor saved nor moved.

    torch registers a layer that is assigned to an attribute, but not one inside a plain list, tuple or dict.

    Examples
    --------
    >>> net = nn.Module()
    >>> net.blocks = [nn.Linear(2, 2)]
    >>> hidden_layers(net)
    ['blocks']
    """
    known = set(net.modules())
    found = []
    for owner, module in net.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_") and any(layer not in known for layer in _layers_in(value)):
                found.append(f"{owner}.{name}" if owner else name)
    return found


def marked_untrainable(net: nn.Module) -> list[str]:
    """Names of parts that carry Keras's ``trainable = False``, which torch does not look at.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 2))
    >>> net[0].trainable = False
    >>> marked_untrainable(net)
    ['0']
    """
    return [
        name or type(module).__name__
        for name, module in net.named_modules()
        if vars(module).get("trainable") is False and any(p.requires_grad for p in module.parameters())
    ]


def _layers_in(value: Any) -> Iterator[nn.Module]:
    if isinstance(value, (list, tuple)):
        parts: Any = value
    elif isinstance(value, Mapping):
        parts = value.values()
    else:
        return
    for part in parts:
        if isinstance(part, nn.Module) and next(part.parameters(), None) is not None:
            yield part
