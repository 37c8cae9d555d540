import pytest
import torch
from torch import nn

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.zoo import zfnet


def on_meta(**options):
    with torch.device("meta"):
        return zfnet(**options)


def shapes(net, size, channels=3):
    found = {}
    hooks = [
        child.register_forward_hook(lambda _, __, out, name=name: found.update({name: tuple(out.shape[1:])}))
        for name, child in net.named_children()
    ]
    net(torch.zeros(1, channels, size, size, device="meta"))
    for hook in hooks:
        hook.remove()
    return found


def parameters(*convolutions):
    """Of the whole net, by hand: five convolutions as (in, out, kernel), then 6 x 6 maps into the dense layers."""
    total = sum((kernel**2 * before + 1) * after for before, after, kernel in convolutions)
    return total + (36 * convolutions[-1][1] + 1) * 4096 + 4097 * 4096 + 4097 * 1000


def test_has_the_parameters_that_follow_from_figure_3():
    begin = [(3, 96, 7), (96, 256, 5)]
    assert on_meta().count_params() == parameters(*begin, (256, 384, 3), (384, 384, 3), (384, 256, 3)) == 62_357_608
    wide = parameters(*begin, (256, 512, 3), (512, 1024, 3), (1024, 512, 3))
    assert on_meta(wide=True).count_params() == wide


@pytest.mark.parametrize(("wide", "maps"), [(False, (384, 384, 256)), (True, (512, 1024, 512))])
def test_maps_have_the_published_sizes(wide, maps):
    found = shapes(on_meta(wide=wide), 224)
    sizes = {"conv1": 110, "pool1": 55, "norm1": 55, "conv2": 26, "pool2": 13, "norm2": 13}
    sizes |= {"conv3": 13, "conv4": 13, "conv5": 13, "pool5": 6}
    assert {name: found[name][1:] for name in sizes} == {name: (size, size) for name, size in sizes.items()}
    assert (found["conv3"][0], found["conv4"][0], found["conv5"][0]) == maps
    assert (found["conv1"][0], found["conv2"][0]) == (96, 256)
    assert found["fc8"] == (1000,)


def test_the_first_layers_have_the_published_filters():
    net = on_meta()
    assert (net.conv1.kernel_size, net.conv1.stride) == ((7, 7), (2, 2))
    assert (net.conv2.kernel_size, net.conv2.stride) == ((5, 5), (2, 2))
    assert all(layer.groups == 1 for layer in net if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize("size", [28, 32])
def test_small_takes_both_sizes(size):
    net = on_meta(num_classes=10, in_channels=1, small=True)
    assert net(torch.zeros(2, 1, size, size, device="meta")).shape == (2, 10)
    assert shapes(net, size, channels=1)["conv2"] == (256, (size + 1) // 2, (size + 1) // 2)


def test_initial_weights_are_the_papers():
    torch.manual_seed(0)
    small = zfnet(num_classes=10, small=True, init="alexnet")
    assert abs(small.conv2.weight.std().item() - 0.01) < 3e-4
    assert not small.conv2.bias.any()
    assert zfnet(num_classes=10, small=True).conv3.weight.detach().std() == pytest.approx(
        (2 / (256 * 9)) ** 0.5, rel=0.02
    )


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: zfnet(wide=1), ArgumentTypeError, "wide must be True or False"),
        (lambda: zfnet(small=1), ArgumentTypeError, "small must be True or False"),
        (lambda: zfnet(-1), ArgumentError, "num_classes must be at least 1"),
        (lambda: zfnet(weights="imagenet"), ArgumentTypeError, "no trained weights"),
    ],
)
def test_wrong_arguments_are_refused(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()
