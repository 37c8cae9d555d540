"""Poolings over all places of a channel."""

from collections import OrderedDict

from torch import nn

from easyconv.layers.keywords import torch_words

__all__ = ["GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalMaxPool1D", "GlobalMaxPool2D"]


def _global(pool: nn.Module) -> nn.Module:
    return nn.Sequential(OrderedDict(pool=pool, flatten=nn.Flatten()))


@torch_words
def GlobalAvgPool1D() -> nn.Module:
    """Mean of each channel: (N, C, L) becomes (N, C).

    Returns
    -------
    torch.nn.Sequential
        Plain layers called ``pool`` and ``flatten``.

    Examples
    --------
    >>> import torch
    >>> GlobalAvgPool1D()(torch.zeros(1, 3, 8)).shape
    torch.Size([1, 3])
    """
    return _global(nn.AdaptiveAvgPool1d(1))


@torch_words
def GlobalAvgPool2D() -> nn.Module:
    """Mean of each channel: (N, C, H, W) becomes (N, C).

    Returns
    -------
    torch.nn.Sequential
        Plain layers called ``pool`` and ``flatten``.

    References
    ----------
    Lin, Chen and Yan, "Network In Network", ICLR 2014, section 3.2.

    Examples
    --------
    >>> import torch
    >>> GlobalAvgPool2D()(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3])
    """
    return _global(nn.AdaptiveAvgPool2d(1))


@torch_words
def GlobalMaxPool1D() -> nn.Module:
    """Largest value of each channel: (N, C, L) becomes (N, C).

    Returns
    -------
    torch.nn.Sequential
        Plain layers called ``pool`` and ``flatten``.

    Examples
    --------
    >>> import torch
    >>> GlobalMaxPool1D()(torch.zeros(1, 3, 8)).shape
    torch.Size([1, 3])
    """
    return _global(nn.AdaptiveMaxPool1d(1))


@torch_words
def GlobalMaxPool2D() -> nn.Module:
    """Largest value of each channel: (N, C, H, W) becomes (N, C).

    Returns
    -------
    torch.nn.Sequential
        Plain layers called ``pool`` and ``flatten``.

    Examples
    --------
    >>> import torch
    >>> GlobalMaxPool2D()(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3])
    """
    return _global(nn.AdaptiveMaxPool2d(1))
