"""The forward pass, the loss and their backward pass as compiled code (``compile(jit=True)``)."""

from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from types import FunctionType
from typing import Any, cast

import torch
from torch import Tensor

from easyconv.nested import leaves, rows_of
from easyconv.notices import warn_user
from easyconv.training.state import Computation, Recipe

__all__ = ["CompiledComputation", "can_replay"]


class CompiledComputation:
    """A computation that ``torch.compile`` makes faster, in one graph where that is possible.

    The code is made for the shapes of a batch, once for training and once for evaluation, and kept as long as this
    object. A batch of fewer rows than one that there is code for, which is the last of a pass, is computed as usual:
    to compile for it would take longer than it ever saves. So is the very first batch, in which lazy parts become what
    they stay. Where the net or the loss cannot be compiled, or torch has compiled as often as it will, a warning says
    so and training goes on without.

    With CUDA graphs the kernels of a batch are recorded once, forward and backward, and replayed as one from then on.
    What a replay gives lies where the one before has put it; hence the results are copied, for metrics, callbacks and
    the watch over finite losses look at them when the next batch is at work. Gradients are not: the optimizer takes
    them before that, unless they wait for those of other batches (see `can_replay`).

    Parameters
    ----------
    computation : callable
        Inputs, targets and weights to the output, the loss and the losses of several outputs.
    cuda_graphs : bool, default False
        Whether the code is replayed from CUDA graphs.

    Attributes
    ----------
    plain : callable
        The computation itself.
    shapes : dict
        What there is code for: the form of a batch, and its largest number of rows.
    in_vain : str
        Why nothing is compiled; empty where something is, or where nobody knows yet.
    """

    def __init__(self, computation: Computation, *, cuda_graphs: bool = False) -> None:
        self.plain = computation
        self.cuda_graphs = cuda_graphs
        self._fast: Computation | None = None
        self._hooks_are_seen: AbstractContextManager[Any] = nullcontext()
        self._whole = True
        self._makes_more = True
        self.shapes: dict[Hashable, int] = {}
        self.in_vain = ""

    def __call__(self, x: Any, y: Any, weight: Tensor | None) -> tuple[Any, Tensor, Any]:
        """Output, loss, and losses of several outputs."""
        if self.in_vain:
            return self.plain(x, y, weight)
        if self._fast is None:
            self._fast = self._made_fast()
            return self.plain(x, y, weight)
        form, rows = _form(x, y, weight), rows_of(x)
        largest = self.shapes.get(form, 0)
        if rows < largest or (rows > largest and not self._makes_more):
            return self.plain(x, y, weight)
        try:
            with self._hooks_are_seen:
                found = _replayed(self._fast, x, y, weight) if self.cuda_graphs else self._fast(x, y, weight)
        except Exception as error:
            if self.cuda_graphs and _is_of_cuda_graphs(error):
                return self._without_cuda_graphs(error)(x, y, weight)
            if not _is_the_compilers(error):
                raise
            return self._otherwise(error, form)(x, y, weight)
        self.shapes[form] = rows
        return found

    def give_up_cuda_graphs(self) -> None:
        """Go on with compiled code that leaves gradients alone: more than one batch, or part of one, will add to them.

        The code is compiled anew.
        """
        if self.cuda_graphs:
            self.cuda_graphs, self._fast = False, None
            self.shapes.clear()

    def _made_fast(self) -> Computation:
        # By default code from before somebody registered a hook goes on without it, and the other way round.
        self._hooks_are_seen = torch._dynamo.config.patch(skip_nnmodule_hook_guards=False)
        mode = "reduce-overhead" if self.cuda_graphs else None
        return torch.compile(_on_its_own(self.plain), fullgraph=self._whole, dynamic=False, mode=mode)

    def _without_cuda_graphs(self, error: Exception) -> Computation:
        self.give_up_cuda_graphs()
        warn_user(
            "compile(jit=True): CUDA graphs cannot be used here, training goes on with compiled code without them. "
            f"torch says: {_first_line(error)}"
        )
        return self

    def _without_more_code(self, form: Hashable) -> Computation:
        self.shapes.pop(form, None)
        if self._makes_more:
            warn_user(
                "compile(jit=True): torch has compiled this net and loss as often as it will "
                f"(torch._dynamo.config.recompile_limit is {torch._dynamo.config.recompile_limit}). Batches of shapes "
                "that there is no code for are computed uncompiled."
            )
        self._makes_more = False
        return self.plain

    def _otherwise(self, error: Exception, form: Hashable) -> Computation:
        """What is called where the compiler has failed: the code that there is, parts of the net compiled, or none."""
        if isinstance(error, torch._dynamo.exc.FailOnRecompileLimitHit):
            return self._without_more_code(form)
        reason = _first_line(error)
        if self._whole and isinstance(error, (torch._dynamo.exc.Unsupported, torch._dynamo.exc.UserError)):
            self._whole = False
            self._fast = self._made_fast()
            warn_user(
                "compile(jit=True): the net and its loss cannot be compiled as one, so they are in parts, which gains "
                f"less. torch says: {reason}"
            )
            return self
        self._fast, self.in_vain = None, reason
        hint = ". Install a C++ compiler (g++, clang or MSVC)." if "ompiler" in reason else ""
        warn_user(f"compile(jit=True) has no effect here, training goes on uncompiled. torch says: {reason}{hint}")
        return self.plain


def can_replay(recipe: Recipe) -> bool:
    """Whether a recipe lets CUDA graphs be replayed: on CUDA, where every batch has the gradients to itself.

    A replay writes its gradients where those of the batch before still wait with ``accumulate``. torch notices it late
    or never: https://github.com/pytorch/pytorch/issues/169545.
    """
    return recipe.device.type == "cuda" and recipe.accumulate == 1


def _on_its_own(computation: Computation) -> Computation:
    """The same function with code of its own, by which torch counts what it compiles; it stops at eight."""
    if not isinstance(computation, FunctionType):
        return computation
    of = computation
    return FunctionType(of.__code__.replace(), of.__globals__, of.__name__, of.__defaults__, of.__closure__)


def _replayed(code: Computation, x: Any, y: Any, weight: Tensor | None) -> tuple[Any, Tensor, Any]:
    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
    found = code(x, y, weight)
    return cast(tuple[Any, Tensor, Any], torch.utils._pytree.tree_map_only(Tensor, torch.clone, found))


def _form(x: Any, y: Any, weight: Tensor | None) -> Hashable:
    """What code depends on, besides the rows: shapes, types, and whether gradients are wanted."""
    shapes = tuple((name, leaf.shape[1:], leaf.dtype) for name, leaf in leaves((x, y, weight)) if leaf is not None)
    return torch.is_grad_enabled(), shapes


def _is_of_cuda_graphs(error: Exception) -> bool:
    return type(error) is RuntimeError and "CUDAGraph" in str(error)


def _is_the_compilers(error: Exception) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "torch._functorch"))


def _first_line(error: Exception) -> str:
    cause = getattr(error, "inner_exception", error)
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__
