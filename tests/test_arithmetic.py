import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from easyconv import arithmetic
from easyconv.errors import ArgumentError, ArgumentTypeError

small = st.integers(1, 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), small, small, st.integers(0, 3), small)
def test_conv_output_size_is_torch(size, kernel, stride, padding, dilation):
    assume(size + 2 * padding >= dilation * (kernel - 1) + 1)
    net = nn.Conv1d(1, 1, kernel, stride, padding, dilation)
    expected = net(torch.zeros(1, 1, size)).shape[-1]
    assert arithmetic.conv_output_size(size, kernel, stride, padding=padding, dilation=dilation) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), small, small, st.integers(0, 2), st.booleans())
def test_pool_output_size_is_torch(size, kernel, stride, padding, ceil_mode):
    assume(size + 2 * padding >= kernel and padding <= kernel // 2)
    expected = nn.MaxPool1d(kernel, stride, padding, ceil_mode=ceil_mode)(torch.zeros(1, 1, size)).shape[-1]
    assert arithmetic.conv_output_size(size, kernel, stride, padding=padding, ceil_mode=ceil_mode) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), small, st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), small)
def test_conv_transpose_output_size_is_torch(size, kernel, stride, padding, extra, dilation):
    assume(extra < max(stride, dilation))
    assume((size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1 >= 1)
    net = nn.ConvTranspose1d(1, 1, kernel, stride, padding, extra, dilation=dilation)
    got = arithmetic.conv_transpose_output_size(
        size, kernel, stride, padding=padding, output_padding=extra, dilation=dilation
    )
    assert got == net(torch.zeros(1, 1, size)).shape[-1]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_parameters_are_torch(bias, groups):
    conv = nn.Conv2d(4, 6, (3, 5), groups=groups, bias=bias)
    transposed = nn.ConvTranspose2d(4, 6, (3, 5), groups=groups, bias=bias)
    linear = nn.Linear(7, 3, bias=bias)
    expected = arithmetic.conv_parameters(4, 6, (3, 5), groups=groups, bias=bias)
    assert sum(p.numel() for p in conv.parameters()) == expected
    assert sum(p.numel() for p in transposed.parameters()) == expected
    assert sum(p.numel() for p in linear.parameters()) == arithmetic.linear_parameters(7, 3, bias=bias)


def test_multiply_adds_by_hand():
    assert arithmetic.conv_multiply_adds(192, 32, (5, 5), output_size=(28, 28)) == 28 * 28 * 32 * 5 * 5 * 192
    assert arithmetic.conv_multiply_adds(8, 8, (3,), output_size=(10,), groups=8) == 10 * 8 * 3
    assert arithmetic.linear_multiply_adds(6, 4, positions=5) == 120
    assert arithmetic.conv_transpose_multiply_adds(8, 4, (2, 2), input_size=(7, 7), groups=4) == 7 * 7 * 8 * 4


def test_receptive_field_counts_dilation_and_jump():
    assert arithmetic.receptive_field_step(3, 2, 3, stride=2, dilation=4) == (3 + 2 * 4 * 2, 4)


def test_refusals():
    with pytest.raises(ArgumentError, match="spans 5 does not fit into 3 pixels"):
        arithmetic.conv_output_size(3, 3, dilation=2)
    with pytest.raises(ArgumentError, match="kernel_size must be at least 1, got 0"):
        arithmetic.receptive_field_step(1, 1, 0)
    with pytest.raises(ArgumentTypeError, match=r"stride must be an integer, got 1\.5"):
        arithmetic.conv_output_size(8, 3, 1.5)
    with pytest.raises(ArgumentError, match="Nothing is left: the output size would be -1"):
        arithmetic.conv_transpose_output_size(1, 1, padding=1)
    with pytest.raises(ArgumentError, match="3 channels do not go into 2 groups"):
        arithmetic.conv_multiply_adds(3, 4, (1, 1), output_size=(1, 1), groups=2)
    with pytest.raises(ArgumentError, match="5 channels do not go into 2 groups"):
        arithmetic.conv_transpose_multiply_adds(4, 5, (1, 1), input_size=(1, 1), groups=2)
