"""What the tests of bad input share: small good data, a bench that watches models, and the rows of their tables."""

import copy
import hashlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import easyconv as ec
from easyconv.errors import EasyconvError, EasyconvWarning

CLASSES, ROWS = 3, 24
_generator = torch.Generator().manual_seed(0)
X = torch.randn(ROWS, 1, 8, 8, generator=_generator)
Y = torch.arange(ROWS) % CLASSES
COLOUR = torch.rand(ROWS, 3, 16, 16, generator=_generator)
XN, YN = X.numpy(), Y.numpy()


def small_net(channels: int = 1, outputs: int = CLASSES, size: int = 8) -> nn.Module:
    """A plain torch net with the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        side = size - 2
        return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * side * side, outputs))


def lazy_net() -> ec.Sequential:
    """The same in our layers, with no size known."""
    return ec.Sequential([ec.layers.Conv2D(4, 3, activation="relu"), ec.layers.Flatten(), ec.layers.Dense(CLASSES)])


def loader(x: Any = X, y: Any = Y, *more: Any, batch_size: int = 8, **options: Any) -> DataLoader:
    return DataLoader(TensorDataset(x, y, *more), batch_size=batch_size, **options)


def batches(x: Any = X, y: Any = Y, size: int = 8) -> list[Any]:
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


def changed(tensor: torch.Tensor, index: Any, value: Any) -> torch.Tensor:
    tensor = tensor.clone()
    tensor[index] = value
    return tensor


def bits(module: nn.Module) -> str:
    """A digest of every parameter and buffer, and of every module's mode."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        lazy = torch.nn.parameter.is_lazy(tensor)
        digest.update(name.encode() + (b"lazy" if lazy else tensor.detach().contiguous().numpy().tobytes()))
    for name, part in module.named_modules():
        digest.update(f"{name} {type(part).__name__} {part.training}".encode())
    return digest.hexdigest()


@dataclass
class Watched:
    model: Any
    good: Any
    before: str


class Bench:
    """Makes models and remembers them, to see afterwards what a refused call has left of them."""

    def __init__(self) -> None:
        self.watched: list[Watched] = []

    def model(self, net: Any = None, *, good: Any = (X, Y), **how: Any) -> Any:
        """A compiled model; ``good`` is data that it must be able to train on afterwards (``None``: there is none)."""
        made = net if isinstance(net, ec.Model) else ec.Model(small_net() if net is None else net)
        self.watched.append(Watched(made, good, bits(made)))
        made.compile(**{"device": "cpu", **how})
        return made

    def fit(
        self, x: Any = X, y: Any = Y, *, net: Any = None, how: Any = None, good: Any = (X, Y), **options: Any
    ) -> Any:
        model = self.model(net, good=good, **(how or {}))
        return model.fit(x, y, **{"verbose": 0, "batch_size": 8, **options})

    def from_source(self, source: Any, **options: Any) -> Any:
        """``fit`` on what brings its own batches."""
        return self.model(options.pop("net", None), good=options.pop("good", (X, Y)), **options.pop("how", {})).fit(
            source, **{"verbose": 0, **options}
        )

    def check_untouched(self, *, weights: bool = True) -> None:
        """Weights, modes and optimizers are as before the refused call, and a right call works now."""
        for one in self.watched:
            if weights:
                assert bits(one.model) == one.before, "the refused call has changed the model"
                assert one.model.optimizer is None or not one.model.optimizer.state, "an optimizer step was made"
                assert len(one.model.history.epoch) == 0
            assert all(parameter.grad is None for parameter in one.model.parameters())
            if one.good is not None:
                if one.model._session is None:
                    one.model.compile(device="cpu")
                before = bits(one.model)
                history = one.model.fit(*one.good, verbose=0, batch_size=8)
                assert np.isfinite(history.history["loss"]).all()
                assert bits(one.model) != before, "a right fit afterwards changes nothing"


@dataclass(frozen=True)
class Case:
    """One row: what is done, and how it must end.

    ``error`` is the class that must be raised, or ``EasyconvWarning`` where training goes on with a warning;
    ``says`` are pieces of the text, which name the argument, what came, what was expected and what to do.
    """

    name: str
    act: Callable[[Bench], Any]
    error: type[BaseException]
    says: tuple[str, ...] = ()
    steps: bool = False
    """Whether steps have been made before the fault came up: in the middle of a loader."""

    def __repr__(self) -> str:
        return self.name


# What torch, NumPy and Python say when nobody has thought of the case; no message of ours may be made of it alone.
CRYPTIC = ("NoneType", "mat1 and mat2", "object is not", "has no attribute", "must be real number", "0-dim")


def refused(case: Case, bench: Bench) -> str:
    """Run a row that must be refused; the message."""
    with pytest.raises(case.error) as caught:
        case.act(bench)
    message = str(caught.value)
    for part in case.says:
        assert part in message, f"{part!r} is not in: {message}"
    if issubclass(case.error, EasyconvError):
        first = message.splitlines()[0]
        assert len(first) > 30, first
        assert not any(first.startswith(word) for word in CRYPTIC), first
    bench.check_untouched(weights=not case.steps)
    return message


def warned(case: Case, bench: Bench) -> str:
    """Run a row that goes on with a warning; the message. Exactly one warning of ours is given."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case.act(bench)
    ours = [str(one.message) for one in caught if issubclass(one.category, EasyconvWarning)]
    assert len(ours) == 1, ours
    for part in case.says:
        assert part in ours[0], f"{part!r} is not in: {ours[0]}"
    return ours[0]


def run_case(case: Case) -> str:
    bench = Bench()
    return warned(case, bench) if issubclass(case.error, Warning) else refused(case, bench)


def trained_bits(x: Any, y: Any = None, *, net: Any = None, how: Any = None, **options: Any) -> str:
    """Weights after two epochs that depend on nothing but the data."""
    model = ec.Model(small_net() if net is None else copy.deepcopy(net))
    model.compile("sgd", lr=0.05, **{"device": "cpu", **(how or {})})
    given = {"verbose": 0, "batch_size": 8, "epochs": 2, "seed": 3, **options}
    if y is None:
        given.pop("batch_size")
    history = model.fit(x, y, **given)
    assert np.isfinite(history.history["loss"]).all()
    return bits(model)


def weights_file(net: nn.Module) -> bytes:
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    return file.getvalue()
