"""What transforms draw for each sample, from torch's global generator of the images' device."""

import math

import torch
from torch import Tensor

__all__ = ["drawn_extents", "uniform"]


def uniform(low: float, high: float, images: Tensor) -> Tensor:
    """A number for each image, evenly distributed: shape (N,).

    Examples
    --------
    >>> uniform(3.0, 3.0, torch.zeros(2, 1, 4, 4))
    tensor([3., 3.])
    """
    return low + (high - low) * torch.rand(len(images), device=images.device)


def drawn_extents(scale: tuple[float, float], ratio: tuple[float, float], images: Tensor) -> tuple[Tensor, Tensor]:
    """Two sides of a rectangle for each image, in pixels, which may be longer than the image's.

    Parameters
    ----------
    scale : (float, float)
        Its area as a share of the image's, evenly distributed.
    ratio : (float, float)
        The second side divided by the first, evenly distributed on a logarithmic scale.
    images : Tensor
        Shape (N, C, H, W).

    Examples
    --------
    >>> drawn_extents((0.25, 0.25), (4.0, 4.0), torch.zeros(1, 1, 8, 8))
    (tensor([2.]), tensor([8.]))
    """
    area = uniform(*scale, images) * images.shape[-2] * images.shape[-1]
    shape = uniform(math.log(ratio[0]), math.log(ratio[1]), images).exp()
    return (area / shape).sqrt(), (area * shape).sqrt()
