"""Activations by name, class, module or function."""

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from easyconv.errors import ArgumentTypeError
from easyconv.layers.function import Lambda
from easyconv.layers.keywords import torch_words
from easyconv.names import look_up

__all__ = ["Activation", "ActivationLike", "make_activation", "with_activation"]

ActivationLike: TypeAlias = str | nn.Module | type[nn.Module] | Callable[[torch.Tensor], torch.Tensor] | None

_NAMES: dict[str, Callable[[], nn.Module]] = {
    "celu": nn.CELU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "hardtanh": nn.Hardtanh,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "linear": nn.Identity,
    "log_softmax": lambda: nn.LogSoftmax(dim=1),
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softmax": lambda: nn.Softmax(dim=1),
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}


def make_activation(activation: ActivationLike) -> nn.Module:
    """Module for an activation that is given by name, class, module or function.

    A module is taken as it is (so that two layers may share a PReLU); softmax and log-softmax by name or class act on
    dimension 1, where torch has the classes.

    Raises
    ------
    UnknownNameError
        When there is no activation of that name.
    ArgumentTypeError
        When it is none of these.
    """
    if activation is None:
        return nn.Identity()
    if isinstance(activation, str):
        return look_up(activation, _NAMES, "activation")()
    if isinstance(activation, nn.Module):
        return activation
    if inspect.isclass(activation) and issubclass(activation, nn.Module):
        made: Any = activation
        with_classes = issubclass(activation, (nn.Softmax, nn.LogSoftmax, nn.Softmin))
        module: nn.Module = made(dim=1) if with_classes else made()
        return module
    if callable(activation) and not inspect.isclass(activation):
        return Lambda(activation)
    raise ArgumentTypeError(
        "activation must be a name like 'relu', a torch.nn module or its class, or a function, "
        f"got {activation!r} ({type(activation).__name__})."
    )


@torch_words
def Activation(activation: ActivationLike) -> nn.Module:
    """An activation by name, class, module or function.

    Parameters
    ----------
    activation : str, type, torch.nn.Module or callable
        ``"relu"``, ``"leaky_relu"``, ``"elu"``, ``"selu"``, ``"celu"``, ``"gelu"``, ``"silu"`` (or ``"swish"``),
        ``"mish"``, ``"sigmoid"``, ``"tanh"``, ``"softmax"``, ``"log_softmax"``, ``"softplus"``, ``"softsign"``,
        ``"hardsigmoid"``, ``"hardswish"``, ``"hardtanh"``, ``"relu6"``, ``"prelu"``, ``"identity"`` (or
        ``"linear"``), with torch's default settings. ``"softmax"`` and ``"log_softmax"`` act on dimension 1, torch's
        axis of channels and classes. A module is taken as it is; a class is called without arguments; a function
        ``tensor -> tensor`` becomes a `Lambda`.

    Returns
    -------
    torch.nn.Module
        Output shape equals input shape.

    Raises
    ------
    UnknownNameError
        When there is no activation of that name.
    ArgumentTypeError
        When it is none of these.

    Examples
    --------
    >>> Activation("relu"), Activation("softmax")
    (ReLU(), Softmax(dim=1))
    """
    return make_activation(activation)


def with_activation(layer: nn.Module, name: str, activation: ActivationLike) -> nn.Module:
    """The layer alone, or followed by its activation: children called ``name`` and ``activation``."""
    if activation is None:
        return layer
    return nn.Sequential(OrderedDict([(name, layer), ("activation", make_activation(activation))]))
