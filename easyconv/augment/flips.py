"""Mirror images: at random, or every other epoch."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from easyconv.arguments import check_number
from easyconv.augment.transform import GeometricTransform, Position
from easyconv.errors import StateError

__all__ = ["AlternatingFlip", "RandomHorizontalFlip", "RandomVerticalFlip"]


class _Flip(GeometricTransform):
    """Mirrors those images of a batch that its draws name."""

    by_chance: ClassVar[bool] = True

    axis: int

    def _move(self, images: Tensor, draws: Tensor) -> Tensor:
        return torch.where(draws.view(-1, 1, 1, 1), images.flip(self.axis), images)

    def _move_points(self, points: Tensor, draws: Tensor, size: tuple[int, int]) -> Tensor:
        coordinate = 0 if self.axis == 3 else 1
        mirrored = points.clone()
        mirrored[:, :, coordinate] = size[self.axis - 2] - points[:, :, coordinate]
        return torch.where(draws.view(-1, 1, 1), mirrored, points)


@dataclass(frozen=True)
class _RandomFlip(_Flip):
    p: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        check_number("p", self.p, minimum=0, maximum=1)

    def _draw(self, images: Tensor, at: Position) -> Tensor:
        return torch.rand(len(images), device=images.device) < self.p


@dataclass(frozen=True)
class RandomHorizontalFlip(_RandomFlip):
    """Mirror each image left to right with probability ``p``.

    Picture: docs/images/augment/RandomHorizontalFlip.jpg

    Parameters
    ----------
    p : float, default 0.5
        Probability.

    Examples
    --------
    >>> RandomHorizontalFlip(p=1.0)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[2., 1.]]]])
    """

    axis = 3


@dataclass(frozen=True)
class RandomVerticalFlip(_RandomFlip):
    """Mirror each image top to bottom with probability ``p``.

    Picture: docs/images/augment/RandomVerticalFlip.jpg

    Parameters
    ----------
    p : float, default 0.5
        Probability.

    Examples
    --------
    >>> RandomVerticalFlip(p=1.0)(torch.tensor([[[[1.0], [2.0]]]])).flatten()
    tensor([2., 1.])
    """

    axis = 2


@dataclass(frozen=True)
class AlternatingFlip(_Flip):
    """Mirror half of the images left to right in even epochs, and the other half in odd ones.

    So any two epochs in a row show each image once as it is and once mirrored, where chance shows a quarter of them
    twice the same way. Which half comes first is decided by a hash of the sample's number.

    Picture: docs/images/augment/AlternatingFlip.jpg

    Raises
    ------
    StateError
        For batches of which nobody knows the numbers of the samples: it works in data sets of ``ec.data``.

    References
    ----------
    Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.6.

    Examples
    --------
    >>> at = Position(rows=torch.arange(4), epoch=0)
    >>> images = torch.tensor([[[[1.0, 2.0]]]]).expand(4, 1, 1, 2)
    >>> first, _ = AlternatingFlip().apply(images, None, at)
    >>> second, _ = AlternatingFlip().apply(images, None, at._replace(epoch=1))
    >>> torch.equal(first, second.flip(3))
    True
    """

    axis = 3

    def _draw(self, images: Tensor, at: Position) -> Tensor:
        if at.rows is None:
            raise StateError(
                "AlternatingFlip needs the numbers of the samples, which a part of a data set of ec.data gives: "
                "fit(data.augment(AlternatingFlip()).train). Take RandomHorizontalFlip() for plain tensors, and inside "
                "a DataLoader, which does not tell the numbers."
            )
        return (_bit(at.rows.to(images.device)) + at.epoch) % 2 == 1


def _bit(rows: Tensor) -> Tensor:
    """One bit of each number, as good as random: the last steps of a well-known hash (Murmur3's finalizer)."""
    mixed = rows.to(torch.int64) & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) & 1
