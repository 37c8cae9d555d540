"""What can be known of transforms beforehand: which cut off colours, and which move pixels."""

from collections.abc import Iterable

from easyconv.augment.chance import RandomApply
from easyconv.augment.normalization import Normalize
from easyconv.augment.transform import Compose, Foreign, GeometricTransform, ImageTransform, Transform
from easyconv.errors import ArgumentError

__all__ = ["check_calm", "check_normalized_alike", "check_range", "flat", "moves_pixels"]

_TORCHVISION_GEOMETRY = "torchvision.transforms.v2._geometry"


def flat(transform: Transform) -> list[Transform]:
    """The parts of a composed transform, and of those that it is composed of.

    Examples
    --------
    >>> flat(Compose(Compose(Normalize([0], [1])), Compose()))
    [Normalize(mean=(0.0,), std=(1.0,))]
    """
    if isinstance(transform, RandomApply):
        return flat(transform.transform)
    if not isinstance(transform, Compose):
        return [transform]
    return [part for inner in transform.transforms for part in flat(inner)]


def check_range(transforms: Iterable[Transform], unit_range: bool) -> None:
    """Refuse a change of colours for images beyond [0, 1], which it would cut off.

    Parameters
    ----------
    transforms : iterable of Transform
        In their order.
    unit_range : bool
        Whether the images that come in are bytes, or floats in [0, 1].

    Raises
    ------
    ArgumentError
        When a transform of colours follows a normalization, or the images are beyond [0, 1] from the start.

    Examples
    --------
    >>> check_range([Normalize([0.5], [0.5])], unit_range=True)
    """
    before = None if unit_range else "the images, which go beyond [0, 1]"
    for part in (inner for transform in transforms for inner in flat(transform)):
        if isinstance(part, ImageTransform) and part.limited and before is not None:
            raise ArgumentError(
                f"{type(part).__name__} takes images in [0, 1], and would cut off what lies outside; here it comes "
                f"after {before}. Let colours be changed first: augment() before normalize(), on bytes or floats in "
                "[0, 1]."
            )
        if _normalizes(part):
            before = "a normalization"


def check_calm(transforms: Iterable[Transform], what: str) -> None:
    """Refuse transforms that draw at random where the net does not train.

    Parameters
    ----------
    transforms : iterable of Transform
        For batches of evaluation and prediction.
    what : str
        Where they were given, for the message.

    Raises
    ------
    ArgumentError
        When there is one.

    Examples
    --------
    >>> check_calm([Normalize([0.5], [0.5])], "prepare()")
    """
    # What holds the others does not draw itself, but RandomApply is looked through by `flat`.
    named = [part for transform in transforms for part in (transform, *flat(transform)) if part.by_chance]
    if named:
        raise ArgumentError(
            f"{what} is for batches that the net does not train on, too, and {type(named[0]).__name__} draws at random "
            "(or needs the epoch): results would differ from time to time. Pass it to augment()."
        )


def check_normalized_alike(training: Iterable[Transform], evaluation: Iterable[Transform]) -> None:
    """Refuse a normalization that only training would see.

    Parameters
    ----------
    training, evaluation : iterable of Transform
        What batches get when the net trains, and what they get in its place otherwise.

    Raises
    ------
    ArgumentError
        When one of both has a normalization, and the other has none.

    Examples
    --------
    >>> check_normalized_alike([Normalize([0.5], [0.5])], [Normalize([0.5], [0.5])])
    """
    here, there = (any(map(_normalizes, flat(Compose(*transforms)))) for transforms in (training, evaluation))
    if here != there:
        raise ArgumentError(
            f"augment() normalizes {'training' if here else 'evaluation'} only, and the net would meet other numbers "
            f"{'everywhere else' if here else 'in training'}. Pass the normalization to normalize() or prepare(), "
            "which are for all batches."
        )


def moves_pixels(transform: Transform) -> bool:
    """Whether masks and boxes have to move along with it.

    Examples
    --------
    >>> from easyconv.augment.flips import RandomHorizontalFlip
    >>> moves_pixels(Compose(RandomHorizontalFlip())), moves_pixels(Normalize([0], [1]))
    (True, False)
    """
    return any(
        isinstance(part, GeometricTransform)
        or (isinstance(part, Foreign) and type(part.function).__module__ == _TORCHVISION_GEOMETRY)
        for part in flat(transform)
    )


def _normalizes(part: Transform) -> bool:
    foreign = isinstance(part, Foreign) and type(part.function).__name__ == "Normalize"
    return foreign or isinstance(part, Normalize)
