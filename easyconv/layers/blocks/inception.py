"""Inception blocks: branches with kernels of several sizes, concatenated along the channels."""

from functools import partial

from easyconv.arguments import check_choice, check_flag, check_integer
from easyconv.layers.blocks.basic_conv import basic_conv
from easyconv.layers.checks import check_widths
from easyconv.layers.containers import Branch, Parallel
from easyconv.layers.convolution import Conv2D
from easyconv.layers.keywords import torch_words
from easyconv.layers.pooling import AvgPool2D, MaxPool2D

__all__ = ["InceptionA", "InceptionNaive", "InceptionV1"]


class InceptionA(Parallel):
    """Four branches of convolutions side by side, concatenated along the channels.

    =============== ================================== ================================
    branch          layers                             output for (N, C, H, W)
    =============== ================================== ================================
    branch1x1       1x1                                (N, 16, H, W)
    branch5x5       1x1 → 5x5                          (N, 24, H, W)
    branch3x3       1x1 → 3x3 → 3x3                    (N, 24, H, W)
    branch_pool     average pool 3, stride 1 → 1x1     (N, 24, H, W)
    together        in this order                      (N, 88, H, W)
    =============== ================================== ================================

    The convolutions have biases, and neither norm nor activation.

    Parameters
    ----------
    branch1x1 : int, default 16
        Channels of the 1x1 convolution.
    branch5x5 : tuple of two int, default (16, 24)
        Channels of the 1x1 and the 5x5 convolution.
    branch3x3 : tuple of three int, default (16, 24, 24)
        Channels of the 1x1 and the two 3x3 convolutions.
    branch_pool : int, default 24
        Channels of the 1x1 convolution after the pooling.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, figure 2, for the idea; Szegedy et al., "Rethinking
    the Inception Architecture for Computer Vision", CVPR 2016, figure 5, for the two 3x3 convolutions.

    Examples
    --------
    >>> import torch
    >>> InceptionA()(torch.zeros(1, 10, 12, 12)).shape
    torch.Size([1, 88, 12, 12])
    """

    @torch_words
    def __init__(
        self,
        branch1x1: int = 16,
        branch5x5: tuple[int, int] = (16, 24),
        branch3x3: tuple[int, int, int] = (16, 24, 24),
        *,
        branch_pool: int = 24,
    ) -> None:
        reduce5, out5 = check_widths("branch5x5", branch5x5, 2)
        reduce3, middle3, out3 = check_widths("branch3x3", branch3x3, 3)
        branches: dict[str, Branch] = {
            "branch1x1": Conv2D(check_integer("branch1x1", branch1x1, minimum=1), 1),
            "branch5x5": [Conv2D(reduce5, 1), Conv2D(out5, 5, padding=2)],
            "branch3x3": [Conv2D(reduce3, 1), Conv2D(middle3, 3, padding=1), Conv2D(out3, 3, padding=1)],
            "branch_pool": [
                AvgPool2D(3, stride=1, padding=1),
                Conv2D(check_integer("branch_pool", branch_pool, minimum=1), 1),
            ],
        }
        super().__init__(branches)


class InceptionNaive(Parallel):
    """Convolutions of three sizes and a max-pool side by side, concatenated along the channels.

    =============== ================================== ================================
    branch          layers                             output for (N, C, H, W)
    =============== ================================== ================================
    branch1x1       1x1                                (N, branch1x1, H, W)
    branch3x3       3x3                                (N, branch3x3, H, W)
    branch5x5       5x5                                (N, branch5x5, H, W)
    branch_pool     max-pool 3, stride 1               (N, C, H, W)
    together        in this order                      (N, sum of the four, H, W)
    =============== ================================== ================================

    A ReLU follows every convolution. The pooling hands all its channels on, so that a stack of such blocks grows wider
    and wider, and the 5x5 see all of them: `InceptionV1` is the remedy.

    Parameters
    ----------
    branch1x1, branch3x3, branch5x5 : int
        Channels of the convolutions.
    batch_norm : bool, default False
        Whether a batch norm follows each convolution, which then has no bias.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, figure 2(a).

    Examples
    --------
    >>> import torch
    >>> InceptionNaive(64, 128, 32)(torch.zeros(1, 192, 28, 28)).shape
    torch.Size([1, 416, 28, 28])
    """

    @torch_words
    def __init__(self, branch1x1: int, branch3x3: int, branch5x5: int, *, batch_norm: bool = False) -> None:
        conv = partial(basic_conv, batch_norm=check_flag("batch_norm", batch_norm))
        branches: dict[str, Branch] = {
            "branch1x1": conv(check_integer("branch1x1", branch1x1, minimum=1), 1),
            "branch3x3": conv(check_integer("branch3x3", branch3x3, minimum=1), 3),
            "branch5x5": conv(check_integer("branch5x5", branch5x5, minimum=1), 5),
            "branch_pool": MaxPool2D(3, stride=1, padding=1),
        }
        super().__init__(branches)


class InceptionV1(Parallel):
    """GoogLeNet's block: 1x1 convolutions make the channels few before the 3x3 and the 5x5 look around.

    =============== ================================== ================================
    branch          layers                             output for (N, C, H, W)
    =============== ================================== ================================
    branch1         1x1                                (N, branch1x1, H, W)
    branch2         1x1 → 3x3                          (N, branch3x3[1], H, W)
    branch3         1x1 → 5x5                          (N, branch5x5[1], H, W)
    branch4         max-pool 3, stride 1 → 1x1         (N, pool_proj, H, W)
    together        in this order                      (N, sum of the four, H, W)
    =============== ================================== ================================

    A ReLU follows every convolution. ``InceptionV1(64, (96, 128), (16, 32), 32)`` is the row *inception (3a)* of the
    paper's table 1: #1x1, (#3x3 reduce, #3x3), (#5x5 reduce, #5x5), pool proj.

    Parameters
    ----------
    branch1x1 : int
        Channels of the 1x1 convolution.
    branch3x3 : tuple of two int
        Channels of the 1x1 that reduces, and of the 3x3 convolution.
    branch5x5 : tuple of two int
        Channels of the 1x1 that reduces, and of the 5x5 convolution.
    pool_proj : int
        Channels of the 1x1 convolution after the pooling.
    batch_norm : bool, default False
        Whether a batch norm follows each convolution, which then has no bias. The paper is older than batch norm.
    kernel_size : {5, 3}, default 5
        Window of the branch that is 5x5 in the paper; torchvision's GoogLeNet has 3 there.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    References
    ----------
    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, figure 2(b) and table 1.

    Examples
    --------
    >>> import torch
    >>> block = InceptionV1(64, (96, 128), (16, 32), 32)
    >>> block(torch.zeros(1, 192, 28, 28)).shape
    torch.Size([1, 256, 28, 28])
    """

    @torch_words
    def __init__(
        self,
        branch1x1: int,
        branch3x3: tuple[int, int],
        branch5x5: tuple[int, int],
        pool_proj: int,
        *,
        batch_norm: bool = False,
        kernel_size: int = 5,
    ) -> None:
        conv = partial(basic_conv, batch_norm=check_flag("batch_norm", batch_norm))
        reduce3, out3 = check_widths("branch3x3", branch3x3, 2)
        reduce5, out5 = check_widths("branch5x5", branch5x5, 2)
        check_choice("kernel_size", kernel_size, (5, 3))
        branches: dict[str, Branch] = {
            "branch1": conv(check_integer("branch1x1", branch1x1, minimum=1), 1),
            "branch2": [conv(reduce3, 1), conv(out3, 3)],
            "branch3": [conv(reduce5, 1), conv(out5, kernel_size)],
            "branch4": [
                MaxPool2D(3, stride=1, padding=1),
                conv(check_integer("pool_proj", pool_proj, minimum=1), 1),
            ],
        }
        super().__init__(branches)
