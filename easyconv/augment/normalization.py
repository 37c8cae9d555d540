"""Colours with mean 0 and standard deviation 1, and back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from easyconv.arguments import check_number
from easyconv.augment.transform import Position, Transform
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError, StateError

__all__ = ["Denormalize", "Normalize"]


@dataclass(frozen=True)
class _Affine(Transform):
    """One mean and one standard deviation per channel."""

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None

    def __post_init__(self) -> None:
        """Refuse what are no such numbers, and keep them as tuples."""
        if (self.mean is None) != (self.std is None):
            raise ArgumentError(f"mean and std belong together, got mean={self.mean!r} and std={self.std!r}.")
        for name, minimum in (("mean", float("-inf")), ("std", 0.0)):
            values = getattr(self, name)
            if values is not None:
                object.__setattr__(self, name, _numbers(name, values, minimum))
        if self.mean is not None and self.std is not None and len(self.mean) != len(self.std):
            raise ArgumentError(
                f"mean and std need one number per channel each, got {len(self.mean)} and {len(self.std)}."
            )

    def fitted(self, data: Any) -> "_Affine":
        """With the statistics of the data, where none were given."""
        return self if self.mean is not None else replace(self, mean=data.mean, std=data.std)

    def check_scale(self, images: Tensor) -> None:
        """Refuse numbers of another scale than some images have.

        Raises
        ------
        ArgumentError
            When the numbers are those of bytes, and the images lie in [0, 1].
        DataError
            When the images have another number of channels.
        """
        mean, std = self._columns(images)
        if images.min() >= 0 and images.max() <= 1 and max(mean.max(), std.max()) > 1:
            raise ArgumentError(
                f"mean and std are of pixels in [0, 1], got mean={self.mean} and std={self.std}. Divide those of bytes "
                "by 255."
            )

    def _columns(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Both as tensors of shape (C, 1, 1)."""
        if self.mean is None or self.std is None:
            raise StateError(
                f"{type(self).__name__}() without numbers takes them from a data set: data.normalize(). For plain "
                f"tensors give them: {type(self).__name__}(mean, std)."
            )
        if len(self.mean) not in (1, images.shape[1]):
            raise DataError(
                f"{type(self).__name__} has {len(self.mean)} numbers per argument, and the images have "
                f"{images.shape[1]} channels."
            )
        both = torch.tensor([self.mean, self.std], dtype=images.dtype, device=images.device)
        return both[0].view(-1, 1, 1), both[1].view(-1, 1, 1)


@dataclass(frozen=True)
class Normalize(_Affine):
    """Subtract the mean of each channel and divide by its standard deviation; bytes become floats in [0, 1] first.

    Picture: docs/images/augment/Normalize.jpg

    Parameters
    ----------
    mean, std : sequence of float, optional
        One number per channel, of pixels in [0, 1]; those of the training data where `fitted` gets to see it.

    Raises
    ------
    StateError
        When it has no numbers and has seen no data.
    DataError
        When the images have another number of channels.

    Examples
    --------
    >>> Normalize([0.5], [0.25])(torch.tensor([[[[0.5, 1.0]]]]))
    tensor([[[[0., 2.]]]])
    """

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """The images, normalized: floats."""
        floats = images if images.is_floating_point() else images.to(torch.float32) / 255
        mean, std = self._columns(floats)
        return (floats - mean) / std, targets

    def inverse(self) -> "Denormalize":
        """What gives the colours back."""
        return Denormalize(self.mean, self.std)


@dataclass(frozen=True)
class Denormalize(_Affine):
    """Give colours back that `Normalize` has taken: times the standard deviation, plus the mean.

    Picture: docs/images/augment/Denormalize.jpg

    Parameters
    ----------
    mean, std : sequence of float, optional
        As for `Normalize`.

    Examples
    --------
    >>> Denormalize([0.5], [0.25])(torch.tensor([[[[0.0, 2.0]]]]))
    tensor([[[[0.5000, 1.0000]]]])
    """

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """The images with their colours."""
        mean, std = self._columns(images)
        return images * std + mean, targets


def _numbers(name: str, values: Any, minimum: float) -> tuple[float, ...]:
    try:
        listed = torch.as_tensor(values, dtype=torch.float64).reshape(-1).tolist()
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentTypeError(f"{name} must be one number per channel, like [0.5], got {values!r}.") from None
    if minimum == 0.0 and any(number == 0 for number in listed):
        raise ArgumentError(
            f"{name} must be more than 0 in every channel, got {listed}. A channel of one value says nothing."
        )
    return tuple(check_number(name, number, minimum=minimum) for number in listed)
