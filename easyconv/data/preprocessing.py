"""From pictures as they come to what a net takes, and the names of what it answers."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from easyconv.augment.ranges import flat
from easyconv.augment.transform import NOTHING, Position, Transform
from easyconv.data.pictures.format import PictureFormat
from easyconv.data.pictures.reading import read_picture
from easyconv.data.sources.convert import is_picture
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError, DataTypeError

__all__ = ["PLAIN", "Normalization", "PictureTransform", "Preprocessing"]

Normalization = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel."""
PLAIN: Normalization = ((0.0,), (1.0,))
"""That of pixels that are scaled to [0, 1] and nothing else."""


@dataclass(frozen=True)
class PictureTransform:
    """What a data set does to its pictures when the net does not train, for any other picture: plain data.

    Parameters
    ----------
    picture_format : PictureFormat
        Size, resizing and channels.
    transform : Transform
        What batches of floats in [0, 1] get.

    Examples
    --------
    >>> shrink = PictureTransform(PictureFormat((2, 2), resize="squash"))
    >>> shrink(torch.full((3, 4, 4), 255, dtype=torch.uint8)).shape
    torch.Size([3, 2, 2])
    """

    picture_format: PictureFormat
    transform: Transform = NOTHING

    def __call__(self, images: Any) -> Tensor:
        """A picture (PIL), or a uint8 tensor of one image or a batch, as the net takes it."""
        pixels = images if isinstance(images, Tensor) else self._pixels(images)
        single = pixels.dim() == 3
        batch = pixels[None] if single else pixels
        if tuple(batch.shape[-2:]) != (self.picture_format.height, self.picture_format.width):
            batch = torch.stack([self._pixels(_as_picture(image)) for image in batch])
        ready, _ = self.transform.apply(batch.to(torch.float32) / 255, None, Position())
        return ready[0] if single else ready

    def _pixels(self, picture: Any) -> Tensor:
        # A copy: PIL lends memory that must not be written to.
        return torch.from_numpy(self.picture_format(picture).copy())


@dataclass(frozen=True)
class Preprocessing:
    """What turns pictures into the numbers that a net was trained on, and what its classes are called.

    Parameters
    ----------
    transform : callable
        From a picture (PIL; RGB, or grey where ``channels`` is 1), or a uint8 tensor of shape (C, H, W) or
        (N, C, H, W), to a float tensor of shape (C, h, w) or (N, C, h, w): resized, cropped, scaled and normalized as
        in training.
    categories : tuple of str, optional
        Names of the classes, in the order of the net's outputs; None where nobody knows them.
    channels : int, default 3
        C: 3 for colour, 1 for grey.

    Notes
    -----
    Nets with ``weights="imagenet"`` have one as ``model.preprocessing``, and ``fit`` leaves that of its data set there.
    The default values for ``fit`` on plain arrays are other ones: uint8 images are divided by 255 there, and nothing
    else.

    Examples
    --------
    >>> halve = Preprocessing(lambda images: images.float() / 510, ("cat", "dog"))
    >>> halve(torch.full((3, 2, 2), 255, dtype=torch.uint8)).unique()
    tensor([0.5000])
    >>> halve.categories[1]
    'dog'
    """

    transform: Callable[[Any], Tensor]
    categories: tuple[str, ...] | None = None
    channels: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be called, and keep the names as a tuple."""
        if not callable(self.transform):
            raise ArgumentTypeError(
                f"transform must be a function of an image, got {self.transform!r} ({type(self.transform).__name__})."
            )
        if isinstance(self.categories, str) or not isinstance(self.categories, (Iterable, type(None))):
            raise ArgumentTypeError(f"categories must be a list of names, got {self.categories!r}.")
        if self.categories is not None:
            object.__setattr__(self, "categories", tuple(self.categories))
        if self.channels not in (1, 3):
            raise ArgumentError(f"channels must be 3 (colour) or 1 (grey), got {self.channels!r}.")

    @property
    def normalization(self) -> Normalization | None:
        """Mean and standard deviation by which pixels in [0, 1] are normalized; None where nobody can tell."""
        parts = flat(self.transform.transform) if isinstance(self.transform, PictureTransform) else [self.transform]
        for part in parts:
            mean, std = getattr(part, "mean", None), getattr(part, "std", None)
            if mean is not None and std is not None:
                return tuple(mean), tuple(std)
        return PLAIN if isinstance(self.transform, PictureTransform) else None

    @property
    def only_scales(self) -> bool:
        """Whether it does to bytes of the right size what `fit` does to all bytes, and nothing else."""
        return isinstance(self.transform, PictureTransform) and not flat(self.transform.transform)

    def __call__(self, images: Any) -> Tensor:
        """A picture (PIL, or the path of a file), or a uint8 tensor of one image or a batch, as the net takes it.

        Raises
        ------
        DataTypeError
            When it is neither, or the tensor does not hold bytes.
        DataError
            When the tensor does not have as many channels as the net takes, or they do not come first; when a file is
            no picture.
        """
        if is_picture(images) or isinstance(images, (str, os.PathLike)):
            return self.transform(read_picture(images, channels=self.channels))
        _check_tensor(images, self.channels)
        return self.transform(images)


def _as_picture(image: Tensor) -> Any:
    from PIL import Image

    pixels = image.cpu().numpy()
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def _check_tensor(images: Any, channels: int) -> None:
    if not isinstance(images, Tensor):
        raise DataTypeError(
            f"preprocessing takes a PIL picture, a path, or a uint8 tensor of shape ({channels}, H, W) or "
            f"(N, {channels}, H, W), got {type(images).__name__}. NumPy arrays (H, W, 3) become pictures by "
            "PIL.Image.fromarray(array)."
        )
    if images.dtype is not torch.uint8:
        raise DataTypeError(
            f"preprocessing takes the bytes of images, 0 to 255, got a tensor of {images.dtype}. Images that are "
            "scaled to [0, 1] become bytes by (images * 255).round().to(torch.uint8)."
        )
    if images.dim() not in (3, 4) or images.shape[-3] != channels:
        colours = (
            "Repeat the channel of grey images: images.expand(-1, 3, -1, -1), or (3, -1, -1) for one"
            if channels == 3
            else "Make coloured images grey: torchvision.transforms.v2.functional.rgb_to_grayscale(images)"
        )
        raise DataError(
            f"preprocessing takes tensors of shape ({channels}, H, W) or (N, {channels}, H, W), channels first, got "
            f"{tuple(images.shape)}. {colours}; move channels that come last: images.permute(0, 3, 1, 2), or (2, 0, 1)."
        )
