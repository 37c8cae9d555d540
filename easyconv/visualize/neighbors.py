"""Nearest neighbours in the space of a net's features, as in figure 4 (right) of the AlexNet paper."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError, LabelError, NonFiniteDataError
from easyconv.visualize.answers import as_tensor, check_length
from easyconv.visualize.answers import labels as class_numbers
from easyconv.visualize.gallery import as_pixels, gallery

__all__ = ["nearest", "neighbors"]

_CHUNK = 2**24
"""Distances at a time."""


def neighbors(
    model: Any,
    queries: Any,
    images: Any,
    *,
    k: int = 6,
    layer: str | None = None,
    batch_size: int = 128,
    query_labels: Any = None,
    labels: Any = None,
    class_names: Sequence[str] | None = None,
    path: str | os.PathLike[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Any:
    """Draw, for each query, the images that are nearest to it in the space of a net's features.

    A row per query: first the query itself, then its neighbours by the Euclidean distance of their embeddings, the
    nearest first. The distance stands above each.

    Parameters
    ----------
    model : Model
        Its ``embed`` gives the features.
    queries : Split, tensor or array
        A few images to start from: shape (N, C, H, W), as the model takes them.
    images : Split, tensor or array
        Where to look for neighbours. A query that is itself among them is its own nearest neighbour.
    k : int, default 6
        Neighbours per query.
    layer : str, optional
        Dotted name of the layer; by default what reaches the head.
    batch_size : int, default 128
        For the net.
    query_labels, labels : tensor or sequence of int, optional
        Classes of the queries and of the images, which stand beside the distances; those of splits by default.
    class_names : sequence of str, optional
        Name of each class; those of splits by default, the class's number otherwise.
    path : path, optional
        Where to save the picture.
    mean, std : sequence of float, optional
        What images that are floats were normalised with, one number per channel; undone before drawing. Splits are
        drawn as they are kept.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ArgumentTypeError
        When ``model`` has no ``embed``.
    ArgumentError
        When there are fewer than ``k`` images, or too many queries for one picture.
    LengthError, LabelError, DataError
        When labels do not belong to the images, have no name, or queries and images are not of one size.
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
    features = [model.embed(x, layer=layer, batch_size=batch_size, verbose=0) for x in (queries, images)]
    rows, distances = nearest(features[0], features[1], k)
    first = [f"query{name}" for name in _classes(queries, "query_labels", query_labels, class_names, range(len(rows)))]
    names = _classes(images, "labels", labels, class_names, rows.flatten().tolist())
    found = [f"{far:.3g}{name}" for far, name in zip(distances.flatten().tolist(), names, strict=True)]
    asked, near = (_pictures(data, some, mean, std) for data, some in ((queries, range(len(rows))), (images, rows)))
    if asked.shape[1:] != near.shape[1:]:
        raise DataError(
            "queries and images stand in one picture and must have the same size and channels, got "
            f"{tuple(asked.shape[1:])} and {tuple(near.shape[1:])}."
        )
    cells = torch.cat([asked[:, None], near.reshape(*rows.shape, *near.shape[1:])], dim=1).flatten(0, 1)
    titles = [title for n in range(len(rows)) for title in (first[n], *found[n * k : (n + 1) * k])]
    return gallery(cells, titles=titles, columns=k + 1, path=path)


def nearest(queries: Any, embeddings: Any, k: int) -> tuple[Tensor, Tensor]:
    """The rows that are nearest to each query by Euclidean distance, the nearest first.

    Parameters
    ----------
    queries : tensor or array of shape (Q, D)
    embeddings : tensor or array of shape (N, D)
        Compared in float64 where one of them is, in float32 otherwise.
    k : int
        How many; at most N. Equal distances come in the order of the rows.

    Returns
    -------
    rows, distances : Tensor of shape (Q, k)

    Raises
    ------
    ArgumentError, DataError
        When there are fewer than ``k`` rows, or the shapes do not fit.
    NonFiniteDataError
        When there are NaN or infinite values.

    Examples
    --------
    >>> rows, distances = nearest(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 1.0]]), 2)
    >>> rows, distances
    (tensor([[1, 0]]), tensor([[1., 5.]]))
    """
    queries, embeddings = _vectors("queries", queries), _vectors("embeddings", embeddings)
    if queries.dim() != 2 or embeddings.dim() != 2 or queries.shape[1] != embeddings.shape[1]:
        raise DataError(
            f"queries and embeddings must have the shapes (Q, D) and (N, D), got {tuple(queries.shape)} and "
            f"{tuple(embeddings.shape)}."
        )
    if check_integer("k", k, minimum=1) > len(embeddings):
        raise ArgumentError(f"k must be at most the {len(embeddings)} images to look among, got {k}.")
    kind = torch.promote_types(queries.dtype, embeddings.dtype)
    parts = queries.to(kind).split(max(1, _CHUNK // len(embeddings)))
    found = [_nearest(part, embeddings.to(kind), k) for part in parts]
    return torch.cat([rows for rows, _ in found]), torch.cat([distances for _, distances in found])


def _nearest(queries: Tensor, embeddings: Tensor, k: int) -> tuple[Tensor, Tensor]:
    # Differences, not the shorter formula with a matrix product, which loses the small distances to rounding.
    distances = torch.cdist(queries, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    rows = distances.topk(k, largest=False).indices
    # Equal distances come in the order of the rows, also those that only some have a place for.
    tied = (distances <= distances.gather(1, rows[:, -1:])).sum(1) > k
    rows[tied] = distances[tied].argsort(dim=1, stable=True)[:, :k]
    rows = rows.sort(dim=1).values
    near = distances.gather(1, rows)
    order = near.argsort(dim=1, stable=True)
    return rows.gather(1, order), near.gather(1, order)


def _vectors(name: str, value: Any) -> Tensor:
    found = as_tensor(name, value)
    found = found if found.dtype == torch.float64 else found.float()
    if not found.isfinite().all():
        raise NonFiniteDataError(f"{name} hold NaN or infinite values, which have no distance. Look at the net.")
    return found


def _pictures(data: Any, rows: Any, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """Some of the images as floats in [0, 1]."""
    chosen = torch.as_tensor(rows).flatten()
    if hasattr(data, "pictures"):
        return _channels_first(as_pixels(data.pictures(chosen.tolist()), None, None))
    images = as_tensor("images", data)[chosen]
    bytes_only = images.dtype == torch.uint8
    return _channels_first(as_pixels(images, None if bytes_only else mean, None if bytes_only else std))


def _channels_first(pixels: Any) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _classes(data: Any, name: str, given: Any, class_names: Sequence[str] | None, rows: Any) -> list[str]:
    """The class of each of some images, as it stands in their titles; empty where it is not known."""
    targets = getattr(data, "targets", None) if given is None else class_numbers(name, given)
    if not isinstance(targets, Tensor) or targets.dim() != 1 or targets.is_floating_point():
        return [""] * len(rows)
    check_length(name, len(targets), len(data))
    names = class_names if class_names is not None else getattr(data, "class_names", None)
    numbers = [int(targets[row]) for row in rows]
    wrong = [number for number in numbers if names is not None and not 0 <= number < len(names)]
    if wrong:
        raise LabelError(f"There is no name for class {wrong[0]}: class_names has {len(names or ())} names.")
    return [f" · {number if names is None else names[number]}" for number in numbers]
