"""``fit`` goes on, validates and counts steps as Keras documents it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from plain_torch import BATCH, CLASSES, Watch, data, loader, ours, same_state, small
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DataExhaustedError,
    EasyconvWarning,
    EmptyDataError,
)


class Recorder(nn.Module):
    """A net that remembers the first number of every row that it sees while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.seen: list[float] = []
        self.checked: list[float] = []
        self.watching = False

    def forward(self, x: Tensor) -> Tensor:
        if self.watching:
            (self.seen if self.training else self.checked).extend(x[:, 0].tolist())
        return x * self.scale


class Watching(ec.callbacks.Callback):
    """Switches a Recorder on where training begins, so that it does not see what was looked at before."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.model.net.watching = True


def counting(rows: int) -> Tensor:
    return torch.arange(float(rows)).reshape(-1, 1)


def recorder() -> ec.Model:
    model = ec.Model(Recorder())
    model.compile("sgd", "mse", lr=1e-9)
    return model


def model_for(metrics: Any = None, **options: Any) -> ec.Sequential:
    model = small()
    model.compile("adam", metrics=metrics, **options)
    return model


# One fit after another


@pytest.mark.parametrize("arguments", [{"seed": 5}, {"shuffle": False}], ids=["seed", "in order"])
@pytest.mark.parametrize("source", ["arrays", "loader"])
def test_two_fits_of_two_epochs_are_one_of_four(arguments: dict[str, Any], source: str) -> None:
    def train(*epochs: int) -> ec.Sequential:
        model = ours(dropout=0.25 if "seed" in arguments else 0.0)
        model.compile(ec.optim.SGD(lr=0.1, momentum=0.9), metrics=["accuracy"])
        x, y = data()
        given = {"x": x, "y": y, "batch_size": BATCH, **arguments}
        if source == "loader":
            given = {"x": loader(x, y, shuffle="seed" in arguments)} | ({"seed": 5} if "seed" in arguments else {})
        for count in epochs:
            model.fit(**given, epochs=count, validation_data=data(20, seed=9), verbose=0)
        return model

    whole, halves = train(4), train(2, 2)
    assert same_state(whole, halves)
    assert whole.history.history == halves.history.history
    assert halves.history.epoch == [0, 1, 0, 1]


def test_validation_that_draws_goes_on_with_its_own_keys() -> None:
    class Noisy(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 10

        def __getitem__(self, row: int) -> tuple[Tensor, int]:
            return torch.randn(1, 6, 6), row % CLASSES

    def losses(*epochs: int) -> list[float]:
        model = model_for()
        for count in epochs:
            model.fit(*data(), epochs=count, validation_data=Noisy(), seed=3, verbose=0)
        return model.history.history["val_loss"]

    assert losses(4) == losses(2, 2) == losses(1, 1, 2)
    assert len(set(losses(4))) == 4


def test_compile_starts_the_optimizer_afresh_and_says_so() -> None:
    x, y = data()
    model = model_for()
    model.fit(x, y, verbose=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = model.optimizer
    with pytest.warns(EasyconvWarning, match=r"starts the optimizer afresh: what Adam has gathered in 2 steps"):
        model.compile("adam")
    assert model.optimizer is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model.fit(x, y, verbose=0)
    assert model.optimizer is not first
    assert {int(state["step"]) for state in model.optimizer.state.values()} == {2}


def test_the_optimizer_lives_on_from_fit_to_fit() -> None:
    model = model_for()
    for _ in range(3):
        model.fit(*data(), verbose=0)
    assert {int(state["step"]) for state in model.optimizer.state.values()} == {6}


def test_initial_epoch_counts_from_there_to_the_last() -> None:
    watch = Watch()
    model = model_for()
    history = model.fit(*data(), initial_epoch=3, epochs=5, callbacks=watch, verbose=0)
    assert history.epoch == watch.epochs == [3, 4]
    assert len(history.history["loss"]) == 2


@pytest.mark.parametrize(("epochs", "initial"), [(0, 0), (2, 2), (2, 5)])
def test_no_epochs_are_a_no_op(epochs: int, initial: int) -> None:
    model = model_for()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    history = model.fit(*data(), epochs=epochs, initial_epoch=initial, verbose=0)
    assert history.epoch == []
    assert history.history == {}
    assert len(model.history) == 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_models_history_spans_all_fits() -> None:
    model = model_for(["accuracy"])
    first = model.fit(*data(), epochs=2, verbose=0)
    second = model.fit(*data(), epochs=5, initial_epoch=2, validation_data=data(9, seed=4), verbose=0)
    assert first.epoch == [0, 1]
    assert second.epoch == [2, 3, 4]
    assert model.history.epoch == [0, 1, 2, 3, 4]
    assert model.history.history["loss"] == first.history["loss"] + second.history["loss"]
    assert model.history.history["val_loss"] == second.history["val_loss"]
    names = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert list(second.history) == names
    assert list(first.history) == ["loss", "accuracy", "learning_rate"]
    assert first.history["learning_rate"] == [1e-3, 1e-3]


# Validation


@pytest.mark.parametrize(
    ("freq", "due"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), (5, [4]), (6, []), ([1, 4], [0, 3]), ((2, 9), [1])]
)
def test_validation_freq(freq: Any, due: list[int]) -> None:
    watch = Watch()
    history = model_for().fit(
        *data(), epochs=5, validation_data=data(9), validation_freq=freq, callbacks=watch, verbose=0
    )
    assert watch.validated == due
    assert len(history.history.get("val_loss", [])) == len(due)
    assert [epoch for epoch, row in zip(history.epoch, history, strict=True) if "val_loss" in row] == due


@pytest.mark.parametrize("freq", [0, -1, 1.5, "1", True, [0], [1, 2.5]])
def test_a_bad_validation_freq_is_refused(freq: Any) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match="validation_freq must be"):
        model_for().fit(*data(), validation_data=data(9), validation_freq=freq, verbose=0)


@pytest.mark.parametrize("source", ["arrays", "loader"])
def test_validation_steps_look_at_the_same_samples_each_time(source: str) -> None:
    # Keras: "the evaluation will start from the beginning of the dataset at each epoch".
    x = counting(12)
    checked = (x, x) if source == "arrays" else loader(x, x, batch_size=4, shuffle=False)
    model = recorder()
    model.fit(
        x,
        x,
        epochs=3,
        validation_data=checked,
        validation_steps=2,
        validation_batch_size=4 if source == "arrays" else None,
        callbacks=Watching(),
        verbose=0,
    )
    assert model.net.checked == 3 * list(range(8))


def test_more_validation_steps_than_batches_are_refused_before_training() -> None:
    model = recorder()
    x = counting(12)
    with pytest.raises(DataExhaustedError, match=r"validation_data ends after 3 of the 4 batches .*validation_steps=4"):
        model.fit(
            x,
            x,
            validation_data=(x, x),
            validation_steps=4,
            validation_batch_size=4,
            callbacks=Watching(),
            verbose=0,
        )
    assert model.net.seen == []


@pytest.mark.parametrize("own", [None, 3])
def test_validation_batch_size(own: int | None) -> None:
    sizes = []

    class Sizes(ec.callbacks.Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            sizes.append(batch)

    model_for().fit(
        *data(),
        batch_size=BATCH,
        validation_data=data(9),
        validation_batch_size=own,
        callbacks=[Sizes()],
        verbose=0,
    )
    assert len(sizes) == (2 if own is None else 3)


def test_a_generator_validates_as_often_as_is_due() -> None:
    def generator() -> Iterator[tuple[Tensor, Tensor]]:
        yield data(9)

    history = model_for().fit(*data(), epochs=4, validation_data=generator(), validation_freq=4, verbose=0)
    assert len(history.history["val_loss"]) == 1
    with pytest.raises(ArgumentError, match=r"validation_data is a generator.*1 pass, not 2.*validation_steps="):
        model_for().fit(*data(), epochs=2, validation_data=generator(), verbose=0)


def test_a_validation_generator_goes_on() -> None:
    x = counting(8)
    model = recorder()
    batches = ((x[i : i + 2], x[i : i + 2]) for i in range(0, 8, 2))
    model.fit(x, x, epochs=2, validation_data=batches, validation_steps=2, callbacks=Watching(), verbose=0)
    assert model.net.checked == list(range(8))


@pytest.mark.parametrize("kind", ["arrays", "numpy", "dataset"])
def test_validation_split_is_stratified_and_seeded(kind: str) -> None:
    y = torch.tensor([0] * 40 + [1] * 20)
    x = torch.arange(60.0)[:, None]
    given: dict[str, Any] = {
        "arrays": {"x": x, "y": y},
        "numpy": {"x": x.numpy(), "y": y.numpy()},
        "dataset": {"x": TensorDataset(x, y)},
    }[kind]

    def held_out(seed: int) -> list[float]:
        torch.manual_seed(0)

        class Two(Recorder):
            def forward(self, x: Tensor) -> Tensor:
                return torch.cat([super().forward(x), x], 1)

        model = ec.Model(Two())
        model.compile("sgd", lr=1e-9)
        model.fit(**given, epochs=2, validation_split=0.3, seed=seed, callbacks=Watching(), verbose=0)
        first, second = model.net.checked[:18], model.net.checked[18:]
        assert first == second
        assert sorted(first + model.net.seen[:42]) == list(range(60))
        return first

    chosen = held_out(1)
    assert sum(value < 40 for value in chosen) == 12
    assert held_out(1) == chosen
    assert held_out(2) != chosen


def test_validation_split_is_refused_for_what_brings_batches() -> None:
    with pytest.raises(DataError, match=r"validation_split must be left out where x is a DataLoader.*loader\.dataset"):
        model_for().fit(loader(*data()), validation_split=0.2, verbose=0)
    with pytest.raises(ArgumentError, match=r"validation_split=0\.2 or validation_data, not both"):
        model_for().fit(*data(), validation_split=0.2, validation_data=data(9), verbose=0)


# Steps


def numbers(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    for number in range(count):
        yield torch.full((2, 1), float(number)), torch.zeros(2, 1)


def test_a_generator_goes_on_from_epoch_to_epoch_and_fit_to_fit() -> None:
    model, generator = recorder(), numbers(9)
    model.fit(generator, epochs=2, steps_per_epoch=3, callbacks=Watching(), verbose=0)
    assert model.net.seen == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    model.fit(generator, steps_per_epoch=2, verbose=0)
    assert model.net.seen[12:] == [6, 6, 7, 7]
    assert [item[0][0].item() for item in generator] == [8]  # nothing was read ahead


def test_a_generator_that_ends_early() -> None:
    model = recorder()
    with pytest.raises(DataExhaustedError, match=r"x ends after 1 of the 3 batches .*steps_per_epoch=3"):
        model.fit(numbers(4), epochs=2, steps_per_epoch=3, verbose=0)
    assert model.history.epoch == [0]
    generator = numbers(3)
    model.fit(generator, verbose=0)
    with pytest.raises(EmptyDataError):
        model.fit(generator, verbose=0)


def test_a_generator_cannot_give_several_epochs_without_steps() -> None:
    model, generator = recorder(), numbers(4)
    with pytest.raises(ArgumentError, match=r"x is a generator.*1 pass, not 2\. Pass steps_per_epoch="):
        model.fit(generator, epochs=2, callbacks=Watching(), verbose=0)
    assert model.net.seen == []
    assert len(list(generator)) == 4
    assert model.fit(numbers(4), initial_epoch=4, epochs=5, verbose=0).epoch == [4]


@pytest.mark.parametrize("source", ["arrays", "loader", "list"])
def test_steps_over_data_go_on_and_start_again(source: str) -> None:
    x = counting(5)
    batches = [(x[i : i + 2], x[i : i + 2]) for i in range(0, 5, 2)]
    given: dict[str, Any] = {
        "arrays": {"x": x, "y": x, "batch_size": 2, "shuffle": False},
        "loader": {"x": loader(x, x, batch_size=2, shuffle=False)},
        "list": {"x": batches},
    }[source]
    model = recorder()
    watch = Watch()
    model.fit(**given, epochs=3, steps_per_epoch=2, callbacks=[Watching(), watch], verbose=0)
    assert model.net.seen == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert watch.batches == [2, 2, 2]


def test_steps_of_evaluate_and_predict() -> None:
    x, y = data()
    model = model_for()
    assert model.evaluate(x, y, steps=2, batch_size=BATCH, verbose=0) == pytest.approx(
        model.evaluate(x[:16], y[:16], batch_size=BATCH, verbose=0)
    )
    np.testing.assert_array_equal(
        model.predict(x, steps=2, batch_size=BATCH, verbose=0), model.predict(x[:16], batch_size=BATCH, verbose=0)
    )
    for call in (model.predict, lambda x, **options: model.evaluate(x, y, **options)):
        with pytest.raises(DataExhaustedError, match=r"x ends after 7 of the 8 batches that steps=8 asks for"):
            call(x, steps=8, batch_size=BATCH, verbose=0)
