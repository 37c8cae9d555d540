"""``Sequential`` takes layers in every way, and behaves as both torch's and Keras's."""

from collections import OrderedDict

import pytest
import torch
from model_forms import X, Y, same, weights
from torch import nn

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    LayerNotFoundError,
    ReservedNameError,
    ShapeError,
)


def stack():
    return [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)]


def names(model):
    return list(model._modules)


WAYS = {
    "list": lambda a, b, c: ec.Sequential([a, b, c]),
    "tuple": lambda a, b, c: ec.Sequential((a, b, c)),
    "arguments": lambda a, b, c: ec.Sequential(a, b, c),
    "generator": lambda a, b, c: ec.Sequential(layer for layer in (a, b, c)),
    "ModuleList": lambda a, b, c: ec.Sequential(nn.ModuleList([a, b, c])),
    "added": lambda a, b, c: [model := ec.Sequential(), model.add(a), model.add(b), model.add(c)][0],
    "appended": lambda a, b, c: ec.Sequential().append(a).append(b).append(c),
    "extended": lambda a, b, c: ec.Sequential([a]).extend([b, c]),
    "inserted": lambda a, b, c: ec.Sequential([b]).insert(0, a).insert(2, c),
    "sum": lambda a, b, c: ec.Sequential([a]) + nn.Sequential(b, c),
    "slice": lambda a, b, c: ec.Sequential([a, b, c, nn.Tanh()])[:3],
}
NAMED = {
    "pairs": lambda a, b: ec.Sequential([("stem", a), ("head", b)]),
    "pair arguments": lambda a, b: ec.Sequential(("stem", a), ("head", b)),
    "dict": lambda a, b: ec.Sequential({"stem": a, "head": b}),
    "OrderedDict": lambda a, b: ec.Sequential(OrderedDict(stem=a, head=b)),
    "ModuleDict": lambda a, b: ec.Sequential(nn.ModuleDict({"stem": a, "head": b})),
    "added": lambda a, b: [model := ec.Sequential(), model.add(a, "stem"), model.add(b, name="head")][0],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ways_to_make_one(way):
    layers = stack()
    model = way(*layers)
    assert type(model) is ec.Sequential
    assert model.layers == layers
    assert names(model) == ["0", "1", "2"]
    assert torch.equal(model(X), nn.Sequential(*layers)(X))
    assert list(model.state_dict()) == list(nn.Sequential(*layers).state_dict())


@pytest.mark.parametrize("way", NAMED.values(), ids=NAMED)
def test_ways_to_name_layers(way):
    first, last = nn.Linear(4, 2), nn.ReLU()
    model = way(first, last)
    assert names(model) == ["stem", "head"]
    assert model.stem is model.get_layer("stem") is model[0] is first
    assert model[-1] is last


def test_some_layers_named_and_others_not():
    model = ec.Sequential([nn.Linear(4, 4), ("middle", nn.ReLU()), nn.Linear(4, 2)])
    assert names(model) == ["0", "middle", "2"]


def test_torchs_sequential_stays_one_layer():
    inner = nn.Sequential(*stack())
    assert ec.Sequential(inner).layers == [inner]
    assert ec.Sequential([inner]).layers == [inner]
    nested = ec.Sequential([inner, ec.Sequential([nn.Linear(3, 2)])])
    assert torch.equal(nested(X), nested[1](inner(X)))


def test_it_is_both():
    model = ec.Sequential(stack())
    assert isinstance(model, ec.Model)
    assert isinstance(model, nn.Sequential)
    assert len(model) == 3
    assert list(model) == model.layers == [model[0], model[1], model[2]]
    assert type(model[1:]) is ec.Sequential
    assert model[1:].layers == model.layers[1:]
    assert model[::-1].layers == model.layers[::-1]
    assert len(ec.Sequential()) == len(ec.Sequential([])) == 0
    assert torch.equal(ec.Sequential()(X), X)
    with pytest.raises(IndexError, match="out of range"):
        model[3]


def test_slices_of_a_subclass_are_plain_stacks():
    class Small(ec.Sequential):
        def __init__(self, width):
            super().__init__([ec.layers.Dense(width), nn.ReLU(), ec.layers.Dense(2)], input_shape=(4,))

    model = Small(5)
    assert type(model[:2]) is ec.Sequential
    assert torch.equal(model[:2](X), model[0](X).relu())


def test_numbers_move_and_names_stay():
    model = ec.Sequential([nn.Linear(4, 4), ("norm", nn.BatchNorm1d(4)), nn.ReLU(), ("head", nn.Linear(4, 2))])
    model.insert(0, nn.Dropout(0.5))
    assert names(model) == ["0", "1", "norm", "3", "head"]
    assert type(model.pop(0)) is nn.Dropout
    del model[0]
    assert names(model) == ["norm", "1", "head"]
    assert type(model.pop()) is nn.Linear
    assert names(model) == ["norm", "1"]
    model[1] = nn.Tanh()
    model += [nn.Linear(4, 3)]
    assert [type(layer) for layer in model] == [nn.BatchNorm1d, nn.Tanh, nn.Linear]
    model.insert(-1, nn.ELU())
    assert [type(layer) for layer in model] == [nn.BatchNorm1d, nn.Tanh, nn.ELU, nn.Linear]
    del model[1:]
    assert names(model) == ["norm"]


def test_add_finds_a_free_number():
    model = ec.Sequential([nn.ReLU(), ("2", nn.ReLU())])
    model.add(nn.Tanh())
    assert names(model) == ["0", "2", "3"]


def test_slices_keep_the_known_sizes_and_may_be_trained():
    model = ec.Sequential([ec.layers.Dense(8), nn.ReLU(), ec.layers.Dense(3)], input_shape=(4,))
    head = model[2:]
    head.compile("sgd", device="cpu")
    before = weights(model)
    head.fit(model[:2](X).detach(), Y, seed=0, verbose=0)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["2.weight", "2.bias"]


def test_layers_added_to_a_built_model_are_built_at_once():
    model = ec.Sequential([], input_shape=(1, 8, 8))
    model.add(ec.layers.Flatten())
    model.add(ec.layers.Dense(10))
    assert model[1].in_features == 64
    before = weights(model)
    with pytest.raises(ShapeError, match="Layer '2'"):
        model.add(nn.Linear(11, 2))
    assert len(model) == 2
    assert same(weights(model), before)
    model.add(nn.Linear(10, 2))
    assert model.count_params() == 650 + 22


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.ReLU, r"got ReLU itself; write ReLU\(\.\.\.\)"),
        (ec.layers.Dense, r"got Dense itself; write Dense\(\.\.\.\)"),
        (ec.ConvBlock, r"got ConvBlock itself; write ConvBlock\(\.\.\.\)"),
        (torch.relu, r"got the function 'relu'.*Lambda\(function\)"),
        (lambda x: x, "got the function"),
        ([nn.ReLU()], r"got a list\. Nest stacks"),
        ((nn.ReLU(), nn.ReLU()), "got a tuple"),
        (None, "got None"),
        (32, r"got 32 \(int\)"),
        ("relu", r"got 'relu' \(str\)"),
    ],
)
def test_what_is_no_layer(layer, text):
    model = ec.Sequential([nn.Linear(4, 4)])
    tries = [
        lambda: ec.Sequential([nn.ReLU(), layer]),
        lambda: ec.Sequential(nn.ReLU(), layer),
        lambda: ec.Sequential({"a": layer}),
        lambda: model.add(layer),
        lambda: model.append(layer),
        lambda: model.extend([layer]),
        lambda: model.insert(0, layer),
        lambda: model.__setitem__(0, layer),
    ]
    for attempt in tries:
        with pytest.raises(ArgumentTypeError, match=text):
            attempt()
    assert [type(kept) for kept in model] == [nn.Linear]


@pytest.mark.parametrize("name", ["a.b", "", 0])
def test_names_that_cannot_be(name):
    with pytest.raises(ArgumentError, match="text without a dot"):
        ec.Sequential({name: nn.ReLU()})


def test_names_that_are_taken():
    with pytest.raises(ArgumentError, match="not taken yet, got 'a'"):
        ec.Sequential([("a", nn.ReLU()), ("a", nn.ReLU())])
    with pytest.raises(ReservedNameError):
        ec.Sequential([("fit", nn.ReLU())])


@pytest.mark.parametrize("key", [3, -4, "0", 1.0, None])
def test_pop_of_what_is_not_there(key):
    model = ec.Sequential(stack())
    with pytest.raises(LayerNotFoundError, match="no layer with index"):
        model.pop(key)
    assert len(model) == 3


def test_insert_where_there_is_no_place():
    with pytest.raises(LayerNotFoundError, match="no place 5"):
        ec.Sequential(stack()).insert(5, nn.ReLU())
    with pytest.raises(LayerNotFoundError, match="has 0 layers"):
        ec.Sequential().pop()
