"""SqueezeExcite, against torchvision's and against sums done by hand."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError, UnknownNameError


@pytest.mark.parametrize(
    ("channels", "options", "squeezed"),
    [
        (32, {}, 2),
        (35, {"reduction": 4}, 8),
        (3, {}, 1),
        (5, {"squeeze_channels": 7}, 7),
    ],
)
def test_is_torchvisions(channels, options, squeezed):
    ours, x = layers.SqueezeExcite(**options), torch.randn(2, channels, 5, 4)
    ours(x)
    twin = SqueezeExcitation(channels, squeezed)
    twin.load_state_dict(ours.state_dict(), strict=True)
    torch.testing.assert_close(ours(x), twin(x))
    fresh = pickle.loads(pickle.dumps(layers.SqueezeExcite(**options)))
    fresh.load_state_dict(twin.state_dict(), strict=True)
    assert (type(fresh.fc1), type(fresh.fc2)) == (nn.Conv2d, nn.Conv2d)
    assert (fresh.fc2.in_channels, fresh.fc2.out_channels) == (squeezed, channels)
    torch.testing.assert_close(fresh(x), twin(x))


def test_activations_can_be_chosen():
    ours, x = layers.SqueezeExcite(2, activation="silu", gate="hardsigmoid"), torch.randn(2, 8, 3, 3)
    ours(x)
    twin = SqueezeExcitation(8, 4, activation=nn.SiLU, scale_activation=nn.Hardsigmoid)
    twin.load_state_dict(ours.state_dict(), strict=True)
    torch.testing.assert_close(ours(x), twin(x))


def test_the_gate_by_hand():
    """Two channels with means 1 and 3; squeezed to their sum, 4; gates of sigmoid(4 - 4) and sigmoid(0 * 4)."""
    block = layers.SqueezeExcite(2, bias=False)
    x = torch.stack([torch.ones(2, 2), torch.tensor([[2.0, 4.0], [3.0, 3.0]])])[None]
    block(x)
    with torch.no_grad():
        block.fc1.weight.copy_(torch.tensor([[1.0, 1.0]])[..., None, None])
        block.fc2.weight.copy_(torch.tensor([[0.25], [0.0]])[..., None, None])
    gates = torch.tensor([torch.tensor(1.0).sigmoid(), 0.5])
    torch.testing.assert_close(block(x), x * gates[None, :, None, None])


def test_parameters_are_2_c_squared_over_r():
    block = layers.SqueezeExcite(16, bias=False)
    block(torch.zeros(1, 64, 2, 2))
    assert sum(p.numel() for p in block.parameters()) == 2 * 64**2 // 16


def test_an_early_optimizer_holds_its_weights_and_copies_are_their_own():
    block, x = layers.SqueezeExcite(2), torch.randn(2, 8, 3, 3)
    early = [*block.parameters()]
    other = copy.deepcopy(block)
    block(x)
    assert all(one is two for one, two in zip(early, block.parameters(), strict=True))
    other(torch.zeros(1, 6, 2, 2))
    assert (block.fc2.out_channels, other.fc2.out_channels) == (8, 6)


def test_at_the_end_of_a_residual_path():
    net = layers.Residual([layers.Conv2D(8, 3, padding=1), layers.SqueezeExcite(4)])
    x = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(net(x), x + net.main[1](net.main[0](x)))


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: layers.SqueezeExcite(0), ArgumentError, "reduction must be at least 1, got 0"),
        (lambda: layers.SqueezeExcite(0.25), ArgumentTypeError, "reduction must be an integer, got 0.25"),
        (lambda: layers.SqueezeExcite(squeeze_channels=0), ArgumentError, "squeeze_channels must be at least 1, got 0"),
        (lambda: layers.SqueezeExcite(4, squeeze_channels=8), ArgumentError, "Give reduction or squeeze_channels, not"),
        (lambda: layers.SqueezeExcite(64, 4), ArgumentTypeError, "at most 1 positional arguments"),
        (lambda: layers.SqueezeExcite(gate="sigmiod"), UnknownNameError, "Did you mean 'sigmoid'"),
        (lambda: layers.SqueezeExcite(bias=None), ArgumentTypeError, "bias must be True or False, got None"),
    ],
)
def test_errors(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()
