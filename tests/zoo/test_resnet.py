import functools

import pytest
import torch
import torchvision
from torch import nn

import easyconv as ec
from easyconv import zoo
from easyconv.errors import ArgumentError, ArgumentTypeError, UnknownNameError

# Blocks in conv2_x to conv5_x (table 1), and the number of parameters.
NETS = {
    "resnet18": ((2, 2, 2, 2), 11_689_512),
    "resnet34": ((3, 4, 6, 3), 21_797_672),
    "resnet50": ((3, 4, 6, 3), 25_557_032),
    "resnet101": ((3, 4, 23, 3), 44_549_160),
    "resnet152": ((3, 8, 36, 3), 60_192_808),
}
WIDE = ("resnet50", "resnet101", "resnet152")


@functools.cache
def on_meta(name, *args, **options):
    with torch.device("meta"):
        return getattr(zoo, name)(*args, **options)


def shapes(net, x):
    """Shape of one sample after each of the net's own layers."""
    found = {}
    handles = [
        layer.register_forward_hook(lambda module, args, out, name=name: found.__setitem__(name, tuple(out.shape[1:])))
        for name, layer in net.named_children()
    ]
    net.eval()(x)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("name", NETS)
class TestEveryNet:
    def test_is_table_1(self, name):
        depths, count = NETS[name]
        net = on_meta(name)
        assert net.name == name
        assert net.count_params() == count
        assert tuple(len(net.get_layer(f"layer{stage}")) for stage in (1, 2, 3, 4)) == depths
        # "x layers" of the title: convolutions and dense layers, but the projections of the shortcuts
        weighted = [n for n, m in net.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "down" not in n]
        assert len(weighted) == int(name.removeprefix("resnet"))

    def test_has_the_shapes_of_table_1(self, name):
        wider = 4 if name in WIDE else 1
        assert shapes(on_meta(name), torch.zeros(1, 3, 224, 224, device="meta")) == {
            "conv1": (64, 112, 112),
            "bn1": (64, 112, 112),
            "relu": (64, 112, 112),
            "maxpool": (64, 56, 56),
            "layer1": (64 * wider, 56, 56),
            "layer2": (128 * wider, 28, 28),
            "layer3": (256 * wider, 14, 14),
            "layer4": (512 * wider, 7, 7),
            "avgpool": (512 * wider, 1, 1),
            "flatten": (512 * wider,),
            "fc": (1000,),
        }

    def test_has_torchvisions_keys(self, name):
        with torch.device("meta"):
            theirs = getattr(torchvision.models, name)().state_dict()
        ours = on_meta(name).state_dict()
        assert [(key, value.shape) for key, value in ours.items()] == [(k, v.shape) for k, v in theirs.items()]


def test_kernels_of_the_blocks():
    block = on_meta("resnet50").get_layer("layer2.0")
    assert [block.conv1.kernel_size, block.conv2.kernel_size, block.conv3.kernel_size] == [(1, 1), (3, 3), (1, 1)]
    assert block.conv2.stride == (2, 2)
    papers = on_meta("resnet50", stride_at="1x1")
    assert papers.get_layer("layer2.0").conv1.stride == (2, 2)
    assert papers.count_params() == 25_557_032


@pytest.mark.parametrize("name", ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_twin_of_torchvision(name):
    torch.manual_seed(0)
    ours, theirs = getattr(zoo, name)(num_classes=7), getattr(torchvision.models, name)(num_classes=7)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for norm in (m for m in theirs.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.normal_(std=0.1)
            norm.weight.uniform_(0.3, 0.7)  # keeps the answers near 1, so that 1e-5 means something
        ours.load_state_dict(theirs.state_dict(), strict=True)
        assert (ours.eval()(x) - theirs.eval()(x)).abs().max() <= 1e-5
        with torch.device("meta"):
            again = getattr(torchvision.models, name)(num_classes=7)
        again.load_state_dict(ours.state_dict(), strict=True, assign=True)
        assert (again.eval()(x) - theirs(x)).abs().max() <= 1e-5
    for net in (ours, theirs):
        nn.functional.cross_entropy(net.train()(x), torch.tensor([1, 5])).backward()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[key])


@pytest.mark.parametrize("size", [28, 32])
def test_small_keeps_the_size_until_layer2(size):
    net = on_meta("resnet18", 10, 1, small=True)
    found = shapes(net, torch.zeros(1, 1, size, size, device="meta"))
    quarter = -(-size // 8)
    assert list(found) == ["conv1", "bn1", "relu", *(f"layer{n}" for n in (1, 2, 3, 4)), "avgpool", "flatten", "fc"]
    assert (found["layer1"], found["layer4"], found["fc"]) == ((64, size, size), (512, quarter, quarter), (10,))
    # 3x3 in place of 7x7 in the first convolution: 64 * 3 * (49 - 9) weights less
    assert on_meta("resnet18", 10, small=True).count_params() == 11_689_512 - 990 * 513 - 64 * 3 * 40


@pytest.mark.parametrize(("option", "projections"), [("A", 0), ("B", 3), ("C", 8)])
def test_options_of_table_3(option, projections):
    net = on_meta("resnet18", shortcut=option)
    assert sum(name.endswith("downsample.0") for name, _ in net.named_modules()) == projections
    # where the shape changes, and then all others: a 1x1 convolution and a norm
    widths = [(64, 128), (128, 256), (256, 512)] + [(width, width) for width in (64, 64, 128, 256, 512)]
    costs = [before * width + 2 * width for before, width in widths]
    assert net.count_params() == 11_689_512 - sum(costs[:3]) + sum(costs[:projections])


def test_zero_init_residual():
    net = zoo.resnet18(10, small=True, zero_init_residual=True)
    blocks = [m for m in net.modules() if isinstance(m, ec.layers.BasicBlock)]
    assert all((block.bn2.weight == 0).all() and (block.bn1.weight == 1).all() for block in blocks)


def test_weights_are_drawn_by_hes_rule():
    torch.manual_seed(0)
    net = zoo.resnet18(small=True)
    for name in ("layer1.0.conv1", "layer4.1.conv2", "layer4.0.downsample.0", "fc"):
        weight = net.get_layer(name).weight
        fan_in = weight[0].numel()
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
    assert (net.get_layer("fc").bias == 0).all()


@pytest.mark.parametrize(
    ("attempt", "error", "match"),
    [
        (lambda: zoo.resnet18(0), ArgumentError, "num_classes must be at least 1, got 0"),
        (lambda: zoo.resnet18(in_channels=0), ArgumentError, "in_channels must be at least 1, got 0"),
        (lambda: zoo.resnet18(small=1), ArgumentTypeError, "small must be True or False"),
        (lambda: zoo.resnet18(shortcut="D"), UnknownNameError, "no shortcut called 'D'"),
        (lambda: zoo.resnet50(stride_at="7x7"), ArgumentError, "stride_at must be one of"),
        (lambda: zoo.resnet18(stride_at="1x1"), ArgumentTypeError, r"resnet18\(\) has no argument stride_at="),
        (lambda: zoo.resnet18(pretrained=True), ArgumentTypeError, 'Write weights="imagenet"'),
        (lambda: zoo.resnet18(weights="imagenet", shortcut="A"), ArgumentError, "only, got shortcut='A' and stride_at"),
        (lambda: zoo.resnet50(weights="imagenet", stride_at="1x1"), ArgumentError, "stride_at='1x1'. Leave these out"),
        (lambda: zoo.resnet18(weights="imagenet", small=True), ArgumentError, "small"),
    ],
)
def test_errors(attempt, error, match):
    with torch.device("meta"), pytest.raises(error, match=match):
        attempt()


def test_an_image_that_is_not_rgb_is_told():
    with pytest.raises(ec.errors.ShapeError, match="conv1"):
        zoo.resnet18(10, small=True)(torch.zeros(1, 1, 32, 32))
