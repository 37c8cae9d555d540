"""What the faster words do to the accuracy, on real digits and with three seeds."""

import statistics
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import easyconv as ec

WORDS: dict[str, dict[str, Any]] = {
    "fp32": {"channels_last": False},
    "channels_last": {"channels_last": "auto"},
    "bf16": {"precision": "bf16"},
    "fused": {"channels_last": False, "fused": True},
}
SEEDS = (0, 1, 2)


@pytest.fixture
def digits(real_data: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    data = ec.data.load("mnist", root=real_data, download=False)
    training, test = data.train, data.test
    return training.images[:6400], training.targets[:6400], test.images[:2000], test.targets[:2000]


def accuracy(data: tuple[Tensor, Tensor, Tensor, Tensor], seed: int, fused: bool = False, **words: Any) -> float:
    x, y, test_x, test_y = data
    ec.set_seed(seed)
    model = ec.zoo.mnist_cnn()
    optimizer = ec.optim.SGD(lr=0.05, momentum=0.9, fused=fused or None)
    model.compile(optimizer, metrics=["accuracy"], device="cpu", **words)
    model.fit(x, y, batch_size=128, seed=seed, verbose=0)
    found: list[float] = model.evaluate(test_x, test_y, batch_size=256, verbose=0)  # type: ignore[assignment]
    return 100 * found[1]


@pytest.mark.slow
@pytest.mark.real_data
def test_the_mean_accuracy_moves_by_less_than_seeds_do(digits: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    found = {word: [accuracy(digits, seed, **options) for seed in SEEDS] for word, options in WORDS.items()}
    print({word: [round(value, 2) for value in values] for word, values in found.items()})
    means = {word: statistics.mean(values) for word, values in found.items()}
    assert means["fp32"] > 85
    for word in WORDS:
        assert abs(means[word] - means["fp32"]) < 0.5, (word, found)
