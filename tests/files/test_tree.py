"""Nested plain values survive the way to JSON and back, and nothing else is taken."""

import json
import math
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from easyconv.errors import ArgumentTypeError
from easyconv.files.tree import from_json, to_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.booleans() | st.none(), inner, max_size=4)
    ),
    max_leaves=20,
)


def there_and_back(value):
    tensors = {}
    text = json.dumps(to_json(value, tensors), allow_nan=False)
    return from_json(json.loads(text), tensors)


def exactly(value):
    """With the types, which ``==`` does not look at: ``1 == True == 1.0`` and the signs of zeros."""
    if isinstance(value, dict):
        return "dict", [(exactly(key), exactly(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [exactly(part) for part in value]
    return type(value), repr(value)


@settings(max_examples=300, deadline=None)
@given(PLAIN)
def test_plain_values(value):
    assert exactly(there_and_back(value)) == exactly(value)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 5e-324, 0.1, -0.0])
def test_every_float_comes_back_bit_for_bit(number):
    assert np.float64(there_and_back([number])[0]).tobytes() == np.float64(number).tobytes()


@pytest.mark.parametrize("key", ["$tensor", "$", "$dict", "", ".", "a.b", "#2", "\ud800", "__metadata__"])
def test_keys_that_look_like_something(key):
    value = {key: torch.ones(2), "b": {key: {"$tensor": 3}}}
    found = there_and_back(value)
    assert list(found) == [key, "b"]
    assert torch.equal(found[key], torch.ones(2))
    assert found["b"] == {key: {"$tensor": 3}}


def test_paths_that_are_alike_keep_their_tensors():
    value = {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}, "a.b#2": torch.full((1,), 2.0)}
    found = there_and_back(value)
    assert [float(found["a.b"]), float(found["a"]["b"]), float(found["a.b#2"])] == [0, 1, 2]


def test_arrays_numbers_and_complex():
    value = {
        "state": np.arange(4, dtype=np.uint32),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "scalar": np.float32(0.1),
        "count": np.int64(3),
        "yes": np.bool_(True),
        "wave": torch.tensor([1 + 2j, 3j]).conj(),
        "nothing": torch.zeros(0, 3),
    }
    found = there_and_back(value)
    assert found["state"].dtype == np.uint32
    assert found["state"].tolist() == [0, 1, 2, 3]
    assert (found["turned"] == value["turned"]).all()
    assert (found["scalar"], found["count"], found["yes"]) == (float(np.float32(0.1)), 3, True)
    assert torch.equal(found["wave"], value["wave"])
    assert found["nothing"].shape == (0, 3)


def test_random_states_of_everything():
    import random

    for state in (random.getstate(), np.random.get_state(), np.random.default_rng(0).bit_generator.state):
        assert repr(there_and_back({"rng": state})["rng"]) == repr(state)


def test_an_optimizer():
    net = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    found = there_and_back(optimizer.state_dict())
    other = torch.optim.Adam(net.parameters())
    other.load_state_dict(found)
    assert repr(other.state_dict()) == repr(optimizer.state_dict())


def test_subclasses_come_back_as_what_they_derive_from():
    pair = namedtuple("Pair", "a b")
    found = there_and_back([pair(1, 2), OrderedDict(a=1), nn.Parameter(torch.ones(1)), torch.Size([2])])
    assert [type(part) for part in found] == [tuple, dict, torch.Tensor, tuple]
    assert not found[2].requires_grad


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (print, "builtin_function_or_method"),
        ({1, 2}, "set"),
        (nn.ReLU(), "ReLU"),
        (torch.float32, "dtype"),
        (1 + 2j, "complex"),
        (np.array(["a"]), "<U1 array"),
        (np.array([None]), "object array"),
        (torch.eye(2).to_sparse(), "torch.sparse_coo tensor on cpu"),
        (torch.empty(2, device="meta"), "torch.strided tensor on meta"),
    ],
)
def test_what_is_no_data_is_refused_with_its_place(value, shown):
    with pytest.raises(ArgumentTypeError, match=r"state\.callbacks\.1 is a ") as caught:
        to_json({"callbacks": [0, value]}, {})
    assert shown in str(caught.value)
    with pytest.raises(ArgumentTypeError, match=r"state \(a key\) is a"):
        to_json({frozenset(): 1}, {})


@pytest.mark.parametrize(
    "tree",
    [
        {"$exec": "print"},
        {"$tensor": "nowhere"},
        {"$tensor": {"$tensor": "w"}},
        {"$dict": [[[1], 2]]},
        {"$dict": [1]},
        {"$dict": [["a"]]},
        {"$tuple": 3},
        {"$bytes": "zz"},
        {"$float": "print()"},
        {"$tensor": "w", "$tuple": []},
        {"$complex": "w"},
    ],
)
def test_trees_that_nobody_has_written(tree):
    with pytest.raises((ValueError, KeyError, TypeError, RuntimeError)):
        from_json(tree, {"w": torch.ones(3)})
