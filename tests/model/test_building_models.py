"""Sizes, layers, freezing and the summary, in all three forms."""

import contextlib
import copy
import io

import pytest
import torch
from model_forms import Net, X, Y, every_form, made, same, weights, wrapper
from torch import nn

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    LayerNotFoundError,
    NotBuiltError,
    ShapeError,
)


def printed(call):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        result = call()
    return text.getvalue(), result


# --- build ------------------------------------------------------------------------------------------------------------


@every_form
def test_same_seed_same_weights_however_the_shape_became_known(make):
    models = [made(make) for _ in range(6)]
    models[0].build((4,))
    models[1](X)
    models[2].predict(X, verbose=0)
    models[3].compile("sgd", device="cpu")
    models[3].evaluate(X, Y, verbose=0)
    printed(lambda: models[4].summary(input_shape=(4,)))
    torch.rand(100)
    models[5].build([4])
    models.append(made(make, input_shape=(4,)))
    first = {name: p.clone() for name, p in models[0].named_parameters()}
    for model in models[1:]:
        assert same(first, dict(model.named_parameters()))


@every_form
def test_build_returns_the_model_and_changes_nothing_else(make):
    model = made(make)
    model.eval()
    state = torch.get_rng_state()
    assert model.build((4,)) is model
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in model.modules())
    assert all(p.requires_grad for p in model.parameters())
    assert torch.equal(model.state_dict()[list(model.state_dict())[4]], torch.zeros(8))
    before = weights(model)
    assert same(weights(model.build((4,))), before)


@every_form
@pytest.mark.parametrize(
    ("shape", "error", "text"),
    [
        (4, ArgumentTypeError, r"write \(4,\)"),
        ("4", ArgumentTypeError, "must be a tuple"),
        ((), ArgumentError, "empty"),
        ((None, 4), ArgumentError, "leave out the batch"),
        ((4.0,), ArgumentTypeError, "integers"),
        ((0,), ArgumentError, "at least 1"),
    ],
)
def test_shapes_that_are_none(make, shape, error, text):
    with pytest.raises(error, match=text):
        make().build(shape)
    with pytest.raises(error, match=text):
        make(input_shape=shape)


@every_form
def test_a_failed_build_leaves_nothing_half_built(make):
    model = made(make)
    with pytest.raises(ShapeError, match="BatchNorm"):
        model.build((2, 3, 4, 5, 6))
    with pytest.raises(NotBuiltError):
        model.count_params()
    assert same(weights(model.build((4,))), weights(made(make, input_shape=(4,))))
    with pytest.raises(ShapeError, match="Linear"):
        model.build((5,))


def test_build_of_several_inputs():
    class Two(ec.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.left, self.right = ec.layers.Dense(3), ec.layers.Dense(3)

        def forward(self, left, right):
            return self.left(left) + self.right(right)

    for shape in ([(4,), (5,)], ((4,), (5,)), {"left": (4,), "right": (5,)}):
        model = Two().build(shape)
        assert (model.left.in_features, model.right.in_features) == (4, 5)
        assert Two(input_shape=shape).right.in_features == 5
        summary = printed(model.summary)[1]
        assert summary.input_shape == [("N", 4), ("N", 5)]


def test_build_of_tokens_and_images():
    model = ec.Sequential([ec.layers.Embedding(10, 4), ec.layers.Flatten(), ec.layers.Dense(2)], input_shape=(7,))
    assert model[2].in_features == 28
    images = ec.Sequential([ec.layers.Conv2D(4, 3), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(2)])
    with pytest.raises(ArgumentError, match=r"channels last.*\(3, 32, 32\)"):
        images.build((32, 32, 3))
    assert images.build((3, 32, 32))[0].in_channels == 3


def test_input_shape_of_a_subclass_waits_for_the_last_layer():
    class Deeper(Net):
        def __init__(self, **options):
            super().__init__(**options)
            self.classifier = nn.Sequential(ec.layers.Dense(5), ec.layers.Dense(3))

    class Same(Deeper):
        pass

    class Fixed(ec.Sequential):
        def __init__(self):
            super().__init__([ec.layers.Dense(5)], input_shape=(4,))
            self.add(ec.layers.Dense(2))

    for cls in (Deeper, Same):
        assert cls(input_shape=(4,)).classifier[0].in_features == 8
    assert [layer.in_features for layer in Fixed()] == [4, 5]


# --- layers -----------------------------------------------------------------------------------------------------------


def test_get_layer():
    model = made(wrapper, input_shape=(4,))
    assert model.get_layer("3") is model.net[3]
    assert model.get_layer(index=-1) is model.net[3]
    assert model.get_layer(index=0) is model.net[0]
    net = made(Net)
    assert net.get_layer("features.1") is net.features[1]
    assert net.get_layer(index=0) is net.features


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, ArgumentError, "either name= or index="),
        ({"name": "features", "index": 0}, ArgumentError, "either name= or index="),
        ({"name": "feature"}, LayerNotFoundError, "Did you mean 'features'"),
        ({"name": ""}, LayerNotFoundError, "no layer ''"),
        ({"index": 2}, LayerNotFoundError, "has 2 layers"),
        ({"index": -3}, LayerNotFoundError, "has 2 layers"),
        ({"index": True}, LayerNotFoundError, "index True"),
        ({"index": 0.0}, LayerNotFoundError, r"index 0\.0"),
    ],
)
def test_get_layer_that_is_not_there(arguments, error, text):
    with pytest.raises(error, match=text):
        made(Net).get_layer(**arguments)


def test_a_long_list_of_names_is_cut():
    model = ec.Sequential([nn.ReLU() for _ in range(300)])
    with pytest.raises(LayerNotFoundError, match="and 260 more") as caught:
        model.get_layer("qqq")
    assert len(str(caught.value)) < 500
    with pytest.raises(LayerNotFoundError, match="none to choose"):
        ec.Sequential().get_layer("a")


@every_form
def test_freeze_holds_through_fit_and_train(make):
    model = made(make, input_shape=(4,))
    norm = next(module for module in model.modules() if isinstance(module, nn.BatchNorm1d))
    first = next(name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    first = first.removeprefix("net.") if not isinstance(model, (Net, ec.Sequential)) else first
    model.freeze(first, norm)
    before = weights(model)
    model.compile("sgd", lr=0.1, device="cpu")
    model.fit(X, Y, epochs=2, seed=0, verbose=0)
    model.train()
    model(X)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert len(changed) == 2
    assert not norm.training
    model.unfreeze(first, norm)
    assert norm.training
    model.fit(X, Y, epochs=4, seed=0, verbose=0)
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    # A bias before a batch norm has no effect, and so may stay as it is.
    assert set(before) - set(changed) <= {f"{next(iter(before)).removesuffix('weight')}bias"}


@every_form
def test_count_params(make):
    model = made(make)
    with pytest.raises(NotBuiltError, match=r"count_params\(\) needs the sizes"):
        model.count_params()
    model.build((4,))
    assert model.count_params() == 8 * 5 + 16 + 3 * 9 == 83
    model.freeze()
    assert (model.count_params(trainable=True), model.count_params(trainable=False)) == (0, 83)
    model.unfreeze()
    assert (model.count_params(trainable=True), model.count_params(trainable=False)) == (83, 0)


def test_freeze_of_what_is_no_layer():
    model = made(wrapper, input_shape=(4,))
    with pytest.raises(LayerNotFoundError, match="no layer 'features'"):
        model.freeze("features")
    with pytest.raises(LayerNotFoundError, match="a layer of its own"):
        model.freeze(nn.Linear(2, 2))
    for wrong in (["0", "3"], 0):
        with pytest.raises(ArgumentTypeError, match="each as an argument of its own"):
            model.freeze(wrong)
    assert model.count_params(trainable=False) == 0


# --- summary ----------------------------------------------------------------------------------------------------------


@every_form
def test_summary_prints_returns_rows_and_leaves_no_trace(make):
    model = made(make)
    with pytest.raises(NotBuiltError, match=r"summary\(\) needs the sizes"):
        model.summary()
    model.build((4,))
    list(model.modules())[-1].eval()
    modes, before, state = [m.training for m in model.modules()], weights(model), torch.get_rng_state()
    text, summary = printed(model.summary)
    assert text == f"{summary}\n"
    assert model.name in text
    assert summary.parameters == sum(row.parameters for row in summary.rows) == 83
    assert [row.kind for row in summary.rows if row.kind == "Linear"] == ["Linear", "Linear"]
    assert [m.training for m in model.modules()] == modes
    assert same(weights(model), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in model.modules())


@every_form
def test_summary_after_data_after_moves_and_of_a_named_model(make):
    model = made(make, name="little")
    model.predict(X, verbose=0)
    text, summary = printed(model.summary)
    assert text.startswith("little")
    assert summary.input_shape == ("N", 4)
    assert printed(copy.deepcopy(model).double().summary)[1].memory == 2 * summary.memory
    assert printed(model.to("meta").summary)[1].rows == summary.rows


def test_summary_before_anything_is_known():
    with pytest.raises(NotBuiltError, match=r"summary\(input_shape=\(3, 32, 32\)\)"):
        ec.Model(nn.Linear(4, 2)).summary()
    with pytest.raises(ArgumentError, match="depth"):
        ec.Model(nn.Linear(4, 2)).summary(input_shape=(4,), depth=0)


def test_summary_builds_layers_that_were_put_in_since():
    model = made(wrapper, input_shape=(4,))
    model.net.append(ec.layers.Dense(7))
    assert printed(model.summary)[1].rows[-1].output_shape == ("N", 7)


# --- what is wrapped --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "text"),
    [
        (nn.ReLU, r"got the class ReLU; write ReLU\(\)"),
        ([nn.ReLU()], r"use Sequential\(\[\.\.\.\]\)"),
        (torch.relu, "takes a torch.nn.Module"),
        ("resnet18", "got 'resnet18'"),
    ],
)
def test_what_cannot_be_wrapped(net, text):
    with pytest.raises(ArgumentTypeError, match=text):
        ec.Model(net)


def test_name():
    assert ec.Model(nn.ReLU()).name == "Model"
    assert made(Net).name == "Net"
    with pytest.raises(ArgumentTypeError, match="name must be text"):
        ec.Model(nn.ReLU(), name=3)


# --- ten lines --------------------------------------------------------------------------------------------------------

TEN_LINES = """
import easyconv as ec
from sklearn.datasets import load_digits
digits = load_digits()
x, y = digits.images / 16, digits.target
model = ec.Sequential([ec.ConvBlock(16, pool=2), ec.layers.Flatten(), ec.layers.Dense(10)])
model.compile(optimizer="adam", loss="cross_entropy", metrics=["accuracy"], lr=0.01)
model.fit(x[:1500], y[:1500], epochs=3, seed=0, verbose=0)
loss, accuracy = model.evaluate(x[1500:], y[1500:], verbose=0)
"""


def test_ten_lines_from_import_to_a_trained_and_evaluated_model():
    lines = TEN_LINES.strip().splitlines()
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 100
    names = {}
    torch.manual_seed(0)
    exec(TEN_LINES, names)
    # A guess is right once in ten times.
    assert names["accuracy"] > 0.85
