import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from easyconv.layers.blocks.lenet import RBF, PartialConv2D, ScaledTanh, Subsampling
from easyconv.zoo import lenet5

# Section II.B in words: the first six maps see every contiguous three, the next six every contiguous four, the next
# three some discontinuous four, the last one all.
TABLE_I = [sorted((first + i) % 6 for i in range(3)) for first in range(6)]
TABLE_I += [sorted((first + i) % 6 for i in range(4)) for first in range(6)]
TABLE_I += [[0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 2, 3, 4, 5]]


def count(layer):
    return sum(parameter.numel() for parameter in layer.parameters())


def shapes(net, size):
    found = {}
    hooks = [
        child.register_forward_hook(lambda _, __, out, name=name: found.update({name: tuple(out.shape[1:])}))
        for name, child in net.named_children()
    ]
    net(torch.zeros(1, 1, size, size))
    for hook in hooks:
        hook.remove()
    return found


def test_has_the_published_parameters_layer_by_layer():
    net = lenet5()
    published = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164, "output": 0}
    assert {name: count(layer) for name, layer in net.named_children() if name in published} == published
    assert net.count_params() == net.count_params(trainable=True) == 60_000


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"modern": True}, 61_706),
        ({"output": "dense"}, 60_850),
        ({"num_classes": 26}, 60_000 + 26 * 85),
        ({"in_channels": 3}, 60_000 + 6 * 2 * 25),
        ({"modern": True, "input_size": 28}, 61_706),
    ],
)
def test_variants_have_the_parameters_that_follow(options, parameters):
    with torch.device("meta"):
        assert lenet5(**options).count_params() == parameters


@pytest.mark.parametrize("options", [{}, {"modern": True}])
@pytest.mark.parametrize("size", [32, 28])
def test_maps_have_the_published_sizes(options, size):
    found = shapes(lenet5(input_size=size, **options), size)
    assert found.pop("pad", (1, 32, 32)) == (1, 32, 32)
    assert found.pop("flatten") == (120,)
    assert found == {
        "c1": (6, 28, 28), "s2": (6, 14, 14), "c3": (16, 10, 10), "s4": (16, 5, 5), "c5": (120, 1, 1), "f6": (84,),
        "output": (10,),
    }  # fmt: skip


def test_c3_multiplies_as_often_as_published():
    # 151,600 connections, of which 16 biases at 10 x 10 positions
    row = next(row for row in lenet5().summary().rows if row.kind == "PartialConv2D")
    assert row.multiply_adds == 151_600 - 1600


def test_c3_sees_the_maps_of_table_one():
    conv = lenet5().get_layer("c3.conv")
    x = torch.randn(2, 6, 9, 9)
    weights = conv.weight.split([len(maps) for maps in TABLE_I])
    expected = [
        F.conv2d(x[:, maps], weight[None], conv.bias[i : i + 1])
        for i, (maps, weight) in enumerate(zip(TABLE_I, weights, strict=True))
    ]
    torch.testing.assert_close(conv(x), torch.cat(expected, 1))


def test_subsampling_is_a_coefficient_and_a_bias_for_the_sum_of_four():
    layer = Subsampling(2)
    x = torch.randn(3, 2, 4, 6)
    layer(x)
    layer.scale.weight.data, layer.scale.bias.data = torch.tensor([0.5, -2.0]).view(2, 1, 1, 1), torch.tensor([1.0, 3])
    total = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
    before = total * torch.tensor([0.5, -2.0]).view(2, 1, 1) + torch.tensor([1.0, 3.0]).view(2, 1, 1)
    torch.testing.assert_close(layer(x), 1.7159 * torch.tanh(before * 2 / 3))


def test_scaled_tanh_has_the_properties_of_appendix_a():
    x = torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True)
    y = ScaledTanh()(x)
    torch.testing.assert_close(y.detach(), x.detach(), atol=1e-4, rtol=0)
    # the second derivative is largest at 1 and -1
    points = torch.linspace(0, 3, 3001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(ScaledTanh()(points).sum(), points, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), points)
    assert abs(points[bend.abs().argmax()].item() - 1) < 0.02


def test_rbf_scores_are_negative_squared_distances():
    net = lenet5()
    rbf, x = net.output, torch.randn(4, 84)
    torch.testing.assert_close(rbf(x), -(torch.cdist(x, rbf.codes) ** 2), atol=1e-3, rtol=1e-4)
    # whoever is at a code gets the score zero for it, and its class
    assert torch.equal(rbf(rbf.codes).argmax(1), torch.arange(10))
    assert torch.equal(rbf(rbf.codes).diagonal(), torch.zeros(10))


def test_codes_are_pictures_of_seven_by_twelve_that_differ():
    codes = lenet5().output.codes
    assert codes.shape == (10, 7 * 12)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    different = (codes[:, None] != codes).sum(2)
    assert different[~torch.eye(10, dtype=torch.bool)].min() >= 8
    eight = ["".join(".#"[int(pixel > 0)] for pixel in row) for row in codes[8].view(12, 7)]
    assert eight[1] == eight[5] == eight[10] == ".#####."
    assert eight[2] == eight[7] == "##...##"


def test_rbf_output_is_trained_with_cross_entropy():
    ec.set_seed(0)
    net = lenet5()
    # Squares whose place is the class, in the range of the paper's inputs: white is -0.1, ink 1.175.
    x, y = torch.rand(40, 1, 32, 32) * 0.2 - 0.1, torch.arange(40) % 10
    for image, place in zip(x, 3 * y, strict=True):
        image[0, place : place + 4, place : place + 4] = 1.175
    net.compile("adam", lr=0.001, metrics=["accuracy"])
    net.fit(x, y, epochs=40, verbose=0)
    loss, accuracy = net.evaluate(x, y, verbose=0)
    assert loss < 0.01
    assert accuracy == 1.0
    assert torch.equal(net.output.codes, lenet5().output.codes)


def test_initial_weights_are_uniform_within_the_published_bounds():
    ec.set_seed(0)
    net = lenet5()
    maps = net.get_layer("c3.conv").weight.split([len(maps) for maps in TABLE_I])
    bounds = [(net.get_layer("c1.conv").weight, 2.4 / 25), (net.get_layer("s2.scale").weight, 2.4 / 4)]
    bounds += [(net.get_layer("c5.conv").weight, 2.4 / 400), (net.get_layer("f6.linear").weight, 2.4 / 120)]
    bounds += [(weight, 2.4 / weight.numel()) for weight in maps]
    for weight, bound in bounds:
        assert 0.6 * bound < weight.abs().max() <= bound
    assert all(parameter.abs().sum() == 0 for name, parameter in net.named_parameters() if "bias" in name)


def test_another_init_reaches_the_partial_convolution_too():
    conv = lenet5(init=nn.init.ones_).get_layer("c3.conv")
    assert torch.equal(conv.weight, torch.ones(60, 5, 5))
    assert not conv.bias.any()
    assert lenet5(init=None).get_layer("c3.conv").bias.any()


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: lenet5(input_size=64), ArgumentError, "input_size must be one of 32, 28, got 64"),
        (
            lambda: lenet5(26, output="rbf"),
            ArgumentError,
            r'ten digits only, and num_classes=26\. Write output="dense"',
        ),
        (lambda: lenet5(output="rbff"), ArgumentError, "output must be one of 'rbf', 'dense'.*Did you mean 'rbf'"),
        (lambda: lenet5(modern=1), ArgumentTypeError, "modern must be True or False"),
        (lambda: lenet5(0), ArgumentError, "num_classes must be at least 1"),
        (lambda: lenet5(modrn=True), ArgumentTypeError, "Did you mean 'modern'"),
        (lambda: PartialConv2D([], 5), ArgumentError, "at least one input map"),
        (lambda: PartialConv2D([(0,), ()], 5), ArgumentError, "at least one input map"),
        (lambda: PartialConv2D([0, 1], 5), ArgumentTypeError, "table must be a list with a list"),
        (lambda: PartialConv2D([(0, 0)], 5), ArgumentError, "once for each output map"),
        (lambda: PartialConv2D([(0, -1)], 5), ArgumentError, "a number in table must be at least 0"),
        (lambda: RBF(torch.zeros(3)), ArgumentTypeError, r"codes must be a tensor of shape \(classes, features\)"),
        (lambda: Subsampling(0), ArgumentError, "channels must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()


def test_images_of_another_size_are_refused_with_the_layer_named():
    with pytest.raises(ShapeError, match="'c5"):
        lenet5(modern=True)(torch.zeros(1, 1, 28, 28))
