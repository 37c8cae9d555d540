"""The pieces of LeNet-5 that went out of use: subsampling with weights, a partly connected convolution, RBF units.

`easyconv.zoo.lenet5` is made of them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.layers.activations import ActivationLike, make_activation
from easyconv.layers.convolution import Conv2D
from easyconv.layers.initializers import InitLike, set_init

__all__ = ["RBF", "PartialConv2D", "ScaledTanh", "Subsampling"]


class ScaledTanh(nn.Module):
    """``1.7159 * tanh(2/3 * x)``: it takes 1 to 1 and -1 to -1, where its curvature is largest.

    Output shape equals input shape.

    References
    ----------
    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 1998, equation 6 and appendix A.

    Examples
    --------
    >>> ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.0000,  0.0000,  1.0000])
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The squashed values."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Sequential):
    """Add the four values of each 2x2 window, multiply by a trainable coefficient, add a trainable bias, squash.

    Each map has one coefficient and one bias. That is a depthwise 1x1 convolution of the sums, and made as one.

    ==========  ==================  =================
    child       output              parameters
    ==========  ==================  =================
    sum         (N, C, H/2, W/2)
    scale       (N, C, H/2, W/2)    2 C
    activation  (N, C, H/2, W/2)
    ==========  ==================  =================

    Parameters
    ----------
    channels : int
        Number of maps.
    activation : str, type, torch.nn.Module or callable, optional
        `ScaledTanh` by default, as in the paper.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.
    ShapeError
        At the first forward pass, when there is another number of maps.

    References
    ----------
    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 1998, section II.B, layer S2.

    Examples
    --------
    >>> layer = Subsampling(6)
    >>> layer(torch.zeros(1, 6, 28, 28)).shape, sum(p.numel() for p in layer.parameters())
    (torch.Size([1, 6, 14, 14]), 12)
    """

    def __init__(self, channels: int, *, activation: ActivationLike = ScaledTanh) -> None:
        maps = check_integer("channels", channels, minimum=1)
        super().__init__(
            OrderedDict(
                sum=nn.AvgPool2d(2, divisor_override=1),
                scale=set_init(Conv2D(maps, 1, groups=maps), _of_four),
                activation=make_activation(activation),
            )
        )


def _of_four(weight: torch.Tensor) -> torch.Tensor:
    """Appendix A: uniform within 2.4 by the number of inputs of a unit, which here is the window's four."""
    return nn.init.uniform_(weight, -2.4 / 4, 2.4 / 4)


class PartialConv2D(nn.Module):
    """Convolution whose output maps each look at some of the input maps only.

    There are weights for the connections and no others. For the forward pass they are put into their places in the
    weight of a full convolution, zeros elsewhere: that is several times faster than a convolution for each map.
    Takes (N, C, H, W) and gives (N, len(table), H', W').

    Parameters
    ----------
    table : sequence of sequences of int
        For each output map, the numbers of the input maps that it sees. The largest is the last input map.
    kernel_size : int
        Height and width of the filters.
    init : str or callable, optional
        Initial weights, drawn for each output map by the number of its own inputs; torch's own by default.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When the table is empty, or has something else in it than numbers of maps.

    References
    ----------
    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 1998, section II.B and table I.

    Examples
    --------
    >>> conv = PartialConv2D([(0, 1), (1, 2), (0, 1, 2)], 5)
    >>> conv(torch.zeros(1, 3, 14, 14)).shape, sum(p.numel() for p in conv.parameters())
    (torch.Size([1, 3, 10, 10]), 178)
    """

    places: torch.Tensor

    def __init__(self, table: Sequence[Sequence[int]], kernel_size: int, *, init: InitLike = None) -> None:
        super().__init__()
        maps = _checked(table)
        size = check_integer("kernel_size", kernel_size, minimum=1)
        self.in_channels, self.out_channels = 1 + max(map(max, maps)), len(maps)
        # each output map is a small convolution of its own, as far as its weights are concerned
        convs: list[Any] = [set_init(nn.Conv2d(len(inputs), 1, size), init) for inputs in maps]
        self.weight = nn.Parameter(torch.cat([conv.weight[0] for conv in convs]).detach())
        self.bias = nn.Parameter(torch.cat([conv.bias for conv in convs]).detach())
        places = [row * self.in_channels + channel for row, inputs in enumerate(maps) for channel in inputs]
        self.register_buffer("places", torch.tensor(places))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output maps."""
        size = self.weight.shape[-1]
        full = self.weight.new_zeros(self.out_channels * self.in_channels, size, size)
        full = full.index_copy(0, self.places, self.weight)
        return F.conv2d(x, full.view(self.out_channels, self.in_channels, size, size), self.bias)

    def extra_repr(self) -> str:
        """Maps, connections and size of the filters."""
        size = self.weight.shape[-1]
        return f"{self.in_channels}, {self.out_channels}, connections={len(self.weight)}, kernel_size=({size}, {size})"


def _checked(table: Sequence[Sequence[int]]) -> list[list[int]]:
    if not isinstance(table, (list, tuple)) or not all(isinstance(inputs, (list, tuple)) for inputs in table):
        raise ArgumentTypeError(
            f"table must be a list with a list of input maps for each output map, like [(0, 1), (1, 2)]; got {table!r}."
        )
    if not table or not all(table):
        raise ArgumentError(f"table must name at least one input map for each output map, got {table!r}.")
    maps = [[check_integer("a number in table", channel, minimum=0) for channel in inputs] for inputs in table]
    if any(len(set(inputs)) < len(inputs) for inputs in maps):
        raise ArgumentError(f"table must name an input map once for each output map at most, got {table!r}.")
    return maps


class RBF(nn.Module):
    """Euclidean radial basis function units with fixed centres, one per class.

    A unit of the paper gives the squared distance from its input to its centre, a penalty: the smaller, the more likely
    the class. Here the sign is turned, so that the output is a score as other layers give it: the largest wins, and
    with ``loss="cross_entropy"`` the loss is the paper's equation 9, but for its rubbish class.

    Takes (N, F) and gives (N, classes).

    Parameters
    ----------
    codes : torch.Tensor
        The centres, of shape (classes, F). They are not trained: a buffer, no parameter.

    Raises
    ------
    ArgumentTypeError
        When ``codes`` is no tensor of two dimensions.

    References
    ----------
    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 1998, section II.B, equation 7,
    and section II.C.

    Examples
    --------
    >>> rbf = RBF(torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))
    >>> rbf(torch.tensor([[1.0, 0.0]]))
    tensor([[-1., -5.]])
    """

    codes: torch.Tensor

    def __init__(self, codes: torch.Tensor) -> None:
        super().__init__()
        if not isinstance(codes, torch.Tensor) or codes.dim() != 2:
            raise ArgumentTypeError(f"codes must be a tensor of shape (classes, features), got {codes!r}.")
        self.register_buffer("codes", codes.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Negative squared distances to all centres."""
        return -(x[:, None] - self.codes).square().sum(dim=2)

    def extra_repr(self) -> str:
        """Features and classes."""
        return f"in_features={self.codes.shape[1]}, classes={self.codes.shape[0]}"
