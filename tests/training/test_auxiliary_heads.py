"""Nets that give more in training than in evaluation: the losses of their auxiliary heads count less."""

from typing import NamedTuple

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import easyconv as ec


class Outputs(NamedTuple):
    logits: Tensor
    aux_logits: Tensor | None
    aux_logits2: Tensor | None = None


class HalfWeighted(Outputs):
    aux_weight = 0.5


class TwoHeads(nn.Module):
    def __init__(self, outputs=Outputs, *, second=False):
        super().__init__()
        self.body, self.head, self.aux, self.outputs, self.second = (
            nn.Linear(4, 5),
            nn.Linear(5, 3),
            nn.Linear(5, 3),
            outputs,
            second,
        )

    def forward(self, x):
        hidden = self.body(x)
        logits = self.head(hidden)
        if not self.training:
            return logits
        return self.outputs(logits, self.aux(hidden), self.aux(2 * hidden) if self.second else None)


def data(rows=24):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, 4, generator=generator), torch.randint(3, (rows,), generator=generator)


def plain_loop(net, x, y, weight, epochs=2, batch=8, sample_weight=None):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(epochs):
        for rows in torch.arange(len(x)).split(batch):
            outputs = net.train()(x[rows])
            losses = [cross_entropy(o, y[rows], reduction="none") for o in outputs if o is not None]
            if sample_weight is not None:
                losses = [loss * sample_weight[rows] for loss in losses]
            loss = losses[0].mean()
            for other in losses[1:]:
                loss = loss + weight * other.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize(("outputs", "weight"), [(Outputs, 0.3), (HalfWeighted, 0.5)])
@pytest.mark.parametrize("second", [False, True])
def test_the_same_bits_as_a_plain_loop(outputs, weight, second):
    torch.manual_seed(0)
    net = TwoHeads(outputs, second=second)
    twin = TwoHeads(outputs, second=second)
    twin.load_state_dict(net.state_dict())
    x, y = data()
    model = ec.Model(net)
    model.compile("sgd", lr=0.1)
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    plain_loop(twin, x, y, weight)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters(), strict=True))


def test_sample_weights_reach_every_head():
    torch.manual_seed(0)
    net, twin = TwoHeads(), TwoHeads()
    twin.load_state_dict(net.state_dict())
    x, y = data()
    weights = torch.linspace(0.1, 2, len(x))
    model = ec.Model(net)
    model.compile("sgd", lr=0.1)
    model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0, sample_weight=weights)
    plain_loop(twin, x, y, 0.3, epochs=1, sample_weight=weights)
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(net.parameters(), twin.parameters(), strict=True))


def test_metrics_and_evaluation_see_the_logits_only():
    torch.manual_seed(0)
    net = TwoHeads()
    x, y = data()
    model = ec.Model(net)
    model.compile("sgd", lr=1e-9, metrics=["accuracy"])
    row = model.fit(x, y, batch_size=24, verbose=0, validation_data=(x, y)).history
    logits = net.eval()(x)
    assert row["accuracy"] == row["val_accuracy"] == [pytest.approx(float((logits.argmax(1) == y).float().mean()))]
    main = float(cross_entropy(logits, y).detach())
    aux = float(cross_entropy(net.aux(net.body(x)), y).detach())
    assert row["val_loss"] == [pytest.approx(main, abs=1e-6)]
    assert row["loss"] == [pytest.approx(main + 0.3 * aux, abs=1e-5)]
    assert model.predict(x).shape == (24, 3)


def test_a_loss_of_your_own_gets_all_outputs():
    seen = []

    class Own(ec.Model):
        def compute_loss(self, output, target, sample_weight=None):
            seen.append(type(output))
            return cross_entropy(output[0] if isinstance(output, tuple) else output, target)

    model = Own(TwoHeads())
    model.compile("sgd", metrics=["accuracy"])
    model.fit(*data(), verbose=0)
    assert seen == [Outputs]


def test_torchvisions_googlenet_trains_as_it_is():
    net = torchvision.models.googlenet(num_classes=3, init_weights=False, aux_logits=True)
    model = ec.Model(net)
    model.compile("sgd", metrics=["accuracy"])
    images, labels = torch.rand(2, 3, 64, 64), torch.tensor([0, 2])
    heads = [net.aux1.fc2.weight, net.aux2.fc2.weight, net.fc.weight]
    before = [weight.detach().clone() for weight in heads]
    model.fit(images, labels, batch_size=2, verbose=0)
    assert not any(torch.equal(weight, old) for weight, old in zip(heads, before, strict=True))


def test_other_tuples_still_need_a_target_each():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x):
            y = self.linear(x)
            return (y, y) if self.training else y

    model = ec.Model(Pair())
    model.compile("sgd")
    with pytest.raises(ec.errors.ArgumentError, match=r"named tuple \(logits, aux_logits\), whose auxiliary losses"):
        model.fit(*data(), verbose=0)


def test_outputs_with_targets_of_their_own_are_no_heads():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return Outputs(self.a(x), self.b(x), self.b(x))

    torch.manual_seed(0)
    net = Both()
    x, y = data()
    with torch.no_grad():
        expected = sum(float(cross_entropy(part, y)) for part in net(x))
    model = ec.Model(net)
    model.compile("sgd", lr=1e-9)
    history = model.fit(x, (y, y, y), batch_size=24, verbose=0)
    assert history.history["loss"] == [pytest.approx(expected, abs=1e-5)]
