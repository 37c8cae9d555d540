"""Initial weights against the papers' formulas, torch's own functions, and each other."""

import copy
import math
import pickle
from functools import partial

import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from easyconv.layers import Conv1D, Conv2D, Conv3D, ConvTranspose2D, Dense, initialize


def built(layer, *shape):
    torch.manual_seed(0)
    layer = layer()
    layer(torch.zeros(shape))
    return layer


LAYERS = {  # what makes it, an input, n_in, n_out
    "dense": (partial(Dense, 400), (1, 300), 300, 400),
    "conv1d": (partial(Conv1D, 100, 5), (1, 80, 9), 80 * 5, 100 * 5),
    "conv2d": (partial(Conv2D, 64, (3, 5)), (1, 48, 9, 9), 48 * 15, 64 * 15),
    "conv3d": (partial(Conv3D, 32, 3), (1, 24, 5, 5, 5), 24 * 27, 32 * 27),
    "groups": (partial(Conv2D, 64, 5, groups=4), (1, 96, 9, 9), 24 * 25, 64 * 25),
    "transposed": (partial(ConvTranspose2D, 40, 3), (1, 90, 4, 4), 90 * 9, 40 * 9),
    "transposed with stride": (partial(ConvTranspose2D, 40, 4, 2), (1, 90, 4, 4), 90 * 4, 40 * 16),
}
STDS = {
    "he": lambda n_in, n_out: math.sqrt(2 / n_in),
    "he_normal": lambda n_in, n_out: math.sqrt(2 / n_in),
    "he_fan_out": lambda n_in, n_out: math.sqrt(2 / n_out),
    "glorot_normal": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "lecun": lambda n_in, n_out: 1 / math.sqrt(n_in),
    "lecun_normal": lambda n_in, n_out: 1 / math.sqrt(n_in),
    "alexnet": lambda n_in, n_out: 0.01,
}
LIMITS = {  # as Keras's documentation has them, and Glorot and Bengio's equation 16
    "he_uniform": lambda n_in, n_out: math.sqrt(6 / n_in),
    "glorot": lambda n_in, n_out: math.sqrt(6 / (n_in + n_out)),
    "glorot_uniform": lambda n_in, n_out: math.sqrt(6 / (n_in + n_out)),
    "lecun_uniform": lambda n_in, n_out: math.sqrt(3 / n_in),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("name", STDS)
def test_normal_draws_have_the_formulas_spread(name, kind):
    make, shape, n_in, n_out = LAYERS[kind]
    layer = built(partial(make, init=name), *shape)
    values, std = layer.weight.detach().double().flatten(), STDS[name](n_in, n_out)
    # four standard errors; the fourth moment of a normal is 3, of a uniform 1.8
    error = 4 / math.sqrt(len(values))
    assert abs(values.mean() / std) < error
    assert abs(values.var() / std**2 - 1) < error * math.sqrt(2)
    assert abs((values / std).pow(4).mean() - 3) < error * math.sqrt(96)
    assert not layer.bias.any()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("name", LIMITS)
def test_uniform_draws_fill_the_formulas_range(name, kind):
    make, shape, n_in, n_out = LAYERS[kind]
    layer = built(partial(make, init=name), *shape)
    values = layer.weight.detach().double().flatten() / LIMITS[name](n_in, n_out)
    assert 0.999 < values.abs().max() <= 1 + 1e-6
    assert abs(values.mean()) < 4 / math.sqrt(3 * len(values))
    assert abs(values.square().mean() - 1 / 3) < 4 * math.sqrt(4 / 45 / len(values))
    assert not layer.bias.any()


TORCHS = {
    "he": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "he_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "he_fan_out": partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
    "glorot": nn.init.xavier_uniform_,
    "glorot_normal": nn.init.xavier_normal_,
    "lecun": partial(nn.init.kaiming_normal_, nonlinearity="linear"),
    "lecun_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="linear"),
    "alexnet": partial(nn.init.normal_, std=0.01),
    "orthogonal": nn.init.orthogonal_,
}


@pytest.mark.parametrize("kind", ["dense", "conv2d", "groups"])
@pytest.mark.parametrize("name", TORCHS)
def test_names_are_torchs_functions(name, kind):
    make, shape, *_ = LAYERS[kind]
    ours, theirs = built(partial(make, init=name), *shape), built(partial(make, init=TORCHS[name]), *shape)
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-6, atol=0)


@pytest.mark.parametrize("stride", [1, 2])
def test_he_keeps_the_spread_of_what_follows_a_relu_through_a_transposed_convolution(stride):
    # What equation 10 is for: half of n_in times the variance of the weights is 1.
    layer = built(partial(ConvTranspose2D, 64, 4, stride, init="he"), 1, 256, 3, 3)
    before = torch.randn(4, 256, 12, 12)
    after = layer(before.relu())[..., 4:-4, 4:-4]
    assert after.square().mean().item() == pytest.approx(1, rel=0.1)


# --- what the draws do not depend on ----------------------------------------------------------------------------------


def net(**options):
    return ec.Sequential(
        [
            ec.Residual([Conv2D(6, 3, stride=2, padding="same"), ec.layers.BatchNorm()]),
            ec.layers.Flatten(),
            ("head", Dense(5)),
        ],
        **options,
    )


X = torch.zeros(2, 3, 4, 4)


def weights(model):
    return [parameter.detach().cpu() for parameter in model.parameters()]


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def after_the_data(model):
    torch.rand(3)
    model(X)
    return model


FORMS = {
    "input_shape": lambda init: net(input_shape=(3, 4, 4), init=init),
    "build": lambda init: net(init=init).build((3, 4, 4)),
    "data": lambda init: after_the_data(net(init=init)),
    "larger images": lambda init: [m := net(init=init), m[0](torch.zeros(1, 3, 8, 8)), m.build((3, 4, 4))][0],
    "a copy": lambda init: after_the_data(copy.deepcopy(net(init=init))),
    "pickled": lambda init: after_the_data(pickle.loads(pickle.dumps(net(init=init)))),
    "double": lambda init: after_the_data(net(init=init).double().float()),
    "bfloat16": lambda init: after_the_data(net(init=init).to(torch.bfloat16).to(torch.float32)),
}


@pytest.mark.parametrize("init", ["he", "orthogonal", nn.init.xavier_uniform_], ids=["he", "orthogonal", "function"])
@pytest.mark.parametrize("form", FORMS)
def test_draws_do_not_depend_on_how_sizes_became_known(form, init):
    torch.manual_seed(3)
    expected = weights(FORMS["input_shape"](init))
    torch.manual_seed(3)
    assert same(weights(FORMS[form](init)), expected)


def test_initialize_gives_the_same_before_and_after_sizes_are_known():
    def drawn(model):
        torch.manual_seed(7)
        initialize(model, "he")
        model(X)
        return weights(model)

    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(32, 5))
    lazy = nn.Sequential(nn.LazyConv2d(8, 3), nn.Flatten(), nn.LazyLinear(5))
    ours = ec.Sequential([Conv2D(8, 3), ec.layers.Flatten(), Dense(5)])
    assert same(drawn(plain), drawn(ours))
    assert same(drawn(plain), drawn(lazy))
    assert "reset_parameters" not in vars(lazy[0])
    residual = net()
    expected = drawn(net().build((3, 4, 4)))
    assert same(drawn(residual), expected)


def test_precision_and_layout_change_nothing_but_the_rounding():
    def drawn(layer):
        torch.manual_seed(1)
        initialize(layer, "he")
        return layer.weight

    layer = nn.Conv2d(3, 4, 3)
    expected = drawn(layer).detach().clone()
    assert torch.equal(drawn(nn.Conv2d(3, 4, 3).double()), expected.double())
    assert torch.equal(drawn(nn.Conv2d(3, 4, 3).bfloat16()), expected.bfloat16())
    assert torch.equal(drawn(nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_device_changes_nothing():
    drawn = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(1)
        layer = nn.Conv2d(3, 4, 3, device=device)
        torch.manual_seed(1)
        initialize(layer, "he")
        torch.manual_seed(2)
        drawn += [layer.weight.cpu(), net(init="he").to(device).build((3, 4, 4))[2].weight.cpu()]
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[1], drawn[3])


@pytest.mark.parametrize("init", ["he", nn.init.orthogonal_])
def test_the_meta_device_has_no_values_to_draw(init):
    with torch.device("meta"):
        model = net(input_shape=(3, 4, 4), init=init)
        initialize(model, init)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_global_random_state_is_used_for_one_seed_per_layer_only():
    model = net(input_shape=(3, 4, 4))
    torch.manual_seed(5)
    initialize(model, "he")
    after = torch.rand(())
    torch.manual_seed(5)
    for _ in range(3):
        torch.randint(2**63 - 1, ())
    assert torch.equal(after, torch.rand(()))


# --- functions --------------------------------------------------------------------------------------------------------


def test_a_function_fills_the_weight_and_the_bias_is_zero():
    layer = built(partial(Dense, 4, init=nn.init.eye_), 1, 3)
    assert torch.equal(layer.weight, torch.eye(4, 3))
    assert not layer.bias.any()
    layer = built(partial(Conv2D, 4, 3, init=partial(nn.init.constant_, val=0.5), bias=False), 1, 3, 4, 4)
    assert torch.equal(layer.weight, torch.full((4, 3, 3, 3), 0.5))


def test_a_function_sees_a_transposed_weight_as_torch_has_it():
    seen = []
    built(partial(ConvTranspose2D, 4, 3, init=lambda weight: seen.append(weight.shape) or weight.fill_(1)), 1, 3, 4, 4)
    assert seen == [(3, 4, 3, 3)]


@pytest.mark.parametrize(
    "fill", [lambda weight: weight.data.fill_(2.0), lambda weight: weight.copy_(torch.full((4, 3), 2.0))]
)
def test_every_way_to_write_in_place_counts(fill):
    assert torch.equal(built(partial(Dense, 4, init=fill), 1, 3).weight, torch.full((4, 3), 2.0))


def test_a_function_may_set_what_is_there_already():
    layer = nn.Linear(3, 4)
    initialize(layer, nn.init.zeros_)
    initialize(layer, nn.init.zeros_)
    assert not layer.weight.any()


def new_values(weight):
    return torch.full_like(weight, 0.1)


def fails(weight):
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    ("init", "match"),
    [
        (new_values, r"init=new_values left a weight of shape \(4, 3\) as it was and returned Tensor"),
        (lambda weight: None, r"left a weight .* and returned NoneType\. Fill the weight in place.*weight\.copy_"),
        (fails, r"init=fails could not fill a weight of shape \(4, 3\): no such thing. It is called with the weight"),
    ],
)
def test_a_function_that_does_not_fill_the_weight(init, match):
    with pytest.raises(ArgumentError, match=match):
        initialize(nn.Linear(3, 4), init)
    for form in (partial(Dense, 4, init=init), lambda: ec.Sequential([Dense(4)], init=init)):
        with pytest.raises(ArgumentError, match=match):
            form()(torch.zeros(1, 3))
    with pytest.raises(ArgumentError, match=match):
        ec.Sequential([Dense(4)], init=init, input_shape=(3,))


@pytest.mark.parametrize(
    ("init", "error", "match"),
    [
        ("hee", UnknownNameError, "no init called 'hee'. Did you mean 'he'"),
        (3, ArgumentTypeError, r"init must be a name like 'he', a function .* or None, got 3 \(int\)"),
        (nn.Linear, ArgumentTypeError, "init must be a name like 'he'"),
        (nn.init.constant_, ArgumentTypeError, r"function of the weight alone, and constant_ takes \(tensor.*partial"),
    ],
)
@pytest.mark.parametrize(
    "taker", [partial(Conv2D, 3, 3), partial(Dense, 3), ec.Sequential, partial(initialize, nn.ReLU())]
)
def test_bad_init(taker, init, error, match):
    with pytest.raises(error, match=match):
        taker(init=init)


def test_computed_weights_are_refused_before_anything_is_drawn():
    model = nn.Sequential(nn.Linear(3, 4), nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)))
    before = weights(model)
    with pytest.raises(ArgumentError, match="it is computed from other parameters"):
        initialize(model, "he")
    assert same(weights(model), before)


# --- whose word counts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [None, (3,)])
def test_a_layers_own_init_wins_over_the_nets(shape):
    inner = ec.Sequential([Dense(4, init=nn.init.eye_), Dense(4)], input_shape=shape)
    model = ec.Sequential([inner, Dense(2)], init=nn.init.ones_, input_shape=(3,))
    assert torch.equal(model[0][0].weight, torch.eye(4, 3))
    assert model[0][1].weight.eq(1).all()
    assert model[1].weight.eq(1).all()
    initialize(model, nn.init.zeros_)
    assert torch.equal(model[0][0].weight, torch.eye(4, 3))
    assert not model[1].weight.any()


@pytest.mark.parametrize("options", [{}, {"separable": True}, {"factorized": True}])
def test_a_block_gives_its_init_to_all_its_convolutions(options):
    model = ec.Sequential([ec.ConvBlock(4, init=nn.init.ones_, **options)], init="he", input_shape=(3, 6, 6))
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions
    assert all(conv.weight.eq(1).all() for conv in convolutions)


def test_layers_that_are_added_later_only_where_they_wait():
    model = ec.Sequential(init=nn.init.ones_)
    trained = nn.Linear(3, 4)
    before = trained.weight.clone()
    model.add(trained)
    model.add(Dense(4))
    model.insert(0, Dense(3))
    model.append(Dense(2, init=nn.init.zeros_))
    model.add(Dense(7))
    model[4] = Dense(5)
    model.build((2,))
    assert torch.equal(model[1].weight, before)
    assert all(model[place].weight.eq(1).all() for place in (0, 2, 4))
    assert not model[3].weight.any()
    model.add(model.pop())
    assert model[4].weight.eq(1).all()


@pytest.mark.parametrize("shape", [None, (3,)])
def test_the_outer_net_wins_over_the_inner(shape):
    inner = ec.Sequential([Dense(4)], input_shape=shape, init=nn.init.eye_)
    model = ec.Model(inner, init=nn.init.ones_, input_shape=(3,))
    assert model.net[0].weight.eq(1).all()


def test_convolutions_dense_layers_and_projections_only():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(4, 3), nn.BatchNorm1d(3), nn.PReLU(), nn.Linear(3, 2))
    before = copy.deepcopy(model.state_dict())
    initialize(model, nn.init.ones_)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"3.weight", "3.bias"}
    residual = net(init=nn.init.ones_, input_shape=(3, 4, 4))
    assert residual[0].shortcut[0].weight.eq(1).all()


def test_nothing_of_it_is_left_on_a_built_layer():
    one, other = built(partial(Dense, 4, init="he"), 1, 3), nn.Linear(3, 4)
    assert type(one) is nn.Linear
    assert vars(one).keys() == vars(other).keys()


def test_weights_that_were_loaded_are_not_drawn_again():
    state = {name: value + 1 for name, value in nn.Linear(3, 4).state_dict().items()}
    for layer in (Dense(4, init="he"), nn.LazyLinear(4)):
        initialize(layer, "he")
        layer.load_state_dict(state)
        layer(torch.zeros(1, 3))
        assert torch.equal(layer.weight, state["weight"])


def test_none_leaves_everything_as_it_is():
    torch.manual_seed(0)
    layer = nn.Linear(3, 4)
    before, state = layer.weight.clone(), torch.get_rng_state()
    initialize(layer, None)
    assert torch.equal(layer.weight, before)
    assert torch.equal(torch.get_rng_state(), state)
