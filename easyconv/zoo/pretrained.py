"""``weights="imagenet"``: torchvision's trained weights for the nets that are its twins, with their preprocessing."""

import http.client
import os
import re
import urllib.error
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from easyconv.data.preprocessing import Preprocessing
from easyconv.errors import ArgumentError, ArgumentTypeError, FileMissingError, UnknownNameError, WeightsError
from easyconv.model.model import Model
from easyconv.names import normalize, suggest

__all__ = ["check_weights", "load_imagenet"]

M = TypeVar("M", bound=Model)

_NAMES = ("imagenet", "IMAGENET1K_V1", "IMAGENET1K_V2")
_VERSIONS = {"imagenet": "IMAGENET1K_V1"} | {normalize(name): name for name in _NAMES[1:]}
"""Version 1 are the papers' recipes; version 2 are newer recipes of torchvision's, for some nets only."""

_OWN_SCALE: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "googlenet": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    "inception_v3": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
}
"""Nets whose weights come from TensorFlow, where pixels go from -1 to 1. torchvision's nets undo its usual
normalization with ``transform_input=True``; here they get such pixels at once, and the net stays the paper's."""

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""Heads for training that files have and nets may be made without."""

_OLD_DENSE_KEY = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
"""DenseNet's file is older than torch's rule that names of layers have no dots: ``norm.1`` is ``norm1`` now."""


def check_weights(weights: object, *, in_channels: int, small: bool = False) -> None:
    """See, before a net is made, that it could take these weights.

    Parameters
    ----------
    weights : str or None
        ``"imagenet"``, or one of torchvision's names: ``"IMAGENET1K_V1"`` (the same), ``"IMAGENET1K_V2"``.
    in_channels : int
        Channels of the net's input.
    small : bool, default False
        Whether it is the variant for small images.

    Raises
    ------
    ArgumentTypeError
        When ``weights`` is no text.
    UnknownNameError
        When there are no weights of that name.
    ArgumentError
        When the weights do not fit such a net.

    Examples
    --------
    >>> check_weights("imagenet", in_channels=1)
    Traceback (most recent call last):
    ...
    easyconv.errors.ArgumentError: weights='imagenet' is for color images: in_channels must be 3, got 1. ...
    """
    if weights is None:
        return
    if not isinstance(weights, str):
        hint = ' Write weights="imagenet".' if weights is True else ""
        raise ArgumentTypeError(
            f'weights must be "imagenet", a name of torchvision\'s like "IMAGENET1K_V2", or None, got {weights!r} '
            f"({type(weights).__name__}).{hint}"
        )
    if normalize(weights) not in _VERSIONS:
        raise UnknownNameError(
            f"There are no weights called {weights!r}. {suggest(weights, _NAMES)} For a file of your own make the net "
            "without weights= and call net.load_weights(path)."
        )
    if in_channels != 3:
        raise ArgumentError(
            f"weights={weights!r} is for color images: in_channels must be 3, got {in_channels}. Repeat the channel of "
            "grey images: images.expand(-1, 3, -1, -1), or train from scratch: weights=None."
        )
    if small:
        raise ArgumentError(
            f"weights={weights!r} is for large images, and small=True makes a net with another beginning. Leave small "
            "out and enlarge the images, with model.preprocessing or ec.layers.Upsample(), or leave weights out."
        )


def load_imagenet(model: M, name: str, *, head: str | tuple[str, ...], weights: str | None) -> M:
    """Put torchvision's trained weights into a net that is its twin, with the preprocessing that belongs to them.

    Parameters
    ----------
    model : Model
        A net with the ``state_dict`` keys of torchvision's.
    name : str
        torchvision's name for it: ``"resnet18"``.
    head : str or tuple of str
        Dotted names of the layers whose sizes depend on the number of classes. Where it is not ImageNet's 1000, they
        keep the values that they were drawn with.
    weights : str or None
        As in :func:`check_weights`; None leaves the model as it is.

    Returns
    -------
    Model
        The same model, which now has ``model.preprocessing``.

    Raises
    ------
    FileMissingError
        When the file is not there and cannot be fetched; the message says where to put it by hand.
    WeightsError
        When the file is damaged or does not fit; nothing is loaded then.
    UnknownNameError
        When torchvision has no such weights for this net.
    """
    if weights is None:
        return model
    entry = _entry(name, weights)
    state = _named_as_today(_fetched(entry), model)
    fresh = _keep_own_head(model, state, (head,) if isinstance(head, str) else head)
    _check_fits(model, state, entry)
    model.load_state_dict(state)
    categories = None if fresh else tuple(entry.meta["categories"])
    model.preprocessing = Preprocessing(entry.transforms(**_OWN_SCALE.get(name, {})), categories)
    return model


def _entry(name: str, weights: str) -> Any:
    """What torchvision knows of them: address of the file, transforms, names of the classes."""
    from torchvision.models import get_model_weights

    known = get_model_weights(name)
    wanted = _VERSIONS[normalize(weights)]
    if wanted not in known.__members__:
        raise UnknownNameError(f'There are no weights {wanted} for {name}, only one version. Write weights="imagenet".')
    return known[wanted]


def _fetched(entry: Any) -> dict[str, Tensor]:
    """What is in the file, which is fetched where it is not in torch's folder; nothing in it is executed."""
    try:
        loaded = entry.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise FileMissingError(
            f"The weights file {_file_name(entry)!r} cannot be fetched from {entry.url}: {error}. Fetch it on a "
            f"computer with a network and put it, under its own name, into {_folder()!r} (TORCH_HOME moves that "
            "folder), or make the net without weights=."
        ) from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"The weights file {_file_name(entry)!r} in {_folder()!r} is damaged or cannot be read: {reason}. Remove "
            f"it and try again; it comes from {entry.url}."
        ) from error
    if not isinstance(loaded, Mapping):
        raise WeightsError(
            f"The weights file {_file_name(entry)!r} in {_folder()!r} holds a {type(loaded).__name__}, not a "
            f"state_dict. Remove it and try again; it comes from {entry.url}."
        )
    return dict(loaded)


def _named_as_today(state: dict[str, Tensor], model: Model) -> dict[str, Tensor]:
    """The same tensors under today's keys, without heads that the model is made without."""
    own = model.state_dict()
    unused = tuple(prefix for prefix in _AUXILIARY if not any(key.startswith(prefix) for key in own))
    renamed = {_OLD_DENSE_KEY.sub(r"\1\2", key): tensor for key, tensor in state.items() if not key.startswith(unused)}
    # Files from before torch 0.4.1 do not count batches; a norm with a momentum never looks at the count.
    counters = {key: tensor for key, tensor in own.items() if key.endswith(".num_batches_tracked")}
    return counters | renamed


def _keep_own_head(model: Model, state: dict[str, Tensor], head: tuple[str, ...]) -> bool:
    """Whether the head is for other classes than the file's; its own values take the place of the file's then."""
    prefixes = tuple(f"{name}." for name in head)
    own = {key: tensor for key, tensor in model.state_dict().items() if key.startswith(prefixes)}
    fresh = any(key in state and state[key].shape != tensor.shape for key, tensor in own.items())
    if fresh:
        state.update(own)
    return fresh


def _check_fits(model: Model, state: Mapping[str, Tensor], entry: Any) -> None:
    """Compare keys and shapes first, so that nothing is half loaded."""
    own = model.state_dict()
    wrong = [f"{key} is missing" for key in own if key not in state]
    wrong += [f"{key} is not in the net" for key in state if key not in own]
    wrong += [
        f"{key} is {tuple(state[key].shape)} in the file and {tuple(tensor.shape)} in the net"
        for key, tensor in own.items()
        if key in state and state[key].shape != tensor.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsError(
            f"The weights file {_file_name(entry)!r} in {_folder()!r} does not fit this net; nothing was loaded: "
            f"{'; '.join(wrong[:3])}{more}. A file put there by hand must be the one from {entry.url}."
        )


def _file_name(entry: Any) -> str:
    return str(entry.url).rpartition("/")[2]


def _folder() -> str:
    return os.path.join(torch.hub.get_dir(), "checkpoints")
