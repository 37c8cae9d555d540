"""DenseNet's two parts: blocks in which every layer sees all layers before it, and transitions between them."""

import math
from collections import OrderedDict
from functools import partial

import torch
from torch import nn

from easyconv.arguments import check_integer, check_number
from easyconv.errors import ArgumentError
from easyconv.layers.convolution import Conv2D
from easyconv.layers.keywords import torch_words
from easyconv.layers.normalization import BatchNorm
from easyconv.layers.relative import relative_conv

__all__ = ["DenseBlock", "Transition"]


class DenseBlock(nn.Module):
    """Layers that each get all maps made so far, and add a few of their own.

    ================= ========================================================= ===============================
    child             made of                                                   output for (N, C, H, W)
    ================= ========================================================= ===============================
    denselayer1       norm1, relu1, conv1 (1x1), norm2, relu2, conv2 (3x3)      (N, k, H, W)
    ...               the same                                                  the same
    denselayerL       the same                                                  the same
    together          the input and all of these                                (N, C + L * k, H, W)
    ================= ========================================================= ===============================

    Here k is ``growth_rate`` and L ``num_layers``. The convolutions have no biases.

    Parameters
    ----------
    num_layers : int
        Number of layers.
    growth_rate : int, default 32
        Maps that each layer adds.
    bottleneck : int or None, default 4
        The 1x1 convolution before each 3x3 leaves ``bottleneck * growth_rate`` maps (DenseNet-B). None leaves it out:
        a layer is then norm1, relu1 and conv1 (3x3).
    dropout : float, default 0.0
        Probability of a zero at the end of each layer; 0 leaves it out.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", CVPR 2017, equation 2 and
    section 3.

    Examples
    --------
    >>> DenseBlock(6)(torch.zeros(1, 64, 4, 4)).shape
    torch.Size([1, 256, 4, 4])
    """

    @torch_words
    def __init__(
        self, num_layers: int, growth_rate: int = 32, *, bottleneck: int | None = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_integer("growth_rate", growth_rate, minimum=1)
        if bottleneck is not None:
            check_integer("bottleneck", bottleneck, minimum=1)
        check_number("dropout", dropout, minimum=0, below=1)
        for number in range(1, check_integer("num_layers", num_layers, minimum=1) + 1):
            self.add_module(f"denselayer{number}", _dense_layer(growth_rate, bottleneck, dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The input, and what each layer makes of all that comes before it."""
        for layer in self.children():
            x = torch.cat([x, layer(x)], dim=1)
        return x


def _dense_layer(growth_rate: int, bottleneck: int | None, dropout: float) -> nn.Sequential:
    """Norm, ReLU and convolution, twice or once."""
    widths = [(growth_rate, 3)] if bottleneck is None else [(bottleneck * growth_rate, 1), (growth_rate, 3)]
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (maps, kernel) in enumerate(widths, start=1):
        steps[f"norm{number}"] = BatchNorm()
        steps[f"relu{number}"] = nn.ReLU()
        steps[f"conv{number}"] = Conv2D(maps, kernel, padding=kernel // 2, bias=False)
    if dropout:
        steps["dropout"] = nn.Dropout(dropout)
    return nn.Sequential(steps)


class Transition(nn.Sequential):
    """Fewer maps of half the size: what stands between two dense blocks.

    ========== ========================== =====================================
    child      made of                    output for (N, C, H, W)
    ========== ========================== =====================================
    norm       `BatchNorm`                the same
    relu       ``nn.ReLU``                the same
    conv       1x1, without bias          (N, floor(reduction * C), H, W)
    pool       average, 2x2               (N, floor(reduction * C), H/2, W/2)
    ========== ========================== =====================================

    Parameters
    ----------
    reduction : float, optional
        Share of the maps that is left, in (0, 1]; the paper's θ. 0.5 where ``out_channels`` is not given either.
    out_channels : int, optional
        Number of the maps that are left, in place of a share.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, has another name here, or both are given.

    References
    ----------
    Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", CVPR 2017, section 3
    ("Pooling layers", "Compression").

    Examples
    --------
    >>> Transition()(torch.zeros(1, 256, 8, 8)).shape
    torch.Size([1, 128, 4, 4])
    """

    @torch_words
    def __init__(self, reduction: float | None = None, *, out_channels: int | None = None) -> None:
        super().__init__()
        self.norm = BatchNorm()
        self.relu = nn.ReLU()
        self.conv = _compressing(reduction, out_channels)
        self.pool = nn.AvgPool2d(2)


def _compressing(reduction: float | None, out_channels: int | None) -> nn.Module:
    if out_channels is None:
        share = check_number("reduction", 0.5 if reduction is None else reduction, above=0, maximum=1)
        return relative_conv(partial(_share_of, share), 1, bias=False)
    if reduction is not None:
        raise ArgumentError(
            f"Give reduction or out_channels, not both; got reduction={reduction!r}, out_channels={out_channels!r}."
        )
    return Conv2D(out_channels, 1, bias=False)


def _share_of(share: float, channels: int) -> int:
    """⌊θm⌋ of m maps, and one at least."""
    return max(1, math.floor(share * channels + 1e-9))  # 0.29 * 100 is a little less than 29 in floats
