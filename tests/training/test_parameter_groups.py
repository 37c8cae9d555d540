"""Parameter groups against groups that are made by hand."""

import copy
import pickle

import pytest
import torch
from plain_torch import BATCH, data, ours, same_state, shuffled, small, train_plainly, twin
from torch import nn
from torch.nn.utils import parametrizations

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, StateError, UnknownNameError
from easyconv.optim import no_bias_decay, resolve_optimizer, scale_lr, set_lr


def undecayed(net):
    """Names of what is left out, and a check that everything is somewhere once."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    decayed, rest = ([id(parameter) for parameter in group["params"]] for group in no_bias_decay(net))
    assert sorted(decayed + rest) == sorted(names)
    assert decayed == [key for key in names if key in decayed]  # in the net's order
    return [names[key] for key in rest]


class LayerNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(3))
        self.inner = nn.Linear(3, 3)


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.biased = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
        self.bias_table = nn.Parameter(torch.zeros(3, 3))


@pytest.mark.parametrize(
    ("net", "left_out"),
    [
        (nn.Linear(2, 3), ["bias"]),
        (nn.Conv2d(2, 3, 3, bias=False), []),
        (nn.ConvTranspose2d(2, 3, 3), ["bias"]),
        (nn.BatchNorm1d(3), ["weight", "bias"]),
        (nn.BatchNorm2d(3), ["weight", "bias"]),
        (nn.BatchNorm3d(3), ["weight", "bias"]),
        (nn.SyncBatchNorm(3), ["weight", "bias"]),
        (nn.LazyBatchNorm2d(), ["weight", "bias"]),
        (nn.InstanceNorm2d(3, affine=True), ["weight", "bias"]),
        (nn.GroupNorm(1, 3), ["weight", "bias"]),
        (nn.LayerNorm((3, 4, 4)), ["weight", "bias"]),
        (nn.RMSNorm((4, 4)), ["weight"]),
        (nn.PReLU(3), ["weight"]),
        (nn.Embedding(3, 4), []),
        (nn.LSTM(2, 3), ["bias_ih_l0", "bias_hh_l0"]),
        (nn.MultiheadAttention(4, 2, add_bias_kv=True), ["in_proj_bias", "bias_k", "bias_v", "out_proj.bias"]),
        (LayerNorm2d(), ["weight", "bias", "inner.bias"]),
        (Own(), ["bias_table"]),
        (ec.layers.BatchNorm(), ["weight", "bias"]),
        (ec.layers.GroupNorm(2), ["weight", "bias"]),
        (ec.layers.LayerNorm(dims=3), ["weight", "bias"]),
        (ec.ConvBlock(3, bias=True), ["conv.bias", "norm.weight", "norm.bias"]),
        (parametrizations.weight_norm(nn.Linear(3, 3)), ["bias"]),
        (parametrizations.orthogonal(nn.Linear(3, 3)), ["bias"]),
        (nn.ReLU(), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_does_not_decay(net, left_out):
    assert undecayed(net) == left_out


def test_a_bias_that_is_computed():
    net = nn.Linear(3, 3)
    nn.utils.parametrize.register_parametrization(net, "bias", nn.Tanh())
    assert undecayed(net) == ["parametrizations.bias.original"]


def test_shared_parameters_decay_where_one_owner_asks_for_it():
    net = nn.Sequential(nn.PReLU(3), nn.Linear(3, 3), nn.PReLU(3), nn.PReLU(3))
    net[2].weight = net[0].weight
    net[3].weight = net[1].bias
    assert undecayed(net) == ["0.weight", "1.bias"]
    net[1].scale = net[0].weight
    assert undecayed(net) == ["1.bias"]


def test_the_decay_is_the_groups_or_the_optimizers():
    net = nn.Linear(2, 3)
    assert [group["weight_decay"] for group in no_bias_decay(net, weight_decay=5e-4)] == [5e-4, 0]
    optimizer = torch.optim.SGD(no_bias_decay(net), lr=0.1, weight_decay=1e-3)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-3, 0]


def test_parameters_are_the_same_objects_before_sizes_are_known():
    model = ec.Sequential([ec.Residual([ec.layers.Conv2D(4, 3, 2, padding="same")]), ec.layers.BatchNorm()])
    optimizer = torch.optim.SGD(no_bias_decay(model), lr=0.1, weight_decay=0.5)
    decayed = {id(parameter) for parameter in optimizer.param_groups[0]["params"]}
    model(torch.zeros(2, 3, 4, 4))
    names = [name for name, parameter in model.named_parameters() if id(parameter) in decayed]
    assert names == ["0.main.0.weight", "0.shortcut.0.weight"]
    assert resolve_optimizer(optimizer)(model) is optimizer


# --- training ---------------------------------------------------------------------------------------------------------

BY_HAND = {
    "sgd": (
        ec.optim.SGD(lr=0.05, momentum=0.9, weight_decay=0.1, groups="no_bias_decay"),
        torch.optim.SGD,
        {"momentum": 0.9},
    ),
    "adamw": (ec.optim.AdamW(lr=0.01, weight_decay=0.1, groups=no_bias_decay), torch.optim.AdamW, {}),
}


def by_hand(net, cls=torch.optim.SGD, lr=0.05, **options):
    """Conv, batch norm, dense, as `twin` has them."""
    conv, norm, dense = net[0], net[1], net[5]
    kept_small = [conv.weight, dense.weight]
    left_out = [conv.bias, norm.weight, norm.bias, dense.bias]
    groups = [{"params": kept_small, "weight_decay": 0.1}, {"params": left_out, "weight_decay": 0.0}]
    return cls(groups, lr=lr, **options)


@pytest.mark.parametrize("name", BY_HAND)
def test_bit_identical_to_a_plain_loop_with_groups_made_by_hand(name):
    mine, cls, options = BY_HAND[name]
    model = ours()
    net, whole = twin(model), twin(model)
    model.compile(mine, channels_last=False)
    x, y = data()
    torch.manual_seed(11)
    model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0)
    for plain, optimizer in (
        (net, by_hand(net, cls, lr={"sgd": 0.05, "adamw": 0.01}[name], **options)),
        (whole, cls(whole.parameters(), lr=0.05, weight_decay=0.1)),
    ):
        torch.manual_seed(11)
        train_plainly(plain, lambda: shuffled(x, y), optimizer)
    assert same_state(model, net)
    assert not same_state(model, whole)


@pytest.mark.parametrize(
    "name", sorted(set(ec.optim.__all__) & set(vars(torch.optim)) - {"SparseAdam", "Rprop", "Muon"})
)
def test_every_optimizer_takes_groups_and_empty_ones(name):
    torch.manual_seed(0)
    net, plain = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
    plain.load_state_dict(net.state_dict())
    mine = getattr(ec.optim, name)(lr=0.01, weight_decay=0.1, groups="no_bias_decay")(net)
    assert [len(group["params"]) for group in mine.param_groups] == [1, 0]
    theirs = getattr(torch.optim, name)(plain.parameters(), lr=0.01, weight_decay=0.1)
    for model, optimizer in ((net, mine), (plain, theirs)):
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
    assert torch.equal(net.weight, plain.weight)


def layer_wise(net):
    return [
        {"params": net[0].parameters(), "lr": 0.01, "name": "stem"},
        {"params": [*net[1].parameters(), *net[5].parameters()]},
    ]


def test_a_function_and_a_learning_rate_of_compile():
    model = ours()
    model.compile(ec.optim.SGD(momentum=0.5, groups=layer_wise), lr=0.2)
    model.fit(*data(), verbose=0)
    assert [group["lr"] for group in model.optimizer.param_groups] == [0.01, 0.2]
    assert [len(group["params"]) for group in model.optimizer.param_groups] == [2, 4]
    assert [group["momentum"] for group in model.optimizer.param_groups] == [0.5, 0.5]


def test_rates_of_all_groups_move_together():
    optimizer = ec.optim.SGD(lr=0.2, groups=layer_wise)(ours())
    set_lr(optimizer, 0.001)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.001, 0.02])
    scale_lr(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.0005, 0.01])


def test_reduce_lr_on_plateau_moves_all_groups():
    model = ours()
    model.compile(ec.optim.SGD(lr=0.2, groups=layer_wise))
    plateau = ec.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=1000, factor=0.5)
    model.fit(*data(), epochs=2, verbose=0, callbacks=[plateau])
    assert [group["lr"] for group in model.optimizer.param_groups] == pytest.approx([0.005, 0.1])


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, output, target):
        return nn.functional.cross_entropy(output * self.scale, target)


def test_parameters_of_a_loss_are_a_group_of_their_own():
    model, loss = small(), Scaled()
    model.compile(ec.optim.SGD(lr=0.1, weight_decay=0.5, groups="no_bias_decay"), loss=loss)
    model.fit(*data(), verbose=0)
    groups = model.optimizer.param_groups
    assert [[id(p) for p in group["params"]] for group in groups] == [
        [id(model[1].weight)],
        [id(model[1].bias)],
        [id(loss.scale)],
    ]
    assert [group["weight_decay"] for group in groups] == [0.5, 0, 0.5]
    assert loss.scale != 1


def test_the_factory_is_copied_pickled_and_described():
    factory = ec.optim.SGD(lr=0.1, weight_decay=5e-4, groups="no_bias_decay")
    assert repr(factory) == "SGD(lr=0.1, weight_decay=0.0005, groups='no_bias_decay')"
    assert repr(ec.optim.SGD(lr=0.1, groups=layer_wise)) == "SGD(lr=0.1, groups=layer_wise)"
    for same in (factory, copy.deepcopy(factory), pickle.loads(pickle.dumps(factory))):
        assert [group["weight_decay"] for group in same(nn.Linear(2, 3)).param_groups] == [5e-4, 0]


# --- what becomes trainable later -------------------------------------------------------------------------------------


def sizes(optimizer):
    return [len(group["params"]) for group in optimizer.param_groups]


@pytest.mark.parametrize("frozen", [["0"], ["0", "1"], ["5"], ["0", "5"]])
def test_unfrozen_parameters_find_their_group_in_the_order_of_a_fresh_optimizer(frozen):
    model, loss = ours(), Scaled()
    model.freeze(*frozen)
    model.compile(ec.optim.SGD(lr=0.1, momentum=0.9, weight_decay=0.1, groups="no_bias_decay"), loss=loss)
    model.fit(*data(), verbose=0)
    model.unfreeze()
    model.fit(*data(), verbose=0)
    fresh = ec.optim.SGD(lr=0.1, weight_decay=0.1, groups="no_bias_decay")(model, loss.parameters())
    held = [[id(p) for p in group["params"]] for group in model.optimizer.param_groups]
    assert held == [[id(p) for p in group["params"]] for group in fresh.param_groups]
    # so a state that is saved now goes to the right parameters
    fresh.load_state_dict(model.optimizer.state_dict())
    for parameter, state in model.optimizer.state.items():
        assert torch.equal(fresh.state[parameter]["momentum_buffer"], state["momentum_buffer"])


def test_a_group_that_was_frozen_or_is_new_has_its_own_rate_as_far_as_it_would_be_by_now():
    def each_layer(net):
        layers = [layer for layer in net if list(layer.parameters())]
        return [{"params": layer.parameters(), "lr": 0.1 / 2**place} for place, layer in enumerate(layers)]

    model = ec.Sequential([nn.Linear(2, 3), nn.Linear(3, 4)])
    factory = ec.optim.SGD(lr=1.0, groups=each_layer)
    model.freeze("1")
    optimizer = factory(model)
    assert sizes(optimizer) == [2, 0]
    scale_lr(optimizer, 0.1)
    model.unfreeze()
    model.add(nn.Linear(4, 2))
    factory.adopt(optimizer, model)
    assert sizes(optimizer) == [2, 2, 2]
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.005, 0.0025])
    factory.adopt(optimizer, model)
    assert sizes(optimizer) == [2, 2, 2]
    with pytest.raises(StateError, match="all 6 parameters are frozen"):
        factory.adopt(optimizer, model.requires_grad_(False))


# --- errors -----------------------------------------------------------------------------------------------------------


def returning(make):
    def groups(net):
        return make(net)

    return groups


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (
            lambda net: [{"params": [net.weight]}],
            ArgumentError,
            r"groups=groups leaves out parameters .* to be trained: 'bias'",
        ),
        (lambda net: [{"params": [net.bias, net.weight, net.bias]}], ArgumentError, "more than one place: 'bias'"),
        (
            lambda net: [{"params": net.parameters()}, {"params": net.weight}],
            ArgumentError,
            "more than one place: 'weight'. Each belongs to one group",
        ),
        (
            lambda net: [{"params": net.parameters()}, {"params": nn.Linear(2, 3).parameters()}],
            ArgumentError,
            "returned 2 parameters that do not belong to this net",
        ),
        (lambda net: net.parameters(), ArgumentTypeError, r"must return a list of dicts .*, got <generator"),
        (lambda net: [], ArgumentTypeError, r"must return a list of dicts .*, got \[\] \(list\)"),
        (lambda net: [net.weight, net.bias], ArgumentTypeError, "must return dicts with the key 'params'"),
        (lambda net: [{"param": [net.weight]}], ArgumentTypeError, "must return dicts with the key 'params'"),
        (
            lambda net: [{"params": net}],
            ArgumentTypeError,
            r"must return parameters under 'params', got Linear.*Write list",
        ),
        (lambda net: [{"params": ["weight"]}], ArgumentTypeError, r"parameters under 'params', got 'weight' \(str\)"),
        (
            lambda net: [{"params": net.parameters(), "wieght_decay": 0}],
            ArgumentError,
            "sets 'wieght_decay', which SGD does not have. Did you mean 'weight_decay'",
        ),
        (
            lambda net: [{"params": net.parameters(), "weight_decay": -1}],
            ArgumentError,
            r"SGD\(lr=0.1, weight_decay=-1\) is not possible: Invalid weight_decay",
        ),
        (lambda net: [{"params": net.parameters(), "lr": -1}], ArgumentError, "lr must be more than 0, got -1"),
    ],
)
def test_bad_groups(make, error, match):
    factory = ec.optim.SGD(lr=0.1, groups=returning(make))
    with pytest.raises(error, match=match):
        factory(nn.Linear(2, 3))


def test_frozen_parameters_may_be_left_out():
    net = nn.Linear(2, 3)
    net.bias.requires_grad_(False)
    assert sizes(ec.optim.SGD(lr=0.1, groups=lambda net: [{"params": net.weight}])(net)) == [1]
    assert sizes(ec.optim.SGD(lr=0.1, groups=lambda net: [{"params": net.parameters()}])(net)) == [1]


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (
            lambda: ec.optim.SGD(groups="no_bias_deca"),
            UnknownNameError,
            "no grouping called .* Did you mean 'no_bias_decay'",
        ),
        (
            lambda: ec.optim.SGD(groups=[{"params": []}]),
            ArgumentTypeError,
            "groups must be 'no_bias_decay', or a function",
        ),
        (
            lambda: ec.optim.SGD(groups=nn.Linear(2, 3)),
            ArgumentTypeError,
            "groups must be 'no_bias_decay', or a function",
        ),
        (
            lambda: ec.optim.SGD(lr=0.1, groups="no_bias_decay"),
            ArgumentError,
            "SGD has none here: its weight_decay is 0. Add weight_decay=5e-4",
        ),
        (lambda: ec.optim.Rprop(groups=no_bias_decay), ArgumentError, "weight decay, which Rprop does not have"),
        (lambda: no_bias_decay([]), ArgumentTypeError, r"no_bias_decay\(\) takes a net, got \[\]"),
        (lambda: no_bias_decay(nn.ReLU(), -1), ArgumentError, "weight_decay must be at least 0, got -1"),
    ],
)
def test_bad_arguments(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_a_default_decay_is_enough():
    assert sizes(ec.optim.AdamW(groups="no_bias_decay")(nn.Linear(2, 3))) == [1, 1]
