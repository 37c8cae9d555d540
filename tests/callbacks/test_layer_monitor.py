"""GradientMonitor and ActivationMonitor against what plain torch gives."""

import pytest
import torch

import easyconv as ec
from easyconv.callbacks import ActivationMonitor, GradientMonitor
from easyconv.errors import ArgumentError, LayerNotFoundError, StateError

X, Y = torch.randn(24, 4, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 2
IMAGES = torch.randn(24, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))


def fit(module, *callbacks, x=X, **arguments):
    model = ec.Model(module)
    model.compile("sgd", lr=0.1, **arguments)
    history = model.fit(
        x, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_data=(x, Y), callbacks=list(callbacks)
    )
    return model, history


def norms(clip=None):
    """Norms of the gradients per layer and in all, step by step, in a plain loop."""
    twin, steps = net(), []
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(2):
        for rows in torch.arange(24).split(8):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(twin(X[rows]), Y[rows]).backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(twin.parameters(), clip)
            layers = [torch.cat([p.grad.flatten() for p in twin[place].parameters()]) for place in (0, 2)]
            steps.append([*(layer.norm().item() for layer in layers), torch.cat(layers).norm().item()])
            optimizer.step()
    return torch.tensor(steps).reshape(2, 3, 3)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_norms_of_gradients(clip):
    monitor = GradientMonitor()
    _, history = fit(net(), monitor, clip_norm=clip)
    expected = norms(clip)
    for epoch, row in enumerate(monitor.rows):
        assert list(row) == ["net.0", "net.2"]
        for place, numbers in enumerate(row.values()):
            assert numbers["norm"] == pytest.approx(expected[epoch, :, place].mean().item(), rel=1e-5)
            assert numbers["largest"] == pytest.approx(expected[epoch, :, place].max().item(), rel=1e-5)
    assert history.history["gradient_norm"] == pytest.approx(expected[:, :, 2].mean(1).tolist(), rel=1e-5)


def test_accumulated_gradients_are_one_step():
    monitor = GradientMonitor()
    fit(net(), monitor, accumulate=3)
    twin = net()
    torch.nn.functional.cross_entropy(twin(X), Y).backward()
    first = torch.cat([parameter.grad.flatten() for parameter in twin[0].parameters()]).norm().item()
    assert monitor.rows[0]["net.0"]["norm"] == pytest.approx(first, rel=1e-5)


def test_frozen_layers_have_no_gradient_to_tell_of():
    module = net()
    ec.Model(module).freeze("0")
    monitor = GradientMonitor()
    fit(module, monitor)
    assert list(monitor.rows[0]) == ["net.2"]


def test_vanishing_gradients_are_told():
    torch.manual_seed(0)
    layers = [part for _ in range(12) for part in (torch.nn.Linear(8, 8), torch.nn.Sigmoid())]
    deep = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Sigmoid(), *layers, torch.nn.Linear(8, 2))
    monitor = GradientMonitor()
    fit(deep, monitor)
    told = monitor.advice()
    assert told[0].startswith("net.0: the gradient vanishes, its norm is ")
    assert told[0].endswith("Use ReLU, batch norm, shortcuts, or init='he'.")
    assert not any(line.startswith("net.26") for line in told)


def test_exploding_gradients_are_told():
    module = net()
    with torch.no_grad():
        module[2].weight.mul_(1e5)
    monitor = GradientMonitor()
    fit(module, monitor)
    assert any("a gradient exploded, its norm was" in line for line in monitor.advice())


def test_steps_of_an_optimizer_of_the_users_are_not_seen():
    class Own(ec.Model):
        def train_step(self, batch):
            return {"loss": torch.zeros(())}

    model, monitor = Own(net()), GradientMonitor()
    model.compile("sgd")
    model.fit(X, Y, verbose=0, callbacks=monitor)
    assert monitor.rows == []
    with pytest.raises(StateError, match=r"GradientMonitor has seen no epoch. Pass it to fit\(callbacks=...\) first"):
        monitor.plot()


def convolutional():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 2), torch.nn.Tanh()
    )
    with torch.no_grad():
        module[0].weight[1] = 0.0
        module[0].bias[1] = -1.0  # a unit that can never give anything
    return module


def test_activations_are_those_of_the_net():
    """A rate of 0 would be refused; one of 1e-30 leaves the weights where they are."""
    model = ec.Model(convolutional())
    model.compile("sgd", lr=1e-30)
    monitor = ActivationMonitor(every=1)
    history = model.fit(IMAGES, Y, batch_size=8, shuffle=False, verbose=0, callbacks=monitor)
    with torch.no_grad():
        twin = convolutional()
        maps = twin[1](twin[0](IMAGES))
        out = twin(IMAGES)
    numbers = monitor.rows[0]["net.1"]
    assert list(monitor.rows[0]) == ["net.1", "net.4"]
    assert numbers["mean"] == pytest.approx(maps.mean().item(), rel=1e-5)
    assert numbers["std"] == pytest.approx(maps.std(correction=0).item(), rel=1e-4)
    assert numbers["zeros"] == pytest.approx((maps == 0).float().mean().item(), rel=1e-6)
    assert numbers["dead"] == 0.25
    assert monitor.rows[0]["net.4"]["mean"] == pytest.approx(out.mean().item(), rel=1e-4)
    assert history.history["dead_units"] == [pytest.approx(1 / 6)]


def test_a_unit_is_dead_only_where_it_is_so_in_all_batches():
    class Half(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))
            self.rectify = torch.nn.ReLU()

        def forward(self, x):
            return self.rectify(x * self.weight)

    x = torch.full((24, 2), -1.0)
    x[8:16, 0] = 1.0  # the first unit lives in the second batch only
    monitor, seldom = ActivationMonitor(every=1), ActivationMonitor(every=2)
    model = ec.Model(Half())
    model.compile("sgd", "mse", lr=1e-30)
    model.fit(x, torch.zeros(24, 2), batch_size=8, shuffle=False, verbose=0, callbacks=[monitor, seldom])
    assert monitor.rows[0]["net.rectify"]["dead"] == 0.5
    assert seldom.rows[0]["net.rectify"]["dead"] == 1.0
    assert seldom.advice() == [
        "net.rectify: 100% of the units are dead. Lower the learning rate, or use init='he', batch norm or LeakyReLU."
    ]
    assert monitor.advice() == []


def test_validation_is_not_looked_at():
    looked, alone = ActivationMonitor(every=1), ActivationMonitor(every=1)
    fit(convolutional(), looked, x=IMAGES)
    model = ec.Model(convolutional())
    model.compile("sgd", lr=0.1)
    model.fit(IMAGES, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=alone)
    assert looked.rows == alone.rows


def test_layers_by_name():
    monitor = ActivationMonitor("0", every=1)
    fit(convolutional(), monitor, x=IMAGES)
    assert list(monitor.rows[0]) == ["0"]
    with pytest.raises(LayerNotFoundError):
        fit(convolutional(), ActivationMonitor("conv9"), x=IMAGES)


def test_nets_without_activation_layers_are_refused():
    with pytest.raises(ArgumentError, match=r"found no activation layer .* ActivationMonitor\('conv1'\)"):
        fit(torch.nn.Linear(4, 2), ActivationMonitor())


def test_compiled_code_is_refused():
    model = ec.Model(net())
    model.compile("sgd", jit=True)
    monitor = ActivationMonitor()
    monitor.set_model(model)
    with pytest.raises(ArgumentError, match=r"compile\(jit=True\) merges. Leave jit out while you look"):
        monitor.on_train_begin()


def test_plots(tmp_path):
    gradients, activations = GradientMonitor(), ActivationMonitor(every=1)
    fit(convolutional(), gradients, activations, x=IMAGES)
    figure = gradients.plot(tmp_path / "gradients.png")
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["Gradient norm, mean", "Gradient norm, largest"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["net.0", "net.3"]
    assert list(figure.axes[0].lines[0].get_ydata()) == [row["net.0"]["norm"] for row in gradients.rows]
    figure = activations.plot(tmp_path / "activations.svg")
    assert figure.axes[2].get_ylim() == pytest.approx((-0.03, 1.03))
    assert {path.name for path in tmp_path.iterdir()} == {"gradients.png", "activations.svg"}


def test_the_device_is_read_once_per_epoch(monkeypatch):
    reads = []
    for name in ("item", "tolist", "__float__", "__bool__", "cpu", "numpy"):
        original = getattr(torch.Tensor, name)

        def counting(tensor, *args, _original=original, _name=name, **kwargs):
            reads.append(_name)
            return _original(tensor, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counting)

    def count(batches, *callbacks):
        model = ec.Model(net(), input_shape=(4,))
        model.compile("sgd")
        x, y = X.repeat(batches, 1), Y.repeat(batches)
        reads.clear()
        model.fit(x, y, batch_size=8, verbose=0, shuffle=False, callbacks=list(callbacks))
        return len(reads)

    few, many = (count(n, GradientMonitor(), ActivationMonitor(every=1)) for n in (1, 20))
    plain_few, plain_many = (count(n) for n in (1, 20))
    assert many - plain_many == few - plain_few <= 2
