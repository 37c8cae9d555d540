"""Convolution → batch norm → ReLU as the Inception nets repeat it, with the names of torchvision's weight files."""

from collections import OrderedDict

from torch import nn

from easyconv.layers.checks import Size
from easyconv.layers.convolution import Conv2D
from easyconv.layers.normalization import BatchNorm

__all__ = ["basic_conv"]


def basic_conv(
    out_channels: int, kernel_size: Size, *, stride: int = 1, padding: str | Size = "same", batch_norm: bool = True
) -> nn.Sequential:
    """Children ``conv``, ``bn`` and ``relu``; without batch norm ``conv``, now with a bias, and ``relu``.

    torchvision has this stack as its module ``BasicConv2d``. The 0.001 that is added to the variance is that of
    Google's own nets.

    Examples
    --------
    >>> import torch
    >>> conv = basic_conv(8, 3, stride=2)
    >>> conv(torch.zeros(1, 3, 6, 6)).shape
    torch.Size([1, 8, 3, 3])
    >>> [name for name, _ in conv.named_children()]
    ['conv', 'bn', 'relu']
    """
    steps = OrderedDict(conv=Conv2D(out_channels, kernel_size, stride=stride, padding=padding, bias=not batch_norm))
    if batch_norm:
        steps["bn"] = BatchNorm(eps=0.001)
    steps["relu"] = nn.ReLU()
    return nn.Sequential(steps)
