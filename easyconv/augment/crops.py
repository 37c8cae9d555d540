"""Parts of images: at random places, of random sizes, or from the middle."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from easyconv.arguments import check_choice, check_flag
from easyconv.augment.checks import check_pair, check_range
from easyconv.augment.draws import drawn_extents
from easyconv.augment.geometry import forward_points, sample, to_matrix
from easyconv.augment.transform import GeometricTransform, Position
from easyconv.errors import ArgumentError, DataError

__all__ = ["CenterCrop", "RandomCrop", "RandomResizedCrop", "Resize", "crops_of"]

_TRIES = 10
_PADDING_MODES = ("constant", "edge", "reflect")
_TORCH_NAMES = {"edge": "replicate"}


@dataclass(frozen=True)
class RandomCrop(GeometricTransform):
    """Cut a part of one size from each image, at a place of its own, after padding.

    Picture: docs/images/augment/RandomCrop.jpg

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the part.
    padding : int or (int, int), default 0
        Pixels added above and below, and left and right.
    padding_mode : {"constant", "edge", "reflect"}, default "constant"
        What they are filled with: ``fill``, the pixels at the border, or the mirrored image.
    fill : float, default 0
        Value of constant padding; masks get 0.

    Raises
    ------
    DataError
        When the padded images are smaller than the part.

    References
    ----------
    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 4.1. He et al.,
    "Deep Residual Learning for Image Recognition", 2015, section 4.2, for 4 pixels of padding on CIFAR-10.

    Examples
    --------
    >>> RandomCrop(32, padding=4)(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 3, 32, 32])
    """

    by_chance: ClassVar[bool] = True

    size: int | tuple[int, int]
    padding: int | tuple[int, int] = 0
    padding_mode: str = "constant"
    fill: float = 0

    def __post_init__(self) -> None:
        """Refuse sizes that are none."""
        check_pair("size", self.size, minimum=1)
        check_pair("padding", self.padding, minimum=0)
        check_choice("padding_mode", self.padding_mode, _PADDING_MODES)

    def _draw(self, images: Tensor, at: Position) -> Tensor:
        """How far down and right of the padded image's corner each part begins: shape (2, N)."""
        room = self._room(images)
        # One draw for both: a product of two ranges is a range.
        place = torch.randint(room[0] * room[1], (len(images),), device=images.device)
        return torch.stack([place // room[1], place % room[1]])

    def _room(self, images: Tensor) -> tuple[int, int]:
        """How many places there are for the part, down and across."""
        size, padding = check_pair("size", self.size), check_pair("padding", self.padding)
        whole = [extent + 2 * added for extent, added in zip(images.shape[-2:], padding, strict=True)]
        if whole[0] < size[0] or whole[1] < size[1]:
            raise DataError(
                f"RandomCrop{size} needs larger images: with {padding} pixels of padding they are "
                f"({whole[0]}, {whole[1]}). Take a smaller size, or more padding."
            )
        return whole[0] - size[0] + 1, whole[1] - size[1] + 1

    def _move(self, images: Tensor, draws: Tensor) -> Tensor:
        return self._cut(self._padded(images, self.padding_mode, self.fill), draws)

    def _move_mask(self, pixels: Tensor, draws: Tensor) -> Tensor:
        return self._cut(self._padded(pixels, self.padding_mode, 0), draws)

    def _padded(self, images: Tensor, mode: str, fill: float) -> Tensor:
        down, across = check_pair("padding", self.padding)
        if not down and not across:
            return images
        sides = (across, across, down, down)
        if mode == "constant":
            return functional.pad(images, sides, value=fill)
        if mode == "reflect" and (down >= images.shape[-2] or across >= images.shape[-1]):
            raise DataError(
                f"RandomCrop cannot mirror {max(down, across)} pixels of images of {tuple(images.shape[-2:])}. Take "
                "less padding, or padding_mode='edge'."
            )
        # torch pads no bytes by reflection; they are whole numbers that floats hold exactly.
        exact = images if images.is_floating_point() else images.to(torch.float32)
        return functional.pad(exact, sides, mode=_TORCH_NAMES.get(mode, mode)).to(images.dtype)

    def _cut(self, padded: Tensor, draws: Tensor) -> Tensor:
        height, width = check_pair("size", self.size)
        # A view of all windows that there are, of which one per image is copied.
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        return windows[torch.arange(len(padded), device=padded.device), :, draws[0], draws[1]]

    def _move_points(self, points: Tensor, draws: Tensor, size: tuple[int, int]) -> Tensor:
        padding = torch.tensor(check_pair("padding", self.padding), device=points.device)
        shift = (padding - draws.T).flip(1)
        return points + shift[:, None]


@dataclass(frozen=True)
class CenterCrop(GeometricTransform):
    """Cut the middle of each image; smaller images are padded with zeros, as in torchvision.

    Picture: docs/images/augment/CenterCrop.jpg

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the part.

    Examples
    --------
    >>> CenterCrop(2)(torch.arange(16.0).view(1, 1, 4, 4)).flatten()
    tensor([ 5.,  6.,  9., 10.])
    """

    size: int | tuple[int, int]

    def __post_init__(self) -> None:
        """Refuse sizes that are none."""
        check_pair("size", self.size, minimum=1)

    def _draw(self, images: Tensor, at: Position) -> None:
        return None

    def _move(self, images: Tensor, draws: None) -> Tensor:
        from torchvision.transforms.v2.functional import center_crop

        cut: Tensor = center_crop(images, list(check_pair("size", self.size)))
        return cut

    def _move_points(self, points: Tensor, draws: None, size: tuple[int, int]) -> Tensor:
        wanted = check_pair("size", self.size)
        top, left = (round((old - new) / 2) for old, new in zip(size, wanted, strict=True))
        return points - torch.tensor([left, top], dtype=points.dtype, device=points.device)


@dataclass(frozen=True)
class Resize(GeometricTransform):
    """Bring all images to one size, antialiased.

    Picture: docs/images/augment/Resize.jpg

    Parameters
    ----------
    size : int or (int, int)
        Height and width; an int stands for both (unlike torchvision, where it is the short side).
    interpolation : {"bilinear", "bicubic", "nearest"}, default "bilinear"
        How values between pixels are found.
    antialias : bool, default True
        Whether pixels that vanish are averaged.

    Examples
    --------
    >>> Resize(224)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3, 224, 224])
    """

    size: int | tuple[int, int]
    interpolation: str = "bilinear"
    antialias: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes that are none, and other words."""
        check_pair("size", self.size, minimum=1)
        check_choice("interpolation", self.interpolation, ("bilinear", "bicubic", "nearest"))
        check_flag("antialias", self.antialias)

    def _draw(self, images: Tensor, at: Position) -> None:
        return None

    def _move(self, images: Tensor, draws: None) -> Tensor:
        return self._resized(images, self.interpolation)

    def _move_mask(self, pixels: Tensor, draws: None) -> Tensor:
        return self._resized(pixels, "nearest")

    def _resized(self, images: Tensor, interpolation: str) -> Tensor:
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2.functional import resize

        size = list(check_pair("size", self.size))
        resized: Tensor = resize(images, size, interpolation=InterpolationMode(interpolation), antialias=self.antialias)
        return resized

    def _move_points(self, points: Tensor, draws: None, size: tuple[int, int]) -> Tensor:
        height, width = check_pair("size", self.size)
        factors = torch.tensor([width / size[1], height / size[0]], dtype=points.dtype, device=points.device)
        return points * factors


@dataclass(frozen=True)
class RandomResizedCrop(GeometricTransform):
    """Cut a part of random area and shape from each image, and bring it to one size.

    Picture: docs/images/augment/RandomResizedCrop.jpg

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the result.
    scale : (float, float), default (0.08, 1.0)
        Share of the image's area, drawn evenly between these.
    ratio : (float, float), default (3/4, 4/3)
        Width by height, drawn evenly on a logarithmic scale.

    Notes
    -----
    As in torchvision up to ten parts are drawn, of which the first that fits into the image is taken; where none does,
    the largest one in the middle with a shape of the range. Places are not rounded to whole pixels. A part that shrinks
    to less than half is sampled several times per pixel, and averaged.

    References
    ----------
    Szegedy et al., "Going Deeper with Convolutions", 2014, section 6.

    Examples
    --------
    >>> RandomResizedCrop(24, scale=(0.25, 1.0))(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 3, 24, 24])
    """

    by_chance: ClassVar[bool] = True

    size: int | tuple[int, int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        """Refuse sizes and ranges that are none."""
        check_pair("size", self.size, minimum=1)
        check_range("scale", self.scale, minimum=0.0, maximum=1.0)
        if check_range("ratio", self.ratio, minimum=0.0)[0] == 0:
            raise ArgumentError(f"ratio must begin above 0, got {self.ratio!r}.")

    def _draw(self, images: Tensor, at: Position) -> Tensor:
        """Upper edge, left edge, height and width of each part, in pixels: shape (4, N)."""
        whole = torch.tensor(images.shape[-2:], dtype=torch.float32, device=images.device)[:, None]
        extent = self._largest(images)
        for _ in range(_TRIES):
            drawn = torch.stack(drawn_extents(self.scale, self.ratio, images))
            # The last that fits of many is drawn like the first.
            extent = torch.where((drawn <= whole).all(0), drawn, extent)
        return torch.cat([torch.rand_like(extent) * (whole - extent), extent])

    def _largest(self, images: Tensor) -> Tensor:
        """Height and width of the largest part with a shape of the range: shape (2, N)."""
        height, width = images.shape[-2:]
        shape = min(max(width / height, self.ratio[0]), self.ratio[1])
        fitting = (min(height, width / shape), min(width, height * shape))
        return torch.tensor(fitting, device=images.device)[:, None].expand(2, len(images))

    def _oversampled(self, images: Tensor) -> int:
        """How often a pixel is sampled each way, by how much the largest part shrinks."""
        factors = [whole / new for whole, new in zip(images.shape[-2:], check_pair("size", self.size), strict=True)]
        return max(1, int(max(factors) * self.scale[1] ** 0.5))

    def _matrix(self, draws: Tensor) -> Tensor:
        """From points of the result to points of the image: shape (N, 2, 3)."""
        height, width = check_pair("size", self.size)
        top, left, high, wide = draws
        zero = torch.zeros_like(top)
        return to_matrix([[wide / width, zero, left], [zero, high / height, top]])

    def _move(self, images: Tensor, draws: Tensor) -> Tensor:
        times = self._oversampled(images)
        return sample(images, self._matrix(draws), check_pair("size", self.size), border="edge", times=times)

    def _move_mask(self, pixels: Tensor, draws: Tensor) -> Tensor:
        return sample(pixels, self._matrix(draws), check_pair("size", self.size), nearest=True)

    def _move_points(self, points: Tensor, draws: Tensor, size: tuple[int, int]) -> Tensor:
        return forward_points(points, self._matrix(draws))


def crops_of(images: Tensor, size: tuple[int, int]) -> list[Any]:
    """The four corners and the centre.

    Raises
    ------
    DataError
        When the images are smaller.
    """
    height, width = images.shape[-2:]
    if height < size[0] or width < size[1]:
        raise DataError(f"Crops of {size} need larger images, got ({height}, {width}).")
    bottom, right = height - size[0], width - size[1]
    middle = round(bottom / 2), round(right / 2)
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), middle]
    return [images[:, :, top : top + size[0], left : left + size[1]] for top, left in corners]
