"""What a net expects to be given, as its first layer tells."""

from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from easyconv.layers.lazy import Undecided

__all__ = ["InputFacts", "expected_input", "first_layer"]

# these take inputs of many kinds, and so tell nothing of the net's input
_TRANSPARENT = (
    nn.Identity,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.Flatten,
    nn.Unflatten,
    nn.Upsample,
    nn.LayerNorm,
    nn.GroupNorm,
    _NormBase,
    Undecided,
)
_KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "tokens": (nn.Embedding, nn.EmbeddingBag),
    "image": (nn.Conv2d, nn.ConvTranspose2d),
    "sequence": (nn.Conv1d, nn.ConvTranspose1d),
    "volume": (nn.Conv3d, nn.ConvTranspose3d),
}


@dataclass(frozen=True)
class InputFacts:
    """What the first layer says about the inputs.

    Attributes
    ----------
    kind : {"tokens", "image", "sequence", "volume", "any"}
        Whole numbers for an embedding; (N, C, H, W); (N, C, L); (N, C, D, H, W); or nothing known.
    channels : int or None
        Number of input channels, where the first layer is a convolution that knows it.
    """

    kind: Literal["tokens", "image", "sequence", "volume", "any"]
    channels: int | None


def first_layer(net: nn.Module) -> nn.Module | None:
    """The first layer, in the order of registration, that tells what the net's inputs are.

    Containers, identities, dropout, normalization and reshaping are passed over: they take inputs of many kinds. So
    are activations and poolings, when a layer with weights follows.

    Parameters
    ----------
    net : torch.nn.Module
        Any net, built or not.

    Returns
    -------
    torch.nn.Module or None
        None for a net that has no such layer.

    Examples
    --------
    >>> first_layer(nn.Sequential(nn.Dropout(0.1), nn.Linear(2, 3)))
    Linear(in_features=2, out_features=3, bias=True)
    """
    leaves = [module for module in net.modules() if next(module.children(), None) is None]
    candidates = [leaf for leaf in leaves if not isinstance(leaf, _TRANSPARENT)]
    weighted = [module for module in candidates if len(module._parameters)]
    return next(iter(weighted or candidates), None)


def expected_input(net: nn.Module) -> InputFacts:
    """Kind of input and number of channels that the first layer of ``net`` asks for.

    Examples
    --------
    >>> expected_input(nn.Conv2d(3, 8, 3))
    InputFacts(kind='image', channels=3)
    """
    layer = first_layer(net)
    for kind, classes in _KINDS.items():
        if isinstance(layer, classes):
            # a lazy convolution says 0 until it knows
            channels = getattr(layer, "in_channels", None) or None
            return InputFacts(kind, channels)  # type: ignore[arg-type]
    return InputFacts("any", None)
