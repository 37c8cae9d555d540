import re

import pytest
import torch
import torchvision
from torch import nn

from easyconv import zoo
from easyconv.errors import ArgumentError, ArgumentTypeError

COUNTS = {"vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240}
CONVOLUTIONS = {"vgg11": 8, "vgg13": 10, "vgg16": 13, "vgg19": 16}
every = pytest.mark.parametrize("name", COUNTS)


def on_meta(name, **options):
    with torch.device("meta"):
        return getattr(zoo, name)(**options)


@every
def test_has_the_published_parameters(name):
    net = on_meta(name)
    assert net.count_params() == COUNTS[name]
    assert sum(isinstance(layer, nn.Conv2d) for layer in net.modules()) == CONVOLUTIONS[name]
    assert sum(isinstance(layer, nn.Linear) for layer in net.modules()) == 3
    # table 2 of the paper: 133, 133, 138 and 144 millions
    assert round(net.count_params() / 1e6) == {"vgg11": 133, "vgg13": 133, "vgg16": 138, "vgg19": 144}[name]


@every
def test_stages_have_the_published_sizes(name):
    net = on_meta(name)
    found = []
    for layer in net.features:
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda _, __, out: found.append(tuple(out.shape[1:])))
    assert net(torch.zeros(1, 3, 224, 224, device="meta")).shape == (1, 1000)
    assert found == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]


@every
@pytest.mark.parametrize("batch_norm", [False, True])
def test_is_torchvisions_layer_by_layer(name, batch_norm):
    ours = on_meta(name, batch_norm=batch_norm)
    assert ours.name == name + "_bn" * batch_norm
    with torch.device("meta"):
        theirs = getattr(torchvision.models, ours.name)()
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }
    for part in ("features", "classifier"):
        said = re.sub(r", inplace=(True|False)|inplace=True", "", str(getattr(theirs, part)))
        assert re.sub(r", inplace=(True|False)", "", str(getattr(ours, part))) == said


@pytest.mark.parametrize("batch_norm", [False, True])
def test_gives_torchvisions_outputs_and_gradients(batch_norm):
    ours = on_meta("vgg11", num_classes=10, batch_norm=batch_norm)
    with torch.device("meta"):
        theirs = getattr(torchvision.models, ours.name)(num_classes=10, dropout=0.0)
        for net in (ours, theirs):  # the wide dense layers are torch's own in both, and take seconds
            net.classifier[0], net.classifier[3], net.classifier[6] = (
                nn.Linear(25088, 8),
                nn.Linear(8, 8),
                nn.Linear(8, 10),
            )
    theirs.load_state_dict({key: drawn(key, value.shape) for key, value in ours.state_dict().items()}, assign=True)
    ours.load_state_dict(theirs.state_dict(), assign=True)
    for module in ours.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = torch.randn(2, 3, 64, 64)
    expected = theirs.eval()(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(ours.eval()(x), expected, atol=1e-5, rtol=0)
    # each takes its own copy of the running statistics
    ours.load_state_dict({key: value.clone() for key, value in theirs.state_dict().items()}, assign=True)
    gradients = [torch.autograd.grad(net.train()(x).square().sum(), list(net.parameters())) for net in (ours, theirs)]
    for own, other in zip(*gradients, strict=True):
        torch.testing.assert_close(own, other)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def drawn(key, shape):
    """Random values that keep the signal alive; a variance is positive."""
    torch.manual_seed(sum(map(ord, key)))
    if "running_var" in key:
        return torch.rand(shape) + 0.5
    if len(shape) == 0:
        return torch.tensor(0)
    return torch.randn(shape) * (2 / max(1, shape[1:].numel())) ** 0.5 if len(shape) > 1 else torch.rand(shape) + 0.1


@every
@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_small_takes_both_sizes(name, size, batch_norm):
    net = on_meta(name, num_classes=10, in_channels=1, small=True, batch_norm=batch_norm)
    assert net(torch.zeros(2, 1, size, size, device="meta")).shape == (2, 10)
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in net.modules()) == 4
    assert net.classifier.in_features == 512


def test_initial_weights_are_torchvisions():
    torch.manual_seed(0)
    net = zoo.vgg11(num_classes=200, small=True)
    last = [layer for layer in net.features if isinstance(layer, nn.Conv2d)][-1]
    assert last.weight.detach().std() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)
    # by the outputs: the first convolution has 64 of them and 3 inputs
    assert net.features[0].weight.detach().std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.06)
    assert net.classifier.weight.detach().std() == pytest.approx(0.01, rel=0.02)
    assert not any(layer.bias.any() for layer in (last, net.classifier))


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: zoo.vgg11(batch_norm="yes"), ArgumentTypeError, "batch_norm must be True or False"),
        (lambda: zoo.vgg16(small=1), ArgumentTypeError, "small must be True or False"),
        (lambda: zoo.vgg16(0), ArgumentError, "num_classes must be at least 1"),
        (lambda: zoo.vgg16(weights="imagenet", in_channels=1), ArgumentError, "in_channels must be 3"),
        (lambda: zoo.vgg13(batchnorm=True), ArgumentTypeError, "Did you mean 'batch_norm'"),
    ],
)
def test_wrong_arguments_are_refused(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()
