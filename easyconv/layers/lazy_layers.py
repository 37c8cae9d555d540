"""The size-inferring classes behind `Conv2D`, `Dense`, `BatchNorm` and their kin; each becomes the plain class."""

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _LazyNormBase
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from easyconv.errors import ShapeError
from easyconv.layers.lazy import SeededLazy

__all__ = [
    "LazyBatchNorm",
    "LazyConv1D",
    "LazyConv2D",
    "LazyConv3D",
    "LazyConvTranspose2D",
    "LazyDense",
    "LazyGroupNorm",
    "LazyLayerNorm",
]


class _SeededConv(SeededLazy):
    """Sizes of a convolution, whatever its number of dimensions."""

    def _get_in_channels(self, input: torch.Tensor) -> int:  # noqa: A002
        """As torch infers them, but only from a batch: a single image of 3 dimensions may as well be 3 gray ones."""
        conv: Any = self
        wanted = conv._get_num_spatial_dims() + 2
        if input.dim() != wanted:
            hint = " For one sample write x[None]; for samples without a channel axis x[:, None]."
            raise ShapeError(
                f"Its channels cannot be inferred from an input of shape {tuple(input.shape)}: it needs {wanted} "
                f"dimensions, (N, C, ...) with the batch first.{hint * (input.dim() == wanted - 1)}"
            )
        return int(input.shape[1])

    def adopt_sizes(self) -> None:
        conv: Any = self
        conv.in_channels = conv.weight.shape[0] if conv.transposed else conv.weight.shape[1] * conv.groups

    def fits(self, name: str, shape: torch.Size) -> bool:
        conv: Any = self
        if name == "bias":
            return tuple(shape) == (conv.out_channels,)
        out = shape[1] * conv.groups if conv.transposed else shape[0]
        return bool(out == conv.out_channels and tuple(shape[2:]) == tuple(conv.kernel_size))


class LazyConv1D(_SeededConv, nn.LazyConv1d):  # type: ignore[misc]
    """``nn.Conv1d`` that finds its number of input channels."""


class LazyConv2D(_SeededConv, nn.LazyConv2d):  # type: ignore[misc]
    """``nn.Conv2d`` that finds its number of input channels."""


class LazyConv3D(_SeededConv, nn.LazyConv3d):  # type: ignore[misc]
    """``nn.Conv3d`` that finds its number of input channels."""


class LazyConvTranspose2D(_SeededConv, nn.LazyConvTranspose2d):  # type: ignore[misc]
    """``nn.ConvTranspose2d`` that finds its number of input channels."""


class LazyDense(SeededLazy, nn.LazyLinear):
    """``nn.Linear`` that finds its number of input features."""

    def adopt_sizes(self) -> None:
        """Take the number of input features from the loaded weight."""
        self.in_features = self.weight.shape[1]

    def fits(self, name: str, shape: torch.Size) -> bool:
        """Whether the number of output features agrees."""
        return len(shape) == (1 if name == "bias" else 2) and shape[0] == self.out_features


class _CopiedBuffer(UninitializedBuffer):
    """An uninitialized buffer that can be copied, which torch's own cannot."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_CopiedBuffer":
        if id(self) not in memo:
            make: Any = type(self)
            memo[id(self)] = make(self.requires_grad, self.data.device, self.data.dtype)
        copied: _CopiedBuffer = memo[id(self)]
        return copied


class LazyBatchNorm(SeededLazy, _LazyNormBase, _BatchNorm):
    """Batch normalization that becomes ``nn.BatchNorm1d``, ``2d`` or ``3d`` by the dimensions of its input."""

    _BY_DIMENSIONS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}  # noqa: RUF012
    _input_dimensions: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("running_mean", "running_var"):
            if self._buffers.get(name) is not None:
                self._buffers[name] = _CopiedBuffer()

    def initialize_parameters(self, input: torch.Tensor) -> None:  # noqa: A002
        """Take the number of channels and dimensions from the first input."""
        if input.dim() not in self._BY_DIMENSIONS:
            raise ShapeError(
                f"BatchNorm takes inputs of 2 to 5 dimensions, (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W); "
                f"got one of shape {tuple(input.shape)}."
            )
        if not self.num_features:
            self.num_features = input.shape[1]
        super().initialize_parameters(input)
        self._input_dimensions = input.dim()

    def plain_class(self) -> type[nn.Module] | None:
        """By the dimensions of the input; a loaded ``state_dict`` does not tell them."""
        dimensions = self.__dict__.pop("_input_dimensions", None)
        return None if dimensions is None else self._BY_DIMENSIONS[dimensions]

    def adopt_sizes(self) -> None:
        """Take the number of channels from the loaded tensors."""
        known = self.weight if self.weight is not None else self.running_mean
        self.num_features = known.shape[0]

    def fits(self, name: str, shape: torch.Size) -> bool:
        """Whether the tensor has one value per channel."""
        return len(shape) == 1


class LazyGroupNorm(SeededLazy, nn.GroupNorm):
    """``nn.GroupNorm`` that finds its number of channels."""

    cls_to_become = nn.GroupNorm

    def __init__(self, num_groups: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(num_groups, 0, eps, False)
        self.affine = affine
        if affine:
            self.weight = UninitializedParameter()  # type: ignore[assignment]
            self.bias = UninitializedParameter()  # type: ignore[assignment]

    def initialize_parameters(self, input: torch.Tensor) -> None:  # noqa: A002
        """Take the number of channels from the first input."""
        channels = input.shape[1]
        if channels % self.num_groups:
            raise ShapeError(
                f"GroupNorm(num_groups={self.num_groups}) cannot split the {channels} channels of an input of shape "
                f"{tuple(input.shape)} evenly; choose a number of groups that divides {channels}."
            )
        self.num_channels = channels
        _materialize_affine(self, (channels,))

    def adopt_sizes(self) -> None:
        """Take the number of channels from the loaded weight."""
        self.num_channels = self.weight.shape[0]

    def fits(self, name: str, shape: torch.Size) -> bool:
        """Whether the groups divide the channels."""
        return len(shape) == 1 and shape[0] % self.num_groups == 0


class LazyLayerNorm(SeededLazy, nn.LayerNorm):
    """``nn.LayerNorm`` over the last ``dims`` dimensions, whose sizes it finds."""

    cls_to_become = nn.LayerNorm
    _dims: int

    def __init__(self, dims: int, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True) -> None:
        super().__init__((0,) * dims, eps, False)
        self._dims = dims
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            self.weight = UninitializedParameter()  # type: ignore[assignment]
            if bias:
                self.bias = UninitializedParameter()  # type: ignore[assignment]

    def initialize_parameters(self, input: torch.Tensor) -> None:  # noqa: A002
        """Take the last sizes of the first input."""
        if input.dim() <= self._dims:
            raise ShapeError(
                f"LayerNorm(dims={self._dims}) needs an input of more than {self._dims} dimensions, "
                f"got shape {tuple(input.shape)}."
            )
        self.normalized_shape = tuple(input.shape[-self._dims :])
        _materialize_affine(self, self.normalized_shape)

    def plain_class(self) -> type[nn.Module] | None:
        """``nn.LayerNorm``."""
        self.__dict__.pop("_dims", None)
        return nn.LayerNorm

    def adopt_sizes(self) -> None:
        """Take the sizes from the loaded weight."""
        self.normalized_shape = tuple(self.weight.shape)

    def fits(self, name: str, shape: torch.Size) -> bool:
        """Whether the number of dimensions agrees."""
        return len(shape) == self._dims


def _materialize_affine(norm: LazyGroupNorm | LazyLayerNorm, shape: tuple[int, ...]) -> None:
    for parameter in (norm.weight, norm.bias):
        if isinstance(parameter, UninitializedParameter):
            parameter.materialize(shape)
    norm.reset_parameters()
