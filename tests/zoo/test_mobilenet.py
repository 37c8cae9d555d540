"""MobileNet v2, against table 2 of its paper and against torchvision's."""

import pytest
import torch
import torchvision
from torchvision.models._utils import _make_divisible

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.zoo.mobilenet import _divisible, mobilenet_v2

# Table 2, the column "input" read one row down: number of the last block of each row -> its output
SIZES = {
    0: (32, 112, 112),
    1: (16, 112, 112),
    3: (24, 56, 56),
    6: (32, 28, 28),
    10: (64, 14, 14),
    13: (96, 14, 14),
    16: (160, 7, 7),
    17: (320, 7, 7),
    18: (1280, 7, 7),
}


def meta(**options):
    with torch.device("meta"):
        return mobilenet_v2(**options)


def shapes(net, size):
    """Output shape of each child of ``features`` for images of that size."""
    seen = {}
    for name, module in net.features.named_children():
        module.register_forward_hook(lambda _, __, out, name=int(name): seen.update({name: tuple(out.shape[1:])}))
    out = net.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return seen, tuple(out.shape)


def test_output_sizes_of_table_2():
    seen, out = shapes(meta(), 224)
    assert SIZES.items() <= seen.items()
    assert out == (1, 1000)


def test_parameters():
    assert meta().count_params() == 3_504_872
    assert meta(small=True).count_params() == 3_504_872
    assert meta(num_classes=10).count_params() == 3_504_872 - 990 * 1281
    assert meta(in_channels=1).count_params() == 3_504_872 - 2 * 9 * 32


@pytest.mark.parametrize("width_mult", [0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_width_mult_rounds_as_torchvision_does(width_mult):
    with torch.device("meta"):
        theirs = torchvision.models.mobilenet_v2(width_mult=width_mult)
    shapes = {key: value.shape for key, value in meta(width_mult=width_mult).state_dict().items()}
    assert shapes == {key: value.shape for key, value in theirs.state_dict().items()}


def test_divisible_is_torchvisions():
    for channels in [*range(1, 400), 11.2, 33.6, 1791.9]:
        assert _divisible(channels) == _make_divisible(channels, 8)


@pytest.mark.parametrize(("size", "last"), [(32, 4), (28, 4)])
def test_small(size, last):
    seen, out = shapes(meta(small=True, num_classes=10), size)
    assert seen[0][1:] == seen[3][1:] == (size, size)
    assert seen[18] == (1280, last, last)
    assert out == (1, 10)


def test_is_torchvisions_both_ways():
    torch.manual_seed(0)
    ours, theirs = mobilenet_v2(7, dropout=0.0), torchvision.models.mobilenet_v2(num_classes=7, dropout=0.0)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    outs = ours.train()(x), theirs.train()(x)
    torch.testing.assert_close(*outs, atol=1e-5, rtol=0)
    for out in outs:
        out.square().sum().backward()
    for (name, one), two in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, msg=lambda text, name=name: f"{name}: {text}")
    theirs = torchvision.models.mobilenet_v2(num_classes=7)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-5, rtol=0)


def test_initial_weights():
    torch.manual_seed(0)
    net = mobilenet_v2(small=True)
    conv = net.features[18][0].weight
    assert conv.std().item() == pytest.approx((2 / 1280) ** 0.5, rel=0.02)  # He: 2 / outputs of a unit
    assert net.classifier[1].weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not net.classifier[1].bias.any()
    other = mobilenet_v2(small=True, init=lambda weight: weight.fill_(0.25))
    assert bool((other.classifier[1].weight == 0.25).all() and (other.features[1].conv[0][0].weight == 0.25).all())


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"num_classes": True}, ArgumentTypeError, "num_classes must be an integer, got True"),
        ({"in_channels": 0}, ArgumentError, "in_channels must be at least 1, got 0"),
        ({"small": 1}, ArgumentTypeError, "small must be True or False, got 1"),
        ({"width_mult": 0}, ArgumentError, "width_mult must be more than 0, got 0"),
        ({"dropout": -0.1}, ArgumentError, "dropout must be at least 0 and less than 1, got -0.1"),
        ({"width": 0.5}, ArgumentTypeError, r"mobilenet_v2\(\) has no argument width=. Did you mean 'width_mult'"),
        ({"weights": "imagenet", "small": True}, ArgumentError, "small"),
        (
            {"weights": "imagenet", "width_mult": 0.5},
            ArgumentError,
            r"weights='imagenet' is for width_mult=1.0, got width_mult=0.5\.",
        ),
    ],
)
def test_errors(options, error, match):
    with pytest.raises(error, match=match):
        mobilenet_v2(**options)
