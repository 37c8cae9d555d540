"""Numbers that describe the pictures of a data set: mean and standard deviation of their channels, and a sample."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

__all__ = ["Facts"]

_MOST_READ = 10_000
"""Pictures in files that are read for the statistics; those in memory all count."""
_SAMPLE, _LEAST_SAMPLE, _SAMPLE_PIXELS = 5_000, 100, 64 << 20
_CHUNK = 2048


class Facts:
    """What transforms take from the data that they are fitted to; each is computed when it is asked for first.

    Parameters
    ----------
    split : Split
        Pictures; those in memory are all looked at, of those in files at most 10,000, evenly spaced.

    Attributes
    ----------
    class_names : tuple of str or None
        As the split has them.
    """

    def __init__(self, split: Any) -> None:
        self._split = split
        self.class_names: tuple[str, ...] | None = split.class_names

    @cached_property
    def images(self) -> Tensor:
        """At most 5,000 pictures, evenly spaced; fewer where they are large: 64 MB of pixels."""
        split = self._split
        height, width = split.size
        most = max(_LEAST_SAMPLE, min(_SAMPLE, _SAMPLE_PIXELS // (split.channels * height * width)))
        images: Tensor = split.pictures(_evenly(len(split), most))
        return images

    @cached_property
    def num_classes(self) -> int | None:
        """How many classes there are: as many as have names, else as the class numbers or one-hot rows say."""
        targets = self._split.targets
        if self.class_names is not None:
            return len(self.class_names)
        if not isinstance(targets, Tensor) or not len(targets):
            return None
        if targets.dim() == 2 and targets.shape[1] > 1:
            return int(targets.shape[1])
        return None if targets.is_floating_point() else int(targets.max()) + 1

    @cached_property
    def unit_range(self) -> bool:
        """Whether the pictures are bytes, or floats in [0, 1]."""
        split = self._split
        if not split.in_memory or split.dtype == torch.uint8:
            return True
        bounds = [torch.aminmax(split.pictures(part)) for part in torch.split(torch.arange(len(split)), _CHUNK)]
        return all(low >= 0 and high <= 1 for low, high in bounds)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, of pixels in [0, 1]."""
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, of pixels in [0, 1], over all pixels."""
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        split, rows = self._split, len(self._split)
        chosen = torch.arange(rows) if split.in_memory else _evenly(rows, _MOST_READ)
        sums = torch.zeros(3, split.channels, dtype=torch.float64)
        for part in torch.split(chosen, _CHUNK):
            sums += _sums(split.pictures(part))
        count, first, second = sums
        mean = first / count
        std = (second / count - mean**2).clamp(min=0).sqrt()
        return tuple(mean.tolist()), tuple(std.tolist())


def _evenly(rows: int, most: int) -> Tensor:
    return torch.linspace(0, rows - 1, min(rows, most)).long()


def _sums(images: Tensor) -> Tensor:
    """For each channel the number of pixels, their sum and the sum of their squares; bytes are counted exactly."""
    channels = images.transpose(0, 1).flatten(1)
    if images.dtype != torch.uint8:
        exact = channels.double()
        return torch.stack([torch.full_like(exact[:, 0], exact.shape[1]), exact.sum(1), (exact**2).sum(1)])
    counts = torch.stack([torch.bincount(channel, minlength=256) for channel in channels]).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    return torch.stack([counts.sum(1), counts @ values, counts @ values**2])
