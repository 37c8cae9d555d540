"""Pictures in whatever mode they come, made colour or grey of 8 bits; the broken ones refused."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from easyconv.data.pictures.strict import whole_files_only
from easyconv.errors import ArgumentTypeError, BrokenPictureError

__all__ = ["check_picture", "read_picture"]

_MODES = {1: "L", 3: "RGB"}
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats whose integers of mode "I" have 16 bits, be they as small as they may."""


def read_picture(source: Any, channels: int = 3) -> Any:
    """A picture of 8 bits per channel, turned as its EXIF data says.

    ======================== ===========================================================================================
    what comes               what becomes of it
    ======================== ===========================================================================================
    palette, 1 bit, CMYK     its colours
    transparency             what shows before white, the colour of paper and of most pages
    16 bits                  divided by 257
    32 bits                  untouched where all lie in 0 to 255, divided by 257 where they lie in 0 to 65535
    floats                   times 255 where all lie in 0 to 1, untouched where they lie in 0 to 255
    animation                the first frame
    ======================== ===========================================================================================

    Parameters
    ----------
    source : path or PIL.Image.Image
        A file, or a picture that is open already.
    channels : {3, 1}, default 3
        3 gives RGB, 1 grey (mode "L").

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    BrokenPictureError
        When the file is no picture, is cut off (also where ``LOAD_TRUNCATED_IMAGES`` of PIL is set), cannot be read,
        holds NaN or numbers of no usual scale, or is so large that it may be an attack; the message names the file.
    ArgumentTypeError
        When it is neither a path nor a picture.

    Examples
    --------
    >>> from PIL import Image
    >>> read_picture(Image.new("L", (2, 2), 7)).getpixel((0, 0))
    (7, 7, 7)
    """
    from PIL import Image

    if isinstance(source, Image.Image):
        with _explained("The picture"):
            return _decoded(source, channels)
    with _opened(source) as image:
        return _decoded(image, channels)


def check_picture(source: str | os.PathLike[str]) -> None:
    """Refuse a file that `read_picture` would refuse, as quickly as possible.

    All bytes of a JPEG file are read, but only an eighth of its width and height is made of them.

    Raises
    ------
    BrokenPictureError
        As in `read_picture`.
    """
    with _opened(source) as image:
        if image.format == "JPEG":
            image.draft("L", (1, 1))
        _decoded(image, 1)


@contextmanager
def _opened(source: Any) -> Iterator[Any]:
    from PIL import Image

    if not isinstance(source, (str, os.PathLike)):
        raise ArgumentTypeError(f"A picture is a path or a PIL image, got {source!r} ({type(source).__name__}).")
    name = f"The picture {os.fspath(source)!r}"
    with _explained(name), whole_files_only():
        if os.path.isdir(source):
            raise BrokenPictureError(f"{name} is a folder.")
        with Image.open(source) as image:
            _refuse_bombs(image, name)
            yield image


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Whatever goes wrong names the file: formats have errors of all kinds."""
    try:
        yield
    except BrokenPictureError:
        raise
    except Exception as error:
        raise BrokenPictureError(f"{name} cannot be read: {_reason(error)}.") from error


def _refuse_bombs(image: Any, name: str) -> None:
    from PIL import Image

    # PIL itself warns here, and refuses twice as many; both may be an attack.
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise BrokenPictureError(
            f"{name} has {image.width * image.height:,} pixels, more than PIL.Image.MAX_IMAGE_PIXELS allows: "
            f"{Image.MAX_IMAGE_PIXELS:,}. Raise that where you trust the file."
        )


def _decoded(image: Any, channels: int) -> Any:
    from PIL import ImageOps

    image.load()
    of_bytes = _with_bytes(ImageOps.exif_transpose(image), str(image.format))
    return _without_transparency(of_bytes).convert(_MODES[channels])


def _with_bytes(image: Any, kind: str) -> Any:
    """Pictures of more than 8 bits, scaled down; PIL itself would cut off all above 255."""
    from PIL import Image

    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image).astype(np.float64)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("it holds values that are no finite numbers (NaN or infinity)")
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in _SIXTEEN_BITS):
        values /= 257
    elif low >= 0 and high <= _greatest(image.mode):
        values *= _factor(image.mode, high)
    else:
        raise ValueError(
            f"it holds numbers from {low:g} to {high:g}, and nobody can tell which are black and white; save it with "
            "floats in [0, 1] or [0, 255], or whole numbers from 0 to 255 or 65535"
        )
    return Image.fromarray(np.round(values).astype(np.uint8))


def _greatest(mode: str) -> int:
    """Up to where numbers are taken for those of a usual scale."""
    return 65535 if mode == "I" else 255


def _factor(mode: str, high: float) -> float:
    if mode == "F":
        return 255 if high <= 1 else 1
    return 1 / 257 if high > 255 else 1


def _without_transparency(image: Any) -> Any:
    from PIL import Image

    if not (image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info):
        return image
    # PIL knows no way from La to RGBA.
    layered = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    paper = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(paper, layered)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "no permission"
    text = str(error).strip().rstrip(".")
    if "cannot identify image file" in text:
        return "it is no picture of a known format"
    return text or type(error).__name__
