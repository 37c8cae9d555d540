"""One forward pass in which every call of every layer is noted, and after which everything is as it was."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._pytree import tree_leaves, tree_map

from easyconv.arithmetic import conv_multiply_adds, conv_transpose_multiply_adds, linear_multiply_adds
from easyconv.layers.blocks.lenet import PartialConv2D
from easyconv.layers.build import dry_run
from easyconv.layers.trace import takes_hooks
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
    """A hook that notes each call."""

    tracer: Tracer
    seen: dict[int, list[Seen]] = field(default_factory=dict)

    def __call__(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
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
    """Calls of every layer, by the id of its module, from one dry run: everything is given back after it.

    Raises
    ------
    ShapeError
        When a layer cannot take what reaches it; the message names it and shows the shapes up to it.
    """
    observer = _Observer(Tracer())
    example = tree_map(lambda leaf: leaf.detach() if isinstance(leaf, torch.Tensor) else leaf, example)
    for leaf in tree_leaves(example):
        if isinstance(leaf, torch.Tensor):
            observer.tracer.start(leaf)
    with _hooked(net, observer), observer.tracer:
        dry_run(net, example)
    return observer.seen


@contextmanager
def _hooked(net: nn.Module, observer: _Observer) -> Iterator[None]:
    layers = [module for module in net.modules() if takes_hooks(module)]
    handles = [layer.register_forward_hook(observer, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _through_linear(trace: Trace, ndim: int) -> Trace:
    """A linear layer mixes its last axis and leaves positions on other axes alone."""
    if isinstance(trace, Field):
        return Reach.UNKNOWN if ndim - 1 in trace.axes else trace
    return Reach.ALL if trace is Reach.MIXED else trace


def _window(trace: Trace) -> object:
    return (trace.size, trace.jump) if isinstance(trace, Field) else trace


def _multiply_adds(module: nn.Module, inputs: torch.Tensor, outputs: torch.Tensor) -> int:
    """Of one call, for the whole batch."""
    if not inputs.numel() or not outputs.numel():
        return 0
    if isinstance(module, nn.Linear):
        positions = outputs.numel() // module.out_features
        return linear_multiply_adds(module.in_features, module.out_features, positions=positions)
    if isinstance(module, PartialConv2D):  # only its connections count
        return module.weight.numel() * (outputs.numel() // module.out_channels)
    if not isinstance(module, _ConvNd):
        return 0
    axes, channels, kernel = len(module.kernel_size), (module.in_channels, module.out_channels), module.kernel_size
    if isinstance(module, _ConvTransposeNd):
        size = inputs.shape[-axes:]
        work = conv_transpose_multiply_adds(*channels, kernel, input_size=size, groups=module.groups)
        return work * (inputs.numel() // (module.in_channels * math.prod(size)))
    size = outputs.shape[-axes:]
    work = conv_multiply_adds(*channels, kernel, output_size=size, groups=module.groups)
    return work * (outputs.numel() // (module.out_channels * math.prod(size)))
