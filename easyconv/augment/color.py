"""Brightness, contrast, saturation and hue, changed at random for each image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from easyconv.arguments import check_number
from easyconv.augment.checks import check_range
from easyconv.augment.draws import uniform
from easyconv.augment.transform import ImageTransform
from easyconv.errors import ArgumentError, DataError

__all__ = ["ColorJitter"]

_IDLE = (1.0, 1.0, 1.0, 0.0)
Amount = float | tuple[float, float]
_GREY = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue in brightness, as torchvision has them (ITU-R 601)."""


@dataclass(frozen=True)
class ColorJitter(ImageTransform):
    """Change brightness, contrast, saturation and hue of each image at random, in an order of its own.

    Picture: docs/images/augment/ColorJitter.jpg

    Parameters
    ----------
    brightness, contrast, saturation : float or (float, float), default 0.0
        Range of the factor; a number x stands for (1 - x, 1 + x), not below 0.
    hue : float or (float, float), default 0.0
        Range of the turn of the colour circle, where 1 is all the way round: within -0.5 and 0.5; a number x stands for
        (-x, x). Grey images have no hue, and no saturation.

    Examples
    --------
    >>> ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05)(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    by_chance: ClassVar[bool] = True

    brightness: Amount = 0.0
    contrast: Amount = 0.0
    saturation: Amount = 0.0
    hue: Amount = 0.0

    def __post_init__(self) -> None:
        """Refuse ranges that are none."""
        self._ranges()

    def change(self, images: Tensor) -> Tensor:
        """The images, changed."""
        idle = [low == high == rest for (low, high), rest in zip(self._ranges(), _IDLE, strict=True)]
        return jittered(images, *self._draw(images), used=[number for number in range(4) if not idle[number]])

    def _ranges(self) -> list[tuple[float, float]]:
        names = ("brightness", "contrast", "saturation")
        ranges = [_factors(name, getattr(self, name)) for name in names]
        hue = self.hue if isinstance(self.hue, (tuple, list)) else (-check_number("hue", self.hue, minimum=0), self.hue)
        return [*ranges, check_range("hue", hue, minimum=-0.5, maximum=0.5)]

    def _draw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Four amounts for each image, and the order in which they are applied: both of shape (4, N)."""
        amounts = torch.stack([uniform(low, high, images) for low, high in self._ranges()])
        # The order comes from the CPU's generator: who goes where must be known without waiting for the device.
        return amounts, torch.rand(4, len(images)).argsort(0)


def jittered(images: Tensor, amounts: Tensor, order: Tensor, used: Sequence[int]) -> Tensor:
    """Images changed by amounts of their own in orders of their own, those of the four changes that are used."""
    operations = (brightened, contrasted, saturated, turned)
    images = images.clone()
    for place in range(4):
        for number in used:
            chosen = (order[place] == number).nonzero().flatten().to(images.device)
            images[chosen] = operations[number](images[chosen], amounts[number][chosen].to(images.dtype))
    return images


def brightened(images: Tensor, factors: Tensor) -> Tensor:
    """All values times a factor."""
    return (images * factors.view(-1, 1, 1, 1)).clamp(0, 1)


def contrasted(images: Tensor, factors: Tensor) -> Tensor:
    """Away from the mean of the grey image, or towards it."""
    return blended(images, _grey(images).mean((1, 2, 3), keepdim=True), factors)


def saturated(images: Tensor, factors: Tensor) -> Tensor:
    """Away from the grey image, or towards it."""
    return images if images.shape[1] == 1 else blended(images, _grey(images), factors)


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """The hue turned round the circle of colours."""
    if images.shape[1] == 1:
        return images
    hue, saturation, value = _to_hsv(images)
    return _from_hsv((hue + turns.view(-1, 1, 1)) % 1.0, saturation, value)


def blended(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """``factors`` of the images and the rest of the others, in [0, 1]."""
    shares = factors.view(-1, 1, 1, 1)
    return (shares * images + (1 - shares) * others).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    if images.shape[1] != 3:
        raise DataError(f"Colours need images of 1 or 3 channels, got {images.shape[1]}.")
    shares = torch.tensor(_GREY, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    return (images * shares).sum(1, keepdim=True)


def _to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, each in [0, 1] and of shape (N, H, W)."""
    if images.shape[1] != 3:
        raise DataError(f"Colours need images of 1 or 3 channels, got {images.shape[1]}.")
    red, green, blue = images.unbind(1)
    value, low = images.amax(1), images.amin(1)
    spread = value - low
    safe = torch.where(spread == 0, torch.ones_like(spread), spread)
    saturation = spread / torch.where(value == 0, torch.ones_like(value), value)
    by_green = 2.0 + (blue - red) / safe
    by_blue = 4.0 + (red - green) / safe
    hue = torch.where(value == red, (green - blue) / safe, torch.where(value == green, by_green, by_blue))
    return (hue / 6.0) % 1.0, saturation, value


def _from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Each channel falls and rises with the distance of its own colour from the hue."""

    def channel(offset: float) -> Tensor:
        k = (offset + hue * 6.0) % 6.0
        return value - value * saturation * torch.minimum(k, 4.0 - k).clamp(0, 1)

    return torch.stack([channel(5.0), channel(3.0), channel(1.0)], 1)


def _factors(name: str, value: Any) -> tuple[float, float]:
    if isinstance(value, (tuple, list)):
        return check_range(name, value, minimum=0)
    number = check_number(name, value, minimum=0)
    if number > 1e6:
        raise ArgumentError(f"{name} must be a share like 0.2, got {value!r}.")
    return max(0.0, 1 - number), 1 + number
