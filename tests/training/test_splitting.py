"""A batch that does not fit goes through the net in parts, and the optimizer gets the gradients of the whole."""

import sys
import warnings
import weakref
from typing import Any

import pytest
import torch
from plain_torch import CLASSES, data, same_state
from torch import Tensor, nn
from torch.nn import functional

import easyconv as ec
from easyconv.data.sources.batch import Batch
from easyconv.errors import ArgumentError, EasyconvWarning, NonFiniteLossError
from easyconv.training import splitting

NO_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB."


class Backward(torch.autograd.Function):
    """Memory that is too small in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: int) -> Tensor:
        ctx.rows = rows
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if len(gradient) > ctx.rows:
            raise torch.OutOfMemoryError(NO_MEMORY)
        return gradient, None


class Limited(nn.Module):
    """A net for which there is memory for so many rows, in the forward pass or backward."""

    def __init__(self, rows: int, where: str = "forward", norm: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.rows, self.where, self.seen = rows, where, []
        self.ghosts: list[Any] = []
        self.first = nn.Linear(36, 8)
        self.norm = nn.BatchNorm1d(8) if norm else nn.Identity()
        self.drop, self.last = nn.Dropout(dropout), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        assert all(ghost() is None for ghost in self.ghosts)
        if self.training:
            self.seen.append(len(x))
        hidden = self.norm(self.first(x.flatten(1))).relu()
        if self.where == "forward" and self.training and len(x) > self.rows:
            self.ghosts.append(weakref.ref(hidden))  # what a failed try has computed must not be alive in the next
            raise torch.OutOfMemoryError(NO_MEMORY)
        if self.where == "backward":
            hidden = Backward.apply(hidden, self.rows)
        return self.last(self.drop(hidden))


def trained(rows: int, where: str = "forward", *, fitting: Any = None, net: Any = None, **words: Any) -> Any:
    torch.manual_seed(4)
    model = ec.Model(Limited(rows, where, **(net or {})))
    model.compile(ec.optim.SGD(lr=0.2, momentum=0.9), metrics=["accuracy"], device="cpu", **words)
    x, y = data()
    fitting = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0, **(fitting or {})}
    history = model.fit(x, y, on_oom="split", **fitting)
    return model, history.history


def alike(one: Any, other: Any) -> None:
    (mine, rows), (theirs, expected) = one, other
    for got, wanted in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)
    assert rows["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert rows["accuracy"] == expected["accuracy"]


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("limit", [15, 8, 5, 1])
def test_the_gradients_are_those_of_the_whole_batch(where: str, limit: int) -> None:
    with pytest.warns(EasyconvWarning, match="A batch of 16 rows did not fit into the memory of cpu") as told:
        split = trained(limit, where)
    assert len(told) == 1
    alike(split, trained(99))
    at_once = {15: 8, 8: 8, 5: 4, 1: 1}[limit]
    assert f"at most {at_once} go through the net at once, {16 // at_once} parts" in str(told[0].message)
    # What has been found to fit is kept: no batch after the first one fails.
    assert max(split[0].net.seen[-50 // at_once :]) <= at_once


def test_where_everything_fits_nothing_changes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole, rows = trained(99)
    torch.manual_seed(4)
    other = ec.Model(Limited(99))
    other.compile(ec.optim.SGD(lr=0.2, momentum=0.9), metrics=["accuracy"], device="cpu")
    x, y = data()
    expected = other.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    assert same_state(whole.net, other.net)
    assert rows == expected


@pytest.mark.filterwarnings("ignore:A batch of 16 rows")
@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize(
    ("fitting", "words"),
    [
        ({"class_weight": [0.5, 2.0, 1.25]}, {}),
        ({"sample_weight": torch.linspace(0.1, 3, 50)}, {}),
        ({}, {"accumulate": 2}),
        ({}, {"accumulate": 3, "clip_norm": 0.1}),
        ({}, {"loss": "hinge"}),
        ({}, {"ema": 0.5}),
    ],
)
def test_weights_and_accumulation(where: str, fitting: Any, words: Any) -> None:
    alike(trained(5, where, fitting=fitting, **words), trained(99, where, fitting=fitting, **words))


def test_with_accumulation_and_enough_memory_the_bits_are_the_same() -> None:
    torch.manual_seed(4)
    other = ec.Model(Limited(99))
    other.compile(ec.optim.SGD(lr=0.2, momentum=0.9), metrics=["accuracy"], device="cpu", accumulate=3)
    x, y = data()
    other.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    assert same_state(trained(99, accumulate=3)[0].net, other.net)


@pytest.mark.filterwarnings("ignore:A batch of 16 rows")
def test_parts_against_a_plain_loop() -> None:
    torch.manual_seed(4)
    net = Limited(4)
    model, _ = trained(4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
    x, y = data()
    for _ in range(2):
        for xs, ys in zip(x.split(16), y.split(16), strict=True):
            optimizer.zero_grad()
            for part_x, part_y in zip(xs.split(4), ys.split(4), strict=True):
                (functional.cross_entropy(net(part_x), part_y) * (len(part_x) / len(xs))).backward()
            optimizer.step()
    assert same_state(model.net, net)


@pytest.mark.filterwarnings("ignore:A batch of 16 rows")
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_statistics_are_those_of_the_parts_that_counted(where: str) -> None:
    """Whatever the failed tries left in a batch norm is taken back."""
    model, _ = trained(4, where, fitting={"epochs": 1}, net={"norm": True})
    calm, _ = trained(99, fitting={"epochs": 1}, net={"norm": True})
    parts = 4 + 4 + 4 + 1  # the last batch has 2 rows
    assert model.net.norm.num_batches_tracked == parts
    assert calm.net.norm.num_batches_tracked == 4
    assert model.net.norm.running_var.isfinite().all()


@pytest.mark.filterwarnings("ignore:A batch of 16 rows")
def test_a_seed_gives_the_same_training_again() -> None:
    fitting = {"seed": 3, "shuffle": True}
    (one, first), (two, second) = (trained(6, fitting=fitting, net={"dropout": 0.5}) for _ in range(2))
    assert same_state(one.net, two.net)
    assert first == second


@pytest.mark.filterwarnings("ignore:A batch of 16 rows")
def test_several_inputs_and_outputs() -> None:
    class Two(nn.Module):
        def __init__(self, rows: int) -> None:
            super().__init__()
            self.rows, self.kind, self.size = rows, nn.Linear(6, 2), nn.Linear(6, 1)

        def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
            if self.training and len(a) > self.rows:
                raise torch.OutOfMemoryError(NO_MEMORY)
            both = torch.cat([a, b], 1)
            return {"kind": self.kind(both), "size": self.size(both)}

    def run(rows: int) -> tuple[ec.Model, dict[str, list[float]]]:
        torch.manual_seed(0)
        model = ec.Model(Two(rows))
        losses = {"kind": "cross_entropy", "size": "mse"}
        model.compile("sgd", losses, metrics={"kind": ["accuracy"]}, lr=0.1, device="cpu")
        x, y = (torch.rand(32, 2), torch.rand(32, 4)), {"kind": torch.arange(32) % 2, "size": torch.rand(32)}
        return model, model.fit(x, y, batch_size=16, shuffle=False, verbose=0, on_oom="split").history

    (mine, got), (theirs, expected) = run(5), run(99)
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert got.keys() == expected.keys()
    assert all(got[name] == pytest.approx(expected[name], rel=1e-5) for name in got)


# What does not fit at all


def test_by_default_the_error_says_what_to_do() -> None:
    model = ec.Model(Limited(4))
    model.compile("sgd", device="cpu")
    with pytest.raises(
        torch.OutOfMemoryError, match=r"(?s)CUDA out of memory.*The memory of cpu is too small"
    ) as caught:
        model.fit(*data(), batch_size=16, verbose=0)
    for word in ("batch_size", "accumulate=2", "on_oom='split'", "precision='bf16'"):
        assert word in str(caught.value)


def test_where_one_row_does_not_fit() -> None:
    with pytest.raises(
        torch.OutOfMemoryError, match=r"(?s)CUDA out of memory.*fewer and fewer rows.*does not fit either"
    ):
        trained(0)


def test_other_errors_are_not_taken_for_it() -> None:
    def broken(gradient: Tensor) -> Tensor:
        raise RuntimeError("something else")

    model = ec.Model(Limited(99))
    model.net.last.weight.register_hook(broken)
    model.compile("sgd", device="cpu")
    with pytest.raises(RuntimeError) as caught:
        model.fit(*data(), verbose=0, on_oom="split")
    assert str(caught.value) == "something else"


@pytest.mark.filterwarnings("ignore:A batch of 16 rows")
def test_nan_in_a_split_batch_stops_too() -> None:
    x, y = data()
    model = ec.Model(Limited(4))
    model.compile("sgd", device="cpu", loss=lambda output, y: functional.cross_entropy(output, y) / (len(y) != 2))
    with pytest.raises(NonFiniteLossError, match="in batch 4 of epoch 1"):
        model.fit(x, y, batch_size=16, shuffle=False, verbose=0, on_oom="split")


def test_a_word_that_is_not_known() -> None:
    model = ec.Model(Limited(4))
    model.compile("sgd", device="cpu")
    with pytest.raises(ArgumentError, match="on_oom must be one of 'raise', 'split', got 'half'"):
        model.fit(*data(), verbose=0, on_oom="half")


# Steps of one's own


class Wrapped(ec.Model):
    def train_step(self, batch: Any) -> Any:
        return {"loss": super().train_step(batch).loss}


class Own(ec.Model):
    def train_step(self, batch: Any) -> Any:
        loss = functional.cross_entropy(self(batch.x), batch.y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


@pytest.mark.filterwarnings("ignore:A batch of 16 rows")
def test_a_step_that_calls_ours_is_split() -> None:
    nets = []
    for rows in (4, 99):
        torch.manual_seed(4)
        model = Wrapped(Limited(rows))
        model.compile("sgd", lr=0.1, device="cpu")
        model.fit(*data(), batch_size=16, shuffle=False, verbose=0, on_oom="split")
        nets.append(model.net)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_step_that_does_all_itself_is_told() -> None:
    model = Own(Limited(99))
    model.compile("sgd", lr=0.1, device="cpu")
    with pytest.warns(
        EasyconvWarning, match=r"fit\(on_oom='split'\) has no effect here.*super\(\)\.train_step\(batch\)"
    ):
        model.fit(*data(), verbose=0, on_oom="split")
    model.net.rows = 4
    with pytest.raises(torch.OutOfMemoryError, match=r"cannot cut a batch for a train_step of your own"):
        model.fit(*data(), verbose=0, on_oom="split")


# Parts


@pytest.mark.parametrize(("rows", "limit"), [(10, 4), (10, 3), (7, 7), (7, 1), (5, None), (64, 33)])
def test_parts_are_even_and_whole(rows: int, limit: int | None) -> None:
    batch = Batch((torch.arange(rows), torch.arange(rows)), None, torch.arange(rows))
    parts = splitting.parts_of(batch, limit)
    sizes = [len(part.sample_weight) for part in parts]
    assert torch.cat([part.x[1] for part in parts]).tolist() == list(range(rows))
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= (limit or rows)
    assert len(parts) == -(-rows // (limit or rows))
    assert all(part.y is None for part in parts)


def test_memory_is_given_back_before_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an accelerator the cache is emptied, once the frames that held tensors are gone."""
    emptied = []

    class Module:
        @staticmethod
        def empty_cache() -> None:
            emptied.append(sys.exc_info()[0])

    monkeypatch.setattr(torch, "get_device_module", lambda device: Module)

    class Recipe:
        device = torch.device("cuda")

    class Run:
        recipe, parameters, seed, compute = Recipe, [], None, None

        class finite:  # noqa: N801
            once_more = staticmethod(lambda: None)

    splitting._begin_again(Run)  # type: ignore[arg-type]
    assert emptied == [None]
