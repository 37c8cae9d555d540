"""Fully connected layers and embeddings."""

from torch import nn

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.layers.activations import ActivationLike, with_activation
from easyconv.layers.initializers import InitLike, set_init
from easyconv.layers.keywords import torch_words
from easyconv.layers.lazy_layers import LazyDense

__all__ = ["Dense", "Embedding"]


@torch_words
def Dense(
    out_features: int, bias: bool = True, activation: ActivationLike = None, *, init: InitLike = None
) -> nn.Module:
    """Fully connected layer; the number of input features is inferred.

    Acts on the last dimension, as ``torch.nn.Linear``: (N, ..., in_features) becomes (N, ..., out_features). Put
    `Flatten` before it where it should see whole images.

    Parameters
    ----------
    out_features : int
        Number of units, at least 1.
    bias : bool, default True
        Whether to add a bias.
    activation : str, type, torch.nn.Module or callable, optional
        As `Activation` takes it.
    init : str or callable, optional
        Initial weights, as `initialize` takes them; the bias is zero then. By default the ``init`` of the net, or
        torch's own values.

    Returns
    -------
    torch.nn.Module
        A layer that becomes a plain ``torch.nn.Linear`` at the first forward pass. With an activation, a
        ``torch.nn.Sequential`` of the children ``linear`` and ``activation``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> Dense(10)(torch.zeros(4, 32)).shape
    torch.Size([4, 10])
    """
    if not isinstance(bias, bool):
        raise ArgumentTypeError(
            f"bias must be True or False, got {bias!r} ({type(bias).__name__}). Dense infers the size of its input, so "
            "write Dense(out_features); an activation is given by name: activation='relu'."
        )
    linear = LazyDense(check_integer("out_features", out_features, minimum=1), bias=bias)
    return with_activation(set_init(linear, init), "linear", activation)


@torch_words
def Embedding(num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> nn.Module:
    """Table of vectors, one per token id.

    Takes whole numbers of shape (N, L) and gives (N, L, embedding_dim).

    Parameters
    ----------
    num_embeddings : int
        Number of different ids, which go from 0 to ``num_embeddings - 1``.
    embedding_dim : int
        Length of a vector.
    padding_idx : int, optional
        Id of padding: its vector is zero and is not trained.

    Returns
    -------
    torch.nn.Embedding
        A plain layer.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or has another name here.

    Examples
    --------
    >>> import torch
    >>> Embedding(1000, 16)(torch.zeros(2, 5, dtype=torch.int64)).shape
    torch.Size([2, 5, 16])
    """
    count = check_integer("num_embeddings", num_embeddings, minimum=1)
    if padding_idx is not None:
        check_integer("padding_idx", padding_idx, minimum=-count)
        if padding_idx >= count:
            raise ArgumentError(f"padding_idx must be less than num_embeddings={count}, got {padding_idx}.")
    return nn.Embedding(count, check_integer("embedding_dim", embedding_dim, minimum=1), padding_idx=padding_idx)
