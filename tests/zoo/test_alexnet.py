import re

import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.zoo import alexnet


def on_meta(**options):
    with torch.device("meta"):
        return alexnet(**options)


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


def test_has_the_published_parameters_layer_by_layer():
    net = on_meta()
    assert net.count_params() == 60_965_224
    table = {"conv1": 34_944, "conv2": 307_456, "conv3": 885_120, "conv4": 663_936, "conv5": 442_624}
    table |= {"fc6": 37_752_832, "fc7": 16_781_312, "fc8": 4_097_000}
    assert {name: sum(p.numel() for p in net.get_layer(name).parameters()) for name in table} == table


def test_maps_have_the_published_sizes():
    found = shapes(on_meta(), 227)
    assert found["conv1"] == (96, 55, 55)
    assert found["pool1"] == (96, 27, 27)
    assert found["conv2"] == (256, 27, 27)
    assert found["pool2"] == (256, 13, 13)
    assert found["conv3"] == found["conv4"] == (384, 13, 13)
    assert found["conv5"] == (256, 13, 13)
    assert found["pool5"] == (256, 6, 6)
    assert (found["fc6"], found["fc7"], found["fc8"]) == ((4096,), (4096,), (1000,))


@pytest.mark.parametrize("version", ["published", "torchvision"])
@pytest.mark.parametrize("size", [28, 32])
def test_small_takes_both_sizes(version, size):
    net = on_meta(num_classes=10, in_channels=1, small=True, version=version)
    assert next(iter(shapes(net, size, channels=1).values()))[1] <= size
    assert net(torch.zeros(2, 1, size, size, device="meta")).shape == (2, 10)
    assert net.count_params() < 4_000_000


def test_the_order_is_the_papers():
    names = [name.rstrip("12345678") for name, _ in on_meta().named_children()]
    first = ["conv", "relu", "norm", "pool"]
    assert names[:16] == [*first, *first, "conv", "relu", "conv", "relu", "conv", "relu", "pool", "flatten"]
    assert names[16:] == ["fc", "relu", "drop", "fc", "relu", "drop", "fc"]
    assert all(pool.kernel_size == 3 and pool.stride == 2 for pool in on_meta() if isinstance(pool, nn.MaxPool2d))


def test_response_norm_is_the_papers_formula():
    norm, x = on_meta().norm1, 30 * torch.randn(2, 9, 3, 3)
    expected = torch.empty_like(x)
    for i in range(9):
        near = x[:, max(0, i - 2) : min(8, i + 2) + 1]
        expected[:, i] = x[:, i] / (2 + 1e-4 * near.square().sum(1)) ** 0.75
    torch.testing.assert_close(norm(x), expected)


def test_initial_weights_are_the_papers():
    ec.set_seed(0)
    net = alexnet(num_classes=10)
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"):
        layer = net.get_layer(name)
        assert abs(layer.weight.std().item() - 0.01) < 3e-4
        assert torch.equal(layer.bias, torch.full_like(layer.bias, float(name in ones)))


def test_another_init_has_no_biases_of_one():
    net = alexnet(num_classes=10, small=True, init="alexnet")
    assert not any(parameter.any() for name, parameter in net.named_parameters() if name.endswith("bias"))
    assert alexnet(num_classes=10, small=True).conv3.weight.detach().std() == pytest.approx(
        (2 / (256 * 9)) ** 0.5, rel=0.02
    )


def test_one_tower_is_torchvisions():
    from torchvision.models import alexnet as torchvisions

    with torch.device("meta"):
        ours, theirs = alexnet(version="torchvision"), torchvisions()
    assert ours.count_params() == 61_100_840
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }
    for part in ("features", "classifier"):
        said = re.sub(r", inplace=(True|False)|inplace=True", "", str(getattr(theirs, part)))
        assert re.sub(r", inplace=(True|False)", "", str(getattr(ours, part))) == said


@pytest.mark.slow
def test_one_tower_gives_torchvisions_outputs_and_gradients():
    from torchvision.models import alexnet as torchvisions

    torch.manual_seed(0)
    theirs = torchvisions(num_classes=10, dropout=0.0)
    with torch.device("meta"):
        ours = alexnet(num_classes=10, version="torchvision")
    ours.load_state_dict(theirs.state_dict(), assign=True)
    theirs.load_state_dict(ours.state_dict())
    for module in ours.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = torch.randn(2, 3, 64, 64)
    outputs = [net.train()(x) for net in (ours, theirs)]
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=0)
    gradients = [
        torch.autograd.grad(output.square().sum(), [*net.features.parameters(), *net.classifier[6].parameters()])
        for net, output in zip((ours, theirs), outputs, strict=True)
    ]
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: alexnet(version="2014"), ArgumentError, "version must be one of 'published'.*got '2014'"),
        (lambda: alexnet(version="published", weights="imagenet"), ArgumentError, "do not fit version='published'"),
        (lambda: alexnet(small="yes"), ArgumentTypeError, "small must be True or False"),
        (lambda: alexnet(in_channels=0), ArgumentError, "in_channels must be at least 1"),
        (lambda: alexnet(pretrained=True), ArgumentTypeError, 'weights="imagenet"'),
        (lambda: alexnet(version="torchvision", weights="imagenet", small=True), ArgumentError, "small=True"),
    ],
)
def test_wrong_arguments_are_refused(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()
