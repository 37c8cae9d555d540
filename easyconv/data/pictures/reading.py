"""Pictures in whatever mode they come, made colour or grey of 8 bits; the broken ones refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from easyconv.errors import ArgumentTypeError, BrokenPictureError

__all__ = ["read_picture"]

_MODES = {1: "L", 3: "RGB"}


def read_picture(source: Any, channels: int = 3) -> Any:
    """A picture of 8 bits per channel, turned as its EXIF data says.

    ======================== ===========================================================================================
    what comes               what becomes of it
    ======================== ===========================================================================================
    palette, 1 bit, CMYK     its colours
    transparency             what shows before white, the colour of paper and of most pages
    16 and 32 bits           16 bits divided by 257; others, and floats, stretched from their least to their greatest
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
        When the file is no picture, is cut off, cannot be read, or is so large that it may be an attack; the message
        names the file.
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
        return _decoded(source, channels, "The picture")
    if not isinstance(source, (str, os.PathLike)):
        raise ArgumentTypeError(f"A picture is a path or a PIL image, got {source!r} ({type(source).__name__}).")
    name = f"The picture {os.fspath(source)!r}"
    if Path(source).is_dir():
        raise BrokenPictureError(f"{name} is a folder.")
    try:
        with Image.open(source) as image:
            _refuse_bombs(image, name)
            return _decoded(image, channels, name)
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


def _decoded(image: Any, channels: int, name: str) -> Any:
    from PIL import ImageOps

    try:
        image.load()
        turned = ImageOps.exif_transpose(image)
    except Exception as error:
        raise BrokenPictureError(f"{name} cannot be read: {_reason(error)}.") from error
    return _without_transparency(_with_bytes(turned)).convert(_MODES[channels])


def _with_bytes(image: Any) -> Any:
    """Pictures of more than 8 bits, scaled down; PIL itself would cut off all above 255."""
    from PIL import Image

    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and values.min() >= 0 and 255 < values.max() <= 65535):
        return Image.fromarray(np.round(values / 257).astype(np.uint8))
    if image.mode == "I" and values.min() >= 0 and values.max() <= 255:
        return Image.fromarray(values.astype(np.uint8))
    exact = values.astype(np.float64)
    spread = exact.max() - exact.min()
    scaled = (exact - exact.min()) / spread if spread > 0 else np.zeros_like(exact)
    return Image.fromarray(np.round(scaled * 255).astype(np.uint8))


def _without_transparency(image: Any) -> Any:
    from PIL import Image

    if not (image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info):
        return image
    layered = image.convert("RGBA")
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
