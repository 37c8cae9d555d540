"""What ``compile`` says is what training does: precision, jit, averages, layouts, optimizers; and what it refuses."""

import copy
import math
import shutil
import sys
from typing import Any

import numpy as np
import pytest
import torch
from plain_torch import BATCH, CLASSES, data, loader, ours, same_state, small
from torch import Tensor, nn
from torch.nn import functional

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvWarning, NonFiniteLossError, StateError
from easyconv.training import recipe

# Precision


class Probe(nn.Module):
    """Notes in which precision its forward pass runs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, CLASSES)
        self.seen: set[tuple[bool, torch.dtype, torch.dtype]] = set()
        self.listening = False

    def forward(self, x: Tensor) -> Tensor:
        output = self.layer(x.flatten(1))
        if self.listening:
            self.seen.add((torch.is_autocast_enabled("cpu"), x.dtype, output.dtype))
        return output


def test_bf16_computes_in_bf16_and_keeps_float32_weights() -> None:
    torch.manual_seed(0)
    half, full = ec.Model(Probe()), ec.Model(Probe())
    full.load_state_dict(half.state_dict())
    half.compile("sgd", lr=0.1, metrics=["accuracy"], precision="bf16")
    full.compile("sgd", lr=0.1, metrics=["accuracy"])

    class Listen(ec.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.model.net.listening = True

    x, y = data()
    histories = [
        model.fit(x, y, shuffle=False, epochs=3, validation_data=(x, y), callbacks=Listen(), verbose=0).history
        for model in (half, full)
    ]
    assert half.net.seen == {(True, torch.float32, torch.bfloat16)}
    assert full.net.seen == {(False, torch.float32, torch.float32)}
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=0.02)
    assert histories[0]["loss"] != histories[1]["loss"]
    assert half.predict(x, verbose=0).dtype == np.float32
    assert not torch.is_autocast_enabled("cpu")


def test_auto_is_bf16_where_the_device_has_units_for_it_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe._tell_of_bf16.cache_clear()
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    model = small()
    with pytest.warns(ec.errors.EasyconvWarning, match=r"'auto' trains in bfloat16 here, since this CPU is faster"):
        model.compile(precision="auto", device="cpu")
    assert model._session.recipe.precision == "bf16"
    model.compile(precision="auto", device="cpu")  # a second warning would be an error here
    for unit in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, unit, lambda: False, raising=False)
    model.compile(precision="auto", device="cpu")
    assert model._session.recipe.precision == "fp32"
    recipe._tell_of_bf16.cache_clear()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp16", "device": "cpu"}, r"precision='fp16' needs an accelerator.*precision='bf16'"),
        ({"precision": "bf61"}, "precision must be"),
        ({"jit": 1}, "jit must be"),
        ({"clip_norm": 0}, "clip_norm must be more than 0"),
        ({"clip_value": -1.0}, "clip_value must be more than 0"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"accumulate": 1.5}, "accumulate must be an integer"),
        ({"ema": 1.0}, "ema must be more than 0 and less than 1"),
        ({"ema": 0}, "ema must be more than 0"),
        ({"channels_last": "yes"}, "channels_last must be"),
        ({"lr": 0}, "lr must be more than 0, got 0: nothing would change"),
        ({"lr": float("nan")}, "lr must be"),
        ({"loss_weights": [1.0]}, "loss_weights are for several losses"),
        ({"device": "gpu"}, "device"),
    ],
)
def test_what_compile_refuses(options: dict[str, Any], message: str) -> None:
    model = small()
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        model.compile(**options)
    with pytest.raises(ec.errors.NotCompiledError):
        model.fit(*data())


def test_a_refused_compile_keeps_the_one_before() -> None:
    model = small()
    model.compile("sgd", lr=0.1)
    model.fit(*data(), verbose=0)
    optimizer = model.optimizer
    with pytest.raises(ArgumentError):
        model.compile("adam", ema=2.0)
    assert model.optimizer is optimizer
    model.fit(*data(), verbose=0)


# torch.compile


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torch.compile is tried on Linux only")
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("c++") is None, reason="needs a C++ compiler")
def test_jit_gives_the_same_results() -> None:
    plain, fast = small(), small()
    x, y = data(48)
    losses = []
    for model, jit in ((plain, False), (fast, True)):
        model.compile("sgd", lr=0.1, metrics=["accuracy"], jit=jit)
        history = model.fit(x, y, batch_size=24, shuffle=False, epochs=2, validation_data=(x, y), verbose=0)
        losses.append(history.history["loss"] + history.history["val_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    np.testing.assert_allclose(plain.predict(x, verbose=0), fast.predict(x, verbose=0), rtol=1e-3, atol=1e-5)
    assert list(fast.state_dict()) == list(plain.state_dict())
    twin = copy.deepcopy(fast)
    np.testing.assert_allclose(twin.predict(x, verbose=0), fast.predict(x, verbose=0), rtol=1e-3, atol=1e-5)


# Averages of the weights


class Steps(ec.callbacks.Callback):
    """Notes the weights after each batch, and what validation sees."""

    def __init__(self) -> None:
        super().__init__()
        self.raw: list[Tensor] = []
        self.checked: list[Tensor] = []
        self.ended: list[Tensor] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.raw.append(self.model[1].weight.detach().clone())

    def on_test_begin(self, logs: Any = None) -> None:
        self.checked.append(self.model[1].weight.detach().clone())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ended.append(self.model[1].weight.detach().clone())


def averages(first: Tensor, raw: list[Tensor], decay: float) -> list[Tensor]:
    """The closed formula: decayⁿ·first + Σ decay^(n - k)·(1 - decay)·raw[k], after each of the steps."""
    return [
        decay ** len(raw[:n]) * first
        + sum(((1 - decay) * decay ** (n - 1 - k) * raw[k] for k in range(n)), torch.zeros_like(first))
        for n in range(1, len(raw) + 1)
    ]


def test_the_average_of_the_weights() -> None:
    model, plain = small(), small()
    first = model[1].weight.detach().clone()
    x, y = data()
    given: dict[str, Any] = {"batch_size": BATCH, "shuffle": False, "validation_data": (x, y), "verbose": 0}
    steps, raw = Steps(), Steps()
    model.compile("sgd", lr=0.1, ema=0.8)
    history = model.fit(x, y, epochs=2, callbacks=steps, **given)
    plain.compile("sgd", lr=0.1)
    plain.fit(x, y, epochs=2, callbacks=raw, **given)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(steps.raw, raw.raw, strict=True))
    expected = averages(first, steps.raw, 0.8)
    for epoch, step in enumerate((6, 13)):
        torch.testing.assert_close(steps.checked[epoch], expected[step])
        assert torch.equal(steps.checked[epoch], steps.ended[epoch])
    assert torch.equal(model[1].weight, steps.ended[1])
    assert model.evaluate(x, y, batch_size=BATCH, verbose=0) == history.history["val_loss"][1]


class OwnStep(ec.Model):
    """The step of easyconv, written out by a user; ``own`` has another optimizer than that of compile."""

    own: Any = None

    def train_step(self, batch: Any) -> dict[str, Any]:
        x, y, _ = batch
        optimizer = self.own if self.own is not None else self.optimizer
        optimizer.zero_grad()
        loss = functional.cross_entropy(self(x), y)
        loss.backward()
        optimizer.step()
        return {"loss": loss}


def test_an_own_step_is_averaged_too() -> None:
    own, plain = OwnStep(small()), ec.Model(small())
    for model in (own, plain):
        model.compile("sgd", lr=0.1, ema=0.8)
        model.fit(*data(), batch_size=BATCH, shuffle=False, epochs=2, validation_data=data(9), verbose=0)
        model.train_on_batch(*data(9))
    assert same_state(own, plain)
    assert not same_state(own.net, small())
    assert own.history.history["val_loss"] == plain.history.history["val_loss"]
    assert not own.optimizer._optimizer_step_post_hooks  # type: ignore[union-attr]


def test_an_average_never_undoes_what_another_optimizer_did() -> None:
    own, plain = OwnStep(small()), OwnStep(small())
    own.own = torch.optim.SGD(own.parameters(), lr=0.1)
    own.compile("sgd", lr=1.0, ema=0.8)
    plain.compile("sgd", lr=0.1)
    for model in (own, plain):
        model.fit(*data(), batch_size=BATCH, shuffle=False, epochs=2, verbose=0)
    assert same_state(own, plain)


IGNORED: list[dict[str, Any]] = [{"clip_norm": 1.0}, {"clip_value": 0.5}, {"accumulate": 2}, {"precision": "bf16"}]


@pytest.mark.parametrize(
    "arguments", [*IGNORED, {"clip_norm": 1.0, "accumulate": 2}], ids=lambda given: "+".join(given)
)
def test_an_own_step_that_leaves_out_what_compile_asked_for_is_told(arguments: dict[str, Any]) -> None:
    class Calls(OwnStep):
        def train_step(self, batch: Any) -> Any:
            return ec.Model.train_step(self, batch)

    model = OwnStep(small())
    model.compile("sgd", **arguments)
    named = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    with pytest.warns(EasyconvWarning, match=r"own train_step has to see to that itself") as caught:
        model.fit(*data(), verbose=0)
    assert [str(warning.message).startswith(f"compile({named}) has no effect") for warning in caught] == [True]
    assert caught[0].filename == __file__
    calls = Calls(small())
    calls.compile("sgd", **arguments)
    calls.fit(*data(), verbose=0)  # honours them: a warning would be an error here


def test_the_average_goes_on_from_fit_to_fit() -> None:
    whole, halves, batches = small(), small(), small()
    x, y = data()
    for model in (whole, halves, batches):
        model.compile(ec.optim.SGD(lr=0.1, momentum=0.9), ema=0.8)
    whole.fit(x, y, batch_size=BATCH, shuffle=False, epochs=2, verbose=0)
    for _ in range(2):
        halves.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
        halves.evaluate(x, y, verbose=0)
        for start in range(0, len(x), BATCH):
            batches.train_on_batch(x[start : start + BATCH], y[start : start + BATCH])
    assert same_state(whole, halves)
    assert same_state(whole, batches)


def test_the_average_survives_an_error_in_the_middle() -> None:
    class Fails(Steps):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            super().on_train_batch_end(batch)
            if batch == 2:
                raise OverflowError

    model = small()
    first = model[1].weight.detach().clone()
    model.compile("sgd", lr=0.1, ema=0.8)
    steps = Fails()
    with pytest.raises(OverflowError):
        model.fit(*data(), batch_size=BATCH, shuffle=False, callbacks=steps, verbose=0)
    torch.testing.assert_close(model[1].weight.detach(), averages(first, steps.raw, 0.8)[-1])


def test_new_weights_between_two_fits_are_trained_on() -> None:
    model, fresh = small(), small(seed=9)
    model.compile("sgd", lr=0.1, ema=0.8)
    model.fit(*data(), verbose=0)
    model.load_state_dict(fresh.state_dict())
    steps = Steps()
    model.fit(*data(), batch_size=50, shuffle=False, callbacks=steps, verbose=0)
    torch.testing.assert_close(model[1].weight.detach(), averages(fresh[1].weight.detach(), steps.raw, 0.8)[-1])


def test_unfreezing_with_an_average_goes_on_from_the_plain_weights() -> None:
    def two() -> ec.Sequential:
        torch.manual_seed(0)
        layers = [ec.layers.Flatten(), ec.layers.Dense(5, activation="tanh"), ec.layers.Dense(CLASSES)]
        model = ec.Sequential(layers, input_shape=(1, 6, 6))
        model.freeze(model[1])
        return model

    averaged, plain = two(), two()
    averaged.compile("sgd", lr=0.1, ema=0.8)
    plain.compile("sgd", lr=0.1)
    weights: dict[int, list[Tensor]] = {}

    class Note(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            weights.setdefault(id(self.model), []).append(self.model[2].weight.detach().clone())

    for model in (averaged, plain):
        model.fit(*data(), shuffle=False, callbacks=Note(), verbose=0)
        model.unfreeze()
        model.fit(*data(), shuffle=False, callbacks=Note(), verbose=0)
    assert len(weights) == 2
    assert all(torch.equal(one, other) for one, other in zip(*weights.values(), strict=True))


def test_accumulation_averages_once_per_optimizer_step() -> None:
    model = small()
    first = model[1].weight.detach().clone()
    x, y = data(16)
    steps = Steps()
    model.compile("sgd", lr=0.1, ema=0.5, accumulate=2)
    model.fit(x, y, batch_size=8, shuffle=False, callbacks=steps, verbose=0)
    torch.testing.assert_close(model[1].weight.detach(), (first + steps.raw[-1]) / 2)


# Memory layout


class Layout(nn.Module):
    """Notes how its inputs and filters lie."""

    def __init__(self, view: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(16, CLASSES)
        self.view = view
        self.seen: set[tuple[bool, bool]] = set()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.training:
            formats = (x, self.second.weight)
            self.seen.add(tuple(t.is_contiguous(memory_format=torch.channels_last) for t in formats))  # type: ignore[arg-type]
        x = self.second(self.first(x).relu())
        return self.head(x.view(len(x), -1) if self.view else x.flatten(1))


def images(rows: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(rows, 3, 6, 6, generator=generator), torch.randint(CLASSES, (rows,), generator=generator)


def layout_model(channels_last: Any, view: bool = False) -> ec.Model:
    torch.manual_seed(0)
    model = ec.Model(Layout(view))
    model.compile(ec.optim.SGD(lr=0.1, momentum=0.9), channels_last=channels_last)
    return model


@pytest.mark.parametrize(("channels_last", "lies"), [(False, False), (True, True), ("auto", True)])
@pytest.mark.parametrize("source", ["arrays", "loader"])
def test_channels_last(channels_last: Any, lies: bool, source: str) -> None:
    model, reference = layout_model(channels_last), layout_model(False)
    model.net.second.weight.register_hook(lambda grad: None)  # a net with hooks is copied and trained all the same
    strides = {name: value.stride() for name, value in model.state_dict().items()}
    x, y = images()
    for each in (model, reference):
        given = {"x": x, "y": y, "batch_size": 8, "shuffle": False}
        if source == "loader":
            given = {"x": loader(x, y, shuffle=False)}
        each.fit(**given, epochs=3, validation_data=(x, y), verbose=0)
    assert model.net.seen == {(lies, False)}  # filters stay as they are
    assert {name: value.stride() for name, value in model.state_dict().items()} == strides
    assert x.is_contiguous()
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert model.history.history["val_loss"] == pytest.approx(reference.history.history["val_loss"], rel=1e-4)


def test_auto_keeps_the_layout_that_a_view_needs() -> None:
    model, reference = layout_model("auto", view=True), layout_model(False, view=True)
    for each in (model, reference):
        each.fit(*images(), shuffle=False, epochs=2, verbose=0)
    assert model.net.seen == {(False, False)}
    assert same_state(model, reference)
    with pytest.raises((RuntimeError, ValueError)):
        layout_model(True, view=True).fit(*images(), verbose=0)


def test_looking_whether_the_layout_works_leaves_no_trace() -> None:
    """Neither in buffers, gradients, the random state, nor in what the net counts."""

    class Drops(Layout):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.dropout = nn.BatchNorm2d(3), nn.Dropout(0.5)
            self.register_buffer("picture", torch.randn(1, 3, 6, 6))

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.dropout(self.norm(x) + self.picture))

    results = []
    for channels_last in ("auto", False):
        torch.manual_seed(0)
        model = ec.Model(Drops())
        model.compile("sgd", lr=0.1, channels_last=channels_last)
        buffers = {name: (id(value), value.clone(), value.stride()) for name, value in model.named_buffers()}
        state = torch.get_rng_state()
        model.fit(*images(), epochs=0, verbose=0)
        assert torch.equal(torch.get_rng_state(), state)
        for name, value in model.named_buffers():
            assert id(value) == buffers[name][0]
            assert torch.equal(value, buffers[name][1])
            assert value.stride() == buffers[name][2]
        assert all(parameter.grad is None for parameter in model.parameters())
        results.append(model.net.calls)
    assert results[0] == results[1]


def test_looking_whether_the_layout_works_copies_no_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ec.Model(Layout())
    model.compile("adam", channels_last="auto")
    model.fit(*images(), verbose=0)
    copied: list[str] = []

    def refuse(self: Any, memo: Any) -> Any:
        copied.append(type(self).__name__)
        return self

    monkeypatch.setattr(type(model._session), "__deepcopy__", refuse, raising=False)
    monkeypatch.setattr(torch.optim.Optimizer, "__deepcopy__", refuse, raising=False)
    model.fit(*images(), verbose=0)
    assert copied == []
    assert (True, False) in model.net.seen


def test_other_nets_are_left_as_they_are() -> None:
    model = small()  # no convolution
    model.compile(channels_last="auto")
    x, y = data()
    model.fit(x, y, verbose=0)
    assert x.is_contiguous()


# Optimizers


def test_an_optimizer_made_before_the_sizes_are_known() -> None:
    def lazy() -> ec.Sequential:
        torch.manual_seed(4)
        return ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(8, activation="relu"), ec.layers.Dense(CLASSES)])

    early, late = lazy(), lazy()
    optimizer = torch.optim.SGD(early.parameters(), lr=0.1, momentum=0.9)
    early.compile(optimizer)
    late.compile(ec.optim.SGD(lr=0.1, momentum=0.9))
    for model in (early, late):
        model.fit(*data(), shuffle=False, epochs=2, verbose=0)
    assert early.optimizer is optimizer
    assert same_state(early, late)


def test_an_optimizer_of_another_net_is_refused() -> None:
    model = small()
    model.compile(torch.optim.SGD(small().parameters(), lr=0.1))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ArgumentError, match=r"2 of the 2 parameters of the optimizer SGD do not belong to this net"):
        model.fit(*data(), verbose=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_users_optimizer_is_kept_by_another_compile() -> None:
    model = small()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(2):
        model.compile(optimizer)  # no warning: nothing is dropped
        model.fit(*data(), batch_size=50, verbose=0)
    assert {int(state["step"]) for state in optimizer.state.values()} == {2}


def test_unfreezing_after_compile_trains_what_was_frozen() -> None:
    torch.manual_seed(0)
    layers = [ec.layers.Flatten(), ec.layers.Dense(5, activation="tanh"), ec.layers.Dense(CLASSES)]
    model = ec.Sequential(layers, input_shape=(1, 6, 6))
    model.freeze(model[1])
    model.compile("adam")
    weight = model.get_layer(index=1)
    frozen = {name: value.clone() for name, value in weight.state_dict().items()}
    model.fit(*data(), verbose=0)
    assert all(torch.equal(value, frozen[name]) for name, value in weight.state_dict().items())
    model.unfreeze()
    model.fit(*data(), verbose=0)
    assert not any(torch.equal(value, frozen[name]) for name, value in weight.state_dict().items())


def test_a_frozen_net_cannot_be_trained() -> None:
    model = small()
    model.freeze()
    model.compile()
    with pytest.raises(StateError, match=r"all 2 parameters are frozen.*model\.unfreeze\(\)"):
        model.fit(*data(), verbose=0)


def test_a_rate_of_nothing_is_warned_of() -> None:
    model = small()
    model.compile(torch.optim.SGD(model.parameters(), lr=0.0))
    with pytest.warns(EasyconvWarning, match="learning rate is 0, so no weight will change"):
        model.fit(*data(), verbose=0)


# Losses that are no numbers


def explosive() -> ec.Sequential:
    """Two layers, so that weights of 1e30 multiply to more than float32 holds."""
    torch.manual_seed(0)
    layers = [ec.layers.Flatten(), ec.layers.Dense(8), ec.layers.Dense(CLASSES)]
    model = ec.Sequential(layers, input_shape=(1, 6, 6))
    model.compile("sgd", lr=1e30)
    return model


def test_a_loss_that_explodes_is_named() -> None:
    model = explosive()
    with pytest.raises(NonFiniteLossError, match=r"became (nan|inf) in batch [12] of epoch 1;.*clip_norm=1\.0"):
        model.fit(*data(), batch_size=BATCH, verbose=0)
    assert len(model.history) == 0


@pytest.mark.parametrize("at", [(1, 0), (2, 3), (3, 6)])
def test_the_first_bad_batch_is_named(at: tuple[int, int]) -> None:
    epoch, batch = at
    calls = []

    def loss(output: Tensor, target: Tensor) -> Tensor:
        calls.append(1)
        bad = len(calls) - 1 >= 7 * (epoch - 1) + batch
        return functional.cross_entropy(output, target) * (math.nan if bad else 1.0)

    model = small()
    model.compile("sgd", loss, lr=0.1)
    with pytest.raises(NonFiniteLossError, match=rf"became nan in batch {batch + 1} of epoch {epoch};"):
        model.fit(*data(), batch_size=BATCH, epochs=4, verbose=0)
    assert model.history.epoch == list(range(epoch - 1))


def test_the_check_does_not_wait_for_the_end_of_a_long_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 2))  # two seconds pass between two looks at the clock
    monkeypatch.setattr("easyconv.training.totals.time.monotonic", lambda: float(next(clock)))
    steps = []

    class Count(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps.append(batch)

    model = explosive()
    with pytest.raises(NonFiniteLossError):
        model.fit(*data(), batch_size=2, callbacks=Count(), verbose=0)
    assert len(steps) < 5


# What would train badly


def test_a_last_batch_of_one_row_is_refused_before_training() -> None:
    torch.manual_seed(0)
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(4), ec.layers.BatchNorm(), ec.layers.Dense(CLASSES)])
    model.compile()
    x, y = data(17)
    with pytest.raises(ArgumentError, match=r"single row \(17 rows in batches of 8\).*Take another batch size"):
        model.fit(x, y, batch_size=8, verbose=0)
    assert model.optimizer is None
    ours_with_one = ours()
    ours_with_one.compile()
    ours_with_one.fit(x, y, batch_size=8, verbose=0)  # a convolution has many values per channel


def test_a_wrong_ending_is_warned_of() -> None:
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(CLASSES), ec.layers.Activation("softmax")])
    model.compile()
    with pytest.warns(EasyconvWarning, match=r"outputs are probabilities already.*Remove the softmax"):
        model.fit(*data(), verbose=0)
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(1), ec.layers.Activation("sigmoid")])
    model.compile(loss="bce")
    x, y = data()
    with pytest.warns(EasyconvWarning, match=r"is a sigmoid, and the loss .bce. applies one itself.*Remove"):
        model.fit(x, (y > 0).float(), verbose=0)
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(CLASSES)])
    model.compile(loss="nll")
    with pytest.warns(EasyconvWarning, match=r"no log-probabilities.*Activation\('log_softmax'\)"):
        model.fit(*data(), verbose=0)
