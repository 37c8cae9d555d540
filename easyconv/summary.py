"""The table of layers: shapes, parameters, multiply-adds and receptive fields."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentTypeError
from easyconv.layers.lazy import require_built
from easyconv.tracing import Seen, in_words, observe

__all__ = ["LayerRow", "Summary", "summarize"]

Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class LayerRow:
    """One layer of a :class:`Summary`.

    Attributes
    ----------
    name : str
        Path inside the net: ``"features.0"``; empty for the net itself.
    kind : str
        Name of the class.
    depth : int
        Level in the tree; 1 for the net's own layers.
    output_shape : tuple or None
        Of the last call, with ``"N"`` for the batch axis; ``None`` where the layer was not called or gave no tensor.
    parameters, trainable : int
        Numbers held by this row alone, so that the column adds up: what a layer holds itself, and all that is below
        it where the tree is cut at this depth. Shared parameters count in their first row.
    multiply_adds : int
        For one sample, without bias, over all calls of the layer.
    receptive_field : tuple of int, str or None
        Input positions that one output position sees along each axis; ``"all"``; ``"?"`` where an operation before
        was not understood; ``None`` where there are no positions.
    jump : tuple of int or None
        Input positions between neighbouring output positions.
    shared : bool
        Whether the layer, or all that it holds, stands in an earlier row already.
    sees : bool
        Whether the layer is one that computes over positions, so that the table shows its receptive field.
    """

    name: str
    kind: str
    depth: int
    output_shape: Shape | None = None
    parameters: int = 0
    trainable: int = 0
    multiply_adds: int = 0
    receptive_field: tuple[int, ...] | str | None = None
    jump: tuple[int, ...] | None = None
    shared: bool = False
    sees: bool = False


@dataclass(frozen=True)
class Summary:
    """What :func:`summarize` found; ``print`` it.

    Attributes
    ----------
    title : str
        What stands above the table.
    input_shape : tuple or list of tuple
        With ``"N"`` for the batch axis; a list where there are several inputs.
    rows : tuple of LayerRow
        The table, top to bottom.
    parameters, trainable : int
        Of the whole net, each counted once. Buffers (running statistics) are no parameters.
    multiply_adds : int
        For one sample, without bias, of convolutions and linear layers.
    memory : int
        Bytes of the parameters.
    """

    title: str
    input_shape: Shape | list[Shape]
    rows: tuple[LayerRow, ...]
    parameters: int
    trainable: int
    multiply_adds: int
    memory: int

    @property
    def non_trainable(self) -> int:
        """Parameters that are not trained."""
        return self.parameters - self.trainable

    def __str__(self) -> str:
        return _table(self)

    def __repr__(self) -> str:
        # Short, for `model.summary()` at a prompt has printed the table already.
        return f"Summary({self.title!r}, {self.parameters:,} parameters)"


def summarize(net: nn.Module, example: Any, *, title: str | None = None, depth: int = 3) -> Summary:
    """Table of a net's layers, found with one forward pass in evaluation mode.

    Modes, hooks, buffers and the random state are given back as found, also after an error.

    Parameters
    ----------
    net : nn.Module
        Any module whose sizes are known.
    example : tensor, sequence or mapping
        A batch of inputs, batch axis first. A tuple or list holds the net's positional arguments, a mapping its named
        ones, or goes in whole where ``forward`` takes no such names. It is moved to the net's device.
    title : str, optional
        What stands above the table; the class of the net by default.
    depth : int, default 3
        Levels of nested layers to show; what lies deeper is counted in the row above it.

    Returns
    -------
    Summary
        ``print(summary)`` gives the table, ``summary.rows`` the numbers.

    Raises
    ------
    NotBuiltError
        When a layer does not know its sizes yet.
    ShapeError
        When a layer cannot take what reaches it; the message names the layer.
    ArgumentTypeError, ArgumentError
        When an argument makes no sense.

    Notes
    -----
    Multiply-adds are those of convolutions, transposed convolutions and linear layers that are called as modules;
    everything else counts 0. Receptive fields follow the tensors through the forward pass; after an operation that
    mixes positions in another way (upsampling, transposed convolution, attention) they are ``"?"``. See
    :mod:`easyconv.tracing`.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 13 * 13, 10))
    >>> summary = summarize(net, torch.zeros(1, 1, 28, 28))
    >>> summary.parameters, summary.multiply_adds
    (13610, 62192)
    >>> [row.receptive_field for row in summary.rows]
    [(3, 3), (4, 4), 'all', 'all']
    """
    check_integer("depth", depth, minimum=1)
    if not isinstance(net, nn.Module):
        raise ArgumentTypeError(f"net must be an nn.Module, got {net!r} ({type(net).__name__}).")
    require_built(net, "summary()")
    example = _on_device_of(net, example)
    tensors = [leaf for leaf in tree_leaves(example) if isinstance(leaf, torch.Tensor)]
    if not tensors or tensors[0].dim() == 0:
        raise ArgumentTypeError(
            f"example must hold a tensor with a batch axis, got {example!r} ({type(example).__name__}). "
            "Pass a batch like torch.zeros(1, 3, 32, 32)."
        )
    samples = max(1, tensors[0].shape[0])
    seen = observe(net, example)
    shapes = [_with_n(tensor.shape, samples) for tensor in tensors]
    parameters = list(net.parameters())
    return Summary(
        title=title if title is not None else type(net).__name__,
        input_shape=shapes[0] if len(shapes) == 1 else shapes,
        rows=tuple(_rows(net, seen, depth, samples)),
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        multiply_adds=sum(_per_sample(calls, samples) for calls in seen.values()),
        memory=sum(p.numel() * p.element_size() for p in parameters),
    )


def _on_device_of(net: nn.Module, example: Any) -> Any:
    devices = {parameter.device for parameter in net.parameters()}
    if len(devices) != 1:
        return example
    device = devices.pop()
    return tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, torch.Tensor) else leaf, example)


# --- from calls to rows -----------------------------------------------------------------------------------------------


def _tree(net: nn.Module) -> list[tuple[str, nn.Module, int]]:
    """Path, module and depth of every layer, containers before what they hold."""
    import torchinfo

    # Without an input torchinfo only reads the tree: it runs nothing, changes no mode and caches nothing.
    try:
        infos = torchinfo.summary(net, verbose=0).summary_list
    except TypeError as error:
        raise ArgumentTypeError(
            f"torchinfo cannot read the layers of this {type(net).__name__}: {error}. An attribute kernel_size must be "
            "an integer or a sequence of them; give yours another name."
        ) from error
    found = []
    for info in infos:
        parts, parent = [info.var_name], info.parent_info
        while parent is not None:
            parts.append(parent.var_name)
            parent = parent.parent_info
        found.append((".".join(reversed(parts[:-1])), info.module, info.depth))
    return found


def _rows(net: nn.Module, seen: dict[int, list[Seen]], depth: int, samples: int) -> Iterator[LayerRow]:
    """Rows down to ``depth``; each module and parameter counts where it comes first."""
    counted: set[int] = set()
    hidden_below: int | None = None
    for name, module, level in _tree(net):
        if hidden_below is not None and level > hidden_below:
            continue
        again = id(module) in counted
        hidden_below = level if again or level == depth else None
        row = _row(name, module, level, seen, counted, samples, whole=level == depth)
        if level > 0 or row.parameters or row.multiply_adds or not any(module.children()):
            yield row


def _row(
    name: str,
    module: nn.Module,
    level: int,
    seen: dict[int, list[Seen]],
    counted: set[int],
    samples: int,
    *,
    whole: bool,
) -> LayerRow:
    again = id(module) in counted
    modules = [m for m in (module.modules() if whole else [module]) if id(m) not in counted]
    held = [p for m in (module.modules() if whole else [module]) for p in m._parameters.values() if p is not None]
    fresh = list({id(p): p for p in held if id(p) not in counted}.values())
    counted.update(id(m) for m in modules)
    counted.update(id(p) for p in fresh)
    calls = seen.get(id(module), [])
    last = calls[-1] if calls else None
    work = sum(_per_sample(seen.get(id(m), []), samples) for m in modules)
    receptive_field, jump = in_words(last.trace) if last else (None, None)
    return LayerRow(
        name=name,
        kind=type(module).__name__,
        depth=level,
        output_shape=_with_n(last.output_shape, samples) if last and last.output_shape is not None else None,
        parameters=sum(p.numel() for p in fresh),
        trainable=sum(p.numel() for p in fresh if p.requires_grad),
        multiply_adds=work,
        receptive_field=receptive_field,
        jump=jump,
        shared=again or bool(held and not fresh),
        sees=_shows_field(module, last, work, whole=whole) if last else False,
    )


def _shows_field(module: nn.Module, call: Seen, work: int, *, whole: bool) -> bool:
    """Leaves that look around, and containers that hide some."""
    if any(module.children()) and not whole:
        return call.multiply_adds > 0
    return call.sees or work > 0


def _per_sample(calls: list[Seen], samples: int) -> int:
    return round(sum(call.multiply_adds for call in calls) / samples)


def _with_n(shape: torch.Size, samples: int) -> Shape:
    return ("N", *shape[1:]) if len(shape) and shape[0] == samples else tuple(shape)


# --- from rows to text ------------------------------------------------------------------------------------------------

_WIDTH = 100


def _table(summary: Summary) -> str:
    heads = ("Layer", "Output shape", "Parameters", "Multiply-adds", "Field", "Jump")
    branches = _branches(summary.rows)
    cells = [_cells(row, branch) for row, branch in zip(summary.rows, branches, strict=True)]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    widths[0] = min(widths[0], max(24, _WIDTH - sum(widths[1:]) - 2 * (len(heads) - 1)))
    total = sum(widths) + 2 * (len(heads) - 1)
    rule = "─" * total
    lines = [_line(line, widths) for line in cells]
    body = [f"{summary.title} · input {_shapes_text(summary.input_shape)}", rule, _line(heads, widths), rule]
    return "\n".join([*body, *lines, rule, *_totals(summary), *_legend(summary)])


def _cells(row: LayerRow, branch: str) -> tuple[str, ...]:
    own = row.name.rpartition(".")[2]
    count = f"{row.parameters:,}" if row.parameters else "shared" if row.shared else ""
    mark = "" if row.trainable == row.parameters else "*" if row.trainable == 0 else "~"
    return (
        f"{branch}{own}: {row.kind}" if own else f"{branch}{row.kind}",
        _shape_text(row.output_shape) if row.output_shape else "",
        count + (mark or " "),
        f"{row.multiply_adds:,}" if row.multiply_adds else "",
        _axes_text(row.receptive_field) if row.sees else "",
        _axes_text(row.jump) if row.sees and row.jump else "",
    )


def _branches(rows: Sequence[LayerRow]) -> list[str]:
    """Lines of the tree, from the last row up."""
    lasts: list[str] = []
    open_levels: set[int] = set()
    for row in reversed(rows):
        open_levels = {level for level in open_levels if level <= row.depth}
        stem = "".join("│  " if level in open_levels else "   " for level in range(1, row.depth))
        lasts.append("" if row.depth == 0 else stem + ("├─ " if row.depth in open_levels else "└─ "))
        open_levels.add(row.depth)
    return lasts[::-1]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name = cells[0] if len(cells[0]) <= widths[0] else cells[0][: widths[0] - 1] + "…"
    left = [name.ljust(widths[0]), cells[1].ljust(widths[1])]
    return "  ".join([*left, *(cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True))]).rstrip()


def _shape_text(shape: Shape) -> str:
    return f"({', '.join(str(size) for size in shape)}{',' if len(shape) == 1 else ''})"


def _shapes_text(shapes: Shape | list[Shape]) -> str:
    return " and ".join(map(_shape_text, shapes)) if isinstance(shapes, list) else _shape_text(shapes)


def _axes_text(sizes: tuple[int, ...] | str | None) -> str:
    return "\N{MULTIPLICATION SIGN}".join(map(str, sizes)) if isinstance(sizes, tuple) else sizes or ""


def _bytes_text(count: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if count >= size:
            return f"{count / size:,.2f} {unit}"
    return f"{count} B"


def _totals(summary: Summary) -> list[str]:
    numbers = [summary.parameters, summary.trainable, summary.non_trainable, summary.multiply_adds]
    width = max(len(f"{number:,}") for number in numbers)
    notes = [_bytes_text(summary.memory), "", "", "per sample, without bias"]
    names = ["Parameters", "  trainable", "  not trainable", "Multiply-adds"]
    return [f"{a:<16} {n:>{width},}  {b}".rstrip() for a, n, b in zip(names, numbers, notes, strict=True)]


def _legend(summary: Summary) -> list[str]:
    marks = {_cells(row, "")[2][-1] for row in summary.rows}
    lines = [text for mark, text in (("*", "* not trained"), ("~", "~ trained in part")) if mark in marks]
    fields = [row.receptive_field for row in summary.rows if row.sees]
    if any(isinstance(found, tuple) for found in fields):
        lines.append("Field: input positions that one output sees; jump: from one output to the next.")
    if "?" in fields:
        lines.append("?: cannot be told after upsampling, attention or an operation without a rule.")
    return lines
