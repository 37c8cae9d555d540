"""Optimizers against those made by hand."""

import copy
import functools
import inspect
import pickle

import pytest
import torch
from torch import nn

import easyconv.optim as optim
from easyconv.errors import ArgumentError, ArgumentTypeError, StateError, UnknownNameError
from easyconv.optim import OptimizerFactory, describe, get_lr, resolve_optimizer, scale_lr, set_lr

CLASSES = [
    cls
    for cls in vars(torch.optim).values()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
]
NAMES = [cls.__name__ for cls in CLASSES if cls is not torch.optim.LBFGS]


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 1, bias=False))


@pytest.mark.parametrize("name", NAMES)
def test_every_class_of_torch_is_found_in_every_form(name):
    cls = getattr(torch.optim, name)
    forms = [name.lower(), name, cls, getattr(optim, name), getattr(optim, name)()]
    expected = cls(net().parameters())
    for form in forms:
        found = resolve_optimizer(form)(net())
        assert type(found) is cls
        assert found.defaults == expected.defaults
    assert name in optim.__all__
    assert name in dir(optim)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "SparseAdam"])
def test_a_step_is_that_of_torch(name):
    ours, plain = net(), net()
    first = resolve_optimizer(name, lr=0.01)(ours)
    second = getattr(torch.optim, name)(plain.parameters(), lr=0.01)
    for model, optimizer in ((ours, first), (plain, second)):
        model(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), plain.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_torch_s_without_params(name):
    ours = inspect.signature(getattr(optim, name)).parameters
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    assert list(ours) == [*list(theirs)[1:], "groups"]
    assert all(ours[key].default == theirs[key].default for key in ours if key != "groups")
    assert f"torch.optim.{name}" in getattr(optim, name).__doc__


def test_everything_exported_exists():
    for name in optim.__all__:
        assert getattr(optim, name) is not None
    with pytest.raises(AttributeError, match=r"has no optimizer 'Adm'. Did you mean 'Adam'"):
        optim.Adm  # noqa: B018


def test_arguments_now_and_parameters_later():
    factory = optim.SGD(lr=0.1, momentum=0.9)
    assert isinstance(factory, OptimizerFactory)
    assert repr(factory) == "SGD(lr=0.1, momentum=0.9)"
    for same in (factory, copy.deepcopy(factory), pickle.loads(pickle.dumps(factory))):
        group = same(net()).param_groups[0]
        assert (group["lr"], group["momentum"]) == (0.1, 0.9)
    assert get_lr(resolve_optimizer(optim.SGD(momentum=0.9), lr=0.5)(net())) == 0.5


def test_only_what_can_be_trained_in_order_and_once():
    model, extra = net(), nn.Parameter(torch.zeros(1))
    model[0].weight.requires_grad_(False)
    held = resolve_optimizer("sgd")(model, [extra, model[1].weight]).param_groups[0]["params"]
    assert [id(parameter) for parameter in held] == [id(model[1].weight), id(extra)]


def test_nothing_to_train():
    with pytest.raises(StateError, match="nothing to train: the net has no parameters"):
        resolve_optimizer("sgd")(nn.ReLU())
    frozen = net().requires_grad_(False)
    with pytest.raises(StateError, match="all 2 parameters are frozen"):
        resolve_optimizer("sgd")(frozen)


def test_functions_and_partials():
    made = resolve_optimizer(functools.partial(torch.optim.SGD, momentum=0.5), lr=0.2)(net())
    assert describe(made) == "SGD(lr=0.2, momentum=0.5)"
    made = resolve_optimizer(lambda parameters: torch.optim.Adam(parameters, lr=0.3))(net())
    assert get_lr(made) == 0.3
    with pytest.raises(ArgumentError, match="together with the function '<lambda>', which takes no lr"):
        resolve_optimizer(lambda parameters: torch.optim.Adam(parameters), lr=0.1)
    with pytest.raises(ArgumentTypeError, match=r"must return a torch.optim.Optimizer, got list"):
        resolve_optimizer(list)(net())


def test_instances():
    model = net()
    given = torch.optim.SGD(model.parameters(), lr=0.1)
    assert resolve_optimizer(given)(model) is given
    part = torch.optim.SGD(model[1].parameters(), lr=0.1)
    assert resolve_optimizer(part)(model) is part
    with pytest.raises(ArgumentError, match="2 of the 2 parameters of the optimizer SGD do not belong to this net"):
        resolve_optimizer(given)(net())
    with pytest.raises(ArgumentError, match=r"exists already, SGD\(lr=0.1\).*ec.optim.SGD\(lr=0.5\)"):
        resolve_optimizer(given, lr=0.5)
    model.requires_grad_(False)
    with pytest.raises(StateError, match="all 2 parameters are frozen"):
        resolve_optimizer(given)(model)


def test_an_instance_made_before_sizes_are_known():
    model = nn.Sequential(nn.LazyLinear(4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.zeros(1, 3))
    assert resolve_optimizer(optimizer)(model) is optimizer


@pytest.mark.parametrize(
    ("optimizer", "lr", "error", "match"),
    [
        ("adm", None, UnknownNameError, "There is no optimizer called 'adm'. Did you mean 'adam"),
        ("lbfgs", None, ArgumentError, "LBFGS computes the loss of one batch several times per step"),
        (torch.optim.LBFGS, None, ArgumentError, "LBFGS computes"),
        (3, None, ArgumentTypeError, r"optimizer must be a name .* got 3 \(int\)"),
        ("sgd", 0, ArgumentError, "lr must be more than 0, got 0: nothing would change"),
        ("sgd", -1.0, ArgumentError, "lr must be more than 0, got -1.0"),
        ("sgd", float("nan"), ArgumentError, "lr must be more than 0, got nan"),
        ("sgd", float("inf"), ArgumentError, "lr must be more than 0, got inf"),
        ("sgd", "0.1", ArgumentTypeError, "lr must be a number, got '0.1'"),
        (optim.SGD(lr=0.1), 0.2, ArgumentError, r"given twice: lr=0.2 and ec.optim.SGD\(lr=0.1\)"),
    ],
)
def test_bad_optimizers(optimizer, lr, error, match):
    with pytest.raises(error, match=match):
        resolve_optimizer(optimizer, lr)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: optim.SGD(momentun=0.9), ArgumentError, "SGD has no argument 'momentun'. Did you mean 'momentum'"),
        (lambda: optim.Adam(learning_rate=0.1), ArgumentError, "Adam has no argument 'learning_rate'. Use lr."),
        (lambda: optim.Adam(clipnorm=1.0), ArgumentError, r"no argument 'clipnorm'. Use compile\(clip_norm"),
        (lambda: optim.SGD(momentum=-1), ArgumentError, r"SGD\(momentum=-1\) is not possible: Invalid momentum"),
        (lambda: optim.SGD(lr=0), ArgumentError, "lr must be more than 0"),
        (lambda: optim.SGD(0.1), ArgumentTypeError, r"takes its arguments by name: ec.optim.SGD\(lr=0.1\)"),
        (lambda: optim.SGD(net().parameters()), ArgumentTypeError, "ec.optim.SGD takes no parameters to train"),
    ],
)
def test_bad_arguments_are_refused_at_once(make, error, match):
    with pytest.raises(error, match=match):
        make()


def grouped():
    return torch.optim.SGD([{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)], "lr": 0.1}], lr=1.0)


def rates(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def test_set_lr_keeps_ratios_even_through_zero():
    optimizer = grouped()
    set_lr(optimizer, 0.0)
    assert rates(optimizer) == [0, 0]
    set_lr(optimizer, 0.5)
    assert rates(optimizer) == pytest.approx([0.5, 0.05])
    again = grouped()
    again.load_state_dict(optimizer.state_dict())
    set_lr(again, 2.0)
    assert rates(again) == pytest.approx([2.0, 0.2])
    with pytest.raises(ArgumentError, match="lr must be at least 0"):
        set_lr(optimizer, -1.0)


def test_set_lr_of_one_group_adds_nothing_to_the_state():
    optimizer = torch.optim.SGD(net().parameters(), lr=0.1)
    before = optimizer.state_dict()["param_groups"][0].keys()
    set_lr(optimizer, 0.5)
    assert get_lr(optimizer) == 0.5
    assert optimizer.state_dict()["param_groups"][0].keys() == before


def test_scale_lr_stops_at_the_least():
    optimizer = grouped()
    assert scale_lr(optimizer, 0.5, min_lr=0.2) == 0.5
    assert rates(optimizer) == [0.5, 0.1]
    scale_lr(optimizer, 0.1, min_lr=0.2)
    assert rates(optimizer) == [0.2, 0.1]


def test_groups_that_share_a_rate_that_is_a_tensor_are_scaled_once():
    rate = torch.tensor(1.0)
    parts = [{"params": [torch.zeros(1)]}, {"params": [torch.zeros(1)]}]
    optimizer = torch.optim.SGD(parts, lr=rate)
    assert scale_lr(optimizer, 0.5) == 0.5
    assert rates(optimizer) == [0.5, 0.5]


def test_a_rate_that_is_a_tensor_stays_that_tensor():
    rate = torch.tensor(0.1)
    optimizer = torch.optim.SGD(net().parameters(), lr=rate)
    set_lr(optimizer, 0.5)
    assert optimizer.param_groups[0]["lr"] is rate
    assert get_lr(optimizer) == 0.5


def test_describe():
    assert describe(grouped()) == "SGD(lr=1, 2 parameter groups)"
    assert describe(torch.optim.AdamW(net().parameters(), lr=1e-4)) == "AdamW(lr=0.0001)"
