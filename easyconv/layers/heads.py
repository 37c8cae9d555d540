"""The last classifier of a net: found, and replaced by one for other classes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from easyconv.errors import ArgumentError, LayerNotFoundError
from easyconv.layers.blocks.lenet import RBF
from easyconv.layers.dense import Dense
from easyconv.names import suggest

__all__ = ["Head", "exchanged", "find_head", "heads_of", "replaced"]

_KINDS = (nn.Linear, nn.Conv2d, RBF)
_AUXILIARY = "aux"
"""How the names of auxiliary heads begin, in torchvision's nets and ours."""


@dataclass(frozen=True)
class Head:
    """A classifier and its dotted name in the net."""

    name: str
    layer: nn.Module

    @property
    def classes(self) -> int:
        """How many it answers with."""
        layer: Any = self.layer
        if isinstance(layer, RBF):
            return len(layer.codes)
        return int(layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features)


def find_head(net: nn.Module, name: str | None = None) -> Head:
    """The last classifier: the last dense layer, convolution or `RBF` in the order in which the net was put together.

    Parameters
    ----------
    net : torch.nn.Module
        The net, built or not.
    name : str, optional
        Dotted name of the layer, where it is another one.

    Raises
    ------
    LayerNotFoundError
        When there is none, or none of that name.
    ArgumentError
        When the named layer is of another kind.

    Examples
    --------
    >>> find_head(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))).name
    '2'
    """
    found = {path: layer for path, layer in net.named_modules() if isinstance(layer, _KINDS)}
    if name is None:
        main = {path: layer for path, layer in found.items() if not _is_auxiliary(path)}
        if not main:
            raise LayerNotFoundError(
                f"There is no dense layer or convolution in this {type(net).__name__} that could be its head. Name the "
                "layer: layer='fc'."
            )
        return Head(*list(main.items())[-1])
    if name in found:
        return Head(name, found[name])
    layers = dict(net.named_modules())
    if name not in layers:
        raise LayerNotFoundError(f"There is no layer {name!r}. {suggest(name, found)}")
    raise ArgumentError(
        f"The layer {name!r} is a {type(layers[name]).__name__}; a head is a dense layer or a convolution. "
        f"{suggest(name, found)}"
    )


def heads_of(net: nn.Module, head: Head) -> list[Head]:
    """The head, and the auxiliary heads beside it that answer with as many classes.

    Examples
    --------
    >>> net = nn.ModuleDict({"aux1": nn.Linear(4, 3), "fc": nn.Linear(8, 3)})
    >>> [found.name for found in heads_of(net, find_head(net))]
    ['fc', 'aux1']
    """
    others: dict[str, Head] = {}
    for path, layer in net.named_modules():
        if _is_auxiliary(path) and isinstance(layer, _KINDS) and Head(path, layer).classes == head.classes:
            others[_auxiliary_part(path)] = Head(path, layer)  # the last one of each
    return [head, *(other for other in others.values() if other.layer is not head.layer)]


def replaced(head: Head, num_classes: int) -> nn.Module:
    """A new layer of the same kind for other classes, drawn anew, where the old one is, in its mode.

    Fixed codes (`RBF`) exist for ten digits only; a dense layer takes their place.
    """
    old: Any = head.layer
    new = _unbuilt(old, num_classes) if _is_unbuilt(old) else _built(old, num_classes)
    return new.train(old.training)


@contextmanager
def exchanged(net: nn.Module, exchanges: dict[nn.Module, nn.Module]) -> Iterator[None]:
    """Put new layers in the places of old ones, wherever they are; after an error in the block the old are back."""
    # Not named_children(), which names a layer that stands in two places only once.
    places = [
        (parent, name, child)
        for parent in net.modules()
        for name, child in parent._modules.items()
        if child is not None and child in exchanges
    ]
    for parent, name, child in places:
        parent._modules[name] = exchanges[child]
    try:
        yield
    except BaseException:
        for parent, name, child in places:
            parent._modules[name] = child
        raise


def _built(old: Any, num_classes: int) -> nn.Module:
    if isinstance(old, RBF):
        return nn.Linear(old.codes.shape[1], num_classes, device=old.codes.device, dtype=old.codes.dtype)
    where: dict[str, Any] = {"device": old.weight.device, "dtype": old.weight.dtype, "bias": old.bias is not None}
    if isinstance(old, nn.Linear):
        return nn.Linear(old.in_features, num_classes, **where)
    if old.groups != 1:
        raise ArgumentError(
            f"The last layer is a convolution in {old.groups} groups, which is no classifier. Name the head: "
            "layer='fc'."
        )
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    return nn.Conv2d(old.in_channels, num_classes, **{name: getattr(old, name) for name in names}, **where)


def _unbuilt(old: Any, num_classes: int) -> nn.Module:
    if isinstance(old, nn.Linear):
        return Dense(num_classes, bias=old.bias is not None)
    raise ArgumentError(
        "The head is a convolution whose sizes are not known yet. Build the model first: model.build((3, 224, 224))."
    )


def _is_unbuilt(layer: nn.Module) -> bool:
    return any(is_lazy(parameter) for parameter in layer.parameters())


def _is_auxiliary(path: str) -> bool:
    return any(part.lower().startswith(_AUXILIARY) for part in path.split("."))


def _auxiliary_part(path: str) -> str:
    """The path down to the part that is an auxiliary head as a whole."""
    parts = path.split(".")
    end = next(place for place, part in enumerate(parts) if part.lower().startswith(_AUXILIARY))
    return ".".join(parts[: end + 1])
