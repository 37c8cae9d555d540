"""The way around the path of a residual block: options A, B and C of "Deep Residual Learning".

`AutoPadding` (A) and `AutoShortcut` (B, C) decide what they are when they see the shapes, and then are plain modules;
`WithShortcut` is what all blocks share that have such a way.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, sections 3.3 and 4.1: (A) zeros for
new channels, without parameters; (B) projections where the shape changes, identities elsewhere; (C) projections
everywhere.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from easyconv.errors import ShapeError
from easyconv.layers.lazy import SeededLazy, Undecided, drawn_from
from easyconv.layers.lazy_layers import LazyBatchNorm

__all__ = ["AutoPadding", "AutoShortcut", "PaddedIdentity", "Projection", "WithShortcut", "shapes_text"]

_CONVOLUTIONS: dict[int, Any] = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}


def shapes_text(named: Iterable[tuple[str, torch.Tensor]]) -> str:
    """Shapes with names, for a message."""
    return ", ".join(f"{name}: {tuple(value.shape)}" for name, value in named)


class Projection(SeededLazy, nn.Module):
    """Holds the weight of a 1x1 convolution while its number of dimensions is unknown."""

    bias = None

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
        device = "meta" if self.weight.is_meta else "cpu"
        with drawn_from(self._seed), torch.device(device):
            if x.dim() == 2:
                layer: Any = nn.Linear(x.shape[1], channels, bias=False)
            else:
                layer = _CONVOLUTIONS[x.dim()](x.shape[1], channels, 1, stride=stride, bias=False)
            if self.init is not None:
                self.init(layer)
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

    Parameters
    ----------
    always : bool
        Whether to project where the shapes agree, too (option C).
    stride : int, optional
        Step of the path that it goes around. Where it is not given it follows from the shapes.
    norm : bool, default True
        Whether a batch norm follows the convolution.
    """

    def __init__(self, *, always: bool, stride: int | None = None, norm: bool = True) -> None:
        super().__init__(Projection(), *([LazyBatchNorm()] if norm else []))
        self._always = always
        self._step = stride

    def decide(self, x: torch.Tensor, y: torch.Tensor, block: str = "Residual") -> None:
        """Become what takes ``x`` to the shape of ``y``."""
        if x.shape == y.shape and self._step in (None, 1) and not self._always:
            self._become_identity()
            return
        stride = _given_stride(self._step, x) or _stride(x, y)
        if stride is None:
            raise ShapeError(
                f"{block} finds no 1x1 convolution that takes the input to the shape of the main path's output: "
                f"{shapes_text((('input', x), ('main', y)))}. Choose paddings so that the main path keeps the size or "
                'divides it, rounded up (padding="same"; ceil_mode=True of a pooling), or give the shortcut yourself: '
                "shortcut=<module>."
            )
        holder = self._modules["0"]
        with torch.inference_mode(False), torch.no_grad():
            plain = holder.plain(x, y.shape[1], stride)  # type: ignore[operator]
        plain.training = self.training
        self._modules["0"] = plain
        self._forget()
        self.__class__ = nn.Sequential  # type: ignore[assignment]

    def decide_by_keys(self, state_dict: dict[str, Any], path: str) -> None:
        """Become the identity when a ``state_dict`` holds the block, but no shortcut of that dotted name."""
        if self.is_identity_in(state_dict, path):
            self._become_identity()

    def is_identity_in(self, state_dict: Mapping[str, Any], path: str) -> bool:
        """Whether a ``state_dict`` holds the block of this shortcut, whose dotted name is ``path``, but no shortcut."""
        head, dot, _ = path.rpartition(".")
        own = [key for key in state_dict if key.startswith(head + dot)]
        may_be = not self._always and self._step in (None, 1)
        return bool(own) and may_be and not any(key.startswith(f"{path}.") for key in own)

    def _become_identity(self) -> None:
        for module in self.children():
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
                    # an optimizer may hold it already: an empty parameter does no harm there
                    tensor.materialize((0,))
        self._modules.clear()
        self._forget()
        self.__class__ = nn.Identity  # type: ignore[assignment]

    def _forget(self) -> None:
        for name in ("_always", "_step"):
            del self.__dict__[name]


class AutoPadding(Undecided, nn.Module):
    """Becomes ``nn.Identity``, or a `PaddedIdentity`, in place; it has no parameters (option A).

    Parameters
    ----------
    stride : int, optional
        Step of the path that it goes around. Where it is not given it follows from the shapes.
    """

    def __init__(self, *, stride: int | None = None) -> None:
        super().__init__()
        self._step = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Never reached: `decide` comes before the first call."""
        raise ShapeError("The shortcut of a block cannot be called before the block itself.")

    def decide(self, x: torch.Tensor, y: torch.Tensor, block: str = "Residual") -> None:
        """Become what takes ``x`` to the shape of ``y``."""
        if x.shape == y.shape and self._step in (None, 1):
            kind: type[nn.Module] = nn.Identity
        else:
            stride = _given_stride(self._step, x) or _stride(x, y)
            if stride is None or y.shape[1] < x.shape[1]:
                raise ShapeError(
                    f'shortcut="A" of {block} skips places and adds channels of zeros, and so cannot take the input to '
                    f"the shape of the main path's output: {shapes_text((('input', x), ('main', y)))}. Take "
                    'shortcut="B", which projects, or let the main path keep or add channels, and keep the size or '
                    'divide it, rounded up (padding="same"; ceil_mode=True of a pooling).'
                )
            kind, self.out_channels, self.stride = PaddedIdentity, y.shape[1], stride
        del self.__dict__["_step"]
        self.__class__ = kind  # type: ignore[assignment]


class PaddedIdentity(nn.Module):
    """The input at every ``stride``-th place, with channels of zeros behind its own; option A of the paper.

    Takes (N, C, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)), which is what a convolution gives that
    is padded to keep the size; the same for any number of axes behind the channels.

    Parameters
    ----------
    out_channels : int
        Channels of the output.
    stride : tuple of int
        Steps over the places, one per axis.

    Raises
    ------
    ShapeError
        At the forward pass, when the input has more channels than the output, or another number of axes.

    Examples
    --------
    >>> PaddedIdentity(3, (2, 2))(torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]))
    tensor([[[[1., 3.]],
             [[0., 0.]],
             [[0., 0.]]]])
    """

    def __init__(self, out_channels: int, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Skip places, add channels."""
        if x.dim() != 2 + len(self.stride) or x.shape[1] > self.out_channels:
            sizes = "".join(f", D{axis}" for axis in range(1, 1 + len(self.stride)))
            raise ShapeError(
                f"A shortcut that adds channels of zeros takes inputs of shape (N, C{sizes}) with at most "
                f"{self.out_channels} channels, got {tuple(x.shape)}."
            )
        places = (slice(None), slice(None), *(slice(None, None, step) for step in self.stride))
        return F.pad(x[places], (0, 0) * len(self.stride) + (0, self.out_channels - x.shape[1]))

    def extra_repr(self) -> str:
        """Channels and stride."""
        return f"{self.out_channels}, stride={self.stride}"


class WithShortcut(nn.Module):
    """A block with a way around: what `Residual` and the blocks of residual nets share."""

    _way_around = "shortcut"
    """Name of the child that is the way around."""

    def around(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``x`` by the way around, in the shape of ``y``; at the first call the way is decided.

        Raises
        ------
        ShapeError
            When it does not have the shape of ``y``.
        """
        self.decide(x, y)
        around = cast(torch.Tensor, self._modules[self._way_around](x))  # type: ignore[misc]
        if y.shape != around.shape:
            raise ShapeError(
                f"{type(self).__name__} needs a main path and a shortcut of the same shape, and they gave "
                f"{shapes_text((('main', y), ('shortcut', around)))}. Let the main path keep the shape of the input "
                f'{tuple(x.shape)}, or take shortcut="auto", which projects where it does not.'
            )
        return around

    def decide(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Decide what the way around is, where that has waited for the shapes."""
        shortcut = self._modules[self._way_around]
        if isinstance(shortcut, (AutoPadding, AutoShortcut)):
            shortcut.decide(x, y, type(self).__name__)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        shortcut = self._modules[self._way_around]
        if isinstance(shortcut, AutoShortcut):
            shortcut.decide_by_keys(state_dict, prefix + self._way_around)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _given_stride(stride: int | None, x: torch.Tensor) -> tuple[int, ...] | None:
    return None if stride is None else (stride,) * (x.dim() - 2)


def _stride(x: torch.Tensor, y: torch.Tensor) -> tuple[int, ...] | None:
    """Steps that make a 1x1 convolution of ``x`` as large as ``y``; None where there are none.

    Halves that leave the last position out (7 becomes 3) are none either: a convolution that steps by 3 gives as many,
    but at other places than the path.
    """
    if x.dim() != y.dim() or not 2 <= x.dim() <= 5 or x.shape[0] != y.shape[0]:
        return None
    steps = []
    for before, after in zip(x.shape[2:], y.shape[2:], strict=True):
        step = -(-before // after) if after else 0
        if step < 1 or -(-before // step) != after or _is_cut_halving(before, after):
            return None
        steps.append(step)
    return tuple(steps)


def _is_cut_halving(before: int, after: int) -> bool:
    """Whether halving leads from one size to the other when each half is rounded down, and not when rounded up."""
    down, up = before, before
    while down > after:
        down, up = down // 2, -(-up // 2)
    return 1 < after == down != up
