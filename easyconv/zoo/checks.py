"""What all nets ask of their arguments."""

from collections.abc import Sequence

from easyconv.arguments import check_choice, check_integer, checked_keywords
from easyconv.errors import ArgumentError

__all__ = ["check_net", "choose_version", "net_words"]

_HEAD = "Make the net, and look at print(net): a stack without its last layer is net[:-1]."
_SIZES = "Nets take images of any size that is not too small; small=True, where there is one, is for 28x28 and 32x32."

net_words = checked_keywords(
    {
        "classes": "Write num_classes=.",
        "classifier_activation": "Nets end with raw outputs; model.predict_proba() gives probabilities.",
        "include_top": _HEAD,
        "input_shape": _SIZES,
        "input_size": _SIZES,
        "input_tensor": "Call the net: net(images).",
        "pooling": _HEAD,
        "pretrained": 'Write weights="imagenet".',
        "progress": "The download shows its progress by itself.",
        "small": "This net is for small images as it is.",
        "weights": "There are no trained weights for this net: train it with fit().",
    }
)
"""Decorate a net, so that a word of Keras's or torchvision's that it does not know gets an error that names ours."""


def check_net(num_classes: object, in_channels: object) -> None:
    """See that a net can be made with so many classes and channels.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When one of them is no integer of at least 1.
    """
    check_integer("num_classes", num_classes, minimum=1)
    check_integer("in_channels", in_channels, minimum=1)


def choose_version(version: str | None, versions: Sequence[str], weights: str | None) -> str:
    """Which of the versions of a net is meant: the first by default, torchvision's where its weights are asked for.

    Raises
    ------
    ArgumentError
        When there is no such version, or it has no trained weights.
    """
    if version is None:
        return versions[0] if weights is None else "torchvision"
    check_choice("version", version, versions)
    if weights is not None and version != "torchvision":
        raise ArgumentError(
            f"weights={weights!r} are torchvision's, and do not fit version={version!r}; leave version out, or weights."
        )
    return version
