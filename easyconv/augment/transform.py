"""What every transform of whole batches is: images in, images out, each sample drawn for itself."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from easyconv.augment.targets import Motion, has_moving, map_moving
from easyconv.errors import ArgumentTypeError, DataError, DataTypeError, EmptyDataError, LengthError
from easyconv.nested import leaves
from easyconv.seed import kept_random_state

__all__ = [
    "NOTHING",
    "Compose",
    "Foreign",
    "GeometricTransform",
    "ImageTransform",
    "Position",
    "Transform",
    "as_transform",
    "check_images",
]

_ROUNDING = 1e-3


class Position(NamedTuple):
    """Where a batch stands in training.

    Parameters
    ----------
    rows : Tensor, optional
        Numbers of its samples in their data set, shape (N,); None where nobody knows them.
    epoch : int, default 0
        Passes over the data before this one.

    Examples
    --------
    >>> Position(torch.tensor([7, 3]), epoch=1).rows
    tensor([7, 3])
    """

    rows: Tensor | None = None
    epoch: int = 0


class Transform(ABC):
    """A pure function of a batch of images; what it draws comes from torch's global generator of their device.

    Images have the shape (N, C, H, W) and are floating, in [0, 1], or uint8; type, device and range are kept, and the
    input is never written into. ``transform(images)`` gives images; ``transform(images, targets)`` gives both, and
    moves masks and boxes of ``torchvision.tv_tensors`` along.

    Examples
    --------
    >>> class Darker(Transform):
    ...     def apply(self, images, targets, at):
    ...         return images / 2, targets
    >>> Darker()(torch.ones(1, 1, 1, 1)).item()
    0.5
    """

    by_chance: ClassVar[bool] = False
    """Whether it is for training only: what it does differs from one time to the next."""

    def __call__(self, images: Tensor, targets: Any = None) -> Any:
        """Images, or images and targets, transformed.

        Raises
        ------
        DataError, DataTypeError
            When the images are no such batch.
        LengthError
            When there are more or fewer targets.
        """
        name = type(self).__name__
        self._check_values(check_images(images, name))
        for place, target in leaves(targets, "targets"):
            # Masks and boxes are looked at by what moves them.
            if type(target) is Tensor and target.dim() and len(target) != len(images):
                raise LengthError(f"{name} got {len(images)} images, and {place} has {len(target)} rows.")
        changed, moved = self.apply(images, targets, Position())
        return changed if targets is None else (changed, moved)

    def _check_values(self, images: Tensor) -> None:  # noqa: B027
        """Refuse values that it cannot take."""

    @abstractmethod
    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """The images and targets of a batch that stands at a place in training, transformed."""

    def fitted(self, data: Any) -> "Transform":
        """The same with what it lacks taken from the training data: an object with ``mean``, ``std``, ``num_classes``
        and ``images``.
        """
        return self


class ImageTransform(Transform):
    """Changes colours only: the same for whatever the images show."""

    limited: ClassVar[bool] = True
    """Whether it cuts off what lies outside [0, 1], and so must come before a normalization."""

    def _check_values(self, images: Tensor) -> None:
        # A look at a tensor on an accelerator would have to wait for it.
        if not self.limited or not images.is_floating_point() or not images.is_cpu:
            return
        low, high = torch.aminmax(images.detach())
        if low < -_ROUNDING or high > 1 + _ROUNDING:
            raise DataError(
                f"{type(self).__name__} takes floats in [0, 1], and would cut off what lies outside, got values from "
                f"{low:g} to {high:g}. Divide them by 255, pass uint8, or change colours before you normalize."
            )

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """The images transformed, in their own type and range; the targets as they are."""
        if images.dtype == torch.uint8:
            changed = self.change(images.to(torch.float32) / 255).clamp(0, 1)
            return (changed * 255).round().to(torch.uint8), targets
        changed = self.change(images)
        return (changed.clamp(0, 1) if self.limited else changed).to(images.dtype), targets

    @abstractmethod
    def change(self, images: Tensor) -> Tensor:
        """What becomes of floats."""


class GeometricTransform(Transform):
    """Moves pixels: masks and boxes go along, with the same draws."""

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """The images and what moves with them, transformed."""
        draws = self._draw(images, at)
        moved = self._move(images, draws)
        if not has_moving(targets):
            return moved, targets
        size = images.shape[-2], images.shape[-1]
        motion = Motion(
            mask=lambda pixels: self._move_mask(pixels, draws),
            points=lambda points: self._move_points(points, draws, size),
            before=size,
            size=(moved.shape[-2], moved.shape[-1]),
            images=len(images),
        )
        return moved, map_moving(motion, targets)

    @abstractmethod
    def _draw(self, images: Tensor, at: Position) -> Any:
        """What chance decides for each sample of a batch."""

    @abstractmethod
    def _move(self, images: Tensor, draws: Any) -> Tensor:
        """The images, moved."""

    def _move_mask(self, pixels: Tensor, draws: Any) -> Tensor:
        """Masks of shape (N, C, H, W), moved; no new values may arise."""
        return self._move(pixels, draws)

    @abstractmethod
    def _move_points(self, points: Tensor, draws: Any, size: tuple[int, int]) -> Tensor:
        """Points (x, y) of shape (N, K, 2), in pixels from the upper left corner of images of ``size``, moved."""


@dataclass(frozen=True, init=False)
class Compose(Transform):
    """Transforms one after the other.

    Parameters
    ----------
    *transforms : Transform, callable, or list of these
        See `as_transform`.

    Examples
    --------
    >>> from easyconv.augment import CenterCrop, Normalize
    >>> Compose(CenterCrop(2), Normalize([0.5], [0.5]))(torch.ones(1, 1, 4, 4)).flatten()
    tensor([1., 1., 1., 1.])
    """

    transforms: tuple[Transform, ...]

    def __init__(self, *transforms: Any) -> None:
        object.__setattr__(self, "transforms", tuple(as_transform(transform) for transform in transforms))

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """All of them."""
        for transform in self.transforms:
            images, targets = transform.apply(images, targets, at)
        return images, targets

    def fitted(self, data: Any) -> "Compose":
        """Each of them fitted."""
        return Compose(*(transform.fitted(data) for transform in self.transforms))


NOTHING = Compose()
"""Leaves batches as they are."""


@dataclass(frozen=True)
class Foreign(Transform):
    """A transform of ``torchvision.transforms.v2``, which gets images and targets, or a function of images."""

    function: Callable[..., Any]
    takes_targets: bool

    @property
    def by_chance(self) -> bool:  # type: ignore[override]
        """Whether torchvision's transform draws random numbers, tried on two small images."""
        if not self.takes_targets:
            return False
        with kept_random_state():
            states = torch.get_rng_state(), random.getstate()
            with suppress(Exception):  # some need other images or targets; they fail where they get those
                self.function(torch.zeros(2, 3, 64, 64), torch.zeros(2, dtype=torch.int64))
            return not torch.equal(torch.get_rng_state(), states[0]) or random.getstate() != states[1]

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """What the function makes of the batch."""
        if self.takes_targets and targets is not None:
            images, targets = self.function(images, targets)
        else:
            images = self.function(images)
        if not isinstance(images, Tensor) or images.dim() != 4:
            got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise DataError(f"{self.function!r} must return images of shape (N, C, H, W), got {got}.")
        return images.as_subclass(Tensor), targets


def as_transform(value: Any) -> Transform:
    """A transform of batches of whatever a user passes.

    Parameters
    ----------
    value : Transform, callable, or list of these
        A `Transform` stays as it is; a list is composed. One of ``torchvision.transforms.v2`` is called with images
        and targets; what it draws, it draws once for the whole batch. Any other callable is called with the images.

    Raises
    ------
    ArgumentTypeError
        For anything else; a class that wants to be called first is named.

    Examples
    --------
    >>> as_transform(lambda images: images / 2)(torch.ones(1, 1, 1, 1)).item()
    0.5
    """
    if isinstance(value, Transform):
        return value
    if isinstance(value, (list, tuple)):
        return Compose(*value)
    if isinstance(value, type):
        raise ArgumentTypeError(
            f"A transform must be an object, got the class {value.__name__}. Make one: {value.__name__}(...)."
        )
    if not callable(value):
        raise ArgumentTypeError(
            f"A transform must be one of ec.augment, one of torchvision.transforms.v2, or a function of images, got "
            f"{value!r} ({type(value).__name__})."
        )
    home = type(value).__module__
    if home == "torchvision.transforms.transforms":
        raise ArgumentTypeError(
            f"{type(value).__name__} is of torchvision.transforms, version 1, which takes single images. Take that of "
            "torchvision.transforms.v2, or of ec.augment, which draws for each sample of the batch."
        )
    return Foreign(value, takes_targets=home.startswith("torchvision.transforms.v2"))


def check_images(images: Any, name: str) -> Tensor:
    """Refuse what is no batch of images.

    Raises
    ------
    DataTypeError, DataError
        With what came.
    """
    if not isinstance(images, Tensor):
        raise DataTypeError(f"{name} takes a tensor of images, got {type(images).__name__}.")
    if images.dim() == 4 and not len(images):
        raise EmptyDataError(f"{name} got an empty batch.")
    if images.dim() != 4 or 0 in images.shape:
        hint = " For one image: images[None]." if images.dim() == 3 else ""
        raise DataError(f"{name} takes images of shape (N, C, H, W), got {tuple(images.shape)}.{hint}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise DataTypeError(f"{name} takes floats in [0, 1] or uint8, got {images.dtype}.")
    return images
