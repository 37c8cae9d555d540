"""Squeeze and excite: weigh each channel by what the whole image says."""

from functools import partial

import torch
from torch import nn

from easyconv.arguments import check_flag, check_integer
from easyconv.errors import ArgumentError
from easyconv.layers.activations import ActivationLike, make_activation
from easyconv.layers.convolution import Conv2D
from easyconv.layers.keywords import torch_words
from easyconv.layers.relative import relative_conv

__all__ = ["SqueezeExcite"]


class SqueezeExcite(nn.Module):
    """Multiply each channel by a number between 0 and 1 that is computed from the means of all channels.

    =========== ============================ ============================
    child       made of                      output for (N, C, H, W)
    =========== ============================ ============================
    avgpool     mean of each channel         (N, C, 1, 1)
    fc1         1x1, a dense layer           (N, C // reduction, 1, 1)
    activation  ``activation``               the same
    fc2         1x1, a dense layer           (N, C, 1, 1)
    gate        ``gate``                     the same
    together    the input times the gate     (N, C, H, W)
    =========== ============================ ============================

    It can stand anywhere; in a residual block it is the end of the main path: ``Residual([..., SqueezeExcite()])``.
    The keys of its ``state_dict`` are those of ``torchvision.ops.SqueezeExcitation``.

    Parameters
    ----------
    reduction : int, optional
        How many times fewer channels there are between the two dense layers, at least one; 16 where
        ``squeeze_channels`` is not given either.
    squeeze_channels : int, optional
        Number of channels between the two, in place of a ratio.
    activation : str, type, torch.nn.Module or callable, default "relu"
        Between the two, as `Activation` takes it.
    gate : str, type, torch.nn.Module or callable, default "sigmoid"
        After the second, as `Activation` takes it.
    bias : bool, default True
        Whether the two dense layers have biases.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, has another name here, or both ``reduction`` and ``squeeze_channels`` are
        given.

    References
    ----------
    Hu, Shen and Sun, "Squeeze-and-Excitation Networks", CVPR 2018, section 3, equations 2 to 4 (reduction 16: table 5).

    Examples
    --------
    >>> block = SqueezeExcite()
    >>> block(torch.ones(1, 64, 8, 8)).shape
    torch.Size([1, 64, 8, 8])
    >>> block.fc1
    Conv2d(64, 4, kernel_size=(1, 1), stride=(1, 1))
    """

    @torch_words
    def __init__(
        self,
        reduction: int | None = None,
        *,
        squeeze_channels: int | None = None,
        activation: ActivationLike = "relu",
        gate: ActivationLike = "sigmoid",
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_flag("bias", bias)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = _squeezing(reduction, squeeze_channels, bias)
        self.activation = make_activation(activation)
        self.fc2 = relative_conv(self._channels, 1, bias=bias)
        self.gate = make_activation(gate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The input, each channel times its gate."""
        gate: torch.Tensor = self.gate(self.fc2(self.activation(self.fc1(self.avgpool(x)))))
        return gate * x

    def _channels(self, squeezed: int) -> int:
        """Width of ``fc2``: as many channels as came in, which ``fc1`` has seen."""
        return int(self.fc1.in_channels)  # type: ignore[arg-type]


def _squeezing(reduction: int | None, squeeze_channels: int | None, bias: bool) -> nn.Module:
    if squeeze_channels is None:
        times = check_integer("reduction", 16 if reduction is None else reduction, minimum=1)
        return relative_conv(partial(_part_of, times), 1, bias=bias)
    if reduction is not None:
        raise ArgumentError(
            f"Give reduction or squeeze_channels, not both; got reduction={reduction!r}, "
            f"squeeze_channels={squeeze_channels!r}."
        )
    return Conv2D(check_integer("squeeze_channels", squeeze_channels, minimum=1), 1, bias=bias)


def _part_of(times: int, channels: int) -> int:
    return max(1, channels // times)
