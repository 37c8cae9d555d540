"""Parts of images covered, at a place of its own in each."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from easyconv.arguments import check_number
from easyconv.augment.checks import check_pair, check_range
from easyconv.augment.draws import drawn_extents
from easyconv.augment.transform import ImageTransform
from easyconv.errors import ArgumentError

__all__ = ["Box", "Cutout", "RandomErasing"]


class Box(NamedTuple):
    """One rectangle per image, in pixels, its end left out: each of shape (N,)."""

    top: Tensor
    left: Tensor
    bottom: Tensor
    right: Tensor

    def inside(self, images: Tensor) -> Tensor:
        """Which pixels of images like these lie in their rectangle: shape (N, 1, H, W)."""
        rows = torch.arange(images.shape[-2], device=images.device)
        columns = torch.arange(images.shape[-1], device=images.device)
        down = (rows >= self.top[:, None]) & (rows < self.bottom[:, None])
        across = (columns >= self.left[:, None]) & (columns < self.right[:, None])
        return (down[:, :, None] & across[:, None, :])[:, None]


@dataclass(frozen=True)
class RandomErasing(ImageTransform):
    """Cover a rectangle of random size, shape and place in each image, with probability ``p``.

    Picture: docs/images/augment/RandomErasing.jpg

    Parameters
    ----------
    p : float, default 0.5
        Probability for each image.
    scale : (float, float), default (0.02, 0.33)
        Share of the image's area.
    ratio : (float, float), default (0.3, 3.3)
        Height by width, drawn evenly on a logarithmic scale.
    value : float or "random", default 0.0
        What covers it, in [0, 1]; ``"random"`` is evenly distributed noise.

    References
    ----------
    Zhong et al., "Random Erasing Data Augmentation", 2017, section 3.2. A rectangle that does not fit is made smaller
    here, where the paper draws again.

    Examples
    --------
    >>> RandomErasing(p=1.0)(torch.ones(4, 3, 16, 16)).amin((1, 2, 3))
    tensor([0., 0., 0., 0.])
    """

    by_chance: ClassVar[bool] = True

    limited: ClassVar[bool] = False

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: float | str = 0.0

    def __post_init__(self) -> None:
        """Refuse what are no shares."""
        check_number("p", self.p, minimum=0, maximum=1)
        check_range("scale", self.scale, minimum=0, maximum=1)
        if check_range("ratio", self.ratio, minimum=0)[0] == 0:
            raise ArgumentError(f"ratio must begin above 0, got {self.ratio!r}.")
        if isinstance(self.value, str) and self.value != "random":
            raise ArgumentError(f"value must be a number in [0, 1] or 'random', got {self.value!r}.")
        if not isinstance(self.value, str):
            check_number("value", self.value, minimum=0, maximum=1)

    def change(self, images: Tensor) -> Tensor:
        """The images, in part covered."""
        cover = torch.rand_like(images) if isinstance(self.value, str) else torch.full_like(images, self.value)
        return torch.where(self._draw(images).inside(images), cover, images)

    def _draw(self, images: Tensor) -> Box:
        height, width = images.shape[-2:]
        chosen, down, across = torch.rand(3, len(images), device=images.device)
        covered = (chosen < self.p).long()
        wide, tall = drawn_extents(self.scale, self.ratio, images)
        wide, tall = (wide.round().long().clamp(1, width) * covered, tall.round().long().clamp(1, height) * covered)
        top, left = (down * (height - tall + 1)).long(), (across * (width - wide + 1)).long()
        return Box(top, left, top + tall, left + wide)


@dataclass(frozen=True)
class Cutout(ImageTransform):
    """Cover a square in each image, whose middle may be any pixel, so that it may lie partly outside.

    Picture: docs/images/augment/Cutout.jpg

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the square in pixels.
    value : float, default 0.0
        What covers it, in [0, 1].

    References
    ----------
    DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017, section 3.2; 16
    pixels for CIFAR-10, 8 for CIFAR-100.

    Examples
    --------
    >>> Cutout(8)(torch.ones(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    by_chance: ClassVar[bool] = True

    limited: ClassVar[bool] = False

    size: int | tuple[int, int]
    value: float = 0.0

    def __post_init__(self) -> None:
        """Refuse sizes that are none."""
        check_pair("size", self.size, minimum=0)
        check_number("value", self.value, minimum=0, maximum=1)

    def change(self, images: Tensor) -> Tensor:
        """The images, in part covered."""
        return torch.where(self._draw(images).inside(images), torch.full_like(images, self.value), images)

    def _draw(self, images: Tensor) -> Box:
        height, width = check_pair("size", self.size)
        places = torch.randint(images.shape[-2] * images.shape[-1], (len(images),), device=images.device)
        top, left = places // images.shape[-1] - height // 2, places % images.shape[-1] - width // 2
        return Box(top, left, top + height, left + width)
