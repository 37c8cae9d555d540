"""Follows the tensors of one forward pass from operation to operation."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from easyconv.tracing.fields import Field, Reach, Trace
from easyconv.tracing.rules import judge

__all__ = ["Tracer"]


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows traces through every operation that runs while it is entered.

    Examples
    --------
    >>> tracer = Tracer()
    >>> image = torch.zeros(1, 3, 8, 8)
    >>> tracer.start(image)
    >>> with tracer, torch.no_grad():
    ...     output = torch.nn.Conv2d(3, 4, kernel_size=3)(image)
    >>> tracer.trace(output).size
    (3, 3)
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._traces = WeakTensorKeyDictionary()

    def start(self, tensor: torch.Tensor) -> None:
        """Make ``tensor`` an input: (N, C, positions…), (N, F), or integer tokens (N, T)."""
        first = 2 if tensor.is_floating_point() or tensor.dim() > 2 else 1
        axes = tuple(range(first, tensor.dim()))
        self._traces[tensor] = Field(axes, (1,) * len(axes), (1,) * len(axes)) if axes else Reach.MIXED

    def trace(self, tensor: torch.Tensor) -> Trace:
        """What ``tensor`` sees."""
        found: Trace = self._traces.get(tensor, Reach.CONSTANT)  # type: ignore[no-untyped-call]
        return found

    def set_trace(self, tensor: torch.Tensor, trace: Trace) -> None:
        """Correct what ``tensor`` sees, where a layer says more than its operations do."""
        self._traces[tensor] = trace

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, then say what its outputs see."""
        kwargs = kwargs or {}
        shapes = [(tensor, tensor.shape) for tensor in _tensors((args, kwargs))]
        result = func(*args, **kwargs)
        outputs = _tensors(result)
        if outputs:
            trace = judge(
                func, args, kwargs, [(self.trace(t), shape) for t, shape in shapes], [o.shape for o in outputs]
            )
            for output, found in zip(outputs, trace, strict=True):
                self._record(func, output, found)
        return result

    def _record(self, func: Any, output: torch.Tensor, trace: Trace) -> None:
        """Note what ``output`` sees; a write into part of a tensor makes the rest of it unknown."""
        if func._schema.is_mutable and self.trace(output) != trace:
            # Not data_ptr(): on the meta device that is 0 for all.
            storage = output.untyped_storage()._cdata
            for other in list(self._traces):
                if other is not output and other.untyped_storage()._cdata == storage:
                    self._traces[other] = Reach.UNKNOWN
        self._traces[output] = trace


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
