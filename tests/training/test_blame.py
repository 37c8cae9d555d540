"""The error says where NaN or infinity began: one cause made by hand after the other."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import easyconv as ec
from easyconv.errors import NonFiniteGradientError, NonFiniteLossError
from easyconv.training import blame

ROWS = 6


def rows(**changed: float) -> Tensor:
    """Six rows of four numbers between 0.1 and 1; ``r3=0.0`` sets a row."""
    x = torch.rand(ROWS, 4, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.1
    for name, value in changed.items():
        x[int(name[1:])] = value
    return x


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Steep(torch.autograd.Function):
    """As it is forward, infinitely steep backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * math.inf


class Shares(nn.Module):
    """Divides between its layers, in its own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.after = nn.Identity(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inside(x)
        return self.after(x / x.sum(1, keepdim=True))


class Roots(Shares):
    """Takes roots of what the layer before it gives, in its own forward."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.inside(x)
        return self.after((x - x.detach()).sqrt())


def named(**layers: nn.Module) -> nn.Sequential:
    net = nn.Sequential()
    for name, layer in layers.items():
        net.add_module(name, layer)
    return net


def with_weights(layer: nn.Linear, weight: float, bias: float = 0.0) -> nn.Linear:
    nn.init.constant_(layer.weight, weight)
    nn.init.constant_(layer.bias, bias)
    return layer


def log_loss(output: Tensor, y: Tensor) -> Tensor:
    return -(output * 0).log().mean()


def share_loss(output: Tensor, y: Tensor) -> Tensor:
    return ((output - output) / (y.float() - y.float())[:, None]).mean()


def root_loss(output: Tensor, y: Tensor) -> Tensor:
    return functional.mse_loss(output, output.detach()).sqrt()


@dataclass
class Case:
    net: nn.Module
    first: str
    layer: str | None
    says: str
    x: Tensor = None  # type: ignore[assignment]
    rows: tuple[int, ...] = ()
    loss: Any = "cross_entropy"


def cases() -> dict[str, Case]:
    dense, out = nn.Linear(4, 4), nn.Linear(4, 2)
    nan_dense = nn.Linear(4, 4)
    nan_dense.weight.data[1, 2] = math.nan
    return {
        "exp overflows in a layer": Case(
            named(exp=Apply(torch.exp), out=out),
            "outputs",
            "exp",
            r"layer 'exp' \(Apply\) gave the first value that is NaN or infinite, in rows 2 and 5 of 6\.",
            rows(r2=100.0, r5=1000.0),
            (2, 5),
        ),
        "log of 0 in a Lambda of ours": Case(
            named(log=ec.layers.Lambda(torch.log), out=out), "outputs", "log", r"in row 1 of 6\.", rows(r1=0.0), (1,)
        ),
        "0 / 0 between the layers of a block": Case(
            named(first=nn.Identity(), block=Shares()),
            "outputs",
            "block",
            r"layer 'block' \(Shares\) made the first value that is NaN or infinite between its layers, in row 4 of 6",
            rows(r4=0.0),
            (4,),
        ),
        "a layer of one's own with a function": Case(
            named(deep=nn.Sequential(nn.Identity(), Apply(lambda x: x / (x - x[-1]))), out=out),
            "outputs",
            "deep.1",
            r"layer 'deep\.1' \(Apply\).*in row 5 of 6",
            None,
            (5,),
        ),
        "NaN before a batch norm, which spreads it": Case(
            named(bad=Apply(lambda x: x.where(x < 9, math.nan)), norm=nn.BatchNorm1d(4), out=out),
            "outputs",
            "bad",
            r"layer 'bad' \(Apply\).*in row 3 of 6",
            rows(r3=10.0),
            (3,),
        ),
        "a layer norm without eps on constant rows": Case(
            named(norm=nn.LayerNorm(4, eps=0.0), out=out),
            "outputs",
            "norm",
            r"layer 'norm' \(LayerNorm\)",
            rows(r2=0.5),
            (2,),
        ),
        "softmax of nothing but minus infinity": Case(
            named(mask=Apply(lambda x: x.where(x > 0, -math.inf).softmax(1)), out=out),
            "outputs",
            "mask",
            r"in row 0 of 6",
            rows(r0=-1.0),
            (0,),
        ),
        "weights that overflow": Case(
            named(dense=with_weights(nn.Linear(4, 4), 1e30), again=with_weights(nn.Linear(4, 2), 1e30)),
            "outputs",
            "again",
            r"layer 'again' \(Linear\)",
            None,
            tuple(range(ROWS)),
        ),
        "NaN weights": Case(
            named(dense=nan_dense, out=out), "weights", "dense", r"'weight' of layer 'dense' \(Linear\) held NaN"
        ),
        "log of 0 in the loss": Case(
            named(out=out),
            "loss",
            None,
            r"what the net gives is finite, the loss \(log_loss\) of it is not",
            loss=log_loss,
        ),
        "0 / 0 in the loss": Case(named(out=out), "loss", None, r"the loss \(share_loss\)", loss=share_loss),
        "a root at 0": Case(
            named(dense=dense, root=Apply(lambda x: (x - x.detach()).sqrt()), out=out),
            "gradients",
            "root",
            r"the loss is finite; on the way back layer 'root' \(Apply\) was first, in SqrtBackward0",
        ),
        "a root at 0 in the loss": Case(
            named(out=out), "gradients", None, "on the way back the loss was first, in SqrtBackward0", loss=root_loss
        ),
        "a root between the layers of a block": Case(
            named(first=dense, block=Roots()),
            "gradients",
            "block",
            r"layer 'block' \(Roots\) was first, in SqrtBackward0",
        ),
        "0 · infinity in torch.where": Case(
            named(dense=dense, safe=Apply(lambda x: torch.where(x > 99, (x - x.detach()).log(), x)), out=out),
            "gradients",
            "safe",
            r"layer 'safe' \(Apply\) was first, in LogBackward0",
        ),
        "an operation of one's own": Case(
            named(dense=dense, steep=Apply(Steep.apply), out=out),
            "gradients",
            "steep",
            r"layer 'steep' \(Apply\) was first, in SteepBackward",
        ),
        "a power at 0": Case(
            named(dense=with_weights(nn.Linear(4, 4), 0.0), power=Apply(lambda x: x**0.5), out=out),
            "gradients",
            "power",
            r"layer 'power' \(Apply\) was first, in PowBackward0",
        ),
    }


@pytest.mark.parametrize("name", cases())
def test_the_cause_is_named(name: str) -> None:
    torch.manual_seed(0)
    case = cases()[name]
    model = ec.Model(case.net)
    model.compile("sgd", case.loss, lr=0.1, device="cpu")
    x = rows() if case.x is None else case.x
    kind = NonFiniteGradientError if case.first == "gradients" else NonFiniteLossError
    with pytest.raises(kind, match=case.says) as caught:
        model.fit(x, torch.arange(ROWS) % 2, batch_size=ROWS, shuffle=False, verbose=0)
    found = caught.value
    print(found)
    assert (found.first, found.layer, found.rows, found.batch) == (case.first, case.layer, case.rows, 1)
    if kind is NonFiniteGradientError:
        assert "Roots, norms and powers have no finite slope at 0: add a small number inside" in str(found)
    if case.layer is not None:
        assert model.get_layer(case.layer) is not None


def test_a_model_of_ones_own_goes_by_its_own_names() -> None:
    class Mine(ec.Model):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 2)
            self.exp = Apply(torch.exp)

        def forward(self, x: Tensor) -> Tensor:
            return self.exp(1000 * x)[:, :2] * self.net(x)

    model = Mine()
    model.compile("sgd", lr=0.1)
    with pytest.raises(NonFiniteLossError, match=r"layer 'exp' \(Apply\)"):
        model.fit(rows(), torch.arange(ROWS) % 2, verbose=0)
    model.net.bias.data.fill_(math.nan)
    with pytest.raises(NonFiniteLossError, match=r"'bias' of layer 'net' \(Linear\) held NaN.*load_weights"):
        model.fit(rows(), torch.arange(ROWS) % 2, verbose=0)


def test_the_nets_own_forward() -> None:
    class Mine(ec.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(x).mul(0).log()

    model = Mine()
    model.compile("sgd", lr=0.1)
    with pytest.raises(NonFiniteLossError, match=r"the net itself \(Mine\) gave the first") as caught:
        model.fit(rows(), torch.arange(ROWS) % 2, verbose=0)
    assert caught.value.layer == ""


def test_a_rate_that_explodes() -> None:
    torch.manual_seed(0)
    model = ec.Model(named(dense=nn.Linear(4, 8), out=nn.Linear(8, 2)))
    model.compile("sgd", lr=1e30)
    with pytest.raises(NonFiniteLossError, match=r"in batch 2 of epoch 1;.*layer 'out'.*Lower the learning rate, clip"):
        model.fit(rows(), torch.arange(ROWS) % 2, batch_size=2, verbose=0)


def test_inputs_that_are_spoiled_behind_the_door() -> None:
    class Spoils(ec.Model):
        def train_step(self, batch: Any) -> Any:
            x = batch.x.clone()
            x[1, 2] = x[4, 0] = math.inf
            return super().train_step(batch._replace(x=x))

    model = Spoils(nn.Linear(4, 2))
    model.compile("sgd", lr=0.1)
    with pytest.raises(
        NonFiniteLossError, match=r"x holds 2 numbers that are NaN or infinite, in rows 1 and 4 of the batch"
    ) as caught:
        model.fit(rows(), torch.arange(ROWS) % 2, batch_size=ROWS, shuffle=False, verbose=0)
    assert (caught.value.first, caught.value.rows) == ("inputs", (1, 4))
    assert str(caught.value).endswith("Look at those rows, and at the transforms that they went through.")


def test_a_transform_that_spoils_a_row() -> None:
    x = torch.rand(ROWS, 1, 8, 8)
    x[2] = 0.0
    part = ec.data.from_arrays((x, torch.arange(ROWS) % 2)).train
    part = part.prepare(lambda images: images / images.amax((1, 2, 3), keepdim=True))
    model = ec.Model(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)))
    model.compile("sgd", lr=0.1)
    with pytest.raises(NonFiniteLossError, match=r"x holds 64 numbers that are NaN or infinite, in row 2 of the batch"):
        model.fit(part, batch_size=ROWS, shuffle=False, verbose=0)


def test_targets_that_are_spoiled_behind_the_door() -> None:
    class Spoils(ec.Model):
        def train_step(self, batch: Any) -> Any:
            return super().train_step(batch._replace(y=batch.y / (batch.y != 5)))

    model = Spoils(nn.Linear(4, 1))
    model.compile("sgd", "mse", lr=0.1)
    with pytest.raises(
        NonFiniteLossError, match=r"y holds 1 number that is NaN or infinite, in row 5 of the batch\..*fill what"
    ):
        model.fit(rows(), torch.arange(ROWS), batch_size=ROWS, shuffle=False, verbose=0)


def test_the_loss_of_one_output_among_several() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kind, self.size = nn.Linear(4, 2), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"kind": self.kind(x), "size": self.size(x)}

    model = ec.Model(Two())
    model.compile("sgd", {"kind": "cross_entropy", "size": log_loss}, lr=0.1)
    with pytest.raises(NonFiniteLossError, match="the loss 'size_loss' of it is not"):
        model.fit(rows(), {"kind": torch.arange(ROWS) % 2, "size": torch.rand(ROWS)}, verbose=0)


def armed_at(batch: int, trap: list[int]) -> ec.callbacks.Callback:
    """Sets a trap before a batch."""
    return ec.callbacks.LambdaCallback(on_train_batch_begin=lambda b, logs: trap.append(b) if b == batch else None)


def test_what_a_second_run_does_not_show() -> None:
    trap: list[int] = []

    def now_and_then(x: Tensor) -> Tensor:
        return x * (math.nan if trap and trap.pop() else 1.0)

    model = ec.Model(named(odd=Apply(now_and_then), out=nn.Linear(4, 2)))
    model.compile("sgd", lr=0.1)
    with pytest.raises(
        NonFiniteLossError, match="in batch 2 of epoch 1; a second run of the batch was finite"
    ) as caught:
        model.fit(rows(), torch.arange(ROWS) % 2, batch_size=2, verbose=0, callbacks=armed_at(1, trap))
    assert (caught.value.first, caught.value.layer) == (None, None)


def test_with_a_seed_the_second_run_draws_the_same() -> None:
    def seldom(x: Tensor) -> Tensor:
        return x / (torch.rand(()) > 0.2)

    for seed in range(4):
        model = ec.Model(named(odd=Apply(seldom), out=nn.Linear(4, 2)))
        model.compile("sgd", lr=0.01)
        with pytest.raises(NonFiniteLossError, match=r"layer 'odd' \(Apply\)"):
            model.fit(rows(), torch.arange(ROWS) % 2, batch_size=2, epochs=50, seed=seed, verbose=0)


def test_the_second_run_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def left() -> tuple[Tensor, list[Tensor], list[bool], int]:
        torch.manual_seed(5)
        net = named(
            norm=nn.BatchNorm1d(4),
            drop=nn.Dropout(0.5),
            bad=Apply(lambda x: (x - x.detach()).sqrt()),
            out=nn.Linear(4, 2),
        )
        model = ec.Model(net)
        model.compile("adam")
        with pytest.raises(NonFiniteGradientError):
            model.fit(rows(), torch.arange(ROWS) % 2, batch_size=2, verbose=0)
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
        return torch.get_rng_state(), list(model.state_dict().values()), [m.training for m in model.modules()], hooks

    state, values, modes, hooks = left()
    monkeypatch.setattr(blame, "find_cause", lambda run, bad: None)
    other_state, other_values, other_modes, other_hooks = left()
    assert torch.equal(state, other_state)
    assert all(map(torch.equal, values, other_values))
    assert (modes, hooks) == (other_modes, other_hooks) == ([True] * len(modes), 0)


def test_code_that_cannot_run_twice_does_not_hide_the_error() -> None:
    trap: list[int] = []

    def once(output: Tensor, y: Tensor) -> Tensor:
        if len(trap) == 2:
            raise RuntimeError("only once")
        trap.extend(trap)
        return functional.cross_entropy(output, y) * (math.nan if trap else 1.0)

    model = ec.Model(nn.Linear(4, 2))
    model.compile("sgd", once, lr=0.1)
    with pytest.raises(NonFiniteLossError, match="became nan in batch 2 of"):
        model.fit(rows(), torch.arange(ROWS) % 2, batch_size=2, verbose=0, callbacks=armed_at(1, trap))
    assert len(trap) == 2


def test_the_net_under_jit_is_looked_at_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **words: function)
    model = ec.Model(named(exp=Apply(lambda x: torch.exp(1000 * x)), out=nn.Linear(4, 2)))
    model.compile("sgd", lr=0.1, jit=True)
    with pytest.raises(NonFiniteLossError, match=r"layer 'exp' \(Apply\)"):
        model.fit(rows(), torch.arange(ROWS) % 2, verbose=0)
