"""``fit(batch_size="auto")`` tries sizes on a copy, and nothing else about the training changes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import easyconv as ec
from easyconv.data.sources.batch import Batch
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError, LabelError, StateError
from easyconv.trials import batch_size as choosing
from easyconv.trials.batch_size import ChosenSize, choose_batch_size, sizes_to_try
from easyconv.trials.trial import Trial, repeated

CPU = torch.device("cpu")


def data(rows: int = 1100) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(rows, 1, 8, 8, generator=generator), torch.arange(rows) % 3


def net() -> ec.Sequential:
    torch.manual_seed(0)
    return ec.Sequential([ec.ConvBlock(4), ec.layers.Flatten(), ec.layers.Dropout(0.2), ec.layers.Dense(3)])


def compiled(optimizer: Any = "adam", **options: Any) -> ec.Sequential:
    model = net()
    model.compile(optimizer, metrics=["accuracy"], device="cpu", **options)
    return model


class Costs:
    """A trial that costs what it is told."""

    def __init__(self, costs: dict[int, float], kept: int = 1, full_at: int | None = None) -> None:
        self.costs, self.kept, self.full_at = costs, kept, full_at
        self.tried: list[int] = []

    def warm_up(self, batch_size: int) -> int:
        if self.full_at is not None and batch_size >= self.full_at:
            raise torch.OutOfMemoryError("out of memory")
        self.tried.append(batch_size)
        return self.kept * batch_size

    def seconds_per_row(self, batch_size: int) -> float:
        return self.costs[batch_size]


def chosen(costs: list[float], rows: int = 100_000, **options: Any) -> tuple[int, list[int]]:
    trial = Costs(dict(zip((32, 64, 128, 256, 512, 1024), costs, strict=False)), **options)
    return choose_batch_size(trial, rows, CPU).size, trial.tried  # type: ignore[arg-type]


def test_the_smallest_that_is_nearly_as_fast_as_the_best() -> None:
    assert chosen([5, 4, 3.2, 3.1, 3.0, 2.95]) == (128, [32, 64, 128, 256, 512, 1024])
    assert chosen([1, 1, 1, 1, 1, 1])[0] == 32
    assert chosen([6, 5, 4, 3, 2, 1])[0] == 1024


def test_it_stops_where_rows_get_no_cheaper() -> None:
    assert chosen([2, 1, 1.5, 1.6, 0.1, 0.1]) == (64, [32, 64, 128, 256])


def test_an_epoch_keeps_its_steps() -> None:
    assert chosen([6, 5, 4, 3, 2, 1], rows=2100) == (128, [32, 64, 128])
    assert sizes_to_try(10) == [32]
    assert sizes_to_try(1025) == sizes_to_try(33) == [31]  # 32 and 64 leave one row, which norms cannot take
    assert sizes_to_try(1057) == [64]
    assert sizes_to_try(10**6) == [32, 64, 128, 256, 512, 1024]


def test_no_last_batch_of_one_row_is_left_by_a_validation_split() -> None:
    for rows, fraction in ((33, 0.0), (72, 0.1), (1025, 0.0)):
        model = ec.Sequential([ec.layers.Dense(4), ec.layers.BatchNorm(), ec.layers.Dense(2)])
        model.compile("sgd", lr=0.01)
        x, y = torch.randn(rows, 3), torch.arange(rows) % 2
        history = model.fit(x, y, batch_size="auto", validation_split=fraction, verbose=0)
        assert history.params["batch_size"] > 1


def test_trials_do_not_diverge_where_the_training_does_not() -> None:
    torch.manual_seed(0)
    x = torch.randn(3200, 10)
    x[0] *= 7  # two rows again and again make half of each batch an outlier
    y = x @ torch.randn(10, 1)
    model = ec.Sequential([ec.layers.Dense(1)])
    model.compile("sgd", "mse", lr=0.03)
    history = model.fit(x, y, batch_size="auto", epochs=2, verbose=0)
    assert history.history["loss"][-1] < 0.1
    ec.profile(model, x, y, steps=2)


def test_memory_is_not_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "available_memory", lambda: 1000)
    assert chosen([6, 5, 4, 3, 2, 1], kept=4) == (64, [32, 64])  # half of 1000 bytes, 4 a row
    monkeypatch.setattr(torch, "get_device_module", lambda device: _Device)
    monkeypatch.setattr(choosing, "available_memory", lambda: 10**12)
    assert chosen([6, 5, 4, 3, 2, 1], full_at=256) == (128, [32, 64, 128])
    with pytest.raises(ArgumentError, match=r"no size that fits into the memory of cpu: 32 rows do not.*bf16"):
        chosen([6, 5], full_at=32)


class _Device:
    @staticmethod
    def empty_cache() -> None:
        """As torch.cuda has it."""


def test_how_a_choice_reads() -> None:
    shown = str(ChosenSize(64, {32: 3e-5, 64: 1.25e-5}))
    assert shown == 'batch_size="auto": 64 rows (µs per row: 32: 30.0, 64: 12.5)'


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": ec.optim.SGD(lr=0.1, momentum=0.9)}, {"ema": 0.9}, {"clip_norm": 1.0, "accumulate": 2}],
    ids=["adam", "sgd", "ema", "clipped"],
)
def test_the_bits_are_those_of_the_same_size_given_by_hand(options: dict[str, Any]) -> None:
    x, y = data(3000)
    one, other = compiled(**options), compiled(**options)
    torch.manual_seed(5)
    history = one.fit(x, y, batch_size="auto", epochs=2, validation_split=0.1, verbose=0)
    states = [torch.get_rng_state(), np.random.get_state()[1].copy()]
    size = history.params["batch_size"]
    torch.manual_seed(5)
    by_hand = other.fit(x, y, batch_size=size, epochs=2, validation_split=0.1, verbose=0)
    assert history.history == by_hand.history
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert size in (32, 64, 128)  # of 2700 rows
    assert one.history.params == history.params == {"batch_size": size, "epochs": 2, "steps": -(-2700 // size)}


def test_nothing_of_the_model_moves_while_sizes_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net()
    model.build((1, 8, 8))
    optimizer = torch.optim.Adam(model.parameters())
    model.compile(optimizer, device="cpu")
    x, y = data()
    model.fit(x, y, verbose=0)
    tensors = [*model.parameters(), *model.buffers()]
    found = [(tensor, tensor._version, tensor.clone()) for tensor in tensors]
    moments = {key: value["exp_avg"].clone() for key, value in optimizer.state.items()}
    rows, progress = len(model.history), vars(model._session.progress).copy()
    tried: list[int] = []

    def refuse(self: Any, *args: Any, **options: Any) -> None:
        raise ZeroDivisionError

    def note(trial: Trial, size: int) -> int:
        tried.append(size)
        return warm_up(trial, size)

    warm_up = Trial.warm_up
    monkeypatch.setattr(Trial, "warm_up", note)
    monkeypatch.setattr("easyconv.model.model.make_sources", refuse)  # once sizes have been tried
    with pytest.raises(ZeroDivisionError):
        model.fit(x, y, batch_size="auto", verbose=0)
    assert tried
    for tensor, version, value in found:
        assert tensor._version == version
        assert torch.equal(tensor, value)
    assert all(torch.equal(value, optimizer.state[key]["exp_avg"]) for key, value in moments.items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert len(model.history) == rows
    assert vars(model._session.progress) == progress


def test_the_choice_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    history = compiled().fit(*data(100), batch_size="auto", verbose=2)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith('batch_size="auto": 32 rows (µs per row: 32: ')
    assert shown[1].startswith("Epoch 1/1")
    assert history.params["batch_size"] == 32
    compiled().fit(*data(100), batch_size="auto", verbose=0)
    assert capsys.readouterr().out == ""


class Own(ec.Model):
    def train_step(self, batch: Any) -> Any:
        x, y, _ = batch
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self(x), y)
        loss.backward()
        self.optimizer.step()
        self.steps = getattr(self, "steps", 0) + 1
        return {"loss": loss}


def test_own_steps_are_made_by_the_copy() -> None:
    model = Own(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    model.compile("sgd", lr=0.1, device="cpu")
    model.fit(*data(100), batch_size="auto", verbose=0)
    assert model.steps == 4


def test_data_sets_and_their_parts() -> None:
    class Samples(Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return 64

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            return x[index], int(y[index])

    x, y = data(64)
    parts = [Samples(), TensorDataset(x, y), ec.data.from_arrays((x, y))]
    for part in parts:
        part = getattr(part, "train", part)
        assert compiled().fit(part, batch_size="auto", verbose=0).params["batch_size"] == 32


def test_history_of_a_loader_has_no_size_of_ours() -> None:
    x, y = data(20)
    batches = [(x[:10], y[:10]), (x[10:], y[10:])]
    assert compiled().fit(batches, verbose=0).params == {"batch_size": None, "epochs": 1, "steps": 2}
    assert dict(ec.History().params) == {}
    record = ec.callbacks.History()
    compiled().fit(x, y, callbacks=record, verbose=0)
    assert record.params["epochs"] == 1


class Endless(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(zip(*data(), strict=True))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (DataLoader(TensorDataset(*data(10))), ArgumentError, "no effect where x is a DataLoader.*loader.dataset"),
        ([data(10)], ArgumentError, "no effect where x is a list, which makes the batches itself"),
        (Endless(), DataError, "needs to know how many rows there are, and a Endless does not say"),
    ],
    ids=["loader", "batches", "endless"],
)
def test_sources_that_bring_their_batches_are_refused(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compiled().fit(x, batch_size="auto", verbose=0)


def test_bad_words_data_and_models() -> None:
    with pytest.raises(ArgumentTypeError, match="batch_size must be an integer or 'auto', got 'large'"):
        compiled().fit(*data(10), batch_size="large", verbose=0)
    with pytest.raises(LabelError):
        compiled().fit(data(10)[0], [7] * 10, batch_size="auto", verbose=0)
    model = compiled()
    model.generator = (number for number in range(3))
    with pytest.raises(StateError, match=r"tried on a copy of the model, and this one cannot be copied .TypeError"):
        model.fit(*data(10), batch_size="auto", verbose=0)


def test_rows_are_repeated() -> None:
    batch = repeated(Batch((torch.tensor([1, 2]), torch.tensor([[3], [4]])), {"a": torch.tensor([5, 6])}), 5)
    assert batch.x[0].tolist() == [1, 2, 1, 2, 1]
    assert batch.x[1].flatten().tolist() == [3, 4, 3, 4, 3]
    assert batch.y["a"].tolist() == [5, 6, 5, 6, 5]
    assert repeated(Batch(torch.zeros(1, 2)), 3).y is None


def test_what_the_forward_pass_keeps_is_counted() -> None:
    model = ec.Model(nn.Sequential(nn.Linear(8, 4, bias=False), nn.Sigmoid(), nn.Linear(4, 2, bias=False)))
    model.compile("sgd", "mse", lr=0.1, device="cpu")
    trial = Trial(model, Batch(torch.rand(2, 8), torch.rand(2, 2)), CPU)
    kept = [trial.warm_up(size) for size in (100, 200)]
    # Each row: 8 inputs, 4 of the sigmoid, 2 outputs and 2 targets of the loss, of 4 bytes.
    assert kept[1] - kept[0] == 100 * 4 * (8 + 4 + 2 + 2)
