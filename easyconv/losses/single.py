"""One loss of one output: its checks, its mean, and its mean under sample weights."""

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from easyconv.arguments import check_takes_pair, made_from
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    EasyconvError,
    LabelError,
    LengthError,
    ShapeError,
)
from easyconv.losses.table import Expects, LossKind, TargetKind, find_by_name, find_by_object
from easyconv.names import name_of
from easyconv.nested import describe, first_rows
from easyconv.notices import warn_user

__all__ = ["SingleLoss", "make_single"]

_TORCH_IGNORE_INDEX = -100
# Raised by torch for shapes, types and values that do not fit; what a loss raises of its own class passes unchanged.
_PLAIN_ERRORS = (RuntimeError, ValueError, IndexError, TypeError)


class SingleLoss:
    """A loss of one output, or a custom loss of everything; made by `make_single`.

    Parameters
    ----------
    function : callable
        ``function(output, target)``.
    kind : LossKind or None
        What is known about it; ``None`` for a custom loss.
    name : str
        For messages and logs.
    """

    def __init__(self, function: Callable[..., Any], kind: LossKind | None, name: str) -> None:
        self.name = name
        self.is_custom = kind is None
        self.target_kind: TargetKind = kind.target_kind if kind else "any"
        self.expects: Expects = kind.expects if kind else "any"
        self.activation = kind.activation if kind else None
        self.classes = kind.classes if kind else None
        self.ignore_index = _ignore_index(function)
        self._function = function
        self._same_shape = self.target_kind in ("binary", "values")
        self._reduction = _reduction_of(function)
        self._watched = not self.is_custom

    def __call__(self, output: Any, target: Any, sample_weight: Tensor | None = None) -> Tensor:
        """Mean loss, 0-dim; with weights Σ w·l / N."""
        if self._same_shape and output.shape != target.shape:
            target = _align(target, output, self.name)
        try:
            if sample_weight is not None:
                return self._weighted(output, target, sample_weight)
            loss = self._function(output, target) if self._watched else self._first(output, target)
        except _PLAIN_ERRORS as error:
            if type(error) not in _PLAIN_ERRORS or "out of memory" in str(error):
                raise
            raise self._failed(output, target, error) from error
        if isinstance(loss, Tensor) and loss.ndim == 0 and (loss.requires_grad or not _needs_gradient(output)):
            return loss if loss.is_floating_point() else self._checked(loss, output)
        return self._checked(loss, output).mean()

    def _first(self, output: Any, target: Any) -> Any:
        """The first call of a custom loss, which may broadcast (N, 1) against (N,) to (N, N) in silence."""
        self._watched = True
        shapes = {tuple(value.shape) for value in (output, target) if isinstance(value, Tensor)}
        rows = first_rows(output)
        if rows < 2 or shapes != {(rows, 1), (rows,)}:
            return self._function(output, target)
        with _Broadcasts(rows) as seen:
            loss = self._function(output, target)
        if seen.found:
            warn_user(
                f"The loss {self.name!r} makes a table of shape ({rows}, {rows}) of the output {tuple(output.shape)} "
                f"and the target {tuple(target.shape)}: each output is compared with every target. Give both one "
                "shape in it: target.reshape(output.shape)."
            )
        return loss

    def _failed(self, output: Any, target: Any, error: Exception) -> EasyconvError:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        kind = LabelError if isinstance(error, IndexError) else ShapeError
        return kind(
            f"The loss {self.name!r} failed on the output, {describe(output)}, and the target, {describe(target)}"
            f"{_dtypes(output, target)}: {first.rstrip('.')}. Look whether their shapes, types and values are "
            "what it expects."
        )

    def modules(self) -> Iterator[nn.Module]:
        """The loss itself where it is a module."""
        if isinstance(self._function, nn.Module):
            yield self._function

    def _checked(self, loss: Any, output: Any) -> Tensor:
        """The loss that a custom function returned, or a message that says what is wrong with it."""
        if not isinstance(loss, Tensor):
            raise ArgumentTypeError(
                f"The loss {self.name!r} returned {_shown(loss)}, not a tensor. Return a tensor, computed by torch "
                "from the outputs: no .item(), float() or NumPy on the way."
            )
        rows = first_rows(output)
        if loss.ndim and loss.numel() != 1 and loss.shape[0] != rows:
            raise ArgumentError(
                f"The loss {self.name!r} returned a tensor of shape {tuple(loss.shape)} for a batch of {rows} rows. "
                "Return one value (shape ()) or one value per row, which are averaged."
            )
        if not loss.is_floating_point():
            raise ArgumentTypeError(
                f"The loss {self.name!r} returned a tensor of {loss.dtype}; it must be floating, and differentiable: "
                "no counting, .argmax() or .long() on the way from the outputs to the loss."
            )
        if _needs_gradient(output) and not loss.requires_grad:
            raise ArgumentError(
                f"The loss {self.name!r} returned a tensor that has no gradient, so nothing can be learned. Do not "
                "call .detach(), .item(), .argmax() or torch.tensor() on the way from the outputs to the loss."
            )
        return loss

    def _weighted(self, output: Any, target: Any, sample_weight: Tensor) -> Tensor:
        each = self._checked(self._each(output, target), output)
        rows = first_rows(output)
        if each.ndim == 0 or each.shape[0] != rows:
            raise ArgumentError(
                f"sample_weight and class_weight need a loss per row, but {self.name!r} returns a tensor of shape "
                f"{tuple(each.shape)} for {rows} rows. Return one value per row (they are averaged), or a module that "
                'has reduction="none".'
            )
        if sample_weight.numel() != rows:
            raise LengthError(
                f"sample_weight must have one weight per row, shape ({rows},), got {tuple(sample_weight.shape)}."
            )
        weighted = each * sample_weight.to(each.dtype).reshape(-1, *[1] * (each.ndim - 1))
        if self._reduction == "sum":
            return weighted.sum()
        if self._reduction == "batchmean":
            return weighted.sum() / rows
        if self.ignore_index is not None and target.shape == each.shape:
            kept: Tensor = target != self.ignore_index
            return weighted.sum() / kept.sum()
        return weighted.mean()

    def _each(self, output: Any, target: Any) -> Any:
        """The loss before it is reduced."""
        if isinstance(self._function, nn.Module):
            return (
                self._unreduced(output, target)
                if hasattr(self._function, "reduction")
                else self._function(output, target)
            )
        if not self.is_custom:
            return self._function(output, target, reduction="none")
        return self._function(output, target)

    @functools.cached_property
    def _unreduced(self) -> nn.Module:
        # A shallow copy shares parameters and buffers with the user's module, so it follows it from device to device.
        module = copy.copy(self._function)
        module.reduction = "none"  # type: ignore[attr-defined]
        return module  # type: ignore[return-value]


def make_single(loss: Any) -> SingleLoss:
    """The loss that a name, module, class or function stands for; errors as in `make_objective`.

    Examples
    --------
    >>> make_single("l1").name
    'mae'
    >>> make_single(nn.CrossEntropyLoss(ignore_index=255)).ignore_index
    255
    """
    if isinstance(loss, str):
        kind = find_by_name(loss)
        return SingleLoss(kind.make(), kind, kind.name)
    if isinstance(loss, type):
        loss = _instance(loss)
    if not callable(loss):
        raise ArgumentTypeError(
            "loss must be a name like 'cross_entropy', a loss module, a function loss(output, target), or a list or "
            f"dict of them, got {loss!r} ({type(loss).__name__})."
        )
    target = loss.forward if isinstance(loss, nn.Module) else loss
    check_takes_pair(f"The loss {name_of(loss)!r}", target, "Wrap it: loss=lambda output, target: ...")
    known = find_by_object(loss)
    return SingleLoss(loss, known, known.name if known else name_of(loss))


def _instance(loss: type) -> nn.Module:
    if not issubclass(loss, nn.Module):
        raise ArgumentTypeError(
            f"loss is the class {loss.__name__}, which is no torch.nn.Module. Pass an object of it."
        )
    return made_from(loss, "The loss")


def _option(function: Any, name: str) -> Any:
    """What a loss module, or a ``partial`` of a loss function, was given as ``name``."""
    if isinstance(function, functools.partial):
        return function.keywords.get(name)
    return getattr(function, name, None)


def _ignore_index(function: Any) -> int | None:
    index = _option(function, "ignore_index")
    return index if isinstance(index, int) and index != _TORCH_IGNORE_INDEX else None


def _reduction_of(function: Any) -> str:
    reduction = _option(function, "reduction")
    return reduction if isinstance(reduction, str) else "mean"


def _align(target: Any, output: Any, name: str) -> Tensor:
    """(N,) and (N, 1) mean the same; torch would broadcast them to (N, N) in silence."""
    squeezed = [size for size in target.shape[1:] if size != 1] == [size for size in output.shape[1:] if size != 1]
    if target.ndim and output.ndim and squeezed and target.shape[0] == output.shape[0]:
        return torch.reshape(target, output.shape)
    raise LabelError(
        f"The loss {name!r} compares outputs with targets of the same shape, but the net's output has shape "
        f"{tuple(output.shape)} and the target {tuple(target.shape)}."
    )


class _Broadcasts(TorchFunctionMode):
    """Notices when (N, 1) and (N,) become (N, N)."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.found = False
        self._rows = rows

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        shapes = {tuple(value.shape) for value in args if isinstance(value, Tensor)}
        together = {(self._rows, 1), (self._rows,)} <= shapes
        self.found |= together and isinstance(result, Tensor) and tuple(result.shape) == (self._rows, self._rows)
        return result


def _shown(value: Any) -> str:
    return f"{describe(value)} ({value!r})" if isinstance(value, (int, float)) else describe(value)


def _dtypes(output: Any, target: Any) -> str:
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)) or output.dtype == target.dtype:
        return ""
    names = (str(value.dtype).removeprefix("torch.") for value in (output, target))
    return f" ({' and '.join(names)})"


def _needs_gradient(output: Any) -> bool:
    if isinstance(output, Tensor):
        return output.requires_grad
    if isinstance(output, dict):
        return any(_needs_gradient(part) for part in output.values())
    return isinstance(output, (tuple, list)) and any(_needs_gradient(part) for part in output)
