"""``compile(jit=True)`` on CUDA replays recorded kernels, whose results lie where the batch before had its own.

Here the CPU does what CUDA graphs do to memory: compiled code, forward and backward, writes its results into the same
buffers each time, and the beginning of a step fills all of them with NaN. Whoever looks at a result too late is found
out. What only a device can show, the recording itself and its speed, is in the tests marked for CUDA.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func

import easyconv as ec
from easyconv.errors import EasyconvWarning, NonFiniteLossError
from easyconv.training import compiling, equipment, finite
from easyconv.training.compiling import can_replay

ROWS, BATCH, CLASSES = 44, 8, 3  # the last batch has 4 rows
MARK = 77.0
REAL = torch.compile


class Replays:
    """A backend of ``torch.compile`` that treats memory as CUDA graphs do."""

    def __init__(self) -> None:
        self.buffers: list[Tensor] = []
        self.replayed = 0
        self.most_rows: int | None = None
        self.modes: list[str | None] = []
        self.backend = aot_autograd(fw_compiler=self._recorded, bw_compiler=self._recorded)

    def compile(self, function: Callable[..., Any], *, mode: str | None = None, **options: Any) -> Any:
        self.modes.append(mode)
        backend = self.backend if mode == "reduce-overhead" else "aot_eager"
        return REAL(function, backend=backend, **options)

    def begin_step(self) -> None:
        for buffer in self.buffers:
            buffer.fill_(float("nan"))

    def _recorded(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        own: dict[int, Tensor] = {}

        def replay(*given: Any) -> list[Any]:
            self.replayed += 1
            if self.most_rows is not None and any(one.dim() == 4 and len(one) > self.most_rows for one in given):
                raise torch.OutOfMemoryError("CUDA out of memory.")
            results = graph(*given)
            return [self._in_place(own, place, result, given) for place, result in enumerate(results)]

        return make_boxed_func(replay)

    def _in_place(self, own: dict[int, Tensor], place: int, result: Any, given: Any) -> Any:
        if not isinstance(result, Tensor) or any(result is one for one in given) or not result.is_floating_point():
            return result
        if place not in own:
            own[place] = torch.empty_like(result)
            self.buffers.append(own[place])
        with torch.no_grad():
            own[place].copy_(result)
            return own[place].detach()


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replays]:
    found = Replays()
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", found.compile)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", found.begin_step)
    monkeypatch.setattr(equipment, "can_replay", lambda recipe: recipe.accumulate == 1)
    yield found
    torch._dynamo.reset()


def images(rows: int = ROWS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, 1, 6, 6, generator=generator), torch.randint(CLASSES, (rows,), generator=generator)


def conv_net(*first: nn.Module, jit: bool = True, **options: Any) -> ec.Sequential:
    torch.manual_seed(0)
    layers = [*first, ec.ConvBlock(4), ec.layers.Flatten(), ec.layers.Dense(CLASSES)]
    model = ec.Sequential(layers, input_shape=(1, 6, 6))
    given = {"optimizer": ec.optim.SGD(lr=0.1, momentum=0.9), "metrics": ["accuracy", "f1"], "device": "cpu"}
    model.compile(jit=jit, **given | options)
    return model


def fitted(model: ec.Model, **options: Any) -> dict[str, list[float]]:
    x, y = images()
    given = {"batch_size": BATCH, "epochs": 3, "seed": 0, "validation_data": (x, y), "verbose": 0, **options}
    return model.fit(x, y, **given).history


def alike(mine: ec.Model, other: ec.Model) -> None:
    for one, two in zip(mine.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


class Kept(ec.metrics.Metric):
    """Keeps the outputs as they come, as metrics of the user's do."""

    name = "kept"

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []

    def reset(self) -> None:
        self.outputs.clear()

    def update(self, output: Tensor, target: Tensor) -> None:
        self.outputs.append(output)

    def compute(self) -> Tensor:
        return torch.cat(self.outputs).square().mean()


OPTIONS = {
    "plain": {},
    "clipped": {"clip_norm": 0.1},
    "averaged": {"ema": 0.9},
    "adam": {"optimizer": ec.optim.Adam(lr=0.01)},
    "curves": {"metrics": ["auroc", Kept()]},
}


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_nobody_looks_at_a_result_that_was_written_over(
    replays: Replays, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], late: bool
) -> None:
    if late:
        monkeypatch.setattr(finite, "seen_at_once", lambda device: False)
    fast, plain = conv_net(**options), conv_net(jit=False, **options)
    mine, theirs = fitted(fast), fitted(plain)
    for name, numbers in theirs.items():
        assert mine[name] == pytest.approx(numbers, rel=1e-4), name
    alike(fast, plain)
    assert replays.modes == ["reduce-overhead"]
    assert replays.replayed > 2 * 3 * (ROWS // BATCH)


def test_these_replays_are_noticed_where_results_are_not_copied(
    replays: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "_replayed", lambda code, *batch: (replays.begin_step(), code(*batch))[1])
    model, plain = (conv_net(jit=jit, metrics=[Kept()]) for jit in (True, False))
    assert fitted(model)["kept"] != pytest.approx(fitted(plain)["kept"], rel=1e-4)


def test_callbacks_may_keep_what_they_are_shown(replays: Replays) -> None:
    kept: list[Any] = []
    model = conv_net()
    fitted(model, callbacks=ec.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: kept.append(logs)))
    assert len(kept) == 3 * 6
    assert all(0 < logs["loss"] < 10 for logs in kept)


class NaNWhereMarked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x == MARK, float("nan"), x)


@pytest.mark.usefixtures("replays")
def test_a_batch_that_is_not_finite_is_still_found_one_batch_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finite, "seen_at_once", lambda device: False)
    x, y = images()
    x[20, 0, 2, 2] = MARK
    model, plain = (conv_net(NaNWhereMarked(), jit=jit) for jit in (True, False))
    for one in (model, plain):
        with pytest.raises(NonFiniteLossError, match=r"batch 3 of epoch 1; .*in row 4 of 8"):
            one.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    alike(model, plain)


def test_gradients_that_wait_for_others_are_not_written_over(replays: Replays) -> None:
    fast, plain = conv_net(accumulate=2), conv_net(jit=False, accumulate=2)
    fitted(fast), fitted(plain)
    alike(fast, plain)
    assert replays.modes == [None]


def test_why_gradients_may_not_wait(replays: Replays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equipment, "can_replay", lambda recipe: True)
    fast, plain = conv_net(accumulate=2), conv_net(jit=False, accumulate=2)
    fitted(plain)
    try:
        fitted(fast)
        alike(fast, plain)
    except (AssertionError, NonFiniteLossError):
        return
    pytest.fail("The replays did not write over gradients that wait.")


def test_parts_of_a_batch_add_their_gradients(replays: Replays) -> None:
    def net(jit: bool) -> ec.Sequential:
        torch.manual_seed(0)
        model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(CLASSES)], input_shape=(1, 6, 6))
        model.compile("sgd", lr=0.1, device="cpu", jit=jit)
        return model

    fast, plain = net(True), net(False)
    for model in (fast, plain):
        fitted(model, epochs=1)
    replays.most_rows = 3
    with pytest.warns(EasyconvWarning, match="A batch of 8 rows did not fit into the memory"):
        fitted(fast, epochs=2, on_oom="split", validation_data=None)
    fitted(plain, epochs=2, validation_data=None)
    alike(fast, plain)
    assert replays.modes == ["reduce-overhead", None]


def test_where_torch_refuses_its_graphs_the_code_runs_without(
    replays: Replays, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Error: accessing tensor output of CUDAGraphs that has been overwritten by a subsequent run. Stack: ..."

    def refused() -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", refused)
    fast, plain = conv_net(), conv_net(jit=False)
    with pytest.warns(
        EasyconvWarning, match=r"CUDA graphs cannot be used here, training goes on .*torch says: Error: acc"
    ):
        mine = fitted(fast)
    assert mine["loss"] == pytest.approx(fitted(plain)["loss"], rel=1e-4)
    assert replays.modes == ["reduce-overhead", None]


@pytest.mark.parametrize(
    ("device", "accumulate", "expected"), [("cuda", 1, True), ("cuda", 2, False), ("cpu", 1, False), ("mps", 1, False)]
)
def test_where_graphs_are_replayed(device: str, accumulate: int, expected: bool) -> None:
    class Given:
        pass

    recipe: Any = Given()
    recipe.device, recipe.accumulate = torch.device(device), accumulate
    assert can_replay(recipe) is expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_on_a_device_the_results_are_those_of_uncompiled_code(options: dict[str, Any]) -> None:
    torch._dynamo.reset()
    fast, plain = conv_net(device="cuda", **options), conv_net(jit=False, device="cuda", **options)
    mine, theirs = fitted(fast), fitted(plain)
    for name, numbers in theirs.items():
        assert mine[name] == pytest.approx(numbers, rel=1e-3), name
    alike(fast, plain)
    torch._dynamo.reset()
