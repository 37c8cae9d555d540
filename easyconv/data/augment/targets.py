"""What moves along with images: masks and boxes of ``torchvision.tv_tensors``, anywhere in nested targets."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from easyconv.errors import DataError

__all__ = ["Motion", "has_moving", "map_moving"]


def has_moving(targets: Any) -> bool:
    """Whether there are masks or boxes in the targets.

    Examples
    --------
    >>> has_moving(torch.tensor([0, 1]))
    False
    """
    return any(kind is not None for kind in _kinds(targets))


class Motion(NamedTuple):
    """What happened to the images of a batch.

    Parameters
    ----------
    mask : callable
        Moves pixels of shape (N, C, H, W).
    points : callable
        Moves points (x, y) of shape (N, K, 2).
    size : (int, int)
        Height and width of the images afterwards; boxes are clipped to it.
    images : int
        N, how many there are.
    """

    mask: Callable[[Tensor], Tensor]
    points: Callable[[Tensor], Tensor]
    size: tuple[int, int]
    images: int


def map_moving(motion: Motion, targets: Any) -> Any:
    """The same targets with masks and boxes moved.

    Parameters
    ----------
    motion : Motion
        What happened to the images.
    targets : tensor, or nested tuple or dict
        Masks have the shape (N, H, W) or (N, C, H, W), boxes (N, 4): one box per image.

    Raises
    ------
    DataError
        For masks and boxes of other shapes.
    """
    if isinstance(targets, Mapping):
        return {key: map_moving(motion, part) for key, part in targets.items()}
    if isinstance(targets, (tuple, list)):
        return type(targets)(map_moving(motion, part) for part in targets)
    kind = _kind(targets)
    if kind == "Mask":
        return _moved_mask(motion, targets)
    return _moved_boxes(motion, targets) if kind == "BoundingBoxes" else targets


def _kinds(targets: Any) -> list[str | None]:
    if isinstance(targets, Mapping):
        return [kind for part in targets.values() for kind in _kinds(part)]
    if isinstance(targets, (tuple, list)):
        return [kind for part in targets for kind in _kinds(part)]
    return [_kind(targets)]


def _kind(leaf: Any) -> str | None:
    # Who has such a tensor has imported torchvision; nobody else shall.
    module = sys.modules.get("torchvision.tv_tensors")
    if module is None:
        return None
    return next((name for name in ("Mask", "BoundingBoxes") if isinstance(leaf, getattr(module, name))), None)


def _moved_mask(motion: Motion, mask: Any) -> Any:
    from torchvision import tv_tensors

    pixels = mask.as_subclass(Tensor)
    if pixels.dim() not in (3, 4) or len(pixels) != motion.images:
        raise DataError(
            f"Masks must have the shape (N, H, W) or (N, C, H, W) with N = {motion.images}, got {tuple(pixels.shape)}."
        )
    moved = motion.mask(pixels[:, None])[:, 0] if pixels.dim() == 3 else motion.mask(pixels)
    return tv_tensors.wrap(moved, like=mask)


def _moved_boxes(motion: Motion, boxes: Any) -> Any:
    from torchvision import tv_tensors
    from torchvision.transforms.v2.functional import convert_bounding_box_format

    if boxes.dim() != 2 or tuple(boxes.shape) != (motion.images, 4):
        raise DataError(
            f"Boxes must have the shape (N, 4), one per image, with N = {motion.images}, got {tuple(boxes.shape)}."
        )
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
