"""DenseBlock and Transition, against torchvision's parts and against sums done by hand."""

import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torchvision.models import densenet as theirs

from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError


def test_dense_block_is_torchvisions():
    ours, x = layers.DenseBlock(3, 5, bottleneck=2), torch.randn(2, 7, 6, 6)
    ours(x)
    twin = theirs._DenseBlock(num_layers=3, num_input_features=7, bn_size=2, growth_rate=5, drop_rate=0.0)
    twin.load_state_dict(ours.state_dict(), strict=True)
    torch.testing.assert_close(ours(x), twin(x))
    fresh = layers.DenseBlock(3, 5, bottleneck=2)
    fresh.load_state_dict(twin.state_dict(), strict=True)
    torch.testing.assert_close(fresh.eval()(x), twin.eval()(x))


def test_transition_is_torchvisions():
    ours, x = layers.Transition(), torch.randn(2, 7, 6, 6)
    ours(x)
    twin = theirs._Transition(7, 3)
    twin.load_state_dict(ours.state_dict(), strict=True)
    torch.testing.assert_close(ours(x), twin(x))


def test_each_layer_sees_all_that_came_before():
    """Equation 2 of the paper: x_l = H_l([x_0, ..., x_(l-1)]), and the block's output holds all of them."""
    block, x = layers.DenseBlock(3, 2), torch.randn(1, 4, 5, 5)
    out = block.eval()(x)
    assert out.shape == (1, 4 + 3 * 2, 5, 5)
    assert torch.equal(out[:, :4], x)
    for number, layer in enumerate(block.children()):
        before = 4 + number * 2
        torch.testing.assert_close(out[:, before : before + 2], layer(out[:, :before]))


def test_parameters_by_hand():
    block, k = layers.DenseBlock(2, 8), 8
    block(torch.zeros(1, 16, 4, 4))
    hand = sum(2 * c + c * 4 * k + 2 * 4 * k + 9 * 4 * k * k for c in (16, 16 + k))
    assert sum(p.numel() for p in block.parameters()) == hand
    plain = layers.DenseBlock(2, 8, bottleneck=None)
    plain(torch.zeros(1, 16, 4, 4))
    assert sum(p.numel() for p in plain.parameters()) == sum(2 * c + 9 * c * k for c in (16, 16 + k))
    assert [name for name, _ in plain.denselayer1.named_children()] == ["norm1", "relu1", "conv1"]


def test_dropout_stands_at_the_end_of_each_layer():
    torch.manual_seed(0)
    block, x = layers.DenseBlock(2, 50, dropout=0.5), torch.randn(1, 4, 10, 10)
    assert [type(layer[-1]) for layer in block.children()] == [nn.Dropout, nn.Dropout]
    out = block(x)
    assert torch.equal(out[:, :4], x)
    zeros = (out[:, 4:] == 0).float().mean((0, 2, 3))
    assert 0.4 < float(zeros[:50].mean()) < 0.6
    assert 0.4 < float(zeros[50:].mean()) < 0.6
    assert set(block.state_dict()) == set(layers.DenseBlock(2, 50).state_dict())


@pytest.mark.parametrize(
    ("transition", "channels", "width"),
    [
        (lambda: layers.Transition(), 256, 128),
        (lambda: layers.Transition(), 7, 3),
        (lambda: layers.Transition(), 1, 1),
        (lambda: layers.Transition(1), 12, 12),
        (lambda: layers.Transition(0.29), 100, 29),
        (lambda: layers.Transition(out_channels=5), 12, 5),
    ],
)
def test_width_of_a_transition(transition, channels, width):
    made, x = transition(), torch.randn(2, channels, 6, 4)
    out = made.eval()(x)
    assert out.shape == (2, width, 3, 2)
    assert type(made.conv) is nn.Conv2d
    assert (made.conv.in_channels, made.conv.out_channels) == (channels, width)
    by_hand = F.avg_pool2d(F.conv2d(F.relu(x / (1 + 1e-5) ** 0.5), made.conv.weight), 2)
    torch.testing.assert_close(out, by_hand)


def test_the_weights_of_a_transition_are_there_before_its_width():
    made, x = layers.Transition(), torch.randn(4, 6, 4, 4)
    weight = made.conv.weight
    optimizer = torch.optim.Adam(made.parameters())
    made(x)
    assert made.conv.weight is weight
    assert any(parameter is weight for parameter in optimizer.param_groups[0]["params"])
    assert "_width" not in vars(made.conv)
    twin = pickle.loads(pickle.dumps(layers.Transition()))
    twin.load_state_dict(made.state_dict(), strict=True)
    torch.testing.assert_close(twin.eval()(x), made.eval()(x))


def test_a_file_of_another_share_is_refused():
    made = layers.Transition(0.25)
    made(torch.zeros(2, 8, 4, 4))
    with pytest.raises(RuntimeError, match=r"conv\.weight \(2, 8, 1, 1\), which does not fit"):
        layers.Transition().load_state_dict(made.state_dict())


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: layers.DenseBlock(), ArgumentTypeError, r"needs num_layers: write DenseBlock\(num_layers=\.\.\.\)"),
        (lambda: layers.DenseBlock(0), ArgumentError, "num_layers must be at least 1, got 0"),
        (lambda: layers.DenseBlock(2, 0), ArgumentError, "growth_rate must be at least 1, got 0"),
        (lambda: layers.DenseBlock(2, bottleneck=0), ArgumentError, "bottleneck must be at least 1, got 0"),
        (lambda: layers.DenseBlock(2, dropout=1), ArgumentError, "dropout must be at least 0 and less than 1, got 1"),
        (lambda: layers.DenseBlock(2, rate=0.2), ArgumentTypeError, "it is dropout=0.2"),
        (lambda: layers.Transition(0), ArgumentError, "reduction must be more than 0 and at most 1, got 0"),
        (lambda: layers.Transition(64), ArgumentError, "reduction must be more than 0 and at most 1, got 64"),
        (lambda: layers.Transition(0.5, out_channels=8), ArgumentError, "Give reduction or out_channels, not both"),
        (lambda: layers.Transition(out_channels=0), ArgumentError, "out_channels must be at least 1, got 0"),
    ],
)
def test_errors(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()
