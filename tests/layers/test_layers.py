import copy
import functools
import inspect
import pickle
import re
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from easyconv import layers
from easyconv.errors import ArgumentError, ArgumentTypeError, ShapeError, UnknownNameError
from easyconv.layers.activations import _NAMES

REQUIRED = {
    "out_channels": 4,
    "channels": 4,
    "kernel_size": 3,
    "out_features": 5,
    "num_embeddings": 7,
    "embedding_dim": 2,
    "num_layers": 2,
}
SPECIAL = {
    "Activation": lambda: layers.Activation("relu"),
    "Lambda": lambda: layers.Lambda(torch.square),
    "Parallel": lambda: layers.Parallel(layers.Conv2D(4, 1), None),
    "Permute": lambda: layers.Permute(0, 3, 1, 2),
    "Residual": lambda: layers.Residual(layers.Conv2D(4, 3, padding=1), activation="relu"),
    "Reshape": lambda: layers.Reshape(-1),
    "GroupNorm": lambda: layers.GroupNorm(2),
    "InceptionNaive": lambda: layers.InceptionNaive(4, 6, 2),
    "InceptionV1": lambda: layers.InceptionV1(4, (3, 6), (1, 2), 2),
}


def made(name):
    maker = getattr(layers, name)
    if name in SPECIAL:
        return SPECIAL[name]()
    wanted = {p.name for p in inspect.signature(maker).parameters.values() if p.default is p.empty}
    return maker(**{key: REQUIRED[key] for key in wanted})


def input_for(name):
    if name == "Embedding":
        return torch.randint(7, (2, 5))
    # Conv3D is of three dimensions; InceptionV3D is the fourth block of the third version
    dimensions = name[-2] if name.endswith("D") and not name.startswith("Inception") else ""
    return {"1": torch.randn(2, 4, 9), "3": torch.randn(2, 4, 9, 9, 9)}.get(dimensions, torch.randn(2, 4, 9, 9))


@pytest.mark.parametrize("name", [name for name in layers.__all__ if name[0].isupper()])
class TestEveryLayer:
    def test_is_copied_pickled_loaded_and_called_functionally(self, name):
        torch.manual_seed(0)
        layer, x = made(name), input_for(name)
        twin = pickle.loads(pickle.dumps(copy.deepcopy(layer)))
        layer.train()(x)
        layer.eval()
        expected = layer(x)
        twin.load_state_dict(layer.state_dict(), strict=True)
        torch.testing.assert_close(twin.eval()(x), expected)
        torch.testing.assert_close(copy.deepcopy(layer)(x), expected)
        called = torch.func.functional_call(layer, dict(layer.state_dict()), (x,))
        torch.testing.assert_close(called, expected)

    def test_exports(self, name):
        layer, x = made(name), input_for(name)
        expected = layer.eval()(x)
        torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), expected)

    def test_unknown_keywords_are_refused(self, name):
        with pytest.raises(ArgumentTypeError, match=rf"^{name}\(\) got nonsense_word=1"):
            getattr(layers, name)(nonsense_word=1)

    def test_has_a_readable_signature_and_a_docstring(self, name):
        assert "args" not in inspect.signature(getattr(layers, name)).parameters
        doc = inspect.getdoc(getattr(layers, name))
        assert "Examples\n--------" in doc

    def test_leaves_only_torch_layers(self, name):
        layer = made(name)
        layer(input_for(name))
        leaves = [m for m in layer.modules() if next(m.children(), None) is None]
        own = (layers.Lambda, layers.Permute)  # torch.nn has no layer for a function, nor one that turns axes
        assert all(isinstance(leaf, own) or type(leaf).__module__.startswith("torch.nn") for leaf in leaves)


@pytest.mark.parametrize(
    ("attempt", "match"),
    [
        (
            lambda: layers.Conv2D(8, 3, strides=2),
            r"Conv2D\(\) got strides=2, which is Keras's name; .* it is stride=2\.",
        ),
        (lambda: layers.Conv2D(filters=8, kernel_size=3), "it is out_channels=8"),
        (lambda: layers.Conv2D(8, 3, use_bias=False), "it is bias=False"),
        (lambda: layers.Conv2D(8, 3, dilation_rate=2), "it is dilation=2"),
        (lambda: layers.Conv2D(8, 3, kernel_initializer="he_normal"), r"here it is init='he_normal'"),
        (lambda: layers.Conv2D(8, 3, kernel_initializer=len), r'here it is init="he"'),
        (lambda: layers.MaxPool2D(2, kernel_initializer="he_normal"), r"with torch\.nn\.init"),
        (lambda: layers.Dense(8, bias_initializer="ones"), "biases start at zero where init= is given"),
        (lambda: layers.Conv2D(8, 3, data_format="channels_last"), "always channels first"),
        (lambda: layers.Conv2D(8, 3, input_shape=(28, 28, 1)), "give it to the model"),
        (lambda: layers.Conv2D(8, 3, in_channels=3), "is inferred"),
        (lambda: layers.Conv2D(8, 3, name="c"), "name it in the model"),
        (lambda: layers.Dense(units=8), "it is out_features=8"),
        (lambda: layers.Dense(8, input_dim=3), "is inferred"),
        (lambda: layers.Dense(784, 10), "bias must be True or False, got 10 .*infers the size"),
        (lambda: layers.Dropout(rate=0.5), "it is p=0.5"),
        (lambda: layers.MaxPool2D(pool_size=2), "it is kernel_size=2"),
        (lambda: layers.MaxPool2D(2, padding="valid"), "it is 0"),
        (lambda: layers.MaxPool2D(2, padding="same"), "it is kernel_size // 2"),
        (lambda: layers.Embedding(input_dim=5, output_dim=2), "it is num_embeddings=5"),
        (lambda: layers.BatchNorm(epsilon=0.1), "it is eps=0.1"),
        (lambda: layers.ConvBlock(8, strides=2), r"^ConvBlock\(\) got strides=2"),
        (lambda: layers.ConvBlock(8, rate=0.2), "it is dropout=0.2"),
        (lambda: layers.Conv2D(8, 3, pading=1), "Did you mean 'padding'"),
        (lambda: layers.GlobalAvgPool2D(keepdims=True), "takes no arguments"),
        (lambda: layers.Conv2D(8), r"needs kernel_size: write Conv2D\(kernel_size=\.\.\.\)"),
        (lambda: layers.Conv2D(3, 8, 3, 1), "at most 3 positional arguments .*is inferred"),
        (lambda: layers.Conv2D(8, 3, kernel_size=3), "got kernel_size twice"),
    ],
)
def test_argument_words(attempt, match):
    with pytest.raises(ArgumentTypeError, match=match):
        attempt()


@pytest.mark.parametrize(
    ("attempt", "match"),
    [
        (lambda: layers.Conv2D(0, 3), "out_channels must be at least 1, got 0"),
        (lambda: layers.Conv2D(8, 0), "kernel_size must be at least 1, got 0"),
        (lambda: layers.Conv2D(8, (3, 3, 3)), "kernel_size must be one integer or 2 of them"),
        (lambda: layers.Conv2D(8, 3, groups=3), "groups must divide out_channels"),
        (lambda: layers.Conv2D(8, 3, padding=-1), "padding must be at least 0"),
        (lambda: layers.Conv2D(8, 3, padding="sane"), "Did you mean 'same'"),
        (lambda: layers.Conv2D(8, 4, stride=2, padding="same"), "needs an odd kernel_size, got 4"),
        (lambda: layers.Conv2D(8, 3, padding_mode="mirror"), "padding_mode must be one of"),
        (lambda: layers.ConvTranspose2D(8, 3, 2, output_padding=2), "output_padding must be smaller"),
        (lambda: layers.Dropout(1.0), "p must be at least 0 and less than 1, got 1.0"),
        (lambda: layers.MaxPool2D(2, padding=2), "at most half of kernel_size=2, got 2"),
        (lambda: layers.Embedding(5, 2, 5), "padding_idx must be less than"),
        (lambda: layers.Upsample(2, size=4), "not both"),
        (lambda: layers.Reshape(), "at least one size"),
        (lambda: layers.Reshape(-1, -1), "at most one -1"),
        (lambda: layers.Parallel(), "at least one branch"),
        (lambda: layers.Parallel({"a.b": None}), "cannot be the name of a branch"),
    ],
)
def test_argument_values(attempt, match):
    with pytest.raises(ArgumentError, match=match):
        attempt()


@pytest.mark.parametrize(
    ("attempt", "match"),
    [
        (lambda: layers.Parallel(3), "branch '0' must be a module, a list of modules, or None"),
        (lambda: layers.Parallel(None, merge=3), "merge must be a name or a function"),
        (lambda: layers.InceptionA(branch5x5=3), "branch5x5 must be 2 numbers"),
        (lambda: layers.Activation(3), "activation must be a name"),
    ],
)
def test_argument_types(attempt, match):
    with pytest.raises(ArgumentTypeError, match=match):
        attempt()


def test_unknown_names():
    with pytest.raises(UnknownNameError, match=r"no activation called 'rellu'. Did you mean 'relu'"):
        layers.Dense(3, activation="rellu")
    with pytest.raises(UnknownNameError, match="no merge called 'concatt'"):
        layers.Parallel(None, merge="concatt")
    with pytest.raises(UnknownNameError, match="no shortcut called 'atuo'"):
        layers.Residual(nn.ReLU(), shortcut="atuo")
    with pytest.raises(UnknownNameError, match="no norm called 'bach'"):
        layers.ConvBlock(3, norm="bach")


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.sampled_from([1, 3, 5, 7]), stride=st.integers(2, 4), dilation=st.integers(1, 2), size=st.integers(13, 20)
)
def test_same_padding_with_a_stride_divides_the_size_and_rounds_up(kernel, stride, dilation, size):
    conv = layers.Conv2D(2, kernel, stride, padding="same", dilation=dilation)
    assert conv(torch.zeros(1, 1, size, size)).shape == (1, 2, -(-size // stride), -(-size // stride))


def test_activation_follows_under_its_name():
    layer = layers.Conv2D(4, 3, activation="relu")
    x = torch.randn(2, 3, 5, 5)
    out = layer(x)
    assert type(layer) is nn.Sequential
    assert [name for name, _ in layer.named_children()] == ["conv", "activation"]
    torch.testing.assert_close(out, F.relu(F.conv2d(x, layer.conv.weight, layer.conv.bias)))
    assert list(layers.Dense(3, activation="tanh")._modules) == ["linear", "activation"]


@pytest.mark.parametrize(
    "name", sorted(set(_NAMES) - {"identity", "linear", "swish", "softmax", "log_softmax", "prelu"})
)
def test_activations_are_torchs_functions(name):
    x = torch.linspace(-4, 4, 20)
    torch.testing.assert_close(layers.Activation(name)(x), getattr(F, name)(x))


def test_activations_of_every_kind():
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(layers.Activation("softmax")(x), x.softmax(1))
    torch.testing.assert_close(layers.Activation(nn.LogSoftmax)(x), x.log_softmax(1))
    torch.testing.assert_close(layers.Activation(torch.sin)(x), x.sin())
    torch.testing.assert_close(layers.Activation("swish")(x), F.silu(x))
    assert layers.Activation("linear")(x) is x
    prelu = nn.PReLU()
    assert layers.Activation(prelu) is prelu
    assert isinstance(layers.Activation(nn.ELU), nn.ELU)
    wrapped = layers.Activation(functools.partial(F.leaky_relu, negative_slope=0.3))
    torch.testing.assert_close(pickle.loads(pickle.dumps(wrapped))(x), F.leaky_relu(x, 0.3))
    assert "sin" in repr(layers.Activation(torch.sin))


def test_global_poolings_are_means_and_maxima():
    x, y = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 7)
    torch.testing.assert_close(layers.GlobalAvgPool2D()(x), x.mean((2, 3)))
    torch.testing.assert_close(layers.GlobalMaxPool2D()(x), x.amax((2, 3)))
    torch.testing.assert_close(layers.GlobalAvgPool1D()(y), y.mean(2))
    torch.testing.assert_close(layers.GlobalMaxPool1D()(y), y.amax(2))


def test_reshape_upsample_and_pad():
    x = torch.arange(12.0).reshape(1, 3, 2, 2)
    assert torch.equal(layers.Reshape(2, -1)(x), x.reshape(1, 2, 6))
    assert layers.Reshape((2, 6))(x).shape == (1, 2, 6)
    assert torch.equal(layers.Upsample()(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert layers.Upsample(size=(5, 7), mode="bilinear")(x).shape == (1, 3, 5, 7)
    assert torch.equal(layers.ZeroPad2D((1, 0, 0, 2))(x), F.pad(x, (1, 0, 0, 2)))


def test_inception_a_is_the_courses():
    block, x = layers.InceptionA(), torch.randn(2, 10, 12, 12)
    out = block(x)
    assert out.shape == (2, 88, 12, 12)
    one, five, three, pool = block.children()
    parts = [one(x), five[1](five[0](x)), three[2](three[1](three[0](x))), pool[1](F.avg_pool2d(x, 3, 1, 1))]
    torch.testing.assert_close(out, torch.cat(parts, 1))
    # (in + 1) * out per 1x1, and 25 and 9 points for the larger kernels
    hand = 11 * 16 + (11 * 16 + (16 * 25 + 1) * 24) + (11 * 16 + (16 * 9 + 1) * 24 + (24 * 9 + 1) * 24) + 11 * 24
    assert sum(p.numel() for p in block.parameters()) == hand
    assert layers.InceptionA(1, (1, 2), (1, 1, 3), branch_pool=4)(x).shape == (2, 10, 12, 12)


def test_merges():
    x = torch.randn(2, 3, 4, 4)
    double, square = layers.Activation(lambda t: 2 * t), layers.Activation(torch.square)
    expected = {
        "concat": torch.cat([2 * x, x * x], 1),
        "add": 2 * x + x * x,
        "sum": 2 * x + x * x,
        "mean": (2 * x + x * x) / 2,
        "multiply": 2 * x**3,
        "stack": torch.stack([2 * x, x * x], 1),
    }
    for merge, value in expected.items():
        torch.testing.assert_close(layers.Parallel(double, square, merge=merge)(x), value)
    assert torch.equal(layers.Parallel(double, None, merge=lambda outs: outs[1])(x), x)
    module = layers.Parallel(double, None, merge=layers.Activation(lambda outs: outs[0]))
    torch.testing.assert_close(module(x), 2 * x)


def test_named_and_nested_branches():
    block = layers.Parallel(
        {"left": [layers.Conv2D(2, 1), nn.ReLU()], "right": layers.Parallel(None, layers.Conv2D(1, 1))}
    )
    assert block(torch.zeros(1, 3, 4, 4)).shape == (1, 2 + 3 + 1, 4, 4)
    assert "left.0.weight" in block.state_dict()
    assert "right.1.weight" in block.state_dict()


def test_residual_identity_and_projection():
    x = torch.randn(4, 3, 9, 9)
    same = layers.Residual(layers.Conv2D(3, 3, padding=1), activation="relu")
    optimizer = torch.optim.Adam(same.parameters())
    out = same(x)
    assert type(same.shortcut) is nn.Identity
    torch.testing.assert_close(out, F.relu(same.main(x) + x))
    out.sum().backward()
    optimizer.step()
    assert list(same.state_dict()) == ["main.weight", "main.bias"]

    wide = layers.Residual([layers.Conv2D(6, 3, 2, padding="same"), layers.BatchNorm()])
    weight = next(wide.shortcut.parameters())
    out = wide(x)
    assert wide.shortcut[0].weight is weight
    assert type(wide.shortcut) is nn.Sequential
    projected = F.conv2d(x, weight, stride=2)
    expected = wide.main(x) + F.batch_norm(projected, None, None, training=True)
    torch.testing.assert_close(out, expected)


def test_residual_state_dict_keys_and_loading_unbuilt():
    def block():
        return layers.Residual(layers.Conv2D(6, 3, 2, padding="same"))

    one, two = block(), block()
    keys = set(one.state_dict())
    x = torch.randn(4, 3, 8, 8)
    one(x)
    assert set(one.state_dict()) == keys
    two.load_state_dict(one.state_dict(), strict=True)
    torch.testing.assert_close(two.eval()(x), one.eval()(x))
    same, other = (layers.Residual(layers.Conv2D(3, 1)) for _ in range(2))
    same(x)
    other.load_state_dict(same.state_dict(), strict=True)
    torch.testing.assert_close(other(x), same(x))


def test_residual_shortcuts():
    x = torch.randn(4, 5)
    linear = layers.Residual(layers.Dense(7))
    assert linear(x).shape == (4, 7)
    assert type(linear.shortcut[0]) is nn.Linear
    forced = layers.Residual(layers.Dense(5), shortcut="conv")
    forced(x)
    assert type(forced.shortcut) is nn.Sequential
    own = layers.Residual(layers.Dense(7), shortcut=nn.Linear(5, 7))
    torch.testing.assert_close(own(x), own.main(x) + own.shortcut(x))
    for shortcut in (None, "identity"):
        torch.testing.assert_close(layers.Residual(nn.Tanh(), shortcut=shortcut)(x), x.tanh() + x)
    with pytest.raises(ShapeError, match=r"main: \(4, 7\), shortcut: \(4, 5\)"):
        layers.Residual(layers.Dense(7), shortcut=None)(x)
    with pytest.raises(ShapeError, match=r"no 1x1 convolution .*input: \(1, 2, 8, 8\), main: \(1, 3, 6, 6\)"):
        layers.Residual(layers.Conv2D(3, 3))(torch.zeros(1, 2, 8, 8))


def test_shortcut_is_seeded():
    def weights(shape):
        torch.manual_seed(5)
        block = layers.Residual(layers.Conv2D(6, 3, 2, padding="same"))
        torch.rand(int(torch.randint(9, ())))
        block(torch.zeros(shape))
        return block.shortcut[0].weight

    assert torch.equal(weights((1, 3, 8, 8)), weights((2, 3, 5, 5)))


def test_plain_torch_loads_the_weights():
    net = nn.Sequential(OrderedDict(conv=layers.Conv2D(4, 3), norm=layers.BatchNorm(), flat=layers.Flatten()))
    net.add_module("fc", layers.Dense(2))
    x = torch.randn(2, 3, 5, 5)
    net(x)
    plain = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), flat=nn.Flatten(), fc=nn.Linear(36, 2))
    )
    plain.load_state_dict(net.state_dict(), strict=True)
    torch.testing.assert_close(plain.eval()(x), net.eval()(x))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.BatchNorm(32), r"BatchNorm\(32\): the size of the input is inferred, so leave it out"),
        (lambda: layers.LayerNorm(32), r"LayerNorm\(32\): the size of the input is inferred, so leave it out"),
        (lambda: layers.GroupNorm(8, 32), "at most 1 positional arguments"),
    ],
)
def test_sizes_that_torch_wants_are_no_epsilon(make, text):
    with pytest.raises(ArgumentTypeError, match=text):
        make()


@pytest.mark.parametrize("sizes", [(1, 32, 3), (3, 64, 7), (64, 32, 3), (32, 16, 5)])
def test_channels_in_the_order_of_torch_are_noticed(sizes):
    with pytest.raises(ArgumentError, match=r"The input channels are inferred and left out here: Conv2D"):
        layers.Conv2D(*sizes)


@pytest.mark.parametrize("sizes", [(96, 11, 4), (768, 16, 16), (64, 7, 2), (32, 3, 1), (32, 32, 1)])
def test_real_windows_and_strides_are_not(sizes):
    assert layers.Conv2D(*sizes).out_channels == sizes[0]


@pytest.mark.parametrize(("make", "shape"), [(layers.Conv1D, (5, 8)), (layers.Conv2D, (5, 8, 8))])
def test_channels_are_not_inferred_from_a_single_sample(make, shape):
    net = nn.Sequential(make(4, 3))
    with pytest.raises(ShapeError, match=r"cannot be inferred.*x\[None\].*x\[:, None\]"):
        net(torch.zeros(shape))
    assert net(torch.zeros(2, *shape)).shape[1] == 4


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ReLU", 'Keras\'s ReLU is Activation("relu") here.'),
        ("MaxPooling2D", "Keras's MaxPooling2D is MaxPool2D here."),
        ("Conv2d", "Did you mean 'Conv2D'?"),
        ("Linear", "torch.nn.Linear works in every net as it is."),
        ("Dens", "Did you mean 'Dense'?"),
    ],
)
def test_names_from_elsewhere_lead_to_the_layer(name, hint):
    with pytest.raises(AttributeError, match=re.escape(f"easyconv.layers has no layer {name!r}. {hint}")):
        getattr(layers, name)
