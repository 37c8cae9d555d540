"""The last classifier of a net: found, and replaced by one for other classes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from easyconv.errors import ArgumentError, LayerNotFoundError
from easyconv.layers.blocks.lenet import RBF
from easyconv.layers.lazy_layers import LazyConv1D, LazyConv2D, LazyConv3D, LazyDense
from easyconv.names import suggest

__all__ = ["Head", "exchanged", "find_head", "heads_of", "replaced"]

_CONVOLUTIONS: dict[type[nn.Module], Any] = {nn.Conv1d: LazyConv1D, nn.Conv2d: LazyConv2D, nn.Conv3d: LazyConv3D}
_KINDS: tuple[type[nn.Module], ...] = (nn.Linear, *_CONVOLUTIONS, RBF)
_FEW = 5
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
        return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)


def find_head(net: nn.Module, name: str | None = None) -> Head:
    """The last classifier: the last layer with weights, in the order in which the net was put together.

    It must be a dense layer, a convolution of size 1 or an `RBF`; auxiliary heads are left out. After any other layer,
    a norm say, nobody can tell what its outputs are for, so the head has to be named.

    Parameters
    ----------
    net : torch.nn.Module
        The net, built or not.
    name : str, optional
        Dotted name of the layer, where it is another one: a dense layer, a convolution of any size or an `RBF`.

    Raises
    ------
    LayerNotFoundError
        When there is none, or none of that name; the message names those that could be meant.
    ArgumentError
        When the named layer is of another kind.

    Examples
    --------
    >>> find_head(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))).name
    '2'
    """
    layers = dict(net.named_modules())
    found = {path: layer for path, layer in layers.items() if _is_classifier(layer)}
    if name is None:
        return _last(net, list(found))
    if name in found:
        return Head(name, found[name])
    if name not in layers:
        raise LayerNotFoundError(f"There is no layer {name!r}. {suggest(name, found)}")
    raise ArgumentError(
        f"The layer {name!r} is a {type(layers[name]).__name__}; a head is a dense layer or a convolution. "
        f"{suggest(name, found)}"
    )


def _last(net: nn.Module, candidates: list[str]) -> Head:
    weighted = [
        Head(path, layer)
        for path, layer in net.named_modules()
        if not _is_auxiliary(path) and (isinstance(layer, RBF) or any(True for _ in layer.parameters(recurse=False)))
    ]
    last = weighted[-1] if weighted else None
    if last is not None and _is_classifier(last.layer) and set(getattr(last.layer, "kernel_size", (1,))) == {1}:
        return last
    ends = f": it ends with {last.name!r} ({type(last.layer).__name__})" if last is not None else ""
    named = f"one of {', '.join(map(repr, candidates[-_FEW:]))}" if candidates else "there is none to choose from"
    raise LayerNotFoundError(
        f"There is no dense layer or 1x1 convolution at the end of this {type(net).__name__} that could be its "
        f"head{ends}. Name the layer, layer='...': {named}."
    )


def _is_classifier(layer: nn.Module) -> bool:
    # The one inside an attention is not called: its weights are handed over.
    return isinstance(layer, _KINDS) and not isinstance(layer, nn.modules.linear.NonDynamicallyQuantizableLinear)


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
        if _is_auxiliary(path) and _is_classifier(layer) and Head(path, layer).classes == head.classes:
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
    if isinstance(old, nn.Linear):
        return nn.Linear(old.in_features, num_classes, **_settings(old))
    kind: Any = _dimensions(old)
    return kind(old.in_channels, num_classes, **_settings(old))  # type: ignore[no-any-return]


def _unbuilt(old: Any, num_classes: int) -> nn.Module:
    kind = LazyDense if isinstance(old, nn.Linear) else _CONVOLUTIONS[_dimensions(old)]
    new: nn.Module = kind(num_classes, **_settings(old))
    if "init" in vars(old):
        new.init = old.init
    return new


def _dimensions(old: nn.Module) -> type[nn.Module]:
    return next(kind for kind in _CONVOLUTIONS if isinstance(old, kind))


def _settings(old: Any) -> dict[str, Any]:
    """All that the new layer has in common with the old one."""
    where = {"device": old.weight.data.device, "dtype": old.weight.data.dtype, "bias": old.bias is not None}
    if isinstance(old, nn.Linear):
        return where
    if old.groups != 1:
        raise ArgumentError(
            f"The head is a convolution in {old.groups} groups, which is no classifier. Name another one: layer='fc'."
        )
    names = ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    return {**where, **{name: getattr(old, name) for name in names}}


def _is_unbuilt(layer: nn.Module) -> bool:
    return any(is_lazy(parameter) for parameter in layer.parameters())


def _is_auxiliary(path: str) -> bool:
    return any(part.lower().startswith(_AUXILIARY) for part in path.split("."))


def _auxiliary_part(path: str) -> str:
    """The path down to the part that is an auxiliary head as a whole."""
    parts = path.split(".")
    end = next(place for place, part in enumerate(parts) if part.lower().startswith(_AUXILIARY))
    return ".".join(parts[: end + 1])
