"""The five blocks of Inception-v3: large filters taken apart into small ones, and two ways to a smaller grid.

Each block is written branch by branch as its figure has it: a list holds the layers of a branch from the input up, a
tuple in it is a fork. The widths are those of Google's released net, which the paper gives in part only.
"""

from torch import nn

from easyconv.arguments import check_choice, check_integer
from easyconv.layers.blocks.basic_conv import basic_conv as conv
from easyconv.layers.blocks.numbered import NumberedBranches
from easyconv.layers.checks import check_widths
from easyconv.layers.keywords import torch_words
from easyconv.layers.pooling import AvgPool2D, MaxPool2D

__all__ = ["InceptionV3A", "InceptionV3B", "InceptionV3C", "InceptionV3D", "InceptionV3E"]


def _avg_pool() -> nn.Module:
    return AvgPool2D(3, stride=1, padding=1)


class InceptionV3A(NumberedBranches):
    """Two 3x3 convolutions in a row in the place of a 5x5.

    =============== ================================== ================================
    branch          layers                             output for (N, C, H, W)
    =============== ================================== ================================
    branch1x1       1x1                                (N, 64, H, W)
    branch5x5       1x1 → 5x5                          (N, 64, H, W)
    branch3x3dbl    1x1 → 3x3 → 3x3                    (N, 96, H, W)
    branch_pool     average pool 3, stride 1 → 1x1     (N, pool_features, H, W)
    together        in this order                      (N, 224 + pool_features, H, W)
    =============== ================================== ================================

    Every convolution is followed by batch norm and ReLU, in all five blocks. Google's released net, and torchvision's
    after it, kept a 5x5 beside the two 3x3; ``kernel_size=3`` makes it the 3x3 of the paper's figure, and calls the
    branch ``branch3x3``.

    Parameters
    ----------
    pool_features : int, default 32
        Channels of the 1x1 convolution after the pooling. The net has 32, 64 and 64.
    branch1x1 : int, default 64
        Channels of the 1x1 convolution.
    branch5x5 : tuple of two int, default (48, 64)
        Channels of the 1x1 and the 5x5 convolution.
    branch3x3dbl : tuple of three int, default (64, 96, 96)
        Channels of the 1x1 and the two 3x3 convolutions.
    kernel_size : {5, 3}, default 5
        Window of the second branch.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 3.1 and figure 5.

    Examples
    --------
    >>> import torch
    >>> InceptionV3A(32)(torch.zeros(1, 192, 35, 35)).shape
    torch.Size([1, 256, 35, 35])
    """

    @torch_words
    def __init__(
        self,
        pool_features: int = 32,
        *,
        branch1x1: int = 64,
        branch5x5: tuple[int, int] = (48, 64),
        branch3x3dbl: tuple[int, int, int] = (64, 96, 96),
        kernel_size: int = 5,
    ) -> None:
        k = check_choice("kernel_size", kernel_size, (5, 3))
        reduce5, out5 = check_widths("branch5x5", branch5x5, 2)
        reduce3, middle3, out3 = check_widths("branch3x3dbl", branch3x3dbl, 3)
        super().__init__(
            {
                "branch1x1": [conv(check_integer("branch1x1", branch1x1, minimum=1), 1)],
                f"branch{k}x{k}": [conv(reduce5, 1), conv(out5, k)],
                "branch3x3dbl": [conv(reduce3, 1), conv(middle3, 3), conv(out3, 3)],
                "branch_pool": [_avg_pool(), conv(check_integer("pool_features", pool_features, minimum=1), 1)],
            }
        )


class InceptionV3B(NumberedBranches):
    """From the 35x35 grid to 17x17: convolutions and a pooling that step by 2, side by side.

    =============== ================================== ================================
    branch          layers                             output for (N, C, H, W)
    =============== ================================== ================================
    branch3x3       3x3 stride 2                       (N, 384, H', W')
    branch3x3dbl    1x1 → 3x3 → 3x3 stride 2           (N, 96, H', W')
    branch_pool     max-pool 3, stride 2               (N, C, H', W')
    together        in this order                      (N, 480 + C, H', W')
    =============== ================================== ================================

    H' is (H - 1) // 2, and W' likewise: nothing is padded. So the grid gets small without a bottleneck before it, and
    without the work of a convolution on the large one.

    Parameters
    ----------
    branch3x3 : int, default 384
        Channels of the 3x3 convolution.
    branch3x3dbl : tuple of three int, default (64, 96, 96)
        Channels of the 1x1 and the two 3x3 convolutions.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 5 and figure 10.

    Examples
    --------
    >>> import torch
    >>> InceptionV3B()(torch.zeros(1, 288, 35, 35)).shape
    torch.Size([1, 768, 17, 17])
    """

    @torch_words
    def __init__(self, branch3x3: int = 384, branch3x3dbl: tuple[int, int, int] = (64, 96, 96)) -> None:
        out = check_integer("branch3x3", branch3x3, minimum=1)
        reduce_, middle, out_dbl = check_widths("branch3x3dbl", branch3x3dbl, 3)
        super().__init__(
            {
                "branch3x3": [conv(out, 3, stride=2, padding=0)],
                "branch3x3dbl": [conv(reduce_, 1), conv(middle, 3), conv(out_dbl, 3, stride=2, padding=0)],
                "branch_pool": [MaxPool2D(3, stride=2)],
            }
        )


class InceptionV3C(NumberedBranches):
    """7x7 convolutions taken apart into a row and a column: 1x7 and 7x1.

    =============== ================================== ================================
    branch          layers                             output for (N, C, H, W)
    =============== ================================== ================================
    branch1x1       1x1                                (N, 192, H, W)
    branch7x7       1x1 → 1x7 → 7x1                    (N, 192, H, W)
    branch7x7dbl    1x1 → 7x1 → 1x7 → 7x1 → 1x7        (N, 192, H, W)
    branch_pool     average pool 3, stride 1 → 1x1     (N, 192, H, W)
    together        in this order                      (N, 768, H, W)
    =============== ================================== ================================

    Parameters
    ----------
    channels_7x7 : int, default 128
        Channels of all 1x7 and 7x1 convolutions but the last of a branch, and of the 1x1 before them. The net has 128,
        160, 160 and 192.
    out_channels : int, default 192
        Channels that each branch gives.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 3.2 and figure 6.

    Examples
    --------
    >>> import torch
    >>> InceptionV3C(128)(torch.zeros(1, 768, 17, 17)).shape
    torch.Size([1, 768, 17, 17])
    """

    @torch_words
    def __init__(self, channels_7x7: int = 128, out_channels: int = 192) -> None:
        c = check_integer("channels_7x7", channels_7x7, minimum=1)
        out = check_integer("out_channels", out_channels, minimum=1)
        row, column = (1, 7), (7, 1)
        super().__init__(
            {
                "branch1x1": [conv(out, 1)],
                "branch7x7": [conv(c, 1), conv(c, row), conv(out, column)],
                "branch7x7dbl": [conv(c, 1), conv(c, column), conv(c, row), conv(c, column), conv(out, row)],
                "branch_pool": [_avg_pool(), conv(out, 1)],
            }
        )


class InceptionV3D(NumberedBranches):
    """From the 17x17 grid to 8x8: as `InceptionV3B`, with a 7x7 taken apart on the way.

    =============== ================================== ================================
    branch          layers                             output for (N, C, H, W)
    =============== ================================== ================================
    branch3x3       1x1 → 3x3 stride 2                 (N, 320, H', W')
    branch7x7x3     1x1 → 1x7 → 7x1 → 3x3 stride 2     (N, 192, H', W')
    branch_pool     max-pool 3, stride 2               (N, C, H', W')
    together        in this order                      (N, 512 + C, H', W')
    =============== ================================== ================================

    H' is (H - 1) // 2, and W' likewise.

    Parameters
    ----------
    branch3x3 : tuple of two int, default (192, 320)
        Channels of the 1x1 and the 3x3 convolution.
    branch7x7x3 : int, default 192
        Channels of all four convolutions of this branch.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 5 and figure 10 for
    the idea; this form is that of Google's released net.

    Examples
    --------
    >>> import torch
    >>> InceptionV3D()(torch.zeros(1, 768, 17, 17)).shape
    torch.Size([1, 1280, 8, 8])
    """

    @torch_words
    def __init__(self, branch3x3: tuple[int, int] = (192, 320), branch7x7x3: int = 192) -> None:
        reduce_, out = check_widths("branch3x3", branch3x3, 2)
        c = check_integer("branch7x7x3", branch7x7x3, minimum=1)
        super().__init__(
            {
                "branch3x3": [conv(reduce_, 1), conv(out, 3, stride=2, padding=0)],
                "branch7x7x3": [conv(c, 1), conv(c, (1, 7)), conv(c, (7, 1)), conv(c, 3, stride=2, padding=0)],
                "branch_pool": [MaxPool2D(3, stride=2)],
            }
        )


class InceptionV3E(NumberedBranches):
    """The expanded filter bank: on the coarsest grid, branches fork into a row and a column side by side.

    =============== ================================== ================================
    branch          layers                             output for (N, C, H, W)
    =============== ================================== ================================
    branch1x1       1x1                                (N, 320, H, W)
    branch3x3       1x1 → 1x3 beside 3x1               (N, 2 * 384, H, W)
    branch3x3dbl    1x1 → 3x3 → 1x3 beside 3x1         (N, 2 * 384, H, W)
    branch_pool     average pool 3, stride 1 → 1x1     (N, 192, H, W)
    together        in this order                      (N, 2048, H, W)
    =============== ================================== ================================

    Parameters
    ----------
    branch1x1 : int, default 320
        Channels of the 1x1 convolution.
    branch3x3 : tuple of two int, default (384, 384)
        Channels of the 1x1, and of the 1x3 and the 3x1 each.
    branch3x3dbl : tuple of three int, default (448, 384, 384)
        Channels of the 1x1 and the 3x3, and of the 1x3 and the 3x1 each.
    branch_pool : int, default 192
        Channels of the 1x1 convolution after the pooling.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, figure 7.

    Examples
    --------
    >>> import torch
    >>> InceptionV3E()(torch.zeros(1, 1280, 8, 8)).shape
    torch.Size([1, 2048, 8, 8])
    """

    @torch_words
    def __init__(
        self,
        branch1x1: int = 320,
        branch3x3: tuple[int, int] = (384, 384),
        branch3x3dbl: tuple[int, int, int] = (448, 384, 384),
        *,
        branch_pool: int = 192,
    ) -> None:
        reduce_, out = check_widths("branch3x3", branch3x3, 2)
        reduce_dbl, middle, out_dbl = check_widths("branch3x3dbl", branch3x3dbl, 3)
        row, column = (1, 3), (3, 1)
        super().__init__(
            {
                "branch1x1": [conv(check_integer("branch1x1", branch1x1, minimum=1), 1)],
                "branch3x3": [conv(reduce_, 1), (conv(out, row), conv(out, column))],
                "branch3x3dbl": [conv(reduce_dbl, 1), conv(middle, 3), (conv(out_dbl, row), conv(out_dbl, column))],
                "branch_pool": [_avg_pool(), conv(check_integer("branch_pool", branch_pool, minimum=1), 1)],
            }
        )
