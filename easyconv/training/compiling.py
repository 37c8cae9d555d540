"""The forward pass, the loss and their backward pass as compiled code (``compile(jit=True)``)."""

from collections.abc import Callable, Hashable
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
    object. A batch of fewer rows than there usually are, which is the last of a pass, is computed as usual: to compile
    for it would take longer than it ever saves. Where nobody has said how many there are (see `expect`), that is a
    batch of fewer rows than one that there is code for. Where the net or the loss cannot be compiled, or torch has
    compiled as often as it will, a warning says so and training goes on without.

    With CUDA graphs the kernels of a batch are recorded once, forward and backward, and replayed as one from then on.
    What a replay gives lies where the one before has put it; hence the results are copied, for metrics, callbacks and
    the watch over finite losses look at them when the next batch is at work. Gradients are not: the optimizer takes
    them before that, unless they wait for those of other batches (see `can_replay`).

    Parameters
    ----------
    computation : callable
        Inputs, targets and weights to the output, the loss and the losses of several outputs.
    aside : callable, optional
        Makes a block after which all is as before. The first batch is computed in one before anything is compiled: lazy
        parts become what they stay, and faults of the net or the loss come out as they are.
    cuda_graphs : bool, default False
        Whether the code is replayed from CUDA graphs.

    Attributes
    ----------
    plain : callable
        The computation itself.
    rows : dict
        What there is code for: the form of a batch, and its numbers of rows.
    in_vain : str
        Why nothing is compiled; empty where something is, or where nobody knows yet.
    """

    def __init__(
        self,
        computation: Computation,
        *,
        aside: Callable[[], AbstractContextManager[Any]] = nullcontext,
        cuda_graphs: bool = False,
    ) -> None:
        self.plain = computation
        self._aside = aside
        self.cuda_graphs = cuda_graphs
        self._fast: Computation | None = None
        self._hooks_are_seen: AbstractContextManager[Any] = nullcontext()
        self._whole = True
        self._makes_more = True
        self.rows: dict[Hashable, set[int]] = {}
        self._usual: dict[bool, int] = {}
        self.in_vain = ""

    def __call__(self, x: Any, y: Any, weight: Tensor | None) -> tuple[Any, Tensor, Any]:
        """Output, loss, and losses of several outputs."""
        if self.in_vain:
            return self.plain(x, y, weight)
        if self._fast is None:
            with self._aside():
                self.plain(x, y, weight)
            self._fast = self._made_fast()
        form, rows = _form(x, y, weight), rows_of(x)
        if not self._is_for(rows, self.rows.get(form, set())):
            return self.plain(x, y, weight)
        try:
            with self._hooks_are_seen:
                found = _replayed(self._fast, x, y, weight) if self.cuda_graphs else self._fast(x, y, weight)
        except Exception as error:
            if self.cuda_graphs and _is_of_cuda_graphs(error):
                return self._without_cuda_graphs(error, x, y, weight)
            if not _is_the_compilers(error):
                raise
            if isinstance(error, torch._dynamo.exc.FailOnRecompileLimitHit):
                return self._without_more_code(form, x, y, weight)
            if self._whole and isinstance(error, (torch._dynamo.exc.Unsupported, torch._dynamo.exc.UserError)):
                return self._in_parts(error, x, y, weight)
            return self._uncompiled(error, x, y, weight)
        self.rows.setdefault(form, set()).add(rows)
        return found

    def expect(self, rows: int | None, *, training: bool) -> None:
        """Say how many rows a batch usually has, if anybody knows.

        A run that goes on in the middle may begin with the last batch of a pass, and shall compute it as it was.
        """
        self._usual[training] = rows or 0

    def expect_parts(self) -> None:
        """Let code be made for parts of batches, whose gradients are added up: without CUDA graphs."""
        self.rows.clear()
        self._usual.clear()
        if self.cuda_graphs:
            self._give_up_cuda_graphs()

    def _give_up_cuda_graphs(self) -> None:
        self.cuda_graphs, self._fast = False, None
        self.rows.clear()

    def _is_for(self, rows: int, known: set[int]) -> bool:
        """Whether a batch of so many rows is worth code, and has some or can get it."""
        usual = self._usual.get(torch.is_grad_enabled()) or max(known, default=0)
        return rows >= usual and (self._makes_more or rows in known)

    def _made_fast(self) -> Computation:
        # By default code from before somebody registered a hook goes on without it, and the other way round.
        self._hooks_are_seen = torch._dynamo.config.patch(skip_nnmodule_hook_guards=False)
        mode = "reduce-overhead" if self.cuda_graphs else None
        return torch.compile(_on_its_own(self.plain), fullgraph=self._whole, dynamic=False, mode=mode)

    def _without_cuda_graphs(self, error: Exception, *batch: Any) -> tuple[Any, Tensor, Any]:
        self._give_up_cuda_graphs()
        found = self(*batch)
        warn_user(
            "compile(jit=True): CUDA graphs cannot be used here, training goes on with compiled code without them. "
            f"torch says: {_first_line(error)}"
        )
        return found

    def _in_parts(self, error: Exception, *batch: Any) -> tuple[Any, Tensor, Any]:
        self._whole = False
        self._fast = self._made_fast()
        found = self(*batch)  # where the net or the loss fails, that is all there is to say
        warn_user(
            "compile(jit=True): the net and its loss cannot be compiled as one, so they are in parts, which gains "
            f"less. torch says: {_first_line(error)}"
        )
        return found

    def _without_more_code(self, form: Hashable, *batch: Any) -> tuple[Any, Tensor, Any]:
        self.rows.pop(form, None)
        if self._makes_more:
            warn_user(
                "compile(jit=True): torch has compiled this net and loss as often as it will "
                f"(torch._dynamo.config.recompile_limit is {torch._dynamo.config.recompile_limit}), for several shapes "
                "of batches or for a net that changes from step to step. Where there is no code for a batch it is "
                "computed uncompiled."
            )
        self._makes_more = False
        return self.plain(*batch)

    def _uncompiled(self, error: Exception, *batch: Any) -> tuple[Any, Tensor, Any]:
        self._fast, self.in_vain = None, _first_line(error)
        hint = ". Install a C++ compiler (g++, clang or MSVC)." if "ompiler" in self.in_vain else ""
        warn_user(
            f"compile(jit=True) has no effect here, training goes on uncompiled. torch says: {self.in_vain}{hint}"
        )
        return self.plain(*batch)


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
