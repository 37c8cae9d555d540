"""What to do about the common ways in which a layer fails."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

__all__ = ["advise"]

_SPATIAL = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3, nn.ConvTranspose1d: 1, nn.ConvTranspose2d: 2}
_LENGTHS = "(N, C, L), (N, C, H, W) and (N, C, D, H, W)"


def advise(module: nn.Module, inputs: Any, error: Exception) -> list[str]:
    """Lines that say what ``module`` expects and what to change; empty when there is nothing sure to say.

    Parameters
    ----------
    module : torch.nn.Module
        The layer that failed.
    inputs : sequence
        What it was given.
    error : Exception
        What it raised.
    """
    tensors = [value for value in inputs if isinstance(value, torch.Tensor)]
    if not tensors:
        return _no_tensor(inputs)
    for rule in _RULES:
        line = rule(module, tensors[0], str(error))
        if line:
            return [line]
    return []


def _no_tensor(inputs: Any) -> list[str]:
    first = next(iter(inputs), None)
    if isinstance(first, Mapping):
        keys = ", ".join(map(repr, first))
        return [
            f"It got a dict with the keys {keys}, and takes a tensor. Name the arguments of the net's forward like the "
            "keys, or pass the tensor alone."
        ]
    if isinstance(first, (tuple, list)):
        return [
            f"It got a {type(first).__name__} of {len(first)}, and takes a tensor. Layers like LSTM give their output "
            "and a state: take the first, output, state = lstm(x)."
        ]
    return [f"It got {type(first).__name__}, and takes a tensor."] if inputs else []


def _own_tensor(module: nn.Module) -> torch.Tensor | None:
    own = [*module._parameters.values(), *module._buffers.values()]
    return next((t for t in own if t is not None and t.data.is_floating_point()), None)


def _device(module: nn.Module, x: torch.Tensor, text: str) -> str:
    own = _own_tensor(module)
    if own is None or own.data.device == x.device:
        return ""
    return f"Its weights are on {own.data.device} and the input is on {x.device}; move one of them with .to(device)."


def _embedding(module: nn.Module, x: torch.Tensor, text: str) -> str:
    if not isinstance(module, nn.Embedding):
        return ""
    if x.is_floating_point():
        return f"It takes whole numbers (token ids), and got {x.dtype}; convert them with .long()."
    if x.numel() and (int(x.min()) < 0 or int(x.max()) >= module.num_embeddings):
        return (
            f"It takes ids from 0 to {module.num_embeddings - 1}, and got ids from {int(x.min())} to {int(x.max())}; "
            f"make it Embedding({max(int(x.max()) + 1, module.num_embeddings)}, {module.embedding_dim}), "
            "or map the ids into that range."
        )
    return ""


def _dtype(module: nn.Module, x: torch.Tensor, text: str) -> str:
    own = _own_tensor(module)
    if own is None or own.data.dtype == x.dtype or ("dtype" not in text and "type" not in text):
        return ""
    name = str(own.data.dtype).removeprefix("torch.")
    if x.dtype == torch.float32:
        return (
            f"Its weights are {own.data.dtype} and the input is torch.float32, as fit() and predict() give it; convert "
            "the net with .float()."
        )
    return f"Its weights are {own.data.dtype} and the input is {x.dtype}; convert the input with .to(torch.{name})."


def _linear(module: nn.Module, x: torch.Tensor, text: str) -> str:
    if not isinstance(module, nn.Linear) or x.dim() == 0 or x.shape[-1] == module.in_features:
        return ""
    given = x.shape[-1]
    flat = ""
    if x.dim() > 2 and x[0].numel() == module.in_features:
        return f"It expects {module.in_features} features in the last dimension; put a Flatten() before it."
    if x.dim() > 3:
        flat = " If it should see whole images, put a Flatten() before it."
    return (
        f"It expects {module.in_features} features in the last dimension; make it "
        f"Linear({given}, {module.out_features}), or Dense({module.out_features}) of easyconv.layers, "
        f"which infers the size.{flat}"
    )


def _recurrent(module: nn.Module, x: torch.Tensor, text: str) -> str:
    if not isinstance(module, nn.RNNBase) or x.dim() == 0 or x.shape[-1] == module.input_size:
        return ""
    kind = type(module).__name__
    return (
        f"It expects {module.input_size} features in the last dimension; make it "
        f"{kind}({x.shape[-1]}, {module.hidden_size}), or turn the axes."
    )


def _spatial(module: nn.Module) -> int | None:
    return next((count for kind, count in _SPATIAL.items() if isinstance(module, kind)), None)


def _conv_rank(module: nn.Module, x: torch.Tensor, text: str) -> str:
    count = _spatial(module)
    if count is None or x.dim() in (count + 1, count + 2):
        return ""
    wanted = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}[count]
    missing = " If the images have one channel, add it with x.unsqueeze(1)." if x.dim() == count else ""
    return f"It expects {wanted}, {count + 2} dimensions with the channels second, and got {x.dim()}.{missing}"


def _conv_channels(module: nn.Module, x: torch.Tensor, text: str) -> str:
    count = _spatial(module)
    if count is None or not isinstance(module, _ConvNd):
        return ""
    channels = x.shape[1] if x.dim() == count + 2 else x.shape[0]
    if is_lazy(module.weight):
        if channels % module.groups:
            return f"Its {module.groups} groups do not divide the {channels} channels of the input evenly."
        return ""
    if channels == module.in_channels:
        return ""
    if x.shape[-1] == module.in_channels:
        order = (0, x.dim() - 1, *range(1, x.dim() - 1)) if x.dim() == count + 2 else (x.dim() - 1, *range(x.dim() - 1))
        moves = ", ".join(map(str, order))
        return f"The channels come first here, as in torch; these look channels last: x.permute({moves}) turns them."
    return (
        f"It expects {module.in_channels} channel{'' if module.in_channels == 1 else 's'} and got {channels}; give it "
        f"in_channels={channels}, or use Conv{count}D of easyconv.layers, which infers them."
    )


def _too_small(module: nn.Module, x: torch.Tensor, text: str) -> str:
    marks = ("can't be greater than actual input size", "Output size is too small", "output size is too small")
    if not any(mark in text for mark in marks):
        return ""
    kernel = getattr(module, "kernel_size", None)
    window = f"its window of {kernel}" if kernel is not None else "its window"
    return (
        f"The feature map has become too small for {window}: use larger inputs, fewer poolings or strides before it, "
        "a smaller kernel, or padding."
    )


def _single_value(module: nn.Module, x: torch.Tensor, text: str) -> str:
    if not isinstance(module, _NormBase) or "more than 1 value per channel" not in text:
        return ""
    return (
        "In training it needs more than one value per channel to take a mean and a variance of. Give it batches of two "
        "samples or more (drop the last, smaller batch with drop_last=True), or another norm (GroupNorm, LayerNorm)."
    )


def _norm_channels(module: nn.Module, x: torch.Tensor, text: str) -> str:
    if not isinstance(module, _NormBase) or x.dim() < 2 or not module.num_features:
        return ""
    if x.shape[1] == module.num_features:
        kind = type(module).__name__
        return f"{kind} does not take {x.dim()} dimensions; BatchNorm of easyconv.layers takes {_LENGTHS} alike." * (
            "D input" in text
        )
    return (
        f"It expects {module.num_features} channels in the second dimension and got {x.shape[1]}; "
        "BatchNorm of easyconv.layers infers them."
    )


_RULES: tuple[Callable[[nn.Module, torch.Tensor, str], str], ...] = (
    _device,
    _embedding,
    _linear,
    _recurrent,
    _conv_rank,
    _conv_channels,
    _too_small,
    _single_value,
    _norm_channels,
    _dtype,
)
