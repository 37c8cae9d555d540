"""Receptive fields against the gradient: an input pixel is seen where its gradient is not zero."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from easyconv.tracing import Field, Reach, Tracer


def follow(net, example):
    tracer = Tracer()
    tracer.start(example)
    with tracer, torch.no_grad():
        return tracer.trace(net.eval()(example))


def seen_by_gradient(net, size):
    """Extent of the input that the middle output of a 1-D net sees, with all weights positive."""
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    example = torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)
    output = net.double().eval()(example)
    output[0, :, output.shape[2] // 2].sum().backward()
    hit = example.grad[0, 0].nonzero().flatten()
    return int(hit.max() - hit.min()) + 1


layer = st.tuples(st.sampled_from(["conv", "pool"]), st.integers(1, 4), st.integers(1, 2), st.integers(1, 2))


@settings(max_examples=25, deadline=None)
@given(st.lists(layer, min_size=1, max_size=4))
def test_stacks_agree_with_the_gradient(layers):
    made = [nn.Conv1d(1, 1, k, s, dilation=d) if kind == "conv" else nn.AvgPool1d(k, s) for kind, k, s, d in layers]
    net = nn.Sequential(*made)
    found = follow(net, torch.zeros(1, 1, 300))
    assert found.axes == (2,)
    assert found.size[0] == seen_by_gradient(net, 300)
    product = 1
    for _, _, stride, _ in layers:
        product *= stride
    assert found.jump == (product,)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.narrow, self.wide = nn.Conv1d(1, 2, 1), nn.Conv1d(1, 2, 5, padding=2)
        self.last = nn.Conv1d(4, 1, 3, padding=1)

    def forward(self, x):
        return self.last(torch.cat([F.relu(self.narrow(x)), self.wide(x)], dim=1)) + x


def test_branches_and_residuals_take_the_largest():
    assert follow(Branches(), torch.zeros(1, 1, 40)).size == (7,) == (seen_by_gradient(Branches(), 40),)


class Gate(nn.Module):
    def forward(self, x):
        return x * x.mean((2, 3), keepdim=True).sigmoid()


class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Shuffle(nn.Module):
    def forward(self, x):
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class WriteIntoPart(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[:, :2] = F.avg_pool2d(x, 3, 1, 1)[:, :2]
        return y


class WriteIntoBuffer(nn.Module):
    def forward(self, x):
        y = torch.zeros(x.shape)
        y[:, :4] = x
        return y


KEEP = [
    nn.BatchNorm2d(4),
    nn.GroupNorm(2, 4),
    nn.InstanceNorm2d(4),
    nn.Dropout2d(),
    nn.Identity(),
    nn.Softmax(1),
    nn.ReLU(inplace=True),
    nn.PReLU(),
    nn.Hardswish(),
    nn.ReLU6(),
    nn.ZeroPad2d(1),
    nn.ReflectionPad2d(1),
    nn.AdaptiveAvgPool2d(8),
    ChannelsLast(),
    Shuffle(),
]


@pytest.mark.parametrize("net", KEEP, ids=lambda net: type(net).__name__)
def test_layers_that_leave_the_window_as_it_is(net):
    assert follow(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), net), torch.zeros(2, 4, 8, 8)) == Field(
        (2, 3), (3, 3), (1, 1)
    )


ALL = [nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1), Gate(), nn.Sequential(nn.Flatten(), nn.Linear(256, 3))]


@pytest.mark.parametrize("net", ALL, ids=lambda net: type(net).__name__)
def test_layers_that_see_everything(net):
    assert follow(net, torch.zeros(2, 4, 8, 8)) is Reach.ALL


UNKNOWN = [
    nn.Upsample(scale_factor=2),
    nn.ConvTranspose2d(4, 4, 2, 2),
    nn.PixelShuffle(2),
    nn.AdaptiveAvgPool2d(3),
    nn.Softmax(3),
    WriteIntoPart(),
    WriteIntoBuffer(),
]


@pytest.mark.parametrize("net", UNKNOWN, ids=lambda net: type(net).__name__)
def test_never_a_guess(net):
    assert follow(net, torch.zeros(2, 4, 8, 8)) is Reach.UNKNOWN
    behind = nn.Sequential(net, nn.Conv2d(1 if isinstance(net, nn.PixelShuffle) else 4, 1, 1))
    assert follow(behind, torch.zeros(2, 4, 8, 8)) is Reach.UNKNOWN


def test_adaptive_pooling_that_divides_is_a_window():
    assert follow(nn.AdaptiveAvgPool2d(4), torch.zeros(1, 1, 8, 8)) == Field((2, 3), (2, 2), (2, 2))


def test_three_dimensions_and_uneven_kernels():
    net = nn.Sequential(nn.Conv3d(1, 1, (1, 3, 5)), nn.MaxPool3d(2))
    assert follow(net, torch.zeros(1, 1, 8, 8, 8)) == Field((2, 3, 4), (2, 4, 6), (2, 2, 2))


def test_tokens_have_positions():
    net = nn.Embedding(10, 4)
    assert follow(net, torch.zeros(2, 6, dtype=torch.long)) == Field((1,), (1,), (1,))


def test_adaptive_pooling_to_its_own_size_keeps_vgg_right():
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        net = torchvision.models.vgg16().features
        assert follow(net, torch.zeros(1, 3, 224, 224)) == Field((2, 3), (212, 212), (32, 32))
