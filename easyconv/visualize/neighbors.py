"""Nearest neighbours in the space of a net's features, as in figure 4 (right) of the AlexNet paper."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError
from easyconv.visualize.answers import as_tensor
from easyconv.visualize.gallery import gallery

__all__ = ["nearest", "neighbors"]

_CHUNK = 1024


def neighbors(
    model: Any,
    queries: Any,
    images: Any,
    *,
    k: int = 6,
    layer: str | None = None,
    batch_size: int = 128,
    class_names: Sequence[str] | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draw, for each query, the images that are nearest to it in the space of a net's features.

    A row per query: first the query itself, then its neighbours by the Euclidean distance of their embeddings, the
    nearest first. The distance stands above each.

    Parameters
    ----------
    model : Model
        Its ``embed`` gives the features.
    queries : Split, tensor or array
        A few images to start from: shape (N, C, H, W).
    images : Split, tensor or array
        Where to look for neighbours. A query that is itself among them is its own nearest neighbour.
    k : int, default 6
        Neighbours per query.
    layer : str, optional
        Dotted name of the layer; by default what reaches the head.
    batch_size : int, default 128
        For the net.
    class_names : sequence of str, optional
        Names for the targets of splits; their own names by default.
    path : path, optional
        Where to save the picture.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ArgumentTypeError
        When ``model`` has no ``embed``.
    ArgumentError
        When there are fewer than ``k`` images.
    MissingExtraError
        When matplotlib is not installed.

    References
    ----------
    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, figure 4 (right).

    Examples
    --------
    >>> import easyconv as ec
    >>> model, images = ec.zoo.resnet20(num_classes=10), torch.rand(20, 3, 32, 32)
    >>> figure = neighbors(model, images[:2], images, k=3)
    >>> len(figure.axes)
    8
    """
    if not callable(getattr(model, "embed", None)):
        raise ArgumentTypeError(
            f"neighbors() needs a model with embed(), got {type(model).__name__}. Wrap it: ec.Model(net)."
        )
    features = [
        torch.from_numpy(model.embed(x, layer=layer, batch_size=batch_size, verbose=0)) for x in (queries, images)
    ]
    rows, distances = nearest(features[0], features[1], k)
    cells, titles = [], []
    for number, (chosen, far) in enumerate(zip(rows, distances, strict=True)):
        cells += [*_pictures(queries, [number]), *_pictures(images, chosen.tolist())]
        titles += [_title("query", queries, number, class_names)]
        titles += [
            _title(f"{d:.3g}", images, row, class_names) for row, d in zip(chosen.tolist(), far.tolist(), strict=True)
        ]
    return gallery(torch.stack(cells), titles=titles, columns=k + 1, path=path)


def nearest(queries: Any, embeddings: Any, k: int) -> tuple[Tensor, Tensor]:
    """The rows that are nearest to each query by Euclidean distance, the nearest first.

    Parameters
    ----------
    queries : tensor or array of shape (Q, D)
    embeddings : tensor or array of shape (N, D)
    k : int
        How many; at most N.

    Returns
    -------
    rows, distances : Tensor of shape (Q, k)

    Raises
    ------
    ArgumentError, DataError
        When there are fewer than ``k`` rows, or the shapes do not fit.

    Examples
    --------
    >>> rows, distances = nearest(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 1.0]]), 2)
    >>> rows, distances
    (tensor([[1, 0]]), tensor([[1., 5.]]))
    """
    queries, embeddings = as_tensor("queries", queries), as_tensor("embeddings", embeddings)
    if queries.dim() != 2 or embeddings.dim() != 2 or queries.shape[1] != embeddings.shape[1]:
        raise DataError(
            f"queries and embeddings must have the shapes (Q, D) and (N, D), got {tuple(queries.shape)} and "
            f"{tuple(embeddings.shape)}."
        )
    if check_integer("k", k, minimum=1) > len(embeddings):
        raise ArgumentError(f"k must be at most the {len(embeddings)} images to look among, got {k}.")
    # Differences, not the shorter formula with a matrix product, which loses the small distances to rounding.
    exact = "donot_use_mm_for_euclid_dist"
    parts = [torch.cdist(part, embeddings, compute_mode=exact).topk(k, largest=False) for part in queries.split(_CHUNK)]
    return torch.cat([part.indices for part in parts]), torch.cat([part.values for part in parts])


def _pictures(data: Any, rows: list[int]) -> list[Tensor]:
    found = data.pictures(rows) if hasattr(data, "pictures") else as_tensor("images", data)[rows]
    return list(found[:, None] if found.dim() == 3 else found)


def _title(first: str, data: Any, row: int, class_names: Sequence[str] | None) -> str:
    targets, names = getattr(data, "targets", None), class_names or getattr(data, "class_names", None)
    if not isinstance(targets, Tensor) or targets.dim() != 1 or targets.is_floating_point():
        return first
    label = int(targets[row])
    return f"{first} · {names[label] if names and label < len(names) else label}"
