"""Name the layer that failed, with the shapes up to it."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from easyconv.errors import EasyconvError, ShapeError
from easyconv.layers.advice import advise
from easyconv.layers.keeping import kept

__all__ = ["FORWARD_ERRORS", "LayerRow", "explain", "takes_hooks", "trace_shapes"]

FORWARD_ERRORS = (RuntimeError, ValueError, IndexError, TypeError, AttributeError)
_MAXIMUM_ROWS = 20
_tracing: ContextVar[bool] = ContextVar("_tracing", default=False)


@dataclass
class LayerRow:
    """One call of one layer.

    Attributes
    ----------
    name : str
        Dotted name in the net; empty for the net itself.
    type : str
        Name of the class.
    input_shape, output_shape : object
        Shapes as tuples, nested like inputs and outputs; None where there is no tensor, or no output yet.
    """

    name: str
    type: str
    input_shape: Any
    output_shape: Any


@dataclass
class _Call:
    name: str
    module: nn.Module
    inputs: Any
    row: LayerRow
    leaf: bool


class _Tracer:
    """Hooks on all modules that note who was called with what."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.finished: list[LayerRow] = []
        self.open: list[_Call] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hooks are there inside the block only."""
        handles = []
        try:
            for name, module in self.net.named_modules():
                if takes_hooks(module):
                    handles += self._hook(name, module)
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str, module: nn.Module) -> list[Any]:
        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            inputs = (*args, *kwargs.values())
            row = LayerRow(name, type(module).__name__, _shapes(inputs), None)
            self.open.append(_Call(name, module, inputs, row, leaf=_is_leaf(module)))

        def after(module: nn.Module, args: Any, output: Any) -> None:
            # a forward that caught an error of a child has left that child open
            while self.open:
                done = self.open.pop()
                if done.module is module:
                    break
            # a lazy layer has got its plain class, and a shortcut its kind, in the meantime
            done.row.type = type(module).__name__
            done.row.output_shape = _shapes((output,))
            if done.leaf or _is_leaf(module):
                self.finished.append(done.row)

        return [
            # first of all, so that a layer that cannot even infer its sizes is on the list
            module.register_forward_pre_hook(before, with_kwargs=True, prepend=True),
            module.register_forward_hook(after),
        ]


def takes_hooks(module: nn.Module) -> bool:
    """Whether hooks can be put on ``module``: not where torch has scripted it.

    Examples
    --------
    >>> takes_hooks(nn.ReLU())
    True
    """
    return not isinstance(module, torch.jit.ScriptModule)


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _shapes(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, Mapping):
        return {key: _shapes(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        shapes = [_shapes(part) for part in value]
        return shapes[0] if len(shapes) == 1 else [shape for shape in shapes if shape is not None]
    return None


def trace_shapes(net: nn.Module, *args: Any, **kwargs: Any) -> list[LayerRow]:
    """Shapes at every layer (module without children) in the order of the calls.

    The net is left as found, but for sizes that become known. Runs in the modes in which the modules are.

    Parameters
    ----------
    net : torch.nn.Module
        Any net.
    *args, **kwargs
        Its inputs.

    Examples
    --------
    >>> for row in trace_shapes(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.zeros(2, 4)):
    ...     print(row.name, row.type, row.input_shape, row.output_shape)
    0 Linear (2, 4) (2, 3)
    1 ReLU (2, 3) (2, 3)
    """
    tracer = _Tracer(net)
    with kept(net), tracer.listening():
        net(*args, **kwargs)
    return tracer.finished


def explain(net: nn.Module, args: Any, kwargs: Any, error: BaseException) -> ShapeError | None:
    """Run a failed forward pass again, and say which layer failed on what.

    Parameters
    ----------
    net : torch.nn.Module
        The net whose call failed.
    args : tuple
        The positional arguments of that call.
    kwargs : dict
        Its keyword arguments.
    error : BaseException
        What it raised.

    Returns
    -------
    ShapeError or None
        An error to raise ``from error``, with the attributes ``layer`` (dotted name) and ``rows`` (list of
        `LayerRow`). None when there is nothing to add: the error is not one of a forward pass or is explained
        already, memory ran out, or the second run went well.

    Examples
    --------
    >>> net, x = nn.Sequential(nn.Linear(4, 3), nn.Linear(4, 3)), torch.zeros(2, 4)
    >>> try:
    ...     net(x)
    ... except RuntimeError as error:
    ...     print(explain(net, (x,), {}, error))
    Layer '1' (Linear(in_features=4, out_features=3, bias=True)) cannot take an input of shape (2, 3): ...
    """
    if _tracing.get() or not _explainable(error):
        return None
    tracer = _Tracer(net)
    token = _tracing.set(True)
    try:
        with kept(net), tracer.listening():
            net(*args, **kwargs)
    except FORWARD_ERRORS as again:
        if not _explainable(again) or not tracer.open:
            return None
        if isinstance(again, (TypeError, AttributeError)) and not _is_of_torch(tracer.open[-1].module):
            return None
        return _explained(tracer, again)
    finally:
        _tracing.reset(token)
    return None


def _explainable(error: BaseException) -> bool:
    if isinstance(error, (torch.cuda.OutOfMemoryError, NotImplementedError, RecursionError)):
        return False
    if isinstance(error, EasyconvError):
        return isinstance(error, ShapeError) and not hasattr(error, "layer")
    # What a net raises of its own classes is for its author's own except clauses.
    return type(error) in FORWARD_ERRORS and "out of memory" not in str(error)


def _is_of_torch(module: nn.Module) -> bool:
    return type(module).__module__.startswith(("torch.nn.", "easyconv."))


def _class_for(error: Exception) -> type[ShapeError]:
    """A ``ShapeError`` that is also what torch raised, so that ``except`` clauses for that go on working."""
    if isinstance(error, (RuntimeError, ValueError)):
        return ShapeError
    return type("ShapeError", (ShapeError, type(error)), {"__module__": ShapeError.__module__})


def _explained(tracer: _Tracer, error: Exception) -> ShapeError:
    failed = tracer.open[-1]
    rows = [*tracer.finished, LayerRow(failed.name, failed.row.type, failed.row.input_shape, "failed")]
    advice = advise(failed.module, failed.inputs, error) or _own_advice(tracer, failed, error)
    lines = [_headline(tracer, failed, error), *advice, *_table(rows)]
    explained = _class_for(error)("\n".join(lines))
    explained.layer = failed.name  # type: ignore[attr-defined]
    explained.rows = rows  # type: ignore[attr-defined]
    return explained


def _headline(tracer: _Tracer, failed: _Call, error: Exception) -> str:
    text = str(error).strip()
    first = text if isinstance(error, ShapeError) else text.splitlines()[0] if text else type(error).__name__
    shown = failed.row.input_shape
    of_shape = "inputs of shapes" if isinstance(shown, (list, dict)) else "an input of shape"
    if failed.leaf:
        subject = f"Layer {failed.name!r}" if failed.name else "The net"
        return f"{subject} ({failed.module}) cannot take {of_shape} {shown}: {first}"
    where = f"Layer {failed.name!r} ({failed.row.type})" if failed.name else f"The net ({failed.row.type})"
    inside = [row for row in tracer.finished if row.name.startswith(f"{failed.name}." if failed.name else "")]
    after = f", after layer {inside[-1].name!r} gave {inside[-1].output_shape}" if inside else ""
    return f"{where} failed in its own forward on {of_shape} {shown}{after}: {first}"


def _own_advice(tracer: _Tracer, failed: _Call, error: Exception) -> list[str]:
    """What to do where a forward fails between its layers."""
    inside = [row for row in tracer.finished if row.name.startswith(f"{failed.name}." if failed.name else "")]
    shape = inside[-1].output_shape if inside else None
    if "is invalid for input of size" in str(error) and isinstance(shape, tuple) and len(shape) > 1:
        size = math.prod(shape[1:])
        return [
            f"Each sample has {size} values after layer {inside[-1].name!r}: x.flatten(1) keeps the samples apart, "
            f"and a Linear after it takes {size} features."
        ]
    if "Sizes of tensors must match" in str(error) or "must match the size of tensor" in str(error):
        return ["Let the branches give the same shapes: the same strides, and paddings that keep the size."]
    return []


def _table(rows: list[LayerRow]) -> list[str]:
    shown = rows[-_MAXIMUM_ROWS:]
    cells = [("layer", "type", "input", "output")]
    cells += [(row.name or "(net)", row.type, str(row.input_shape), str(row.output_shape)) for row in shown]
    widths = [max(len(cell[column]) for cell in cells) for column in range(4)]
    lines = ["  " + "  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True)) for cell in cells]
    if len(rows) > len(shown):
        lines.insert(1, f"  ... {len(rows) - len(shown)} layers before these are left out")
    return [line.rstrip() for line in lines]
