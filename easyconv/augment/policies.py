"""RandAugment: a few operations for each image, drawn from a list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from easyconv.arguments import check_integer
from easyconv.augment.targets import has_moving
from easyconv.augment.transform import ImageTransform, Position
from easyconv.errors import ArgumentError, DataError

__all__ = ["RandAugment"]


class _Operation(NamedTuple):
    """One of the list: how strong it is at most, whether chance gives it a sign, and what it does."""

    name: str
    strength: Callable[[float, int, int], float]
    """From the share of the greatest magnitude, and height and width of the image."""
    signed: bool
    apply: Callable[[Any, Tensor, float], Tensor]
    """From torchvision's functions, images and a strength to images."""


def _affine(
    functions: Any, images: Tensor, *, x: float = 0.0, y: float = 0.0, shear: tuple[float, float] = (0, 0)
) -> Tensor:
    moved: Tensor = functions.affine(
        images,
        angle=0.0,
        translate=[int(x), int(y)],
        scale=1.0,
        shear=list(shear),
        center=[0, 0] if any(shear) else None,
    )
    return moved


def _degrees(tangent: float) -> float:
    return float(torch.rad2deg(torch.atan(torch.tensor(tangent, dtype=torch.float64))))


def _of(scale: float) -> Callable[[float, int, int], float]:
    return lambda share, height, width: scale * share


OPERATIONS = (
    _Operation("Identity", _of(0.0), False, lambda f, x, s: x),
    _Operation("ShearX", _of(0.3), True, lambda f, x, s: _affine(f, x, shear=(_degrees(s), 0.0))),
    _Operation("ShearY", _of(0.3), True, lambda f, x, s: _affine(f, x, shear=(0.0, _degrees(s)))),
    _Operation(
        "TranslateX", lambda p, height, width: 150.0 / 331.0 * width * p, True, lambda f, x, s: _affine(f, x, x=s)
    ),
    _Operation(
        "TranslateY", lambda p, height, width: 150.0 / 331.0 * height * p, True, lambda f, x, s: _affine(f, x, y=s)
    ),
    _Operation("Rotate", _of(30.0), True, lambda f, x, s: f.rotate(x, s)),
    _Operation("Brightness", _of(0.9), True, lambda f, x, s: f.adjust_brightness(x, 1.0 + s)),
    _Operation("Color", _of(0.9), True, lambda f, x, s: f.adjust_saturation(x, 1.0 + s)),
    _Operation("Contrast", _of(0.9), True, lambda f, x, s: f.adjust_contrast(x, 1.0 + s)),
    _Operation("Sharpness", _of(0.9), True, lambda f, x, s: f.adjust_sharpness(x, 1.0 + s)),
    _Operation("Posterize", lambda p, height, width: 8 - round(4 * p), False, lambda f, x, s: f.posterize(x, int(s))),
    _Operation("Solarize", lambda p, height, width: 1.0 - p, False, lambda f, x, s: f.solarize(x, s)),
    _Operation("AutoContrast", _of(0.0), False, lambda f, x, s: f.autocontrast(x)),
    _Operation("Equalize", _of(0.0), False, lambda f, x, s: f.equalize(x)),
)


class Choice(NamedTuple):
    """For each image and step which operation, and with which sign: both of shape (N, steps)."""

    operation: Tensor
    sign: Tensor


@dataclass(frozen=True)
class RandAugment(ImageTransform):
    """Apply a few operations to each image, drawn from fourteen: shears, moves, turns, colours, sharpness and others.

    Picture: docs/images/augment/RandAugment.jpg

    Parameters
    ----------
    num_ops : int, default 2
        Operations per image, one after the other.
    magnitude : int, default 9
        How strong they are, below ``num_magnitude_bins``.
    num_magnitude_bins : int, default 31
        How many strengths there are.

    Notes
    -----
    The operations are torchvision's, with its strengths; each runs once on all images of the batch that have drawn it.
    Masks and boxes, which would have to move along, are refused.

    References
    ----------
    Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", 2019, section 3.

    Examples
    --------
    >>> RandAugment()(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    by_chance: ClassVar[bool] = True

    num_ops: int = 2
    magnitude: int = 9
    num_magnitude_bins: int = 31

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        check_integer("num_ops", self.num_ops, minimum=0)
        check_integer("num_magnitude_bins", self.num_magnitude_bins, minimum=2)
        if check_integer("magnitude", self.magnitude, minimum=0) >= self.num_magnitude_bins:
            raise ArgumentError(
                f"magnitude must be below num_magnitude_bins={self.num_magnitude_bins}, got {self.magnitude}."
            )

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """The images after their operations; the targets as they are."""
        if has_moving(targets):
            raise DataError(
                "RandAugment turns and shifts images, and masks and boxes would stay where they are. Take RandomAffine "
                "and ColorJitter for such targets."
            )
        return super().apply(images, targets, at)

    def change(self, images: Tensor) -> Tensor:
        """The images after their operations."""
        if images.shape[1] not in (1, 3):
            raise DataError(f"RandAugment needs images of 1 or 3 channels, got {images.shape[1]}.")
        return self._applied(images, self._draw(images))

    def _draw(self, images: Tensor) -> Choice:
        """From the CPU's generator, so that nobody has to wait for the device to know who goes where."""
        shape = len(images), self.num_ops
        sign = torch.randint(2, shape) * 2 - 1
        return Choice(torch.randint(len(OPERATIONS), shape), sign)

    def _applied(self, images: Tensor, choice: Choice) -> Tensor:
        from torchvision.transforms.v2 import functional

        images = images.clone()
        share, size = self.magnitude / (self.num_magnitude_bins - 1), images.shape[-2:]
        signs = choice.sign * torch.tensor([operation.signed for operation in OPERATIONS])[choice.operation]
        for step in range(self.num_ops):
            groups = torch.stack([choice.operation[:, step], signs[:, step]], 1)
            for number, sign in torch.unique(groups, dim=0).tolist():
                rows = (groups == torch.tensor([number, sign])).all(1).nonzero().flatten().to(images.device)
                operation = OPERATIONS[number]
                strength = operation.strength(share, *size) * (sign if operation.signed else 1)
                images[rows] = operation.apply(functional, images[rows], strength).clamp(0, 1)
        return images
