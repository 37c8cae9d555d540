"""Steps of the user's own, and nets with several inputs and outputs."""

from typing import Any

import numpy as np
import pytest
import torch
from plain_torch import BATCH, CLASSES, data, same_state
from torch import Tensor, nn
from torch.nn import functional

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    StateError,
)

# Steps of one's own


def wrapped(cls: type[ec.Model], metrics: Any = None) -> ec.Model:
    torch.manual_seed(2)
    model = cls(nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES)))
    model.compile("sgd", lr=0.1, metrics=metrics)
    return model


def test_an_own_train_step() -> None:
    class Own(ec.Model):
        def train_step(self, batch: Any) -> dict[str, Any]:
            x, y, _ = batch
            self.optimizer.zero_grad()
            loss = functional.cross_entropy(self(x), y)
            loss.backward()
            self.optimizer.step()
            return {"loss": loss, "rows": len(x), "twice": 2 * loss}

    own, plain = wrapped(Own), wrapped(ec.Model)
    results = [m.fit(*data(), batch_size=BATCH, shuffle=False, epochs=2, verbose=0).history for m in (own, plain)]
    assert same_state(own, plain)
    assert results[0]["loss"] == results[1]["loss"]
    assert results[0]["twice"] == pytest.approx([2 * loss for loss in results[1]["loss"]])
    assert results[0]["rows"] == [pytest.approx((6 * 8 * 8 + 2 * 2) / 50)] * 2  # averaged over samples


def test_an_own_step_that_returns_numbers_and_the_metrics_of_compile() -> None:
    class Own(ec.Model):
        names = ("loss",)

        def train_step(self, batch: Any) -> dict[str, Any]:
            result = super().train_step(batch)
            return dict.fromkeys(self.names, result.loss)

    model = wrapped(Own, ["accuracy"])
    with pytest.raises(ArgumentError, match=r"metrics \['accuracy'\], but the step returned no output.*StepResult"):
        model.fit(*data(), verbose=0)
    Own.names = ("loss", "accuracy")
    history = model.fit(*data(), validation_data=data(9), verbose=0).history
    assert history["accuracy"] == history["loss"]
    assert 0 <= history["val_accuracy"][0] <= 1


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "must return a StepResult or a dict"),
        ({"los": 1.0}, r"needs the key 'loss', got the keys \['los'\]"),
        ({"loss": torch.zeros(3)}, r"one number as 'loss', got the shape \(3,\)"),
    ],
)
def test_a_step_that_returns_something_else(returned: Any, message: str) -> None:
    class Own(ec.Model):
        def train_step(self, batch: Any) -> Any:
            return returned

        test_step = train_step

    model = wrapped(Own)
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        model.fit(*data(), verbose=0)
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        model.evaluate(*data(), verbose=0)


def test_own_test_and_predict_steps() -> None:
    class Own(ec.Model):
        def test_step(self, batch: Any) -> Any:
            result = super().test_step(batch)
            return {"loss": result.loss, "half": result.loss / 2}

        def predict_step(self, batch: Any) -> Any:
            return super().predict_step(batch).argmax(1)

    own, plain = wrapped(Own), wrapped(ec.Model)
    x, y = data()
    loss, half = own.evaluate(x, y, verbose=0)
    assert loss == plain.evaluate(x, y, verbose=0)
    assert half == pytest.approx(loss / 2)
    np.testing.assert_array_equal(own.predict(x, verbose=0), plain.predict(x, verbose=0).argmax(1))
    history = own.fit(x, y, validation_data=(x, y), verbose=0).history
    assert list(history) == ["loss", "val_loss", "val_half", "learning_rate"]


def test_an_own_loss() -> None:
    class Own(ec.Model):
        def compute_loss(self, output: Any, target: Any, sample_weight: Any = None) -> Tensor:
            return super().compute_loss(output, target, sample_weight) + 0.5 * output.square().mean()

    own = wrapped(Own)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))
    net.load_state_dict(own.net.state_dict())
    x, y = data()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    output = net(x)
    loss = functional.cross_entropy(output, y) + 0.5 * output.square().mean()
    loss.backward()
    optimizer.step()
    assert own.evaluate(x, y, batch_size=50, verbose=0) == loss.item()
    assert own.fit(x, y, batch_size=50, shuffle=False, verbose=0).history["loss"] == [loss.item()]
    assert same_state(own.net, net)


@pytest.mark.parametrize(
    ("loss", "message"),
    [(lambda o: o.sum(1), r"one number, got the shape \(32,\)"), (lambda o: 0.5, "must return a tensor, got 0.5")],
)
def test_an_own_loss_that_is_none(loss: Any, message: str) -> None:
    class Own(ec.Model):
        def compute_loss(self, output: Any, target: Any, sample_weight: Any = None) -> Any:
            return loss(output)

    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        wrapped(Own).fit(*data(), verbose=0)


def test_steps_work_only_inside_the_verbs() -> None:
    model = wrapped(ec.Model)
    with pytest.raises(StateError, match=r"work inside fit\(\) and evaluate\(\)"):
        model.train_step((*data(), None))


# Several inputs and outputs


class Pair(nn.Module):
    """Two inputs, two outputs: a class and a value."""

    def __init__(self, named: bool) -> None:
        super().__init__()
        self.named = named
        self.left, self.right = nn.Linear(4, CLASSES), nn.Linear(3, 1)

    def forward(self, left: Tensor, right: Tensor) -> Any:
        outputs = self.left(left), self.right(right)
        return dict(zip(("kind", "size"), outputs, strict=True)) if self.named else outputs


def pair_data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    left, right, size = (torch.randn(20, n, generator=generator) for n in (4, 3, 1))
    return left, right, torch.randint(CLASSES, (20,), generator=generator), size


@pytest.mark.parametrize("named", [False, True], ids=["tuple", "dict"])
@pytest.mark.parametrize("source", ["arrays", "list of batches"])
def test_several_inputs_and_outputs(named: bool, source: str) -> None:
    left, right, kind, size = pair_data()
    torch.manual_seed(0)
    net, plain = Pair(named), Pair(False)
    plain.load_state_dict(net.state_dict())
    model = ec.Model(net)
    if named:
        x: Any = {"left": left, "right": right}
        y: Any = {"kind": kind, "size": size}
        options: dict[str, Any] = {
            "loss": {"kind": "cross_entropy", "size": "mse"},
            "loss_weights": {"size": 0.25},
            "metrics": {"kind": ["accuracy"], "size": ["mae"]},
        }
        names = ["loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae"]
    else:
        x, y = (left, right), (kind, size)
        options = {
            "loss": ["cross_entropy", "mse"],
            "loss_weights": [1.0, 0.25],
            "metrics": [["accuracy"], ["mae"]],
        }
        names = ["loss", "output_0_loss", "output_1_loss", "output_0_accuracy", "output_1_mae"]
    model.compile("sgd", lr=0.1, **options)

    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    sums = torch.zeros(5, dtype=torch.float64)
    for rows in (slice(0, 8), slice(8, 16), slice(16, 20)):
        optimizer.zero_grad()
        logits, value = plain(left[rows], right[rows])
        first, second = functional.cross_entropy(logits, kind[rows]), functional.mse_loss(value, size[rows])
        loss = first + 0.25 * second
        loss.backward()
        optimizer.step()
        right_ones, off = (logits.argmax(1) == kind[rows]).double().mean(), (value - size[rows]).abs().mean()
        sums += torch.stack([part.detach().double() for part in (loss, first, second, right_ones, off)]) * len(value)

    if source == "arrays":
        history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0).history
    else:

        def part(tree: Any, rows: slice) -> Any:
            return {k: v[rows] for k, v in tree.items()} if named else tuple(v[rows] for v in tree)

        batches = [(part(x, rows), part(y, rows)) for rows in (slice(0, 8), slice(8, 16), slice(16, 20))]
        history = model.fit(batches, verbose=0).history
    assert same_state(net, plain)
    history.pop("learning_rate")
    assert list(history) == names
    assert [values[0] for values in history.values()] == pytest.approx((sums / 20).tolist())
    assert list(model.evaluate(x, y, verbose=0, return_dict=True)) == names
    predicted = model.predict(x, verbose=0)
    expected = plain(left, right)
    for index, key in enumerate(("kind", "size")):
        np.testing.assert_allclose(predicted[key if named else index], expected[index].detach().numpy(), rtol=1e-5)


def test_class_weight_beside_a_loss_of_ones_own_says_why_not() -> None:
    class Own(ec.Model):
        def compute_loss(self, output: Any, target: Any, sample_weight: Any = None) -> Any:
            return functional.cross_entropy(output, target)

    model = Own(nn.Linear(3, 2))
    model.compile()
    with pytest.raises(ArgumentError, match="class_weight is not possible with a compute_loss or train_step"):
        model.fit(torch.rand(4, 3), [0, 1, 0, 1], class_weight={0: 2.0}, verbose=0)
