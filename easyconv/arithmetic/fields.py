"""Receptive fields of a stack of convolutions and poolings."""

from collections.abc import Sequence
from typing import NamedTuple

from easyconv.arguments import check_integer
from easyconv.arithmetic.axes import Axes, is_several, spread
from easyconv.errors import ArgumentError, ArgumentTypeError

__all__ = ["ReceptiveField", "receptive_field", "receptive_field_step"]


class ReceptiveField(NamedTuple):
    """What one output position sees of the input.

    Attributes
    ----------
    size : int, tuple of int, str or None
        Input positions that one output position sees: one number, or one per axis. Of a whole net also ``"all"``;
        ``"?"`` where an operation was not understood; ``None`` where there are no positions.
    jump : int, tuple of int or None
        Input positions from one output position to the next: the stride of the stack as a whole.

    Examples
    --------
    >>> ReceptiveField(5, 1).size
    5
    """

    size: int | tuple[int, ...] | str | None
    jump: int | tuple[int, ...] | None


def receptive_field(layers: Sequence[Sequence[Axes]]) -> ReceptiveField:
    """Receptive field and stride of a stack of convolutions and poolings.

    ===== ==========================================================
    size  ``1 + Σ (f_l - 1) · d_l · (s_1 · s_2 · … · s_{l-1})``
    jump  ``s_1 · s_2 · … · s_L``
    ===== ==========================================================

    Each layer widens the view by its kernel without one tap, counted in the steps that the strides before it have
    made. Padding changes nothing; the field may be larger than the image.

    Parameters
    ----------
    layers : list of tuple
        From the input on, ``(kernel_size, stride)`` or ``(kernel_size, stride, dilation)``. Each is a number, or a
        tuple with one number per axis.

    Returns
    -------
    ReceptiveField
        ``size`` and ``jump``: numbers, or one per axis where any layer tells its axes apart.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a layer is no such tuple, a number makes no sense, or the numbers of axes differ.

    See Also
    --------
    easyconv.receptive_field : of any net, branches included.

    References
    ----------
    A. Araujo, W. Norris and J. Sim, *Computing receptive fields of convolutional neural networks*, Distill (2019),
    doi:10.23915/distill.00021, equation 2.

    Examples
    --------
    Two 3x3 convolutions see what one 5x5 sees, and 1x7 with 7x1 what one 7x7 sees:

    >>> receptive_field([(3, 1), (3, 1)])
    ReceptiveField(size=5, jump=1)
    >>> receptive_field([((1, 7), 1), ((7, 1), 1)])
    ReceptiveField(size=(7, 7), jump=(1, 1))

    The convolutions and poolings of AlexNet:

    >>> receptive_field([(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)])
    ReceptiveField(size=195, jump=32)
    """
    steps = [_checked_layer(layer) for layer in _checked_layers(layers)]
    several = [len(number) for step in steps for number in step if is_several(number)]
    axes = max(several, default=1)
    found = [(1, 1)] * axes
    for step in steps:
        names = zip(("kernel_size", "stride", "dilation"), step, strict=True)
        rows = zip(*(spread(name, value, axes) for name, value in names), strict=True)
        found = [_widened(field, row) for field, row in zip(found, rows, strict=True)]
    sizes, jumps = tuple(size for size, _ in found), tuple(jump for _, jump in found)
    return ReceptiveField(sizes, jumps) if several else ReceptiveField(sizes[0], jumps[0])


def receptive_field_step(
    field: int, jump: int, kernel_size: int, *, stride: int = 1, dilation: int = 1
) -> tuple[int, int]:
    """Receptive field and jump after one more convolution or pooling, along one axis.

    Parameters
    ----------
    field : int
        Input pixels that one position sees so far; 1 at the input.
    jump : int
        Input pixels between neighbouring positions so far; 1 at the input.
    kernel_size, stride, dilation : int
        Of the layer.

    Returns
    -------
    tuple of int
        ``field + (kernel_size - 1) * dilation * jump`` and ``jump * stride``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When a number makes no sense.

    Examples
    --------
    Two stacked 3x3 convolutions see 5x5:

    >>> receptive_field_step(*receptive_field_step(1, 1, 3), 3)
    (5, 1)
    """
    numbers = {"field": field, "jump": jump, "kernel_size": kernel_size, "stride": stride, "dilation": dilation}
    field, jump, taps, step, gap = (check_integer(name, number, minimum=1) for name, number in numbers.items())
    return field + (taps - 1) * gap * jump, jump * step


def _widened(field: tuple[int, int], row: tuple[object, ...]) -> tuple[int, int]:
    kernel_size, stride, dilation = row
    return receptive_field_step(*field, kernel_size, stride=stride, dilation=dilation)  # type: ignore[arg-type]


def _checked_layers(layers: object) -> Sequence[object]:
    if is_several(layers):
        return layers
    raise ArgumentTypeError(
        f"layers must be a list of (kernel_size, stride), got {layers!r} ({type(layers).__name__}). "
        "For a net write easyconv.receptive_field(net, input_shape)."
    )


def _checked_layer(layer: object) -> tuple[object, object, object]:
    """Kernel size, stride and dilation."""
    if not is_several(layer):
        raise ArgumentTypeError(
            f"Each layer must be (kernel_size, stride) or (kernel_size, stride, dilation), got {layer!r} "
            f"({type(layer).__name__}). Write [(3, 1), (3, 1)] for two layers."
        )
    if len(layer) not in (2, 3):
        raise ArgumentError(
            f"Each layer must be (kernel_size, stride) or (kernel_size, stride, dilation), got {tuple(layer)}."
        )
    return layer[0], layer[1], layer[2] if len(layer) == 3 else 1
