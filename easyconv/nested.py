"""Nested tuples and dicts of tensors: what nets with several inputs or outputs take and give."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from easyconv.errors import ArgumentError, DataError, EmptyDataError, LengthError

__all__ = [
    "describe",
    "first_rows",
    "is_nested",
    "keys_of",
    "leaves",
    "map_named",
    "map_rules",
    "map_tree",
    "part_of",
    "rows_of",
]


def map_tree(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """The same tree with ``function`` applied to each tensor; None, the target of an output without a loss, stays.

    Examples
    --------
    >>> map_tree(lambda t: t.shape[0], (torch.ones(2), {"a": torch.ones(3)}))
    (2, {'a': 3})
    """
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: map_tree(function, value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return _same_kind(tree, [map_tree(function, value) for value in tree])
    return None if tree is None else function(tree)


def map_named(function: Callable[[Any, str], Any], tree: Any, name: str) -> Any:
    """Like `map_tree` with the name of each leaf: ``x[0]``, ``x['left']``.

    Examples
    --------
    >>> map_named(lambda leaf, name: name, (1, {"a": 2}), "x")
    ('x[0]', {'a': "x[1]['a']"})
    """
    if isinstance(tree, Tensor):
        return function(tree, name)
    if isinstance(tree, Mapping):
        return {key: map_named(function, value, f"{name}[{key!r}]") for key, value in tree.items()}
    if isinstance(tree, tuple):
        return _same_kind(tree, [map_named(function, value, f"{name}[{i}]") for i, value in enumerate(tree)])
    return function(tree, name)


def map_rules(function: Callable[[Any, Any, str], Any], rules: Any, tree: Any, name: str) -> Any:
    """Apply ``function(leaf, rule, name)``; a single rule serves every leaf, a tree of rules must have the tree's form.

    Raises
    ------
    DataError
        When the forms differ: two inputs for a net that takes three.

    Examples
    --------
    >>> map_rules(lambda leaf, rule, name: leaf * rule, (10, 100), (1, 2), "x")
    (10, 200)
    """
    if not isinstance(rules, (tuple, list, dict)):
        if isinstance(tree, Tensor):
            return function(tree, rules, name)
        return map_named(lambda leaf, leaf_name: function(leaf, rules, leaf_name), tree, name)
    if isinstance(rules, dict):
        if not isinstance(tree, Mapping) or set(tree) != set(rules):
            raise DataError(f"{name} must be a dict with the keys {sorted(map(str, rules))}, got {_form(tree)}.")
        return {key: map_rules(function, rules[key], tree[key], f"{name}[{key!r}]") for key in tree}
    if not isinstance(tree, tuple) or len(tree) != len(rules):
        raise DataError(f"{name} must be a tuple of {len(rules)} arrays, got {_form(tree)}.")
    pairs = enumerate(zip(rules, tree, strict=True))
    return _same_kind(tree, [map_rules(function, rule, leaf, f"{name}[{i}]") for i, (rule, leaf) in pairs])


def leaves(tree: Any, name: str = "x") -> Iterator[tuple[str, Any]]:
    """Each leaf with its name.

    Examples
    --------
    >>> list(leaves((1, {"a": 2})))
    [('x[0]', 1), ("x[1]['a']", 2)]
    """
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{name}[{key!r}]")
    elif isinstance(tree, (tuple, list)):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{name}[{index}]")
    else:
        yield name, tree


def rows_of(tree: Any, name: str = "x") -> int:
    """The length of the first axis, which all leaves must share; None is no leaf.

    Raises
    ------
    LengthError
        When two leaves have different lengths.
    EmptyDataError
        When there is no leaf at all.

    Examples
    --------
    >>> rows_of((torch.ones(2, 3), torch.ones(2)))
    2
    """
    if isinstance(tree, Tensor):
        return int(tree.shape[0])
    found = [(leaf_name, int(leaf.shape[0])) for leaf_name, leaf in leaves(tree, name) if leaf is not None]
    if not found:
        raise EmptyDataError(f"{name} is an empty {type(tree).__name__}: there is no array in it.")
    first_name, rows = found[0]
    for leaf_name, count in found[1:]:
        if count != rows:
            raise LengthError(f"{first_name} has {rows} rows and {leaf_name} has {count}; they must have as many rows.")
    return rows


def first_rows(tree: Any) -> int:
    """Rows of the first tensor, 1 where there is none to look at; the others may have as many as they like.

    Examples
    --------
    >>> first_rows({"a": torch.zeros(3, 2), "b": torch.zeros(5)})
    3
    """
    if isinstance(tree, Tensor):
        return int(tree.shape[0]) if tree.ndim else 1
    parts = list(tree.values()) if isinstance(tree, Mapping) else tree
    return first_rows(parts[0]) if isinstance(parts, (tuple, list)) and parts else 1


def is_nested(value: object) -> bool:
    """Whether ``value`` is a tuple, list or dict.

    Examples
    --------
    >>> is_nested({"a": 1}), is_nested(1)
    (True, False)
    """
    # A tensor is asked for first, since to ask it whether it is a Mapping takes longest.
    return not isinstance(value, Tensor) and isinstance(value, (tuple, list, Mapping))


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


def _same_kind(tree: Any, values: list[Any]) -> Any:
    if hasattr(tree, "_fields"):
        return type(tree)(*values)
    return tuple(values)


def _form(tree: Any) -> str:
    if isinstance(tree, Mapping):
        return f"a dict with the keys {sorted(map(str, tree))}"
    if isinstance(tree, (tuple, list)):
        return f"a {type(tree).__name__} of {len(tree)}"
    if isinstance(tree, torch.Tensor):
        return f"one array of shape {tuple(tree.shape)}"
    return f"{type(tree).__name__}"
