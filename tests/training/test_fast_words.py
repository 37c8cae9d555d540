"""What the faster words do to the accuracy, on real digits and with three seeds."""

import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import easyconv as ec

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="torch.compile is tried on Linux only")
COMPILER = pytest.mark.skipif(not (shutil.which("g++") or shutil.which("c++")), reason="needs a C++ compiler")
WORDS: dict[str, dict[str, Any]] = {
    "channels_last": {"channels_last": "auto"},
    "bf16": {"precision": "bf16"},
    "fused": {"channels_last": False, "fused": True},
}
SEEDS = (0, 1, 2)
Digits = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(scope="module")
def plain() -> dict[str, list[float]]:
    """Accuracies without any of the words, by device: computed where a test needs them first."""
    return {}


@pytest.fixture
def digits(real_data: Path) -> Digits:
    data = ec.data.load("mnist", root=real_data, download=False)
    training, test = data.train, data.test
    return training.images[:6400], training.targets[:6400], test.images[:2000], test.targets[:2000]


def compiled(fused: bool = False, device: str = "cpu", **words: Any) -> ec.Model:
    model = ec.zoo.mnist_cnn()
    optimizer = ec.optim.SGD(lr=0.05, momentum=0.9, fused=fused or None)
    model.compile(optimizer, metrics=["accuracy"], device=device, **words)
    return model


def trained(model: ec.Model, data: Digits, seed: int) -> ec.Model:
    model.fit(data[0], data[1], batch_size=128, seed=seed, verbose=0)
    return model


def accuracy(model: ec.Model, data: Digits) -> float:
    found: list[float] = model.evaluate(data[2], data[3], batch_size=256, verbose=0)  # type: ignore[assignment]
    return 100 * found[1]


def accuracies(data: Digits, **words: Any) -> list[float]:
    found = []
    for seed in SEEDS:
        ec.set_seed(seed)
        found.append(accuracy(trained(compiled(**words), data, seed), data))
    return found


def assert_alike(word: str, found: list[float], data: Digits, plain: dict[str, list[float]], device: str) -> None:
    if device not in plain:
        plain[device] = accuracies(data, channels_last=False, device=device)
    print({name: [round(value, 2) for value in values] for name, values in (("fp32", plain[device]), (word, found))})
    assert statistics.mean(plain[device]) > 85
    assert abs(statistics.mean(found) - statistics.mean(plain[device])) < 0.5, (word, found, plain[device])


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("word", WORDS)
def test_the_mean_accuracy_moves_little(word: str, digits: Digits, plain: dict[str, list[float]]) -> None:
    assert_alike(word, accuracies(digits, **WORDS[word]), digits, plain, "cpu")


@pytest.mark.slow
@pytest.mark.real_data
@LINUX
@COMPILER
def test_compiled_code_learns_as_well(digits: Digits, plain: dict[str, list[float]]) -> None:
    """One model for all seeds, so that it is compiled once; that it could not be is a warning, and so an error here."""
    torch._dynamo.reset()
    model = compiled(jit=True)
    found = []
    for seed in SEEDS:
        ec.set_seed(seed)
        model.load_state_dict(ec.zoo.mnist_cnn().state_dict())
        model._session.optimizer = None
        model._session.progress.passes = 0  # which keys the order of the rows
        trained(model, digits, seed)
        # Evaluation would be compiled too; the weights are what counts.
        judge = compiled(channels_last=False)
        judge.load_state_dict(model.state_dict())
        found.append(accuracy(judge, digits))
    assert model._session._compiled is not None
    assert list(model._session._compiled.rows.values()) == [{128}]
    assert_alike("jit", found, digits, plain, "cpu")
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.real_data
@CUDA
def test_half_precision_learns_as_well(digits: Digits, plain: dict[str, list[float]]) -> None:
    assert_alike("fp16", accuracies(digits, precision="fp16", device="cuda"), digits, plain, "cuda")
