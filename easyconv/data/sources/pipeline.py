"""What happens to whole batches of a data set on the device, after they are made floats and before the net."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from easyconv.augment.crops import CenterCrop
from easyconv.augment.transform import Compose, Position, Transform
from easyconv.augment.views import FiveCrop, TenCrop, Views
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.inputs import check_inputs, finish_inputs
from easyconv.data.sources.rules import InputRule
from easyconv.errors import ArgumentError, DataError
from easyconv.nested import map_tree, rows_of
from easyconv.seed import derive, kept_random_state, seed_for

__all__ = ["Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """Transforms of a data set's batches: those of training, and those of every other pass.

    Parameters
    ----------
    augmentation : tuple of Transform
        What batches that are trained on get first.
    instead : tuple of Transform
        What takes the place of augmentation everywhere else.
    preparation : tuple of Transform
        What all batches get then.
    wrap : callable, optional
        Makes masks and boxes of torchvision of the targets again, which plain torch forgets when it cuts batches.

    Examples
    --------
    >>> pipeline = Pipeline()
    >>> pipeline.run(Batch(torch.ones(2, 1, 4, 4)), training=True).x.shape
    torch.Size([2, 1, 4, 4])
    """

    augmentation: tuple[Transform, ...] = ()
    instead: tuple[Transform, ...] = ()
    preparation: tuple[Transform, ...] = ()
    wrap: Callable[[Any], Any] | None = None

    @cached_property
    def training(self) -> Compose:
        """What happens to batches that are trained on."""
        return Compose(*self.augmentation, *self.preparation)

    @cached_property
    def evaluation(self) -> Compose:
        """What happens to all others."""
        return Compose(*self.instead, *self.preparation)

    def augmented(self, transforms: Iterable[Transform], instead: Iterable[Transform]) -> "Pipeline":
        """With more augmentation, behind what there is, and more in its place everywhere else."""
        return replace(self, augmentation=(*self.augmentation, *transforms), instead=(*self.instead, *instead))

    def followed_by(self, transforms: Iterable[Transform]) -> "Pipeline":
        """With more preparation of all batches, behind what there is."""
        return replace(self, preparation=(*self.preparation, *transforms))

    def viewed_by(self, views: Views) -> "Pipeline":
        """For test-time augmentation: views that are cut themselves take the place of the crop of evaluation.

        Raises
        ------
        ArgumentError
            When there are masks or boxes, whose places differ from view to view.
        """
        if self.wrap is not None:
            raise ArgumentError(
                "tta= averages answers about whole images, and this data has masks or boxes, whose places are others "
                "in each view. Predict without tta=."
            )
        if not isinstance(views, (FiveCrop, TenCrop)):
            return self
        return replace(self, instead=tuple(part for part in self.instead if not isinstance(part, CenterCrop)))

    def run(self, batch: Batch, *, training: bool, at: Position = Position()) -> Batch:  # noqa: B008
        """The batch as the net gets it, its inputs floats on the device."""
        targets = batch.y if self.wrap is None else self.wrap(batch.y)
        x, y = (self.training if training else self.evaluation).apply(batch.x, targets, at)
        if rows_of(x) != rows_of(batch.x):
            raise DataError(
                f"A transform must keep the number of samples: a batch of {rows_of(batch.x)} came out as {rows_of(x)}."
            )
        return Batch(x, y if self.wrap is None else map_tree(_plain, y), batch.sample_weight)

    def preview(self, batch: Batch, rule: InputRule, device: torch.device, *, training: bool) -> Batch:
        """A few rows as the net will get them; what that draws is given back."""
        images = finish_inputs(check_inputs(batch.x, rule).to(device), rule)
        targets = batch.y.to(device) if isinstance(batch.y, Tensor) else batch.y
        with kept_random_state(device):
            return self.run(Batch(images, targets), training=training, at=Position(torch.arange(len(images))))

    def stream(
        self,
        placed: Iterator[tuple[Tensor | None, Batch]],
        *,
        training: bool,
        epoch: int,
        key: int | None,
        start: int = 0,
    ) -> Iterator[Batch]:
        """Batches of a pass, transformed; with a key, what each of them draws depends on that and its number only."""
        for number, (rows, batch) in enumerate(placed, start):
            if key is not None:
                seed_for(_device_of(batch.x), derive(key, number))
            yield self.run(batch, training=training, at=Position(rows, epoch))


def _plain(tensor: Tensor) -> Tensor:
    return tensor.as_subclass(Tensor)


def _device_of(x: Any) -> torch.device:
    return x.device if isinstance(x, Tensor) else torch.device("cpu")
