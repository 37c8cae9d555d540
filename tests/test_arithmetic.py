"""Arithmetic of layers against torch's own layers, and against numbers of papers and courses."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import easyconv as ec
from easyconv import arithmetic
from easyconv.errors import ArgumentError, ArgumentTypeError

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
sizes, kernels, strides, dilations = st.integers(1, 300), st.integers(1, 15), st.integers(1, 9), st.integers(1, 5)
paddings = st.integers(0, 20)


def per_axis(count, strategy):
    return st.tuples(*[strategy] * count)


def fits(size, kernel, padding, dilation):
    return all(n + 2 * p >= d * (k - 1) + 1 for n, k, p, d in zip(size, kernel, padding, dilation, strict=True))


def on_meta(make, *args, **kwargs):
    with torch.device("meta"):
        return make(*args, **kwargs)


# --- output sizes -----------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_conv_output_size_is_torch(data, axes):
    size, kernel, stride, padding, dilation = (
        data.draw(per_axis(axes, numbers)) for numbers in (sizes, kernels, strides, paddings, dilations)
    )
    assume(fits(size, kernel, padding, dilation))
    net = on_meta(CONVS[axes], 1, 1, kernel, stride, padding, dilation)
    expected = tuple(net(torch.zeros(1, 1, *size, device="meta")).shape[2:])
    assert arithmetic.conv_output_size(size, kernel, stride, padding=padding, dilation=dilation) == expected
    first = arithmetic.conv_output_size(size[0], kernel[0], stride[0], padding=padding[0], dilation=dilation[0])
    assert first == expected[0]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=100, deadline=None)
@given(sizes, kernels, dilations, st.sampled_from(["same", "valid"]))
def test_padding_by_name_is_torch(size, kernel, dilation, padding):
    assume(padding == "same" or size >= dilation * (kernel - 1) + 1)
    net = on_meta(nn.Conv1d, 1, 1, kernel, padding=padding, dilation=dilation)
    expected = net(torch.zeros(1, 1, size, device="meta")).shape[-1]
    assert arithmetic.conv_output_size(size, kernel, padding=padding, dilation=dilation) == expected


@settings(max_examples=100, deadline=None)
@given(sizes, kernels, strides, dilations)
def test_same_with_a_stride_is_our_layer(size, kernel, stride, dilation):
    assume((kernel - 1) * dilation % 2 == 0)
    layer = on_meta(ec.layers.Conv1D, 1, kernel, stride=stride, dilation=dilation, padding="same")
    expected = layer(torch.zeros(1, 1, size, device="meta")).shape[-1]
    assert arithmetic.conv_output_size(size, kernel, stride, padding="same", dilation=dilation) == expected
    half = arithmetic.same_padding(kernel, dilation=dilation)
    assert arithmetic.conv_output_size(size, kernel, stride, padding=half, dilation=dilation) == expected
    assert arithmetic.conv_output_size(size, kernel, padding=half, dilation=dilation) == size


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 3), st.booleans())
def test_pool_output_size_is_torch(data, axes, ceil_mode):
    size, kernel, stride, dilation = (
        data.draw(per_axis(axes, numbers)) for numbers in (sizes, kernels, strides, dilations)
    )
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    assume(fits(size, kernel, padding, dilation))
    image = torch.zeros(1, 1, *size, device="meta")
    expected = tuple(POOLS[axes](image, kernel, stride, padding, dilation, ceil_mode).shape[2:])
    found = arithmetic.pool_output_size(size, kernel, stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    assert found == expected


@settings(max_examples=50, deadline=None)
@given(sizes, kernels)
def test_windows_of_a_pooling_stand_side_by_side(size, kernel):
    assume(size >= kernel)
    expected = nn.MaxPool1d(kernel)(torch.zeros(1, 1, size)).shape[-1]
    assert arithmetic.pool_output_size(size, kernel) == expected == size // kernel


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 3))
def test_conv_transpose_output_size_is_torch(data, axes):
    size, kernel, stride, padding, dilation = (
        data.draw(per_axis(axes, numbers)) for numbers in (st.integers(1, 40), kernels, strides, paddings, dilations)
    )
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    expected = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(size, stride, padding, dilation, kernel, extra, strict=True)
    ]
    assume(all(number >= 1 for number in expected))
    net = on_meta(TRANSPOSED[axes], 1, 1, kernel, stride, padding, extra, dilation=dilation)
    made = tuple(net(torch.zeros(1, 1, *size, device="meta")).shape[2:])
    found = arithmetic.conv_transpose_output_size(
        size, kernel, stride, padding=padding, output_padding=extra, dilation=dilation
    )
    assert found == made


@settings(max_examples=50, deadline=None)
@given(sizes, kernels, strides, paddings)
def test_a_transposed_convolution_gives_back_the_size(size, kernel, stride, padding):
    assume(size + 2 * padding >= kernel)
    smaller = arithmetic.conv_output_size(size, kernel, stride, padding=padding)
    lost = (size + 2 * padding - kernel) % stride
    back = arithmetic.conv_transpose_output_size(smaller, kernel, stride, padding=padding, output_padding=lost)
    assert back == size


def test_sizes_of_the_course():
    assert arithmetic.conv_output_size((100, 100), 3, padding=2) == (102, 102)
    assert arithmetic.conv_output_size(227, 11, 4) == 55  # AlexNet
    assert arithmetic.conv_output_size((28, 14), (5, 3), padding=(2, 0)) == (28, 12)
    assert arithmetic.conv_output_size([28, 14], 3) == (26, 12)
    assert arithmetic.conv_output_size(torch.zeros(9, 7).shape, 3) == (7, 5)
    assert arithmetic.conv_output_size(np.int8(127), np.int8(3), padding=np.int8(100)) == 325


# --- parameters and multiplications -----------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 3), st.booleans(), st.sampled_from([CONVS, TRANSPOSED]))
def test_conv_parameters_are_torch(data, axes, bias, kind):
    groups = data.draw(st.integers(1, 6))
    inside, outside = (groups * data.draw(st.integers(1, 40)) for _ in range(2))
    kernel = data.draw(per_axis(axes, kernels))
    net = on_meta(kind[axes], inside, outside, kernel, groups=groups, bias=bias)
    expected = sum(p.numel() for p in net.parameters())
    assert arithmetic.conv_parameters(inside, outside, kernel, groups=groups, bias=bias) == expected


@pytest.mark.parametrize("flag", [True, False])
def test_other_parameters_are_torch(flag):
    linear, norm = nn.Linear(7, 3, bias=flag), nn.BatchNorm2d(5, affine=flag)
    assert sum(p.numel() for p in linear.parameters()) == arithmetic.linear_parameters(7, 3, bias=flag)
    assert sum(p.numel() for p in norm.parameters()) == arithmetic.batch_norm_parameters(5, affine=flag)


def test_parameters_of_the_course():
    assert arithmetic.conv_parameters(3, 10, 3) == arithmetic.conv_parameters(3, 10, (3, 3)) == 280
    assert arithmetic.linear_parameters(256 * 256 * 3, 1000) == 196_609_000
    # A picture of 100x100 to a million units, against a hundred shared filters of 10x10.
    assert arithmetic.linear_parameters(100 * 100, 1_000_000, bias=False) == 10**10
    assert arithmetic.conv_parameters(1, 100, 10, bias=False) == 10**4
    # LeNet-5's C1 and F6.
    assert (arithmetic.conv_parameters(1, 6, 5), arithmetic.linear_parameters(120, 84)) == (156, 10_164)


@pytest.mark.parametrize("channels", [1, 16, 64])
@pytest.mark.parametrize("n", [3, 5, 7])
def test_factorised_kernels(channels, n):
    whole = arithmetic.conv_parameters(channels, channels, n, bias=False)
    rows = arithmetic.conv_parameters(channels, channels, (1, n), bias=False)
    columns = arithmetic.conv_parameters(channels, channels, (n, 1), bias=False)
    assert (rows + columns) * n == whole * 2
    threes = (n - 1) // 2
    stacked = threes * arithmetic.conv_parameters(channels, channels, 3, bias=False)
    assert stacked * n * n == whole * 9 * threes
    assert arithmetic.receptive_field([(3, 1)] * threes) == arithmetic.receptive_field([(n, 1)]) == (n, 1)


def test_multiply_adds_by_hand():
    assert arithmetic.conv_multiply_adds(192, 32, 5, output_size=28) == 28 * 28 * 32 * 5 * 5 * 192 == 120_422_400
    through = arithmetic.conv_multiply_adds(192, 16, 1, output_size=28)
    through += arithmetic.conv_multiply_adds(16, 32, 5, output_size=(28, 28))
    assert through == 12_443_648
    assert arithmetic.conv_multiply_adds(8, 8, (3,), output_size=(10,), groups=8) == 10 * 8 * 3
    assert arithmetic.conv_multiply_adds(2, 3, 3, output_size=(4, 5, 6)) == 4 * 5 * 6 * 3 * 27 * 2
    assert arithmetic.linear_multiply_adds(6, 4, positions=5) == 120
    assert arithmetic.conv_transpose_multiply_adds(8, 4, 2, input_size=7, groups=4) == 7 * 7 * 8 * 4
    # Numbers of NumPy must not overflow.
    assert arithmetic.conv_multiply_adds(np.int16(512), np.int16(512), np.int16(3), output_size=np.int16(56)) == (
        512 * 512 * 9 * 56 * 56
    )


# --- receptive fields -------------------------------------------------------------------------------------------------

BOTTLENECKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet(depth):
    """Kernels and strides of the main path, as in the paper: each stage's stride stands at its first 1x1."""
    layers = [(7, 2), (3, 2)]
    for stage, blocks in enumerate(BOTTLENECKS[depth]):
        for block in range(blocks):
            layers += [(1, 2 if stage and not block else 1), (3, 1), (1, 1)]
    return layers


VGG16 = [(3, 1), (3, 1), (2, 2)] * 2 + [(3, 1), (3, 1), (3, 1), (2, 2)] * 3
ALEXNET = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
# Araujo, Norris and Sim, Distill (2019), table at the end.
DISTILL = [(ALEXNET, 195), (VGG16, 212), (resnet(50), 483), (resnet(101), 1027), (resnet(152), 1507)]


@pytest.mark.parametrize(("layers", "published"), DISTILL, ids=["alexnet", "vgg16", "50", "101", "152"])
def test_published_receptive_fields(layers, published):
    assert arithmetic.receptive_field(layers) == (published, 32)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(kernels, strides, dilations), max_size=8))
def test_the_closed_formula(layers):
    found = arithmetic.receptive_field(layers)
    jumps = [math.prod(s for _, s, _ in layers[:i]) for i in range(len(layers) + 1)]
    assert found.size == 1 + sum((k - 1) * d * jump for (k, _, d), jump in zip(layers, jumps, strict=False))
    assert found.jump == jumps[-1]
    both = arithmetic.receptive_field([((k, 1), s, (d, 1)) for k, s, d in layers] or [((1, 1), 1)])
    assert both == ((found.size, 1), (found.jump, found.jump))


def test_receptive_field_counts_dilation_and_jump():
    assert arithmetic.receptive_field_step(3, 2, 3, stride=2, dilation=4) == (3 + 2 * 4 * 2, 4)
    assert arithmetic.receptive_field([]) == (1, 1)
    assert arithmetic.receptive_field([(3, 1), ((1, 7), (1, 2))]) == ((3, 9), (1, 2))


# --- what is refused --------------------------------------------------------------------------------------------------

SIZE, POOL, BACK = arithmetic.conv_output_size, arithmetic.pool_output_size, arithmetic.conv_transpose_output_size
REFUSED = [
    (lambda: SIZE(3, 3, dilation=2), "A kernel that spans 5 does not fit into 3 pixels with padding 0 on each side. "
     "Take a smaller kernel or dilation, or more padding."),
    (lambda: SIZE(3, 5, padding="valid"), "A kernel that spans 5 does not fit into 3 pixels with padding 0"),
    (lambda: SIZE(0, 3), "size must be at least 1, got 0."),
    (lambda: SIZE(8, 3, 0), "stride must be at least 1, got 0."),
    (lambda: SIZE(8, 3, dilation=0), "dilation must be at least 1, got 0."),
    (lambda: SIZE(8, 3, padding=-1), "padding must be at least 0, got -1."),
    (lambda: SIZE(8, 3, padding="sane"), "padding must be one of 'same', 'valid', got 'sane'. Did you mean 'same'?"),
    (lambda: SIZE(28, (5, 3)), "kernel_size has 2 numbers, (5, 3), but size is one, 28. Write size=(28, 28)."),
    (lambda: SIZE((28, 28), (5, 3, 3)), "kernel_size must be one integer or 2 of them, got (5, 3, 3)."),
    (lambda: SIZE((), 3), "size is empty; it must be one integer, or one per axis."),
    (lambda: SIZE((28, 28), 5, padding=()), "padding is empty; it must be one integer, or one per axis."),
    (lambda: POOL(28, 2, padding=2), "padding must be at most half of the window, which spans 2, got 2."),
    (lambda: POOL(3, 4), "A kernel that spans 4 does not fit into 3 pixels"),
    (lambda: BACK(1, 1, padding=1), "Nothing is left: the output size would be -1. Take less padding than 1."),
    (lambda: BACK(7, 3, 2, output_padding=2), "output_padding must be less than the stride or the dilation, got "
     "output_padding=2 with stride=2 and dilation=1."),
    (lambda: BACK(7, 3, output_padding=-1), "output_padding must be at least 0, got -1."),
    (lambda: arithmetic.same_padding(4), "A kernel that spans 4 has no middle: it needs 1 more pixels on one side and "
     "2 on the other. Take an odd kernel_size."),
    (lambda: arithmetic.same_padding(3, dilation=(1, 2)), "dilation has 2 numbers, (1, 2), but kernel_size is one, 3. "
     "Write kernel_size=(3, 3)."),
    (lambda: arithmetic.conv_parameters(3, 4, 3, groups=2), "groups must divide the channels: in_channels=3 do not go "
     "into 2 groups."),
    (lambda: arithmetic.conv_parameters(0, 4, 3), "in_channels must be at least 1, got 0."),
    (lambda: arithmetic.conv_parameters(3, 4, 0), "kernel_size must be at least 1, got 0."),
    (lambda: arithmetic.batch_norm_parameters(0), "channels must be at least 1, got 0."),
    (lambda: arithmetic.linear_parameters(3, 0), "out_features must be at least 1, got 0."),
    (lambda: arithmetic.conv_multiply_adds(4, 5, 1, output_size=1, groups=2), "out_channels=5 do not go into 2 groups"),
    (lambda: arithmetic.conv_multiply_adds(3, 4, (3, 3), output_size=(8,)),
     "output_size must be one integer or 2 of them, got (8,)."),
    (lambda: arithmetic.conv_transpose_multiply_adds(4, 5, 1, input_size=1, groups=2), "out_channels=5 do not go into"),
    (lambda: arithmetic.linear_multiply_adds(3, 4, positions=0), "positions must be at least 1, got 0."),
    (lambda: arithmetic.receptive_field_step(1, 1, 0), "kernel_size must be at least 1, got 0."),
    (lambda: arithmetic.receptive_field_step(0, 1, 3), "field must be at least 1, got 0."),
    (lambda: arithmetic.receptive_field([(3,)]), "Each layer must be (kernel_size, stride) or (kernel_size, stride, "
     "dilation), got (3,)."),
    (lambda: arithmetic.receptive_field([(3, 0)]), "stride must be at least 1, got 0."),
    (lambda: arithmetic.receptive_field([((3, 3), 1), ((3, 3, 3), 1)]),
     "kernel_size must be one integer or 3 of them, got (3, 3)."),
]  # fmt: skip
WRONG_TYPE = [
    (lambda: SIZE(8, 3, 1.5), "stride must be an integer, got 1.5 (float)."),
    (lambda: SIZE("8", 3), "size must be an integer, got '8' (str). Write 8."),
    (lambda: POOL(8, 3, padding="same"), "padding must be an integer, got 'same' (str)."),
    (lambda: POOL(8, 3, ceil_mode=1), "ceil_mode must be True or False, got 1 (int)."),
    (lambda: arithmetic.conv_parameters(3, 4, 3, bias=1), "bias must be True or False, got 1 (int)."),
    (lambda: arithmetic.linear_parameters(3, 4, bias=None), "bias must be True or False, got None (NoneType)."),
    (lambda: arithmetic.batch_norm_parameters(3, affine=0), "affine must be True or False, got 0 (int)."),
    (lambda: arithmetic.receptive_field([3, 3]), "Each layer must be (kernel_size, stride) or (kernel_size, stride, "
     "dilation), got 3 (int). Write [(3, 1), (3, 1)] for two layers."),
    (lambda: arithmetic.receptive_field(nn.ReLU()),
     "layers must be a list of (kernel_size, stride), got ReLU() (ReLU). For "
     "a net write easyconv.receptive_field(net, input_shape)."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refusals(call, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(("call", "message"), WRONG_TYPE, ids=[message for _, message in WRONG_TYPE])
def test_wrong_types(call, message):
    with pytest.raises(ArgumentTypeError, match=re.escape(message)):
        call()


# --- the page ---------------------------------------------------------------------------------------------------------


def value_of(told, names):
    return int(told.replace(",", "")) if re.fullmatch(r"\d{1,3}(,\d{3})+", told) else eval(told, names)


def test_the_page_tells_the_truth():
    page = (Path(__file__).parents[1] / "docs" / "arithmetic.md").read_text()
    names, checked = {"ec": ec, "torch": torch}, 0
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
        for line in block.splitlines():
            code, mark, told = line.partition("# → ")
            if mark:
                assert eval(code, names) == value_of(told, names), line
                checked += 1
    assert checked > 25
