"""Inputs: made right for the net, or refused with what to do."""

from typing import Any

import torch
from torch import Tensor

from easyconv.data.sources.convert import is_number, to_tensor
from easyconv.data.sources.rules import InputRule
from easyconv.data.sources.values import bounds, check_finite, describe, first_row
from easyconv.errors import DataError, DataTypeError
from easyconv.layers.layout import as_channels_last
from easyconv.nested import map_named, map_rules

__all__ = ["check_inputs", "finish_inputs", "to_inputs"]

_AXES = {"sequence": "(N, C, L)", "image": "(N, C, H, W)", "volume": "(N, C, D, H, W)"}
_TO_FRONT = {"sequence": "0, 2, 1", "image": "0, 3, 1, 2", "volume": "0, 4, 1, 2, 3"}
_PICTURE_CHANNELS = (1, 3, 4)
# An axis shorter than this is hardly the height of a picture.
_SHORT = 8


def to_inputs(x: Any, name: str = "x") -> Any:
    """Tensors of what a user passes as inputs; nothing is copied that needs no change.

    Tuples and dicts are several inputs and keep their form; a list holds rows. Short floats become float32; float64,
    integers and bools keep their type until `check_inputs` knows what the net takes.

    Raises
    ------
    DataTypeError, DataError, EmptyDataError
        As `easyconv.data.sources.convert.to_tensor` does.

    Examples
    --------
    >>> to_inputs([[1, 2], [3, 4]]).dtype
    torch.int64
    """
    if isinstance(x, tuple) and x and (is_number(x[0]) or isinstance(x[0], str)):
        x = list(x)
    return map_named(_input, x, name)


def _input(value: Any, name: str) -> Tensor:
    tensor = to_tensor(value, name)
    short = tensor.is_floating_point() and tensor.dtype not in (torch.float32, torch.float64)
    return tensor.to(torch.float32) if short else tensor


def check_inputs(x: Any, rule: Any = InputRule(), *, name: str = "x", values: bool = True) -> Any:  # noqa: B008
    """Inputs that the net can take: the right type and axes, finite.

    Parameters
    ----------
    x : tensor, or nested tuple or dict of tensors
        From `to_inputs`.
    rule : InputRule, or nested tuple or dict of them
        A single rule serves all inputs.
    name : str, default "x"
        For messages.
    values : bool, default True
        Whether the values are looked at; a tensor on an accelerator would have to be read for it.

    Returns
    -------
    tensor or tree
        float32 (float64 for a net of that), int64 for tokens, integers and bools where the net takes them, or still
        uint8: `finish_inputs` makes floats of that on the device.

    Raises
    ------
    DataError, DataTypeError, NonFiniteDataError
        With what was expected, what came and what to do.

    Examples
    --------
    >>> check_inputs(torch.zeros(2, 28, 28), InputRule("image", 1)).shape
    torch.Size([2, 1, 28, 28])
    """
    return map_rules(lambda leaf, leaf_rule, leaf_name: _check(leaf, leaf_rule, leaf_name, values), rule, x, name)


def finish_inputs(x: Any, rule: Any = InputRule(), *, channels_last: bool = False) -> Any:  # noqa: B008
    """The last step, on the device: uint8 images become floats in [0, 1], and all floats what the net computes in.

    Examples
    --------
    >>> finish_inputs(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8)).item()
    1.0
    """
    return map_rules(lambda leaf, leaf_rule, _: _finish(leaf, leaf_rule, channels_last), rule, x, "x")


def _finish(x: Tensor, rule: InputRule, channels_last: bool) -> Tensor:
    if x.dtype == torch.uint8 and rule.kind != "tokens":
        x = x.to(torch.float32).div_(255) if x.dim() >= 3 else x.to(torch.float32)
    if x.is_floating_point():
        x = x.to(rule.dtype)
    if channels_last and x.dim() == 4 and rule.kind != "tokens":
        return as_channels_last(x)
    return x


def _check(x: Tensor, rule: InputRule, name: str, values: bool) -> Tensor:
    if rule.kind == "tokens":
        return _tokens(x, rule, name, values)
    if rule.kind != "any":
        x = _axes(x, rule, name)
    if x.is_floating_point():
        x = x.to(torch.float32) if x.dtype == torch.float64 and rule.dtype != torch.float64 else x
        return check_finite(x, name) if values else x
    if x.dtype == torch.uint8 or rule.integers:
        return x
    if x.dim() >= 3 and x.dtype != torch.bool:
        _refuse_wide_integers(x, name)
    return x.to(torch.float32)


def _tokens(x: Tensor, rule: InputRule, name: str, values: bool) -> Tensor:
    if x.is_floating_point():
        check_finite(x, name)
        whole = x == x.round()
        if not bool(whole.all()):
            row = first_row(~whole)
            raise DataTypeError(
                f"{name} must hold integers, since the first layer is an embedding, got {describe(x)} with fractions, "
                f"the first in row {row}. Pass token numbers, or start the net with another layer."
            )
    if values and x.dtype != torch.bool:
        _check_tokens(x, rule.tokens, name)
    return x.to(torch.int64)


def _check_tokens(x: Tensor, tokens: int | None, name: str) -> None:
    low, high = bounds(x)
    if low < 0:
        raise DataError(
            f"{name} must hold token numbers from 0 on, since the first layer is an embedding, got {low:g}, "
            f"the first in row {first_row(x < 0)}. Give missing tokens a number of their own (padding_idx)."
        )
    if tokens is not None and high >= tokens:
        raise DataError(
            f"{name} must hold token numbers from 0 to {tokens - 1}, since the first layer is an embedding of "
            f"{tokens}, got {high:g}, the first too large in row {first_row(x >= tokens)}. Make it "
            f"Embedding({high + 1:g}, ...), or map the tokens into that range."
        )


def _refuse_wide_integers(x: Tensor, name: str) -> None:
    low, high = bounds(x)
    if low < 0 or high > 1:
        as_bytes = (
            f'{name}.astype("uint8") is scaled to [0, 1]'
            if low >= 0 and high <= 255
            else (f'({name} / {max(abs(low), abs(high))}).astype("float32") scales them')
        )
        raise DataTypeError(
            f"{name} must hold floats or uint8, got integers of shape {tuple(x.shape)} with values from {low} to "
            f'{high}; it is not clear whether to scale them. {as_bytes}, {name}.astype("float32") keeps the values '
            f"({name}.to(torch.float32) for a tensor)."
        )


def _axes(x: Tensor, rule: InputRule, name: str) -> Tensor:
    full = _AXES[rule.kind].count(",") + 1
    if x.dim() == full:
        _check_channels(x, rule, name)
        return x
    if x.dim() == full - 1:
        return _short_of_one_axis(x, rule, name)
    raise DataError(f"{name} must be {_wanted(rule)}, got shape {tuple(x.shape)}.{_axes_hint(x, rule, name)}")


def _axes_hint(x: Tensor, rule: InputRule, name: str) -> str:
    full = _AXES[rule.kind].count(",") + 1
    reshape = f"{name}.reshape(-1, {rule.channels or 1}, {', '.join(_AXES[rule.kind][1:-1].split(', ')[2:])})"
    if x.dim() == 1:
        return " Labels look like this: a batch is (x, y), the inputs first."
    if x.dim() == full - 2:
        return (
            f" Flat rows get their axes back with {reshape}; one {rule.kind} alone is {name}[None, None], a batch of "
            "one with one channel."
        )
    if x.dim() == 2:
        return f" Give each row its axes back: {reshape}."
    if x.dim() > full:
        return f" Leave out axes of size 1 ({name}.squeeze(...)), or join two of them ({name}.reshape(...))."
    return ""


def _check_channels(x: Tensor, rule: InputRule, name: str) -> None:
    channels, last = rule.channels, x.shape[-1]
    if x.shape[1] == channels or (channels is None and not _looks_channels_last(x)):
        return
    if channels is None or last == channels or (last in _PICTURE_CHANNELS and x.shape[1] not in _PICTURE_CHANNELS):
        order = _TO_FRONT[rule.kind]
        raise DataError(
            f"{name} must be {_wanted(rule)}, got shape {tuple(x.shape)}, which has the channels last. Move "
            f"them: {name}.transpose({order}) of an array, {name}.permute({order}) of a tensor."
        )
    raise DataError(
        f"{name} must be {_wanted(rule)}, got shape {tuple(x.shape)} with {x.shape[1]} channel"
        f"{'' if x.shape[1] == 1 else 's'}. {_channel_hint(x.shape[1], channels, name)}"
    )


def _channel_hint(got: int, wanted: int, name: str) -> str:
    if got == 1:
        return (
            f"Repeat the one there is ({name}.repeat({wanted}, 1) of an array, {name}.repeat_interleave({wanted}, 1) "
            "of a tensor), or build the net for one channel."
        )
    if wanted == 1:
        return f"Average the colours ({name}.mean(1, keepdims=True)), or build the net for {got} channels."
    return f"Build the net for {got} channels, or give it data of {wanted}."


def _looks_channels_last(x: Tensor) -> bool:
    few = x.shape[-1] in _PICTURE_CHANNELS and x.shape[1] not in _PICTURE_CHANNELS
    return x.dim() > 3 and few and min(x.shape[1:-1]) >= _SHORT


def _short_of_one_axis(x: Tensor, rule: InputRule, name: str) -> Tensor:
    channels, shape = rule.channels, tuple(x.shape)
    colour = x.dim() == 3 and shape[2] in (3, 4) and min(shape[:2]) >= _SHORT
    if (channels is None and not colour) or channels == 1:
        return x.unsqueeze(1)
    if channels is not None and shape[0] == channels:
        hint = f"This looks like one {rule.kind} without the batch axis; a batch of one is {name}[None]."
    elif shape[-1] == channels or channels is None:
        order = ", ".join([str(len(shape) - 1), *map(str, range(len(shape) - 1))])
        hint = (
            f"This looks like one {rule.kind} with the channels last and without the batch axis; a batch of one is "
            f"{name}.transpose({order})[None] of an array, {name}.permute({order})[None] of a tensor."
        )
    else:
        hint = (
            f"The axis of the {channels} channels is missing: {name}[:, None].repeat({channels}, 1) of an array "
            f"repeats the one there is, {name}[:, None].repeat_interleave({channels}, 1) of a tensor."
        )
    raise DataError(f"{name} must be {_wanted(rule)}, got shape {shape}. {hint}")


def _wanted(rule: InputRule) -> str:
    of_channels = "" if rule.channels is None else f" with C = {rule.channels}"
    return f"{rule.kind}s of shape {_AXES[rule.kind]}{of_channels}"
