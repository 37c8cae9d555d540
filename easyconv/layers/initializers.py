"""Initial weights by name: of one layer as it finds its sizes, or of all layers of a net."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from easyconv.errors import ArgumentTypeError
from easyconv.layers.lazy import SeededLazy, is_unbuilt_layer
from easyconv.names import look_up

__all__ = ["InitLike", "initialize", "make_init", "set_init"]

InitLike: TypeAlias = str | Callable[[Tensor], Any] | None

_SCHEMES: Mapping[str, Callable[[Tensor], Any]] = {
    "alexnet": partial(nn.init.normal_, std=0.01),
    "glorot": nn.init.xavier_uniform_,
    "glorot_normal": nn.init.xavier_normal_,
    "glorot_uniform": nn.init.xavier_uniform_,
    "he": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "he_fan_out": partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
    "he_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "he_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "lecun": partial(nn.init.kaiming_normal_, nonlinearity="linear"),
    "lecun_normal": partial(nn.init.kaiming_normal_, nonlinearity="linear"),
    "lecun_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
}


def make_init(init: InitLike) -> Callable[[nn.Module], None] | None:
    """What ``init=`` means: a function that fills one layer in place, or None for torch's own values."""
    if init is None:
        return None
    if isinstance(init, str):
        return partial(_fill, look_up(init, _SCHEMES, "init"))
    if callable(init) and not isinstance(init, (type, nn.Module)):
        return partial(_fill, init)
    raise ArgumentTypeError(
        "init must be a name like 'he', a function that fills a weight in place like torch.nn.init.orthogonal_, or "
        f"None, got {init!r} ({type(init).__name__})."
    )


def _fill(scheme: Callable[[Tensor], Any], layer: nn.Module) -> None:
    with torch.no_grad():
        scheme(layer.weight)  # type: ignore[arg-type]
        if isinstance(layer.bias, Tensor):
            layer.bias.zero_()


def set_init(layer: nn.Module, init: InitLike) -> nn.Module:
    """Let one layer draw its weight by ``init``: when it finds its sizes, or at once where it knows them."""
    fill = make_init(init)
    if fill is None:
        return layer
    if isinstance(layer, SeededLazy) and is_unbuilt_layer(layer):
        layer.init = fill
    else:
        fill(layer)
    return layer


def initialize(net: nn.Module, init: InitLike) -> None:
    """Draw the weights of all convolutions and dense layers of ``net`` by ``init``, and set their biases to zero.

    Layers that have an ``init`` of their own and wait for their first input keep it.
    """
    for module in net.modules():
        if isinstance(module, (_ConvNd, nn.Linear)) and getattr(module, "init", None) is None:
            set_init(module, init)
