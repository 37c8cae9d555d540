"""The blocks of residual nets, with torchvision's names for their children."""

from typing import Any

import torch
from torch import nn

from easyconv.arguments import check_choice, check_flag, check_integer
from easyconv.layers.containers import Branch, make_shortcut
from easyconv.layers.convolution import Conv2D
from easyconv.layers.keywords import torch_words
from easyconv.layers.normalization import BatchNorm
from easyconv.layers.shortcut import PaddedIdentity, WithShortcut

__all__ = ["BasicBlock", "Bottleneck", "PreActBlock"]


class BasicBlock(WithShortcut):
    """Two 3x3 convolutions and a way around them; the block of ResNet-18 and 34.

    ========== ============================================== ========================================
    child      made of                                        output for (N, C, H, W)
    ========== ============================================== ========================================
    conv1      3x3, ``stride``, no bias                       (N, out_channels, H / stride, W / stride)
    bn1, relu  `BatchNorm`, ReLU                              the same
    conv2      3x3, no bias                                   the same
    bn2        `BatchNorm`                                    the same
    downsample the way around, from the input                 the same; ``relu`` follows the sum
    ========== ============================================== ========================================

    Sizes are divided by the stride and rounded up.

    Parameters
    ----------
    out_channels : int
        Channels of both convolutions.
    stride : int, default 1
        Step of the first convolution.
    shortcut : "A", "B", "C", torch.nn.Module or list of modules, default "B"
        As in `Residual`. With ``"B"``, a 1x1 convolution and a batch norm where channels or size change.
    zero_init_residual : bool, default False
        Whether the scale of the last batch norm starts at 0, so that the block starts as its shortcut.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.
    ShapeError
        At the forward pass, when the shortcut does not have the shape of the sum.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, figure 5 (left); Goyal et al.,
    "Accurate, Large Minibatch SGD", arXiv:1706.02677, section 5.1, for the scale of 0.

    Examples
    --------
    >>> block = BasicBlock(8, stride=2)
    >>> block(torch.zeros(2, 4, 9, 9)).shape
    torch.Size([2, 8, 5, 5])
    >>> block.downsample[0]
    Conv2d(4, 8, kernel_size=(1, 1), stride=(2, 2), bias=False)
    """

    _way_around = "downsample"

    @torch_words
    def __init__(
        self, out_channels: int, stride: int = 1, *, shortcut: Branch = "B", zero_init_residual: bool = False
    ) -> None:
        super().__init__()
        step = check_integer("stride", stride, minimum=1)
        self.conv1 = _conv3x3(out_channels, step)
        self.bn1 = BatchNorm()
        self.relu = nn.ReLU()
        self.conv2 = _conv3x3(out_channels)
        self.bn2 = _last_norm(zero_init_residual)
        self.downsample = make_shortcut(shortcut, stride=step)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolution, norm, ReLU, convolution, norm; add the way around; ReLU."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: torch.Tensor = self.relu(y + self.around(x, y))
        return out


class Bottleneck(WithShortcut):
    """1x1 to few channels, 3x3, 1x1 to many, and a way around them; the block of ResNet-50, 101 and 152.

    ========== =================================== ==================================================
    child      made of                             output for (N, C, H, W), with stride_at="3x3"
    ========== =================================== ==================================================
    conv1      1x1, no bias                        (N, channels, H, W)
    bn1, relu  `BatchNorm`, ReLU                   the same
    conv2      3x3, ``stride``, no bias            (N, channels, H / stride, W / stride)
    bn2, relu  `BatchNorm`, ReLU                   the same
    conv3      1x1, no bias                        (N, channels * expansion, H / stride, W / stride)
    bn3        `BatchNorm`                         the same
    downsample the way around, from the input      the same; ``relu`` follows the sum
    ========== =================================== ==================================================

    Parameters
    ----------
    channels : int
        Channels of the 3x3 convolution. The block gives ``channels * expansion``.
    stride : int, default 1
        Step over the places.
    expansion : int, default 4
        How many times more channels the last convolution has.
    stride_at : {"3x3", "1x1"}, default "3x3"
        Which convolution steps: the 3x3, as in torchvision ("version 1.5", about half a point better and a little
        slower), or the first 1x1, as in the paper's authors' nets.
    shortcut : "A", "B", "C", torch.nn.Module or list of modules, default "B"
        As in `Residual`. With ``"B"``, a 1x1 convolution and a batch norm where channels or size change.
    zero_init_residual : bool, default False
        Whether the scale of the last batch norm starts at 0, so that the block starts as its shortcut.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.
    ShapeError
        At the forward pass, when the shortcut does not have the shape of the sum.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, figure 5 (right); Goyal et al.,
    "Accurate, Large Minibatch SGD", arXiv:1706.02677, section 5.1, for the scale of 0.

    Examples
    --------
    >>> Bottleneck(4, stride=2)(torch.zeros(2, 8, 9, 9)).shape
    torch.Size([2, 16, 5, 5])
    """

    _way_around = "downsample"

    @torch_words
    def __init__(
        self,
        channels: int,
        stride: int = 1,
        *,
        expansion: int = 4,
        stride_at: str = "3x3",
        shortcut: Branch = "B",
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        width = check_integer("channels", channels, minimum=1)
        step = check_integer("stride", stride, minimum=1)
        at_3x3 = check_choice("stride_at", stride_at, ("3x3", "1x1")) == "3x3"
        self.conv1 = Conv2D(width, 1, stride=1 if at_3x3 else step, bias=False)
        self.bn1 = BatchNorm()
        self.conv2 = _conv3x3(width, step if at_3x3 else 1)
        self.bn2 = BatchNorm()
        self.conv3 = Conv2D(width * check_integer("expansion", expansion, minimum=1), 1, bias=False)
        self.bn3 = _last_norm(zero_init_residual)
        self.relu = nn.ReLU()
        self.downsample = make_shortcut(shortcut, stride=step)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Three times convolution and norm, with ReLU between them; add the way around; ReLU."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: torch.Tensor = self.relu(y + self.around(x, y))
        return out


class PreActBlock(WithShortcut):
    """Norm and ReLU before each of two 3x3 convolutions, and a way around that nothing stands in.

    ========== ============================================== ========================================
    child      made of                                        output for (N, C, H, W)
    ========== ============================================== ========================================
    bn1, relu  `BatchNorm`, ReLU                              (N, C, H, W)
    conv1      3x3, ``stride``, no bias                       (N, out_channels, H / stride, W / stride)
    bn2, relu  `BatchNorm`, ReLU                              the same
    conv2      3x3, no bias                                   the same
    downsample the way around                                 the same; nothing follows the sum
    ========== ============================================== ========================================

    Parameters
    ----------
    out_channels : int
        Channels of both convolutions.
    stride : int, default 1
        Step of the first convolution.
    shortcut : "A", "B", "C", torch.nn.Module or list of modules, default "B"
        As in `Residual`, but a projection has no batch norm, and starts behind ``bn1`` and ``relu``, which it shares
        with the path, as the authors' code has it. An identity (option A, too) starts from the input itself.
    preactivate : bool, default True
        Whether the block begins with ``bn1`` and ``relu``. The first block of a net goes without where norm and ReLU
        follow the net's first convolution, "before splitting into two paths", as the paper's appendix has it.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.
    ShapeError
        At the forward pass, when the shortcut does not have the shape of the sum.

    References
    ----------
    He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016, figures 1(b) and 4(e), and the
    appendix.

    Examples
    --------
    >>> block = PreActBlock(8, stride=2)
    >>> block(torch.zeros(2, 4, 9, 9)).shape
    torch.Size([2, 8, 5, 5])
    >>> block.downsample
    Sequential(
      (0): Conv2d(4, 8, kernel_size=(1, 1), stride=(2, 2), bias=False)
    )
    """

    _way_around = "downsample"

    @torch_words
    def __init__(self, out_channels: int, stride: int = 1, *, shortcut: Branch = "B", preactivate: bool = True) -> None:
        super().__init__()
        step = check_integer("stride", stride, minimum=1)
        self.bn1 = BatchNorm() if check_flag("preactivate", preactivate) else None
        self.relu = nn.ReLU()
        self.conv1 = _conv3x3(out_channels, step)
        self.bn2 = BatchNorm()
        self.conv2 = _conv3x3(out_channels)
        self.downsample = make_shortcut(shortcut, stride=step, norm=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Norm, ReLU, convolution, twice; add the way around."""
        active = x if self.bn1 is None else self.relu(self.bn1(x))
        y = self.conv1(active)
        y = self.conv2(self.relu(self.bn2(y)))
        self.decide(x, y)
        start = x if isinstance(self.downsample, (nn.Identity, PaddedIdentity)) else active
        out: torch.Tensor = y + self.around(start, y)
        return out


def _conv3x3(out_channels: int, stride: int = 1) -> nn.Module:
    return Conv2D(out_channels, 3, stride=stride, padding=1, bias=False)


def _last_norm(zero: object) -> nn.Module:
    """The norm before the sum; its scale may start at 0 in place of 1."""
    norm: Any = BatchNorm()
    if check_flag("zero_init_residual", zero):
        norm.init = _scale_by_zero
    last: nn.Module = norm
    return last


def _scale_by_zero(norm: nn.Module) -> None:
    nn.init.zeros_(norm.weight)  # type: ignore[arg-type]
