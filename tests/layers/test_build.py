import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from easyconv.layers import build, first
from easyconv.layers.keeping import call
from easyconv.layers.lazy import is_built, unbuilt_layers


def small():
    return nn.Sequential(
        layers.Conv2D(4, 3, activation="relu"), layers.BatchNorm(), nn.Dropout(0.5), layers.Flatten(), layers.Dense(3)
    )


def test_build_infers_and_gives_all_back():
    net = small()
    net[2].eval()
    net[4].weight.requires_grad = False
    modes = [m.training for m in net.modules()]
    x = torch.randn(1, 2, 8, 8)
    state = torch.get_rng_state()
    out = build.dry_run(net, x)
    assert out.shape == (1, 3)
    assert not out.requires_grad
    assert is_built(net)
    assert [m.training for m in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert net[1].num_batches_tracked == 0
    assert torch.equal(net[1].running_mean, torch.zeros(4))
    assert not net[4].weight.requires_grad
    assert all(p.grad is None for p in net.parameters())


class Naughty(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += 1
        torch.rand(3)
        return x + torch.rand_like(x)


def test_dry_run_gives_buffers_and_random_state_back_also_after_errors():
    net = nn.Sequential(Naughty(), nn.Linear(2, 3))
    buffer, state = net[0].seen, torch.get_rng_state()
    assert build.dry_run(net, torch.zeros(4, 2)).shape == (4, 3)
    with pytest.raises(ShapeError):
        build.dry_run(net, torch.zeros(4, 5))
    assert net[0].seen is buffer
    assert float(buffer) == 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_failed_build_leaves_the_net_unbuilt_and_a_retry_works():
    torch.manual_seed(0)
    net = nn.Sequential(layers.Conv2D(4, 3), layers.BatchNorm(), nn.LazyConv2d(5, 1), layers.Flatten(), nn.Linear(5, 2))
    parameters = list(net.parameters())
    with pytest.raises(ShapeError, match=r"Layer '4' .*\(1, 80\)"):
        build.dry_run(net, torch.zeros(1, 3, 6, 6))
    assert unbuilt_layers(net) == ["0", "1", "2"]
    build.dry_run(net, torch.zeros(1, 1, 3, 3))
    assert is_built(net)
    assert net[0].weight.shape == (4, 1, 3, 3)
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert not any(m._forward_pre_hooks or m._load_state_dict_pre_hooks for m in net.modules())
    torch.manual_seed(0)
    conv = layers.Conv2D(4, 3)
    conv(torch.zeros(1, 1, 3, 3))
    assert torch.equal(conv.weight, net[0].weight)


def test_a_failed_build_of_a_shortcut_is_undone():
    net = nn.Sequential(layers.Residual(layers.Conv2D(4, 3, padding=1)), layers.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ShapeError):
        build.dry_run(net, torch.zeros(1, 3, 6, 6))
    build.dry_run(net, torch.zeros(1, 4, 2, 2))
    assert type(net[0].shortcut) is nn.Identity


class Named(nn.Module):
    def forward(self, image, label=None):
        return image if label is None else image + label


def test_call_conventions():
    x, y = torch.ones(2), torch.full((2,), 3.0)
    net = Named()
    assert torch.equal(call(net, x), x)
    assert torch.equal(call(net, (x, y)), x + y)
    assert torch.equal(call(net, [x, y]), x + y)
    assert torch.equal(call(net, {"label": y, "image": x}), x + y)
    unknown = {"other": x}
    assert call(net, unknown) is unknown


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_example_of_has_the_shape(shape):
    example = build.example_of(tuple(shape), nn.Linear(2, 2))
    assert example.shape == (1, *shape)
    assert example.dtype == torch.float32
    assert not example.any()


def test_example_of_nested_tokens_and_dtype():
    pair = build.example_of(((3,), [4, 5]), nn.Bilinear(3, 4, 2).double())
    assert [tuple(x.shape) for x in pair] == [(1, 3), (1, 4, 5)]
    assert pair[0].dtype == torch.float64
    assert build.example_of({"a": (2,)}, nn.Identity())["a"].shape == (1, 2)
    assert build.example_of((7,), nn.Sequential(layers.Embedding(9, 2))).dtype == torch.int64
    assert build.example_of((3, 8, 8), layers.Conv2D(4, 3).double()).dtype == torch.float64
    assert build.example_of(torch.Size([2]), nn.Identity()).shape == (1, 2)


@pytest.mark.parametrize(
    ("shape", "error", "match"),
    [
        ((None, 28, 28, 1), ArgumentError, r"leave out the batch dimension.*write \(1, 28, 28\)"),
        ((28, 28, 1), ArgumentError, r"channels last; here.*come first: \(1, 28, 28\)"),
        ((480, 640, 3), ArgumentError, r"\(3, 480, 640\)"),
        ((3, 0, 8), ArgumentError, "sizes of at least 1"),
        ((3, -1), ArgumentError, "sizes of at least 1"),
        ((3, 2.5), ArgumentTypeError, "integers, got .* with 2.5"),
        ((3, None), ArgumentTypeError, "with None"),
        ((), ArgumentError, "is empty"),
        (28, ArgumentTypeError, r"write \(28,\)"),
        ("3x32", ArgumentTypeError, "must be a tuple of integers"),
    ],
)
def test_example_of_refuses(shape, error, match):
    with pytest.raises(error, match=match):
        build.example_of(shape, layers.Conv2D(4, 3))


def test_channels_last_by_what_the_conv_expects():
    with pytest.raises(ArgumentError, match="channels last"):
        build.example_of((32, 20, 7), nn.Conv2d(7, 4, 3))
    assert build.example_of((64, 32, 1), layers.Conv2D(4, (3, 1))).shape == (1, 64, 32, 1)
    assert build.example_of((28, 28, 1), nn.Linear(1, 2)).shape == (1, 28, 28, 1)


@pytest.mark.parametrize(
    ("net", "facts"),
    [
        (nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)), ("image", 3)),
        (nn.Sequential(nn.Identity(), layers.ConvBlock(4)), ("image", None)),
        (nn.Sequential(nn.Sequential(), nn.Conv1d(2, 4, 1)), ("sequence", 2)),
        (nn.Conv3d(2, 4, 1), ("volume", 2)),
        (nn.Sequential(nn.Embedding(5, 2), nn.Linear(2, 2)), ("tokens", None)),
        (nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.Embedding(2, 2)), ("any", None)),
        (layers.Residual(layers.Conv2D(4, 1)), ("image", None)),
        (nn.ReLU(), ("any", None)),
        (nn.Sequential(), ("any", None)),
    ],
)
def test_expected_input(net, facts):
    assert first.expected_input(net) == first.InputFacts(*facts)


def test_first_layer():
    net = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Linear(2, 2))
    assert first.first_layer(net) is net[2]
    assert first.first_layer(nn.Sequential(nn.ReLU())).__class__ is nn.ReLU
    assert first.first_layer(nn.Identity()) is None


def test_modes_of_layers_made_during_the_build():
    net = nn.Sequential(layers.Residual(layers.ConvBlock(4)), layers.Residual(layers.Conv2D(4, 1)))
    build.dry_run(net, torch.zeros(1, 3, 4, 4))
    assert all(module.training for module in net.modules())


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (layers.Conv2D(4, 3), (28, 28), r"no channels.*\(channels, height, width\). Write \(1, 28, 28\)"),
        (layers.Conv1D(4, 3), (28,), r"no channels.*\(channels, length\). Write \(1, 28\)"),
    ],
)
def test_a_shape_without_channels_is_refused(layer, shape, text):
    with pytest.raises(ArgumentError, match=text):
        build.example_of(shape, nn.Sequential(layer))
