"""Every block that ``easyconv.layers`` exports, found by itself: in a net, in training, without memory, in words.

What holds for single layers as well (copies, pickles, files into unbuilt twins, export, unknown keywords) is in
``test_layers.py``, which also knows how to make each of them.
"""

import copy
import inspect
import re

import pytest
import torch
from test_layers import REQUIRED, SPECIAL, input_for, made
from torch import nn
from torch.nn.parameter import is_lazy

import easyconv as ec
from easyconv import layers

BLOCKS = [
    name
    for name in layers.__all__
    if inspect.isclass(getattr(layers, name)) and issubclass(getattr(layers, name), nn.Module)
]
PLAIN = {"Lambda", "Permute"}
"""Blocks that are one operation, as layers are: of no paper, and without parameters."""


@pytest.fixture(params=BLOCKS)
def name(request):
    parameters = inspect.signature(getattr(layers, request.param)).parameters.values()
    needed = {p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
    if request.param not in SPECIAL and not needed <= set(REQUIRED):
        pytest.fail(
            f"{request.param} needs {', '.join(sorted(needed - set(REQUIRED)))}: add example arguments to REQUIRED, or "
            f"an example of the whole block to SPECIAL, at the top of tests/layers/test_layers.py."
        )
    return request.param


def net_with(name):
    """The block in a small net, between layers that infer their sizes as well."""
    last = [layers.Flatten(), layers.Dense(3)]
    if name == "Permute":  # it moves the channels
        return ec.Sequential([("block", made(name)), *last])
    return ec.Sequential([layers.Conv2D(4, 3, padding=1), ("block", made(name)), *last])


class Gradients(ec.callbacks.Callback):
    """What the gradients are after a step."""

    def on_train_batch_end(self, batch, logs=None):
        self.found = {key: parameter.grad for key, parameter in self.model.named_parameters()}


def test_there_are_blocks():
    assert len(BLOCKS) > 15
    assert set(BLOCKS) >= {"ConvBlock", "Residual", "BasicBlock", "DenseBlock"}


def test_it_learns_within_a_net(name):
    ec.set_seed(0)
    model, gradients = net_with(name), Gradients()
    model.compile("sgd", lr=0.01, device="cpu")
    images, labels = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])
    row = model.fit(images, labels, verbose=0, callbacks=gradients).history
    assert torch.tensor(row["loss"]).isfinite().all()
    assert [key for key, gradient in gradients.found.items() if gradient is None or not gradient.isfinite().all()] == []
    inside = {key: gradient for key, gradient in gradients.found.items() if key.startswith("block.")}
    assert bool(inside) == (name not in PLAIN)
    assert not inside or any(gradient.abs().max() > 0 for gradient in inside.values())
    outputs = model.predict(images, verbose=0)
    assert outputs.shape == (4, 3)
    # In evaluation each row counts by itself, whatever the others are.
    assert model.predict(images[2:3], verbose=0)[0] == pytest.approx(outputs[2], abs=1e-4)


def test_gradients_are_those_of_small_differences(name):
    ec.set_seed(0)
    block, x = made(name), torch.randn(2, 4, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        block.eval()(x.float())
    block.double()
    direction = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x.requires_grad_()
    out = block(x)
    weights = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    (gradient,) = torch.autograd.grad((out * weights).sum(), x)
    step = 1e-6
    with torch.no_grad():
        difference = ((block(x + step * direction) - block(x - step * direction)) * weights).sum() / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-4, atol=1e-6)


def test_summary_and_weights_of_a_net(name):
    ec.set_seed(0)
    model = net_with(name).build((3, 9, 9))
    table = model.summary()
    row = next(row for row in table.rows if row.name == "block")
    assert row.kind == name
    assert row.output_shape is not None
    assert table.parameters == model.count_params() == sum(row.parameters for row in table.rows)
    assert table.multiply_adds == sum(row.multiply_adds for row in table.rows)
    # Into a net of another seed.
    ec.set_seed(1)
    other, images = net_with(name).build((3, 9, 9)), torch.randn(2, 3, 9, 9)
    other.load_state_dict(model.state_dict(), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(images), model.eval()(images))


def test_the_same_shapes_without_memory(name):
    x = input_for(name)
    block = made(name)
    expected = block(x)
    with torch.device("meta"):
        without = made(name)
        assert without(torch.empty(x.shape)).shape == expected.shape
    shapes = {key: tensor.shape for key, tensor in block.state_dict().items()}
    assert {key: tensor.shape for key, tensor in without.state_dict().items()} == shapes
    assert all(tensor.is_meta for tensor in without.parameters())
    assert not any(is_lazy(tensor) for tensor in (*block.parameters(), *block.buffers()))


def test_copies_know_nothing_of_one_another(name):
    ec.set_seed(0)
    block, x = made(name), input_for(name)
    early = copy.deepcopy(block)
    with torch.no_grad():
        expected = block.eval()(x)
        # The seed was taken when the block was made: a copy draws the same values, whenever it learns its sizes.
        torch.testing.assert_close(early.eval()(x), expected)
        late = copy.deepcopy(block)
        for parameter in (*late.parameters(), *early.parameters()):
            parameter.fill_(0.5)
        torch.testing.assert_close(block(x), expected)


def test_batch_of_one_and_other_sizes(name):
    block = made(name).eval()
    with torch.no_grad():
        first = block(torch.randn(2, 4, 9, 9))
        one, other = block(torch.randn(1, 4, 9, 9)), block(torch.randn(3, 4, 12, 10))
    assert one.shape == (1, *first.shape[1:])
    assert other.shape[0] == 3
    assert other.dim() == first.dim()


def test_docstring_has_shapes_and_sources(name):
    block = getattr(layers, name)
    doc = inspect.getdoc(block)
    titles = set(re.findall(r"^(\w+)\n-+$", doc, flags=re.MULTILINE))
    assert {"Parameters", "Raises", "Examples"} <= titles
    if name not in PLAIN:
        assert "References" in titles
    if block.__module__.startswith("easyconv.layers.blocks."):
        assert re.search(r"^=+ =+", doc, flags=re.MULTILINE), f"{name} has no table of its parts and their shapes"
        assert "(N, " in doc, f"{name} does not say which shapes go in and come out"
