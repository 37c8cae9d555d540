"""GoogLeNet against table 1 and figure 3 of its paper, and against torchvision's."""

import functools

import pytest
import torch
import torchvision
from torch.nn import functional as F  # noqa: N812
from twin import gradients, randomized, same_weights

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.zoo import googlenet
from easyconv.zoo.googlenet import GoogLeNetOutputs

VERSIONS = ["published", "batch_norm", "torchvision"]


@functools.cache
def on_meta(*args, **kwargs):
    """Shapes without memory; the tests share the nets, and leave only their modes changed."""
    with torch.device("meta"):
        return googlenet(*args, **kwargs)


def output_shapes(net, *shape):
    """Dotted name of each layer that was called -> channels, height and width of its output."""
    shapes = {}
    handles = [
        layer.register_forward_hook(lambda _, args, out, name=name: shapes.update({name: tuple(out.shape[1:])}))
        for name, layer in net.named_modules()
        if name
    ]
    net(torch.zeros(2, *shape, device="meta"))
    for handle in handles:
        handle.remove()
    return shapes


def by_table_1(weights, x):
    """Table 1 and figure 2(b) of the paper in plain functions; a batch norm where its numbers are among the weights."""

    def conv(x, name, stride=1):
        kernel = weights[f"{name}.conv.weight"]
        y = F.conv2d(x, kernel, weights.get(f"{name}.conv.bias"), stride, padding=kernel.shape[-1] // 2)
        if f"{name}.bn.weight" in weights:
            norm = (weights[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
            y = F.batch_norm(y, *norm, eps=0.001)
        return y.relu()

    def pool(x):
        return F.max_pool2d(x, 3, stride=2, ceil_mode=True)

    def norm(x):
        return x if "conv1.bn.weight" in weights else F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)

    def inception(x, name):
        deep = [conv(conv(x, f"{name}.branch{n}.0"), f"{name}.branch{n}.1") for n in (2, 3)]
        pooled = conv(F.max_pool2d(x, 3, stride=1, padding=1), f"{name}.branch4.1")
        return torch.cat([conv(x, f"{name}.branch1"), *deep, pooled], dim=1)

    x = norm(pool(conv(x, "conv1", stride=2)))
    x = norm(conv(conv(x, "conv2"), "conv3"))
    for number, letters in ((3, "ab"), (4, "abcde"), (5, "ab")):
        x = pool(x)
        for letter in letters:
            x = inception(x, f"inception{number}{letter}")
    return F.linear(x.mean(dim=(2, 3)), weights["fc.weight"], weights["fc.bias"])


@pytest.mark.parametrize("version", ["published", "batch_norm"])
def test_the_outputs_are_those_of_table_1(version):
    net = randomized(googlenet(5, aux=False, version=version)).eval()
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = by_table_1(net.state_dict(), x)
        torch.testing.assert_close(net(x), expected, atol=1e-9, rtol=1e-9)
    assert expected.std() > 0.01


# --- the paper --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "without", "together"),
    [
        ("published", 6_998_552, 13_378_280),
        ("batch_norm", 7_005_832, 13_385_816),
        ("torchvision", 6_624_904, 13_004_888),
    ],
)
def test_parameters(version, without, together):
    assert on_meta(version=version, aux=False).count_params() == without
    assert on_meta(version=version).count_params() == together


TABLE_1 = {
    "conv1": (64, 112, 112),
    "maxpool1": (64, 56, 56),
    "conv3": (192, 56, 56),
    "maxpool2": (192, 28, 28),
    "inception3a": (256, 28, 28),
    "inception3b": (480, 28, 28),
    "maxpool3": (480, 14, 14),
    "inception4a": (512, 14, 14),
    "inception4b": (512, 14, 14),
    "inception4c": (512, 14, 14),
    "inception4d": (528, 14, 14),
    "inception4e": (832, 14, 14),
    "maxpool4": (832, 7, 7),
    "inception5a": (832, 7, 7),
    "inception5b": (1024, 7, 7),
    "avgpool": (1024, 1, 1),
    "dropout": (1024,),
    "fc": (1000,),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_sizes_of_table_1(version):
    shapes = output_shapes(on_meta(version=version).eval(), 3, 224, 224)
    assert {name: shapes[name] for name in TABLE_1} == TABLE_1
    assert "aux1" not in shapes  # heads have no work in evaluation


def test_order_of_figure_3():
    names = [name for name, _ in on_meta().named_children()]
    assert names[:7] == ["conv1", "maxpool1", "norm1", "conv2", "conv3", "norm2", "maxpool2"]
    assert names[names.index("inception4a") + 1] == "aux1"
    assert names[names.index("inception4d") + 1] == "aux2"


def test_heads_of_section_5():
    net = on_meta().train()
    shapes = output_shapes(net, 3, 224, 224)
    assert shapes["aux1.avgpool"] == (512, 4, 4)
    assert shapes["aux2.avgpool"] == (528, 4, 4)
    assert shapes["aux1.conv"] == (128, 4, 4)
    assert shapes["aux1.fc1"] == (1024,)
    assert net.get_layer("aux1.dropout").p == net.get_layer("aux2.dropout").p == 0.7


def test_published_response_norm_divides_by_caffes_numbers():
    norm = googlenet(10, small=True, aux=False).get_layer("norm1")
    # In the middle all 5 neighbours are there: k + alpha / 5 * (5 * 2²); at the edge 3 of 5.
    out = norm(torch.full((1, 64, 1, 1), 2.0)).flatten().double()
    assert out[30].item() == pytest.approx(2 / (1 + 1e-4 * 4) ** 0.75, rel=1e-6)
    assert out[0].item() == pytest.approx(2 / (1 + 1e-4 * 4 * 3 / 5) ** 0.75, rel=1e-6)


@pytest.mark.parametrize(("version", "dropout"), [("published", 0.4), ("batch_norm", 0.4), ("torchvision", 0.2)])
def test_dropout(version, dropout):
    assert on_meta(version=version).get_layer("dropout").p == dropout


# --- what it returns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_heads_answer_in_training_only(version):
    net = on_meta(10, 1, small=True, version=version)
    for size in (28, 32):
        x = torch.zeros(2, 1, size, size, device="meta")
        outputs = net.train()(x)
        assert isinstance(outputs, GoogLeNetOutputs)
        assert outputs._fields == torchvision.models.GoogLeNetOutputs._fields
        assert [output.shape for output in outputs] == [(2, 10)] * 3
        assert outputs.aux_weight == 0.3
        assert net.eval()(x).shape == (2, 10)


def test_without_heads():
    net, x = on_meta(10, 1, small=True, aux=False), torch.zeros(2, 1, 28, 28, device="meta")
    assert net.train()(x).shape == net.eval()(x).shape == (2, 10)
    assert not any(key.startswith("aux") for key in net.state_dict())


def test_small_keeps_the_grids_of_the_paper():
    shapes = output_shapes(on_meta(10, small=True).eval(), 3, 28, 28)
    for name in ("inception3a", "inception3b", "inception4a", "inception4e", "inception5b"):
        assert shapes[name] == TABLE_1[name]
    assert "maxpool1" not in shapes
    assert "maxpool2" not in shapes


def test_fit_adds_the_losses_of_the_heads_times_three_tenths():
    torch.manual_seed(0)
    net = googlenet(3, small=True, version="torchvision")
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    x, y = torch.randn(4, 3, 28, 28), torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        main, upper, lower = (torch.nn.functional.cross_entropy(output, y).item() for output in net.train()(x))
    net.compile(optimizer="sgd", lr=1e-3, device="cpu")
    assert net.train_on_batch(x, y) == pytest.approx(main + 0.3 * (upper + lower), rel=1e-4)


# --- the twin ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twins():
    """Ours with random weights, and torchvision's with the same ones."""
    ours = randomized(googlenet(7, version="torchvision"))
    theirs = torchvision.models.googlenet(weights=None, num_classes=7, init_weights=False, dropout=0, dropout_aux=0)
    same_weights(ours, theirs.double())
    return ours, theirs


def test_twin_in_evaluation(twins):
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, theirs = (net.eval()(x) for net in twins)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert ours.std() > 0.01


def test_twin_in_training(twins):
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, theirs = (gradients(net, x) for net in twins)
    torch.testing.assert_close(ours, theirs)
    assert all(gradient.abs().max() > 0 for gradient in ours.values())


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"num_classes": 0}, ArgumentError, "num_classes must be at least 1, got 0"),
        ({"in_channels": "3"}, ArgumentTypeError, "in_channels must be an integer, got '3'"),
        ({"version": "torchvison"}, ArgumentError, "version must be one of .*Did you mean 'torchvision'"),
        ({"small": 1}, ArgumentTypeError, "small must be True or False, got 1"),
        ({"aux": None}, ArgumentTypeError, "aux must be True or False, got None"),
        ({"aux_logits": True}, ArgumentTypeError, r"googlenet\(\) has no argument aux_logits="),
        (
            {"weights": "imagenet", "version": "published"},
            ArgumentError,
            "weights='imagenet' are torchvision's, and do not fit version='published'; leave version out, or weights",
        ),
        ({"weights": "imagenet", "in_channels": 1}, ArgumentError, "in_channels must be 3, got 1"),
        ({"weights": "imagenet", "small": True}, ArgumentError, "is for large images"),
    ],
)
def test_errors(kwargs, error, match):
    with pytest.raises(error, match=match):
        googlenet(**kwargs)
