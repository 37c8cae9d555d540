"""The Inception blocks against their papers' numbers, against numbers done by hand, and against torchvision's."""

import pytest
import torch
from torch import nn
from torchvision.models import inception as theirs_v3
from torchvision.models.googlenet import Inception as TheirInception

import easyconv as ec
from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.layers.blocks.numbered import NumberedBranches


def built(block, *shape):
    block(torch.zeros(2, *shape))
    return block


def filled(block, *shape, value=1.0):
    """All weights one value, biases 0: what comes out can be counted."""
    for name, parameter in built(block, *shape).named_parameters():
        nn.init.constant_(parameter, 0.0 if name.endswith("bias") else value)
    return block


# --- GoogLeNet's ------------------------------------------------------------------------------------------------------


def test_the_naive_block_sums_windows_of_three_sizes_and_hands_the_input_on():
    out = filled(layers.InceptionNaive(1, 1, 1), 1, 6, 6)(torch.ones(1, 1, 6, 6))
    assert out[0, :, 2, 2].tolist() == [1, 9, 25, 1]
    assert out[0, :, 0, 0].tolist() == [1, 4, 9, 1]
    x = torch.randn(2, 3, 5, 5)
    out = layers.InceptionNaive(2, 4, 6)(x)
    torch.testing.assert_close(out[:, 12:], nn.functional.max_pool2d(x, 3, 1, 1))


def test_the_reduced_block_sums_the_same_windows_of_fewer_channels():
    # 5 channels of ones make 5 in each of the 2 or 3 that the 3x3 and 5x5 see.
    out = filled(layers.InceptionV1(1, (2, 1), (3, 1), 1), 5, 6, 6)(torch.ones(1, 5, 6, 6))
    assert out[0, :, 2, 2].tolist() == [5, 5 * 2 * 9, 5 * 3 * 25, 5]
    out = filled(layers.InceptionV1(1, (2, 1), (3, 1), 1, kernel_size=3), 5, 6, 6)(torch.ones(1, 5, 6, 6))
    assert out[0, :, 2, 2].tolist() == [5, 5 * 2 * 9, 5 * 3 * 9, 5]


@pytest.mark.parametrize("block", [layers.InceptionNaive(2, 2, 2), layers.InceptionV1(2, (2, 2), (2, 2), 2)])
def test_a_relu_follows_every_convolution(block):
    out = filled(block, 3, 6, 6, value=-1.0)(torch.ones(1, 3, 6, 6))
    assert out[:, :6].abs().max() == 0
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert sum(isinstance(module, nn.ReLU) for module in block.modules()) == len(convolutions)
    assert all(conv.bias is not None for conv in convolutions)


@pytest.mark.parametrize(
    "make", [lambda **k: layers.InceptionNaive(2, 2, 2, **k), lambda **k: layers.InceptionV1(2, (2, 2), (2, 2), 2, **k)]
)
def test_batch_norm_takes_the_place_of_the_biases(make):
    block = built(make(batch_norm=True), 3, 6, 6)
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == len(convolutions)
    assert all(conv.bias is None for conv in convolutions)
    assert {norm.eps for norm in norms} == {0.001}


def test_reductions_save_nine_tenths_of_the_multiplications(capsys):
    """The example of every course: 192 → 32 channels by 5x5 on 28x28, at once and through 16."""
    naive = ec.Sequential(layers.InceptionNaive(64, 128, 32), input_shape=(192, 28, 28)).summary(depth=2)
    reduced = ec.Sequential(layers.InceptionV1(64, (96, 128), (16, 32), 32), input_shape=(192, 28, 28)).summary(depth=2)
    assert {row.name: row.multiply_adds for row in naive.rows}["0.branch5x5"] == 120_422_400
    assert {row.name: row.multiply_adds for row in reduced.rows}["0.branch3"] == 12_443_648


# --- twins ------------------------------------------------------------------------------------------------------------

TWINS = {
    "V1": (
        lambda: layers.InceptionV1(5, (3, 6), (2, 4), 3, batch_norm=True, kernel_size=3),
        lambda: TheirInception(4, 5, 3, 6, 2, 4, 3),
    ),
    "V3A": (lambda: layers.InceptionV3A(7), lambda: theirs_v3.InceptionA(4, 7)),
    "V3B": (layers.InceptionV3B, lambda: theirs_v3.InceptionB(4)),
    "V3C": (lambda: layers.InceptionV3C(6), lambda: theirs_v3.InceptionC(4, 6)),
    "V3D": (layers.InceptionV3D, lambda: theirs_v3.InceptionD(4)),
    "V3E": (layers.InceptionV3E, lambda: theirs_v3.InceptionE(4)),
}


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("training", [False, True])
def test_twins(name, training):
    ours, theirs = (make() for make in TWINS[name])
    built(ours, 4, 9, 9)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    for norm in (module for module in theirs.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
    gradients = []
    for block in (ours, theirs):
        seen = x.clone().requires_grad_()
        out = block.double().train(training)(seen)
        out.square().sum().backward()
        gradients.append({**{key: value.grad for key, value in block.named_parameters()}, "x": seen.grad, "out": out})
    torch.testing.assert_close(*gradients)


# --- Inception-v3's ---------------------------------------------------------------------------------------------------


def test_figure_5_has_a_3x3_where_the_released_net_kept_a_5x5():
    block = built(layers.InceptionV3A(kernel_size=3), 4, 9, 9)
    sizes = {name: layer.conv.kernel_size for name, layer in block.named_children() if name != "pool"}
    assert sizes == {
        "branch1x1": (1, 1),
        "branch3x3_1": (1, 1),
        "branch3x3_2": (3, 3),
        "branch3x3dbl_1": (1, 1),
        "branch3x3dbl_2": (3, 3),
        "branch3x3dbl_3": (3, 3),
        "branch_pool": (1, 1),
    }
    assert block(torch.zeros(2, 4, 9, 9)).shape == (2, 256, 9, 9)


def test_two_3x3_cost_18_25ths_of_a_5x5():
    """Section 3.1 of the paper: 28 % are saved."""
    five = ec.Sequential(layers.Conv2D(8, 5, padding=2, bias=False), input_shape=(8, 9, 9)).count_params()
    two = [layers.Conv2D(8, 3, padding=1, bias=False) for _ in range(2)]
    assert ec.Sequential(two, input_shape=(8, 9, 9)).count_params() / five == 18 / 25


@pytest.mark.parametrize("make", [layers.InceptionV3B, layers.InceptionV3D])
@pytest.mark.parametrize(("size", "expected"), [(35, 17), (36, 17), (17, 8), (13, 6)])
def test_blocks_that_reduce_the_grid(make, size, expected):
    with torch.device("meta"):
        assert make()(torch.zeros(2, 4, size, size)).shape[2:] == (expected, expected)


@pytest.mark.parametrize(
    ("block", "channels"),
    [
        (lambda: layers.InceptionV3A(1, branch1x1=2, branch5x5=(3, 4), branch3x3dbl=(5, 6, 7)), 1 + 2 + 4 + 7),
        (lambda: layers.InceptionV3B(2, (3, 4, 5)), 2 + 5 + 4),
        (lambda: layers.InceptionV3C(2, 3), 4 * 3),
        (lambda: layers.InceptionV3D((2, 3), 4), 3 + 4 + 4),
        (lambda: layers.InceptionV3E(1, (2, 3), (4, 5, 6), branch_pool=7), 1 + 2 * 3 + 2 * 6 + 7),
    ],
)
def test_widths_can_be_chosen(block, channels):
    assert block()(torch.zeros(2, 4, 9, 9)).shape[1] == channels


def test_a_layer_that_is_put_in_the_place_of_another_is_used():
    block = built(layers.InceptionV3C(2, 3), 4, 9, 9)
    block.branch7x7_3 = layers.Conv2D(11, 1)
    assert block(torch.zeros(2, 4, 9, 9)).shape[1] == 3 * 3 + 11


def test_names_of_numbered_branches():
    conv = [nn.Conv2d(1, 1, 1) for _ in range(6)]
    branches = {"a": [nn.MaxPool2d(1), conv[0]], "b": [conv[1], (conv[2], conv[3])], "c": [(conv[4], conv[5])]}
    block = NumberedBranches(branches)
    assert [name for name, _ in block.named_children()] == ["pool", "a", "b_1", "b_2a", "b_2b", "ca", "cb"]
    assert block.b_2b is conv[3]


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "match"),
    [
        (lambda: layers.InceptionNaive(0, 1, 1), "branch1x1 must be at least 1, got 0"),
        (lambda: layers.InceptionV1(1, (0, 1), (1, 1), 1), "branch3x3 must be at least 1, got 0"),
        (lambda: layers.InceptionV1(1, (1, 1), (1, 1), 0), "pool_proj must be at least 1, got 0"),
        (lambda: layers.InceptionV1(1, (1, 1), (1, 1), 1, kernel_size=7), "kernel_size must be one of 5, 3, got 7"),
        (lambda: layers.InceptionV3A(kernel_size=7), "kernel_size must be one of 5, 3, got 7"),
        (lambda: layers.InceptionV3C(0), "channels_7x7 must be at least 1, got 0"),
        (lambda: layers.InceptionV3C(1, 0), "out_channels must be at least 1, got 0"),
        (lambda: layers.InceptionV3D(branch7x7x3=0), "branch7x7x3 must be at least 1, got 0"),
        (lambda: layers.InceptionV3E(branch_pool=0), "branch_pool must be at least 1, got 0"),
    ],
)
def test_argument_values(attempt, match):
    with pytest.raises(ArgumentError, match=match):
        attempt()


@pytest.mark.parametrize(
    ("attempt", "match"),
    [
        (lambda: layers.InceptionV1(64, 96, (16, 32), 32), "branch3x3 must be 2 numbers of channels, got 96"),
        (lambda: layers.InceptionV1(64, (96, 128), (16,), 32), r"branch5x5 must be 2 numbers of channels, got \(16,\)"),
        (lambda: layers.InceptionV1(64, 96, 128, 16, 32, 32), "at most 4 positional arguments"),
        (lambda: layers.InceptionV1(64), "needs branch3x3 and branch5x5 and pool_proj"),
        (lambda: layers.InceptionNaive(1, 1, 1, batch_norm=1), "batch_norm must be True or False, got 1"),
        (lambda: layers.InceptionV3A("32"), "pool_features must be an integer, got '32'.* Write 32"),
        (lambda: layers.InceptionV3B(branch3x3dbl=64), "branch3x3dbl must be 3 numbers of channels, got 64"),
        (lambda: layers.InceptionV3D(branch3x3=3), "branch3x3 must be 2 numbers of channels, got 3"),
        (lambda: layers.InceptionV3E(branch3x3dbl=(1, 2)), "branch3x3dbl must be 3 numbers"),
        (lambda: layers.InceptionV3C(in_channels=4), "is inferred"),
    ],
)
def test_argument_types(attempt, match):
    with pytest.raises(ArgumentTypeError, match=match):
        attempt()
