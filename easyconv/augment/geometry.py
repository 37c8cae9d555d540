"""Maps of the plane, one for each image, and images sampled through them.

Points are (x, y) in pixels from the upper left corner of the image, so that the centre of the first pixel is
(0.5, 0.5). Matrices map points of the result to points of the image: of shape (N, 2, 3) where the map is affine, of
shape (N, 3, 3) where it has a perspective.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["forward_points", "inverse", "map_points", "sample", "to_matrix"]

_OUTSIDE = 1e4


def to_matrix(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """A matrix of shape (N, 2, 3) or (N, 3, 3) from six or nine tensors of shape (N,).

    Examples
    --------
    >>> one, zero = torch.ones(1), torch.zeros(1)
    >>> to_matrix([[one, zero, zero], [zero, one, zero]]).shape
    torch.Size([1, 2, 3])
    """
    return torch.stack([torch.stack(list(row), -1) for row in rows], -2)


def map_points(points: Tensor, matrix: Tensor) -> Tensor:
    """Points of shape (N, K, 2) through matrices, perspective divided out.

    Examples
    --------
    >>> map_points(torch.tensor([[[1.0, 2.0]]]), torch.eye(3)[None])
    tensor([[[1., 2.]]])
    """
    x, y = points.unbind(-1)
    # Term by term: the last bits of a matrix product depend on where its operands lie in memory.
    rows = [a[:, None] * x + b[:, None] * y + c[:, None] for a, b, c in (row.unbind(-1) for row in matrix.unbind(-2))]
    mapped = torch.stack(rows[:2], -1)
    return mapped / rows[2][..., None] if len(rows) == 3 else mapped


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
    last = matrix.new_tensor([0.0, 0.0, 1.0]).expand(len(matrix), 3)
    rows = (*matrix.unbind(-2), last)[:3]
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
    times: int = 1,
) -> Tensor:
    """Images of ``size`` whose pixels are looked up through ``matrix``.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W).
    matrix : Tensor
        Shape (N, 2, 3) or (N, 3, 3), from the result to the image.
    size : (int, int)
        Height and width of the result.
    nearest : bool, default False
        Take the nearest pixel, in place of a mean of four.
    border : {"constant", "edge"}, default "constant"
        What lies outside: ``fill``, or the pixel at the border.
    fill : float, default 0.0
        Value outside, in the unit of the images.
    times : int, default 1
        How often each pixel of the result is sampled each way; their mean is taken.

    Examples
    --------
    >>> image = torch.arange(4.0).view(1, 1, 2, 2)
    >>> torch.equal(sample(image, torch.eye(3)[None], (2, 2)), image)
    True
    """
    grid = _grid(_finer(matrix, times), (size[0] * times, size[1] * times), images.shape[-2:])
    exact = images if images.is_floating_point() else images.to(torch.float32)
    mode, padding = "nearest" if nearest else "bilinear", "border" if border == "edge" else "zeros"
    shifted = exact - fill if fill and border != "edge" else exact  # grid_sample fills with zeros only
    found = functional.grid_sample(shifted, grid.to(exact.dtype), mode, padding, align_corners=False)
    found = found + fill if fill and border != "edge" else found
    found = functional.avg_pool2d(found, times) if times > 1 else found
    return found if images.is_floating_point() else found.round().clamp(0, 255).to(images.dtype)


def _finer(matrix: Tensor, times: int) -> Tensor:
    """The same map from points of a result that is so many times as large."""
    if times == 1:
        return matrix
    return matrix * matrix.new_tensor([1 / times, 1 / times, 1.0])


def _grid(matrix: Tensor, size: tuple[int, int], whole: Sequence[int]) -> Tensor:
    """Where each pixel of the result is looked up, in grid_sample's coordinates from -1 to 1: shape (N, h, w, 2)."""
    x, y = (torch.arange(extent, dtype=matrix.dtype, device=matrix.device) + 0.5 for extent in reversed(size))

    def plane(row: Tensor, scale: float, shift: float) -> Tensor:
        """A linear function of all pixels: sums of one of x and one of y, which is all the work there is."""
        a, b, c = (row * scale).unbind(-1)
        return (b[:, None] * y + (c + shift)[:, None])[:, :, None] + (a[:, None] * x)[:, None, :]

    rows = matrix.unbind(-2)
    if len(rows) == 2:
        return torch.stack([plane(rows[0], 2 / whole[1], -1.0), plane(rows[1], 2 / whole[0], -1.0)], -1)
    depth = plane(rows[2], 1.0, 0.0)
    places = [plane(row, 2 / extent, 0.0) / depth - 1 for row, extent in zip(rows, (whole[1], whole[0]), strict=False)]
    # On the horizon of a perspective there is no point of the image, and beyond it only what lies behind the eye.
    return torch.where((depth > 0)[..., None], torch.stack(places, -1), _OUTSIDE)
