"""Inception-v3 against the sizes of its paper's table 1, and against torchvision's."""

import functools

import pytest
import torch
import torchvision
from twin import gradients, randomized, same_weights

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.zoo import inception_v3
from easyconv.zoo.inception_v3 import InceptionOutputs


@functools.cache
def on_meta(*args, **kwargs):
    """Shapes without memory; the tests share the nets, and leave only their modes changed."""
    with torch.device("meta"):
        return inception_v3(*args, **kwargs)


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


# --- the paper --------------------------------------------------------------------------------------------------------


def test_parameters():
    assert on_meta().count_params() == 27_161_264
    # the head: 768 → 128 by 1x1, 128 → 768 by 5x5, each with a norm, and 768 → 1000
    head = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 769 * 1000
    assert on_meta(aux=False).count_params() == 27_161_264 - head


# Input sizes of table 1, where the net has the paper's: each is the output of the layer before.
TABLE_1 = {
    "Conv2d_1a_3x3": (32, 149, 149),
    "Conv2d_2a_3x3": (32, 147, 147),
    "Conv2d_2b_3x3": (64, 147, 147),
    "maxpool1": (64, 73, 73),
    "Conv2d_4a_3x3": (192, 71, 71),
    "maxpool2": (192, 35, 35),
    "Mixed_5d": (288, 35, 35),
    "Mixed_6a": (768, 17, 17),
    "Mixed_6e": (768, 17, 17),
    "Mixed_7a": (1280, 8, 8),
    "Mixed_7b": (2048, 8, 8),
    "Mixed_7c": (2048, 8, 8),
    "avgpool": (2048, 1, 1),
    "fc": (1000,),
}


def test_sizes_of_table_1():
    shapes = output_shapes(on_meta().eval(), 3, 299, 299)
    assert {name: shapes[name] for name in TABLE_1} == TABLE_1
    assert "AuxLogits" not in shapes  # the head has no work in evaluation


def test_the_head_of_figure_8_averages_17x17_to_5x5():
    shapes = output_shapes(on_meta().train(), 3, 299, 299)
    assert shapes["AuxLogits.pool"] == (768, 5, 5)
    assert shapes["AuxLogits.conv0"] == (128, 5, 5)
    assert shapes["AuxLogits.conv1"] == (768, 1, 1)


@pytest.mark.parametrize(("size", "grids"), [(28, (28, 13, 6)), (32, (32, 15, 7))])
def test_grids_of_the_small_net(size, grids):
    shapes = output_shapes(on_meta(10, 1, small=True).train(), 1, size, size)
    assert tuple(shapes[name][1] for name in ("Mixed_5d", "Mixed_6e", "Mixed_7c")) == grids
    assert shapes["AuxLogits.pool"] == (768, 5, 5)


# --- what it returns --------------------------------------------------------------------------------------------------


def test_the_head_answers_in_training_only():
    net, x = on_meta(10, 1, small=True), torch.zeros(2, 1, 28, 28, device="meta")
    outputs = net.train()(x)
    assert isinstance(outputs, InceptionOutputs)
    assert outputs._fields == torchvision.models.InceptionOutputs._fields
    assert [output.shape for output in outputs] == [(2, 10)] * 2
    assert outputs.aux_weight == 0.4
    assert net.eval()(x).shape == (2, 10)
    without = on_meta(10, 1, small=True, aux=False)
    assert without.train()(x).shape == without.eval()(x).shape == (2, 10)


# --- the twin ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twins():
    """Ours with random weights, and torchvision's with the same ones."""
    ours = randomized(inception_v3(7))
    theirs = torchvision.models.inception_v3(weights=None, num_classes=7, init_weights=False, dropout=0)
    same_weights(ours, theirs.double())
    return ours, theirs


def test_twin_in_evaluation(twins):
    x = torch.randn(1, 3, 75, 75, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, theirs = (net.eval()(x) for net in twins)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert ours.std() > 0.01


def test_twin_of_the_head_in_training(twins):
    # alone: in the net it sees a grid of 17x17 with images of 299x299 only
    x = torch.randn(2, 768, 17, 17, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, theirs = (gradients(net.AuxLogits, x) for net in twins)
    torch.testing.assert_close(ours, theirs)
    assert all(gradient.abs().max() > 0 for gradient in ours.values())


def test_twin_in_training(twins):
    ours, theirs = twins
    x = torch.randn(2, 3, 107, 107, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    head, ours.AuxLogits = ours.AuxLogits, None
    their_head, theirs.AuxLogits, theirs.aux_logits = theirs.AuxLogits, None, False
    try:
        found, expected = gradients(ours, x), gradients(theirs, x)
    finally:
        ours.AuxLogits, theirs.AuxLogits, theirs.aux_logits = head, their_head, True
    torch.testing.assert_close(found, expected)
    assert all(gradient.abs().max() > 0 for gradient in found.values())


@pytest.mark.slow
def test_twin_in_training_with_the_head(twins):
    x = torch.randn(2, 3, 299, 299, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, theirs = (gradients(net, x) for net in twins)
    torch.testing.assert_close(ours, theirs)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"num_classes": 0}, ArgumentError, "num_classes must be at least 1, got 0"),
        ({"in_channels": 0}, ArgumentError, "in_channels must be at least 1, got 0"),
        ({"small": 1}, ArgumentTypeError, "small must be True or False, got 1"),
        ({"aux": None}, ArgumentTypeError, "aux must be True or False, got None"),
        ({"transform_input": True}, ArgumentTypeError, r"inception_v3\(\) has no argument transform_input="),
        ({"weights": "imagenet", "in_channels": 1}, ArgumentError, "in_channels must be 3, got 1"),
        ({"weights": "imagenet", "small": True}, ArgumentError, "is for large images"),
    ],
)
def test_errors(kwargs, error, match):
    with pytest.raises(error, match=match):
        inception_v3(**kwargs)
