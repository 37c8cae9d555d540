"""Grids of images, with what a net made of them."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from easyconv.arguments import check_integer
from easyconv.errors import (
    ArgumentError,
    DataError,
    DataTypeError,
    EmptyDataError,
    LabelError,
    LengthError,
    NonFiniteDataError,
)
from easyconv.visualize.answers import as_tensor, check_length, classes_and_confidence, labels, pick_predictions
from easyconv.visualize.figures import RIGHT, WRONG, finish, new_figure

__all__ = ["as_pixels", "gallery", "predictions"]

_PURPOSE = "A gallery of images"
_MOST = 400
_TINY = 160


def gallery(
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    targets: Any = None,
    outputs_or_predictions: Any = None,
    class_names: Sequence[str] | None = None,
    columns: int | None = None,
    path: str | os.PathLike[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Any:
    """Draw a grid of images.

    Parameters
    ----------
    images : tensor or array
        Of shape (N, C, H, W) with 1 or 3 channels, or (N, H, W); uint8 from 0 to 255 or floats. Floats outside
        [0, 1] are stretched image by image, unless ``mean`` and ``std`` are given.
    titles : sequence of str, optional
        A line above each image, above what the net made of it.
    targets : tensor or sequence of int, optional
        True classes, shape (N,).
    outputs_or_predictions : tensor or array, optional
        Predicted classes (integers of shape (N,)), or outputs: floats of shape (N, K), taken as probabilities where
        the rows are none negative and add up to 1 and as logits otherwise; floats of shape (N,) or (N, 1) are those
        of class 1, taken as probabilities where all lie in [0, 1].
    class_names : sequence of str, optional
        Name of each class; its number otherwise.
    columns : int, optional
        Images per row; chosen by their number otherwise.
    path : path, optional
        Where to save the picture; the ending says the format.
    mean, std : sequence of float, optional
        What the images were normalised with, one number per channel; undone before drawing.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot, so there is nothing to close. Right predictions are green; wrong ones red, with
        the true class in brackets.

    Raises
    ------
    EmptyDataError
        When there are no images.
    LengthError
        When titles, targets or outputs do not belong to the images.
    LabelError
        When ``class_names`` has no name for a class.
    NonFiniteDataError
        When there are NaN or infinite values.
    DataTypeError, DataError, ArgumentError
        When the images have another shape or type, or are too many for one picture.
    MissingExtraError
        When matplotlib is not installed.

    Examples
    --------
    >>> figure = gallery(torch.rand(4, 1, 8, 8), targets=[0, 1, 1, 0], outputs_or_predictions=[0, 1, 0, 0])
    >>> [axes.get_title() for axes in figure.axes]
    ['0', '1', '0 (1)', '0']
    """
    pixels = as_pixels(images, mean, std)
    captions, colours = _captions(len(pixels), titles, targets, outputs_or_predictions, class_names)
    across = _columns(len(pixels)) if columns is None else check_integer("columns", columns, minimum=1)
    across = min(across, len(pixels))
    down = -(-len(pixels) // across)
    lines = max(caption.count("\n") + 1 if caption else 0 for caption in captions)
    longest = max(len(line) for caption in captions for line in caption.split("\n"))
    cell = min(2.6, max(1.25, 0.085 * longest + 0.1))
    ratio = pixels.shape[1] / pixels.shape[2]
    figure = new_figure(cell * across + 0.1, (cell * ratio + 0.2 * lines + 0.06) * down + 0.1, _PURPOSE)
    for i, (picture, caption, colour) in enumerate(zip(pixels, captions, colours, strict=True)):
        axes = figure.add_subplot(down, across, i + 1)
        _draw(axes, picture)
        axes.set_title(caption, fontsize=9, color=colour, pad=3)
        axes.set_axis_off()
    return finish(figure, path)


def predictions(
    images: Any,
    targets: Any,
    outputs: Any,
    *,
    right: int = 6,
    wrong: int = 12,
    class_names: Sequence[str] | None = None,
    columns: int | None = 6,
    path: str | os.PathLike[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Any:
    """Draw the mistakes that the net was most sure of, then some images that it got right.

    Parameters
    ----------
    images, targets, outputs
        As in :func:`gallery`, of a whole data set if you like.
    right, wrong : int, default 6 and 12
        Most images of each kind.
    class_names, columns, path, mean, std
        As in :func:`gallery`.

    Returns
    -------
    matplotlib.figure.Figure
        As from :func:`gallery`.

    Raises
    ------
    EmptyDataError, LengthError, LabelError, NonFiniteDataError, DataTypeError, DataError, ArgumentError
        As from :func:`gallery`.

    Examples
    --------
    >>> outputs = torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 5.0]])
    >>> figure = predictions(torch.rand(3, 1, 8, 8), [0, 0, 0], outputs)
    >>> [axes.get_title() for axes in figure.axes]
    ['1 (0) · 99%', '1 (0) · 73%', '0 · 95%']
    """
    pictures = as_tensor("images", images)
    chosen = pick_predictions(targets, outputs, right=right, wrong=wrong)
    answers, results = as_tensor("targets", targets), as_tensor("outputs", outputs)
    check_length("targets", len(answers), len(pictures))
    if not len(chosen):
        raise EmptyDataError(f"There is nothing to show: {len(pictures)} images, right={right}, wrong={wrong}.")
    return gallery(
        pictures[chosen],
        targets=answers[chosen],
        outputs_or_predictions=results[chosen],
        class_names=class_names,
        columns=columns,
        path=path,
        mean=mean,
        std=std,
    )


def as_pixels(images: Any, mean: Sequence[float] | None, std: Sequence[float] | None) -> np.ndarray[Any, Any]:
    """Images as (N, H, W, 3) or (N, H, W, 1), in [0, 1]."""
    found = as_tensor("images", images)
    _check_images(found)
    found = found.unsqueeze(1) if found.dim() == 3 else found
    pixels = found.float() / 255 if found.dtype == torch.uint8 else found.float()
    if not torch.isfinite(pixels).all():
        raise NonFiniteDataError("images hold NaN or infinite values. Look at what made them.")
    if mean is not None or std is not None:
        pixels = _denormalised(pixels, mean, std)
    elif pixels.min() < 0 or pixels.max() > 1:
        low, high = pixels.amin((1, 2, 3), keepdim=True), pixels.amax((1, 2, 3), keepdim=True)
        pixels = (pixels - low) / (high - low).clamp(min=1e-12)
    array: np.ndarray[Any, Any] = pixels.clamp(0, 1).permute(0, 2, 3, 1).numpy()
    return array


def _check_images(images: torch.Tensor) -> None:
    shape = tuple(images.shape)
    if images.dim() not in (3, 4):
        hint = " For one image, pass image[None]." if images.dim() == 2 else ""
        raise DataError(f"images must have shape (N, C, H, W) or (N, H, W), got {shape}.{hint}")
    if 0 in shape:
        raise EmptyDataError(f"There are no images to show: images has shape {shape}.")
    if images.is_complex():
        raise DataTypeError(f"images must be real numbers, got {images.dtype}.")
    if shape[-1] in (1, 3) and min(shape[1:-1]) > 4:
        hint = "images.permute(0, 3, 1, 2)" if images.dim() == 4 else "image.permute(2, 0, 1)[None]"
        raise DataError(f"images have their channels last: shape {shape}. Channels come before rows: pass {hint}.")
    if images.dim() == 4 and shape[1] not in (1, 3):
        raise DataError(f"images must have 1 or 3 channels, got {shape[1]} (shape {shape}). Pass images[:, :3], say.")
    if shape[0] > _MOST:
        raise ArgumentError(f"{shape[0]} images are too many for one picture; at most {_MOST}. Pass images[:64], say.")


def _denormalised(pixels: torch.Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> torch.Tensor:
    if mean is None or std is None:
        raise ArgumentError(f"mean and std belong together, got mean={mean!r} and std={std!r}.")
    values = [torch.as_tensor(numbers, dtype=torch.float32).reshape(-1) for numbers in (mean, std)]
    for name, numbers in zip(("mean", "std"), values, strict=True):
        if len(numbers) not in (1, pixels.shape[1]):
            raise LengthError(f"{name} needs one number per channel: {pixels.shape[1]}, got {len(numbers)}.")
    return pixels * values[1].view(1, -1, 1, 1) + values[0].view(1, -1, 1, 1)


def _captions(
    count: int, titles: Sequence[str] | None, targets: Any, outputs: Any, class_names: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Text above each image, and its colour."""
    captions, colours = [""] * count, ["black"] * count
    answers = None if targets is None else labels("targets", targets)
    if answers is not None:
        check_length("targets", len(answers), count)
        captions = [_name(int(answer), class_names) for answer in answers]
    if outputs is not None:
        predicted, sure = classes_and_confidence(outputs)
        check_length("outputs_or_predictions", len(predicted), count)
        names = [_name(int(label), class_names) for label in predicted]
        if answers is not None:
            good = (predicted == answers).tolist()
            colours = [RIGHT if right else WRONG for right in good]
            names = [n if g else f"{n} ({t})" for n, g, t in zip(names, good, captions, strict=True)]
        captions = names if sure is None else [f"{n} · {p:.0%}" for n, p in zip(names, sure.tolist(), strict=True)]
    if titles is not None:
        check_length("titles", len(titles), count)
        captions = [f"{t}\n{c}" if c else str(t) for t, c in zip(titles, captions, strict=True)]
    return captions, colours


def _name(label: int, class_names: Sequence[str] | None) -> str:
    if class_names is None:
        return str(label)
    if not 0 <= label < len(class_names):
        raise LabelError(f"There is no name for class {label}: class_names has {len(class_names)} names.")
    return str(class_names[label])


def _columns(count: int) -> int:
    """Wider than high, without a ragged last row where that is possible."""
    if count <= 6:
        return count
    wide = max(4, min(12, round(math.sqrt(1.6 * count))))
    return next((c for c in (wide, wide + 1, wide - 1) if count % c == 0), wide)


def _draw(axes: Any, picture: np.ndarray[Any, Any]) -> None:
    grey = picture.shape[2] == 1
    axes.imshow(
        picture[:, :, 0] if grey else picture,
        cmap="gray" if grey else None,
        vmin=0,
        vmax=1,
        interpolation="nearest" if max(picture.shape[:2]) <= _TINY else "antialiased",
    )
