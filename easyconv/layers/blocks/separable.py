"""MobileNet's blocks: convolutions that look at each channel by itself, between ones that mix the channels."""

import operator
from collections import OrderedDict
from functools import partial

import torch
from torch import nn

from easyconv.arguments import check_integer
from easyconv.layers.activations import ActivationLike, make_activation
from easyconv.layers.blocks.kinds import depthwise
from easyconv.layers.checks import Size, check_size, each
from easyconv.layers.convolution import Conv2D
from easyconv.layers.keywords import torch_words
from easyconv.layers.normalization import BatchNorm
from easyconv.layers.relative import relative_conv

__all__ = ["DepthwiseSeparable", "InvertedResidual", "with_relu6"]


class DepthwiseSeparable(nn.Sequential):
    """A depthwise and a pointwise convolution, each with batch norm and ReLU: the block of MobileNet.

    =========== ============================ ======================================
    child       made of                      output for (N, C, H, W)
    =========== ============================ ======================================
    depthwise   3x3 for each channel         (N, C, H / stride, W / stride)
    norm1       `BatchNorm`                  the same
    activation1 ``activation``               the same
    pointwise   1x1                          (N, out_channels, H / stride, W / stride)
    norm2       `BatchNorm`                  the same
    activation2 ``activation``               the same
    =========== ============================ ======================================

    Sizes are rounded up. The convolutions have no biases: 9·C + C·out_channels weights. Without norm and activation
    between the two it is ``ConvBlock(out_channels, separable=True)``.

    Parameters
    ----------
    out_channels : int
        Number of filters of the pointwise convolution.
    stride : int or tuple of int, default 1
        Step of the depthwise convolution.
    kernel_size : int or tuple of int, default 3
        Size of the depthwise filters.
    activation : str, type, torch.nn.Module, callable or None, default "relu"
        As `Activation` takes it, used twice.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    arXiv:1704.04861, section 3.1 and figure 3, right.

    Examples
    --------
    >>> DepthwiseSeparable(64, stride=2)(torch.zeros(1, 32, 8, 8)).shape
    torch.Size([1, 64, 4, 4])
    """

    @torch_words
    def __init__(
        self, out_channels: int, stride: Size = 1, *, kernel_size: Size = 3, activation: ActivationLike = "relu"
    ) -> None:
        super().__init__(
            OrderedDict(
                depthwise=depthwise(kernel_size, stride),
                norm1=BatchNorm(),
                activation1=make_activation(activation),
                pointwise=Conv2D(out_channels, 1, bias=False),
                norm2=BatchNorm(),
                activation2=make_activation(activation),
            )
        )


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; the input is added where it fits: the block of MobileNet v2.

    ========== ================================================= =========================================
    child      made of                                           output for (N, C, H, W)
    ========== ================================================= =========================================
    conv.0     1x1, batch norm, ReLU6                            (N, expansion * C, H, W)
    conv.1     3x3 for each channel, batch norm, ReLU6           (N, expansion * C, H / stride, W / stride)
    conv.2     1x1, linear: no activation follows                (N, out_channels, H / stride, W / stride)
    conv.3     batch norm                                        the same
    together   plus the input, where the stride is 1             the same
               and C is out_channels
    ========== ================================================= =========================================

    Sizes are rounded up. The convolutions have no biases. With ``expansion=1`` nothing is widened: the first row is
    left out and the others are called ``conv.0`` to ``conv.2``. The keys of the ``state_dict`` are torchvision's.

    Parameters
    ----------
    out_channels : int
        Number of channels at the end.
    stride : int or tuple of int, default 1
        Step of the 3x3 convolution.
    expansion : int, default 6
        How many times more channels there are between; the paper's t.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    References
    ----------
    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, table 1 and figure 4(d).

    Examples
    --------
    >>> InvertedResidual(24, stride=2)(torch.zeros(1, 16, 8, 8)).shape
    torch.Size([1, 24, 4, 4])
    """

    @torch_words
    def __init__(self, out_channels: int, stride: Size = 1, *, expansion: int = 6) -> None:
        super().__init__()
        times = check_integer("expansion", expansion, minimum=1)
        self.conv = nn.Sequential(
            *([with_relu6(relative_conv(partial(operator.mul, times), 1, bias=False))] if times > 1 else []),
            with_relu6(depthwise(3, stride, padding=1)),
            Conv2D(out_channels, 1, bias=False),
            BatchNorm(),
        )
        self.stride = check_size("stride", stride, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``conv(x)``, plus ``x`` where that is as wide and no step was taken."""
        y: torch.Tensor = self.conv(x)
        keeps = all(step == 1 for step in each(self.stride, 2)) and x.shape[1] == y.shape[1]
        return x + y if keeps else y

    def extra_repr(self) -> str:
        """The stride, which decides with the widths whether the input is added."""
        return f"stride={self.stride}"


def with_relu6(conv: nn.Module) -> nn.Sequential:
    """The convolution, batch norm and ReLU6, as MobileNet v2 has them."""
    return nn.Sequential(conv, BatchNorm(), nn.ReLU6())
