"""A function as a layer."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from easyconv.errors import ArgumentTypeError
from easyconv.layers.keywords import torch_words

__all__ = ["Lambda"]


class Lambda(nn.Module):
    """Any function of tensors as a layer; it has no parameters.

    Parameters
    ----------
    function : callable
        Takes what the layer gets, one tensor in a stack of layers, and returns what the next layer gets.

    Raises
    ------
    ArgumentTypeError
        When it is no function.

    Notes
    -----
    Parameters and layers that the function uses are not found by ``parameters()``, so nobody trains, moves or saves
    them: such a function should be an ``nn.Module`` of its own. The layer can be copied, compiled and exported. It can
    be pickled (whole models, worker processes) where the function can be, which is not so for a ``lambda``: give it a
    name with ``def`` at the top of a file then. Weight files need no pickling and work with every function.

    Examples
    --------
    >>> import torch
    >>> double = Lambda(lambda x: 2 * x)
    >>> double(torch.ones(2))
    tensor([2., 2.])
    >>> Lambda(torch.square)
    Lambda(square)
    """

    @torch_words
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = _checked(function)

    def forward(self, *inputs: Any) -> Any:
        """``function(*inputs)``."""
        return self.function(*inputs)

    def extra_repr(self) -> str:
        """Name of the function."""
        inner = self.function
        while isinstance(inner, functools.partial):
            inner = inner.func
        return str(getattr(inner, "__name__", type(inner).__name__))


def _checked(function: Any) -> Callable[..., Any]:
    if isinstance(function, nn.Module):
        raise ArgumentTypeError(
            f"Lambda() takes a function, got the layer {type(function).__name__}; put it into the net as it is."
        )
    if inspect.isclass(function):
        raise ArgumentTypeError(
            f"Lambda() takes a function, got the class {function.__name__}; a layer is an object: "
            f"{function.__name__}(...)."
        )
    if not callable(function):
        made = " It was called already: write Lambda(f), not Lambda(f(x))." * hasattr(function, "shape")
        raise ArgumentTypeError(
            f"Lambda() takes a function of a tensor like torch.square or lambda x: 2 * x, got {_shown(function)}.{made}"
        )
    checked: Callable[..., Any] = function
    return checked


def _shown(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return f"{value!r} ({type(value).__name__})"
