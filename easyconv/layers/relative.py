"""Convolutions whose number of filters follows from that of their input channels, which nobody has to say."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from easyconv.layers.checks import Size
from easyconv.layers.lazy_layers import LazyConv2D

__all__ = ["depthwise_conv", "relative_conv"]


def relative_conv(width: Callable[[int], int], kernel_size: Size, **options: Any) -> nn.Module:
    """``nn.Conv2d`` with ``width(C)`` filters for C input channels.

    Parameters
    ----------
    width : callable
        The number of filters from the number of input channels. A function that can be pickled, so that the layer can
        be.
    kernel_size : int or tuple of int
        Size of the filters.
    **options
        As of ``nn.Conv2d``.

    Examples
    --------
    >>> import operator
    >>> from functools import partial
    >>> conv = relative_conv(partial(operator.mul, 6), 1)
    >>> _ = conv(torch.zeros(1, 4, 2, 2))
    >>> conv
    Conv2d(4, 24, kernel_size=(1, 1), stride=(1, 1))
    """
    make: Any = RelativeConv2D
    conv: nn.Module = make(width, kernel_size, **options)
    return conv


def depthwise_conv(kernel_size: Size, **options: Any) -> nn.Module:
    """``nn.Conv2d`` with one filter for each input channel, which sees that channel only.

    Parameters
    ----------
    kernel_size : int or tuple of int
        Size of the filters.
    **options
        As of ``nn.Conv2d``, without groups.

    Examples
    --------
    >>> conv = depthwise_conv(3, bias=False)
    >>> _ = conv(torch.zeros(1, 4, 5, 5))
    >>> conv
    Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), groups=4, bias=False)
    """
    make: Any = DepthwiseConv2D
    conv: nn.Module = make(kernel_size, **options)
    return conv


class _Following(LazyConv2D):
    """Its parameters are there from the start, as with every lazy layer; their sizes wait for the first input."""

    def follow(self, channels: int) -> None:
        """Set the sizes that follow from the number of input channels."""
        raise NotImplementedError

    def initialize_parameters(self, input: torch.Tensor) -> None:  # noqa: A002
        """Take all sizes from the first input."""
        self.follow(self._get_in_channels(input))
        super().initialize_parameters(input)

    def adopt_sizes(self) -> None:
        """Take all sizes from the loaded weight."""
        self.in_channels = self.channels_seen_by(self.weight.shape)
        self.follow(self.in_channels)

    def fits(self, name: str, shape: torch.Size) -> bool:
        """Whether the kernel agrees, and the number of filters with that of the input channels."""
        if name == "bias":
            return len(shape) == 1
        if len(shape) != 4 or tuple(shape[2:]) != tuple(self.kernel_size):
            return False
        return self.filters_for(self.channels_seen_by(shape)) == shape[0]

    def filters_for(self, channels: int) -> int:
        """Number of filters for so many input channels."""
        raise NotImplementedError

    def channels_seen_by(self, shape: torch.Size) -> int:
        """Number of input channels of a weight."""
        raise NotImplementedError


class RelativeConv2D(_Following):
    """What `relative_conv` makes, while it waits for its input."""

    def __init__(self, width: Callable[[int], int], kernel_size: Any, **options: Any) -> None:
        super().__init__(0, kernel_size, **options)
        self._width = width

    def follow(self, channels: int) -> None:
        """Set the number of filters."""
        self.out_channels = self._width(channels)

    def filters_for(self, channels: int) -> int:
        """As ``width`` says."""
        return self._width(channels)

    def channels_seen_by(self, shape: torch.Size) -> int:
        """The second size."""
        return shape[1] * self.groups

    def plain_class(self) -> Any:
        """``nn.Conv2d``."""
        self.__dict__.pop("_width", None)
        return super().plain_class()


class DepthwiseConv2D(_Following):
    """What `depthwise_conv` makes, while it waits for its input."""

    def __init__(self, kernel_size: Any, **options: Any) -> None:
        super().__init__(0, kernel_size, **options)

    def follow(self, channels: int) -> None:
        """Set the number of filters, and as many groups."""
        self.out_channels = self.groups = channels

    def filters_for(self, channels: int) -> int:
        """One for each."""
        return channels

    def channels_seen_by(self, shape: torch.Size) -> int:
        """As many as filters; none for the weight of another kind of convolution, which sees several channels."""
        return shape[0] if shape[1] == 1 else 0
