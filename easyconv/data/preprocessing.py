"""From pictures as they come to what a pretrained net takes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from easyconv.errors import ArgumentTypeError, DataError, DataTypeError

__all__ = ["Preprocessing"]


@dataclass(frozen=True)
class Preprocessing:
    """What turns pictures into the numbers that a net was trained on, and what its classes are called.

    Parameters
    ----------
    transform : callable
        From an RGB picture, or a uint8 tensor of shape (3, H, W) or (N, 3, H, W), to a float tensor of shape (3, h, w)
        or (N, 3, h, w): resized, cropped, scaled and normalized as in training.
    categories : tuple of str, optional
        Names of the classes, in the order of the net's outputs; None where nobody knows them.

    Notes
    -----
    Nets with ``weights="imagenet"`` have one as ``model.preprocessing``. The default values for ``fit`` are other
    ones: uint8 images are divided by 255 there, and nothing else.

    Examples
    --------
    >>> halve = Preprocessing(lambda images: images.float() / 510, ("cat", "dog"))
    >>> halve(torch.full((3, 2, 2), 255, dtype=torch.uint8)).unique()
    tensor([0.5000])
    >>> halve.categories[1]
    'dog'
    """

    transform: Callable[[Any], torch.Tensor]
    categories: tuple[str, ...] | None = None

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

    def __call__(self, images: Any) -> torch.Tensor:
        """A picture (PIL), or a uint8 tensor of one image or a batch, as the net takes it.

        Raises
        ------
        DataTypeError
            When it is neither a picture nor a tensor, or the tensor does not hold bytes.
        DataError
            When the tensor does not have three channels, or they do not come first; when a picture has more than 8 bits
            per channel.
        """
        if callable(getattr(images, "convert", None)):  # grey, with a palette, with transparency
            _check_bytes(images.mode)
            return self.transform(images.convert("RGB"))
        _check_tensor(images)
        return self.transform(images)


def _check_bytes(mode: str) -> None:
    """PIL cuts off all above 255 where it makes RGB of such a picture, which leaves a white one."""
    if mode.startswith(("I", "F")):
        raise DataError(
            f"preprocessing takes pictures of 8 bits per channel, got one of mode {mode!r}. Scale it first: "
            "PIL.Image.fromarray((numpy.asarray(picture) / 257).astype('uint8')) for 16 bits."
        )


def _check_tensor(images: Any) -> None:
    if not isinstance(images, torch.Tensor):
        raise DataTypeError(
            "preprocessing takes a PIL picture or a uint8 tensor of shape (3, H, W) or (N, 3, H, W), got "
            f"{type(images).__name__}. Open files with PIL.Image.open(path); NumPy arrays (H, W, 3) become pictures by "
            "PIL.Image.fromarray(array)."
        )
    if images.dtype is not torch.uint8:
        raise DataTypeError(
            f"preprocessing takes the bytes of images, 0 to 255, got a tensor of {images.dtype}. Images that are "
            "scaled to [0, 1] become bytes by (images * 255).round().to(torch.uint8)."
        )
    if images.dim() not in (3, 4) or images.shape[-3] != 3:
        raise DataError(
            "preprocessing takes tensors of shape (3, H, W) or (N, 3, H, W), channels first, got "
            f"{tuple(images.shape)}. Repeat the channel of grey images: images.expand(-1, 3, -1, -1), or (3, -1, -1) "
            "for one; move channels that come last: images.permute(0, 3, 1, 2), or (2, 0, 1)."
        )
