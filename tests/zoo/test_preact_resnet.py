import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from easyconv import zoo
from easyconv.errors import ArgumentError, ArgumentTypeError


def on_meta(*args, **options):
    with torch.device("meta"):
        return zoo.preact_resnet18(*args, **options)


def test_parameters_by_arithmetic():
    def stage(before, width):
        convolutions = 9 * before * width + 3 * 9 * width * width
        projection = 0 if before == width else before * width
        # the norm in front of a convolution has the channels of its input
        return convolutions + projection + 2 * (before + 3 * width)

    stages = sum(stage(*widths) for widths in ((64, 64), (64, 128), (128, 256), (256, 512)))
    small = 9 * 3 * 64 + stages + 513 * 10
    # the much used implementation for CIFAR-10: no norm after the first convolution, none at the end
    assert small == 11_171_146
    # our first norm stands before the split in place of in the first block; the last one is ours (and the paper's)
    assert on_meta(10, small=True).count_params() == small + 2 * 512
    assert on_meta().count_params() == 49 * 3 * 64 + stages + 2 * 512 + 513 * 1000 == 11_687_720


def test_parameters_of_the_table():
    net = on_meta()
    rows = {name: sum(p.numel() for p in layer.parameters()) for name, layer in net.named_children()}
    assert rows["conv1"] + rows["bn1"] == 9_536
    assert [rows[f"layer{n}"] for n in (1, 2, 3, 4)] == [147_840, 525_184, 2_098_944, 8_392_192]
    assert (rows["norm"], rows["fc"]) == (1_024, 513_000)


@pytest.mark.parametrize(("small", "size"), [(False, 224), (True, 32), (True, 28)])
def test_shapes(small, size):
    net, found = on_meta(10, 1, small=small), {}
    for key, layer in net.named_children():
        layer.register_forward_hook(lambda m, args, out, key=key: found.__setitem__(key, tuple(out.shape[1:])))
    net.eval()(torch.zeros(1, 1, size, size, device="meta"))
    sides = [size, size // 2, size // 4, -(-size // 8)] if small else [56, 28, 14, 7]
    wanted = [(width, side, side) for width, side in zip((64, 128, 256, 512), sides, strict=True)]
    assert [found[f"layer{n}"] for n in (1, 2, 3, 4)] == wanted
    assert ("maxpool" in found) is not small
    assert (found["avgpool"], found["fc"]) == ((512, 1, 1), (10,))


def test_forward_by_hand():
    """The net as the paper's appendix has it, written with functions."""
    torch.manual_seed(0)
    net, x = zoo.preact_resnet18(10, small=True), torch.rand(2, 3, 16, 16)
    weights = net.state_dict()

    def conv(x, name, stride=1):
        weight = weights[f"{name}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def active(x):
        return F.relu(F.batch_norm(x, None, None, training=True))

    y = active(conv(x, "conv1"))
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            before = y if (stage, block) == (1, 0) else active(y)
            path = conv(active(conv(before, f"{name}.conv1", stride)), f"{name}.conv2")
            y = path + (conv(before, f"{name}.downsample.0", stride) if stride == 2 else y)
    logits = F.linear(active(y).mean((2, 3)), weights["fc.weight"], weights["fc.bias"])
    torch.testing.assert_close(net.train()(x), logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("option", "projections"), [("A", 0), ("B", 3), ("C", 8)])
def test_options(option, projections):
    net = on_meta(10, small=True, shortcut=option)
    assert sum(name.endswith("downsample.0") for name, _ in net.named_modules()) == projections


def test_errors():
    with pytest.raises(ArgumentError, match="num_classes must be at least 1"):
        zoo.preact_resnet18(0)
    with pytest.raises(ArgumentTypeError, match="small must be True or False"):
        zoo.preact_resnet18(small="yes")
    with pytest.raises(ArgumentTypeError, match="There are no trained weights for this net"):
        zoo.preact_resnet18(weights="imagenet")
