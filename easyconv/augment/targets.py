"""What moves along with images: masks, boxes and key points of ``torchvision.tv_tensors``, nested or not."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from easyconv.errors import DataError
from easyconv.nested import leaves, map_tree

__all__ = ["Motion", "has_moving", "map_moving"]


def has_moving(targets: Any) -> bool:
    """Whether there are masks or boxes in the targets.

    Examples
    --------
    >>> has_moving(torch.tensor([0, 1]))
    False
    """
    return any(_kind(leaf) is not None for _, leaf in leaves(targets))


_UPRIGHT = ("XYXY", "XYWH", "CXCYWH")


class Motion(NamedTuple):
    """What happened to the images of a batch.

    Parameters
    ----------
    mask : callable
        Moves pixels of shape (N, C, H, W).
    points : callable
        Moves points (x, y) of shape (N, K, 2).
    before, size : (int, int)
        Height and width of the images before and afterwards; boxes are clipped to the latter.
    images : int
        N, how many there are.
    """

    mask: Callable[[Tensor], Tensor]
    points: Callable[[Tensor], Tensor]
    before: tuple[int, int]
    size: tuple[int, int]
    images: int


def map_moving(motion: Motion, targets: Any) -> Any:
    """The same targets with masks and boxes moved.

    Parameters
    ----------
    motion : Motion
        What happened to the images.
    targets : tensor, or nested tuple or dict
        Masks have the shape (N, H, W) or (N, C, H, W), boxes (N, 4): one box per image; key points (N, ..., 2).

    Raises
    ------
    DataError
        For masks and boxes of other shapes.
    """
    return map_tree(lambda leaf: _moved(motion, leaf), targets)


def _moved(motion: Motion, leaf: Any) -> Any:
    moves = {"Mask": _moved_mask, "BoundingBoxes": _moved_boxes, "KeyPoints": _moved_points}
    kind = _kind(leaf)
    return leaf if kind is None else moves[kind](motion, leaf)


def _kind(leaf: Any) -> str | None:
    # Who has such a tensor has imported torchvision; nobody else shall.
    module = sys.modules.get("torchvision.tv_tensors")
    if module is None:
        return None
    names = (name for name in ("Mask", "BoundingBoxes", "KeyPoints") if hasattr(module, name))
    return next((name for name in names if isinstance(leaf, getattr(module, name))), None)


def _moved_mask(motion: Motion, mask: Any) -> Any:
    from torchvision import tv_tensors

    pixels = mask.as_subclass(Tensor)
    if pixels.dim() not in (3, 4) or len(pixels) != motion.images or tuple(pixels.shape[-2:]) != motion.before:
        raise DataError(
            "Masks must have the shape (N, H, W) or (N, C, H, W) of their images, here with N = "
            f"{motion.images}, H = {motion.before[0]} and W = {motion.before[1]}, got {tuple(pixels.shape)}."
        )
    moved = motion.mask(pixels[:, None])[:, 0] if pixels.dim() == 3 else motion.mask(pixels)
    return tv_tensors.wrap(moved, like=mask)


def _moved_points(motion: Motion, points: Any) -> Any:
    from torchvision import tv_tensors

    places = points.as_subclass(Tensor)
    if places.dim() < 2 or len(places) != motion.images or places.shape[-1] != 2:
        raise DataError(
            f"Key points must have the shape (N, ..., 2) with N = {motion.images}, got {tuple(places.shape)}."
        )
    moved = motion.points(places.reshape(len(places), -1, 2).float()).view(places.shape)
    kept = moved if places.is_floating_point() else moved.round()
    return tv_tensors.KeyPoints(kept.to(places.dtype), canvas_size=motion.size)


def _moved_boxes(motion: Motion, boxes: Any) -> Any:
    from torchvision import tv_tensors
    from torchvision.transforms.v2.functional import convert_bounding_box_format

    if boxes.dim() != 2 or tuple(boxes.shape) != (motion.images, 4):
        raise DataError(
            f"Boxes must have the shape (N, 4), one per image, with N = {motion.images}, got {tuple(boxes.shape)}."
        )
    if boxes.format.name not in _UPRIGHT:
        raise DataError(f"Boxes must be upright ({', '.join(_UPRIGHT)}), got the format {boxes.format.name}.")
    size = motion.size
    corners = convert_bounding_box_format(boxes, new_format="XYXY").as_subclass(Tensor).float()
    moved = motion.points(corners[:, [0, 1, 2, 1, 2, 3, 0, 3]].view(-1, 4, 2))
    limit = torch.tensor([size[1], size[0]], dtype=moved.dtype, device=moved.device)
    low, high = (moved.amin(1).clamp(min=0).minimum(limit), moved.amax(1).clamp(min=0).minimum(limit))
    clipped = tv_tensors.BoundingBoxes(torch.cat([low, high], 1), format="XYXY", canvas_size=size)
    back = convert_bounding_box_format(clipped, new_format=boxes.format)
    dtype = boxes.dtype
    plain = back.as_subclass(Tensor)
    plain = plain.to(dtype) if dtype.is_floating_point else plain.round().to(dtype)
    return tv_tensors.BoundingBoxes(plain, format=boxes.format, canvas_size=size)
