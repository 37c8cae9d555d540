"""The form that all pictures of a data set are brought to."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from easyconv.arguments import check_choice, check_integer
from easyconv.data.pictures.reading import read_picture
from easyconv.errors import ArgumentError

__all__ = ["PictureFormat"]


@dataclass(frozen=True)
class PictureFormat:
    """Makes bytes of one shape of any picture.

    Parameters
    ----------
    size : int or (int, int)
        Height and width; an int stands for both.
    resize : {"crop", "pad", "squash"}, default "crop"
        ``"crop"``: the short side is brought to the size, and the middle cut, as AlexNet did (and torchvision's
        ``Resize`` and ``CenterCrop`` do, to the pixel). ``"pad"``: the whole picture, its proportions kept, with black
        bars. ``"squash"``: proportions do not matter.
    channels : {3, 1}, default 3
        Colour, or grey.

    References
    ----------
    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 2.

    Examples
    --------
    >>> from PIL import Image
    >>> PictureFormat(32)(Image.new("RGB", (64, 48))).shape
    (3, 32, 32)
    """

    size: int | tuple[int, int]
    resize: str = "crop"
    channels: int = 3

    def __post_init__(self) -> None:
        """Refuse sizes that are none, and keep both of them."""
        size = self.size if isinstance(self.size, (tuple, list)) else (self.size, self.size)
        if len(size) != 2:
            raise ArgumentError(f"size must be one integer, or (height, width), got {self.size!r}.")
        object.__setattr__(self, "size", tuple(check_integer("size", extent, minimum=1) for extent in size))
        check_choice("resize", self.resize, ("crop", "pad", "squash"))
        if check_integer("channels", self.channels, minimum=1) not in (1, 3):
            raise ArgumentError(f"channels must be 3 (colour) or 1 (grey), got {self.channels!r}.")

    @property
    def height(self) -> int:
        """Height of the result in pixels."""
        return self.size[0]  # type: ignore[index]

    @property
    def width(self) -> int:
        """Width of the result in pixels."""
        return self.size[1]  # type: ignore[index]

    def __call__(self, source: Any) -> "np.ndarray[Any, np.dtype[np.uint8]]":
        """A picture, from a path or from PIL, as bytes of shape (C, H, W).

        Raises
        ------
        BrokenPictureError
            When it cannot be read; the message names the file.
        """
        pixels = np.array(self._fitted(read_picture(source, self.channels)))
        return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))

    def _fitted(self, picture: Any) -> Any:
        wanted = (self.width, self.height)
        if picture.size == wanted:
            return picture
        if self.resize == "squash":
            return _scaled(picture, wanted)
        scaled = _scaled(picture, _kept_proportions(picture.size, wanted, larger=self.resize == "crop"))
        left, top = (round((old - new) / 2) for old, new in zip(scaled.size, wanted, strict=True))
        return scaled.crop((left, top, left + self.width, top + self.height))


def _kept_proportions(old: tuple[int, int], new: tuple[int, int], *, larger: bool) -> tuple[int, int]:
    """The size of a whole picture that fills the new one, or that fits in it."""
    by_width = (new[0] * old[1] >= new[1] * old[0]) == larger
    # The side that decides has the very size. The other is rounded down, as torchvision does, but never to nothing.
    if by_width:
        return new[0], max(1, new[0] * old[1] // old[0])
    return max(1, new[1] * old[0] // old[1]), new[1]


def _scaled(picture: Any, size: tuple[int, int]) -> Any:
    from PIL import Image

    return picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR)
