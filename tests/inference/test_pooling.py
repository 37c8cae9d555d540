"""Max-pooling by slices gives what torch gives."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import easyconv as ec
from easyconv.inference import pooling
from easyconv.inference.pooling import max_by_slices, pooled_by_slices, pooling_by_slices

CPU = torch.device("cpu")


def same(one: Tensor, other: Tensor) -> bool:
    """The same numbers, NaN in the same places."""
    return (
        one.shape == other.shape
        and torch.equal(one.isnan(), other.isnan())
        and bool((one.eq(other) | one.isnan()).all())
    )


def images(shape: tuple[int, ...], channels_last: bool, dtype: torch.dtype) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[0, 0, 0, 1] = float("nan")
    x[0, -1] = float("-inf")
    x[-1, 0, -1] = float("inf")
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Windows that were computed by slices."""
    windows: list[Any] = []

    def counting(x: Tensor, *window: Any) -> Tensor:
        windows.append(window)
        return max_by_slices(x, *window)

    monkeypatch.setattr(pooling, "max_by_slices", counting)
    return windows


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_every_window_gives_the_same(dtype: torch.dtype, channels_last: bool) -> None:
    seen = 0
    kernels, strides, paddings = (1, 2, 3, (2, 3), 5), (None, 1, 2, 3, (1, 2)), (0, 1, (1, 0))
    for kernel, stride, padding in itertools.product(kernels, strides, paddings):
        for shape in ((2, 3, 8, 9), (1, 1, 7, 7)):
            x = images(shape, channels_last, dtype)
            try:
                expected = functional.max_pool2d(x, kernel, stride, padding)
            except RuntimeError as error:  # half of the kernel is the most that may be padded
                with torch.no_grad(), pooling_by_slices(CPU), pytest.raises(RuntimeError, match=str(error)[:30]):
                    functional.max_pool2d(x, kernel, stride, padding)
                continue
            with torch.no_grad(), pooling_by_slices(CPU):
                given = functional.max_pool2d(x, kernel, stride, padding)
            assert same(given, expected), (kernel, stride, padding, shape)
            seen += 1
    assert seen == 130  # of 150: a kernel of 1 takes no padding


def test_slices_are_what_is_computed(counted: list[Any]) -> None:
    x = torch.rand(1, 2, 6, 6)
    with torch.no_grad(), pooling_by_slices(CPU):
        nn.MaxPool2d(2)(x)
        functional.max_pool2d(x, 3, stride=2, padding=1)
        torch.max_pool2d(x, [2, 3], [1, 1])
    assert counted == [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 2), (1, 1)), ((2, 3), (1, 1), (0, 0))]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: functional.max_pool2d(x, 2, ceil_mode=True),
        lambda x: functional.max_pool2d(x, 2, dilation=2),
        lambda x: functional.max_pool2d(x, 2, return_indices=True)[1],
        lambda x: functional.max_pool2d(x[0], 2),
        lambda x: functional.max_pool2d(x.clone().requires_grad_(), 2),
        lambda x: functional.max_pool2d(x.repeat(1, 16, 1, 1).contiguous(memory_format=torch.channels_last), 2),
    ],
    ids=["ceil", "dilation", "indices", "no batch", "gradients", "channels last"],
)
def test_what_slices_are_not_for_is_left_to_torch(call: Any, counted: list[Any]) -> None:
    x = torch.rand(1, 2, 5, 5)
    expected = call(x)
    with pooling_by_slices(CPU):
        given = call(x)
    assert torch.equal(given, expected)
    assert counted == []


def test_outside_the_block_and_elsewhere_nothing_changes(counted: list[Any]) -> None:
    with pooling_by_slices(torch.device("cuda")):
        functional.max_pool2d(torch.rand(1, 1, 4, 4), 2)
    functional.max_pool2d(torch.rand(1, 1, 4, 4), 2)
    assert counted == []
    step = pooled_by_slices(nn.MaxPool2d(2), CPU)
    with torch.no_grad():
        step(torch.rand(1, 1, 4, 4))
    functional.max_pool2d(torch.rand(1, 1, 4, 4), 2)
    assert len(counted) == 1


def test_a_net_that_fails_leaves_no_mode_behind(counted: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError), pooling_by_slices(CPU):
        raise ZeroDivisionError
    with torch.no_grad():
        functional.max_pool2d(torch.rand(1, 1, 4, 4), 2)
    assert counted == []


def test_evaluate_and_validation_pool_by_slices_with_the_same_bits(
    counted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = torch.rand(40, 1, 28, 28), torch.arange(40) % 10
    ec.set_seed(0)
    model = ec.zoo.mnist_cnn()
    model.compile(metrics=["accuracy"], device="cpu", channels_last=False)
    found = model.evaluate(x, y, verbose=0)
    assert len(counted) == 4  # two pools, two batches
    model.fit(x, y, validation_data=(x, y), verbose=0)
    assert len(counted) == 8  # training pools as ever
    ec.set_seed(0)
    twin = ec.zoo.mnist_cnn()
    twin.compile(metrics=["accuracy"], device="cpu", channels_last=False)
    monkeypatch.setattr(pooling, "_pays", lambda *_: False)
    assert twin.evaluate(x, y, verbose=0) == found
