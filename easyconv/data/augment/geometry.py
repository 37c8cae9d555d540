"""Maps of the plane, one for each image, and images sampled through them.

Points are (x, y) in pixels from the upper left corner of the image, so that the centre of the first pixel is
(0.5, 0.5). A matrix of shape (N, 3, 3) maps points of the result to points of the image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["forward_points", "inverse", "map_points", "sample", "to_matrix"]

_OUTSIDE = 1e4


def to_matrix(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """A matrix of shape (N, 3, 3) from nine tensors of shape (N,).

    Examples
    --------
    >>> one, zero = torch.ones(1), torch.zeros(1)
    >>> to_matrix([[one, zero, zero], [zero, one, zero], [zero, zero, one]]).shape
    torch.Size([1, 3, 3])
    """
    return torch.stack([torch.stack(list(row), -1) for row in rows], -2)


def map_points(points: Tensor, matrix: Tensor) -> Tensor:
    """Points of shape (N, K, 2) through matrices of shape (N, 3, 3), perspective divided out.

    Examples
    --------
    >>> map_points(torch.tensor([[[1.0, 2.0]]]), torch.eye(3)[None])
    tensor([[[1., 2.]]])
    """
    x, y = points.unbind(-1)
    # Term by term: the last bits of a matrix product depend on where its operands lie in memory.
    rows = [a[:, None] * x + b[:, None] * y + c[:, None] for a, b, c in (row.unbind(-1) for row in matrix.unbind(-2))]
    return torch.stack(rows[:2], -1) / rows[2][..., None]


def forward_points(points: Tensor, matrix: Tensor) -> Tensor:
    """Where points of the image come to lie in the result."""
    return map_points(points, inverse(matrix))


def inverse(matrix: Tensor) -> Tensor:
    """The maps back, up to a factor, which makes no difference to points: the adjugates of the matrices.

    Examples
    --------
    >>> matrix = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]])
    >>> (inverse(matrix) @ matrix)[0].diagonal()
    tensor([4., 4., 4.])
    """
    rows = matrix.unbind(-2)
    columns = [torch.linalg.cross(rows[one], rows[two]) for one, two in ((1, 2), (2, 0), (0, 1))]
    return torch.stack(columns, -1)


def sample(
    images: Tensor,
    matrix: Tensor,
    size: tuple[int, int],
    *,
    nearest: bool = False,
    border: str = "constant",
    fill: float = 0.0,
) -> Tensor:
    """Images of ``size`` whose pixels are looked up through ``matrix``.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W).
    matrix : Tensor
        Shape (N, 3, 3), from the result to the image.
    size : (int, int)
        Height and width of the result.
    nearest : bool, default False
        Take the nearest pixel, in place of a mean of four.
    border : {"constant", "edge"}, default "constant"
        What lies outside: ``fill``, or the pixel at the border.
    fill : float, default 0.0
        Value outside, in the unit of the images.

    Examples
    --------
    >>> image = torch.arange(4.0).view(1, 1, 2, 2)
    >>> torch.equal(sample(image, torch.eye(3)[None], (2, 2)), image)
    True
    """
    grid = _grid(matrix, size, images.shape[-2:])
    exact = images if images.is_floating_point() else images.to(torch.float32)
    mode, padding = "nearest" if nearest else "bilinear", "border" if border == "edge" else "zeros"
    shifted = exact - fill if fill and border != "edge" else exact  # grid_sample fills with zeros only
    found = functional.grid_sample(shifted, grid.to(exact.dtype), mode, padding, align_corners=False)
    found = found + fill if fill and border != "edge" else found
    return found if images.is_floating_point() else found.round().clamp(0, 255).to(images.dtype)


def _grid(matrix: Tensor, size: tuple[int, int], whole: Sequence[int]) -> Tensor:
    """Where each pixel of the result is looked up, in grid_sample's coordinates from -1 to 1: shape (N, h, w, 2)."""
    height, width = size
    y = torch.arange(height, dtype=matrix.dtype, device=matrix.device) + 0.5
    x = torch.arange(width, dtype=matrix.dtype, device=matrix.device) + 0.5
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).view(1, -1, 2)
    scale = torch.tensor([whole[1] / 2, whole[0] / 2], dtype=matrix.dtype, device=matrix.device)
    places = map_points(centres.expand(len(matrix), -1, -1), matrix) / scale - 1
    # On the horizon of a perspective there is no point of the image: that is outside.
    return places.nan_to_num(_OUTSIDE, _OUTSIDE, _OUTSIDE).view(len(matrix), height, width, 2)
