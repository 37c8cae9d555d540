"""Noise and blur, of a strength of its own for each image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from easyconv.arguments import check_number
from easyconv.augment.checks import check_pair, check_range
from easyconv.augment.draws import uniform
from easyconv.augment.transform import ImageTransform
from easyconv.errors import ArgumentError, DataError

__all__ = ["GaussianBlur", "GaussianNoise"]


@dataclass(frozen=True)
class GaussianNoise(ImageTransform):
    """Add normally distributed noise to each value.

    Picture: docs/images/augment/GaussianNoise.jpg

    Parameters
    ----------
    sigma : float, default 0.1
        Standard deviation, for values in [0, 1].

    Examples
    --------
    >>> GaussianNoise(0.05)(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    by_chance: ClassVar[bool] = True

    sigma: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is no strength."""
        check_number("sigma", self.sigma, minimum=0)

    def change(self, images: Tensor) -> Tensor:
        """The images with noise."""
        return images + self.sigma * torch.randn_like(images)


@dataclass(frozen=True)
class GaussianBlur(ImageTransform):
    """Blur each image with a Gaussian of a width of its own; borders are mirrored.

    Picture: docs/images/augment/GaussianBlur.jpg

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window in pixels, odd.
    sigma : float or (float, float), default (0.1, 2.0)
        Standard deviation of the Gaussian in pixels, or the range it is drawn from.

    Examples
    --------
    >>> GaussianBlur(5)(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    by_chance: ClassVar[bool] = True

    kernel_size: int | tuple[int, int]
    sigma: float | tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        """Refuse windows without a middle, and Gaussians without a width."""
        if any(extent % 2 == 0 for extent in check_pair("kernel_size", self.kernel_size, minimum=1)):
            raise ArgumentError(f"kernel_size must be odd, got {self.kernel_size!r}.")
        if self._range()[0] <= 0:
            raise ArgumentError(f"sigma must be more than 0, got {self.sigma!r}.")

    def change(self, images: Tensor) -> Tensor:
        """The images, blurred."""
        return blurred(images, check_pair("kernel_size", self.kernel_size), self._draw(images))

    def _range(self) -> tuple[float, float]:
        if isinstance(self.sigma, (tuple, list)):
            return check_range("sigma", self.sigma)
        return check_range("sigma", (self.sigma, self.sigma))

    def _draw(self, images: Tensor) -> Tensor:
        """Standard deviations, shape (N,)."""
        return uniform(*self._range(), images)


def blurred(images: Tensor, window: Sequence[int], sigmas: Tensor) -> Tensor:
    """Images blurred by Gaussians of standard deviations (N,), cut off at a window (height, width)."""
    batch, channels, height, width = images.shape
    down, across = (extent // 2 for extent in window)
    if down >= height or across >= width:
        raise DataError(
            f"GaussianBlur needs images larger than half its window {tuple(window)}, got {(height, width)}."
        )
    padded = functional.pad(images, (across, across, down, down), mode="reflect").flatten(0, 1)[None]
    kernels = [_gaussians(extent, sigmas).repeat_interleave(channels, 0).to(images.dtype) for extent in window]
    # Every channel of every image is a group of its own, and so has a kernel of its own.
    groups = batch * channels
    blurred_down = functional.conv2d(padded, kernels[0][:, None, :, None], groups=groups)
    return functional.conv2d(blurred_down, kernels[1][:, None, None, :], groups=groups).view_as(images)


def _gaussians(extent: int, sigmas: Tensor) -> Tensor:
    """One kernel per standard deviation that adds up to 1: shape (N, extent)."""
    places = torch.arange(extent, device=sigmas.device) - extent // 2
    weights = (-0.5 * (places / sigmas[:, None]) ** 2).exp()
    return weights / weights.sum(1, keepdim=True)
