"""``fit(seed=...)``: the same bits each time, and the global random state given back."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from plain_torch import BATCH, CLASSES, data, loader, ours, same_state
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

import easyconv as ec


class Augmented(Dataset):
    """Images with noise from all three generators that data sets use."""

    def __init__(self, rows: int = 24) -> None:
        self.x, self.y = data(rows)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        shift = random.random() + float(np.random.rand())
        return self.x[row] + shift + torch.randn(1, 6, 6), self.y[row]


def states() -> tuple[Any, ...]:
    numpy = np.random.get_state()
    return random.getstate(), numpy[1].tolist(), numpy[2], torch.get_rng_state().tolist()  # type: ignore[index]


def disturb(seed: int) -> None:
    """Another state of the world, as another program would find it."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def source(kind: str) -> dict[str, Any]:
    x, y = data()
    return {
        "arrays": lambda: {"x": x, "y": y, "batch_size": BATCH},
        "dataset": lambda: {"x": Augmented(), "batch_size": BATCH},
        "tensor dataset": lambda: {"x": TensorDataset(x, y), "batch_size": BATCH},
        "loader": lambda: {"x": DataLoader(Augmented(), batch_size=BATCH, shuffle=True)},
        "workers": lambda: {"x": DataLoader(Augmented(), batch_size=BATCH, shuffle=True, num_workers=2)},
        "own generator": lambda: {"x": loader(x, y, generator=torch.Generator().manual_seed(random.getrandbits(30)))},
        "generator": lambda: {"x": iter(list(loader(x, y, shuffle=False))), "steps_per_epoch": 3},
    }[kind]()


KINDS = ["arrays", "dataset", "tensor dataset", "loader", "workers", "own generator", "generator"]


def train(kind: str, seed: int | None, world: int, **options: Any) -> tuple[ec.Sequential, dict[str, list[float]]]:
    model = ours()
    model.compile("adam", metrics=["accuracy"])
    disturb(world)
    history = model.fit(**source(kind), epochs=2, seed=seed, verbose=0, **options)
    return model, history.history


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_the_same_bits(kind: str) -> None:
    checked = DataLoader(Augmented(9), batch_size=4, shuffle=True)
    (one, first), (two, second) = (train(kind, 6, world, validation_data=checked) for world in (1, 2))
    assert same_state(one, two)
    assert first == second
    if kind != "generator":  # has an order of its own, and dropout alone differs
        other, third = train(kind, 7, 1, validation_data=checked)
        assert not same_state(one, other)
        assert third["loss"] != first["loss"]


class Noisy(torch.nn.Module):
    """Draws from all three generators in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(36, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.randn(()) + float(np.random.rand()) + random.random()
        return self.layer(x.flatten(1) + noise)


@pytest.mark.parametrize("place", ["forward", "train_step", "compute_loss"])
def test_one_seed_gives_the_same_draws_inside_a_step(place: str) -> None:
    class Draws(ec.Model):
        def train_step(self, batch: Any) -> Any:
            result = super().train_step(batch)
            extra = float(np.random.rand()) + random.random() if place == "train_step" else 0.0
            return {"loss": result.loss, "extra": extra}

        def compute_loss(self, output: Any, target: Any, sample_weight: Any = None) -> Tensor:
            factor = float(np.random.rand()) + random.random() if place == "compute_loss" else 1.0
            return factor * super().compute_loss(output, target, sample_weight)

    def net() -> torch.nn.Module:
        torch.manual_seed(0)
        return Noisy() if place == "forward" else torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, CLASSES))

    models, rows = [], []
    for world, seed in ((1, 6), (2, 6), (1, 7)):
        model = Draws(net())
        model.compile("sgd", lr=0.1)
        disturb(world)
        rows.append(model.fit(*data(), batch_size=BATCH, epochs=2, seed=seed, verbose=0).history)
        models.append(model)
    assert same_state(models[0], models[1])
    assert rows[0] == rows[1]
    assert not same_state(models[0], models[2])
    assert len(set(rows[0]["loss"])) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_random_state_is_given_back(kind: str) -> None:
    model = ours()
    model.compile("adam")
    disturb(3)
    given = source(kind)
    checked = DataLoader(Augmented(9), batch_size=4, shuffle=True)
    before = states()
    model.fit(**given, epochs=2, seed=6, validation_data=checked, verbose=0)
    assert states() == before


@pytest.mark.parametrize("hook", ["on_train_begin", "on_train_batch_end", "on_epoch_end", "on_test_end"])
def test_the_random_state_is_given_back_after_an_error(hook: str) -> None:
    class Fails(ec.callbacks.Callback):
        pass

    def fail(self: Any, *arguments: Any) -> None:
        raise OverflowError(hook)

    setattr(Fails, hook, fail)
    model = ours()
    model.compile("adam")
    disturb(3)
    given = source("loader")
    before = states()
    with pytest.raises(OverflowError, match=hook):
        model.fit(**given, seed=6, validation_data=data(9), callbacks=Fails(), verbose=0)
    assert states() == before


def test_the_random_state_is_given_back_after_bad_data() -> None:
    model = ours()
    model.compile("adam")
    disturb(3)
    x, y = data()
    given = DataLoader(TensorDataset(x, y + 9), batch_size=BATCH, shuffle=True)
    before = states()
    with pytest.raises(ec.errors.LabelError):
        model.fit(given, seed=6, verbose=0)
    assert states() == before


@pytest.mark.parametrize("kind", ["arrays", "loader", "workers"])
def test_two_seeded_fits_are_one(kind: str) -> None:
    whole, first = train(kind, 6, 1)
    halves = ours()
    halves.compile("adam", metrics=["accuracy"])
    for world in (4, 5):
        disturb(world)
        halves.fit(**source(kind), seed=6, verbose=0)
    assert same_state(whole, halves)
    assert halves.history.history == first


def test_what_happens_in_between_does_not_matter() -> None:
    """A callback that draws, and a validation, leave a seeded training as it is."""

    class Draws(ec.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            torch.rand(5)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            torch.rand(7)

    one, _ = train("arrays", 6, 1)
    two, _ = train("arrays", 6, 1, callbacks=[Draws()], validation_data=DataLoader(Augmented(9), batch_size=4))
    assert same_state(one, two)


def test_seeds_of_training_and_validation_are_unrelated() -> None:
    """The same loader on both sides must not give the same augmentations."""
    first: dict[bool, list[float]] = {True: [], False: []}

    class Look(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(36, CLASSES)
            self.on = False

        def forward(self, x: Tensor) -> Tensor:
            if self.on:
                first[self.training].append(float(x.sum()))
            return self.layer(x.flatten(1))

    class On(ec.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.model.net.on = True

    model = ec.Model(Look())
    model.compile("adam")
    given = DataLoader(Augmented(8), batch_size=8, shuffle=True)
    model.fit(given, epochs=2, validation_data=given, seed=1, callbacks=On(), verbose=0)
    assert len({round(value, 3) for value in first[True] + first[False]}) == 4


def test_without_a_seed_the_state_of_the_world_counts() -> None:
    (one, first), (same, again), (other, _) = (train("loader", None, world) for world in (1, 1, 2))
    assert same_state(one, same)
    assert first == again
    assert not same_state(one, other)


@pytest.mark.parametrize("seed", [-1, 1.0, "1", True])
def test_a_bad_seed_is_refused(seed: Any) -> None:
    model = ours()
    model.compile()
    with pytest.raises((ec.errors.ArgumentError, ec.errors.ArgumentTypeError), match="seed must be"):
        model.fit(*data(), seed=seed, verbose=0)
