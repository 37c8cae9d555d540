"""DepthwiseSeparable and InvertedResidual, against torchvision's block and plain torch functions."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torchvision.models.mobilenetv2 import InvertedResidual

from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError


def test_depthwise_separable_is_figure_3():
    block, x = layers.DepthwiseSeparable(5, stride=2), torch.randn(2, 3, 9, 8)
    out = block.eval()(x)
    assert [type(layer).__name__ for layer in block] == ["Conv2d", "BatchNorm2d", "ReLU"] * 2
    scale = (1 + 1e-5) ** 0.5
    y = F.relu(F.conv2d(x, block.depthwise.weight, stride=2, padding=1, groups=3) / scale)
    torch.testing.assert_close(out, F.relu(F.conv2d(y, block.pointwise.weight) / scale))


def test_depthwise_separable_parameters_by_hand():
    block = layers.DepthwiseSeparable(64, kernel_size=5)
    block(torch.zeros(1, 32, 6, 6))
    weights = sum(p.numel() for name, p in block.named_parameters() if "norm" not in name)
    assert weights == 25 * 32 + 32 * 64
    assert sum(p.numel() for p in block.parameters()) == weights + 2 * 32 + 2 * 64


@pytest.mark.parametrize("channels", [4, 6])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("expansion", [1, 3, 6])
def test_inverted_residual_is_torchvisions(channels, stride, expansion):
    ours, x = layers.InvertedResidual(6, stride, expansion=expansion), torch.randn(2, channels, 7, 7)
    early = [*ours.parameters()]
    ours(x)
    assert all(one is two for one, two in zip(early, ours.parameters(), strict=True))
    twin = InvertedResidual(channels, 6, stride, expansion)
    twin.load_state_dict(ours.state_dict(), strict=True)
    torch.testing.assert_close(ours(x), twin(x))
    fresh = layers.InvertedResidual(6, stride, expansion=expansion)
    fresh.load_state_dict(twin.state_dict(), strict=True)
    torch.testing.assert_close(fresh.eval()(x), twin.eval()(x))


def test_the_input_is_not_added_where_a_step_was_taken():
    """A single point keeps its size through a stride of 2; torchvision does not add it, so we do not."""
    ours, x = layers.InvertedResidual(6, 2), torch.randn(2, 6, 1, 1)
    torch.testing.assert_close(ours.eval()(x), ours.conv(x))
    ours = layers.InvertedResidual(6, (1, 1))
    torch.testing.assert_close(ours.eval()(x), x + ours.conv(x))


def test_inverted_residual_ends_linear():
    block = layers.InvertedResidual(8)
    assert isinstance(block.conv[0][2], nn.ReLU6)
    block(torch.randn(2, 4, 5, 5))
    assert [type(layer).__name__ for layer in block.conv] == ["Sequential", "Sequential", "Conv2d", "BatchNorm2d"]
    assert block.conv[0][0].out_channels == block.conv[1][0].groups == 24


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: layers.DepthwiseSeparable(0), ArgumentError, "out_channels must be at least 1, got 0"),
        (lambda: layers.DepthwiseSeparable(8, strides=2), ArgumentTypeError, "it is stride=2"),
        (lambda: layers.DepthwiseSeparable(8, 2, kernel_size=4), ArgumentError, "needs an odd kernel_size, got 4"),
        (lambda: layers.InvertedResidual(8, 0), ArgumentError, "stride must be at least 1, got 0"),
        (lambda: layers.InvertedResidual(8, expansion=0), ArgumentError, "expansion must be at least 1, got 0"),
        (lambda: layers.InvertedResidual(8, expansion=1.5), ArgumentTypeError, "expansion must be an integer, got 1.5"),
        (lambda: layers.InvertedResidual(8, expand_ratio=6), ArgumentTypeError, "which it does not know"),
    ],
)
def test_errors(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()
