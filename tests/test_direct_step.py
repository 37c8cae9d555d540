"""The short way through an optimizer's step: the same bits and the same state, and nobody is passed by."""

import copy
import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.optimizer import register_optimizer_step_post_hook

from easyconv.optim import direct

OPTIONS = {
    SGD: [
        {},
        {"weight_decay": 1e-3},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
        {"maximize": True},
        {"foreach": True},
        {"foreach": False},
    ],
    Adam: [{}, {"weight_decay": 1e-2}, {"amsgrad": True}, {"betas": (0.5, 0.7), "eps": 1e-4}],
    AdamW: [{}, {"weight_decay": 0.3}, {"maximize": True}],
}
CASES = [(cls, options, fused) for cls, several in OPTIONS.items() for options in several for fused in (None, True)]
CASES = [case for case in CASES if not (case[2] and case[1].keys() & {"foreach"})]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(33, 17), nn.ReLU(), nn.Linear(17, 5), nn.Linear(5, 5))


def backward(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    model.zero_grad()
    x, y = torch.randn(16, 33, generator=generator), torch.randint(5, (16,), generator=generator)
    nn.functional.cross_entropy(model(x), y).backward()


def same(one: object, other: object) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize(("cls", "options", "fused"), CASES)
def test_same_bits_and_state_as_the_optimizers_own_step(cls, options, fused):
    mine, theirs = net(), net()
    ours, plain = (cls(model.parameters(), lr=0.05, fused=fused, **options) for model in (mine, theirs))
    for number in range(6):
        for model in (mine, theirs):
            backward(model, number)
            if number == 3:  # a layer that got no gradient is left alone, also with momentum
                model[3].weight.grad = None
        direct.step(ours)
        plain.step()
    assert same(mine.state_dict(), theirs.state_dict())
    assert same(ours.state_dict(), plain.state_dict())


def test_groups_each_have_their_settings():
    def grouped(model):
        return SGD(
            [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[2].parameters(), "momentum": 0.0}],
            lr=0.1,
            momentum=0.9,
        )

    mine, theirs = net(), net()
    ours, plain = grouped(mine), grouped(theirs)
    for number in range(4):
        backward(mine, number)
        backward(theirs, number)
        direct.step(ours)
        plain.step()
        for optimizer in (ours, plain):
            optimizer.param_groups[1]["lr"] *= 0.5
    assert same(mine.state_dict(), theirs.state_dict())
    assert same(ours.state_dict(), plain.state_dict())


def test_takes_up_a_loaded_state():
    mine = net()
    ours = Adam(mine.parameters())
    for number in range(2):
        backward(mine, number)
        direct.step(ours)
    theirs = copy.deepcopy(mine)
    plain = Adam(theirs.parameters())
    plain.load_state_dict(copy.deepcopy(ours.state_dict()))
    for number in range(2, 4):
        backward(mine, number)
        backward(theirs, number)
        direct.step(ours)
        direct.step(plain)
    assert same(mine.state_dict(), theirs.state_dict())


class Counting(SGD):
    calls = 0

    def step(self, closure=None):
        type(self).calls += 1
        return super().step(closure)


def calls_of_step(watch) -> int:
    """How often torch's own step has run in two steps, seen by what it alone does: it asks for the group's state."""
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    watch(optimizer)
    found = []
    own = optimizer._init_group
    optimizer._init_group = lambda *arguments: (found.append(1), own(*arguments))[1]
    for number in range(2):
        backward(model, number)
        direct.step(optimizer)
    return len(found)


def test_the_short_way_is_taken_at_all():
    assert calls_of_step(lambda optimizer: None) == 0


@pytest.mark.parametrize(
    "watch",
    [
        lambda optimizer: optimizer.register_step_pre_hook(lambda *_: None),
        lambda optimizer: optimizer.register_step_post_hook(lambda *_: None),
        lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 1),
        lambda optimizer: optimizer.param_groups[0].update(lr=torch.tensor(0.1)),
        lambda optimizer: optimizer.param_groups[0].update(maximize=True),
    ],
    ids=["pre hook", "post hook", "scheduler", "tensor as rate", "maximize"],
)
def test_who_watches_the_step_or_asks_for_more_gets_torchs_own(watch):
    assert calls_of_step(watch) == 2


def test_a_global_hook_and_a_profiler_are_not_passed_by():
    seen = []
    handle = register_optimizer_step_post_hook(lambda *_: seen.append(1))
    try:
        assert calls_of_step(lambda optimizer: None) == 2
    finally:
        handle.remove()
    assert len(seen) == 2
    with torch.profiler.profile() as profile:
        assert calls_of_step(lambda optimizer: None) == 2
    assert any("Optimizer.step#SGD" in event.key for event in profile.key_averages())


def test_a_subclass_keeps_its_own_step():
    model = net()
    optimizer = Counting(model.parameters(), lr=0.1)
    backward(model, 0)
    direct.step(optimizer)
    assert Counting.calls == 1


def test_a_step_that_somebody_has_put_into_the_class_is_called(monkeypatch):
    called = []
    monkeypatch.setattr(SGD, "step", lambda self, closure=None: called.append(1))
    model = net()
    # The class is patched when the first optimizer is made, so the optimizer comes first.
    optimizer = SGD.__new__(SGD)
    optimizer.__dict__.update(vars(torch.optim.RMSprop(model.parameters(), lr=0.1)))
    direct.step(optimizer)
    assert called == [1]


def test_a_scheduler_does_not_complain(recwarn):
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    backward(model, 0)
    direct.step(optimizer)
    scheduler.step()
    assert [warning for warning in recwarn if "lr_scheduler" in str(warning.message)] == []
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


def test_sparse_gradients_go_through_torch():
    table = nn.Embedding(10, 3, sparse=True)
    before = table.weight.detach().clone()
    optimizer = SGD(table.parameters(), lr=0.1)
    table(torch.tensor([1, 2])).sum().backward()
    direct.step(optimizer)
    assert torch.equal(table.weight[3:], before[3:])
    assert torch.equal(table.weight[1], before[1] - 0.1)


@pytest.mark.parametrize("wraps", [True, False])
def test_a_step_that_was_put_into_the_class_is_called(monkeypatch: pytest.MonkeyPatch, wraps: bool) -> None:
    calls, kind = [], torch.optim.SGD
    original = kind.step

    def mine(self: Any, closure: Any = None) -> Any:
        calls.append(1)
        return original(self, closure)

    monkeypatch.setattr(kind, "step", functools.wraps(original)(mine) if wraps else mine)
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = kind([weight], lr=0.5)
    for _ in range(2):
        weight.grad = torch.ones(2)
        direct.step(optimizer)
    assert calls == [1, 1]


def test_betas_that_are_tensors_are_left_to_torch() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([weight], betas=(torch.tensor(0.9), torch.tensor(0.99)), foreach=False)
    for _ in range(3):
        weight.grad = torch.ones(2)
        direct.step(optimizer)
    assert torch.isfinite(weight).all()


# --- a flag on the device that keeps the step from being made ---------------------------------------------------------

BRAKED = [
    (SGD, {"momentum": 0.9, "weight_decay": 1e-3}),
    (SGD, {}),
    (Adam, {}),
    (AdamW, {"weight_decay": 0.3}),
]


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(("cls", "options"), BRAKED)
def test_a_flag_keeps_the_step_from_being_made(cls, options, watched):
    mine, theirs = net(), net()
    ours, plain = (cls(model.parameters(), lr=0.05, fused=True, **options) for model in (mine, theirs))
    if watched:  # torch's own step is called then
        ours.register_step_post_hook(lambda *_: None)
    for number, flag in enumerate([0.0, 0.0, 1.0, 0.0, 1.0]):
        backward(mine, number)
        if flag:
            mine[0].weight.grad.fill_(torch.nan)
        direct.step(ours, torch.tensor(flag))
        if not flag:
            backward(theirs, number)
            plain.step()
    assert same(mine.state_dict(), theirs.state_dict())
    assert same(ours.state_dict(), plain.state_dict())
    assert not hasattr(ours, "found_inf")
