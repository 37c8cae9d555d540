"""A batch that is NaN or infinite changes nothing: after the error the net is, bit for bit, what it was before it."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_torch import BATCH, CLASSES, data, same_state, small
from torch import Tensor, nn
from torch.nn import functional

import easyconv as ec
from easyconv.data.sources.batch import Batch
from easyconv.errors import NonFiniteGradientError, NonFiniteLossError
from easyconv.files import CheckpointFolder
from easyconv.training import finite
from easyconv.training.finite import FiniteWatch

MARK = 77.0
"""A pixel of this value makes its batch go wrong."""
WAYS = ["at once", "late"]


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """On the CPU a flag is seen at once; "late" is what happens on an accelerator, with the CPU in its place."""
    if request.param == "late":
        monkeypatch.setattr(finite, "seen_at_once", lambda device: False)
    return request.param


class Net(nn.Module):
    """Batch norm and dropout; a marked row makes the forward pass NaN, or the gradients only."""

    def __init__(self, wrong: str = "forward") -> None:
        super().__init__()
        self.wrong = wrong
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.drop, self.dense = nn.Dropout(0.25), nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        marked = bool((x == MARK).any())
        if marked and self.wrong == "forward":
            x = torch.where(x == MARK, math.nan, x)
        output = self.dense(self.drop(self.norm(self.conv(x)).relu().flatten(1)))
        if marked and self.wrong == "gradients":
            output = output + (output - output.detach()).sqrt()
        return output


def marked(batch: int) -> tuple[Tensor, Tensor]:
    """Six batches of 8 rows and one of 2, one of them marked."""
    x, y = data()
    x[BATCH * batch + 1, 0, 2, 2] = MARK
    return x, y


def batches(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(x.split(BATCH), y.split(BATCH), strict=True)


def pair(wrong: str = "forward") -> tuple[ec.Model, Net]:
    torch.manual_seed(3)
    model, net = ec.Model(Net(wrong)), Net(wrong)
    net.load_state_dict(model.net.state_dict())
    return model, net


def plainly(net: nn.Module, optimizer: torch.optim.Optimizer, pairs: Any, seed: int = 11) -> None:
    torch.manual_seed(seed)
    net.train()
    for x, y in pairs:
        optimizer.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        optimizer.step()


def fit(model: ec.Model, x: Tensor, y: Tensor, seed: int = 11, **words: Any) -> Any:
    torch.manual_seed(seed)
    return model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0, **words)


def moments(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    state = optimizer.state_dict()["state"]
    return [{name: torch.as_tensor(value) for name, value in state[key].items()} for key in sorted(state)]


def same_moments(one: torch.optim.Optimizer, other: torch.optim.Optimizer) -> bool:
    first, second = moments(one), moments(other)
    return [list(entry) for entry in first] == [list(entry) for entry in second] and all(
        torch.equal(a[name], b[name]) for a, b in zip(first, second, strict=True) for name in a
    )


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "fused momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, fused=True),
    "fused adam": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "two rates": lambda p: torch.optim.SGD([{"params": part, "lr": 0.1} for part in p], momentum=0.9, fused=True),
}


@pytest.mark.parametrize("at", [0, 1, 4, 6])
@pytest.mark.parametrize("wrong", ["forward", "gradients"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_nothing_is_left_of_a_bad_batch(way: str, optimizer: str, wrong: str, at: int) -> None:
    model, net = pair(wrong)
    x, y = marked(at)
    model.compile(OPTIMIZERS[optimizer], channels_last=False)
    kind = NonFiniteLossError if wrong == "forward" else NonFiniteGradientError
    with pytest.raises(kind, match=rf"in batch {at + 1} of epoch 1;.*weights, statistics and") as caught:
        fit(model, x, y, epochs=2)
    assert type(caught.value) is kind
    assert caught.value.batch == at + 1
    plain = OPTIMIZERS[optimizer](net.parameters())
    plainly(net, plain, list(batches(x, y))[:at])
    assert same_state(model.net, net)
    assert same_moments(model.optimizer, plain)
    assert all(parameter.grad is None for parameter in model.parameters())
    # And one can go on.
    x, y = data(seed=9)
    fit(model, x, y, seed=12)
    plainly(net, plain, batches(x, y), seed=12)
    assert same_state(model.net, net)
    assert same_moments(model.optimizer, plain)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_the_batch_after_it_is_at_work_when_an_accelerator_is_read(way: str) -> None:
    seen = []
    model, _ = pair()
    model.compile("sgd", lr=0.1)
    with pytest.raises(NonFiniteLossError, match="in batch 3 of"):
        fit(model, *marked(2), callbacks=ec.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: seen.append(b)))
    assert seen == ([0, 1] if way == "at once" else [0, 1, 2])


@pytest.mark.parametrize("at", [2, 3])
@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_accumulated_gradients_are_looked_at_batch_by_batch(way: str, at: int) -> None:
    model, net = pair("gradients")
    x, y = marked(at)
    model.compile(ec.optim.RMSprop(lr=0.01), accumulate=2, channels_last=False)
    with pytest.raises(NonFiniteGradientError, match=f"in batch {at + 1} of epoch 1"):
        fit(model, x, y)
    torch.manual_seed(11)
    optimizer = torch.optim.RMSprop(net.parameters(), lr=0.01)
    for part_x, part_y in list(batches(x, y))[:2]:
        (functional.cross_entropy(net(part_x), part_y) * len(part_x)).backward()
    for parameter in net.parameters():
        parameter.grad /= 2 * BATCH
    optimizer.step()
    assert all(map(torch.equal, model.parameters(), net.parameters()))


@pytest.mark.parametrize("optimizer", ["momentum", "rmsprop"])
@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_the_average_of_the_weights_is_not_poisoned(way: str, optimizer: str) -> None:
    model, _ = pair("gradients")
    model.compile(OPTIMIZERS[optimizer], ema=0.5)
    with pytest.raises(NonFiniteGradientError):
        fit(model, *marked(3))
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert all(math.isfinite(loss) for loss in fit(model, *data()).history["loss"])


@pytest.mark.parametrize("clip", [{"clip_norm": 0.1}, {"clip_value": 0.01}])
@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_clipping_does_not_hide_it(way: str, clip: dict[str, float]) -> None:
    model, net = pair("gradients")
    model.compile("sgd", lr=0.1, **clip)
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    with pytest.raises(NonFiniteGradientError):
        fit(model, *marked(0))
    net.load_state_dict(before)
    assert same_state(model.net, net)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_buffers_that_a_net_replaces_or_reshapes(way: str) -> None:
    class Counting(Net):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(()))
            self.register_buffer("seen", torch.zeros(0))
            self.register_buffer("nothing", None)

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                self.seen = torch.cat([self.seen, x.new_zeros(1)])
            output = super().forward(x)
            self.mean = 0.5 * self.mean + output.detach().mean()
            return output

    model = ec.Model(Counting())
    model.compile("sgd", lr=0.1, channels_last=False)
    with pytest.raises(NonFiniteLossError):
        fit(model, *marked(2))
    assert len(model.net.seen) == 2
    assert model.net.mean.isfinite()
    assert model.net.nothing is None


def test_one_batch_alone() -> None:
    model, net = pair()
    net.load_state_dict(model.net.state_dict())
    model.compile("sgd", lr=0.1)
    x, y = marked(0)
    with pytest.raises(NonFiniteLossError, match=r"became nan in batch 1 of train_on_batch\(\);"):
        model.train_on_batch(x, y)
    assert same_state(model.net, net)


def test_a_validation_tells_what_it_found() -> None:
    model, _ = pair()
    model.compile("sgd", lr=0.1)
    history = fit(model, *data(), validation_data=marked(1)).history
    assert math.isnan(history["val_loss"][0])
    assert math.isfinite(history["loss"][0])
    assert math.isnan(model.evaluate(*marked(1), verbose=0))


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_terminate_on_nan_leaves_the_last_finite_weights(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    model, net = pair("gradients")
    x, y = marked(4)
    model.compile(OPTIMIZERS["momentum"], channels_last=False)
    history = fit(model, x, y, epochs=3, callbacks=ec.callbacks.TerminateOnNaN())
    assert len(history) == 0
    said = capsys.readouterr().out
    assert said == "The gradients became NaN or infinite in batch 5 of epoch 1; training stops.\n"
    plainly(net, OPTIMIZERS["momentum"](net.parameters()), list(batches(x, y))[:4])
    assert same_state(model.net, net)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_a_training_that_keeps_itself_keeps_no_bad_batch(way: str, tmp_path: Path) -> None:
    """Interrupted after two batches, it goes on, and stops at the fourth; what is kept then is that of the third."""
    interrupted = []

    def interrupt(batch: int, logs: Any) -> None:
        if batch == 1 and not interrupted:
            interrupted.append(batch)
            raise KeyboardInterrupt

    for error, says in ((KeyboardInterrupt, None), (NonFiniteLossError, "in batch 4 of epoch 1;")):
        model, _ = pair()
        model.compile(OPTIMIZERS["rmsprop"], channels_last=False)
        with pytest.raises(error, match=says):
            fit(
                model,
                *marked(3),
                resume=ec.RunFolder(tmp_path, every_steps=1),
                callbacks=ec.callbacks.LambdaCallback(on_train_batch_end=interrupt),
            )
    with CheckpointFolder(tmp_path) as folder:
        found = folder.load()
    assert found is not None
    assert found.step == 3
    assert all(tensor.isfinite().all() for tensor in found.content["net"]["tensors"].values())


# Steps of one's own


class Wrapped(ec.Model):
    def train_step(self, batch: Any) -> Any:
        return {"loss": super().train_step(batch).loss}


class Own(ec.Model):
    def train_step(self, batch: Any) -> Any:
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self(batch.x), batch.y)
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


def test_a_step_that_calls_ours_is_guarded() -> None:
    torch.manual_seed(3)
    model = Wrapped(Net())
    model.compile("sgd", lr=0.1)
    with pytest.raises(NonFiniteLossError, match=r"in batch 2 of epoch 1;.*weights, statistics"):
        fit(model, *marked(1))
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_of_a_step_that_does_all_itself_the_loss_is_watched() -> None:
    model = Own(Net())
    model.compile("sgd", lr=0.1)
    with pytest.raises(
        NonFiniteLossError, match="became nan in batch 2 of epoch 1; the weights can no longer be trusted"
    ):
        fit(model, *marked(1))


# Loss scaling


def scaled(wrong: Callable[[nn.Module], None]) -> ec.Model:
    """fp16 on the CPU, which compile() refuses since it is slow there."""
    model = small()
    model.compile("sgd", lr=0.01)
    model._session.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=1000)
    wrong(model)
    return model


def test_a_step_that_a_loss_scaler_passes_over_is_no_error() -> None:
    calls = []

    def once(gradient: Tensor) -> Tensor:
        calls.append(1)
        return gradient * math.inf if len(calls) == 3 else gradient

    model = scaled(lambda net: next(net.parameters()).register_hook(once))
    history = fit(model, *data())
    assert math.isfinite(history.history["loss"][0])
    assert model._session.scaler.get_scale() == 2.0**7
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_a_first_step_that_is_passed_over_leaves_no_momentum() -> None:
    """torch leaves in the buffers of a fused SGD what was in memory."""
    calls = []

    def first(gradient: Tensor) -> Tensor:
        calls.append(1)
        return gradient * math.inf if len(calls) == 1 else gradient

    torch.manual_seed(3)
    model, net = small(), small()
    net.load_state_dict(model.state_dict())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)
    model.compile(ec.optim.SGD(lr=0.01, momentum=0.9, fused=True), channels_last=False)
    model._session.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    next(model.parameters()).register_hook(first)
    fit(model, *data())
    plainly(net, optimizer, list(batches(*data()))[1:])
    assert same_state(model, net)


def test_a_loss_scale_that_falls_to_nothing_is() -> None:
    model = scaled(lambda net: next(net.parameters()).register_hook(lambda gradient: gradient * math.inf))
    with pytest.raises(NonFiniteGradientError, match=r"in batch 2 of epoch 5; the gradients overflow float16 however"):
        fit(model, *data(), epochs=9)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_a_loss_that_is_nan_stops_a_scaled_training_too(way: str) -> None:
    model = small()
    model.compile("sgd", lambda output, y: functional.cross_entropy(output, y) + math.nan, lr=0.01)
    model._session.scaler = torch.amp.GradScaler("cpu")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(NonFiniteLossError, match="became nan in batch 1 of epoch 1;"):
        fit(model, *data())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# What is looked at


def looked(*gradients: Tensor, loss: float = 1.0) -> bool:
    watch = FiniteWatch(nn.Linear(1, 1), torch.device("cpu"))
    watch.before(Batch(torch.zeros(1, 1)), 0)
    return watch.look(torch.tensor(loss), gradients) is not None


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "float32": lambda t: t,
    "float64": lambda t: t.double(),
    "bfloat16": lambda t: t.bfloat16(),
    "complex": lambda t: torch.complex(t, torch.ones_like(t)),
    "sparse": lambda t: t.to_sparse(),
    "transposed": lambda t: t.reshape(4, 16).t(),
    "one of many": lambda t: t[::2],
}


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_every_kind(kind: str) -> None:
    make = KINDS[kind]
    good = [make(torch.linspace(-1, 1, 64)), torch.ones(3, 3), torch.ones(0)]
    assert not looked(*good)
    assert looked(*good, loss=math.inf)
    for bad in (math.nan, math.inf, -math.inf):
        values = torch.linspace(-1, 1, 64)
        values[6] = bad
        assert looked(make(values), *good)
        assert looked(*good, make(values))


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_device_has_no_such_operation(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*arguments: Any) -> None:
        raise NotImplementedError("not implemented for 'BFloat16'")

    monkeypatch.setattr(torch, "_amp_foreach_non_finite_check_and_unscale_", lacking)
    test_gradients_of_every_kind(kind)


def test_looking_changes_no_bit() -> None:
    gradient = torch.tensor([0.0, -0.0, 1e-45, -1e-40, 3.4e38, -1.0])
    before = gradient.view(torch.int32).clone()
    assert not looked(gradient)
    assert torch.equal(gradient.view(torch.int32), before)


def test_a_net_with_sparse_gradients_trains_and_is_guarded() -> None:
    torch.manual_seed(0)
    model = ec.Model(nn.Sequential(nn.Embedding(20, 8, sparse=True), nn.Flatten(), nn.Linear(32, 3)))
    model.compile("sgd", lr=0.1)
    x, y = torch.randint(20, (24, 4)), torch.arange(24) % 3
    model.fit(x, y, verbose=0)
    model.net[0].weight.register_hook(lambda gradient: gradient * math.nan)
    before = model.net[0].weight.detach().clone()
    with pytest.raises(NonFiniteGradientError):
        model.fit(x, y, verbose=0)
    assert torch.equal(model.net[0].weight, before)


def test_a_batch_is_not_kept_longer_than_it_is_needed() -> None:
    model = small()
    model.compile("sgd", lr=0.1)
    kept = []
    watching = ec.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: kept.append(model._session.run.finite._current)
    )
    fit(model, *data(), callbacks=watching)
    assert kept == [None] * 7
