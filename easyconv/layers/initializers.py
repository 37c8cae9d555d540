"""Initial weights by name: of one layer as it finds its sizes, or of all layers of a net."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.lazy import LazyModuleMixin

from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvError
from easyconv.layers.keywords import torch_words
from easyconv.layers.lazy import SeededLazy, draw_seed, drawn_from
from easyconv.layers.schemes import SCHEMES, Scheme, fans
from easyconv.layers.shortcut import Projection
from easyconv.names import look_up, name_of, normalize

__all__ = ["InitLike", "initialize", "initialize_waiting", "make_init", "set_init"]

InitLike: TypeAlias = str | Callable[[Tensor], Any] | None


# --- one layer --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fill:
    """Fills the weight of one layer, and sets its bias to zero; can be copied and pickled.

    The draws are made on the CPU in single precision, whatever the layer's device and precision.
    """

    init: str | Callable[[Tensor], Any]
    seed: int | None = None
    """What to draw from; None goes on in what the caller draws from."""
    own: bool = False
    """Whether the layer itself asked for it, so that the ``init`` of a net leaves it alone."""

    def __call__(self, layer: nn.Module) -> None:
        weight: Any = layer.weight
        if weight.is_meta or not weight.numel():
            return
        scheme = SCHEMES[self.init] if isinstance(self.init, str) else self.init
        seeded = nullcontext() if self.seed is None else drawn_from(self.seed)
        with torch.no_grad(), torch.device("cpu"), seeded, _single_on_cpu(layer):
            if isinstance(scheme, Scheme):
                scheme.draw(layer.weight, *fans(layer))  # type: ignore[arg-type]
            else:
                _call(scheme, layer)
            if isinstance(layer.bias, Tensor):
                layer.bias.zero_()


@contextmanager
def _single_on_cpu(layer: nn.Module) -> Iterator[None]:
    """The parameters are on the CPU, float32 and contiguous inside the block; what they hold at its end is kept."""
    kept = {name: value for name, value in layer._parameters.items() if value is not None}
    for name, value in kept.items():
        # the same values are drawn in another order where the memory has another layout
        plain = value.detach().to("cpu", torch.float32).contiguous()
        if plain.data_ptr() != value.data_ptr():
            layer._parameters[name] = nn.Parameter(plain)
    try:
        yield
        for name, value in kept.items():
            if value is not layer._parameters[name]:
                value.copy_(layer._parameters[name])  # type: ignore[arg-type]
    finally:
        layer._parameters.update(kept)


def _call(function: Callable[[Tensor], Any], layer: nn.Module) -> None:
    """Let a function fill the weight, and see that it did."""
    weight: Any = layer.weight
    what = f"a weight of shape {tuple(weight.shape)}"
    version, sample = weight._version, weight.flatten()[:1000].clone()
    try:
        returned = function(weight)
    except EasyconvError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(
            f"init={name_of(function)} could not fill {what}: {error}. It is called with the weight alone, which it "
            "fills in place, like torch.nn.init.orthogonal_."
        ) from error
    # the version does not tell what was written through weight.data
    if weight._version == version and torch.equal(sample, weight.flatten()[:1000]):
        raise ArgumentError(
            f"init={name_of(function)} left {what} as it was and returned {type(returned).__name__}. Fill the weight "
            "in place, like torch.nn.init.orthogonal_: weight.copy_(values)."
        )


_OWN: "WeakSet[nn.Module]" = WeakSet()
"""Layers that have asked for their initial weights themselves; they keep no trace of it once they are plain."""


def make_init(init: InitLike) -> _Fill | None:
    """What ``init=`` means: a function that fills one layer in place, or None for torch's own values.

    Raises
    ------
    UnknownNameError
        When there are no initial weights of that name.
    ArgumentTypeError
        When ``init`` is neither a name nor a function of a weight.
    """
    if init is None:
        return None
    if isinstance(init, str):
        look_up(init, SCHEMES, "init")
        return _Fill(normalize(init))
    if callable(init) and not isinstance(init, (type, nn.Module)):
        _check_takes_weight(init)
        return _Fill(init)
    raise ArgumentTypeError(
        "init must be a name like 'he', a function that fills a weight in place like torch.nn.init.orthogonal_, or "
        f"None, got {init!r} ({type(init).__name__})."
    )


def _check_takes_weight(init: Callable[[Tensor], Any]) -> None:
    try:
        signature = inspect.signature(init)
    except (TypeError, ValueError):  # builtins that tell nothing about themselves
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise ArgumentTypeError(
            f"init must be a function of the weight alone, and {name_of(init)} takes {signature}. Set the other "
            f"arguments: functools.partial(torch.nn.init.constant_, val=0.1)."
        ) from error


def set_init(layer: nn.Module, init: InitLike) -> nn.Module:
    """Let a layer or block that has just been made draw its weights by ``init``, whatever the net around it says.

    Parameters
    ----------
    layer : torch.nn.Module
        Convolution, dense layer, or a block that holds some.
    init : str, callable or None
        As in `initialize`.

    Returns
    -------
    torch.nn.Module
        The layer.
    """
    fill = make_init(init)
    if fill is not None:
        for part in _with_weights(layer):
            _OWN.add(part)
            _give(part, replace(fill, own=True))
    return layer


# --- all layers of a net ----------------------------------------------------------------------------------------------


@torch_words
def initialize(net: nn.Module, init: InitLike) -> None:
    """Draw the weights of all convolutions and dense layers of ``net``, and set their biases to zero.

    n_in and n_out are the numbers of values that one output sums, and of outputs that one input reaches: features for
    dense layers, channels times the area of the kernel for convolutions. For a transposed convolution they are those of
    the direction in which it is used, n_in divided by its stride (torch and Keras swap them).

    ================== ============================================ ===================================
    name               weights                                      made for
    ================== ============================================ ===================================
    "he"               N(0, 2 / n_in)                               ReLU
    "he_fan_out"       N(0, 2 / n_out)                              ReLU, in ResNets
    "he_uniform"       U(-a, a), a = sqrt(6 / n_in)                 ReLU
    "glorot"           U(-a, a), a = sqrt(6 / (n_in + n_out))       tanh, softmax; Keras's default
    "glorot_normal"    N(0, 2 / (n_in + n_out))                     tanh, softmax
    "lecun"            N(0, 1 / n_in)                               LeCun's scaled tanh, SELU
    "lecun_uniform"    U(-a, a), a = sqrt(3 / n_in)                 the same
    "alexnet"          N(0, 0.01²)                                  AlexNet, VGG, whatever the sizes
    "orthogonal"       orthonormal rows or columns                  deep linear and recurrent nets
    ================== ============================================ ===================================

    Keras's ``"he_normal"``, ``"glorot_uniform"`` and ``"lecun_normal"`` are other names of ``"he"``, ``"glorot"`` and
    ``"lecun"``. (Keras cuts its normal draws off at two standard deviations and widens them to the same variance; the
    papers and torch do not.)

    Parameters
    ----------
    net : torch.nn.Module
        Any net. Layers that wait for their first input draw when they find their sizes; the values are the same.
    init : str, callable or None
        A name, or a function that fills one weight in place, like ``torch.nn.init.orthogonal_``. A function sees the
        weight as torch stores it, also of transposed convolutions. None leaves all as it is.

    Raises
    ------
    UnknownNameError
        When there are no initial weights of that name.
    ArgumentTypeError
        When ``init`` is neither a name nor a function of a weight.
    ArgumentError
        When a function fails, or returns new values in place of filling the weight; or when a weight is computed from
        other parameters (``weight_norm``, ``spectral_norm``).

    Notes
    -----
    Each layer draws from a seed of its own, taken from torch's global generator on the CPU, in single precision. So
    the values do not depend on device, precision, or whether sizes were known. Layers that were made with an ``init``
    of their own keep it (a copy of one that knows its sizes is a layer like any other). Embeddings, recurrent layers
    and norms keep torch's values. Weights that are there already, pretrained ones too, are drawn anew.

    References
    ----------
    He et al., "Delving Deep into Rectifiers", ICCV 2015, equations 10 (``"he"``) and 14 (``"he_fan_out"``).
    Glorot and Bengio, "Understanding the Difficulty of Training Deep Feedforward Neural Networks", AISTATS 2010,
    equation 16 (``"glorot"``) and, for its variance, 12.
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.6, equation 16 (``"lecun"``).
    Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
    section 5 (``"alexnet"``; the biases of 1 of some layers are not part of it).
    Saxe, McClelland and Ganguli, "Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Neural
    Networks", ICLR 2014 (``"orthogonal"``).

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(200, 1000), nn.ReLU(), nn.Linear(1000, 10))
    >>> initialize(net, "he")
    >>> round(net[0].weight.std().item(), 2), round((2 / 200) ** 0.5, 2)
    (0.1, 0.1)
    >>> net[0].bias.abs().max().item()
    0.0
    """
    _draw_layers(net, init, lambda layer: True)


def initialize_waiting(net: nn.Module, init: InitLike) -> None:
    """As `initialize`, for those layers only that wait for their first input; weights that are there stay."""
    _draw_layers(net, init, _waits)


def _draw_layers(net: nn.Module, init: InitLike, wanted: Callable[[nn.Module], bool]) -> None:
    fill = make_init(init)
    if fill is None:
        return
    chosen = [layer for layer in _with_weights(net) if wanted(layer) and not _has_own(layer)]
    for layer in chosen:
        _check_weight(layer)
    for layer in chosen:
        _give(layer, replace(fill, seed=draw_seed()))


def _with_weights(net: nn.Module) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, (_ConvNd, nn.Linear, Projection))]


def _waits(layer: nn.Module) -> bool:
    return isinstance(layer, LazyModuleMixin) and layer.has_uninitialized_params()


def _has_own(layer: nn.Module) -> bool:
    return layer in _OWN or getattr(layer.__dict__.get("init"), "own", False)


def _check_weight(layer: nn.Module) -> None:
    if "weight" not in layer._parameters:
        raise ArgumentError(
            f"init cannot fill the weight of {layer}: it is computed from other parameters (weight_norm, spectral_norm "
            "or pruning). Draw the initial weights before that."
        )


def _give(layer: nn.Module, fill: Callable[[nn.Module], None]) -> None:
    """Fill a layer now where it knows its sizes, and otherwise when it finds them."""
    if not _waits(layer):
        fill(layer)
    elif isinstance(layer, SeededLazy):
        layer.init = fill
    else:
        layer.__dict__["reset_parameters"] = _FillAtReset(layer, fill)


class _FillAtReset:
    """Takes the place of ``reset_parameters()`` on one lazy layer of torch's own, which calls it with sizes known."""

    def __init__(self, layer: Any, fill: Callable[[nn.Module], None]) -> None:
        self.layer = layer
        self.fill = fill

    def __call__(self) -> None:
        del self.layer.__dict__["reset_parameters"]
        self.layer.reset_parameters()
        self.fill(self.layer)
