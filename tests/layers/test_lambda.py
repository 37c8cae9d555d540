"""Lambda and Permute."""

import copy
import functools
import operator
import pickle

import pytest
import torch
from torch import nn
from torchvision.ops import Permute

import easyconv as ec
from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError, ShapeError


def double(x):
    return 2 * x


class Adder:
    def __call__(self, x):
        return x + 1


@pytest.mark.parametrize(
    ("function", "shown", "expected"),
    [
        (double, "Lambda(double)", lambda x: 2 * x),
        (lambda x: x.abs(), "Lambda(<lambda>)", torch.abs),
        (torch.square, "Lambda(square)", torch.square),
        (functools.partial(torch.clamp, min=0), "Lambda(clamp)", torch.relu),
        (functools.partial(functools.partial(torch.mul), other=3), "Lambda(mul)", lambda x: 3 * x),
        (Adder(), "Lambda(Adder)", lambda x: x + 1),
        (operator.neg, "Lambda(neg)", torch.neg),
    ],
)
def test_is_the_function(function, shown, expected):
    layer, x = layers.Lambda(function), torch.randn(2, 3)
    assert repr(layer) == shown
    assert list(layer.parameters()) == []
    torch.testing.assert_close(layer(x), expected(x))
    torch.testing.assert_close(copy.deepcopy(layer)(x), expected(x))
    torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), expected(x))


def test_takes_several_inputs_and_gives_what_the_function_gives():
    assert layers.Lambda(lambda a, b: (b, a))(1, 2) == (2, 1)
    merged = layers.Parallel(None, None, merge=layers.Lambda(lambda outputs: outputs[0] * outputs[1]))
    torch.testing.assert_close(merged(torch.tensor([3.0])), torch.tensor([9.0]))


def test_is_pickled_where_the_function_is():
    x = torch.randn(2, 3)
    torch.testing.assert_close(pickle.loads(pickle.dumps(layers.Lambda(double)))(x), 2 * x)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(layers.Lambda(lambda x: x))


def test_in_a_model():
    net = ec.Sequential([layers.Lambda(double), layers.Flatten(), layers.Dense(2)], input_shape=(1, 4, 4))
    assert "Lambda" in str(net.summary())
    net.compile(lr=0.01)
    net.fit(torch.randn(8, 1, 4, 4), torch.randint(2, (8,)), verbose=0)
    copied = copy.deepcopy(net)
    copied.load_state_dict(net.state_dict(), strict=True)
    x = torch.randn(2, 1, 4, 4)
    torch.testing.assert_close(copied(x), net(x))


def test_an_activation_that_is_a_function_is_a_lambda():
    assert type(layers.Activation(double)) is layers.Lambda


@pytest.mark.parametrize(
    ("attempt", "match"),
    [
        (lambda: layers.Lambda(), r"needs function: write Lambda\(function=\.\.\.\)"),
        (lambda: layers.Lambda("relu"), r"takes a function of a tensor like torch\.square .* got 'relu' \(str\)\.$"),
        (lambda: layers.Lambda(torch.zeros(2, 3)), r"a Tensor of shape \(2, 3\)\. It was called already: write Lambda"),
        (lambda: layers.Lambda(nn.ReLU()), "got the layer ReLU; put it into the net as it is"),
        (lambda: layers.Lambda(nn.ReLU), r"got the class ReLU; a layer is an object: ReLU\(\.\.\.\)"),
    ],
)
def test_what_is_no_function_is_refused(attempt, match):
    with pytest.raises(ArgumentTypeError, match=match):
        attempt()


def test_permute_is_torchs():
    x = torch.randn(2, 3, 4, 5)
    for dims in [(0, 2, 3, 1), (0, 3, 1, 2), (1, 0, 2, 3)]:
        torch.testing.assert_close(layers.Permute(*dims)(x), Permute(list(dims))(x))
    torch.testing.assert_close(layers.Permute([0, 1, 3, 2])(x), x.mT)
    assert repr(layers.Permute(0, 2, 1)) == "Permute(0, 2, 1)"


def test_permute_before_a_convolution():
    net = ec.Sequential([layers.Embedding(9, 5), layers.Permute(0, 2, 1), layers.Conv1D(4, 3)], input_shape=(7,))
    assert net[2].in_channels == 5


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: layers.Permute(), ArgumentError, r"each of 0, 1, 2, \.\.\. once, 0 being the batch, got \(\)\.$"),
        (lambda: layers.Permute(3, 1, 2), ArgumentError, r"Keras leaves the batch out: write Permute\(0, 3, 1, 2\)\."),
        (lambda: layers.Permute((2, 1)), ArgumentError, r"Keras leaves the batch out: write Permute\(0, 2, 1\)\."),
        (lambda: layers.Permute(0, 2, 2), ArgumentError, r"once, 0 being the batch, got \(0, 2, 2\)\.$"),
        (lambda: layers.Permute(0, 2), ArgumentError, r"got \(0, 2\)\.$"),
        (lambda: layers.Permute(0, -1, 1), ArgumentError, "dims must be at least 0, got -1"),
        (lambda: layers.Permute("021"), ArgumentTypeError, "dims must be an integer, got '021'"),
        (
            lambda: layers.Permute(0, 2, 1)(torch.zeros(2, 3, 4, 5)),
            ShapeError,
            r"Permute\(0, 2, 1\) takes an input of 3 dimensions, .* got one of shape \(2, 3, 4, 5\)",
        ),
    ],
)
def test_permute_errors(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()
