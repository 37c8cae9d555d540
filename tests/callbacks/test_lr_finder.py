"""LRFinder: what it tries, what it suggests, and that it leaves no trace."""

import math

import pytest
import torch

import easyconv as ec
from easyconv.callbacks import Callback, LRFinder
from easyconv.errors import ArgumentError, StateError

X, Y = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 2


def compiled(**arguments):
    torch.manual_seed(0)
    layers = [ec.layers.Dense(6), ec.layers.BatchNorm(), ec.layers.Dropout(0.3), ec.layers.Dense(2)]
    model = ec.Sequential(layers, input_shape=(4,))
    model.compile("adam", **arguments)
    return model


def everything(model):
    optimizer, session = model.optimizer, model._session
    return {
        "weights": {name: value.tolist() for name, value in model.state_dict().items()},
        "moments": [{name: value.tolist() for name, value in state.items()} for state in optimizer.state.values()],
        "groups": [
            {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
        ],
        "progress": dict(vars(session.progress)),
        "averages": None if session.average is None else [value.tolist() for value in session.average.averages],
        "raw": None if session.average is None else [value.tolist() for value in session.average._raw],
        "random": torch.get_rng_state().tolist(),
        "history": model.history.history,
        "modes": [module.training for module in model.modules()],
    }


@pytest.mark.parametrize("arguments", [{}, {"ema": 0.9}, {"accumulate": 2}])
@pytest.mark.parametrize("highest", [1.0, 1e35])
def test_gives_everything_back_bit_by_bit(arguments, highest):
    model = compiled(**arguments)
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    before = everything(model)
    LRFinder(highest=highest, steps=30).find(model, X, Y, batch_size=8)
    assert everything(model) == before


def test_gives_everything_back_after_an_error_too():
    class Fails(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise ZeroDivisionError

    model = compiled()
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    before = everything(model)
    with pytest.raises(ZeroDivisionError):
        LRFinder().find(model, X, Y, batch_size=8, seed=1, callbacks=[Fails()])
    assert everything(model) == before


def test_a_training_after_it_is_the_same_as_without_it():
    plain, watched = compiled(), compiled()
    torch.manual_seed(1)
    LRFinder(steps=20).find(watched, X, Y, batch_size=8)
    watched.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    torch.manual_seed(1)
    plain.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    assert everything(plain) == everything(watched)


def test_rates_rise_by_the_same_factor():
    model = compiled()
    finder = LRFinder(1e-6, 1e-2, steps=41).find(model, X, Y, batch_size=8)
    assert finder.rates == pytest.approx([1e-6 * 10 ** (0.1 * step) for step in range(41)])
    assert len(finder.losses) == 41


def test_groups_keep_their_ratios():
    seen = []

    class Look(Callback):
        def on_train_batch_begin(self, batch, logs=None):
            first, second = (group["lr"] for group in self.model.optimizer.param_groups)
            seen.append(second / first)

    model = compiled()
    model.compile(ec.optim.SGD(lr=0.5, groups=ec.optim.layer_rates({"3": 1.0}, rest=0.1)))
    LRFinder(steps=12).find(model, X, Y, batch_size=8, callbacks=Look())
    assert seen == pytest.approx([0.1] * len(seen))


def test_losses_are_those_of_plain_torch():
    net = torch.nn.Linear(4, 2)
    model = ec.Model(net)
    model.compile("sgd")
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    finder = LRFinder(1e-3, 1.0, steps=16).find(model, X, Y, batch_size=8, shuffle=False)
    twin = torch.nn.Linear(4, 2)
    twin.load_state_dict(weights)
    expected = []
    for step in range(16):
        optimizer = torch.optim.SGD(twin.parameters(), lr=1e-3 * 1000 ** (step / 15))
        rows = slice(8 * (step % 8), 8 * (step % 8) + 8)
        loss = torch.nn.functional.cross_entropy(twin(X[rows]), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert finder.losses == pytest.approx(expected, rel=1e-5)


def test_stops_where_the_loss_diverges():
    """Gradient descent on w² with curvature 2 grows beyond a rate of 1."""

    class Bowl(ec.Model):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.weight + 0 * x

    model = Bowl()
    model.compile("sgd", "mse")
    finder = LRFinder(1e-4, 1e4, steps=200).find(model, torch.zeros(4, 1), torch.zeros(4, 1), batch_size=4)
    assert len(finder.rates) < 200
    assert len(finder.losses) == len(finder.rates)
    assert all(map(math.isfinite, finder.losses))
    assert 0.01 < finder.suggestion < 1.0
    assert model.weight.item() == 1.0


def test_suggests_where_the_loss_falls_fastest():
    finder = LRFinder()
    finder.rates = [10 ** (-6 + 0.1 * step) for step in range(70)]
    finder.losses = [2.0 - 1.0 / (1 + math.exp(-2 * (math.log10(rate) + 3))) for rate in finder.rates]
    assert finder.suggestion == pytest.approx(1e-3, rel=0.01)


def test_has_no_suggestion_where_the_loss_never_fell():
    with pytest.raises(StateError, match=r"the loss did not fall in 0 batches. Run it with finder.find\(model, x, y\)"):
        _ = LRFinder().suggestion
    finder = LRFinder()
    finder.rates, finder.losses = [1e-3 * 2**step for step in range(9)], [float(step) for step in range(9)]
    with pytest.raises(StateError, match="did not fall in 9 batches"):
        finder.plot()


def test_works_as_a_callback_too():
    model = compiled()
    finder = LRFinder(steps=10)
    model.fit(X, Y, batch_size=8, epochs=9, verbose=0, callbacks=finder)
    assert len(finder.losses) == 10
    assert len(model.history) == 0


def test_plots(tmp_path):
    finder = LRFinder(highest=1.0).find(compiled(), X, Y, batch_size=8)
    figure = finder.plot(tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 5000
    panel = figure.axes[0]
    assert panel.get_xscale() == "log"
    assert panel.get_title(loc="right") == f"suggestion {finder.suggestion:.2g}"
    assert list(panel.lines[0].get_xdata()) == finder.rates


def test_arguments_are_checked():
    with pytest.raises(ArgumentError, match=r"highest must be more than lowest, got 1\.0 and 0\.1"):
        LRFinder(1.0, 0.1)
    with pytest.raises(ArgumentError, match="steps must be at least 10"):
        LRFinder(steps=5)
