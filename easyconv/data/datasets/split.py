"""One part of a data set, to train, validate or test on: pictures, what they show, and what happens to batches."""

import copy
import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from easyconv.arguments import check_integer
from easyconv.augment.normalization import Normalize
from easyconv.augment.ranges import check_calm, check_normalized_alike, check_range, flat, moves_pixels
from easyconv.augment.transform import Compose, Position, Transform, as_transform
from easyconv.data.class_names import checked_names
from easyconv.data.datasets.facts import Facts
from easyconv.data.datasets.rows import chosen_rows
from easyconv.data.datasets.targets import look_like_masks, taken, titles_of, wrapping
from easyconv.data.pictures.format import PictureFormat
from easyconv.data.preprocessing import PictureTransform, Preprocessing
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.pipeline import Pipeline
from easyconv.data.sources.source import Source
from easyconv.errors import ArgumentError, ArgumentTypeError, LengthError
from easyconv.nested import rows_of
from easyconv.notices import warn_user
from easyconv.seed import kept_random_state, seed_all
from easyconv.visualize import gallery

__all__ = ["Split"]

S = TypeVar("S", bound="Split")

_PROBED = 8
"""Pictures that are looked at to see what scale the transforms leave them in."""


class Split(Dataset[Any], ABC):
    """One part of a data set; goes straight into ``fit``, ``evaluate`` and ``predict``, with ``batch_size=``.

    It is a map-style data set too: ``split[3]`` is one picture (uint8 or float, shape (C, H, W)) and its target,
    before all transforms. Methods that change something return a new split; the pictures are shared.

    Parameters
    ----------
    targets : Tensor, or nested tuple or dict of tensors
        One row per picture: class numbers of shape (N,), or whatever the loss compares.
    class_names : sequence of str, optional
        Name of each class.
    files : sequence of str, optional
        Where each picture comes from.
    picture_format : PictureFormat
        How files become pictures of this size; ``model.classify`` does the same to others.

    Attributes
    ----------
    targets, class_names, files
        As above.
    in_memory : bool
        Whether looking at all pictures is cheap.

    Examples
    --------
    >>> import easyconv as ec
    >>> split = ec.data.load("digits").train.augment(ec.augment.RandomCrop(8, padding=1)).normalize()
    >>> split
    <ArraySplit: 1,438 pictures of 1x8x8, uint8 in memory, 10 classes>
    >>> image, label = split[0]
    >>> image.shape, split.class_names[label]
    (torch.Size([1, 8, 8]), '0')
    """

    in_memory: bool

    def __init__(
        self,
        targets: Any,
        *,
        class_names: Sequence[str] | None,
        files: Sequence[str] | None,
        picture_format: PictureFormat,
    ) -> None:
        self.targets = targets
        self.class_names = checked_names(class_names, targets)
        self.files = None if files is None else tuple(files)
        self.picture_format = picture_format
        self.pipeline = Pipeline(wrap=wrapping(targets))
        self._facts: Facts | None = None
        if targets is not None and rows_of(targets, "targets") != len(self):
            raise LengthError(f"There are {len(self)} pictures and {rows_of(targets, 'targets')} targets.")

    @abstractmethod
    def __len__(self) -> int:
        """Number of pictures."""

    @abstractmethod
    def pictures(self, rows: Any) -> Tensor:
        """Some of the pictures, by their numbers, as they are kept: shape (n, C, H, W)."""

    @abstractmethod
    def _bare_source(self, batch_size: int, shuffle: bool) -> Source:
        """Batches without transforms."""

    @abstractmethod
    def _only(self: S, rows: Tensor) -> S:
        """A shallow copy with some of the pictures; the rest is seen to."""

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        """One picture and its target, before all transforms."""
        row = self._row(index)
        return self.pictures([row])[0], self._target(row)

    def _row(self, index: Any) -> int:
        if not hasattr(index, "__index__"):
            raise ArgumentTypeError(
                f"A part of a data set takes the number of one picture, got {index!r} ({type(index).__name__}). For "
                "several: split.subset(slice(5)), split.subset([0, 2]), or split.subset(mask)."
            )
        row = operator.index(index)
        if not -len(self) <= row < len(self):
            raise IndexError(f"There are {len(self)} pictures, so no number {row}.")
        return row % len(self)

    def _target(self, row: int) -> Any:
        return taken(self.targets, row)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.picture_format.height, self.picture_format.width

    @property
    def channels(self) -> int:
        """1 for grey pictures, 3 for colour."""
        return self.picture_format.channels

    @property
    def facts(self) -> Facts:
        """What transforms may want to know of the data: mean, standard deviation, class names, some pictures."""
        if self._facts is None:
            self._facts = Facts(self)
        return self._facts

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, of pixels in [0, 1]; from at most 10,000 pictures where they are read from files."""
        return self.facts.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, like `mean`."""
        return self.facts.std

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What makes of a picture what the net gets from this split, for ``model.classify``.

        None for odd numbers of channels, and for floats beyond [0, 1]: nobody knows how bytes become such ones.
        """
        if self.channels not in (1, 3) or not self.facts.unit_range:
            return None
        transform = PictureTransform(self.picture_format, self.pipeline.evaluation)
        return Preprocessing(transform, self.class_names, channels=self.channels)

    def subset(self: S, rows: Any) -> S:
        """The same with some of the pictures only.

        Parameters
        ----------
        rows : sequence of int, slice, or mask
            Their numbers (negative ones count from the end), or a bool for each picture.

        Raises
        ------
        EmptyDataError
            When that is none.
        DataError
            When there are no such numbers, or the mask has another length.
        """
        index = chosen_rows(rows, len(self))
        chosen = self._only(index)
        chosen.targets = taken(self.targets, index)
        chosen.files = None if self.files is None else tuple(self.files[row] for row in index.tolist())
        chosen._facts = None
        return chosen

    def augment(self: S, *transforms: Any, evaluation: Any = ()) -> S:
        """Transform batches at random while training, and only then.

        Parameters
        ----------
        *transforms : Transform or callable
            Of `ec.augment`, of ``torchvision.transforms.v2``, or any function of images. They get whole batches of
            floats in [0, 1] on the device, in the order in which they are named (also by several calls), before what
            `prepare` and `normalize` say. What they lack (the classes of ``MixUp()``, the colours of
            ``PCALighting()``) is taken from these pictures.
        evaluation : Transform or callable, or list of these, optional
            What takes their place when the net does not train, such as ``CenterCrop(224)`` for ``RandomCrop(224)``.

        Raises
        ------
        ArgumentError
            When ``evaluation`` draws at random, a normalization is for training only, or a change of colours follows
            one.
        """
        chance, calm = self._fitted(transforms), self._fitted([evaluation])
        check_calm(calm, "evaluation=")
        check_normalized_alike(chance, calm)
        self._warn_of_functions([*chance, *calm])
        plain = self.pipeline.wrap is None and look_like_masks(self.targets, self.size)
        if plain and any(map(moves_pixels, [*chance, *calm])):
            warn_user(
                "The targets have a value for each pixel, and stay where they are while the images are moved. Make "
                "masks of them, which move along: torchvision.tv_tensors.Mask(targets)."
            )
        return self._with(self.pipeline.augmented(chance, calm))

    def prepare(self: S, *transforms: Any) -> S:
        """Transform all batches, in training, evaluation and prediction; after augmentation, in the order of the calls.

        Parameters
        ----------
        *transforms : Transform or callable
            As in `augment`, but without chance: ``Resize(224)``, ``Normalize()``.
        """
        fitted = self._fitted(transforms)
        check_calm(fitted, "prepare()")
        self._warn_of_functions(fitted)
        return self._with(self.pipeline.followed_by(fitted))

    def _warn_of_functions(self, transforms: Sequence[Transform]) -> None:
        """Notice functions that get images alone, where masks or boxes would have to move along."""
        found = next(
            (part for part in flat(Compose(*transforms)) if getattr(part, "takes_targets", True) is False), None
        )
        if self.pipeline.wrap is not None and found is not None:
            warn_user(
                "A function gets the images alone, and the masks or boxes of this data stay as they are: if it moves "
                "pixels, they no longer fit. Take a transform of ec.augment or of torchvision.transforms.v2 for that."
            )

    def normalize(self: S, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> S:
        """Subtract the mean of each channel and divide by its standard deviation, in all batches.

        Parameters
        ----------
        mean, std : sequence of float, optional
            One number per channel, of pixels in [0, 1]; those of these pictures by default.

        Raises
        ------
        ArgumentError
            When the batches are normalized already, or the numbers are of another scale than the pixels.
        DataError
            When the pictures have another number of channels.
        """
        if self._normalization() is not None:
            raise ArgumentError(
                "The batches are normalized already. Call normalize() once, on the data as it was made."
            )
        normalization = Normalize(mean, std)
        if len(self):
            normalization.fitted(self.facts).check_scale(self._floats(range(min(len(self), _PROBED))))
        return self.prepare(normalization)

    def make_source(self, *, batch_size: int, shuffle: bool) -> Source:
        """Batches for the loop, with the transforms of this split."""
        source = self._bare_source(batch_size, shuffle)
        source.pipeline, source.preprocessing = self.pipeline, self.preprocessing
        return source

    def transform(self, batch: Batch, *, training: bool = False) -> Batch:
        """A batch of floats as the net gets it: augmented where it trains, then prepared."""
        return self.pipeline.run(batch, training=training, at=Position(torch.arange(rows_of(batch.x))))

    def show(self, count: int = 16, *, seed: int | None = 0, path: Any = None) -> Any:
        """Draw some of the pictures as they are kept, with the names of their classes.

        Parameters
        ----------
        count : int, default 16
            How many.
        seed : int, optional, default 0
            Chooses them; None draws them anew each time.
        path : path, optional
            Where to save the figure.

        Returns
        -------
        matplotlib.figure.Figure
        """
        rows = self._some(count, seed)
        titles = titles_of(taken(self.targets, rows), self.class_names)
        return gallery(self.pictures(rows), titles=titles, path=path)

    def show_batch(self, count: int = 16, *, seed: int | None = 0, path: Any = None) -> Any:
        """Draw a batch as the net gets it in training: augmented, its colours given back.

        Parameters
        ----------
        count, seed, path
            As in `show`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        rows = self._some(count, seed)
        pixels = self.pictures(rows)
        pixels = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
        with kept_random_state():
            if seed is not None:
                seed_all(seed)
            batch = self.pipeline.run(Batch(pixels, taken(self.targets, rows)), training=True, at=Position(rows))
        normalization = self._normalization()
        images = batch.x if normalization is None else normalization.inverse()(batch.x).clamp(0, 1)
        return gallery(images, titles=titles_of(batch.y, self.class_names), path=path)

    def _floats(self, rows: Any) -> Tensor:
        """Some of the pictures as the net gets them in evaluation."""
        pixels: Tensor = self.pictures(rows)
        floats = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
        prepared: Tensor = self.transform(Batch(floats, taken(self.targets, torch.as_tensor(rows)))).x
        return prepared

    def _some(self, count: int, seed: int | None) -> Tensor:
        check_integer("count", count, minimum=1)
        generator = None if seed is None else torch.Generator().manual_seed(check_integer("seed", seed, minimum=0))
        return torch.randperm(len(self), generator=generator)[:count]

    def _normalization(self) -> Normalize | None:
        found = [part for part in flat(self.pipeline.evaluation) if isinstance(part, Normalize)]
        return found[-1] if found else None

    def _fitted(self, transforms: Sequence[Any]) -> list[Transform]:
        return [as_transform(transform).fitted(self.facts) for transform in transforms]

    def _with(self: S, pipeline: Pipeline) -> S:
        for transform in (pipeline.training, pipeline.evaluation):
            check_range(transform.transforms, self.facts.unit_range)
        changed = copy.copy(self)
        changed.pipeline = pipeline
        return changed

    def __repr__(self) -> str:
        shape = "x".join(map(str, (self.channels, *self.size)))
        classes = "" if self.class_names is None else f", {len(self.class_names)} classes"
        return f"<{type(self).__name__}: {len(self):,} pictures of {shape}, {self._kept()}{classes}>"

    @abstractmethod
    def _kept(self) -> str:
        """Where the pictures are, in a few words."""
