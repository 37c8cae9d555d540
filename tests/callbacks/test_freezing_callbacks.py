"""Freeze and Unfreeze in the midst of a training, against plain loops; and layers that any callback unfreezes."""

import pytest
import torch

import easyconv as ec
from easyconv.callbacks import Freeze, LambdaCallback, Unfreeze
from easyconv.errors import ArgumentError, ArgumentTypeError, LayerNotFoundError

X, Y = torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.ReLU(), torch.nn.Linear(6, 2))


def wrapped(**arguments):
    model = ec.Model(net(), input_shape=(4,))
    model.compile(ec.optim.SGD(lr=0.1, momentum=0.9), **arguments)
    return model


def plain(trained_in_epoch, epochs=4):
    """A loop of plain torch; ``trained_in_epoch(epoch)`` says whether the first two layers are trained."""
    twin = net()
    held = list(twin[3].parameters())
    optimizer = torch.optim.SGD(held, lr=0.1, momentum=0.9)
    early = [*twin[0].parameters(), *twin[1].parameters()]
    for epoch in range(epochs):
        trained = trained_in_epoch(epoch)
        if trained and len(optimizer.param_groups) == 1:
            optimizer.add_param_group({"params": early})
        for parameter in early:
            parameter.requires_grad = trained
        twin.train()
        twin[1].train(trained)
        for rows in torch.arange(12).split(4):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(twin(X[rows]), Y[rows]).backward()
            optimizer.step()
    return twin


def same(model, twin):
    ours, theirs = model.state_dict(), twin.state_dict()
    return all(
        torch.equal(ours[f"net.{name}"] if f"net.{name}" in ours else ours[name], theirs[name]) for name in theirs
    )


def fit(model, *callbacks, epochs=4):
    model.fit(X, Y, batch_size=4, shuffle=False, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model


@pytest.mark.parametrize("epoch", [0, 1, 3, 9])
def test_freezes_from_an_epoch_on(epoch):
    model = fit(wrapped(), Freeze("0", "1", epoch=epoch))
    assert same(model, plain(lambda now: now < epoch))


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_unfreezes_from_an_epoch_on(epoch):
    model = wrapped()
    model.freeze("0", "1")
    fit(model, Unfreeze("0", "1", epoch=epoch))
    assert same(model, plain(lambda now: now >= epoch))


def test_the_whole_net_where_no_layer_is_named():
    model = wrapped()
    model.freeze("0", "1")
    assert same(fit(model, Unfreeze(epoch=2)), plain(lambda now: now >= 2))


def test_both_after_each_other():
    model = wrapped()
    model.freeze("0", "1")
    fit(model, Unfreeze("0", "1", epoch=1), Freeze("0", "1", epoch=3))
    assert same(model, plain(lambda now: 1 <= now < 3))


def test_any_callback_may_unfreeze_before_an_epoch():
    model = wrapped()
    model.freeze("0", "1")
    fit(model, LambdaCallback(on_epoch_begin=lambda epoch, logs: model.unfreeze() if epoch == 2 else None))
    assert same(model, plain(lambda now: now >= 2))


def test_averages_follow_what_is_trained():
    model = wrapped(ema=0.5)
    model.freeze("0", "1")
    fit(model, Unfreeze(epoch=2))
    assert len(model._session.average.weights) == 6
    model.fit(X, Y, batch_size=4, verbose=0)


def test_each_parameter_finds_its_group():
    model = ec.Model(net(), input_shape=(4,))
    model.compile(ec.optim.SGD(lr=0.1, groups=ec.optim.layer_rates({"3": 1.0}, rest=0.1)))
    model.freeze("0", "1")
    fit(model, ec.callbacks.DropLR(1), Unfreeze(epoch=2))
    assert [(group["lr"], len(group["params"])) for group in model.optimizer.param_groups] == [
        (pytest.approx(0.01), 2),
        (pytest.approx(0.001), 4),
    ]


def test_an_initial_epoch_beyond_it_acts_at_once():
    model = wrapped()
    model.fit(X, Y, batch_size=4, epochs=4, initial_epoch=3, verbose=0, callbacks=Freeze("0", epoch=1))
    assert not any(parameter.requires_grad for parameter in model.get_layer("0").parameters())


def test_layers_must_be_there():
    model = wrapped()
    with pytest.raises(LayerNotFoundError, match="'9'"):
        fit(model, Freeze("9", epoch=3))
    assert len(model.history) == 0
    with pytest.raises(ArgumentError, match=r"needs at least one layer: Freeze\('features', epoch=3\)"):
        Freeze(epoch=3)
    with pytest.raises(ArgumentTypeError, match="epoch must be an integer"):
        Unfreeze("0", epoch=1.5)
