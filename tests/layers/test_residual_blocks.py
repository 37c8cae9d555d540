import copy
import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError, ShapeError, UnknownNameError
from easyconv.layers.initializers import initialize
from easyconv.layers.lazy import is_built
from easyconv.layers.shortcut import PaddedIdentity
from easyconv.saving import load_weights, save_weights
from easyconv.tracing import observe


def residual(channels, stride, shortcut):
    return layers.Residual(layers.Conv2D(channels, 3, stride=stride, padding="same"), shortcut=shortcut)


def blocks(shortcut, channels=6, stride=2):
    """Every block that gives ``channels`` channels."""
    return [
        residual(channels, stride, shortcut),
        layers.BasicBlock(channels, stride, shortcut=shortcut),
        layers.Bottleneck(channels // 2, stride, expansion=2, shortcut=shortcut),
        layers.PreActBlock(channels, stride, shortcut=shortcut),
        layers.ResidualUnit(channels, stride, option=shortcut),
    ]


def around(block):
    return block.downsample if hasattr(block, "downsample") else block.shortcut


# --- options A, B and C -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(5))
class TestOptions:
    @pytest.mark.parametrize("option", ["A", "B"])
    def test_a_and_b_leave_what_has_the_shape_alone(self, place, option):
        block = blocks(option, channels=4, stride=1)[place]
        block(torch.zeros(2, 4, 5, 5))
        assert type(around(block)) is nn.Identity

    def test_a_pads_where_the_shape_changes(self, place):
        block = blocks("A")[place]
        assert block(torch.zeros(2, 4, 7, 8)).shape == (2, 6, 4, 4)
        assert type(around(block)) is PaddedIdentity
        assert not list(around(block).parameters())

    def test_b_projects_where_the_shape_changes(self, place):
        block = blocks("B")[place]
        block(torch.zeros(2, 4, 7, 8))
        conv = around(block)[0]
        assert conv.weight.shape == (6, 4, 1, 1)
        assert (conv.stride, conv.bias) == ((2, 2), None)

    def test_c_projects_everywhere(self, place):
        block = blocks("C", channels=4, stride=1)[place]
        block(torch.zeros(2, 4, 5, 5))
        assert type(around(block)[0]) is nn.Conv2d

    @pytest.mark.parametrize("option", ["A", "B", "C"])
    @pytest.mark.parametrize(("channels", "stride"), [(6, 2), (4, 1)])
    def test_a_block_that_is_not_built_loads_and_copies(self, place, option, channels, stride, tmp_path):
        block, fresh, other = (blocks(option, channels, stride)[place] for _ in range(3))
        x = torch.randn(2, 4, 6, 6)
        block(x)
        copied = copy.deepcopy(fresh)
        copied.load_state_dict(block.state_dict(), strict=True)
        torch.testing.assert_close(copied.eval()(x), block.eval()(x))
        net, others = nn.Sequential(nn.ReLU(), block), nn.Sequential(nn.ReLU(), other)
        save_weights(net, tmp_path / "w.pt")
        load_weights(others, tmp_path / "w.pt")
        torch.testing.assert_close(others.eval()(x), net.eval()(x))
        assert is_built(others)

    def test_initial_weights_reach_the_projection(self, place):
        for built_first in (False, True):
            block = blocks("B")[place]
            if built_first:
                block(torch.zeros(2, 4, 6, 6))
            initialize(block, nn.init.ones_)
            block(torch.zeros(2, 4, 6, 6))
            assert (around(block)[0].weight == 1).all()

    def test_a_single_place_still_has_the_stride(self, place):
        for option in ("A", "B"):
            block = blocks(option)[place].eval()
            block(torch.zeros(2, 4, 1, 1))
            if place == 0:  # Residual knows the stride from the shapes only
                with pytest.raises(ShapeError, match=r"main: \(2, 6, 3, 3\), shortcut: \(2, 6, 5, 5\)"):
                    block(torch.zeros(2, 4, 5, 5))
            else:
                assert block(torch.zeros(2, 4, 5, 5)).shape == (2, 6, 3, 3)


def test_auto_is_b_and_conv_is_c():
    x = torch.zeros(2, 4, 5, 5)
    for one, two in (("auto", "B"), ("conv", "C")):
        for channels in (4, 6):
            first, second = residual(channels, 1, one), residual(channels, 1, two)
            first(x), second(x)
            assert repr(first) == repr(second)


def test_padding_skips_places_and_adds_zeros():
    x = torch.arange(1.0, 13.0).reshape(1, 1, 3, 4)
    block = [layers.Conv2D(3, 3, stride=2, padding=1), layers.Activation(torch.zeros_like)]
    block = layers.Residual(block, shortcut="A")
    expected = torch.tensor([[[1.0, 3.0], [9.0, 11.0]], [[0.0, 0.0]] * 2, [[0.0, 0.0]] * 2])
    assert torch.equal(block(x), expected[None])


@settings(max_examples=20, deadline=None)
@given(stride=st.integers(1, 4), size=st.integers(1, 12), more=st.integers(0, 3), kernel=st.sampled_from([1, 3, 5]))
def test_padding_has_the_shape_of_a_padded_convolution(stride, size, more, kernel):
    x = torch.randn(1, 2, size, size + 1)
    wanted = F.conv2d(x, torch.zeros(2 + more, 2, kernel, kernel), stride=stride, padding=kernel // 2)
    padded = PaddedIdentity(2 + more, (stride, stride))(x)
    assert padded.shape == wanted.shape
    assert torch.equal(padded[:, :2], F.max_pool2d(x, 1, stride))
    assert not padded[:, 2:].any()


@pytest.mark.parametrize(("make", "shape"), [(layers.Conv1D, (2, 3, 9)), (layers.Conv3D, (2, 3, 5, 6, 7))])
def test_padding_of_other_dimensions(make, shape):
    x = torch.randn(shape)
    block = layers.Residual(make(5, 3, stride=2, padding=1), shortcut="A")
    torch.testing.assert_close(block(x)[:, 3:], block.main(x)[:, 3:])
    steps = (slice(None), slice(None)) + (slice(None, None, 2),) * (len(shape) - 2)
    torch.testing.assert_close(block(x)[:, :3], block.main(x)[:, :3] + x[steps])


def test_padding_of_features():
    x = torch.randn(2, 3)
    block = layers.Residual(layers.Dense(5), shortcut="A")
    torch.testing.assert_close(block(x) - block.main(x), F.pad(x, (0, 2)))


def test_the_receptive_field_follows_the_padding():
    block, x = layers.Residual(layers.Conv2D(4, 3, 2, padding=1), shortcut="A"), torch.zeros(1, 2, 8, 8)
    block(x)
    seen = observe(block, x)
    way, whole = (seen[id(module)][0].trace for module in (block.shortcut, block))
    assert (way.size, way.jump) == ((1, 1), (2, 2))
    assert (whole.size, whole.jump) == ((3, 3), (2, 2))


@pytest.mark.parametrize("shape", [(1, 8, 8, 8), (1, 3, 9, 9)])
def test_padding_that_cannot_fit(shape):
    main = layers.Conv2D(4, 3) if shape[1] == 3 else layers.Conv2D(4, 3, padding=1)
    with pytest.raises(ShapeError, match=r'shortcut="A" of Residual skips places .*input: .*main: .*shortcut="B"'):
        layers.Residual(main, shortcut="A")(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 5, 8, 8), (1, 4, 8)])
def test_padding_of_an_input_that_does_not_fit(shape):
    with pytest.raises(ShapeError, match=r"shape \(N, C, D1, D2\) with at most 4 channels, got \(1, "):
        PaddedIdentity(4, (2, 2))(torch.zeros(shape))


def test_the_failing_block_is_named():
    with pytest.raises(ShapeError, match=r"BasicBlock needs a main path and .* main: \(1, 4, 5, 5\), shortcut: \(1, 3"):
        layers.BasicBlock(4, shortcut="identity")(torch.zeros(1, 3, 5, 5))
    with pytest.raises(ShapeError, match=r'shortcut="A" of Bottleneck'):
        layers.Bottleneck(1, shortcut="A")(torch.zeros(1, 8, 5, 5))


# --- the blocks of the nets -------------------------------------------------------------------------------------------


def same_as(ours, theirs, x):
    """Both directions of loading, the outputs of both modes, and the gradients."""
    theirs.load_state_dict(ours.state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x))
    ours.train()(x).square().sum().backward()
    theirs.train()(x).square().sum().backward()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def downsample(channels, out, stride):
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (3, 1), (4, 2)])
def test_blocks_are_torchvisions(channels, stride):
    x = torch.randn(3, channels, 7, 7)
    projects = stride > 1 or channels != 4
    ours = layers.BasicBlock(4, stride)
    ours(x)
    down = downsample(channels, 4, stride) if projects else None
    same_as(ours, torchvision.models.resnet.BasicBlock(channels, 4, stride, down), x)

    x = torch.randn(3, 4 * channels, 7, 7)
    ours = layers.Bottleneck(4, stride)
    ours(x)
    down = downsample(4 * channels, 16, stride) if projects else None
    same_as(ours, torchvision.models.resnet.Bottleneck(4 * channels, 4, stride, down), x)


def test_the_papers_bottleneck_steps_in_the_first_convolution():
    x = torch.randn(2, 8, 6, 6)
    block = layers.Bottleneck(2, 2, stride_at="1x1").eval()
    assert block(x).shape == (2, 8, 3, 3)
    assert [block.conv1.stride, block.conv2.stride, block.conv3.stride] == [(2, 2), (1, 1), (1, 1)]
    # A 1x1 convolution that steps does not see the places between: they make no difference.
    between = torch.zeros_like(x)
    between[:, :, 1::2] = between[:, :, :, 1::2] = 1
    torch.testing.assert_close(block(x + between), block(x))
    later = layers.Bottleneck(2, 2).eval()
    later(x)
    assert not torch.allclose(later(x + between), later(x))


@pytest.mark.parametrize("option", ["A", "B", "C", "same"])
def test_preact_block_by_hand(option):
    channels, stride = (4, 1) if option == "same" else (3, 2)
    block = layers.PreActBlock(4, stride, shortcut="B" if option == "same" else option)
    x = torch.randn(3, channels, 6, 6)
    out = block(x)
    active = F.relu(F.batch_norm(x, None, None, training=True))
    y = F.conv2d(active, block.conv1.weight, stride=stride, padding=1)
    y = F.conv2d(F.relu(F.batch_norm(y, None, None, training=True)), block.conv2.weight, padding=1)
    if option == "same":
        way = x
    elif option == "A":
        way = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 1))
    else:  # the projection shares norm and ReLU with the path, and has no norm of its own
        way = F.conv2d(active, block.downsample[0].weight, stride=2)
        assert len(block.downsample) == 1
    torch.testing.assert_close(out, y + way)


def test_the_first_preact_block_of_a_net_has_its_norm_before_it():
    block, x = layers.PreActBlock(4, preactivate=False), torch.randn(3, 4, 6, 6)
    out = block(x)
    active = F.relu(F.batch_norm(F.conv2d(x, block.conv1.weight, padding=1), None, None, training=True))
    torch.testing.assert_close(out, F.conv2d(active, block.conv2.weight, padding=1) + x)
    assert not any(key.startswith("bn1") for key in block.state_dict())


@pytest.mark.parametrize("make", [layers.BasicBlock, layers.Bottleneck])
def test_a_scale_of_zero_makes_the_block_its_shortcut(make):
    x = torch.randn(2, 8, 5, 5).relu()
    block = make(8, zero_init_residual=True) if make is layers.BasicBlock else make(2, zero_init_residual=True)
    torch.testing.assert_close(block(x), x)
    x = torch.randn(2, 3, 5, 5)
    plain = make(8)
    plain(x)
    assert not any((bn.weight == 0).any() for bn in plain.modules() if isinstance(bn, nn.BatchNorm2d))


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: layers.BasicBlock(0), ArgumentError, "out_channels must be at least 1, got 0"),
        (lambda: layers.BasicBlock(4, stride=0), ArgumentError, "stride must be at least 1, got 0"),
        (lambda: layers.BasicBlock(4, shortcut="D"), UnknownNameError, "no shortcut called 'D'"),
        (lambda: layers.BasicBlock(4, shortcut=3), ArgumentTypeError, "shortcut must be a module"),
        (lambda: layers.BasicBlock(4, zero_init_residual=1), ArgumentTypeError, "zero_init_residual must be True or"),
        (lambda: layers.BasicBlock(4, strides=2), ArgumentTypeError, "it is stride=2"),
        (lambda: layers.BasicBlock(64, 64, 1), ArgumentTypeError, "at most 2 positional arguments"),
        (lambda: layers.Bottleneck(0), ArgumentError, "channels must be at least 1, got 0"),
        (lambda: layers.Bottleneck(4, expansion=0), ArgumentError, "expansion must be at least 1, got 0"),
        (lambda: layers.Bottleneck(4, stride_at="2x2"), ArgumentError, "stride_at must be one of '3x3', '1x1'"),
        (lambda: layers.PreActBlock(4, preactivate=None), ArgumentTypeError, "preactivate must be True or False"),
        (lambda: layers.ResidualUnit(4, activation="ful_preactivation"), ArgumentError, "mean 'full_preactivation'"),
        (lambda: layers.ResidualUnit(4, shortcut="B"), ArgumentError, "shortcut must be one of 'identity', 'constant_"),
        (lambda: layers.ResidualUnit(4, option="D"), UnknownNameError, "no shortcut called 'D'"),
        (lambda: layers.ResidualUnit(4, scale="half"), ArgumentTypeError, "scale must be a number"),
        (lambda: layers.ResidualUnit(4, residual_scale=None), ArgumentTypeError, "residual_scale must be a number"),
        (lambda: layers.ResidualUnit(4, gate_bias=math.inf), ArgumentError, "gate_bias must be finite"),
        (lambda: layers.ResidualUnit(4, dropout=1.0), ArgumentError, "dropout must be at least 0 and less than 1"),
    ],
)
def test_errors(attempt, error, match):
    with pytest.raises(error, match=match):
        attempt()


# --- Identity Mappings in Deep Residual Networks ----------------------------------------------------------------------


def by_hand(**variant):
    """A unit with conv1: v, the first norm: 1 - v, conv2: 3 v, the second norm: 2 v - 2; each place stands alone."""
    unit = layers.ResidualUnit(1, **variant)
    unit(torch.zeros(1, 1, 1, 2))
    unit.eval()
    with torch.no_grad():
        for conv, factor in ((unit.main.conv1, 1.0), (unit.main.conv2, 3.0)):
            conv.weight.zero_()
            conv.weight[0, 0, 1, 1] = factor
        norms = [m for part in (unit.main, unit.after) for m in part if isinstance(m, nn.BatchNorm2d)]
        for norm, scale, shift in zip(norms, (-1.0, 2.0), (1.0, -2.0), strict=True):
            norm_is(norm, scale, shift)
    return unit


def norm_is(norm, scale, shift):
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(scale)
    norm.bias.fill_(shift)


def out_of(unit, x=(-2.0, 1.0)):
    return unit(torch.tensor(x).view(1, 1, 1, -1)).flatten().tolist()


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        # conv -2 1, norm 3 0, ReLU 3 0, conv 9 0, norm 16 -2; plus -2 1: 14 -1; ReLU
        ("original", [14, 0]),
        # ... conv 9 0; plus -2 1: 7 1; norm 12 0; ReLU
        ("bn_after_addition", [12, 0]),
        # ... norm 16 -2, ReLU 16 0; plus -2 1
        ("relu_before_addition", [14, 1]),
        # ReLU 0 1, conv 0 1, norm 1 0, ReLU 1 0, conv 3 0, norm 4 -2; plus -2 1
        ("relu_only_preactivation", [2, -1]),
        # norm 3 0, ReLU 3 0, conv 3 0, norm 4 -2, ReLU 4 0, conv 12 0; plus -2 1
        ("full_preactivation", [10, 1]),
    ],
)
def test_activations_of_figure_4(activation, expected):
    assert out_of(by_hand(activation=activation)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        # with ReLU before the addition the path gives 16 0 for -2 1, and nothing follows
        ({"shortcut": "identity"}, [14, 1]),
        ({"shortcut": "constant_scaling"}, [7, 0.5]),
        ({"shortcut": "constant_scaling", "residual_scale": 1.0}, [15, 0.5]),
        ({"shortcut": "constant_scaling", "scale": 0.25, "residual_scale": 0.75}, [11.5, 0.25]),
        ({"shortcut": "dropout"}, [14, 1]),
    ],
)
def test_shortcuts_of_figure_2(variant, expected):
    assert out_of(by_hand(activation="relu_before_addition", **variant)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("shortcut", "expected"),
    [
        # W = log 3 and b = 0: g = 1 / (1 + 9) = 0.1 for -2, and 3 / 4 for 1
        ("exclusive_gating", [0.9 * -2 + 0.1 * 16, 0.25 * 1 + 0.75 * 0]),
        ("shortcut_only_gating", [0.9 * -2 + 16, 0.25 * 1 + 0]),
    ],
)
def test_gates(shortcut, expected):
    unit = by_hand(activation="relu_before_addition", shortcut=shortcut, gate_bias=0.0)
    with torch.no_grad():
        unit.join.gate.weight.fill_(math.log(3))
    assert out_of(unit) == pytest.approx(expected, abs=1e-4)


def test_gates_start_almost_closed_whatever_draws_the_weights():
    unit = layers.ResidualUnit(2, shortcut="exclusive_gating")
    initialize(unit, nn.init.ones_)
    unit(torch.zeros(2, 2, 4, 4))
    assert unit.join.bias.tolist() == [-6.0, -6.0]
    assert (unit.join.gate.weight == 1).all()
    x, y = torch.zeros(1, 2, 1, 1), torch.ones(1, 2, 1, 1)
    assert unit.join(x, y).flatten().tolist() == pytest.approx([1 / (1 + math.exp(6))] * 2)
    assert layers.ResidualUnit(1, shortcut="shortcut_only_gating", gate_bias=-3.0).join.bias.item() == -3.0


def test_the_convolution_shortcut_has_a_norm():
    unit = by_hand(activation="relu_before_addition", shortcut="conv")
    with torch.no_grad():
        unit.shortcut[0].weight.fill_(2.0)
        norm_is(unit.shortcut[1], 1.0, 1.0)
    assert out_of(unit) == pytest.approx([16 + 2 * -2 + 1, 0 + 2 * 1 + 1], abs=1e-4)


def test_dropout_drops_the_way_around_and_not_the_path():
    torch.manual_seed(0)
    join = layers.ResidualUnit(1, shortcut="dropout").join.train()
    x, y = torch.ones(1, 1, 50, 50), torch.full((1, 1, 50, 50), 5.0)
    out = join(x, y)
    assert set(out.unique().tolist()) == {5.0, 7.0}
    assert (out == 5).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(layers.ResidualUnit(1, shortcut="dropout", dropout=0.0).join.train()(x, y), x + y)


@pytest.mark.parametrize(
    "shortcut", ["identity", "constant_scaling", "exclusive_gating", "shortcut_only_gating", "conv", "dropout"]
)
@pytest.mark.parametrize(
    "activation",
    [
        "original",
        "bn_after_addition",
        "relu_before_addition",
        "relu_only_preactivation",
        "full_preactivation",
    ],
)
def test_every_unit_learns_and_grows(activation, shortcut):
    unit = layers.ResidualUnit(6, 2, activation=activation, shortcut=shortcut)
    out = unit(torch.randn(4, 4, 7, 7))
    assert out.shape == (4, 6, 4, 4)
    out.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in unit.parameters())
    assert {type(m) for m in unit.main} == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU}


def test_the_original_unit_is_a_basic_block():
    x = torch.randn(3, 4, 7, 7)
    unit, block = layers.ResidualUnit(6, 2, option="B"), layers.BasicBlock(6, 2)
    unit(x), block(x)
    names = ("main.conv1", "main.bn1", "main.conv2", "main.bn2", "shortcut.0", "shortcut.1")
    twins = ("conv1", "bn1", "conv2", "bn2", "downsample.0", "downsample.1")
    for name, twin in zip(names, twins, strict=True):
        block.get_submodule(twin).load_state_dict(unit.get_submodule(name).state_dict())
    torch.testing.assert_close(unit(x), block(x))


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize(("size", "pools"), [(7, 1), (5, 1), (14, 2), (15, 2)])
def test_a_way_around_never_looks_at_other_places_than_the_path(shortcut, size, pools):
    main = [layers.Conv2D(4, 3, padding="same"), *(layers.MaxPool2D(2) for _ in range(pools))]
    with pytest.raises(ShapeError, match=r"ceil_mode=True"):
        layers.Residual(main, shortcut=shortcut)(torch.zeros(1, 3, size, size))
    rounded_up = [layers.Conv2D(4, 3, padding="same"), *(layers.MaxPool2D(2, ceil_mode=True) for _ in range(pools))]
    assert layers.Residual(rounded_up, shortcut=shortcut)(torch.zeros(1, 3, size, size)).shape[2] == -(
        -size // 2**pools
    )


def test_a_second_layer_is_no_shortcut():
    with pytest.raises(ArgumentTypeError, match=r"Residual\(\) takes at most 1 positional arguments \(main\), got 2"):
        layers.Residual(layers.Conv2D(3, 3, padding="same"), layers.BatchNorm())


def test_a_block_that_was_loaded_before_its_first_input_can_be_drawn_anew():
    built, fresh = layers.BasicBlock(8, 2), layers.BasicBlock(8, 2)
    built(torch.zeros(1, 4, 8, 8))
    fresh.load_state_dict(built.state_dict())
    initialize(fresh, "he")
    assert fresh(torch.zeros(1, 4, 8, 8)).shape == (1, 8, 4, 4)


def test_a_state_without_a_projection_does_not_fit_a_block_that_steps():
    padded = layers.BasicBlock(8, 2, shortcut="A")
    padded(torch.zeros(1, 4, 8, 8))
    with pytest.raises(RuntimeError, match=r"Missing key.*downsample"):
        layers.BasicBlock(8, 2).load_state_dict(padded.state_dict())
