"""The forward pass, the loss and their backward pass as compiled code (``compile(jit=True)``)."""

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from easyconv.nested import leaves, rows_of
from easyconv.notices import warn_user
from easyconv.training.state import Computation

__all__ = ["CompiledComputation"]


class CompiledComputation:
    """A computation that ``torch.compile`` makes faster, in one graph where that is possible.

    The code is made for the shapes of a batch, once for training and once for evaluation, and kept as long as this
    object. A batch of fewer rows than one that there is code for, which is the last of a pass, is computed as usual:
    to compile for it would take longer than it ever saves. So is the very first batch, in which lazy parts become what
    they stay. Where the net or the loss cannot be compiled, a warning says so and training goes on without.

    Parameters
    ----------
    computation : callable
        Inputs, targets and weights to the output, the loss and the losses of several outputs.

    Attributes
    ----------
    plain : callable
        The computation itself.
    shapes : dict
        What there is code for: the form of a batch, and its largest number of rows.
    """

    def __init__(self, computation: Computation) -> None:
        self.plain = computation
        self._fast: Computation | None = None
        self._compile: Callable[..., Computation] | None = torch.compile
        self._whole = True
        self.shapes: dict[Hashable, int] = {}

    def __call__(self, x: Any, y: Any, weight: Tensor | None) -> tuple[Any, Tensor, Any]:
        """Output, loss, and losses of several outputs."""
        if self._compile is None:
            return self.plain(x, y, weight)
        if self._fast is None:
            self._fast = self._compile(self.plain, fullgraph=self._whole, dynamic=False)
            return self.plain(x, y, weight)
        form, rows = _form(x, y, weight), rows_of(x)
        if rows < self.shapes.get(form, 0):
            return self.plain(x, y, weight)
        try:
            found = self._fast(x, y, weight)
        except Exception as error:
            if not _is_the_compilers(error):
                raise
            return self._otherwise(error)(x, y, weight)
        self.shapes[form] = rows
        return found

    def _otherwise(self, error: Exception) -> Computation:
        """What is called where the compiler has failed: parts of the net compiled, or none."""
        reason = _first_line(error)
        if self._whole and isinstance(error, torch._dynamo.exc.Unsupported):
            self._whole, self._fast = False, torch.compile(self.plain, dynamic=False)
            warn_user(
                "compile(jit=True): the net and its loss cannot be compiled as one, so they are in parts, which gains "
                f"less. torch says: {reason}"
            )
            return self
        self._compile = self._fast = None
        hint = ". Install a C++ compiler (g++, clang or MSVC)." if "ompiler" in reason else ""
        warn_user(f"compile(jit=True) has no effect here, training goes on uncompiled. torch says: {reason}{hint}")
        return self.plain


def _form(x: Any, y: Any, weight: Tensor | None) -> Hashable:
    """What code depends on, besides the rows: shapes, types, and whether gradients are wanted."""
    shapes = tuple((name, leaf.shape[1:], leaf.dtype) for name, leaf in leaves((x, y, weight)) if leaf is not None)
    return torch.is_grad_enabled(), shapes


def _is_the_compilers(error: Exception) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "torch._functorch"))


def _first_line(error: Exception) -> str:
    cause = getattr(error, "inner_exception", error)
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__
