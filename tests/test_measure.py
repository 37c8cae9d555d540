"""The numbers of nets: against torch's own counters, the gradient, published tables, and ``summary()``."""

import random
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, LayerNotFoundError, NotBuiltError, ShapeError
from easyconv.summary import summarize


def meta(make, **options):
    with torch.device("meta"):
        return make(**options)


# --- multiplications and shapes ---------------------------------------------------------------------------------------

IMAGE = (3, 224, 224)
COUNTED = {
    "alexnet": IMAGE, "vgg16": IMAGE, "resnet50": IMAGE, "googlenet": IMAGE, "mobilenet_v2": IMAGE,
    "convnext_tiny": IMAGE, "video.r3d_18": (3, 8, 56, 56),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_multiply_adds_are_half_of_torchs_flops(name):
    options = {"init_weights": False} if name == "googlenet" else {}
    place = models.video if name.startswith("video.") else models
    net = meta(getattr(place, name.removeprefix("video.")), **options)
    found = ec.multiply_adds(net, COUNTED[name]), ec.output_shape(net, COUNTED[name])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = net.eval()(torch.zeros(1, *COUNTED[name], device="meta"))
    assert found == (counter.get_total_flops() // 2, tuple(output.shape[1:]))
    assert ec.count_parameters(net) == sum(p.numel() for p in net.parameters())


layer = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 2), st.integers(0, 2), st.booleans())


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.lists(layer, min_size=1, max_size=3))
def test_multiply_adds_of_any_stack(axes, layers):
    convs = [(nn.Conv1d, nn.ConvTranspose1d), (nn.Conv2d, nn.ConvTranspose2d), (nn.Conv3d, nn.ConvTranspose3d)][
        axes - 1
    ]
    inside, stack = 6, []
    for groups, kernel, stride, padding, transposed in layers:
        stack.append(convs[transposed](inside, 6, kernel, stride, min(padding, (kernel - 1) // 2), groups=groups))
    net = nn.Sequential(*stack).to("meta")
    shape = (6, *[24, 20, 17][:axes])
    found = ec.multiply_adds(net, shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *shape, device="meta"))
    assert found == counter.get_total_flops() // 2


def test_numbers_of_the_course():
    through = nn.Sequential(nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2))
    assert ec.multiply_adds(nn.Conv2d(192, 32, 5, padding=2), (192, 28, 28)) == 120_422_400
    assert ec.multiply_adds(through, (192, 28, 28)) == 12_443_648
    assert ec.output_shape(nn.Conv2d(3, 4, 3, padding=2), (3, 100, 100)) == (4, 102, 102)
    dense = meta(lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(1000)))
    assert ec.count_parameters(dense, (3, 256, 256)) == 196_609_000
    assert ec.count_parameters(nn.Conv2d(3, 10, 3)) == 280


# --- receptive fields -------------------------------------------------------------------------------------------------

# VGG-16 and Inception-v3: Araujo, Norris and Sim, Distill (2019). torchvision's ResNets have their strides at the 3x3
# of a bottleneck, not at its first 1x1: 427 pixels in place of the paper's 483.
FIELDS = [
    ("alexnet", "features", IMAGE, 195, 32),
    ("vgg16", "features", IMAGE, 212, 32),
    ("resnet50", "layer4", IMAGE, 427, 32),
    ("inception_v3", "Mixed_7c", (3, 299, 299), 1311, 32),
]


@pytest.mark.parametrize(("name", "layer", "shape", "size", "jump"), FIELDS, ids=[row[0] for row in FIELDS])
def test_published_receptive_fields(name, layer, shape, size, jump):
    net = meta(getattr(models, name), **({"init_weights": False} if name == "inception_v3" else {}))
    assert ec.receptive_field(net, shape, layer=layer) == ((size, size), (jump, jump))
    assert ec.receptive_field(net, shape) == ("all", None)


class Bottleneck50(nn.Module):
    """A bottleneck as in the paper: the stride at the first 1x1."""

    def __init__(self, stride):
        super().__init__()
        self.main = nn.Sequential(nn.Conv2d(1, 1, 1, stride), nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 1))
        self.shortcut = nn.Conv2d(1, 1, 1, stride)

    def forward(self, x):
        x, shortcut = self.main(x), self.shortcut(x)
        x += shortcut
        return torch.relu_(x)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_resnet_50_as_published(device):
    strides = [1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1]
    net = nn.Sequential(
        nn.Conv2d(1, 1, 7, 2, 3), nn.MaxPool2d(3, 2, 1), *[Bottleneck50(stride) for stride in strides]
    ).to(device)
    assert ec.receptive_field(net, (1, 64, 64)) == ((483, 483), (32, 32))


class WritesInPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.narrow, self.wide = nn.Conv1d(1, 1, 1), nn.Conv1d(1, 1, 5, padding=2)

    def forward(self, x):
        narrow, wide = self.narrow(x), self.wide(x)
        narrow += wide
        return narrow + wide


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_write_concerns_the_tensors_of_that_memory_only(device):
    assert ec.receptive_field(WritesInPlace().to(device), (1, 9)) == ((5,), (1,))


class Branches(nn.Module):
    """The same input through several centred windows, added or side by side; all weights are positive."""

    def __init__(self, axes, windows, concat):
        super().__init__()
        conv, self.concat = [nn.Conv1d, nn.Conv2d][axes - 1], concat
        self.branches = nn.ModuleList(conv(1, 1, k, padding=(k - 1) * d // 2, dilation=d) for k, d in windows)
        self.join = conv(len(windows), 1, 1)

    def forward(self, x):
        found = [branch(x) for branch in self.branches]
        return self.join(torch.cat(found, 1)) if self.concat else sum(found) + x


def built(axes, parts):
    conv, pool = [(nn.Conv1d, nn.AvgPool1d), (nn.Conv2d, nn.AvgPool2d)][axes - 1]
    net = nn.Sequential()
    for kind, kernel, stride, dilation in parts:
        if kind == "conv":
            net.append(conv(1, 1, kernel[:axes], stride[:axes], dilation=dilation))
        elif kind == "pool":
            net.append(pool(kernel[:axes], stride[:axes]))
        else:
            net.append(Branches(axes, [(1, 1), (3, dilation), (2 * kernel[0] - 1, 1)], concat=kind == "concat"))
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    return net.double().eval()


def extent(net, size):
    """Input positions, from the first to the last, whose gradient from the output's middle is not zero."""
    image = torch.ones(1, 1, *size, dtype=torch.float64, requires_grad=True)
    output = net(image)
    output[(0, 0, *[n // 2 for n in output.shape[2:]])].backward()
    hit = image.grad[0, 0].nonzero()
    return tuple((hit.max(0).values - hit.min(0).values + 1).tolist())


part = st.tuples(
    st.sampled_from(["conv", "pool", "concat", "add"]),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.integers(1, 2),
)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2), st.lists(part, min_size=1, max_size=3))
def test_the_field_is_what_the_gradient_reaches(axes, parts):
    net, size = built(axes, parts), (120, 121)[:axes]
    found = ec.receptive_field(net, (1, *size))
    assert found.size == extent(net, size)
    windows = ("conv", "pool")
    strides = zip(*[stride[:axes] for kind, _, stride, _ in parts if kind in windows] or [(1,) * axes], strict=True)
    assert found.jump == tuple(int(np.prod(column)) for column in strides)


def test_one_axis_and_three():
    line = ec.Sequential([ec.layers.Conv1D(8, 3, stride=2), ec.layers.MaxPool1D(2), ec.layers.GlobalAvgPool1D()])
    assert ec.receptive_field(line, (2, 50), layer="1") == ((5,), (4,))
    assert ec.receptive_field(line, (2, 50)) == ("all", None)
    video = nn.Sequential(nn.Conv3d(3, 4, (3, 7, 5), (1, 2, 2)), nn.AvgPool3d(2), nn.AdaptiveAvgPool3d(1))
    assert ec.receptive_field(video, (3, 8, 32, 32), layer="1") == ((4, 9, 7), (2, 4, 4))
    assert ec.receptive_field(video, (3, 8, 32, 32)).size == "all"


class Uses(nn.Module):
    """Whatever a function makes of the input, beside a layer that is never called."""

    def __init__(self, function):
        super().__init__()
        self.function, self.unused = function, nn.Linear(3, 3)

    def forward(self, x):
        return self.function(x)


def test_no_window():
    assert ec.receptive_field(nn.Upsample(scale_factor=2), (1, 8, 8)) == ("?", None)
    assert ec.receptive_field(Uses(lambda x: torch.ones(1, 3)), (1, 8, 8)) == (None, None)
    assert ec.receptive_field(nn.Linear(4, 2), (4,)) == ("all", None)


def test_channels_are_no_positions():
    lrn = nn.Sequential(nn.Conv2d(3, 8, 5), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2))
    assert ec.receptive_field(lrn, (3, 24, 24)) == ((7, 7), (2, 2))
    # (N, T, F) that nobody turned: the convolution takes T for its channels.
    mixed = nn.Sequential(nn.Embedding(9, 4), nn.Conv1d(7, 2, 1))
    assert ec.receptive_field(mixed, (7,)) == ("?", None)


def test_every_second_position():
    assert ec.receptive_field(Uses(lambda x: x[:, :, ::2, ::3]), (1, 8, 8)) == ((1, 1), (2, 3))
    both = Uses(lambda x: torch.cat([x[:, :, ::2], x[:, :, 1::2]], 1))
    assert ec.receptive_field(both, (1, 8, 8)) == ("?", None)


# --- as in the summary ------------------------------------------------------------------------------------------------

NETS = {
    "resnet18": (models.resnet18, (3, 64, 64)),
    "googlenet": (lambda: models.googlenet(init_weights=False), (3, 64, 64)),
    "ours": (lambda: ec.Sequential([ec.ConvBlock(8, pool=2), ec.InceptionA(), ec.layers.Flatten(), ec.layers.Dense(10)],
                                   input_shape=(1, 28, 28)), (1, 28, 28)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_the_same_as_the_summary(name):
    make, shape = NETS[name]
    net = meta(make)
    summary = summarize(net, torch.zeros(1, *shape, device="meta"), depth=9)
    assert ec.count_parameters(net) == summary.parameters
    assert ec.multiply_adds(net, shape) == summary.multiply_adds
    called = [row for row in summary.rows if row.name and row.output_shape]
    for row in random.Random(0).sample(called, 2):
        assert ec.receptive_field(net, shape, layer=row.name) == (row.receptive_field, row.jump)
        assert ec.output_shape(net, shape, layer=row.name) == row.output_shape[1:]


def test_layers_of_a_wrapped_net_are_named_as_in_the_summary():
    model = ec.Model(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2)), input_shape=(1, 8, 8))
    assert ec.receptive_field(model, (1, 8, 8), layer="0").size == (3, 3)
    assert ec.receptive_field(model, (1, 8, 8), layer="net.0").size == (3, 3)
    assert ec.output_shape(model, (1, 8, 8)) == (2,)


def test_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.image, self.number = nn.Conv2d(1, 4, 3), nn.Linear(5, 4)

        def forward(self, image, number):
            return self.image(image).mean((2, 3)) + self.number(number)

    assert ec.multiply_adds(Two(), ((1, 8, 8), (5,))) == 36 * 4 * 9 + 20
    assert ec.multiply_adds(Two(), {"image": (1, 8, 8), "number": (5,)}) == 36 * 4 * 9 + 20
    assert ec.receptive_field(Two(), ((1, 8, 8), (5,)), layer="image") == ((3, 3), (1, 1))


# --- nothing is changed -----------------------------------------------------------------------------------------------


def asked(net, shape):
    return (
        ec.count_parameters(net, shape),
        ec.multiply_adds(net, shape),
        ec.receptive_field(net, shape),
        ec.output_shape(net, shape),
    )


def test_a_net_that_is_not_built_stays_so():
    net = ec.Sequential([ec.ConvBlock(4, pool=2), nn.Dropout(), ec.layers.Flatten(), ec.layers.Dense(10)])
    expected = (4 * 9 + 2 * 4 + 4 * 7 * 7 * 10 + 10, 14 * 14 * 4 * 9 + 4 * 7 * 7 * 10, ("all", None), (10,))
    before, state = repr(net), torch.get_rng_state()
    assert asked(net, (1, 14, 14)) == expected
    assert repr(net) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert asked(net, (3, 28, 28)) != expected  # other sizes may be asked for
    with pytest.raises(NotBuiltError, match=re.escape("count_parameters() needs the sizes of all layers, but the")):
        ec.count_parameters(net)


def test_a_built_net_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 3))
    net.train()
    net[1].eval()
    net[0].requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert asked(net, (1, 8, 8)) == (40 + 8 + 435, 36 * 36 + 432, ("all", None), (3,))
    assert ec.count_parameters(net, trainable=True) == 8 + 435
    assert ec.count_parameters(net, trainable=False) == 40
    assert [module.training for module in net] == [True, False, True, True, True]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [len(module._forward_hooks) for module in net.modules()] == [0] * 6
    assert not net[0].weight.requires_grad
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]


def test_shared_parameters_count_once():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    assert ec.count_parameters(net) == 16 + 4 + 4
    again = nn.Sequential(*[nn.Linear(4, 4)] * 3)
    assert (ec.count_parameters(again), ec.multiply_adds(again, (4,))) == (20, 48)


# --- what is refused --------------------------------------------------------------------------------------------------

NET = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3))
REFUSED = [
    (lambda: ec.count_parameters([1]), ArgumentTypeError, "net must be an nn.Module, got [1] (list)."),
    (lambda: ec.multiply_adds(None, (1,)), ArgumentTypeError, "net must be an nn.Module, got None (NoneType)."),
    (lambda: ec.receptive_field([(3, 1)], (1, 8, 8)), ArgumentTypeError,
     "net must be an nn.Module, got [(3, 1)] (list). For a list "
     "of (kernel_size, stride) write easyconv.arithmetic.receptive_field(layers)."),
    (lambda: ec.output_shape(3, (1,)), ArgumentTypeError, "net must be an nn.Module, got 3 (int)."),
    (lambda: ec.count_parameters(NET, trainable="yes"), ArgumentTypeError,
     "trainable must be True or False, got 'yes' (str)."),
    (lambda: ec.multiply_adds(NET, 8), ArgumentTypeError, "input_shape must be a tuple, got 8; write (8,)."),
    (lambda: ec.multiply_adds(NET, (8, 8, 3)), ArgumentError, "input_shape (8, 8, 3) has its channels last"),
    (lambda: ec.multiply_adds(NET, (3, 9, 9)), ShapeError, "Layer '2' (Linear("),
    (lambda: ec.receptive_field(NET, (3, 8, 8), layer="3"), LayerNotFoundError, "There is no layer '3'. "),
    (lambda: ec.output_shape(NET, (3, 8, 8), layer=0), ArgumentTypeError,
     "layer must be the dotted name of a layer, as in named_modules(), got 0 (int)."),
    (lambda: ec.receptive_field(Uses(torch.relu), (1, 8, 8), layer="unused"), ArgumentError,
     "Layer 'unused' took or gave no tensor in the forward pass, which runs in evaluation mode. Name "
     "a layer that is called there."),
    (lambda: ec.output_shape(Uses(lambda x: 3), (1, 8, 8)), ArgumentError,
     "Uses took or gave no tensor in the forward"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_refusals(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
