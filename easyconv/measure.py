"""The numbers of ``summary()`` one by one, for any net: each a plain function that leaves the net as it found it."""

import copy
from typing import Any

from torch import nn

from easyconv.arguments import check_flag
from easyconv.arithmetic import ReceptiveField
from easyconv.errors import ArgumentError, ArgumentTypeError, LayerNotFoundError
from easyconv.layers.build import dry_run, example_of
from easyconv.layers.lazy import is_built, require_built
from easyconv.names import suggest
from easyconv.tracing import Seen, in_words, observe

__all__ = ["count_parameters", "multiply_adds", "output_shape", "receptive_field"]


def count_parameters(net: nn.Module, input_shape: Any = None, *, trainable: bool | None = None) -> int:
    """Number of parameters of a net, each counted once however many layers share it.

    Parameters
    ----------
    net : torch.nn.Module
        Any net.
    input_shape : tuple of int, or nested tuple or dict of shapes, optional
        Shape of one sample, channels first; needed only where sizes are not known yet.
    trainable : bool, optional
        Count only those that are trained (``True``) or frozen (``False``).

    Raises
    ------
    NotBuiltError
        When sizes are not known yet and there is no ``input_shape``.
    ShapeError
        When a layer cannot take what reaches it.
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    Examples
    --------
    >>> count_parameters(nn.Conv2d(3, 10, 3))
    280
    """
    _check_net(net)
    if trainable is not None:
        check_flag("trainable", trainable)
    if input_shape is not None:
        net, _ = _ready(net, input_shape)
    require_built(net, "count_parameters()")
    return sum(p.numel() for p in net.parameters() if trainable is None or p.requires_grad == trainable)


def multiply_adds(net: nn.Module, input_shape: Any) -> int:
    """Multiplications that a net does for one sample, each with its addition; biases cost none.

    Convolutions, transposed convolutions and linear layers that are called as modules count, all else does not:
    norms, activations and poolings are little beside them.

    Parameters
    ----------
    net : torch.nn.Module
        Any net; where sizes are not known yet, a copy is built.
    input_shape : tuple of int, or nested tuple or dict of shapes
        Shape of one sample, channels first and without the batch.

    Raises
    ------
    ShapeError
        When a layer cannot take what reaches it; the message names the layer.
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    Examples
    --------
    >>> multiply_adds(nn.Conv2d(192, 32, 5, padding=2), (192, 28, 28))
    120422400
    """
    _check_net(net)
    net, example = _ready(net, input_shape)
    return sum(call.multiply_adds for calls in observe(net, example).values() for call in calls)


def receptive_field(net: nn.Module, input_shape: Any, *, layer: str | None = None) -> ReceptiveField:
    """What one position of a net's output, or of a layer's, sees of the input, and how far the next one is.

    The tensors of one forward pass are followed from operation to operation, so that any net will do. Where branches
    meet, the largest field counts. Padding changes nothing, as in :func:`easyconv.arithmetic.receptive_field`, which
    has the formula.

    Parameters
    ----------
    net : torch.nn.Module
        Any net; where sizes are not known yet, a copy is built.
    input_shape : tuple of int, or nested tuple or dict of shapes
        Shape of one sample, channels first and without the batch.
    layer : str, optional
        Dotted name of a layer, as in ``named_modules()``: ``"features"``. By default the output of the net.

    Returns
    -------
    ReceptiveField
        ``size`` and ``jump``, one number per axis. Behind a global pooling or a dense layer, which see everything,
        ``size`` is ``"all"``; ``"?"`` where an operation cannot be followed (upsampling, attention); ``None`` where
        the output does not depend on the input. ``jump`` is ``None`` then.

    Raises
    ------
    LayerNotFoundError
        When there is no such layer; the nearest names are suggested.
    ShapeError
        When a layer cannot take what reaches it; the message names the layer.
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or the layer is not called in evaluation mode.

    References
    ----------
    A. Araujo, W. Norris and J. Sim, *Computing receptive fields of convolutional neural networks*, Distill (2019),
    doi:10.23915/distill.00021.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(968, 10))
    >>> receptive_field(net, (1, 28, 28), layer="2")
    ReceptiveField(size=(8, 8), jump=(2, 2))
    >>> receptive_field(net, (1, 28, 28))
    ReceptiveField(size='all', jump=None)
    """
    _check_net(net)
    net, example = _ready(net, input_shape)
    asked = net if layer is None else _layer(net, layer)
    return ReceptiveField(*in_words(_last_call(observe(net, example), asked, layer).trace))


def output_shape(net: nn.Module, input_shape: Any, *, layer: str | None = None) -> tuple[int, ...]:
    """Shape of a net's output, or of a layer's, for one sample: without the batch.

    Parameters
    ----------
    net : torch.nn.Module
        Any net; where sizes are not known yet, a copy is built.
    input_shape : tuple of int, or nested tuple or dict of shapes
        Shape of one sample, channels first and without the batch.
    layer : str, optional
        Dotted name of a layer, as in ``named_modules()``. By default the output of the net: the first of several.

    Raises
    ------
    LayerNotFoundError
        When there is no such layer; the nearest names are suggested.
    ShapeError
        When a layer cannot take what reaches it; the message names the layer.
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or the layer is not called in evaluation mode.

    Examples
    --------
    >>> output_shape(nn.Conv2d(3, 4, 3, padding=2), (3, 100, 100))
    (4, 102, 102)
    """
    _check_net(net)
    net, example = _ready(net, input_shape)
    asked = net if layer is None else _layer(net, layer)
    shape = _last_call(observe(net, example), asked, layer).output_shape
    return () if shape is None else tuple(shape[1:])


def _check_net(net: object) -> None:
    if isinstance(net, nn.Module):
        return
    hint = " For a list of (kernel_size, stride) write easyconv.arithmetic.receptive_field(layers)."
    raise ArgumentTypeError(
        f"net must be an nn.Module, got {net!r} ({type(net).__name__}).{hint if isinstance(net, (list, tuple)) else ''}"
    )


def _ready(net: nn.Module, input_shape: Any) -> tuple[nn.Module, Any]:
    """The net, or a copy that is built where sizes are missing, and one sample of zeros."""
    example = example_of(input_shape, net)
    if is_built(net):
        return net, example
    # A question must not settle the sizes of the net that it is asked about.
    net = copy.deepcopy(net)
    dry_run(net, example)
    return net, example


def _layer(net: nn.Module, name: str) -> nn.Module:
    """A layer by its dotted name; of a net that ``Model`` wraps also without ``net.``, as ``summary()`` shows it."""
    if not isinstance(name, str):
        raise ArgumentTypeError(
            f"layer must be the dotted name of a layer, as in named_modules(), got {name!r} ({type(name).__name__})."
        )
    layers: dict[str, nn.Module] = {path: module for path, module in net.named_modules() if path}
    for path in (name, f"net.{name}"):
        if path in layers:
            return layers[path]
    raise LayerNotFoundError(f"There is no layer {name!r}. {suggest(name, layers)}")


def _last_call(seen: dict[int, list[Seen]], module: nn.Module, name: str | None) -> Seen:
    calls = seen.get(id(module))
    if calls:
        return calls[-1]
    what = f"Layer {name!r}" if name is not None else type(module).__name__
    raise ArgumentError(
        f"{what} took or gave no tensor in the forward pass, which runs in evaluation mode. Name a layer that is "
        "called there."
    )
