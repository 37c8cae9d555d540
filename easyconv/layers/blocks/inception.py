"""Inception blocks: branches with kernels of several sizes, concatenated along the channels."""

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentTypeError
from easyconv.layers.containers import Branch, Parallel
from easyconv.layers.convolution import Conv2D
from easyconv.layers.keywords import torch_words
from easyconv.layers.pooling import AvgPool2D

__all__ = ["InceptionA"]


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
        reduce5, out5 = _widths("branch5x5", branch5x5, 2)
        reduce3, middle3, out3 = _widths("branch3x3", branch3x3, 3)
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


def _widths(name: str, values: object, count: int) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or len(values) != count:
        raise ArgumentTypeError(f"{name} must be {count} numbers of channels, got {values!r}.")
    return tuple(check_integer(name, value, minimum=1) for value in values)
