"""The residual units of "Identity Mappings in Deep Residual Networks", to be compared with one another.

A unit is ``after(join(shortcut(x), main(x)))``. Figure 4 of the paper varies what ``main`` and ``after`` are made of,
which is the table `_ACTIVATIONS`; figure 2 varies how the two meet, which is the table `_SHORTCUTS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from easyconv.arguments import check_choice, check_integer, check_number
from easyconv.layers.containers import make_shortcut
from easyconv.layers.convolution import Conv2D
from easyconv.layers.keywords import torch_words
from easyconv.layers.normalization import BatchNorm
from easyconv.layers.shortcut import WithShortcut

__all__ = ["ResidualUnit"]

# Figure 4: the path, and what follows the sum.
_ACTIVATIONS: Mapping[str, tuple[str, str]] = {
    "original": ("conv bn relu conv bn", "relu"),
    "bn_after_addition": ("conv bn relu conv", "bn relu"),
    "relu_before_addition": ("conv bn relu conv bn relu", ""),
    "relu_only_preactivation": ("relu conv bn relu conv bn", ""),
    "full_preactivation": ("bn relu conv bn relu conv", ""),
}


@dataclass(frozen=True)
class _Options:
    """What the shortcuts of figure 2 can be told."""

    out_channels: int
    scale: float
    residual_scale: float
    gate_bias: float
    dropout: float


class _ScaledSum(nn.Module):
    """``scale * x + residual_scale * y``."""

    def __init__(self, scale: float, residual_scale: float) -> None:
        super().__init__()
        self.scale, self.residual_scale = scale, residual_scale

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.scale * x + self.residual_scale * y

    def extra_repr(self) -> str:
        return f"scale={self.scale}, residual_scale={self.residual_scale}"


class _GatedSum(nn.Module):
    """``(1 - g) * x + g * y`` where exclusive, or else ``(1 - g) * x + y``, with ``g = sigmoid(W x + b)``.

    The bias is a parameter beside the 1x1 convolution, and not in it, so that it starts where the paper has it however
    the weights of the net are drawn.
    """

    def __init__(self, channels: int, bias: float, *, exclusive: bool) -> None:
        super().__init__()
        self.gate = Conv2D(channels, 1, bias=False)
        self.bias = nn.Parameter(torch.full((channels,), bias))
        self.exclusive = exclusive

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        g = torch.sigmoid(self.gate(x) + self.bias[:, None, None])
        return (1 - g) * x + (g * y if self.exclusive else y)

    def extra_repr(self) -> str:
        return f"exclusive={self.exclusive}"


class _DropoutSum(nn.Module):
    """``dropout(x) + y``."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(p)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        dropped: torch.Tensor = self.dropout(x)
        return dropped + y


# Figure 2: how the way around and the path meet; None is their sum. In (e) it is the way itself that differs.
_SHORTCUTS: Mapping[str, Callable[[_Options], nn.Module | None]] = {
    "identity": lambda options: None,
    "constant_scaling": lambda options: _ScaledSum(options.scale, options.residual_scale),
    "exclusive_gating": lambda options: _GatedSum(options.out_channels, options.gate_bias, exclusive=True),
    "shortcut_only_gating": lambda options: _GatedSum(options.out_channels, options.gate_bias, exclusive=False),
    "conv": lambda options: None,
    "dropout": lambda options: _DropoutSum(options.dropout),
}


class ResidualUnit(WithShortcut):
    """Two 3x3 convolutions and a way around them, in every arrangement that the paper compares.

    ============================ ================================================ ============= ==================
    ``activation`` (figure 4)    the path F                                       after the sum ResNet-110 (error)
    ============================ ================================================ ============= ==================
    ``original``                 conv, BN, ReLU, conv, BN                         ReLU          6.61 %
    ``bn_after_addition``        conv, BN, ReLU, conv                             BN, ReLU      8.17 %
    ``relu_before_addition``     conv, BN, ReLU, conv, BN, ReLU                   nothing       7.84 %
    ``relu_only_preactivation``  ReLU, conv, BN, ReLU, conv, BN                   nothing       6.71 %
    ``full_preactivation``       BN, ReLU, conv, BN, ReLU, conv                   nothing       6.37 %
    ============================ ================================================ ============= ==================

    ============================ ================================================ ==================
    ``shortcut`` (figure 2)      the sum                                          ResNet-110 (error)
    ============================ ================================================ ==================
    ``identity``                 x + F(x)                                         6.61 %
    ``constant_scaling``         0.5 x + 0.5 F(x)                                 12.35 %
    ``exclusive_gating``         (1 - g(x)) x + g(x) F(x)                         8.70 %
    ``shortcut_only_gating``     (1 - g(x)) x + F(x)                              6.91 %
    ``conv``                     BN(1x1(x)) + F(x)                                12.22 %
    ``dropout``                  dropout(x) + F(x)                                above 20 %
    ============================ ================================================ ==================

    Takes (N, C, H, W) to (N, out_channels, H / stride, W / stride), rounded up. The gate is
    ``g(x) = sigmoid(W x + b)`` with a 1x1 convolution.

    Parameters
    ----------
    out_channels : int
        Channels of both convolutions.
    stride : int, default 1
        Step of the first convolution.
    activation : str, default "original"
        Where batch norm and ReLU stand, as in the first table.
    shortcut : str, default "identity"
        How the input and the path meet, as in the second table.
    option : {"A", "B", "C"}, default "A"
        How the input gets the shape of the output before they meet, as in `Residual`; ``"A"``, as in the nets for
        CIFAR, adds no parameters that would blur the comparison. ``shortcut="conv"`` is a convolution in any case.
    scale, residual_scale : float, default 0.5
        Factors of the input and of the path in ``"constant_scaling"``; the paper also has ``residual_scale=1.0``.
    gate_bias : float, default -6.0
        What the bias b of the gates starts with; the paper tries 0 to -10, and this is its best.
    dropout : float, default 0.5
        Probability of a zero on the way around in ``"dropout"``.

    Notes
    -----
    Children are called ``main``, ``shortcut``, ``join`` (where they do not just meet in a sum) and ``after``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.
    ShapeError
        At the forward pass, when no such way takes the input to the shape of the output.

    References
    ----------
    He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016, figures 2 and 4, tables 1 and 2,
    sections 3.1 and 4.1. The errors are the paper's, on CIFAR-10.

    Examples
    --------
    >>> unit = ResidualUnit(4, activation="full_preactivation", shortcut="shortcut_only_gating")
    >>> unit(torch.zeros(2, 4, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    >>> [name for name, _ in unit.main.named_children()]
    ['bn1', 'relu1', 'conv1', 'bn2', 'relu2', 'conv2']
    """

    @torch_words
    def __init__(
        self,
        out_channels: int,
        stride: int = 1,
        *,
        activation: str = "original",
        shortcut: str = "identity",
        option: str = "A",
        scale: float = 0.5,
        residual_scale: float = 0.5,
        gate_bias: float = -6.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        main, after = _ACTIVATIONS[check_choice("activation", activation, tuple(_ACTIVATIONS))]
        join = _SHORTCUTS[check_choice("shortcut", shortcut, tuple(_SHORTCUTS))]
        options = _Options(
            out_channels=check_integer("out_channels", out_channels, minimum=1),
            scale=check_number("scale", scale),
            residual_scale=check_number("residual_scale", residual_scale),
            gate_bias=check_number("gate_bias", gate_bias),
            dropout=check_number("dropout", dropout, minimum=0, below=1),
        )
        step = check_integer("stride", stride, minimum=1)
        self.main = _stack(main, options.out_channels, step)
        self.shortcut = make_shortcut("C" if shortcut == "conv" else option, stride=step)
        self.join = join(options)
        self.after = _stack(after, options.out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``after(join(shortcut(x), main(x)))``."""
        y = self.main(x)
        way = self.around(x, y)
        out: torch.Tensor = self.after(way + y if self.join is None else self.join(way, y))
        return out


def _stack(words: str, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Layers by their words; the second of a kind has the number 2, and only the first convolution steps."""
    stack = nn.Sequential()
    kinds = words.split()
    for place, kind in enumerate(kinds):
        number = kinds[: place + 1].count(kind)
        stack.add_module(f"{kind}{number}", _layer(kind, out_channels, stride if number == 1 else 1))
    return stack


def _layer(kind: str, out_channels: int, stride: int) -> nn.Module:
    makers: dict[str, Callable[[], nn.Module]] = {
        "bn": BatchNorm,
        "conv": lambda: Conv2D(out_channels, 3, stride=stride, padding=1, bias=False),
        "relu": nn.ReLU,
    }
    return makers[kind]()
