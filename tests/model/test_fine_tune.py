"""fine_tune() is one training in two phases: one split, one sequence of events, one set of rates each."""

import os
import signal

import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv.errors import ArgumentTypeError, StateError

X, Y = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 3


def layers():
    ec.set_seed(0)
    body = [("one", ec.layers.Conv2D(4, 3)), ("norm", ec.layers.BatchNorm()), ("flat", ec.layers.Flatten())]
    return [*body, ("head", ec.layers.Dense(3))]


def compiled(optimizer="sgd", cls=ec.Sequential, **how):
    model = cls(layers(), input_shape=(1, 8, 8))
    model.compile(optimizer, device="cpu", **how)
    return model


class Witness(ec.Sequential):
    """Notes which rows, known by their first pixel, it trains on and validates on."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.trained, self.validated = [], []

    def train_step(self, batch):
        self.trained += batch.x[:, 0, 0, 0].tolist()
        return super().train_step(batch)

    def test_step(self, batch):
        self.validated += batch.x[:, 0, 0, 0].tolist()
        return super().test_step(batch)


def numbered(rows):
    return (torch.arange(rows) / rows).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).contiguous(), torch.arange(rows) % 3


def test_both_phases_hold_out_the_same_rows():
    model = compiled(cls=Witness, lr=0.01)
    x, y = numbered(48)
    model.fine_tune(x, y, epochs=2, head_epochs=2, validation_split=0.25, batch_size=6, verbose=0)
    assert len(set(model.validated)) == 12
    assert len(set(model.trained)) == 36
    assert not set(model.validated) & set(model.trained)


def test_a_generator_goes_on_where_the_first_phase_stopped():
    x, y = numbered(30)
    model = compiled(cls=Witness, lr=0.01)
    batches = zip(x.split(5), y.split(5), strict=True)
    model.fine_tune(batches, epochs=2, head_epochs=1, steps_per_epoch=2, verbose=0)
    assert model.trained == x[:, 0, 0, 0].tolist()


class Events(ec.callbacks.Callback):
    def __init__(self):
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append(("begin", self.params["epochs"]))

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append((epoch, len(self.model.optimizer.param_groups)))

    def on_train_end(self, logs=None):
        self.seen.append("end")


def test_callbacks_see_one_training_and_the_new_optimizer_as_soon_as_its_epoch_begins():
    model, events = compiled(lr=0.01), Events()
    model.fine_tune(X, Y, epochs=2, head_epochs=1, verbose=0, callbacks=events)
    assert events.seen == [("begin", 3), (0, 1), (1, 3), (2, 3), "end"]


def test_a_table_of_epochs_has_both_phases(tmp_path):
    compiled(lr=0.01).fine_tune(X, Y, epochs=2, verbose=0, callbacks=ec.callbacks.CSVLogger(tmp_path / "log.csv"))
    assert [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().split()] == ["epoch", "0", "1", "2"]


def test_the_best_weights_are_those_of_both_phases():
    model, kept = compiled(lr=0.01), []
    best = ec.callbacks.EarlyStopping("learning_rate", mode="max", patience=9, restore_best_weights=True)
    keep = ec.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model[-1].weight.detach().clone()))
    model.fine_tune(X, Y, epochs=2, verbose=0, callbacks=[best, keep])
    assert torch.equal(model[-1].weight, kept[0])
    assert not torch.equal(kept[0], kept[2])


def test_stop_training_ends_all_of_it_and_nothing_stays_frozen():
    model = compiled(lr=0.01)
    stop = ec.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", True))
    assert model.fine_tune(X, Y, epochs=2, head_epochs=2, verbose=0, callbacks=stop).epoch == [0]
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model[1].train().training


def rates_after(model, **options):
    model.fine_tune(X, Y, verbose=0, **options)
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: (group["lr"], group["weight_decay"])
        for group in model.optimizer.param_groups
        for parameter in group["params"]
    }


def test_rates_and_the_decay_of_weights_both_hold():
    model = compiled(ec.optim.SGD(lr=0.1, weight_decay=0.5, groups="no_bias_decay"))
    assert rates_after(model, lr=0.08, decay=0.5) == {
        "head.weight": (0.08, 0.5),
        "head.bias": (0.08, 0.0),
        "norm.weight": (0.04, 0.0),
        "norm.bias": (0.04, 0.0),
        "one.weight": (0.02, 0.5),
        "one.bias": (0.02, 0.0),
    }


def test_rates_of_the_users_groups_are_lowered_and_keep_their_ratio():
    def groups(net):
        return [
            {"params": net.get_layer("head").parameters(), "lr": 0.4},
            {"params": [p for name, p in net.named_parameters() if not name.startswith("head")]},
        ]

    for grouping in (groups, ec.optim.layer_rates({"head": 4.0}, rest=1.0)):
        found = rates_after(compiled(ec.optim.SGD(lr=0.1, groups=grouping)), lr=0.01, decay=0.5)
        assert {name: rate for name, (rate, _) in found.items() if "weight" in name} == pytest.approx(
            {"head.weight": 0.04, "norm.weight": 0.005, "one.weight": 0.0025}
        )


def test_the_factory_says_what_it_does():
    factory = ec.optim.SGD(lr=0.1, weight_decay=0.5, groups="no_bias_decay").fine(0.01, 0.5)
    assert repr(factory) == "SGD(lr=0.01, weight_decay=0.5, groups=layerwise(0.5) within 'no_bias_decay')"


def test_a_second_call_begins_like_the_first():
    model = compiled(lr=0.1)
    rates = [model.fine_tune(X, Y, epochs=1, verbose=0).history["learning_rate"] for _ in range(2)]
    assert rates == [[0.1, pytest.approx(0.01)]] * 2
    assert model.fit(X, Y, verbose=0).history["learning_rate"] == [pytest.approx(0.01)]


@pytest.mark.parametrize("options", [{"epoch": 3}, {"learning_rate": 1}, {"batch_size": 0}, {"epochs": -1}])
def test_a_refused_call_changes_nothing(options):
    model = compiled(lr=0.1)
    recipe = model._session.recipe
    with pytest.raises(ec.errors.EasyconvError):
        model.fine_tune(X, Y, head_epochs=0, verbose=0, **options)
    assert model._session.recipe is recipe
    assert model.fit(X, Y, verbose=0).history["learning_rate"] == [0.1]


def test_a_head_that_is_frozen_is_named():
    model = compiled()
    model.freeze("head")
    with pytest.raises(StateError, match=r"'head' is frozen. Call model.unfreeze\('head'\), or leave the first phase"):
        model.fine_tune(X, Y, verbose=0)
    before = model[-1].weight.clone()
    model.fine_tune(X, Y, head_epochs=0, verbose=0)
    assert torch.equal(model[-1].weight, before)


def test_words_of_keras_are_explained():
    with pytest.raises(ArgumentTypeError, match=r"fine_tune\(\) has no argument learning_rate=. Write lr=."):
        compiled().fine_tune(X, Y, learning_rate=0.1)


def test_without_second_epochs_the_optimizer_of_compile_stays():
    model = compiled(lr=0.1)
    model.fine_tune(X, Y, epochs=0, verbose=0)
    assert [group["lr"] for group in model.optimizer.param_groups] == [0.1]
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(("start", "rates"), [(1, [0.1, 0.01, 0.01]), (2, [0.01, 0.01]), (3, [0.01])])
def test_it_may_begin_in_the_middle(start, rates):
    history = compiled(lr=0.1).fine_tune(X, Y, epochs=2, head_epochs=2, initial_epoch=start, verbose=0)
    assert history.epoch == list(range(start, 4))
    assert history.history["learning_rate"] == pytest.approx(rates)


def test_averaged_weights_follow_both_phases():
    model = compiled("sgd", lr=0.1, ema=0.5)
    raw = []
    note = ec.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: raw.append([p.detach().clone() for p in model.parameters()])
    )
    start = [parameter.detach().clone() for parameter in model.parameters()]
    model.fine_tune(X, Y, epochs=2, batch_size=24, verbose=0, callbacks=note)
    for number, parameter in enumerate(model.parameters()):
        trained = number >= len(start) - 2  # the head, in the first phase
        begun = raw[0][number] if trained else start[number]
        average = begun.lerp(raw[1][number], 0.5).lerp(raw[2][number], 0.5)
        assert torch.equal(parameter, average)
    assert not model.optimizer._optimizer_step_post_hooks


def test_ctrl_c_in_the_first_phase_gives_back_what_the_user_had_frozen():
    model = compiled(lr=0.1)
    model.freeze("one")
    press = ec.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        model.fine_tune(X, Y, verbose=0, callbacks=press)
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True, True, True]
    assert model[1].train().training
    assert model.fit(X, Y, verbose=0).history["learning_rate"] == [0.1]


def test_the_same_bits_as_a_plain_loop():
    model = compiled(ec.optim.SGD(lr=0.1, momentum=0.9), channels_last=False)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    net.load_state_dict(dict(zip(net.state_dict(), model.state_dict().values(), strict=True)))
    model.fine_tune(X, Y, epochs=2, head_epochs=2, lr=0.02, decay=0.5, batch_size=8, shuffle=False, verbose=0)

    def train(optimizer):
        for _ in range(2):
            for x, y in zip(X.split(8), Y.split(8), strict=True):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y).backward()
                optimizer.step()

    net[1].eval()
    train(torch.optim.SGD(net[3].parameters(), lr=0.1, momentum=0.9))
    net[1].train()
    groups = [{"params": net[place].parameters(), "lr": rate} for place, rate in ((3, 0.02), (1, 0.01), (0, 0.005))]
    train(torch.optim.SGD(groups, lr=0.02, momentum=0.9))
    assert all(torch.equal(*pair) for pair in zip(net.state_dict().values(), model.state_dict().values(), strict=True))
