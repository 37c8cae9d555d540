"""The shortcut of a residual block that decides what it is when it sees the shapes."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from easyconv.errors import ShapeError
from easyconv.layers.lazy import SeededLazy, Undecided, drawn_from
from easyconv.layers.lazy_layers import LazyBatchNorm

__all__ = ["AutoShortcut", "shapes_text"]

_CONVOLUTIONS: dict[int, Any] = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}


def shapes_text(named: Iterable[tuple[str, torch.Tensor]]) -> str:
    """Shapes with names, for a message."""
    return ", ".join(f"{name}: {tuple(value.shape)}" for name, value in named)


class _Projection(SeededLazy, nn.Module):
    """Holds the weight of a 1x1 convolution while its number of dimensions is unknown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = UninitializedParameter()

    def adopt_sizes(self) -> None:
        """Nothing: the weight holds all."""

    def fits(self, name: str, shape: torch.Size) -> bool:
        """Whether the kernel is one point."""
        return len(shape) >= 2 and all(size == 1 for size in shape[2:])

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Never reached: `AutoShortcut.decide` puts a plain layer in its place before the first call."""
        raise ShapeError("The shortcut of a Residual cannot be called before the Residual itself.")

    def plain(self, x: torch.Tensor, channels: int, stride: tuple[int, ...]) -> nn.Module:
        """The plain layer, with this very parameter."""
        with drawn_from(self._seed), torch.device("cpu"):
            if x.dim() == 2:
                layer: Any = nn.Linear(x.shape[1], channels, bias=False)
            else:
                layer = _CONVOLUTIONS[x.dim()](x.shape[1], channels, 1, stride=stride, bias=False)
        drawn = layer.weight
        if isinstance(self.weight, UninitializedParameter):
            self.weight.materialize(drawn.shape)
            with torch.no_grad():
                self.weight.copy_(drawn)
        elif self.weight.shape != drawn.shape:
            raise ShapeError(
                f"The loaded weight of the shortcut has shape {tuple(self.weight.shape)}, and this input asks for "
                f"{tuple(drawn.shape)}."
            )
        layer.weight = self.weight
        plain: nn.Module = layer
        return plain


class AutoShortcut(Undecided, nn.Sequential):
    """Becomes ``nn.Identity``, or an ``nn.Sequential`` of a 1x1 convolution and a batch norm, in place.

    The parameters of the projection are there from the start, so that an optimizer that is made before the shapes are
    known holds them; where it becomes the identity they are left empty.
    """

    def __init__(self, *, always: bool) -> None:
        super().__init__(_Projection(), LazyBatchNorm())
        self._always = always

    def decide(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Become what takes ``x`` to the shape of ``y``."""
        if x.shape == y.shape and not self._always:
            self._become_identity()
            return
        stride = _stride(x, y)
        holder = self._modules["0"]
        with torch.inference_mode(False), torch.no_grad():
            plain = holder.plain(x, y.shape[1], stride)  # type: ignore[operator]
        plain.training = self.training
        self._modules["0"] = plain
        del self.__dict__["_always"]
        self.__class__ = nn.Sequential  # type: ignore[assignment]

    def decide_by_keys(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Become the identity when a ``state_dict`` holds the block, but no shortcut."""
        if self.is_identity_in(state_dict, prefix):
            self._become_identity()

    def is_identity_in(self, state_dict: Mapping[str, Any], prefix: str) -> bool:
        """Whether a ``state_dict`` holds the block whose keys begin with ``prefix``, but no shortcut."""
        own = [key for key in state_dict if key.startswith(prefix)]
        return bool(own) and not self._always and not any(key.startswith(f"{prefix}shortcut.") for key in own)

    def _become_identity(self) -> None:
        for module in self.children():
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
                    # an optimizer may hold it already: an empty parameter does no harm there
                    tensor.materialize((0,))
        self._modules.clear()
        del self.__dict__["_always"]
        self.__class__ = nn.Identity  # type: ignore[assignment]


def _stride(x: torch.Tensor, y: torch.Tensor) -> tuple[int, ...]:
    """Steps that make a 1x1 convolution of ``x`` as large as ``y``."""
    steps = []
    fit = x.dim() == y.dim() and 2 <= x.dim() <= 5 and x.shape[0] == y.shape[0]
    for before, after in zip(x.shape[2:], y.shape[2:], strict=True) if fit else ():
        step = -(-before // after) if after else 0
        fit = fit and step >= 1 and -(-before // step) == after
        steps.append(step)
    if not fit:
        raise ShapeError(
            "Residual finds no 1x1 convolution that takes the input to the shape of the main path's output: "
            f"{shapes_text((('input', x), ('main', y)))}. Choose paddings so that the main path keeps the size or "
            'divides it (padding="same"), or give the shortcut yourself: shortcut=<module>.'
        )
    return tuple(steps)
