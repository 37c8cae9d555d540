"""Nothing waits for the device from batch to batch; and nothing piles up."""

import gc
import sys
import time
from collections import Counter
from typing import Any

import fakes
import numpy as np
import pytest
import settings
import torch
import torchmetrics
from reads import counted
from torch import Tensor, nn

import easyconv as ec
from easyconv.callbacks import progress
from easyconv.metrics import make
from easyconv.training import finite, loop, totals

READS_PER_TRAINING, READS_PER_VALIDATION = 1, 1
"""As docs/speed.md says: the row of each. Whether a batch is finite is seen on the host, after a copy that nobody waits
for until the next batch is at work; see test_finite.py for that."""

QUIET = {"TensorBoard": {"update_freq": "epoch"}, "ActivationMonitor": {"every": 10}}
"""What would be read as often as the user asks for, and is not asked for."""
LOSSES = {"classes": "cross_entropy", "values": "mse", "binary": "bce", "labels": "bce"}
"""By what the targets are: one class of three, three numbers, yes or no, three times yes or no."""
SWEEP = [(name, "values") for name in make._REGRESSION]
SWEEP += [(name, "binary" if name == "binary_accuracy" else "classes") for name in (*make._CLASSIFICATION, "top2")]
SWEEP += [("accuracy", "labels")]


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """What is read once in a while is read never, however slow the machine is."""
    monkeypatch.setattr(totals, "SECONDS_BETWEEN_READS", 1e9)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 1e9)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True, params=["cpu", "as on an accelerator"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at late on an accelerator is looked at late here too, with the CPU in its place."""
    if request.param != "cpu":
        monkeypatch.setattr(finite, "seen_at_once", lambda device: False)


def rows(count: int, form: str = "classes") -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(count, 4, generator=generator)
    if form == "classes":
        return x, torch.arange(count) % 3
    y = torch.randn(count, 1 if form == "binary" else 3, generator=generator)
    return x, y if form == "values" else (y > 0).float()


def reads_of_fit(
    monkeypatch: pytest.MonkeyPatch, batches: int, *, form: str = "classes", callbacks: Any = None, **options: Any
) -> list[tuple[str, Tensor]]:
    """What is read in one epoch of training and a validation, from the first batch on."""
    torch.manual_seed(0)
    model = ec.Model(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1 if form == "binary" else 3)))
    usual = {"optimizer": ec.optim.SGD(lr=0.01, momentum=0.9), "loss": LOSSES[form]}
    model.compile(**{**usual, "device": "cpu", **options})
    found: list[tuple[str, Tensor]] = []
    inner = loop.fit

    def watched(*arguments: Any, **options: Any) -> None:
        with counted() as reads:
            inner(*arguments, **options)
        found.extend(reads.found)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "fit", watched)
        x, y = rows(4 * batches, form)
        model.fit(x, y, batch_size=4, validation_data=(x, y), callbacks=callbacks, verbose=0)
    assert found
    return found


def names(found: list[tuple[str, Tensor]]) -> Counter[str]:
    return Counter(name for name, _ in found)


def test_the_counter_counts() -> None:
    x = torch.arange(3.0)
    ways = [lambda: x.sum().item(), lambda: x.tolist(), lambda: x.numpy(), lambda: np.asarray(x), lambda: x.cpu()]
    ways += [lambda: x.nonzero(), lambda: x[x > 1], lambda: torch.equal(x, x), lambda: torch.unique(x)]
    ways += [lambda: float(x[0]), lambda: bool(x[0]), lambda: int(x[0]), lambda: f"{x[0]:.1f}"]
    for way in ways:
        with counted() as reads:
            way()
        assert reads.found, way
    with counted() as reads:
        (x * 2 + x[1:].sum()).argmax().to(torch.float64).detach().clone()
    assert reads.found == []
    assert Tensor.tolist is torch._C.TensorBase.tolist


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}, {"clip_value": 0.1}, {"accumulate": 2}])
def test_a_pass_is_read_at_its_end(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for batches in (2, 30):
        found = reads_of_fit(monkeypatch, batches, metrics=["accuracy"], **options)
        assert names(found) == {"tolist": READS_PER_TRAINING + READS_PER_VALIDATION}


@pytest.mark.parametrize(("metric", "form"), SWEEP)
def test_no_metric_is_read_before_the_end(metric: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = reads_of_fit(monkeypatch, 10, form=form, metrics=[metric])
    assert names(found) == {"tolist": READS_PER_TRAINING + READS_PER_VALIDATION}


@pytest.mark.parametrize("form", ["classes", "binary", "labels"])
@pytest.mark.parametrize("metric", make._CURVES)
def test_curves_are_looked_at_when_the_pass_is_over(metric: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (names(reads_of_fit(monkeypatch, batches, form=form, metrics=[metric])) for batches in (10, 30))
    assert few == many
    assert few["tolist"] == READS_PER_TRAINING + READS_PER_VALIDATION
    assert few["nonzero"]  # the counter sees torchmetrics look


def test_objects_of_torchmetrics_that_are_passed_look_at_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = torchmetrics.classification.MulticlassAUROC(3)
    few, many = (names(reads_of_fit(monkeypatch, batches, metrics=[metric])) for batches in (10, 30))
    assert set(many - few) == {"_unique2", "_local_scalar_dense"}  # which labels there are, and are they probabilities


@pytest.mark.parametrize("name", settings.EXPORTED)
def test_no_callback_reads_by_the_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.install(monkeypatch)
    options = {"ema": 0.5} if name == "SwapEMAWeights" else {}
    few, many = (
        names(reads_of_fit(monkeypatch, n, callbacks=settings.make(name, "0", **QUIET.get(name, {})), **options))
        for n in (12, 30)
    )
    assert few == many


def test_adam_reads_its_own_count_of_steps_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for batches in (3, 30):
        found = reads_of_fit(monkeypatch, batches, optimizer="adam")
        # The count is kept on the CPU by torch, wherever the parameters are.
        others = [name for name, tensor in found if not (tensor.ndim == 0 and tensor == tensor.round())]
        assert Counter(others) == {"tolist": READS_PER_TRAINING + READS_PER_VALIDATION}


def test_a_step_of_ones_own_has_its_losses_read_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(ec.Model):
        def train_step(self, batch: Any) -> Any:
            return {"loss": super().train_step(batch).loss}

    monkeypatch.setattr(ec, "Model", Own)
    for batches in (3, 30):
        found = reads_of_fit(monkeypatch, batches)
        assert names(found) == {"tolist": 1 + READS_PER_TRAINING + READS_PER_VALIDATION}


def test_the_host_looks_at_a_batch_when_the_next_one_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    for name in ("depart", "arrived"):
        inner = getattr(finite._Arrival, name)

        def noted(self: Any, *flag: Any, name: str = name, inner: Any = inner) -> Any:
            events.append(name)
            return inner(self, *flag)

        monkeypatch.setattr(finite._Arrival, name, noted)
    monkeypatch.setattr(finite, "seen_at_once", lambda device: False)
    net = nn.Linear(4, 3)
    net.register_forward_hook(lambda *_: events.append("forward") if net.training else None)
    model = ec.Model(net)
    model.compile("sgd", device="cpu")
    watching = ec.callbacks.LambdaCallback(on_train_begin=lambda logs: events.clear())
    model.fit(*rows(12), batch_size=4, callbacks=watching, verbose=0)
    assert events == [*("forward", "depart"), *("forward", "arrived", "depart") * 2, "arrived"]


def test_own_rows_are_looked_at_where_they_come_from_a_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads of host batches are no waits, and they are what keeps NaN out."""
    x, y = rows(40)
    x[33, 2] = float("nan")
    model = ec.Model(nn.Linear(4, 3))
    model.compile("sgd", device="cpu")
    with pytest.raises(ec.errors.NonFiniteDataError, match=r"Batch 8: x must hold finite numbers, got 1.*row 1"):
        model.fit([(x[at : at + 4], y[at : at + 4]) for at in range(0, 40, 4)], verbose=0)


# --- nothing piles up -------------------------------------------------------------------------------------------------


class Census(ec.callbacks.Callback):
    """Objects of Python and tensors alive, at some steps."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every, self.step = every, 0
        self.objects: list[int] = []
        self.tensors: list[int] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.step += 1
        if self.step % self.every == 0:
            gc.collect()
            alive = gc.get_objects()
            self.objects.append(len(alive))
            self.tensors.append(sum(issubclass(type(thing), Tensor) for thing in alive))


def grown(steps: int, epochs: int, **options: Any) -> tuple[list[int], list[int]]:
    x, y = rows(2 * steps)
    model = ec.Model(nn.Linear(4, 3))
    model.compile(device="cpu", metrics=["accuracy", "f1"], **options)
    census = Census(every=steps)
    model.fit(x, y, batch_size=2, epochs=epochs, verbose=0, callbacks=census)
    return census.objects, census.tensors


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_objects_do_not_grow_with_the_epochs(optimizer: str) -> None:
    objects, tensors = grown(200, 6, optimizer=optimizer)
    assert tensors[1:] == [tensors[1]] * 5
    # A row of the history per epoch: a dict and a few numbers.
    assert max(objects[2:]) - objects[1] <= 10 * 5


def test_the_losses_that_wait_are_read_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = totals.LossWatch("epoch 1")
    clock = [time.monotonic()]
    monkeypatch.setattr(totals.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(totals, "SECONDS_BETWEEN_READS", 1.0)
    watch.check()
    for step in range(1000):
        clock[0] += 0.01
        watch.add(torch.tensor(float(step)))
        assert len(watch._unchecked) <= 101


@pytest.mark.torture
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
def test_fifty_thousand_steps_take_no_more_memory_than_five_thousand() -> None:
    import resource

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB

    x, y = rows(10_000)
    model = ec.Model(nn.Linear(4, 3))
    model.compile("adam", device="cpu", metrics=["accuracy"])
    model.fit(x, y, batch_size=2, verbose=0)
    before, alive = peak(), len(gc.get_objects())
    model.fit(x, y, batch_size=2, epochs=10, verbose=0)
    gc.collect()
    # The losses of a second wait to be read; beyond that 160 bytes a step would show.
    assert peak() - before < 8 * 1024
    assert len(gc.get_objects()) - alive < 500
