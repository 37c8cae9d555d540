"""How a block makes its convolution: at one stroke, or as two that need fewer numbers. One function for each kind."""

from collections import OrderedDict

from torch import nn

from easyconv.arguments import check_flag
from easyconv.errors import ArgumentError
from easyconv.layers.checks import Size, check_padding, check_size, each
from easyconv.layers.convolution import Conv2D
from easyconv.layers.relative import depthwise_conv

__all__ = ["depthwise", "factorized", "separable"]


def depthwise(
    kernel_size: Size, stride: Size = 1, *, padding: str | Size = "same", dilation: Size = 1, bias: bool = False
) -> nn.Module:
    """One k x k filter for each channel: k·k·C weights.

    Examples
    --------
    >>> import torch
    >>> depthwise(3, 2)(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 4, 4, 4])
    """
    kernel, step = check_size("kernel_size", kernel_size, 2), check_size("stride", stride, 2)
    spread = check_size("dilation", dilation, 2)
    return depthwise_conv(
        kernel,
        stride=step,
        padding=check_padding(padding, kernel, step, spread, 2),
        dilation=spread,
        bias=check_flag("bias", bias),
    )


def separable(
    out_channels: int,
    kernel_size: Size,
    stride: Size,
    *,
    padding: str | Size,
    dilation: Size,
    groups: int,
    bias: bool,
) -> nn.Module:
    """Each channel by itself, k x k, then all channels at each point, 1x1: k·k·C + C·C' weights for k·k·C·C'.

    There is nothing between the two, and one bias, at the end: one before would be the same once more.

    References
    ----------
    Sifre, "Rigid-Motion Scattering for Image Classification", PhD thesis, 2014, section 6.2; Chollet, "Xception",
    CVPR 2017, sections 1.2 and 4.7 (nothing between is better than a ReLU).
    """
    if groups != 1:
        raise ArgumentError(f"separable=True has a group for each channel already; leave out groups={groups!r}.")
    return nn.Sequential(
        OrderedDict(
            depthwise=depthwise(kernel_size, stride, padding=padding, dilation=dilation),
            pointwise=Conv2D(out_channels, 1, bias=bias),
        )
    )


def factorized(
    out_channels: int,
    kernel_size: Size,
    stride: Size,
    *,
    padding: str | Size,
    dilation: Size,
    groups: int,
    bias: bool,
) -> nn.Module:
    """Along the rows, 1 x n, then along the columns, n x 1: n·C·C' + n·C'·C' weights for n·n·C·C'.

    There is nothing between the two, and one bias, at the end, so that it is the n x n convolution whose kernels are
    outer products. The children are called by their kernels: ``conv1x3`` and ``conv3x1``.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 3.2.
    """
    kernel = check_size("kernel_size", kernel_size, 2)
    step, spread = check_size("stride", stride, 2), check_size("dilation", dilation, 2)
    pad = check_padding(padding, kernel, step, spread, 2)
    height, width = each(kernel, 2)
    if 1 in (height, width):
        raise ArgumentError(
            f"factorized=True needs a kernel larger than 1 in both directions, got kernel_size={kernel_size!r}."
        )
    (down, right), (spread_down, spread_right) = each(step, 2), each(spread, 2)
    pad_rows, pad_columns = (pad, pad) if isinstance(pad, str) else ((0, each(pad, 2)[1]), (each(pad, 2)[0], 0))
    rows = Conv2D(
        out_channels,
        (1, width),
        (1, right),
        padding=pad_rows,
        dilation=(1, spread_right),
        groups=groups,
        bias=False,
    )
    columns = Conv2D(
        out_channels,
        (height, 1),
        (down, 1),
        padding=pad_columns,
        dilation=(spread_down, 1),
        groups=groups,
        bias=bias,
    )
    return nn.Sequential(OrderedDict([(f"conv1x{width}", rows), (f"conv{height}x1", columns)]))
