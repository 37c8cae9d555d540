"""DenseNet-121, against table 1 of its paper and against torchvision's."""

import pytest
import torch
import torchvision

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.zoo.densenet import densenet121

SIZES = {  # the column "output size" of table 1; channels by k0 + k * (layers - 1) and θ = 0.5, section 3
    "conv0": (64, 112, 112),
    "pool0": (64, 56, 56),
    "denseblock1": (256, 56, 56),
    "transition1": (128, 28, 28),
    "denseblock2": (512, 28, 28),
    "transition2": (256, 14, 14),
    "denseblock3": (1024, 14, 14),
    "transition3": (512, 7, 7),
    "denseblock4": (1024, 7, 7),
}


def meta(**options):
    with torch.device("meta"):
        return densenet121(**options)


def shapes(net, size):
    """Output shape of each child of ``features`` for images of that size."""
    seen = {}
    for name, module in net.features.named_children():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: tuple(out.shape[1:])}))
    out = net.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return seen, tuple(out.shape)


def test_output_sizes_of_table_1():
    seen, out = shapes(meta(), 224)
    assert SIZES.items() <= seen.items()
    assert out == (1, 1000)


def test_the_layers_are_121():
    layers = [m for m in meta().modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(layers) == 121


def test_parameters():
    assert meta().count_params() == 7_978_856
    assert meta(num_classes=10).count_params() == 7_978_856 - 990 * 1025
    assert meta(in_channels=1).count_params() == 7_978_856 - 2 * 49 * 64
    assert meta(small=True).count_params() == 7_978_856 - (49 - 9) * 3 * 64


@pytest.mark.parametrize(("size", "last"), [(32, 4), (28, 3)])
def test_small(size, last):
    seen, out = shapes(meta(small=True, num_classes=10), size)
    assert "pool0" not in seen
    assert seen["conv0"] == (64, size, size)
    assert seen["denseblock4"] == (1024, last, last)
    assert out == (1, 10)


def test_is_torchvisions_both_ways():
    torch.manual_seed(0)
    ours, theirs = densenet121(num_classes=7), torchvision.models.densenet121(num_classes=7)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    outs = ours.train()(x), theirs.train()(x)
    torch.testing.assert_close(*outs, atol=1e-5, rtol=0)
    for out in outs:
        out.square().sum().backward()
    for (name, one), two in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, msg=lambda text, name=name: f"{name}: {text}")
    theirs = torchvision.models.densenet121(num_classes=7)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-5, rtol=0)


def test_initial_weights():
    torch.manual_seed(0)
    net = densenet121(num_classes=100, small=True)
    conv = net.features.denseblock3.denselayer1.conv2.weight
    assert conv.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)  # He: 2 / inputs of a unit
    weight, bias = net.classifier.weight, net.classifier.bias
    assert 0.99 * 1024**-0.5 < weight.abs().max().item() <= 1024**-0.5
    assert not bias.any()
    assert meta(init=None).count_params() == 7_978_856
    other = densenet121(small=True, init=lambda weight: weight.fill_(0.25))
    assert bool((other.classifier.weight == 0.25).all() and (other.features.conv0.weight == 0.25).all())


def test_dropout_ends_each_layer_and_has_no_keys():
    net = meta(dropout=0.2)
    drops = [m for m in net.modules() if isinstance(m, torch.nn.Dropout)]
    assert [drop.p for drop in drops] == [0.2] * (6 + 12 + 24 + 16)
    assert list(net.state_dict()) == list(meta().state_dict())


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"num_classes": 0}, ArgumentError, "num_classes must be at least 1, got 0"),
        ({"in_channels": 1.5}, ArgumentTypeError, "in_channels must be an integer, got 1.5"),
        ({"small": "yes"}, ArgumentTypeError, "small must be True or False, got 'yes'"),
        ({"dropout": 1}, ArgumentError, "dropout must be at least 0 and less than 1, got 1"),
        ({"pretrained": True}, ArgumentTypeError, 'has no argument pretrained=. Write weights="imagenet"'),
        ({"weights": "imagenet", "small": True}, ArgumentError, "small"),
        ({"weights": "imagenet", "in_channels": 1}, ArgumentError, "in_channels must be 3, got 1"),
    ],
)
def test_errors(options, error, match):
    with pytest.raises(error, match=match):
        densenet121(**options)
