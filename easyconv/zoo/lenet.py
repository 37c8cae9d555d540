"""LeNet-5, the net that read cheques: as published in 1998, and as it is taught today."""

import torch
from torch import nn

from easyconv.arguments import check_choice, check_flag
from easyconv.errors import ArgumentError
from easyconv.layers import Conv2D, Dense, Flatten, MaxPool2D, ZeroPad2D
from easyconv.layers.activations import with_activation
from easyconv.layers.blocks.lenet import RBF, PartialConv2D, ScaledTanh, Subsampling
from easyconv.layers.initializers import InitLike
from easyconv.model import Sequential
from easyconv.zoo.checks import check_net, net_words
from easyconv.zoo.initial import choose_init

__all__ = ["lenet5"]

# Table I: which maps of S2 (rows, 0 to 5) each map of C3 sees (columns, 0 to 15).
_TABLE_I = """
    X . . . X X X . . X X X X . X X
    X X . . . X X X . . X X X X . X
    X X X . . . X X X . . X . X X X
    . X X X . . X X X X . . X . X X
    . . X X X . . X X X X . X X . X
    . . . X X X . . X X X X . X X X
"""

# Codes of the digits, 7 x 12 pixels each: ink is +1, paper -1. Drawn after the style of figure 3, not copied from it.
_DIGITS = """
    ....... ....... ....... ....... ....... ....... ....... ....... ....... .......
    ..###.. ...##.. .#####. ####### ....##. ####### ..####. ####### .#####. .#####.
    .##.##. ..###.. ##...## .....## ...###. ##..... .##.... ##...## ##...## ##...##
    ##...## .####.. .....## ....##. ..####. ##..... ##..... .....## ##...## ##...##
    ##...## ...##.. .....## ...##.. .##.##. ##..... ##..... ....##. ##...## ##...##
    ##...## ...##.. ....##. ..####. ##..##. ######. ######. ....##. .#####. ##...##
    ##...## ...##.. ...##.. .....## ##..##. .....## ##...## ...##.. ##...## .######
    ##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
    ##...## ...##.. .##.... .....## ....##. .....## ##...## ..##... ##...## .....##
    .##.##. ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## ....##.
    ..###.. .###### ####### .#####. ....##. .#####. .#####. ..##... .#####. .####..
    ....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


@net_words
def lenet5(
    num_classes: int = 10,
    in_channels: int = 1,
    *,
    input_size: int = 32,
    modern: bool = False,
    output: str | None = None,
    init: InitLike = "paper",
) -> Sequential:
    """LeNet-5 (LeCun et al., 1998), for images of 32x32 or 28x28.

    ======  ===================================================  ==========  ==========
    layer   what it does                                         output      parameters
    ======  ===================================================  ==========  ==========
    c1      convolution 5x5, scaled tanh                         6@28x28     156
    s2      sum of 2x2, a coefficient and a bias, scaled tanh    6@14x14     12
    c3      convolution 5x5 by table I, scaled tanh              16@10x10    1,516
    s4      as s2                                                16@5x5      32
    c5      convolution 5x5, scaled tanh                         120@1x1     48,120
    f6      dense, scaled tanh                                   84          10,164
    output  distances to fixed codes (RBF)                       10          none
    ======  ===================================================  ==========  ==========

    Parameters
    ----------
    num_classes : int, default 10
        Number of classes.
    in_channels : int, default 1
        Channels of the images.
    input_size : {32, 28}, default 32
        Height and width of the images; those of 28 are padded by 2, as MNIST was for the paper.
    modern : bool, default False
        ReLU for tanh, max-pooling for subsampling, a full convolution in C3 and a dense output: 61,706 parameters.
    output : {"rbf", "dense"}, optional
        The last layer. ``"rbf"``, as published, has the negative squared distances from F6 to fixed codes, little
        pictures of the digits: scores that ``loss="cross_entropy"`` takes as any others. By default ``"rbf"`` for ten
        classes where the net is not ``modern``, and ``"dense"`` otherwise.
    init : str or callable, default "paper"
        Initial weights. ``"paper"`` is uniform within 2.4 divided by the number of inputs of a unit, with biases of
        zero; ``"he"`` where the net is ``modern``.

    Returns
    -------
    Sequential
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or codes are wanted for other than ten classes.

    Notes
    -----
    The paper prints its codes, for all of ASCII, as a picture (figure 3); ours are drawn in that style for the ten
    digits, pixel by pixel different. It scales pixels to -0.1 for paper and 1.175 for ink; it does not say how biases
    start.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the
    IEEE 86, 1998, section II.B, figure 2, table I and appendix A.

    Examples
    --------
    >>> lenet5().count_params()
    60000
    >>> lenet5(modern=True, input_size=28).count_params()
    61706
    """
    check_net(num_classes, in_channels)
    check_choice("input_size", input_size, (32, 28))
    squash = nn.ReLU if check_flag("modern", modern) else ScaledTanh
    init = choose_init(init, "he" if modern else _by_inputs)
    c3 = Conv2D(16, 5) if modern else PartialConv2D(_table(), 5, init=init)
    return Sequential(
        [
            *([("pad", ZeroPad2D(2))] if input_size == 28 else []),
            ("c1", Conv2D(6, 5, activation=squash())),
            ("s2", MaxPool2D(2) if modern else Subsampling(6)),
            ("c3", with_activation(c3, "conv", squash())),
            ("s4", MaxPool2D(2) if modern else Subsampling(16)),
            ("c5", Conv2D(120, 5, activation=squash())),
            ("flatten", Flatten()),
            ("f6", Dense(84, activation=squash())),
            ("output", _output(output, num_classes, modern)),
        ],
        input_shape=(in_channels, input_size, input_size),
        name="lenet5",
        init=init,
    )


def _by_inputs(weight: torch.Tensor) -> torch.Tensor:
    """Appendix A: uniform within 2.4 by the number of inputs of a unit."""
    bound = 2.4 / weight[0].numel()
    return nn.init.uniform_(weight, -bound, bound)


def _table() -> list[list[int]]:
    """Table I, column by column."""
    rows = [line.split() for line in _TABLE_I.strip().splitlines()]
    return [[row for row, mark in enumerate(column) if mark == "X"] for column in zip(*rows, strict=True)]


def _codes() -> torch.Tensor:
    """The ten pictures as rows of 84 numbers."""
    pictures = zip(*(line.split() for line in _DIGITS.strip().splitlines()), strict=True)
    return torch.tensor([[1.0 if pixel == "#" else -1.0 for pixel in "".join(lines)] for lines in pictures])


def _output(kind: str | None, num_classes: int, modern: bool) -> nn.Module:
    if kind is None:
        kind = "rbf" if num_classes == 10 and not modern else "dense"
    if check_choice("output", kind, ("rbf", "dense")) == "dense":
        return Dense(num_classes)
    if num_classes != 10:
        raise ArgumentError(
            f'output="rbf" has codes for the ten digits only, and num_classes={num_classes}. Write output="dense".'
        )
    return RBF(_codes())
