import importlib.util
from pathlib import Path

import pytest
import torch

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.zoo import cifar_cnn, cifar_vgg, mnist_cnn, mnist_googlenet, mnist_resnet

FIXED = [mnist_cnn, mnist_googlenet, mnist_resnet, cifar_cnn]


def shapes(net, size, channels):
    found = {}
    for name, child in net.named_children():
        child.register_forward_hook(lambda _, __, out, name=name: found.update({name: tuple(out.shape[1:])}))
    net(torch.zeros(1, channels, size, size))
    return found


@pytest.fixture(scope="module")
def tutorial():
    path = Path(__file__).parents[2] / "tutorials" / "02_mnist.py"
    spec = importlib.util.spec_from_file_location("mnist_tutorial", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("net", "name"), [(mnist_cnn, "plain_net"), (mnist_googlenet, "google_net")])
def test_is_the_net_of_the_tutorial(tutorial, net, name):
    ours, theirs = net().eval(), getattr(tutorial, name)().eval()
    for own, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        own.copy_(other)
    x = torch.randn(3, 1, 28, 28)
    assert torch.equal(ours(x), theirs(x))


def inception_a(channels):
    """Parameters of the course's Inception block, by hand."""
    branch5x5 = (channels + 1) * 16 + (16 * 25 + 1) * 24
    branch3x3 = (channels + 1) * 16 + (16 * 9 + 1) * 24 + (24 * 9 + 1) * 24
    return (channels + 1) * 16 + branch5x5 + branch3x3 + (channels + 1) * 24


@pytest.mark.parametrize(
    ("net", "parameters"),
    [
        (mnist_cnn, 260 + 5_020 + 3_210),
        (mnist_googlenet, 260 + inception_a(10) + 44_020 + inception_a(20) + 14_090),
        (mnist_resnet, 416 + 2 * 2_320 + 12_832 + 2 * 9_248 + 5_130),
        (cifar_cnn, 4_210_090),
        (cifar_vgg, 1_175_786),
    ],
)
def test_has_the_parameters_of_the_course(net, parameters):
    assert net().count_params() == parameters


def test_mnist_nets_have_the_shapes_of_the_course():
    plain, google, residual = (shapes(net(), 28, 1) for net in (mnist_cnn, mnist_googlenet, mnist_resnet))
    assert (plain["conv1"], plain["pool1"], plain["conv2"], plain["flatten"]) == (
        (10, 24, 24), (10, 12, 12), (20, 8, 8), (320,),
    )  # fmt: skip
    assert (google["inception1"], google["inception2"], google["flatten"]) == ((88, 12, 12), (88, 4, 4), (1408,))
    assert (residual["residual1"], residual["residual2"], residual["flatten"]) == ((16, 12, 12), (32, 4, 4), (512,))
    assert plain["dense"] == google["dense"] == residual["dense"] == (10,)


def test_cifar_nets_have_the_shapes_of_the_course():
    plain, blocks = shapes(cifar_cnn(), 32, 3), shapes(cifar_vgg(), 32, 3)
    assert (plain["conv1"], plain["conv2"], plain["pool"]) == ((32, 32, 32), (32, 32, 32), (32, 16, 16))
    assert (plain["flatten"], plain["dense1"], plain["dense2"]) == ((8192,), (512,), (10,))
    assert [blocks[f"stage{n}"] for n in (1, 2, 3, 4)] == [(32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2)]
    assert (blocks["pool"], blocks["dense"]) == ((256,), (10,))


def test_a_residual_block_that_has_learned_zero_does_no_harm():
    net = mnist_resnet()
    for parameter in net.residual1.main.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.rand(2, 16, 12, 12)
    assert torch.equal(net.residual1(x), x)


@pytest.mark.parametrize("net", FIXED)
@pytest.mark.parametrize(("size", "channels"), [(28, 1), (28, 3), (32, 1), (32, 3)])
def test_takes_both_sizes(net, size, channels):
    with torch.device("meta"):
        model = net(7, channels, input_size=size)
    assert model(torch.zeros(2, channels, size, size, device="meta")).shape == (2, 7)


@pytest.mark.parametrize("size", [28, 32, 64])
def test_cifar_vgg_takes_any_size(size):
    assert cifar_vgg(widths=(4, 8, 8), depth=3)(torch.rand(2, 3, size, size)).shape == (2, 10)


def test_cifar_vgg_follows_its_arguments():
    net = cifar_vgg(widths=[8, 16], depth=1, dropout=0.3, in_channels=1)
    parameters = 9 * 8 + 16 + 8 * 16 * 9 + 32 + 17 * 10
    assert net.count_params() == parameters
    assert net.dropout.p == 0.3
    assert [name for name, _ in net.named_children()] == ["stage1", "stage2", "pool", "dropout", "dense"]


def test_init_reaches_every_layer():
    for net in (cifar_vgg(widths=(4,), init=torch.nn.init.ones_), mnist_resnet(init=torch.nn.init.ones_)):
        layers = [m for m in net.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
        assert all(bool((layer.weight == 1).all()) for layer in layers)


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: mnist_cnn(input_size=15), ArgumentError, "input_size must be at least 16, got 15"),
        (lambda: mnist_googlenet(input_size="28"), ArgumentTypeError, "input_size must be an integer"),
        (lambda: mnist_resnet(0), ArgumentError, "num_classes must be at least 1"),
        (lambda: cifar_cnn(in_channels=0), ArgumentError, "in_channels must be at least 1"),
        (lambda: cifar_cnn(input_size=1), ArgumentError, "input_size must be at least 2"),
        (lambda: cifar_vgg(widths=32), ArgumentTypeError, r"widths must be a list with the maps .* got 32"),
        (lambda: cifar_vgg(widths=()), ArgumentTypeError, "widths must be a list"),
        (lambda: cifar_vgg(widths=(32, 0)), ArgumentError, "a number in widths must be at least 1"),
        (lambda: cifar_vgg(depth=0), ArgumentError, "depth must be at least 1"),
        (lambda: cifar_vgg(dropout=1), ArgumentError, "p must be at least 0 and less than 1"),
        (lambda: cifar_vgg(width=(3,)), ArgumentTypeError, "Did you mean 'widths'"),
    ],
)
def test_wrong_arguments_are_refused(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()
