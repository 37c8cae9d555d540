"""What makes a run this run: where one of these things is another, it cannot go on."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from easyconv.data.sources.make import Source
from easyconv.losses import Objective
from easyconv.training.options import FitOptions
from easyconv.training.state import Recipe

__all__ = ["differences", "identity_of", "settings_of"]

_COMMA = re.compile(r", (?![^(]*\))")
"""Not those within brackets."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_MOST_SHOWN = 5


def identity_of(
    net: nn.Module, recipe: Recipe, optimizer: Mapping[str, Any], options: FitOptions, sources: Sequence[Source]
) -> dict[str, Any]:
    """Net, optimizer, data and arguments of a training that begins, as plain data.

    Parameters
    ----------
    net : torch.nn.Module
        Built.
    recipe : Recipe
        Of ``compile``.
    optimizer : dict
        `settings_of` the optimizer when it was made.
    options : FitOptions
        Of ``fit``; more or fewer ``epochs`` are no difference.
    sources : sequence of Source
        The data to train on, and to validate on where there is some.
    """
    return {
        "layer": {name or "(net)": _layer(module) for name, module in net.named_modules()},
        "weights": {name: _form(tensor) for name, tensor in [*net.named_parameters(), *net.named_buffers()]},
        "optimizer": dict(optimizer),
        "loss": _loss(recipe.objective),
        "metrics": [metric.name for metric in recipe.metrics],
        "compile": {name: getattr(recipe, name) for name in _OF_COMPILE},
        "fit": {"seed": options.seed, "steps_per_epoch": options.steps_per_epoch},
        "data": sources[0].identity(),
        "validation_data": sources[1].identity() if len(sources) > 1 else None,
    }


_OF_COMPILE = ("precision", "accumulate", "clip_norm", "clip_value", "ema")


def settings_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its class, and for each group the settings and the number of parameters.

    Examples
    --------
    >>> settings_of(torch.optim.SGD([torch.zeros(2)], lr=0.1))["group 0"]["lr"]
    '0.1'
    """
    groups = {
        f"group {index}": {"parameters": len(group["params"]), **_settings(group)}
        for index, group in enumerate(optimizer.param_groups)
    }
    return {"class": type(optimizer).__name__, **groups}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is another in the second of two identities, one line each.

    Examples
    --------
    >>> differences({"data": {"rows": 100}, "loss": "mse"}, {"data": {"rows": 90}, "loss": "mse"})
    ['data, rows: 100 in the run, 90 now']
    """
    found = list(_differences(before, now, ()))
    more = len(found) - _MOST_SHOWN
    return found if more <= 0 else [*found[:_MOST_SHOWN], f"and {more} more"]


def _differences(before: Any, now: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        names = dict.fromkeys([*before, *now])
        if path[:1] == ("optimizer",) and len(path) == 2:
            # Another version of torch may know settings that this one does not.
            names = dict.fromkeys(name for name in before if name in now)
        for name in names:
            yield from _differences(before.get(name), now.get(name), (*path, str(name)))
    elif before != now and not (path[:1] == ("layer",) and _same_layer(str(before), str(now))):
        yield f"{', '.join(path)}: {_shown(before)} in the run, {_shown(now)} now"


def _same_layer(before: str, now: str) -> bool:
    """Whether two descriptions of a layer differ only in what another version of torch says or leaves out."""
    (kind, words), (other_kind, other_words) = _words_of(before), _words_of(now)
    alike = kind == other_kind and all(words[word] == other_words[word] for word in words.keys() & other_words.keys())
    return alike and all(_goes_without_saying(kind[0], *word) for word in words.items() ^ other_words.items())


def _words_of(layer: str) -> tuple[list[str], dict[str, str]]:
    """What stands in ``Conv2d(1, 4, kernel_size=(3, 3))`` without a name, and what has one."""
    kind, _, inside = layer.partition("(")
    parts = [part for part in _COMMA.split(inside.removesuffix(")")) if part]
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    return [kind, *(part for part in parts if "=" not in part)], named


def _goes_without_saying(kind: str, word: str, value: str) -> bool:
    """Whether a layer of torch is made so by default, or this version of torch knows no such word."""
    layer = getattr(nn, kind, None)
    if layer is None:
        return False
    parameters = inspect.signature(layer).parameters
    return word not in parameters or value in (str(parameters[word].default), repr(parameters[word].default))


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _layer(module: nn.Module) -> str:
    text = f"{type(module).__qualname__}({module.extra_repr()})"
    return _ADDRESS.sub("", text)


def _loss(objective: Objective) -> str:
    return ", ".join([objective.name, *(_ADDRESS.sub("", repr(module)) for module in objective.modules())])


def _form(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _ADDRESS.sub("", str(value)) for name, value in group.items() if name != "params"}
