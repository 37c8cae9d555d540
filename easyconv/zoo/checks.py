"""What all nets ask of their arguments."""

from easyconv.arguments import check_integer, checked_keywords

__all__ = ["check_net", "net_words"]

net_words = checked_keywords(
    {
        "classes": "Write num_classes=.",
        "include_top": "A net without its last layers is a slice: net[:-1].",
        "input_shape": "Write in_channels=; other sizes of images work too, small=True is for 28x28 and 32x32.",
        "input_tensor": "Call the net: net(images).",
        "pooling": "A net without its last layers is a slice: net[:-1].",
        "pretrained": 'Write weights="imagenet".',
        "progress": "The download shows its progress by itself.",
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
