"""Outputs and targets that are tuples, lists or dicts of tensors."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from easyconv.errors import ArgumentError

__all__ = ["describe", "is_nested", "keys_of", "map_tensors", "part_of"]


def is_nested(value: object) -> bool:
    """Whether ``value`` is a tuple, list or dict.

    Examples
    --------
    >>> is_nested({"a": 1}), is_nested(1)
    (True, False)
    """
    return isinstance(value, (tuple, list, Mapping))


def keys_of(tree: Any) -> list[Any]:
    """Keys of a dict, positions of a tuple or list.

    Examples
    --------
    >>> keys_of({"a": 1}), keys_of((5, 6))
    (['a'], [0, 1])
    """
    return list(tree) if isinstance(tree, Mapping) else list(range(len(tree)))


def part_of(tree: Any, key: int | str, name: str) -> Any:
    """``tree[key]``, or a message that says which part is missing.

    Examples
    --------
    >>> part_of({"a": 1}, "a", "target")
    1
    """
    fits = isinstance(tree, Mapping) if isinstance(key, str) else isinstance(tree, (tuple, list))
    if not fits or key not in keys_of(tree):
        place = f"the key {key!r}" if isinstance(key, str) else f"position {key}"
        raise ArgumentError(
            f"The net has several outputs, and {name} must have the same structure; "
            f"{place} is missing from {name}, which is {describe(tree)}."
        )
    return tree[key]


def map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """``function`` of each tensor, in the structure of ``tree``.

    Examples
    --------
    >>> map_tensors(lambda value: value + 1, {"a": (1, 2)})
    {'a': (2, 3)}
    """
    if isinstance(tree, Mapping):
        return {key: map_tensors(function, part) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(map_tensors(function, part) for part in tree)
    return function(tree)


def describe(value: Any) -> str:
    """Structure and shapes, for messages.

    Examples
    --------
    >>> import torch
    >>> describe({"a": torch.zeros(2, 3), "b": 1})
    "a dict {'a': a tensor (2, 3), 'b': int}"
    """
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a dict {{{', '.join(f'{key!r}: {describe(part)}' for key, part in value.items())}}}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} ({', '.join(describe(part) for part in value)})"
    return type(value).__name__
