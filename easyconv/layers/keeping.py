"""Run a net as a question, and leave no trace of having asked."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from easyconv.layers.freezing import mode_of, set_mode
from easyconv.layers.lazy import is_unbuilt_layer
from easyconv.seed import kept_random_state

__all__ = ["call", "kept", "kept_modes", "split_call"]

_BOOKS = ("_parameters", "_buffers", "_modules", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs")
_LOAD_HOOKS = "_load_state_dict_pre_hooks"


def split_call(net: nn.Module, x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments with which `call` calls ``net``."""
    if isinstance(x, Mapping):
        return ((), dict(x)) if _takes_names(net, x) else ((x,), {})
    if isinstance(x, (tuple, list)):
        return tuple(x), {}
    return (x,), {}


def call(net: nn.Module, x: Any) -> Any:
    """Call ``net`` as easyconv always does.

    Parameters
    ----------
    net : torch.nn.Module
        The net.
    x : tensor, tuple, list or mapping
        A tuple or list of inputs becomes ``net(*x)``; a mapping becomes ``net(**x)`` where ``forward`` takes those
        names; anything else is handed over as it is, ``net(x)``.

    Returns
    -------
    object
        What the net returns.

    Examples
    --------
    >>> call(nn.Bilinear(2, 3, 4), (torch.zeros(1, 2), torch.zeros(1, 3))).shape
    torch.Size([1, 4])
    """
    if isinstance(x, torch.Tensor):
        return net(x)
    args, kwargs = split_call(net, x)
    return net(*args, **kwargs)


def _takes_names(net: nn.Module, x: Mapping[Any, Any]) -> bool:
    if not x or not all(isinstance(key, str) for key in x):
        return False
    try:
        inspect.signature(net.forward).bind(**x)
    except (TypeError, ValueError):
        return False
    return True


@contextmanager
def kept_modes(net: nn.Module) -> Iterator[None]:
    """Give every module of ``net`` back the train or eval mode that it was found in."""
    modes = {module: mode_of(module) for module in net.modules()}
    try:
        yield
    finally:
        for module in net.modules():
            if module in modes:
                set_mode(module, modes[module])
            # A layer that was made inside the block has the mode of what it was put into.
            for child in module.children():
                modes.setdefault(child, mode_of(module))


@contextmanager
def kept(net: nn.Module, *, training: bool | None = None) -> Iterator[None]:
    """Run ``net`` inside the block without gradients; afterwards it is as it was found.

    Buffers, every module's mode, ``requires_grad`` and the global random state are given back, also after an error.
    Sizes that became known stay known, unless there was an error: then the layers that were built are unbuilt again,
    so that a second try with the right shape works.

    Parameters
    ----------
    net : torch.nn.Module
        The net.
    training : bool, optional
        Mode of all modules inside the block; by default each keeps its own.
    """
    flags = [(parameter, parameter.requires_grad) for parameter in net.parameters()]
    buffers = _buffer_values(net)
    waiting = [_Waiting(module) for module in net.modules() if is_unbuilt_layer(module)]
    try:
        with kept_modes(net), kept_random_state(), torch.no_grad():
            if training is not None:
                for module in net.modules():
                    set_mode(module, training)
            yield
    except BaseException:
        for layer in waiting:
            layer.unbuild()
        raise
    finally:
        _give_back_buffers(buffers)
        for parameter, flag in flags:
            parameter.requires_grad = flag


_Saved = tuple[nn.Module, str, torch.Tensor | None, torch.Tensor | None]


def _buffer_values(net: nn.Module) -> list[_Saved]:
    return [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in net.modules()
        for name, buffer in module._buffers.items()
        if buffer is None or not is_lazy(buffer)
    ]


def _give_back_buffers(saved: list[_Saved]) -> None:
    with torch.no_grad():
        for module, name, buffer, value in saved:
            if name not in module._buffers:
                continue
            if module._buffers[name] is not buffer:
                module._buffers[name] = buffer
            # A write counts as a change for autograd, also one of the same values.
            if buffer is not None and value is not None and not buffer.is_meta and not torch.equal(buffer, value):
                buffer.copy_(value)


class _Waiting:
    """A layer as it was before its sizes were known."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.kind = type(module)
        self.attributes = dict(module.__dict__)
        self.books = {name: dict(module.__dict__[name]) for name in (*_BOOKS, _LOAD_HOOKS)}
        self.tensors = [
            (tensor, type(tensor), tensor.data.device, tensor.data.dtype)
            for tensor in (*module._parameters.values(), *module._buffers.values())
            if isinstance(tensor, (UninitializedParameter, UninitializedBuffer))
        ]

    def unbuild(self) -> None:
        """Make the layer lazy again, with the same parameter objects."""
        self.module.__class__ = self.kind
        self.module.__dict__.clear()
        self.module.__dict__.update(self.attributes)
        for name, entries in self.books.items():
            # refilled, not replaced: the handles of the hooks refer to these very dictionaries
            book = self.module.__dict__[name]
            book.clear()
            book.update(entries)
        for tensor, kind, device, dtype in self.tensors:
            if type(tensor) is not kind:
                tensor.data = torch.empty(0, device=device, dtype=dtype)
                tensor.__class__ = kind
