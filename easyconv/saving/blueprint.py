"""Nets, and what belongs to them, as plain data: how they are put together, without what is in their tensors."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.errors import ArgumentTypeError, UnreadableFileError
from easyconv.layers.freezing import freeze, mode_of
from easyconv.saving.catalogue import classes, functions, name_of, optimizers
from easyconv.training.history import History

__all__ = ["Blueprint", "Builder", "NotDescribableError"]

_MARK = "@"
_PLAIN = (str, bytes, bool, int, float, type(None))
_TORCH_OWN = frozenset(vars(nn.Module())) | {"train"}
"""What every module has: kept apart from what its class has added. ``train`` stands on a frozen norm."""
_RECURRENT = {"_flat_weights", "_flat_weight_refs"}
"""Of recurrent layers: the parameters once more, which torch gathers anew."""
_PASSING = {"_copies", "_session", "_init", "_preprocessing"}
"""Of models: what stands elsewhere in the file, or is of no use to a model in a model; and how layers that are added
later begin, where that is a function."""


class NotDescribableError(ArgumentTypeError):
    """Something that is code, and so cannot be written as data."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place} is {what}")
        self.place = place
        self.what = what


class Blueprint:
    """Describes objects as plain data; tensors of nets are collected beside it.

    Attributes
    ----------
    weights, buffers : dict of str to Tensor
        Of all modules that were described: parameters and persistent buffers, under the keys of ``state_dict``, and
        the other buffers.

    Examples
    --------
    >>> blueprint = Blueprint()
    >>> plan = blueprint.describe(nn.Sequential(nn.Linear(2, 3)))
    >>> plan["@module"], list(blueprint.weights)
    ('torch.nn.Sequential', ['0.weight', '0.bias'])
    >>> Builder(blueprint.weights, {}).build(plan)
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
    )
    """

    def __init__(self, prefix: str = "") -> None:
        self.weights: dict[str, Tensor] = {}
        self.buffers: dict[str, Tensor] = {}
        self._prefix = prefix
        self._modules: dict[nn.Module, int] = {}
        self._keys: dict[Tensor, str] = {}
        self._classes = classes()
        self._functions = {function: name for name, function in functions().items()}
        self._optimizers = {cls: name for name, cls in optimizers().items()}

    def describe(self, value: Any, place: str = "") -> Any:
        """The value as numbers, text, tensors and what holds them.

        Parameters
        ----------
        value : any
            Plain values; modules of torch.nn, easyconv's layers, blocks, nets, metrics and transforms.
        place : str
            Dotted name at which it stands, for messages and for keys of tensors.

        Raises
        ------
        NotDescribableError
            When a part is something else.
        """
        if isinstance(value, _PLAIN) and not isinstance(value, Enum):
            return value
        if isinstance(value, (list, tuple)):
            parts = [self.describe(part, f"{place}.{index}") for index, part in enumerate(value)]
            return parts if isinstance(value, list) else tuple(parts)
        if isinstance(value, Mapping):
            return self._mapping(value, place)
        if isinstance(value, nn.Module):
            return self._module(value, place)
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            return value.detach() if not value.is_meta else {"@shape": tuple(value.shape), "dtype": _short(value.dtype)}
        return self._other(value, place)

    def _mapping(self, value: Mapping[Any, Any], place: str) -> Any:
        parts = {key: self.describe(part, f"{place}.{key}") for key, part in value.items()}
        marked = any(isinstance(key, str) and key.startswith(_MARK) for key in parts)
        return {"@dict": list(parts.items())} if marked else parts

    def _other(self, value: Any, place: str) -> Any:
        if isinstance(value, (torch.dtype, torch.device)):
            return {f"@{type(value).__name__}": _short(value)}
        if isinstance(value, Enum) and type(value).__module__.startswith("torchvision."):
            return {"@interpolation": value.name}
        try:
            name, kind = self._functions.get(value), "@function"
            if name is None:
                name, kind = self._optimizers.get(value), "@optimizer"
        except TypeError:  # it has no hash
            name = None
        if name is not None:
            return {kind: name}
        if isinstance(value, type) and self._classes.get(name_of(value) or "") is value:
            return {"@class": name_of(value)}
        if self._classes.get(name_of(type(value)) or "") is type(value):
            plain = _without_guests(value) if isinstance(value, History) else vars(value)
            return {"@object": name_of(type(value)), "attributes": self._attributes(plain, place)}
        raise NotDescribableError(place, _shown(value))

    def _attributes(self, attributes: Mapping[str, Any], place: str) -> dict[str, Any]:
        return {name: self.describe(value, f"{place}.{name}" if place else name) for name, value in attributes.items()}

    def _module(self, module: nn.Module, place: str) -> dict[str, Any]:
        if module in self._modules:
            return {"@same": self._modules[module]}
        name = name_of(type(module))
        if name is None or self._classes.get(name) is not type(module):
            raise NotDescribableError(place, _shown(module))
        self._refuse_code(module, place)
        number = self._modules[module] = len(self._modules)
        left_out = _TORCH_OWN | (_RECURRENT if isinstance(module, nn.RNNBase) else set())
        own = {key: value for key, value in vars(module).items() if key not in left_out}
        own |= {key: None for key in _PASSING & own.keys() if not isinstance(own[key], str)}
        return {
            "@module": name,
            "number": number,
            "attributes": self._attributes(own, place),
            "parameters": {key: self._parameter(value, _at(place, key)) for key, value in module._parameters.items()},
            "buffers": {key: self._buffer(module, key, _at(place, key)) for key in module._buffers},
            "children": {
                key: None if child is None else self._module(child, _at(place, key))
                for key, child in module._modules.items()
            },
            "training": mode_of(module),
            "frozen": "train" in vars(module),
        }

    def _parameter(self, parameter: Tensor | None, key: str) -> Any:
        if parameter is None:
            return None
        known = self._keys.setdefault(parameter, key)
        # Like state_dict, each key has its tensor, shared ones too.
        self.weights[f"{self._prefix}{key}"] = parameter.detach()
        return {"key": f"{self._prefix}{known}", "trained": parameter.requires_grad}

    def _buffer(self, module: nn.Module, name: str, key: str) -> Any:
        buffer = module._buffers[name]
        if buffer is None:
            return None
        persistent = name not in module._non_persistent_buffers_set
        (self.weights if persistent else self.buffers)[f"{self._prefix}{key}"] = buffer.detach()
        return {"key": f"{self._prefix}{key}", "persistent": persistent}

    def _refuse_code(self, module: nn.Module, place: str) -> None:
        hooks = [name for name in vars(module) if name.endswith("_hooks") and vars(module)[name]]
        if hooks:
            raise NotDescribableError(place, f"a {type(module).__name__} with a hook ({hooks[0].strip('_')})")


class Builder:
    """Makes what a `Blueprint` has described, with nothing but the classes and functions of the catalogue.

    Parameters
    ----------
    weights, buffers : dict of str to Tensor
        As in the blueprint; the tensors become those of the net.
    """

    def __init__(self, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
        self._weights = weights
        self._buffers = buffers
        self._classes = classes()
        self._built: dict[int, nn.Module] = {}
        self._parameters: dict[str, nn.Parameter] = {}
        self._makers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "@class": lambda plan: _known(self._classes, plan["@class"]),
            "@device": lambda plan: torch.device(plan["@device"]),
            "@dict": lambda plan: {self.build(key): self.build(part) for key, part in plan["@dict"]},
            "@dtype": lambda plan: _dtype(plan["@dtype"]),
            "@function": lambda plan: _known(functions(), plan["@function"]),
            "@interpolation": _interpolation,
            "@module": self._module,
            "@object": self._object,
            "@optimizer": lambda plan: _known(optimizers(), plan["@optimizer"]),
            "@same": lambda plan: self._built[plan["@same"]],
            "@shape": lambda plan: torch.empty(plan["@shape"], dtype=_dtype(plan["dtype"]), device="meta"),
        }

    def build(self, plan: Any) -> Any:
        """The object that a plan describes.

        Raises
        ------
        UnreadableFileError
            When it names a class or function that is not in the catalogue.
        KeyError, ValueError, TypeError
            When nobody can have described such an object.
        """
        if isinstance(plan, (list, tuple)):
            parts = [self.build(part) for part in plan]
            return parts if isinstance(plan, list) else tuple(parts)
        if not isinstance(plan, dict):
            return plan
        mark = next(iter(plan), "")
        if isinstance(mark, str) and mark.startswith(_MARK):
            return self._makers[mark](plan)
        return {key: self.build(part) for key, part in plan.items()}

    def _object(self, plan: dict[str, Any]) -> Any:
        cls = _known(self._classes, plan["@object"])
        made = cls.__new__(cls)
        vars(made).update({name: self.build(part) for name, part in plan["attributes"].items()})
        return made

    def _module(self, plan: dict[str, Any]) -> nn.Module:
        cls = _known(self._classes, plan["@module"])
        module: nn.Module = cls.__new__(cls)
        if not isinstance(module, nn.Module):
            raise TypeError(f"{plan['@module']} is no module")
        nn.Module.__init__(module)
        self._built[plan["number"]] = module
        attributes = {name: self.build(part) for name, part in plan["attributes"].items()}
        if not _TORCH_OWN.isdisjoint(attributes):
            raise ValueError(f"{plan['@module']} has attributes that belong to torch")
        for name, entry in plan["parameters"].items():
            module._parameters[name] = None if entry is None else self._parameter(entry)
        if isinstance(module, nn.RNNBase):
            attributes["_flat_weights"] = [module._parameters[name] for name in attributes["_flat_weights_names"]]
        # As for a pickled module: torch completes what an older version of it did not have.
        module.__setstate__({**vars(module), **attributes})  # type: ignore[no-untyped-call]
        for name, entry in plan["buffers"].items():
            module._buffers[name] = None if entry is None else self._buffer(module, name, entry)
        for name, child in plan["children"].items():
            module._modules[name] = None if child is None else self.build(child)
        module.training = plan["training"]
        if plan["frozen"]:
            _freeze_alone(module)
        return module

    def _parameter(self, entry: dict[str, Any]) -> nn.Parameter:
        key = entry["key"]
        if key not in self._parameters:
            self._parameters[key] = nn.Parameter(self._weights[key], requires_grad=entry["trained"])
        return self._parameters[key]

    def _buffer(self, module: nn.Module, name: str, entry: dict[str, Any]) -> Tensor:
        if not entry["persistent"]:
            module._non_persistent_buffers_set.add(name)
        return (self._weights if entry["persistent"] else self._buffers)[entry["key"]]


def _known(catalogue: Mapping[str, Any], name: str) -> Any:
    if name not in catalogue:
        raise UnreadableFileError(
            f"names {name!r}, which this easyconv does not know. Was it written by a newer one? Update easyconv."
        )
    return catalogue[name]


def _freeze_alone(norm: nn.Module) -> None:
    """A norm whose statistics are frozen; its parameters keep what the file says of them."""
    flags = {parameter: parameter.requires_grad for parameter in norm.parameters(recurse=False)}
    freeze(norm)
    for parameter, flag in flags.items():
        parameter.requires_grad = flag


def _without_guests(history: History) -> dict[str, Any]:
    """Callbacks of users may put anything into a row."""
    rows = [{name: value for name, value in row.items() if isinstance(value, (int, float, Tensor))} for row in history]
    return {**vars(history), "rows": rows}


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _short(value: torch.dtype | torch.device) -> str:
    return str(value).removeprefix("torch.")


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name)
    if not isinstance(found, torch.dtype):
        raise TypeError(f"{name!r} is no type of numbers")
    return found


def _interpolation(plan: dict[str, Any]) -> Any:
    from torchvision.transforms import InterpolationMode

    return InterpolationMode[plan["@interpolation"]]


def _shown(value: Any) -> str:
    kind = type(value)
    home = f" of {kind.__module__}" if kind.__module__ != "builtins" else ""
    if hasattr(value, "__qualname__"):  # a function or a class
        return f"{value.__qualname__} of {value.__module__}"
    return f"a {kind.__qualname__}{home}"
