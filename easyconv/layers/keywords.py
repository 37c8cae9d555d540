"""Errors for arguments that have other names elsewhere: Keras's words, misspelt ones, and missing ones."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import suggest

__all__ = ["torch_words"]

P = ParamSpec("P")
R = TypeVar("R")

_KERAS_NAMES: Mapping[str, tuple[str, ...]] = {
    "filters": ("out_channels",),
    "units": ("out_features",),
    "strides": ("stride",),
    "pool_size": ("kernel_size",),
    "rate": ("p", "dropout"),
    "dilation_rate": ("dilation",),
    "use_bias": ("bias",),
    "epsilon": ("eps",),
    "interpolation": ("mode",),
    "alpha": ("negative_slope",),
    "input_dim": ("num_embeddings",),
    "output_dim": ("embedding_dim",),
    "size": ("scale_factor",),
    "groups": ("num_groups",),
    "axis": ("dim", "dims"),
}
_INFERRED = "the size of the input is inferred from the data; leave it out."
_ELSEWHERE: Mapping[str, str] = {
    "input_shape": "give it to the model: Sequential([...], input_shape=(channels, height, width)).",
    "input_dim": _INFERRED,
    "in_channels": _INFERRED,
    "in_features": _INFERRED,
    "num_features": _INFERRED,
    "num_channels": _INFERRED,
    "data_format": "the layout is always channels first, (N, C, H, W); turn channels-last images with permute.",
    "kernel_initializer": "initialize the weights after building, with torch.nn.init.",
    "bias_initializer": "biases start at zero where init= is given; fill others after building, with torch.nn.init.",
    "kernel_regularizer": "use weight_decay= of the optimizer.",
    "bias_regularizer": "use weight_decay= of the optimizer.",
    "activity_regularizer": "add the penalty in your own loss.",
    "batch_norm": 'write norm="batch" or norm=None.',
    "batchnorm": 'write norm="batch" or norm=None.',
    "depth_radius": "it counts the channels on each side; write size=2 * depth_radius + 1.",
    "center": "scale and shift go together: affine=True or affine=False.",
    "scale": "scale and shift go together: affine=True or affine=False.",
    "trainable": "freeze the layer: model.freeze(name).",
    "name": 'name it in the model: Sequential([("name", layer), ...]).',
    "device": "move the whole model: compile(device=...) or model.to(device).",
    "dtype": "convert the whole model: model.to(dtype).",
    "return_indices": "use torch.nn's own pooling, which returns a tuple.",
}


def torch_words(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a layer, so that a wrong argument gets an error that names the right one.

    The signature stays readable: ``inspect.signature`` shows the function's own.

    Parameters
    ----------
    function : callable
        A function that makes a layer, or the ``__init__`` of a block.

    Raises
    ------
    ArgumentTypeError
        From the decorated function: for a Keras keyword, an unknown one, too many positional arguments, or a missing
        one.

    Examples
    --------
    >>> @torch_words
    ... def Conv(out_channels, *, stride=1):
    ...     return out_channels, stride
    >>> Conv(8, strides=2)
    Traceback (most recent call last):
    ...
    easyconv.errors.ArgumentTypeError: Conv() got strides=2, which is Keras's name; here, as in torch, it is stride=2.
    """
    signature = inspect.signature(function)
    method = next(iter(signature.parameters), "") == "self"
    name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            given = args[1:] if method else args
            raise ArgumentTypeError(_message(name, signature, given, kwargs)) from error
        if len(args) == 3 and next(iter(signature.parameters)) == "out_channels":
            _refuse_torch_order(name, args)
        return function(*args, **kwargs)

    return checked


def _refuse_torch_order(name: str, args: tuple[Any, ...]) -> None:
    """``Conv2d(3, 64, 7)`` of torch has the input channels first; here that would be a window of 64 for 3 channels."""
    if not all(isinstance(value, int) for value in args):
        return
    channels, kernel, stride = args
    # A window of 16 that steps by 16 cuts patches; one of 32 that steps by 3 is a kernel size in the wrong place.
    if (channels <= 4 and kernel >= 8 and stride >= 2) or (kernel > 11 and 1 < stride < kernel):
        raise ArgumentError(
            f"{name}({channels}, {kernel}, {stride}) would have {channels} output channels and a window of {kernel} "
            f"with stride {stride}. The input channels are inferred and left out here: {name}({kernel}, {stride}). If "
            f"you do mean it, write stride={stride}."
        )


def _message(name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    parameters = {key: p for key, p in signature.parameters.items() if key != "self"}
    for key, value in kwargs.items():
        if key not in parameters:
            return f"{name}() got {key}={value!r}, {_unknown(key, value, parameters)}"
    positional = [key for key, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    shown = ", ".join(map(repr, args))
    if len(args) > len(positional):
        inferred = " The size of the input is inferred: no input channels or features come first." * (
            positional[:1] in (["out_channels"], ["out_features"])
        )
        if not positional:
            return f"{name}({shown}): the size of the input is inferred, so leave it out; pass the rest by name."
        allowed = f"{len(positional)} positional arguments ({', '.join(positional)})"
        return f"{name}() takes at most {allowed}, got {len(args)}: {shown}. Pass the others by name.{inferred}"
    twice = [key for key in positional[: len(args)] if key in kwargs]
    if twice:
        return f"{name}() got {twice[0]} twice: {args[positional.index(twice[0])]!r} by position and by name."
    missing = [key for key, p in parameters.items() if _required(p) and key not in (*positional[: len(args)], *kwargs)]
    example = ", ".join(f"{key}=..." for key in missing)
    return f"{name}() needs {' and '.join(missing)}: write {name}({example}). {_signature_line(name, signature)}"


def _unknown(key: str, value: object, parameters: Mapping[str, inspect.Parameter]) -> str:
    for right in _KERAS_NAMES.get(key, ()):
        if right in parameters:
            return f"which is Keras's name; here, as in torch, it is {right}={value!r}."
    if key == "kernel_initializer" and "init" in parameters:
        shown = repr(value) if isinstance(value, str) else '"he"'
        return f"which is Keras's name; here it is init={shown}: a name, or a function like torch.nn.init.orthogonal_."
    if key in _ELSEWHERE:
        return f"which is no argument here: {_ELSEWHERE[key]}"
    if not parameters:
        return "but takes no arguments."
    return f"which it does not know. {suggest(key, parameters)}"


def _required(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variadic


def _signature_line(name: str, signature: inspect.Signature) -> str:
    parts = []
    for key, parameter in signature.parameters.items():
        if key != "self":
            parts.append(key if _required(parameter) else f"{key}={parameter.default!r}")
    return f"Its arguments: {name}({', '.join(parts)})."
