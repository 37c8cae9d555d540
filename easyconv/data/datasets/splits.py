"""A whole data set: the parts to train, validate and test on."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from easyconv.arguments import check_number
from easyconv.augment.transform import as_transform
from easyconv.data.class_names import check_numbering
from easyconv.data.datasets.split import Split
from easyconv.data.sources.splits import class_codes, split_indices
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = ["Splits"]

_PARTS = ("train", "validation", "test")


class Splits:
    """The parts of a data set, each of which goes straight into ``fit``, ``evaluate`` and ``predict``.

    What makes data returns one of these: `load`, `image_folder`, `from_arrays`. Methods that change something return a
    new object; the pictures are shared.

    Parameters
    ----------
    train : Split
        To train on.
    validation, test : Split, optional
        To choose by, and to test on at the end.

    Raises
    ------
    DataError
        When a part has other channels or another scale of pixels than ``train``, or numbers its classes otherwise.

    Attributes
    ----------
    train, validation, test : Split or None
        As above.

    Examples
    --------
    >>> import torch, easyconv as ec
    >>> images, labels = torch.randint(0, 256, (100, 3, 8, 8), dtype=torch.uint8), torch.arange(100) % 2
    >>> data = ec.data.from_arrays((images, labels), class_names=["cat", "dog"])
    >>> data = data.hold_out(0.2).augment(ec.augment.RandomHorizontalFlip()).normalize()
    >>> model = ec.Sequential([ec.ConvBlock(4), ec.layers.Flatten(), ec.layers.Dense(2)])
    >>> model.compile()
    >>> history = model.fit(data.train, validation_data=data.validation, batch_size=20, verbose=0)
    >>> model.predict(data.validation).shape
    (20, 2)
    """

    def __init__(self, train: Split, validation: Split | None = None, test: Split | None = None) -> None:
        for name, part in zip(_PARTS, (train, validation, test), strict=True):
            if not isinstance(part, Split) and (part is not None or name == "train"):
                raise ArgumentTypeError(
                    f"{name} must be a Split, as load(), image_folder(), from_arrays() and cache() make it, got "
                    f"{type(part).__name__}."
                )
        self.train, self.validation, self.test = train, validation, test
        for name, part in self.parts.items():
            _check_alike(train, part, name)

    @property
    def parts(self) -> dict[str, Split]:
        """Those that exist, by name."""
        named = {name: getattr(self, name) for name in _PARTS}
        return {name: part for name, part in named.items() if part is not None}

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Name of each class."""
        return self.train.class_names

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel of the training pictures, of pixels in [0, 1]."""
        return self.train.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel of the training pictures, of pixels in [0, 1]."""
        return self.train.std

    def hold_out(self, validation: float = 0.1, *, seed: int = 0) -> "Splits":
        """Take a part of the training pictures to validate on.

        Parameters
        ----------
        validation : float, default 0.1
            The share, between 0 and 1. Class labels are stratified: each class gives its share, to within one picture.
        seed : int, default 0
            Chooses the pictures, the same on every machine.

        Raises
        ------
        ArgumentError
            When there is a validation part already.
        DataError
            When a part would be empty.
        """
        check_number("validation", validation, above=0, below=1)
        if self.validation is not None:
            raise ArgumentError(
                f"There are {len(self.validation)} pictures to validate on already. Leave hold_out() out, or make "
                "Splits(data.train, test=data.test) first."
            )
        codes = _codes_of(self.train)
        kept, held = split_indices(len(self.train), codes, fraction=validation, seed=seed, name="validation")
        return Splits(self.train.subset(kept), self.train.subset(held), self.test)

    def augment(self, *transforms: Any, evaluation: Any = ()) -> "Splits":
        """Transform batches at random while training; validation and test never see it.

        Parameters
        ----------
        *transforms, evaluation
            As in `Split.augment`. What they lack is taken from the training pictures.
        """
        facts = self.train.facts
        chance = [as_transform(transform).fitted(facts) for transform in transforms]
        calm = as_transform(evaluation).fitted(facts)
        rest = {name: part.augment(evaluation=calm) for name, part in self.parts.items() if name != "train"}
        return Splits(self.train.augment(*chance, evaluation=calm), **rest)

    def prepare(self, *transforms: Any) -> "Splits":
        """Transform all batches of all parts, in training, evaluation and prediction; see `Split.prepare`."""
        fitted = [as_transform(transform).fitted(self.train.facts) for transform in transforms]
        return self._each(lambda part: part.prepare(*fitted))

    def normalize(self, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> "Splits":
        """Subtract the mean of each channel and divide by its standard deviation, in all parts.

        Parameters
        ----------
        mean, std : sequence of float, optional
            One number per channel, of pixels in [0, 1]; those of the training pictures by default.
        """
        if mean is None and std is None:
            mean, std = self.mean, self.std
        return self._each(lambda part: part.normalize(mean, std))

    def show(self, count: int = 16, **arguments: Any) -> Any:
        """Draw some of the training pictures; see `Split.show`."""
        return self.train.show(count, **arguments)

    def show_batch(self, count: int = 16, **arguments: Any) -> Any:
        """Draw a batch as the net gets it in training; see `Split.show_batch`."""
        return self.train.show_batch(count, **arguments)

    def _each(self, change: Callable[[Split], Split]) -> "Splits":
        return Splits(**{name: change(part) for name, part in self.parts.items()})

    def __repr__(self) -> str:
        lines = [f"  {name + ':':<12}{part!r}" for name, part in self.parts.items()]
        return "\n".join(["Splits(", *lines, ")"])


def _check_alike(train: Split, part: Split, name: str) -> None:
    """Refuse a part whose pixels or labels mean something else than those that are trained on."""
    if part.channels != train.channels:
        raise DataError(f"{name} has pictures of {part.channels} channels, and train has {train.channels}.")
    if part.facts.unit_range != train.facts.unit_range:
        wide, narrow = (name, "train") if train.facts.unit_range else ("train", name)
        raise DataError(
            f"{wide} has pixels beyond [0, 1], and {narrow} has bytes or floats in [0, 1]: the net would meet other "
            "numbers in one than in the other. Scale both alike."
        )
    check_numbering(part.class_names, train.class_names, name)
    if part.preprocessing is not None and train.preprocessing is not None:
        given, known = part.preprocessing.normalization, train.preprocessing.normalization
        if given != known:
            raise DataError(
                f"{name} is normalized by other numbers than train. Normalize them together: "
                "Splits(train, ...).normalize()."
            )


def _codes_of(split: Split) -> Tensor | None:
    """Numbers of the classes to stratify by: what has names is a class, however few pictures there are of it."""
    targets = split.targets
    if not isinstance(targets, Tensor):
        return None
    named = split.class_names is not None and targets.dim() == 1 and not targets.is_floating_point()
    if named and len(targets) and targets.min() >= 0:
        return targets.long()
    return class_codes(targets)
