import copy
import io
import pickle

import pytest
import torch
from torch import nn

from easyconv import layers
from easyconv.errors import NotBuiltError, ShapeError
from easyconv.layers import lazy

SHAPES = {
    "Conv1D": ((4, 3), (2, 3, 8)),
    "Conv2D": ((4, 3), (2, 3, 8, 8)),
    "Conv3D": ((4, 3), (2, 3, 8, 8, 8)),
    "ConvTranspose2D": ((4, 3), (2, 3, 8, 8)),
    "Dense": ((5,), (2, 3)),
    "BatchNorm": ((), (2, 3, 8, 8)),
    "GroupNorm": ((3,), (2, 6, 8, 8)),
    "LayerNorm": ((), (2, 6, 8, 8)),
}
PLAIN = {
    "Conv1D": nn.Conv1d,
    "Conv2D": nn.Conv2d,
    "Conv3D": nn.Conv3d,
    "ConvTranspose2D": nn.ConvTranspose2d,
    "Dense": nn.Linear,
    "BatchNorm": nn.BatchNorm2d,
    "GroupNorm": nn.GroupNorm,
    "LayerNorm": nn.LayerNorm,
}


def made(name):
    arguments, shape = SHAPES[name]
    return getattr(layers, name)(*arguments), torch.randn(shape)


@pytest.mark.parametrize("name", SHAPES)
def test_becomes_the_plain_class_with_no_traces(name):
    layer, x = made(name)
    before = [id(p) for p in layer.parameters()]
    assert not lazy.is_built(layer)
    layer(x)
    assert type(layer) is PLAIN[name]
    assert lazy.is_built(layer)
    assert [id(p) for p in layer.parameters()] == before
    assert all(type(p) is nn.Parameter for p in layer.parameters())
    assert not layer._forward_pre_hooks
    assert not layer._forward_hooks
    assert not layer._load_state_dict_pre_hooks
    assert not layer._forward_pre_hooks_with_kwargs


def test_attributes_are_those_of_torch():
    conv, _ = made("Conv2D")
    conv(torch.zeros(2, 3, 8, 8))
    plain = nn.Conv2d(3, 4, 3)
    assert repr(conv) == repr(plain)
    assert set(vars(conv)) == set(vars(plain))
    norm, x = made("BatchNorm")
    norm(x)
    assert set(vars(norm)) == set(vars(nn.BatchNorm2d(3)))


@pytest.mark.parametrize("name", SHAPES)
def test_deepcopy_and_pickle_before_and_after(name):
    layer, x = made(name)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    expected = layer(x)
    for other in copies:
        assert not lazy.is_built(other)
        torch.testing.assert_close(other(x), expected)
        assert type(other) is PLAIN[name]
    torch.testing.assert_close(copy.deepcopy(layer)(x), layer(x))


@pytest.mark.parametrize("name", SHAPES)
def test_state_dict_tells_the_sizes(name):
    layer, x = made(name)
    layer(x)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    fresh, _ = made(name)
    fresh.load_state_dict(torch.load(buffer, weights_only=True), strict=True)
    if name != "BatchNorm":
        assert type(fresh) is PLAIN[name]
        assert repr(fresh) == repr(layer)
    layer.eval(), fresh.eval()
    torch.testing.assert_close(fresh(x), layer(x))
    assert repr(fresh) == repr(layer)


def test_state_dict_that_does_not_fit_is_refused():
    built = layers.Conv2D(5, 3)
    built(torch.zeros(1, 3, 8, 8))
    conv = layers.Conv2D(4, 3)
    with pytest.raises(RuntimeError, match="size mismatch"):
        conv.load_state_dict(built.state_dict())
    assert not lazy.is_built(conv)
    conv(torch.zeros(1, 2, 8, 8))
    assert conv.in_channels == 2


def test_unbuilt_state_dict_round_trip():
    one, two = layers.Conv2D(4, 3), layers.Conv2D(4, 3)
    two.load_state_dict(one.state_dict())
    assert not lazy.is_built(two)


def test_same_seed_gives_same_weights_in_any_order():
    def pair():
        torch.manual_seed(3)
        return layers.Conv2D(4, 3), layers.Dense(5)

    conv_a, dense_a = pair()
    conv_a(torch.zeros(1, 3, 8, 8)), dense_a(torch.zeros(1, 7))
    conv_b, dense_b = pair()
    torch.randn(100)
    dense_b(torch.zeros(2, 7)), conv_b(torch.zeros(2, 3, 9, 9))
    assert torch.equal(conv_a.weight, conv_b.weight)
    assert torch.equal(dense_a.bias, dense_b.bias)
    torch.manual_seed(4)
    other = layers.Conv2D(4, 3)
    other(torch.zeros(1, 3, 8, 8))
    assert not torch.equal(conv_a.weight, other.weight)


def test_weights_are_torchs_own_draw_from_the_seed():
    torch.manual_seed(11)
    seed = int(torch.randint(2**63 - 1, (), dtype=torch.int64))
    torch.manual_seed(11)
    layer = layers.Dense(6)
    layer(torch.zeros(1, 9))
    torch.manual_seed(seed)
    plain = nn.Linear(9, 6)
    assert torch.equal(layer.weight, plain.weight)
    assert torch.equal(layer.bias, plain.bias)


def test_building_leaves_the_global_random_state_and_making_draws_one_number():
    torch.manual_seed(0)
    layer = layers.Conv2D(4, 3)
    state = torch.get_rng_state()
    layer(torch.zeros(1, 3, 8, 8))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(0)
    torch.randint(2**63 - 1, (), dtype=torch.int64)
    assert torch.equal(torch.get_rng_state(), state)


def test_dtype_before_and_after_building_gives_the_same_values():
    torch.manual_seed(1)
    early = layers.Dense(3).double()
    early(torch.zeros(1, 4, dtype=torch.float64))
    torch.manual_seed(1)
    late = layers.Dense(3)
    late(torch.zeros(1, 4))
    assert early.weight.dtype == torch.float64
    assert torch.equal(early.weight, late.double().weight)


def test_meta_device():
    with torch.device("meta"):
        layer = layers.Conv2D(4, 3)
    layer(torch.zeros(1, 3, 8, 8, device="meta"))
    assert layer.weight.shape == (4, 3, 3, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gives_the_weights_of_the_cpu():
    torch.manual_seed(1)
    host = layers.Dense(3)
    host(torch.zeros(1, 4))
    torch.manual_seed(1)
    device = layers.Dense(3).cuda()
    device(torch.zeros(1, 4, device="cuda"))
    assert torch.equal(host.weight, device.weight.cpu())


def test_first_forward_in_inference_mode_leaves_trainable_parameters():
    layer = layers.Dense(3)
    with torch.inference_mode():
        layer(torch.zeros(2, 4))
    layer(torch.ones(2, 4)).sum().backward()
    assert layer.weight.grad is not None


def test_early_optimizer_trains_the_built_net():
    net = nn.Sequential(layers.Conv2D(4, 3), layers.BatchNorm(), layers.Flatten(), layers.Dense(2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.randn(4, 3, 6, 6)).square().sum().backward()
    before = [p.detach().clone() for p in net.parameters()]
    optimizer.step()
    # a bias before a norm has no gradient to speak of
    assert sum(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)) >= 4


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((4, 3), nn.BatchNorm1d),
        ((4, 3, 5), nn.BatchNorm1d),
        ((4, 3, 5, 5), nn.BatchNorm2d),
        ((4, 3, 5, 5, 5), nn.BatchNorm3d),
    ],
)
def test_batch_norm_takes_its_kind_from_the_input(shape, kind):
    norm, x = layers.BatchNorm(), torch.randn(shape)
    reference = kind(3)
    torch.testing.assert_close(norm(x), reference(x))
    assert type(norm) is kind
    torch.testing.assert_close(norm.running_var, reference.running_var)


def test_batch_norm_without_parameters_and_statistics():
    norm = layers.BatchNorm(affine=False, track_running_stats=False)
    assert lazy.unbuilt_layers(nn.Sequential(norm)) == ["0"]
    norm(torch.randn(4, 3, 5, 5))
    assert repr(norm) == repr(nn.BatchNorm2d(3, affine=False, track_running_stats=False))


def test_norm_errors_name_the_shape():
    with pytest.raises(ShapeError, match=r"2 to 5 dimensions.*\(3,\)"):
        layers.BatchNorm()(torch.zeros(3))
    with pytest.raises(ShapeError, match="cannot split the 6 channels"):
        layers.GroupNorm(4)(torch.zeros(1, 6, 2, 2))
    with pytest.raises(ShapeError, match="more than 3 dimensions"):
        layers.LayerNorm(dims=3)(torch.zeros(1, 6, 2))


def test_require_built_names_the_layers():
    net = nn.Sequential(layers.Conv2D(2, 1), nn.ReLU(), nn.LazyLinear(3))
    assert lazy.unbuilt_layers(net) == ["0", "2"]
    with pytest.raises(NotBuiltError, match=r"summary\(\) needs .* '0', '2' .*build\(\(channels, height, width\)\)"):
        lazy.require_built(net, "summary()")
    lazy.require_built(nn.Linear(2, 2), "summary()")
    with pytest.raises(NotBuiltError, match="and 2 more"):
        lazy.require_built(nn.Sequential(*[layers.Dense(1) for _ in range(7)]), "x")
