"""Images mixed with other images of their batch, and their labels with them."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from easyconv.arguments import check_integer, check_number
from easyconv.augment.erasing import Box
from easyconv.augment.targets import has_moving
from easyconv.augment.transform import Position, Transform
from easyconv.errors import DataError, LabelError, StateError

__all__ = ["CutMix", "MixUp"]


class Mix(NamedTuple):
    """What each image is mixed with, and how much of itself stays: both of shape (N,)."""

    partner: Tensor
    share: Tensor


@dataclass(frozen=True)
class _Mixing(Transform):
    """Draws a partner and a share for each image."""

    by_chance: ClassVar[bool] = True

    alpha: float = 1.0
    num_classes: int | None = None

    def __post_init__(self) -> None:
        """Refuse what are no such numbers."""
        check_number("alpha", self.alpha, minimum=0)
        if self.num_classes is not None:
            check_integer("num_classes", self.num_classes, minimum=2)

    def fitted(self, data: Any) -> "_Mixing":
        """With as many classes as the data has, where none were given."""
        if self.num_classes is not None or data.num_classes is None:
            return self
        return replace(self, num_classes=data.num_classes)

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """The images mixed, and their labels as shares of the classes."""
        rows = None if targets is None else self._as_rows(targets)
        if self.alpha == 0:
            return images, rows
        mixed, mix = self._mix(images, self._draw(images))
        if rows is None:
            return mixed, None
        share = mix.share.to(rows.dtype).view(-1, *[1] * (rows.dim() - 1))
        return mixed, share * rows + (1 - share) * rows[mix.partner]

    def _check_values_of(self, targets: Tensor) -> None:
        """Refuse floating targets that cannot be mixed by shares."""

    @abstractmethod
    def _mix(self, images: Tensor, mix: Mix) -> tuple[Tensor, Mix]:
        """The images mixed, with the shares that came of it."""

    def _draw(self, images: Tensor) -> Mix:
        alpha = torch.tensor(self.alpha, dtype=torch.float32, device=images.device)
        share = torch.distributions.Beta(alpha, alpha).sample((len(images),))
        return Mix(torch.randperm(len(images), device=images.device), share)

    def _as_rows(self, targets: Any) -> Tensor:
        """Labels as rows of probabilities; rows and values stay as they are."""
        name = type(self).__name__
        if not isinstance(targets, Tensor) or has_moving(targets):
            raise DataError(
                f"{name} mixes labels of classes, got {type(targets).__name__}. Leave it out for such targets."
            )
        if targets.is_floating_point():
            self._check_values_of(targets)
            return targets
        labels = targets[:, 0] if targets.dim() == 2 and targets.shape[1] == 1 else targets
        if labels.dim() != 1:
            raise DataError(f"{name} mixes labels of shape (N,) or rows of probabilities, got {tuple(targets.shape)}.")
        if self.num_classes is None:
            raise StateError(f"{name} needs to know how many classes there are: {name}(num_classes=10).")
        if labels.device.type == "cpu" and not bool(((labels >= 0) & (labels < self.num_classes)).all()):
            raise LabelError(
                f"{name}(num_classes={self.num_classes}) got labels from {labels.min()} to {labels.max()}."
            )
        return functional.one_hot(labels.long(), self.num_classes).to(torch.float32)


@dataclass(frozen=True)
class MixUp(_Mixing):
    """Mix each image with another one of its batch, and its label in the same shares.

    Picture: docs/images/augment/MixUp.jpg

    Parameters
    ----------
    alpha : float, default 0.2
        Of the Beta distribution that the share is drawn from, for each image: small ones leave most images nearly as
        they are, 1 is even. 0 mixes nothing.
    num_classes : int, optional
        Class numbers become rows of so many probabilities; by default as many as the data set has. Rows of
        probabilities and floating targets are mixed as they are: so a net with one output (``loss="bce"``) wants labels
        as floats.

    Raises
    ------
    StateError
        When there are class numbers, and nobody has said how many classes there are.
    DataError
        For targets that cannot be mixed.

    Notes
    -----
    The paper (and torchvision) draws one share for the whole batch.

    References
    ----------
    Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2017, section 2.

    Examples
    --------
    >>> images, labels = MixUp(num_classes=2)(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1]))
    >>> labels.sum(1)
    tensor([1., 1., 1., 1.])
    """

    alpha: float = 0.2

    def _mix(self, images: Tensor, mix: Mix) -> tuple[Tensor, Mix]:
        floats = images if images.is_floating_point() else images.to(torch.float32)
        share = mix.share.to(floats.dtype).view(-1, 1, 1, 1)
        mixed = share * floats + (1 - share) * floats[mix.partner]
        return (mixed if images.is_floating_point() else mixed.round().to(images.dtype)), mix


@dataclass(frozen=True)
class CutMix(_Mixing):
    """Put a part of another image of the batch into each, at the same place, and mix the labels by the areas.

    Picture: docs/images/augment/CutMix.jpg

    Parameters
    ----------
    alpha : float, default 1.0
        Of the Beta distribution that the share of the image's own area is drawn from. 0 mixes nothing.
    num_classes : int, optional
        As for `MixUp`.

    Raises
    ------
    StateError, DataError
        As `MixUp`.

    References
    ----------
    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019, section
    3.1; one share for each image here, one for the batch there.

    Examples
    --------
    >>> images, labels = CutMix(num_classes=2)(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1]))
    >>> labels.sum(1)
    tensor([1., 1., 1., 1.])
    """

    def _check_values_of(self, targets: Tensor) -> None:
        if targets.dim() > 2:
            raise DataError(
                f"CutMix mixes labels by areas, and targets of shape {tuple(targets.shape)} have places of their own. "
                "Take MixUp, which mixes them like images."
            )

    def _mix(self, images: Tensor, mix: Mix) -> tuple[Tensor, Mix]:
        height, width = images.shape[-2:]
        half = (1 - mix.share).sqrt() / 2
        places = torch.randint(height * width, (len(images),), device=images.device)
        y, x = places // width, places % width
        down, across = (half * height).round().long(), (half * width).round().long()
        box = Box(
            (y - down).clamp(0, height),
            (x - across).clamp(0, width),
            (y + down).clamp(0, height),
            (x + across).clamp(0, width),
        )
        mixed = torch.where(box.inside(images), images[mix.partner], images)
        # What was really put in: a part may have been cut off at the border.
        share = 1 - (box.bottom - box.top) * (box.right - box.left) / (height * width)
        return mixed, Mix(mix.partner, share)
