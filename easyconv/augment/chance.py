"""A transform for some samples of a batch only."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from easyconv.arguments import check_number
from easyconv.augment.transform import Compose, Position, Transform, as_transform
from easyconv.errors import DataError
from easyconv.nested import leaves, map_tree

__all__ = ["RandomApply"]


@dataclass(frozen=True)
class RandomApply(Transform):
    """Apply a transform to each sample with probability ``p``.

    Picture: docs/images/augment/RandomApply.jpg

    Parameters
    ----------
    transform : Transform, callable, or list of these
        What is applied; it must keep the size of the images, and the form of the targets.
    p : float, default 0.5
        Probability for each sample.

    Raises
    ------
    DataError
        When the transform changes sizes or targets.

    Examples
    --------
    >>> from easyconv.augment import GaussianBlur
    >>> RandomApply(GaussianBlur(3), p=0.2)(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    by_chance: ClassVar[bool] = True

    transform: Any
    p: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what is no probability, and what is no transform."""
        check_number("p", self.p, minimum=0, maximum=1)
        several = isinstance(self.transform, (tuple, list))
        made = Compose(*self.transform) if several else as_transform(self.transform)
        object.__setattr__(self, "transform", made)

    def fitted(self, data: Any) -> "RandomApply":
        """With the transform fitted."""
        return RandomApply(self.transform.fitted(data), self.p)

    def apply(self, images: Tensor, targets: Any, at: Position) -> tuple[Tensor, Any]:
        """The batch, in part transformed."""
        # Drawn on the CPU: how many there are must be known without waiting for the device.
        rows = (torch.rand(len(images)) < self.p).nonzero().flatten().to(images.device)
        if not len(rows):
            return images, targets
        chosen = at._replace(rows=None if at.rows is None else at.rows[rows.to(at.rows.device)])
        part = None if targets is None else map_tree(lambda leaf: _like(leaf[rows.to(leaf.device)], leaf), targets)
        changed, moved = self.transform.apply(images[rows], part, chosen)
        if targets is not None:
            parts = iter([leaf for _, leaf in leaves(moved)])
            targets = map_tree(lambda leaf: _like(_put(leaf, rows, next(parts)), leaf), targets)
        return _put(images, rows, changed), targets


def _put(whole: Tensor, rows: Tensor, part: Tensor) -> Tensor:
    if part.shape[1:] != whole.shape[1:] or part.dtype != whole.dtype:
        raise DataError(
            "RandomApply takes transforms that keep sizes and targets: of "
            f"{tuple(whole.shape[1:])} ({whole.dtype}) it made {tuple(part.shape[1:])} ({part.dtype})."
        )
    filled = whole.as_subclass(Tensor).clone()
    filled[rows.to(filled.device)] = part.as_subclass(Tensor)
    return filled


def _like(tensor: Tensor, kind: Tensor) -> Tensor:
    """A mask or box of torchvision again, where it was one."""
    if type(kind) is Tensor:
        return tensor
    from torchvision import tv_tensors

    wrapped: Tensor = tv_tensors.wrap(tensor, like=kind)
    return wrapped
