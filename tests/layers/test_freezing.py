import copy
import pickle

import pytest
import torch
from torch import nn

from easyconv import layers
from easyconv.layers.freezing import freeze, is_frozen, unfreeze


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


@pytest.mark.parametrize("through", [lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_frozen_norm_keeps_statistics_through_train(through):
    model = net()
    keys = list(model.state_dict())
    freeze(model[1])
    model = through(model)
    model.train()
    mean = model[1].running_mean.clone()
    model(torch.randn(8, 3, 4, 4))
    assert torch.equal(model[1].running_mean, mean)
    assert not model[1].training
    assert model[0].training
    assert model[4].training
    assert type(model[1]) is nn.BatchNorm2d
    assert list(model.state_dict()) == keys
    unfreeze(model)
    assert model[1].training
    model(torch.randn(8, 3, 4, 4))
    assert not torch.equal(model[1].running_mean, mean)
    assert set(vars(model[1])) == set(vars(nn.BatchNorm2d(4)))


def test_copies_are_independent():
    model = net()
    freeze(model)
    twin = copy.deepcopy(model)
    unfreeze(twin)
    twin.train()
    assert twin[1].training
    model.train()
    assert not model[1].training


def test_only_the_frozen_parameters_stay():
    model = net()
    freeze(model[0])
    before = [p.detach().clone() for p in model.parameters()]
    model(torch.randn(8, 3, 4, 4)).square().sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert moved == [False, False, True, True, True, True]
    assert is_frozen(model[0])
    assert not is_frozen(model)
    assert not is_frozen(nn.ReLU())


def test_mode_after_unfreezing_is_the_one_asked_for_meanwhile():
    model = net()
    freeze(model)
    freeze(model)
    model.eval()
    unfreeze(model)
    assert not model[1].training
    assert all(p.requires_grad for p in model.parameters())


def test_an_unbuilt_net_can_be_frozen():
    model = nn.Sequential(layers.Conv2D(4, 3), layers.BatchNorm(), layers.Dense(2))
    freeze(model)
    model.train()
    model(torch.randn(2, 3, 6, 6))
    assert type(model[1]) is nn.BatchNorm2d
    assert is_frozen(model)
    assert torch.equal(model[1].running_mean, torch.zeros(4))
    model.train()
    assert not model[1].training


def test_frozen_net_exports():
    model = net()
    freeze(model)
    x = torch.randn(2, 3, 4, 4)
    exported = torch.export.export(model.eval(), (x,))
    torch.testing.assert_close(exported.module()(x), model(x))
