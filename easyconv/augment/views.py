"""Several views of each image, for test-time augmentation."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from easyconv.augment.checks import check_pair
from easyconv.augment.crops import crops_of
from easyconv.augment.transform import Position, Transform, as_transform, check_images
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError
from easyconv.names import look_up

__all__ = ["FiveCrop", "FlipViews", "TenCrop", "Views", "as_views"]


class Views(ABC):
    """From a batch of images (N, C, H, W) to a list of such batches, each a view of all of them.

    Examples
    --------
    >>> import torch
    >>> class Turned(Views):
    ...     def __call__(self, images):
    ...         return [images, images.rot90(1, (2, 3))]
    >>> len(Turned()(torch.zeros(2, 3, 8, 8)))
    2
    """

    @abstractmethod
    def __call__(self, images: Tensor) -> list[Tensor]:
        """The views."""


@dataclass(frozen=True)
class FlipViews(Views):
    """Each image as it is, and mirrored left to right.

    Examples
    --------
    >>> import torch
    >>> [view.flatten().tolist() for view in FlipViews()(torch.tensor([[[[1.0, 2.0]]]]))]
    [[1.0, 2.0], [2.0, 1.0]]
    """

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Two views."""
        check_images(images, "FlipViews")
        return [images, images.flip(3)]


@dataclass(frozen=True)
class FiveCrop(Views):
    """The four corners of each image, and its centre.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the parts.

    Examples
    --------
    >>> import torch
    >>> len(FiveCrop(2)(torch.zeros(1, 3, 4, 4)))
    5
    """

    size: int | tuple[int, int]

    def __post_init__(self) -> None:
        """Refuse sizes that are none."""
        check_pair("size", self.size, minimum=1)

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Five views: upper left, upper right, lower left, lower right, centre."""
        return _crops(images, check_pair("size", self.size))


@dataclass(frozen=True)
class TenCrop(Views):
    """The four corners of each image and its centre, and the same mirrored left to right.

    Parameters
    ----------
    size : int or (int, int)
        Height and width of the parts.

    References
    ----------
    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 4.1.

    Examples
    --------
    >>> import torch
    >>> len(TenCrop(2)(torch.zeros(1, 3, 4, 4)))
    10
    """

    size: int | tuple[int, int]

    def __post_init__(self) -> None:
        """Refuse sizes that are none."""
        check_pair("size", self.size, minimum=1)

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Ten views: those of `FiveCrop`, then those of the mirrored image."""
        size = check_pair("size", self.size)
        return [*_crops(images, size), *_crops(images.flip(3), size)]


def _crops(images: Tensor, size: tuple[int, int]) -> list[Tensor]:
    if tuple(check_images(images, "ten_crop").shape[2:]) == size:
        raise DataError(
            f"The crops of {size[0]}x{size[1]} are all the same in images of that very size. Pass larger images "
            "(resize them with prepare() or image_folder(size=...) to more than the net takes), or take tta='flip'."
        )
    return crops_of(images, size)


@dataclass(frozen=True)
class _Listed(Views):
    transforms: tuple[Transform, ...]

    def __call__(self, images: Tensor) -> list[Tensor]:
        return [transform.apply(images, None, Position())[0] for transform in self.transforms]


def as_views(value: Any, *, size: tuple[int, int] | None = None) -> Views:
    """What ``predict(tta=...)`` means.

    Parameters
    ----------
    value : str, Views, or list of Transform
        ``"flip"``, ``"ten_crop"``, views, or transforms each of which gives one view.
    size : (int, int), optional
        Height and width that the net takes, for ``"ten_crop"``.

    Raises
    ------
    UnknownNameError, ArgumentError, ArgumentTypeError
        For anything else.

    Examples
    --------
    >>> as_views("ten_crop", size=(24, 24))
    TenCrop(size=(24, 24))
    """
    if isinstance(value, Views):
        return value
    if isinstance(value, str):
        kind = look_up(value, {"flip": FlipViews, "ten_crop": TenCrop}, "kind of test-time augmentation")
        if kind is FlipViews:
            return FlipViews()
        if size is None:
            raise ArgumentError(
                "tta='ten_crop' needs to know the size that the net takes, and it has seen no images yet. Write "
                "tta=ec.augment.TenCrop(224), say."
            )
        return TenCrop(size)
    if isinstance(value, Sequence) and value:
        return _Listed(tuple(as_transform(transform) for transform in value))
    raise ArgumentTypeError(
        f"tta must be 'flip', 'ten_crop', views of ec.augment, or a list of transforms, got {value!r}."
    )
