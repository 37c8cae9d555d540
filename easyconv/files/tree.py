"""Nested plain values as JSON, with the tensors beside it."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from easyconv.errors import ArgumentTypeError

__all__ = ["from_json", "to_json"]

_MARK = "$"
"""Begins the one key of a dict that stands for what JSON does not know."""
_TAKEN = "__metadata__"  # what safetensors keeps under a name that no tensor can have
_SIMPLE = (str, bool, int, type(None))


def to_json(value: Any, tensors: dict[str, Tensor], path: str = "state") -> Any:
    """What ``json.dumps`` takes; tensors are put into ``tensors`` under the dotted path at which they stand.

    Parameters
    ----------
    value : tensor, number, text, bytes, None, NumPy array, or list, tuple or dict of these
        What to write. Subclasses come back as what they derive from: a named tuple as a tuple, a parameter as a tensor.
    tensors : dict of str to Tensor
        Gets the tensors.
    path : str, default "state"
        What error messages call ``value``.

    Raises
    ------
    ArgumentTypeError
        When a part is anything else; the message says where it stands.

    Examples
    --------
    >>> tensors = {}
    >>> to_json({"step": 3, "betas": (0.5, 0.9), "weight": torch.zeros(2)}, tensors)
    {'step': 3, 'betas': {'$tuple': [0.5, 0.9]}, 'weight': {'$tensor': 'weight'}}
    >>> tensors
    {'weight': tensor([0., 0.])}
    """
    return _Packing(tensors).pack(value, path)


def from_json(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What ``to_json`` was given. It makes plain values and nothing else, whatever ``tree`` says.

    Raises
    ------
    ValueError
        When ``tree`` is not of ``to_json``, or names a tensor that is not there.

    Examples
    --------
    >>> from_json({"betas": {"$tuple": [0.5, 0.9]}}, {})
    {'betas': (0.5, 0.9)}
    """
    if isinstance(tree, list):
        return [from_json(part, tensors) for part in tree]
    if not isinstance(tree, dict):
        return tree
    mark = next(iter(tree), "")
    if not mark.startswith(_MARK):
        return {key: from_json(part, tensors) for key, part in tree.items()}
    if len(tree) != 1 or mark not in _MAKERS:
        raise ValueError(f"{mark!r} stands for nothing")
    return _MAKERS[mark](tree[mark], tensors)


class _Packing:
    """One walk over a value."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def pack(self, value: Any, path: str) -> Any:
        if isinstance(value, _SIMPLE):
            return value
        if isinstance(value, (float, np.generic)):
            return self._number(value, path)
        if isinstance(value, (Tensor, np.ndarray)):
            return self._array(value, path)
        if isinstance(value, (bytes, bytearray)):
            return {"$bytes": bytes(value).hex()}
        if isinstance(value, list):
            return self._each(value, path)
        if isinstance(value, tuple):
            return {"$tuple": self._each(value, path)}
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        raise _refused(value, path)

    def _each(self, values: Any, path: str) -> list[Any]:
        return [self.pack(part, f"{path}.{index}") for index, part in enumerate(values)]

    def _mapping(self, value: Mapping[Any, Any], path: str) -> Any:
        if all(isinstance(key, str) and not key.startswith(_MARK) for key in value):
            return {key: self.pack(part, f"{path}.{key}") for key, part in value.items()}
        pairs = [[self.pack(key, f"{path} (a key)"), self.pack(part, f"{path}.{key}")] for key, part in value.items()]
        return {"$dict": pairs}

    def _number(self, value: Any, path: str) -> Any:
        number = value.item() if isinstance(value, np.generic) else value
        if isinstance(number, _SIMPLE):
            return number
        if not isinstance(number, float):
            raise _refused(value, path)
        # JSON has no name for these.
        return float(number) if math.isfinite(number) else {"$float": str(float(number))}

    def _array(self, value: Any, path: str) -> Any:
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "biufc":
                raise _refused(value, path)
            return {"$array": self._put(torch.from_numpy(np.array(value)), path)}
        tensor = value.detach()
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            raise _refused(value, path)
        if tensor.is_complex():
            return {"$complex": self._put(torch.view_as_real(tensor.resolve_conj()), path)}
        return {"$tensor": self._put(tensor, path)}

    def _put(self, tensor: Tensor, path: str) -> str:
        name = wanted = (path.partition(".")[2] or path).encode(errors="backslashreplace").decode()
        count = 1
        while name in self.tensors or name == _TAKEN:  # "a.b" may be a key, or a path of two
            count += 1
            name = f"{wanted}#{count}"
        self.tensors[name] = tensor
        return name


def _refused(value: Any, path: str) -> ArgumentTypeError:
    kind = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
    shown = f"a {value.layout} tensor on {value.device}" if isinstance(value, Tensor) else f"a {kind}"
    return ArgumentTypeError(
        f"{path} is {shown}, which a file of plain data cannot hold. Keep tensors, numbers, text, bytes, None, and "
        "lists, tuples and dicts of these."
    )


def _dict_of(pairs: Any, tensors: Mapping[str, Tensor]) -> dict[Any, Any]:
    return {from_json(key, tensors): from_json(part, tensors) for key, part in pairs}


_MAKERS: dict[str, Any] = {
    "$array": lambda name, tensors: tensors[name].numpy().copy(),
    "$bytes": lambda text, tensors: bytes.fromhex(text),
    "$complex": lambda name, tensors: torch.view_as_complex(tensors[name]),
    "$dict": _dict_of,
    "$float": lambda text, tensors: float(text),
    "$tensor": lambda name, tensors: tensors[name],
    "$tuple": lambda parts, tensors: tuple(from_json(part, tensors) for part in parts),
}
