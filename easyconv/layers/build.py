"""Infer the sizes of a net: from an example, or from the shape of one sample."""

import numbers
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.layers.first import expected_input
from easyconv.layers.keeping import call, kept, split_call
from easyconv.layers.trace import FORWARD_ERRORS, explain

__all__ = ["device_and_dtype", "dry_run", "example_of"]


def dry_run(net: nn.Module, example: Any, *, recorded: bool = False) -> Any:
    """The output of ``net`` for ``example``; sizes that were not known yet are known after it, all else is as it was.

    Runs in evaluation mode. Buffers, modes, ``requires_grad`` and the global random state are
    left as found. When the pass fails, no layer stays half built, and a second call with the right shape works.

    Parameters
    ----------
    net : torch.nn.Module
        The net, built or not.
    example : tensor, tuple, list or mapping
        A batch of inputs, handed over as `call` does.
    recorded : bool, default False
        Whether autograd records the pass, so that the output tells how it was computed.

    Returns
    -------
    object
        The output for ``example``.

    Raises
    ------
    ShapeError
        When a layer cannot take what reaches it; the message names it and shows the shapes up to it.

    Examples
    --------
    >>> from easyconv import layers
    >>> net = nn.Sequential(layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(10))
    >>> dry_run(net, torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 10])
    >>> net[2]
    Linear(in_features=288, out_features=10, bias=True)
    """
    try:
        with kept(net, training=False), torch.set_grad_enabled(recorded):
            return call(net, example)
    except FORWARD_ERRORS as error:
        args, kwargs = split_call(net, example)
        with kept(net, training=False):
            explained = explain(net, args, kwargs, error)
        if explained is None:
            raise
        raise explained from error


def example_of(input_shape: Any, net: nn.Module) -> Any:
    """A batch of one, all zeros, for a net whose samples have ``input_shape``.

    Parameters
    ----------
    input_shape : tuple of int, or a tuple, list or dict of such
        Shape of one sample, without the batch dimension: ``(3, 32, 32)``. Several shapes for several inputs.
    net : torch.nn.Module
        The net: it tells device and dtype, and whether the inputs are whole numbers (a net that starts with an
        `Embedding`).

    Returns
    -------
    tensor, tuple or dict of tensors
        Zeros of shape ``(1, *input_shape)``, nested like ``input_shape``.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        When ``input_shape`` is no shape, has a batch dimension, or has its channels last.

    Examples
    --------
    >>> example_of((3, 32, 32), nn.Conv2d(3, 8, 3)).shape
    torch.Size([1, 3, 32, 32])
    """
    if isinstance(input_shape, Mapping):
        return {name: example_of(shape, net) for name, shape in input_shape.items()}
    if isinstance(input_shape, (tuple, list)) and any(isinstance(part, (tuple, list, Mapping)) for part in input_shape):
        return tuple(example_of(shape, net) for shape in input_shape)
    shape = _checked_shape(input_shape)
    _check_channels_first(shape, net)
    device, dtype = device_and_dtype(net)
    if expected_input(net).kind == "tokens":
        dtype = torch.int64
    return torch.zeros((1, *shape), device=device, dtype=dtype)


def _checked_shape(input_shape: object) -> tuple[int, ...]:
    if isinstance(input_shape, numbers.Integral) and not isinstance(input_shape, bool):
        raise ArgumentTypeError(f"input_shape must be a tuple, got {input_shape!r}; write ({input_shape},).")
    if not isinstance(input_shape, (tuple, list)):
        raise ArgumentTypeError(
            "input_shape must be a tuple of integers like (3, 32, 32), channels first and without the batch "
            f"dimension; got {input_shape!r} ({type(input_shape).__name__})."
        )
    if not input_shape:
        raise ArgumentError("input_shape is empty; give the shape of one sample, like (3, 32, 32) or (10,).")
    if input_shape[0] is None:
        rest = tuple(input_shape[1:])
        raise ArgumentError(
            f"input_shape must leave out the batch dimension: got {tuple(input_shape)}, write {_channels_first(rest)}"
            " (channels come first)."
        )
    for size in input_shape:
        if isinstance(size, bool) or not isinstance(size, numbers.Integral):
            raise ArgumentTypeError(f"input_shape must hold integers, got {tuple(input_shape)} with {size!r}.")
        if size < 1:
            raise ArgumentError(f"input_shape must hold sizes of at least 1, got {tuple(input_shape)}.")
    return tuple(int(size) for size in input_shape)


def _channels_first(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    return (shape[-1], *shape[:-1]) if len(shape) == 3 and shape[-1] in (1, 3, 4) else shape


def _check_channels_first(shape: tuple[int, ...], net: nn.Module) -> None:
    facts = expected_input(net)
    sizes = {"sequence": "(channels, length)", "image": "(channels, height, width)"}.get(facts.kind)
    if sizes is not None and len(shape) == sizes.count(","):
        raise ArgumentError(
            f"input_shape {shape} has no channels; the first layer is a convolution, which takes {sizes}. Write "
            f"{(1, *shape)} for one channel."
        )
    if facts.kind != "image" or len(shape) != 3:
        return
    first, last = shape[0], shape[-1]
    if facts.channels is not None:
        swapped = first != facts.channels and last == facts.channels
    else:
        # (64, 32, 1) may be a column of 64 channels: only square images, or those with three colours, are unmistakable
        swapped = first > 4 and last in (1, 3, 4) and (first == shape[1] or last == 3)
    if swapped:
        raise ArgumentError(
            f"input_shape {shape} has its channels last; here, as in torch, they come first: {(last, *shape[:-1])}. "
            "Images that are stored channels last are turned with images.permute(0, 3, 1, 2)."
        )


def device_and_dtype(net: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Of the first floating parameter or buffer; the CPU and torch's default where there is none.

    Examples
    --------
    >>> device_and_dtype(nn.Linear(2, 3).double())
    (device(type='cpu'), torch.float64)
    """
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.data.is_floating_point():
            return tensor.data.device, tensor.data.dtype
    return torch.device("cpu"), torch.get_default_dtype()
