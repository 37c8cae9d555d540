"""What each operation of torch does to the windows that positions see.

A trace is never guessed: what has no rule gives ``Reach.UNKNOWN``, and so does all that comes after it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from easyconv.arithmetic import receptive_field_step
from easyconv.tracing.fields import Field, Reach, Trace

__all__ = ["judge"]

ALL, MIXED, UNKNOWN, CONSTANT = Reach.ALL, Reach.MIXED, Reach.UNKNOWN, Reach.CONSTANT


@dataclass(frozen=True)
class _Call:
    """One operation: its name, its arguments by name, and the inputs that depend on the net's input."""

    name: str
    arguments: dict[str, Any]
    seen: list[tuple[Trace, torch.Size]]


Rule = Callable[[_Call, torch.Size], Trace]


def judge(
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    inputs: Sequence[tuple[Trace, torch.Size]],
    outputs: Sequence[torch.Size],
) -> list[Trace]:
    """What each output of one operation sees.

    Parameters
    ----------
    func : torch._ops.OpOverload
        The operation.
    args, kwargs
        Its arguments.
    inputs : sequence of (trace, shape)
        The tensors among them.
    outputs : sequence of shape
        The tensors that it gave.
    """
    seen = [(trace, shape) for trace, shape in inputs if trace is not CONSTANT]
    if not seen:
        return [CONSTANT] * len(outputs)
    if any(trace is UNKNOWN for trace, _ in seen):
        return [UNKNOWN] * len(outputs)
    name = func.overloadpacket.__name__.rstrip("_")
    pointwise = torch.Tag.pointwise in func.tags or name in _POSITION_WISE
    rule = _merge if pointwise else _RULES.get(name)
    if rule is not None:
        call = _Call(name, _bound(func, args, kwargs), seen)
        return [rule(call, shape) for shape in outputs]
    # An operation on one tensor whose elements all see everything cannot make them see less.
    return [ALL if len(seen) == 1 and seen[0][0] is ALL else UNKNOWN] * len(outputs)


def _bound(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by the names of the operation's schema, with its defaults."""
    bound = {arg.name: arg.default_value for arg in func._schema.arguments if arg.has_default_value()}
    bound.update({arg.name: value for arg, value in zip(func._schema.arguments, args, strict=False)})
    return bound | kwargs


def _single(rule: Callable[[_Call, Field, torch.Size, torch.Size], Trace]) -> Rule:
    """Turn a rule for one window into a rule for whatever comes."""

    def wrapped(call: _Call, output: torch.Size) -> Trace:
        if len(call.seen) != 1:
            return UNKNOWN
        trace, shape = call.seen[0]
        if isinstance(trace, Field):
            return rule(call, trace, shape, output)
        return trace if trace is ALL else UNKNOWN

    return wrapped


def _merge(call: _Call, output: torch.Size) -> Trace:
    """Element by element: the largest window, where the inputs lie on one grid."""
    fields = [_broadcast(trace, shape, output) for trace, shape in call.seen]
    return _largest(fields)


def _broadcast(trace: Trace, shape: torch.Size, output: torch.Size) -> Trace:
    if not isinstance(trace, Field):
        return trace if trace is not MIXED or shape == output else UNKNOWN
    axes = [axis + len(output) - len(shape) for axis in trace.axes]
    stretched = any(shape[old] != output[new] for old, new in zip(trace.axes, axes, strict=True))
    return UNKNOWN if stretched else trace.moved(axes)


def _largest(traces: Sequence[Trace]) -> Trace:
    if UNKNOWN in traces:
        return UNKNOWN
    if ALL in traces:
        return ALL
    if MIXED in traces:
        return MIXED if all(trace is MIXED for trace in traces) else UNKNOWN
    fields = [trace for trace in traces if isinstance(trace, Field)]
    if len({(field.axes, field.jump) for field in fields}) != 1:
        return UNKNOWN
    size = tuple(max(sizes) for sizes in zip(*(field.size for field in fields), strict=True))
    return Field(fields[0].axes, size, fields[0].jump)


def _cat(call: _Call, output: torch.Size) -> Trace:
    axis = int(call.arguments.get("dim", 0)) % len(output)
    along = any(isinstance(trace, Field) and axis in trace.axes for trace, _ in call.seen)
    mixed = any(trace is MIXED for trace, _ in call.seen)
    if along or (mixed and len(output) != 2):
        return UNKNOWN
    return _largest([trace for trace, _ in call.seen])


def _window(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    """Convolution or pooling over the last axes."""
    arguments = call.arguments
    if arguments.get("transposed", False):
        return UNKNOWN
    ndim = len(shape) - 2 if call.name == "convolution" else 3 if "3d" in call.name else 2
    kernel = arguments["weight"].shape[2:] if call.name == "convolution" else arguments["kernel_size"]
    first = len(shape) - ndim
    if call.name == "convolution" and first - 1 in field.axes:  # it takes positions for channels
        return UNKNOWN
    taps = [_per_axis(value, ndim, kernel) for value in (kernel, arguments["stride"], arguments.get("dilation", 1))]
    return _stepped(field, [(first + i, k, s, d) for i, (k, s, d) in enumerate(zip(*taps, strict=True))])


def _stepped(field: Field, steps: Iterable[tuple[int, int, int, int]]) -> Trace:
    """Slide windows, given as (axis, kernel, stride, dilation), over the axes of ``field``."""
    windows = dict(zip(field.axes, zip(field.size, field.jump, strict=True), strict=True))
    for axis, kernel, stride, dilation in steps:
        if axis in windows:  # windows over channels, as in local response normalisation, leave positions alone
            size, jump = windows[axis]
            windows[axis] = receptive_field_step(size, jump, kernel, stride=stride, dilation=dilation)
    return Field(field.axes, tuple(windows[a][0] for a in field.axes), tuple(windows[a][1] for a in field.axes))


def _per_axis(value: Any, ndim: int, empty: Any) -> list[int]:
    """One number per axis from an operation's argument; torch writes 'as the kernel' as an empty list."""
    values = [value] if isinstance(value, int) else list(value) or list(empty)
    return [int(v) for v in (values * ndim if len(values) == 1 else values)]


def _adaptive(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    """Adaptive pooling: a plain window where the sizes divide."""
    if all(output[axis] == 1 for axis in field.axes):
        return ALL
    if any(shape[axis] % output[axis] for axis in field.axes):
        return UNKNOWN
    ratios = [(axis, shape[axis] // output[axis]) for axis in field.axes]
    return _stepped(field, [(axis, ratio, ratio, 1) for axis, ratio in ratios])


def _reduce(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    """Mean, sum or maximum over some axes."""
    named = call.arguments.get("dim")
    axes = range(len(shape)) if named is None or named == [] else [named] if isinstance(named, int) else named
    reduced = {axis % len(shape) for axis in axes}
    if reduced.isdisjoint(field.axes):
        kept = len(output) == len(shape)
        return field if kept else field.moved(a - sum(r < a for r in reduced) for a in field.axes)
    return ALL if reduced.issuperset(field.axes) else UNKNOWN


def _softmax(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    axis = call.arguments["dim"] % len(shape)
    return field if axis not in field.axes else ALL if len(field.axes) == 1 else UNKNOWN


def _permute(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    order = list(range(len(shape)))
    if call.name == "permute":
        order = [axis % len(shape) for axis in call.arguments["dims"]]
    elif call.name == "t":
        order.reverse()
    else:
        a, b = (call.arguments[key] % len(shape) for key in ("dim0", "dim1"))
        order[a], order[b] = order[b], order[a]
    return field.moved(order.index(axis) for axis in field.axes)


def _view(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    """Axes of positions that the new shape leaves alone stay; flattened with the channels they are mixed."""
    new = [_same_axis(axis, shape, output) for axis in field.axes]
    if None not in new:
        return field.moved(axis for axis in new if axis is not None)
    return MIXED if len(output) == 2 and output[0] == shape[0] and 0 not in field.axes else UNKNOWN


def _same_axis(axis: int, old: torch.Size, new: torch.Size) -> int | None:
    """Axis of ``new`` with as many elements before, in and behind it as ``axis`` of ``old`` has."""
    if old == new:
        return axis
    before, behind = math.prod(old[:axis]), math.prod(old[axis + 1 :])
    matches = [
        i
        for i, size in enumerate(new)
        if size == old[axis] and math.prod(new[:i]) == before and math.prod(new[i + 1 :]) == behind
    ]
    return matches[0] if len(matches) == 1 else None


def _squeeze(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    named = call.arguments.get("dim")
    axes = [named] if isinstance(named, int) else list(range(len(shape))) if named is None else list(named)
    gone = {axis % len(shape) for axis in axes if shape[axis] == 1}
    if not gone.isdisjoint(field.axes):
        return UNKNOWN
    return field.moved(axis - sum(g < axis for g in gone) for axis in field.axes)


def _unsqueeze(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    new = call.arguments["dim"] % len(output)
    return field.moved(axis + (axis >= new) for axis in field.axes)


def _cut(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    """Slices and chunks keep the grid; a step over positions is a window of one that moves by it."""
    axis = int(call.arguments.get("dim", 0)) % len(shape)
    step, start = int(call.arguments.get("step", 1)), int(call.arguments.get("start") or 0)
    if axis not in field.axes:
        return field
    # Every second position from the second on: another grid, which may be put together with the first.
    return UNKNOWN if start % step else _stepped(field, [(axis, 1, step, 1)])


def _select(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    axis = call.arguments.get("dim", 0) % len(shape)
    return UNKNOWN if axis in field.axes else field.moved(a - (a > axis) for a in field.axes)


def _expand(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    return _broadcast(field, shape, output)


def _same(call: _Call, field: Field, shape: torch.Size, output: torch.Size) -> Trace:
    return field if len(output) == len(shape) else UNKNOWN


def _norm(call: _Call, output: torch.Size) -> Trace:
    """Normalisation: its statistics do not count (outputs that are statistics are nobody's input)."""
    trace, shape = call.seen[0]
    return trace if len(call.seen) == 1 and shape == output else UNKNOWN


def _embedding(call: _Call, output: torch.Size) -> Trace:
    trace, shape = call.seen[0]
    return trace if len(call.seen) == 1 and len(output) == len(shape) + 1 else UNKNOWN


def _matmul(call: _Call, output: torch.Size) -> Trace:
    """A matrix of weights mixes all features, hence all positions that were flattened into them."""
    return ALL if len(call.seen) == 1 and call.seen[0][0] in (MIXED, ALL) else UNKNOWN


_POSITION_WISE = {"hardswish", "native_dropout", "clone", "_to_copy", "detach", "alias", "contiguous", "prelu"}
_POSITION_WISE |= {"_prelu_kernel", "lift_fresh", "hardtanh", "leaky_relu", "elu"}
_RULES: dict[str, Rule] = {
    "cat": _cat,
    "embedding": _embedding,
    **dict.fromkeys(("addmm", "mm", "linear"), _matmul),
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"), _norm),
    **dict.fromkeys(("cudnn_batch_norm", "miopen_batch_norm", "native_layer_norm", "native_group_norm"), _norm),
    **dict.fromkeys(("_batch_norm_with_update", "_batch_norm_no_update"), _norm),
    **dict.fromkeys(("convolution", "_convolution", "max_pool2d_with_indices"), _single(_window)),
    **dict.fromkeys(("max_pool3d_with_indices", "avg_pool2d", "avg_pool3d", "max_pool2d"), _single(_window)),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d"), _single(_adaptive)),
    "adaptive_max_pool3d": _single(_adaptive),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "prod", "logsumexp"), _single(_reduce)),
    **dict.fromkeys(("_softmax", "_log_softmax"), _single(_softmax)),
    **dict.fromkeys(("permute", "transpose", "t"), _single(_permute)),
    **dict.fromkeys(("view", "_unsafe_view", "reshape"), _single(_view)),
    "squeeze": _single(_squeeze),
    "unsqueeze": _single(_unsqueeze),
    **dict.fromkeys(("slice", "split", "split_with_sizes", "chunk", "narrow"), _single(_cut)),
    **dict.fromkeys(("select", "unbind"), _single(_select)),
    "expand": _single(_expand),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"), _single(_same)),
    **dict.fromkeys(("replication_pad1d", "replication_pad2d", "replication_pad3d"), _single(_same)),
}
