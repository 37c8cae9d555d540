"""Images turned, moved, scaled, sheared and tilted, each by angles of its own."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from easyconv.arguments import check_number
from easyconv.augment.checks import check_range, check_spread
from easyconv.augment.draws import uniform
from easyconv.augment.geometry import forward_points, inverse, sample, to_matrix
from easyconv.augment.transform import GeometricTransform, Position
from easyconv.errors import ArgumentError

__all__ = ["RandomAffine", "RandomPerspective", "RandomRotation"]


class _Warp(GeometricTransform):
    """Looks up each pixel through a map of the plane that is drawn for each image."""

    by_chance: ClassVar[bool] = True

    fill: float

    def _move(self, images: Tensor, draws: Tensor) -> Tensor:
        size = images.shape[-2], images.shape[-1]
        # Bytes are filled with bytes: fill is in the unit of floats in [0, 1].
        fill = self.fill if images.is_floating_point() else round(255 * self.fill)
        return sample(images, draws, size, fill=fill)

    def _move_mask(self, pixels: Tensor, draws: Tensor) -> Tensor:
        return sample(pixels, draws, (pixels.shape[-2], pixels.shape[-1]), nearest=True)

    def _move_points(self, points: Tensor, draws: Tensor, size: tuple[int, int]) -> Tensor:
        return forward_points(points, draws)


class Angles(NamedTuple):
    """An affine map in torchvision's terms, each of shape (N,): degrees clockwise, pixels, factor, degrees."""

    angle: Tensor
    x: Tensor
    y: Tensor
    scale: Tensor
    shear_x: Tensor
    shear_y: Tensor


@dataclass(frozen=True)
class RandomAffine(_Warp):
    """Turn, move, scale and shear each image about its centre, all by random amounts.

    Picture: docs/images/augment/RandomAffine.jpg

    Parameters
    ----------
    degrees : float or (float, float)
        Range of the angle, clockwise; a number x stands for (-x, x).
    translate : (float, float), default (0.0, 0.0)
        Farthest moves, across and down, as shares of width and height.
    scale : (float, float), default (1.0, 1.0)
        Range of the factor.
    shear : float or (float, float), default 0.0
        Range of the angle of shearing, drawn for both axes; a number x stands for (-x, x).
    fill : float, default 0.0
        Value of pixels from outside, in [0, 1]; masks get 0.

    Examples
    --------
    >>> RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1))(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    degrees: float | tuple[float, float]
    translate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float | tuple[float, float] = 0.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        """Refuse ranges that are none."""
        check_spread("degrees", self.degrees, 0.0)
        check_spread("shear", self.shear, 0.0)
        if not isinstance(self.translate, (tuple, list)) or len(self.translate) != 2:
            raise ArgumentError(f"translate must be two shares (across, down), got {self.translate!r}.")
        for share in self.translate:
            check_number("translate", share, minimum=0, maximum=1)
        if check_range("scale", self.scale, minimum=0)[0] == 0:
            raise ArgumentError(f"scale must begin above 0, got {self.scale!r}.")
        check_number("fill", self.fill, minimum=0, maximum=1)

    def _draw_angles(self, images: Tensor) -> Angles:
        height, width = images.shape[-2:]
        across, down = self.translate[0] * width, self.translate[1] * height
        shear = check_spread("shear", self.shear, 0.0)
        degrees = check_spread("degrees", self.degrees, 0.0)
        ranges = [degrees, (-across, across), (-down, down), self.scale, shear, shear]
        angle, x, y, *rest = (uniform(low, high, images) for low, high in ranges)
        return Angles(angle, x.round(), y.round(), *rest)  # whole pixels, as in torchvision

    def _draw(self, images: Tensor, at: Position) -> Tensor:
        return affine_matrix(self._draw_angles(images), images.shape[-2], images.shape[-1])


@dataclass(frozen=True)
class RandomRotation(_Warp):
    """Turn each image about its centre by a random angle.

    Picture: docs/images/augment/RandomRotation.jpg

    Parameters
    ----------
    degrees : float or (float, float)
        Range of the angle, counter-clockwise; a number x stands for (-x, x).
    fill : float, default 0.0
        Value of pixels from outside, in [0, 1]; masks get 0.

    Examples
    --------
    >>> RandomRotation(15)(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    degrees: float | tuple[float, float]
    fill: float = 0.0

    def __post_init__(self) -> None:
        """Refuse ranges that are none."""
        check_spread("degrees", self.degrees, 0.0)
        check_number("fill", self.fill, minimum=0, maximum=1)

    def _draw_angles(self, images: Tensor) -> Tensor:
        return uniform(*check_spread("degrees", self.degrees, 0.0), images)

    def _draw(self, images: Tensor, at: Position) -> Tensor:
        angle = self._draw_angles(images)
        still, one = torch.zeros_like(angle), torch.ones_like(angle)
        return affine_matrix(Angles(-angle, still, still, one, still, still), images.shape[-2], images.shape[-1])


@dataclass(frozen=True)
class RandomPerspective(_Warp):
    """Tilt each image: its corners move inwards by random amounts.

    Picture: docs/images/augment/RandomPerspective.jpg

    Parameters
    ----------
    distortion_scale : float, default 0.5
        From 0 to 1: how far a corner may move, as a share of half the width and height.
    p : float, default 0.5
        Probability for each image.
    fill : float, default 0.0
        Value of pixels from outside, in [0, 1]; masks get 0.

    Examples
    --------
    >>> RandomPerspective()(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    distortion_scale: float = 0.5
    p: float = 0.5
    fill: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what are no shares."""
        for name in ("distortion_scale", "p", "fill"):
            check_number(name, getattr(self, name), minimum=0, maximum=1)

    def _draw_corners(self, images: Tensor) -> Tensor:
        """Where the four corners of each image go, clockwise from the upper left: shape (N, 4, 2), as (x, y)."""
        corners, inwards = _corners(images)
        reach = self.distortion_scale * torch.tensor(images.shape[-1:-3:-1], device=images.device) / 2
        moves = (torch.rand(len(images), 4, 2, device=images.device) * (reach.floor() + 1)).floor()
        chosen = torch.rand(len(images), 1, 1, device=images.device) < self.p
        return corners + torch.where(chosen, moves * inwards, torch.zeros_like(moves))

    def _draw(self, images: Tensor, at: Position) -> Tensor:
        return perspective_matrix(self._draw_corners(images), _corners(images)[0])


def affine_matrix(angles: Angles, height: int, width: int) -> Tensor:
    """From points of the result to points of the image, turned about its centre: shape (N, 2, 3).

    The same formulas as torchvision's.
    """
    turn, shear_x, shear_y = (torch.deg2rad(part) for part in (angles.angle, angles.shear_x, angles.shear_y))
    a = (turn - shear_y).cos() / shear_y.cos()
    b = -(turn - shear_y).cos() * shear_x.tan() / shear_y.cos() - turn.sin()
    c = (turn - shear_y).sin() / shear_y.cos()
    d = -(turn - shear_y).sin() * shear_x.tan() / shear_y.cos() + turn.cos()
    a, b, c, d = (part / angles.scale for part in (a, b, c, d))
    x, y = width / 2, height / 2
    right = x - d * (x + angles.x) + b * (y + angles.y)
    down = y + c * (x + angles.x) - a * (y + angles.y)
    return to_matrix([[d, -b, right], [-c, a, down]])


def perspective_matrix(result: Tensor, image: Tensor) -> Tensor:
    """The map that takes the corners of a quadrilateral to those of a rectangle: shape (N, 3, 3).

    Parameters
    ----------
    result : Tensor of shape (N, 4, 2)
        Corners (x, y) in the result, clockwise from the upper left.
    image : Tensor of shape (4, 2)
        Corners of an upright rectangle that begins at (0, 0).

    References
    ----------
    Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, section 2.2.3.
    """
    one, two, three, four = result.double().unbind(1)
    skew, to_two, to_four = one - two + three - four, two - three, four - three
    whole = _cross(to_two, to_four)
    g, h = _cross(skew, to_four) / whole, _cross(to_two, skew) / whole
    across, down = two - one + g[:, None] * two, four - one + h[:, None] * four
    unit = torch.ones_like(g)
    square_to_result = to_matrix([
        [across[:, 0], down[:, 0], one[:, 0]],
        [across[:, 1], down[:, 1], one[:, 1]],
        [g, h, unit],
    ])  # fmt: skip
    size = torch.cat([image[2].double(), image.new_ones(1).double()])
    back = inverse(square_to_result)
    # The depth is positive in the quadrilateral then, and negative beyond the horizon.
    sign = (back[:, 2] * square_to_result[:, :, 2]).sum(1).sign()
    return (back * size[:, None] * sign[:, None, None]).to(result.dtype)


def _cross(one: Tensor, two: Tensor) -> Tensor:
    return one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]


def _corners(images: Tensor) -> tuple[Tensor, Tensor]:
    """The corner pixels, clockwise from the upper left, and which way is inwards from each: shape (4, 2)."""
    right, down = images.shape[-1] - 1, images.shape[-2] - 1
    places = torch.tensor([[0, 0], [right, 0], [right, down], [0, down]], dtype=torch.float32, device=images.device)
    return places, torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=torch.float32, device=images.device)
