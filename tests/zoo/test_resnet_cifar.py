import functools

import pytest
import torch
from torch import nn

from easyconv import zoo
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.layers.shortcut import PaddedIdentity
from easyconv.layers.trace import trace_shapes

NETS = {"resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018, "resnet110": 1_727_962}


@functools.cache
def on_meta(name, *args, **options):
    with torch.device("meta"):
        return getattr(zoo, name)(*args, **options)


def by_arithmetic(n):
    """Weights of the convolutions, two numbers per channel and norm, and the dense layer."""
    convolutions = 9 * 3 * 16 + 9 * 16 * 16 * 2 * n
    for before, width in ((16, 32), (32, 64)):
        convolutions += 9 * before * width + 9 * width * width * (2 * n - 1)
    norms = 2 * (16 * (2 * n + 1) + 32 * 2 * n + 64 * 2 * n)
    return convolutions + norms + 65 * 10


@pytest.mark.parametrize("name", NETS)
def test_parameters_and_layers(name):
    layers = int(name.removeprefix("resnet"))
    net = on_meta(name)
    assert net.name == name
    assert net.count_params() == NETS[name] == by_arithmetic((layers - 2) // 6)
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in net.modules()) == layers
    # option B: two projections with their norms
    assert on_meta(name, shortcut="B").count_params() == NETS[name] + 16 * 32 + 64 + 32 * 64 + 128


@pytest.mark.parametrize(("name", "size"), [*((name, 32) for name in NETS), ("resnet20", 28)])
def test_shapes_of_section_4_2(name, size):
    net = on_meta(name)
    rows = trace_shapes(net.eval(), torch.zeros(1, 3, size, size, device="meta"))
    found = {}
    for row in rows:  # the last row of each stage is its output
        found[row.name.partition(".")[0]] = row.output_shape[1:]
    assert found == {
        "conv1": (16, size, size),
        "bn1": (16, size, size),
        "relu": (16, size, size),
        "layer1": (16, size, size),
        "layer2": (32, size // 2, size // 2),
        "layer3": (64, size // 4, size // 4),
        "avgpool": (64, 1, 1),
        "flatten": (64,),
        "fc": (10,),
    }


def test_option_a_stands_where_the_size_changes():
    net = on_meta("resnet32")
    padded = {name: m for name, m in net.named_modules() if isinstance(m, PaddedIdentity)}
    assert list(padded) == ["layer2.0.downsample", "layer3.0.downsample"]
    assert [(m.out_channels, m.stride) for m in padded.values()] == [(32, (2, 2)), (64, (2, 2))]


def test_the_receptive_field_is_known_through_option_a():
    # A 3x3 adds two of the steps before it: 7 at steps of 1, then (the first of a stage at the old step) 1 + 5, 1 + 5.
    field = 1 + 2 * 7 * 1 + 2 * (1 + 5 * 2) + 2 * (2 + 5 * 4)
    rows = {row.name: row for row in on_meta("resnet20").summary().rows}
    assert rows["layer3"].receptive_field == (field, field)
    assert rows["layer3"].jump == (4, 4)


def test_zero_init_residual():
    net = zoo.resnet20(zero_init_residual=True)
    x = torch.rand(2, 3, 32, 32)
    stem = net.get_layer("relu")(net.get_layer("bn1")(net.get_layer("conv1")(x)))
    torch.testing.assert_close(net.get_layer("layer1")(stem), stem)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"num_classes": 0}, ArgumentError, "num_classes must be at least 1"),
        ({"in_channels": "rgb"}, ArgumentTypeError, "in_channels must be an integer"),
        ({"shortcut": "D"}, ArgumentError, "no shortcut called 'D'"),
        ({"small": True}, ArgumentTypeError, r"resnet20\(\) has no argument small=. This net is for small images"),
        ({"weights": "imagenet"}, ArgumentTypeError, "has no argument weights="),
    ],
)
def test_errors(options, error, match):
    with pytest.raises(error, match=match):
        zoo.resnet20(**options)
