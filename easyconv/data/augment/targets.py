"""What moves along with images: masks and boxes of ``torchvision.tv_tensors``, anywhere in nested targets."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from easyconv.errors import DataError

__all__ = ["has_moving", "map_moving"]


def has_moving(targets: Any) -> bool:
    """Whether there are masks or boxes in the targets.

    Examples
    --------
    >>> has_moving(torch.tensor([0, 1]))
    False
    """
    return any(kind is not None for kind in _kinds(targets))


def map_moving(
    mask: Callable[[Tensor], Tensor], points: Callable[[Tensor], Tensor], size: tuple[int, int], targets: Any
) -> Any:
    """The same targets with masks and boxes moved.

    Parameters
    ----------
    mask : callable
        Moves pixels of shape (N, C, H, W).
    points : callable
        Moves points (x, y) of shape (N, K, 2).
    size : (int, int)
        Height and width of the images afterwards; boxes are clipped to it.
    targets : tensor, or nested tuple or dict
        Masks have the shape (N, H, W) or (N, C, H, W), boxes (N, 4): one box per image.

    Raises
    ------
    DataError
        For masks and boxes of other shapes.
    """
    if isinstance(targets, Mapping):
        return {key: map_moving(mask, points, size, part) for key, part in targets.items()}
    if isinstance(targets, (tuple, list)):
        return type(targets)(map_moving(mask, points, size, part) for part in targets)
    kind = _kind(targets)
    if kind == "Mask":
        return _moved_mask(mask, targets)
    return _moved_boxes(points, size, targets) if kind == "BoundingBoxes" else targets


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


def _moved_mask(move: Callable[[Tensor], Tensor], mask: Any) -> Any:
    from torchvision import tv_tensors

    pixels = mask.as_subclass(Tensor)
    if pixels.dim() not in (3, 4):
        raise DataError(f"Masks must have the shape (N, H, W) or (N, C, H, W), got {tuple(pixels.shape)}.")
    moved = move(pixels[:, None])[:, 0] if pixels.dim() == 3 else move(pixels)
    return tv_tensors.wrap(moved, like=mask)


def _moved_boxes(move: Callable[[Tensor], Tensor], size: tuple[int, int], boxes: Any) -> Any:
    from torchvision import tv_tensors
    from torchvision.transforms.v2.functional import convert_bounding_box_format

    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise DataError(f"Boxes must have the shape (N, 4), one per image, got {tuple(boxes.shape)}.")
    corners = convert_bounding_box_format(boxes, new_format="XYXY").as_subclass(Tensor).float()
    moved = move(corners[:, [0, 1, 2, 1, 2, 3, 0, 3]].view(-1, 4, 2))
    limit = torch.tensor([size[1], size[0]], dtype=moved.dtype, device=moved.device)
    low, high = (moved.amin(1).clamp(min=0).minimum(limit), moved.amax(1).clamp(min=0).minimum(limit))
    clipped = tv_tensors.BoundingBoxes(torch.cat([low, high], 1), format="XYXY", canvas_size=size)
    back = convert_bounding_box_format(clipped, new_format=boxes.format)
    dtype = boxes.dtype
    plain = back.as_subclass(Tensor)
    plain = plain.to(dtype) if dtype.is_floating_point else plain.round().to(dtype)
    return tv_tensors.BoundingBoxes(plain, format=boxes.format, canvas_size=size)
