"""ConvBlock: its parts, and the kinds of convolution that it can be made of."""

import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import easyconv as ec
from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError


def count(block):
    return sum(parameter.numel() for parameter in block.parameters())


# --- the parts --------------------------------------------------------------------------------------------------------


def test_is_conv_norm_relu_pool():
    block, x = layers.ConvBlock(4, pool=2, dropout=0.3), torch.randn(2, 3, 8, 8)
    block.eval()(x)
    assert [type(m) for m in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Dropout]
    assert block.conv.bias is None
    conv = F.conv2d(x, block.conv.weight, padding=1)
    torch.testing.assert_close(block(x), F.max_pool2d(F.relu(conv / (1 + 1e-5) ** 0.5), 2))


def test_parts():
    assert layers.ConvBlock(4, norm=None).conv.bias is not None
    assert list(layers.ConvBlock(4, norm=None, activation=None)._modules) == ["conv"]
    before = layers.ConvBlock(4, order="norm activation conv")
    assert list(before._modules) == ["norm", "activation", "conv"]
    assert before.conv.bias is not None
    assert layers.ConvBlock(4, order="conv activation norm").conv.bias is not None
    early = layers.ConvBlock(4, order="conv dropout norm activation pool", dropout=0.1, pool=2, pool_type="avg")
    assert list(early._modules) == ["conv", "dropout", "norm", "activation", "pool"]
    assert isinstance(early.pool, nn.AvgPool2d)
    assert isinstance(layers.ConvBlock(4, norm=lambda: nn.InstanceNorm2d(4)).norm, nn.InstanceNorm2d)
    assert layers.ConvBlock(4, stride=2)(torch.zeros(2, 3, 9, 9)).shape == (2, 4, 5, 5)
    for norm in ("group", "layer", "lrn"):
        assert layers.ConvBlock(32, norm=norm)(torch.zeros(2, 3, 4, 4)).shape == (2, 32, 4, 4)


def test_lrn_has_the_constants_of_alexnet():
    """Section 3.3 of the paper, written out: a / (2 + 1e-4 * sum of the squares of 5 neighbours) ** 0.75."""
    block, x = layers.ConvBlock(7, norm="lrn", activation=None), 20 * torch.randn(2, 3, 4, 4)
    out = block(x)
    a = F.conv2d(x, block.conv.weight, block.conv.bias, padding=1)
    expected = torch.empty_like(a)
    for i in range(7):
        neighbours = a[:, max(0, i - 2) : i + 3]
        expected[:, i] = a[:, i] / (2 + 1e-4 * neighbours.square().sum(1)) ** 0.75
    torch.testing.assert_close(out, expected)
    assert block.conv.bias is not None  # unlike a batch norm, this one does not take the mean away
    assert layers.ConvBlock(7, norm=nn.LocalResponseNorm(3)).conv.bias is not None
    assert layers.ConvBlock(7, norm="LRN", bias=False).conv.bias is None


@pytest.mark.parametrize(
    ("attempt", "match"),
    [
        (lambda: layers.ConvBlock(8, order="conv activation"), "order must name norm once"),
        (lambda: layers.ConvBlock(8, order="conv nrm"), "Did you mean 'norm'"),
        (lambda: layers.ConvBlock(8, pool_type="mean"), "pool_type must be one of"),
        (
            lambda: layers.ConvBlock(8, separable=True, factorized=True),
            "separable=True and factorized=True are two ways to make a convolution; choose one",
        ),
        (
            lambda: layers.ConvBlock(8, separable=True, groups=2),
            "separable=True has a group for each channel already; leave out groups=2",
        ),
        (
            lambda: layers.ConvBlock(8, (3, 1), factorized=True),
            r"factorized=True needs a kernel larger than 1 in both directions, got kernel_size=\(3, 1\)",
        ),
        (lambda: layers.ConvBlock(8, 4, 2, factorized=True), "needs an odd kernel_size, got 4"),
        (lambda: layers.ConvBlock(8, 4, 2, separable=True), "needs an odd kernel_size, got 4"),
        (lambda: layers.ConvBlock(8, factorized=True, groups=3), "groups must divide out_channels"),
    ],
)
def test_values(attempt, match):
    with pytest.raises(ArgumentError, match=match):
        attempt()


@pytest.mark.parametrize(
    ("attempt", "match"),
    [
        (lambda: layers.ConvBlock(8, norm=3), "norm must be a name"),
        (lambda: layers.ConvBlock(8, pool=True), "pool must be the size of a window"),
        (lambda: layers.ConvBlock(8, order=3), "order must be words"),
        (lambda: layers.ConvBlock(8, separable=1), "separable must be True or False, got 1"),
        (lambda: layers.ConvBlock(8, factorized="yes"), "factorized must be True or False, got 'yes'"),
    ],
)
def test_types(attempt, match):
    with pytest.raises(ArgumentTypeError, match=match):
        attempt()


# --- the kinds of convolution -----------------------------------------------------------------------------------------

SHAPES = [
    {"kernel_size": 3},
    {"kernel_size": 5, "stride": 2},
    {"kernel_size": (3, 5), "stride": (1, 2)},
    {"kernel_size": 3, "padding": "valid"},
    {"kernel_size": 3, "padding": 0, "stride": 3},
    {"kernel_size": (5, 3), "padding": (4, 1)},
    {"kernel_size": 3, "dilation": 2},
    {"kernel_size": 3, "dilation": (1, 2), "stride": 2},
    {"kernel_size": 4},
    {"kernel_size": (2, 3), "padding": 1},
]


pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel")


@pytest.mark.parametrize("kind", ["separable", "factorized"])
@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_a_kind_has_the_size_and_the_field_of_the_plain_one(kind, options):
    x = torch.zeros(2, 6, 15, 14)
    plain = layers.ConvBlock(8, **options, norm=None, activation=None)
    made = layers.ConvBlock(8, **options, norm=None, activation=None, **{kind: True})
    assert made(x).shape == plain(x).shape
    assert field(made) == field(plain)


def field(block):
    """Which values of the input reach the first value of the output, found by their gradients."""
    for parameter in block.parameters():
        nn.init.ones_(parameter)
    x = torch.ones(1, 6, 15, 14, requires_grad=True)
    block(x)[0, 0, 2, 2].backward()
    return (x.grad[0].sum(0) != 0).nonzero().tolist()


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_factorized_is_the_plain_one_with_outer_products_for_kernels(options):
    x = torch.randn(2, 3, 15, 14)
    plain = layers.ConvBlock(4, **options, norm=None, activation=None)
    made = layers.ConvBlock(4, **options, norm=None, activation=None, factorized=True)
    plain(x), made(x)
    rows, columns = made.conv
    with torch.no_grad():  # sums over the maps between: o of the output, m between, i of the input
        plain.conv.weight.copy_(torch.einsum("omh,miw->oihw", columns.weight[..., 0], rows.weight[:, :, 0]))
        plain.conv.bias.copy_(columns.bias)
    torch.testing.assert_close(made(x), plain(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_separable_is_the_plain_one_with_one_kernel_for_each_input_channel(options):
    x = torch.randn(2, 3, 15, 14)
    plain = layers.ConvBlock(4, **options, norm=None, activation=None)
    made = layers.ConvBlock(4, **options, norm=None, activation=None, separable=True)
    plain(x), made(x)
    assert [name for name, _ in made.conv.named_children()] == ["depthwise", "pointwise"]
    with torch.no_grad():
        plain.conv.weight.copy_(made.conv.pointwise.weight * made.conv.depthwise.weight[:, 0])
        plain.conv.bias.copy_(made.conv.pointwise.bias)
    torch.testing.assert_close(made(x), plain(x), atol=1e-5, rtol=1e-4)


def test_parameters_by_hand():
    x = torch.zeros(1, 16, 12, 12)

    def weights(**options):
        block = layers.ConvBlock(32, **options)
        block(x)
        return count(block.conv)

    assert weights(separable=True) == 3 * 3 * 16 + 16 * 32
    assert weights(separable=True, bias=True) == 3 * 3 * 16 + 16 * 32 + 32
    assert weights(kernel_size=7, factorized=True) == 7 * 16 * 32 + 7 * 32 * 32
    assert weights(kernel_size=7, factorized=True, norm=None) == 7 * 16 * 32 + 7 * 32 * 32 + 32
    assert weights(kernel_size=(3, 5), factorized=True) == 5 * 16 * 32 + 3 * 32 * 32
    assert weights(factorized=True, groups=4) == (3 * 16 * 32 + 3 * 32 * 32) // 4


def test_factorized_children_are_called_by_their_kernels():
    block = layers.ConvBlock(4, (3, 5), factorized=True)
    assert [name for name, _ in block.conv.named_children()] == ["conv1x5", "conv3x1"]


def test_an_early_optimizer_holds_the_depthwise_weights():
    block, x = layers.ConvBlock(4, separable=True), torch.randn(2, 3, 6, 6)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    block(x)
    depthwise = block.conv.depthwise
    assert type(depthwise) is nn.Conv2d
    assert (depthwise.groups, depthwise.in_channels, depthwise.out_channels) == (3, 3, 3)
    before = depthwise.weight.detach().clone()
    block(x).square().mean().backward()
    optimizer.step()
    assert not torch.equal(depthwise.weight, before)


def test_depthwise_sizes_come_from_a_file_as_well():
    built, x = layers.ConvBlock(4, separable=True), torch.randn(2, 3, 6, 6)
    built(x)
    block = pickle.loads(pickle.dumps(layers.ConvBlock(4, separable=True)))
    block.load_state_dict(built.state_dict())
    assert type(block.conv.depthwise) is nn.Conv2d
    torch.testing.assert_close(block.eval()(x), built.eval()(x))
    plain = layers.ConvBlock(4, norm=None)
    plain(x)
    wrong = {"conv.depthwise.weight": plain.conv.weight.detach(), "conv.pointwise.weight": torch.zeros(4, 3, 1, 1)}
    with pytest.raises(RuntimeError, match=r"conv\.depthwise\.weight \(4, 3, 3, 3\), which does not fit"):
        layers.ConvBlock(4, separable=True, norm=None, bias=False).load_state_dict(wrong)


def test_the_same_seed_gives_the_same_weights_however_the_sizes_came():
    def weights(build):
        torch.manual_seed(3)
        block = ec.Sequential([layers.ConvBlock(4, separable=True)])
        build(block)
        return block.state_dict()["0.conv.depthwise.weight"]

    assert torch.equal(weights(lambda net: net.build((3, 6, 6))), weights(lambda net: net(torch.randn(2, 3, 9, 9))))


@pytest.mark.parametrize("kind", ["separable", "factorized"])
def test_initial_weights_reach_both_convolutions(kind):
    def half(weight):
        weight.fill_(0.5)

    for net in (
        ec.Sequential([layers.ConvBlock(4, **{kind: True})], init=half),
        ec.Sequential([layers.ConvBlock(4, init=half, **{kind: True})]),
    ):
        net.build((3, 8, 8))
        convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
        assert len(convolutions) == 2
        assert all(bool((conv.weight == 0.5).all()) for conv in convolutions)


def test_a_failed_first_pass_leaves_it_unbuilt():
    net = ec.Sequential([layers.ConvBlock(4, separable=True), layers.Flatten(), nn.Linear(4 * 36, 2)])
    with pytest.raises(ec.errors.ShapeError):
        net.build((5, 7, 7))
    net.build((3, 6, 6))
    assert net[0].conv.depthwise.groups == 3
