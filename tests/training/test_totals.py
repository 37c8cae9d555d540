"""Totals of a pass: numbers that lie on several devices, and copies to the CPU."""

import pytest
import torch

import easyconv as ec
from easyconv.training.host import HostCopies
from easyconv.training.state import StepResult
from easyconv.training.totals import LossWatch, Totals

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=CUDA)]


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_on_several_devices_are_read_together(device: str) -> None:
    totals, watch = Totals(), LossWatch("epoch 1")
    for size, loss, extra in ((3, 1.0, 5.0), (1, 3.0, 1.0)):
        result = StepResult(torch.tensor(loss, device=device), size, values={"extra": torch.tensor(extra)})
        totals.add(result)
        watch.add(result.loss)
    watch.check()
    assert totals.read() == {"loss": 1.5, "extra": 4.0}


@pytest.mark.parametrize("device", DEVICES)
def test_the_watch_reads_losses_of_several_devices(device: str) -> None:
    watch = LossWatch("epoch 2")
    for loss in (torch.tensor(1.0), torch.tensor(2.0, device=device), torch.tensor(float("nan"))):
        watch.add(loss)
    with pytest.raises(ec.errors.NonFiniteLossError, match="became nan in batch 3 of epoch 2;"):
        watch.check()


@pytest.mark.parametrize("device", DEVICES)
def test_a_metric_that_returns_a_number(device: str) -> None:
    def share(output: torch.Tensor, target: torch.Tensor) -> float:
        return 0.25

    model = ec.Model(torch.nn.Linear(4, 3))
    model.compile("sgd", metrics=[share], device=device)
    row = model.fit(torch.randn(20, 4), torch.arange(20) % 3, verbose=0).history
    assert row["share"] == [0.25]


@pytest.mark.parametrize("device", DEVICES)
def test_copies_on_the_cpu(device: str) -> None:
    copies = HostCopies()
    given = [torch.randn(1000, 100, device=device) for _ in range(5)]
    for tensor in given:
        copies.add({"twice": (tensor * 2, tensor), "name": "a"})
    trees = copies.finished()
    assert [tree["name"] for tree in trees] == ["a"] * 5
    for tensor, tree in zip(given, trees, strict=True):
        twice, once = tree["twice"]
        assert once.device.type == twice.device.type == "cpu"
        assert torch.equal(once, tensor.cpu())
        assert torch.equal(twice, tensor.cpu() * 2)


@pytest.mark.parametrize("device", DEVICES)
def test_predictions_do_not_gather_on_the_device(device: str) -> None:
    seen: list[str] = []

    class Look(ec.callbacks.Callback):
        def on_predict_batch_end(self, batch: int, logs: object = None) -> None:
            seen.append(logs["outputs"].device.type)  # type: ignore[index]

    model = ec.Model(torch.nn.Linear(4, 4096))
    model.compile(device=device)
    x = torch.randn(4096, 4)
    model.predict(x[:64], verbose=0)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    outputs = model.predict(x, batch_size=64, callbacks=Look(), verbose=0)
    if device == "cuda":
        assert torch.cuda.max_memory_allocated() - before < outputs.nbytes / 4
    assert seen == [device] * 64
    expected = model.net(x.to(device)).detach().cpu()
    torch.testing.assert_close(torch.from_numpy(outputs), expected)


@CUDA
def test_the_state_of_a_device_is_given_back_and_its_draws_are_keyed() -> None:
    histories = []
    for world in (1, 2):
        torch.manual_seed(0)
        model = ec.Model(torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Dropout(0.5), torch.nn.Linear(64, 3)))
        model.compile("sgd", device="cuda")
        torch.cuda.manual_seed(world)
        state = torch.cuda.get_rng_state()
        histories.append(model.fit(torch.ones(20, 4), torch.arange(20) % 3, epochs=2, seed=3, verbose=0).history)
        assert torch.equal(torch.cuda.get_rng_state(), state)
    assert histories[0] == histories[1]
