"""Nets in forms that run without easyconv: ONNX, and what ``torch.export`` writes. Compared before they are done."""

import copy
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn

from easyconv.arguments import check_choice
from easyconv.errors import ArgumentTypeError, ExportError
from easyconv.files import check_writable, write_whole
from easyconv.layers.keeping import split_call
from easyconv.names import optional_import
from easyconv.nested import leaves, map_tree

__all__ = ["Format", "export"]

Format: TypeAlias = Literal["onnx", "torch"]
_BATCHES = (2, 1, 5)
"""Rows with which the outputs are compared; the first is what the net is followed with."""
_TOLERANCE = 1e-4
"""Largest difference of two outputs, in units of the largest of them; kernels add in different orders."""


def export(net: nn.Module, inputs: Any, path: str | os.PathLike[str], format: str = "onnx") -> Path:  # noqa: A002
    """Write what a net does, for batches of any size.

    Parameters
    ----------
    net : torch.nn.Module
        The net, built; it is left as it is.
    inputs : tensor or nested tensors
        Shapes and types of its inputs, of any number of rows; values do not matter.
    path : str or path
        Where to write.
    format : {"onnx", "torch"}, default "onnx"
        See `Model.export`.

    Raises
    ------
    ExportError
        When torch cannot follow the net, or the file gives other outputs than the net.
    MissingExtraError
        When a package is missing.
    FileWriteError
        When the file cannot be written.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentTypeError(f"export() takes a path like 'net.onnx', got {path!r} ({type(path).__name__}).")
    kind = check_choice("format", format, get_args(Format))
    check_writable(path)
    twin, own = _twin(net), _twin(net)
    examples = [_random(inputs, rows) for rows in _BATCHES]
    make = _as_onnx if kind == "onnx" else _as_program
    with _quiet():
        data, run = make(twin, examples[0])
        for example in examples:
            _compare(_leaves_of(_called(own, example)), run(example), kind)
    return write_whole(path, lambda file: file.write(data), size=len(data))


def _twin(net: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode; an optimizer is not copied along."""
    session = vars(net).get("_session")
    return copy.deepcopy(net, {id(session): None} if session is not None else {}).cpu().eval()


def _as_program(net: nn.Module, example: Any) -> tuple[bytes, Callable[[Any], list[Tensor]]]:
    file = io.BytesIO()
    torch.export.save(_followed(net, example), file)
    file.seek(0)
    program = torch.export.load(file).module()
    return file.getvalue(), lambda inputs: _leaves_of(_called(program, inputs, net))


def _as_onnx(net: nn.Module, example: Any) -> tuple[bytes, Callable[[Any], list[Tensor]]]:
    for package in ("onnx", "onnxscript"):
        optional_import(package, "onnx", "export(format='onnx')")
    onnxruntime: Any = optional_import("onnxruntime", "onnx", "export(format='onnx')")
    _without_divisors(net)
    program = _followed(net, example)
    try:
        exported = torch.onnx.export(program, dynamo=True, verbose=False, optimize=True)
        data = exported.model_proto.SerializeToString() if exported is not None else b""
    except Exception as error:
        raise ExportError(
            f"The net cannot be written as ONNX: {_first_line(error)}. format='torch' may take it."
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]

    def run(inputs: Any) -> list[Tensor]:
        arrays = [leaf.numpy() for leaf in _leaves_of(inputs)]
        return [torch.from_numpy(array) for array in session.run(None, dict(zip(names, arrays, strict=True)))]

    return data, run


class _ScaledAverage(nn.Module):
    """An average pooling with a divisor of its own, as a plain one times a number."""

    def __init__(self, pool: nn.AvgPool2d, divisor: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)
        height, width = pool.kernel_size if isinstance(pool.kernel_size, tuple) else (pool.kernel_size,) * 2
        self.factor = height * width / divisor

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.pool(x)) * self.factor


def _without_divisors(net: nn.Module) -> None:
    """ONNX has no divisors, and torch's exporter leaves them out in silence (LeNet-5's sums become means)."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.AvgPool2d) and child.divisor_override and not child.ceil_mode:
                module._modules[name] = _ScaledAverage(child, child.divisor_override)


def _followed(net: nn.Module, example: Any) -> torch.export.ExportedProgram:
    args, kwargs = split_call(net, example)
    rows = torch.export.Dim("batch")
    shapes = (map_tree(lambda _: {0: rows}, args), map_tree(lambda _: {0: rows}, kwargs))
    try:
        with torch.no_grad():
            return torch.export.export(net, args, kwargs, dynamic_shapes=_by_name(net, *shapes))
    except Exception as error:
        raise ExportError(
            f"torch.export cannot follow what {type(net).__name__} does: {_first_line(error)}. It must not depend on "
            "values in tensors (if, for, .item()) nor treat the number of rows as fixed (x.reshape(32, ...))."
        ) from error


def _by_name(net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs if kwargs and not args else (args if not kwargs else (*args, kwargs))


def _called(net: nn.Module, inputs: Any, signature: nn.Module | None = None) -> Any:
    args, kwargs = split_call(net if signature is None else signature, inputs)
    with torch.no_grad():
        return net(*args, **kwargs)


def _random(inputs: Any, rows: int) -> Any:
    """Inputs of so many rows; integers are 0 or 1, which all embeddings of two words take."""
    generator = torch.Generator().manual_seed(rows)

    def draw(tensor: Tensor) -> Tensor:
        shape = (rows, *tensor.shape[1:])
        if tensor.is_floating_point():
            return torch.randn(shape, generator=generator).to(tensor.dtype)
        return torch.randint(0, 2, shape, generator=generator).to(tensor.dtype)

    return map_tree(draw, inputs)


def _compare(expected: list[Tensor], found: list[Tensor], kind: str) -> None:
    if [tuple(tensor.shape) for tensor in expected] != [tuple(tensor.shape) for tensor in found]:
        raise ExportError(
            f"format={kind!r} gives outputs of the shapes {[tuple(tensor.shape) for tensor in found]}, and the net "
            f"{[tuple(tensor.shape) for tensor in expected]}; nothing was written."
        )
    for own, other in zip(expected, found, strict=True):
        scale = float(own.double().abs().max()) if own.numel() else 0.0
        difference = float((own.double() - other.double()).abs().max()) if own.numel() else 0.0
        if not difference <= _TOLERANCE * max(scale, 1e-3):  # NaN is not less than anything
            raise ExportError(
                f"format={kind!r} gives other outputs than the net: they differ by {difference:.3g}, and the largest "
                f"output is {scale:.3g}; nothing was written. Numbers that are not finite cannot be compared."
            )


def _leaves_of(tree: Any) -> list[Tensor]:
    return [leaf for _, leaf in leaves(tree) if isinstance(leaf, Tensor)]


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporters tell of their own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
