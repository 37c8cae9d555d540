"""What a net expects to be given, as its first layer tells."""

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from easyconv.layers.keeping import call, kept
from easyconv.layers.lazy import Undecided
from easyconv.layers.trace import takes_hooks
from easyconv.nested import leaves

__all__ = ["InputFacts", "Reception", "expected_input", "facts_of", "first_layer", "watch"]

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
    return next(iter(_telling(net)), None)


def _telling(net: nn.Module) -> list[nn.Module]:
    """The layers that tell what they take, in the order of registration."""
    ends = [module for module in net.modules() if next(module.children(), None) is None]
    candidates = [module for module in ends if not isinstance(module, _TRANSPARENT)]
    weighted = [module for module in candidates if len(module._parameters)]
    return weighted or candidates


def expected_input(net: nn.Module) -> InputFacts:
    """Kind of input and number of channels that the first layer of ``net`` asks for.

    Examples
    --------
    >>> expected_input(nn.Conv2d(3, 8, 3))
    InputFacts(kind='image', channels=3)
    """
    return facts_of(first_layer(net))


def facts_of(layer: nn.Module | None) -> InputFacts:
    """What one layer asks of its input.

    Examples
    --------
    >>> facts_of(nn.Linear(2, 3))
    InputFacts(kind='any', channels=None)
    """
    for kind, classes in _KINDS.items():
        if isinstance(layer, classes):
            # a lazy convolution says 0 until it knows
            channels = getattr(layer, "in_channels", None) or None
            return InputFacts(kind, channels)  # type: ignore[arg-type]
    return InputFacts("any", None)


@dataclass
class Reception:
    """What became of a net's input on its way to the layers, as one pass showed.

    Attributes
    ----------
    layer : torch.nn.Module or None
        The layer that was called first of those that tell what they take; None where none was.
    direct : bool
        Whether that layer got the input as it is, up to its values: not turned, folded, cut or widened before.
    tokens : dict of str to int
        For each input that an embedding got as it is, by its name (``"x"``, ``"x['left']"``), the number of tokens.
    finished : bool
        Whether the net took the input to the end, and made floats of it.
    """

    layer: nn.Module | None = None
    direct: bool = False
    tokens: dict[str, int] = field(default_factory=dict)
    finished: bool = False

    @property
    def asked(self) -> bool:
        """Whether the pass told anything: it came as far as a layer, or to its end."""
        return self.layer is not None or self.finished


def watch(net: nn.Module, inputs: Any, *, whole: bool) -> Reception:
    """See how ``net`` takes ``inputs``, which are the user's own: nothing was made right in them yet.

    The net is as it was afterwards, sizes too where the pass does not come to its end. A net that cannot take the
    inputs is no error here.

    Parameters
    ----------
    net : torch.nn.Module
        The net, built or not.
    inputs : tensor or nested tensors
        A few rows, on the net's device.
    whole : bool
        Whether to go on to the end, unless the first layer makes that needless.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2))
    >>> watch(net, torch.zeros(5, 4), whole=False).direct
    False
    """
    found = Reception()
    names = {(leaf.data_ptr(), leaf.numel()): name for name, leaf in leaves(inputs) if isinstance(leaf, Tensor)}

    def note(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        received = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        name = None if received is None else names.get((received.data_ptr(), received.numel()))
        if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)) and name is not None:
            found.tokens[name] = min(layer.num_embeddings, found.tokens.get(name, layer.num_embeddings))
        if found.layer is None:
            found.layer = layer
            found.direct = received is not None and _is_direct(layer, received, inputs)
            if not whole or (found.direct and facts_of(layer).kind != "any"):
                raise _SeenEnoughError

    net = getattr(net, "_orig_mod", net)  # what torch.compile was given
    watched = [module for module in _telling(net) if takes_hooks(module)]
    # first of all hooks, so that a layer whose sizes are not known does not take them from these inputs
    handles = [module.register_forward_pre_hook(note, with_kwargs=True, prepend=True) for module in watched]
    try:
        with kept(net, training=False):
            output = call(net, inputs)
        found.finished = any(isinstance(leaf, Tensor) and leaf.is_floating_point() for _, leaf in leaves(output))
    except Exception:  # whatever a net raises that cannot take these inputs, or what ended the pass
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found


class _SeenEnoughError(Exception):
    """Ends a pass of `watch`."""


def _is_direct(layer: nn.Module, received: Tensor, inputs: Any) -> bool:
    if not isinstance(inputs, Tensor):
        return False
    if isinstance(layer, _KINDS["tokens"]):
        return received.data_ptr() == inputs.data_ptr() and received.numel() == inputs.numel()
    # resizing keeps what the axes mean; turning them leaves a trace in the strides
    same = received.dim() == inputs.dim() and received.shape[:2] == inputs.shape[:2]
    return same and received.is_contiguous()
