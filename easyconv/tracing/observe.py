"""One forward pass in which every call of every layer is noted, and after which everything is as it was."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._pytree import tree_leaves, tree_map

from easyconv.arithmetic import conv_multiply_adds, conv_transpose_multiply_adds, linear_multiply_adds
from easyconv.errors import EasyconvError, ShapeError
from easyconv.seed import kept_random_state
from easyconv.tracing.fields import Field, Reach, Trace
from easyconv.tracing.tracer import Tracer

__all__ = ["Seen", "observe"]


@dataclass(frozen=True)
class Seen:
    """One call of one layer."""

    output_shape: torch.Size | None
    multiply_adds: int
    trace: Trace
    sees: bool


@dataclass
class _Observer:
    """Hooks that note each call."""

    tracer: Tracer
    seen: dict[int, list[Seen]] = field(default_factory=dict)
    running: list[tuple[nn.Module, list[tuple[int, ...]]]] = field(default_factory=list)

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        shapes = [tuple(leaf.shape) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        self.running.append((module, shapes))

    def after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        self.running.pop()
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        outputs = [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]
        if not inputs or not outputs:
            return
        before, work = self.tracer.trace(inputs[0]), _multiply_adds(module, inputs[0], outputs[0])
        if isinstance(module, nn.Linear):
            self.tracer.set_trace(outputs[0], _through_linear(before, inputs[0].dim()))
        after = self.tracer.trace(outputs[0])
        sees = work > 0 or _window(before) != _window(after)
        self.seen.setdefault(id(module), []).append(Seen(outputs[0].shape, work, after, sees))


def observe(net: nn.Module, example: Any) -> dict[int, list[Seen]]:
    """Calls of every layer, by the id of its module, from one forward pass."""
    observer = _Observer(Tracer())
    example = tree_map(lambda leaf: leaf.detach() if isinstance(leaf, torch.Tensor) else leaf, example)
    for leaf in tree_leaves(example):
        if isinstance(leaf, torch.Tensor):
            observer.tracer.start(leaf)
    with _as_found(net), _hooked(net, observer), kept_random_state(), torch.no_grad():
        try:
            with observer.tracer:
                _call(net, example)
        except (RuntimeError, ValueError) as error:
            if isinstance(error, _NOT_ABOUT_SHAPES) or not observer.running:
                raise
            raise ShapeError(_refusal(net, observer, error)) from error
    return observer.seen


_NOT_ABOUT_SHAPES = (EasyconvError, NotImplementedError, torch.OutOfMemoryError)


def _call(net: nn.Module, example: Any) -> None:
    if isinstance(example, Mapping):
        net(**example)
    elif isinstance(example, Sequence):
        net(*example)
    else:
        net(example)


def _plain(net: nn.Module) -> list[nn.Module]:
    """Modules without those that torch has scripted, which take no hooks."""
    return [module for module in net.modules() if not isinstance(module, torch.jit.ScriptModule)]


@contextmanager
def _hooked(net: nn.Module, observer: _Observer) -> Iterator[None]:
    handles = []
    try:
        for module in _plain(net):
            handles.append(module.register_forward_pre_hook(observer.before, with_kwargs=True))
            handles.append(module.register_forward_hook(observer.after, with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _as_found(net: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; every module's mode and buffers are given back."""
    modules = _plain(net)
    modes = [module.training for module in modules]
    buffers = [dict(module._buffers) for module in modules]
    copies = [(buffer, buffer.clone()) for held in buffers for buffer in held.values() if buffer is not None]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode, held in zip(modules, modes, buffers, strict=True):
            module.training = mode
            module._buffers.clear()
            module._buffers.update(held)
        with torch.no_grad():
            for buffer, copy in copies:
                if not buffer.is_meta and not torch.equal(buffer, copy):
                    buffer.copy_(copy)


def _refusal(net: nn.Module, observer: _Observer, error: Exception) -> str:
    module, shapes = observer.running[-1]
    names = {id(found): name for name, found in net.named_modules()}
    done = [f"  {names[key]}: {tuple(calls[-1].output_shape or ())}" for key, calls in observer.seen.items()]
    where = f"layer {names[id(module)]!r} ({type(module).__name__})" if module is not net else type(net).__name__
    given = ", ".join(str(shape) for shape in shapes) or "nothing"
    table = "\nShapes up to it:\n" + "\n".join(done[-12:]) if done else ""
    return f"The {where} cannot take what reached it, of shape {given}: {error}{table}"


def _through_linear(trace: Trace, ndim: int) -> Trace:
    """A linear layer mixes its last axis and leaves positions on other axes alone."""
    if isinstance(trace, Field):
        return Reach.UNKNOWN if ndim - 1 in trace.axes else trace
    return Reach.ALL if trace is Reach.MIXED else trace


def _window(trace: Trace) -> object:
    return (trace.size, trace.jump) if isinstance(trace, Field) else trace


def _multiply_adds(module: nn.Module, inputs: torch.Tensor, outputs: torch.Tensor) -> int:
    """Of one call, for the whole batch."""
    if isinstance(module, _ConvTransposeNd):
        positions = (inputs.numel() // module.in_channels,)
        return conv_transpose_multiply_adds(
            module.in_channels, module.out_channels, module.kernel_size, input_size=positions, groups=module.groups
        )
    if isinstance(module, _ConvNd):
        positions = (outputs.numel() // module.out_channels,)
        return conv_multiply_adds(
            module.in_channels, module.out_channels, module.kernel_size, output_size=positions, groups=module.groups
        )
    if isinstance(module, nn.Linear):
        positions = (outputs.numel() // module.out_features,)
        return linear_multiply_adds(module.in_features, module.out_features, positions=math.prod(positions))
    return 0
