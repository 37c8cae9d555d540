"""``compile(jit=True)``: one graph each for training and evaluation, made once, and training goes on without it."""

import functools
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

import easyconv as ec
from easyconv.errors import EasyconvWarning
from easyconv.training.compiling import CompiledComputation

ROWS, BATCH = 22, 8  # the last batch has 6 rows
REAL = torch.compile


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Torch traces the code as ever and runs what it has traced, without the minutes of the C++ compiler."""
    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", functools.partial(REAL, backend="aot_eager"))
    yield
    torch._dynamo.reset()


def images(rows: int = ROWS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, 1, 6, 6, generator=generator), torch.randint(3, (rows,), generator=generator)


def conv_net(*more: nn.Module, jit: bool = True, **options: Any) -> ec.Sequential:
    torch.manual_seed(0)
    model = ec.Sequential([ec.ConvBlock(4), *more, ec.layers.Flatten(), ec.layers.Dense(3)], input_shape=(1, 6, 6))
    model.compile("sgd", lr=0.1, metrics=["accuracy"], device="cpu", jit=jit, **options)
    return model


def fitted(model: ec.Model, **options: Any) -> list[float]:
    x, y = images()
    given = {"batch_size": BATCH, "shuffle": False, "epochs": 2, "validation_data": (x, y), "verbose": 0, **options}
    history = model.fit(x, y, **given).history
    return [*history["loss"], *history["val_loss"]]


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


@pytest.mark.usefixtures("traced")
def test_one_graph_each_for_training_and_evaluation_and_none_later() -> None:
    model = conv_net()
    fitted(model)
    assert graphs() == 2
    assert not counters["graph_break"]
    x, y = images()
    model.evaluate(x, y, batch_size=BATCH, verbose=0)
    fitted(model)
    fitted(model, callbacks=ec.callbacks.LambdaCallback(on_epoch_end=lambda *_: model.evaluate(x, y, batch_size=BATCH)))
    assert graphs() == 2


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}, {"accumulate": 2}, {"ema": 0.9}, {"precision": "bf16"}])
def test_the_results_are_those_of_uncompiled_code(options: dict[str, Any]) -> None:
    fast, plain = conv_net(**options), conv_net(jit=False, **options)
    rel = 1e-2 if "precision" in options else 1e-4
    assert fitted(fast) == pytest.approx(fitted(plain), rel=rel)
    assert graphs() == 2
    for mine, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=rel, atol=rel)


@pytest.mark.usefixtures("traced")
def test_larger_batches_get_code_of_their_own_and_smaller_ones_none() -> None:
    model = conv_net()
    x, y = images(64)
    model.evaluate(x, y, batch_size=16, verbose=0)
    model.evaluate(x[:40], y[:40], batch_size=16, verbose=0)
    model.evaluate(x, y, batch_size=8, verbose=0)
    assert graphs() == 1
    model.evaluate(x, y, batch_size=32, verbose=0)
    assert graphs() == 2


@pytest.mark.usefixtures("traced")
def test_losses_of_many_kinds_and_several_outputs() -> None:
    def own(output: Tensor, target: Tensor) -> Tensor:
        return (output - nn.functional.one_hot(target, 3)).square().mean(dim=1)

    x, y = images()
    for loss in ("cross_entropy", own, nn.CrossEntropyLoss(label_smoothing=0.1, reduction="none")):
        counters.clear()
        torch._dynamo.reset()
        model = conv_net()
        model.compile("sgd", loss, device="cpu", jit=True)
        model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, sample_weight=torch.rand(ROWS))
        assert (graphs(), dict(counters["graph_break"])) == (1, {})


class Breaks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return x


class LooksAtNumbers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu() if x.sum().item() > 0 else x


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("layer", [Breaks(), LooksAtNumbers()], ids=lambda layer: type(layer).__name__)
def test_a_net_that_cannot_be_one_graph_is_compiled_in_parts(layer: nn.Module) -> None:
    model, plain = conv_net(layer), conv_net(layer, jit=False)
    with pytest.warns(EasyconvWarning, match=r"the net and its loss cannot be compiled as one, so they are in parts"):
        losses = fitted(model)
    assert losses == pytest.approx(fitted(plain), rel=1e-4)
    assert graphs() >= 2
    assert counters["graph_break"]


@pytest.mark.usefixtures("traced")
def test_every_model_is_compiled_however_many_there_were() -> None:
    """Torch counts by the code of a function, which all models share, and stops at eight."""
    for count in range(1, 7):
        fitted(conv_net())
        assert graphs() == 2 * count


@pytest.mark.usefixtures("traced")
def test_smaller_batches_of_a_later_fit_get_code_too() -> None:
    model, (x, y) = conv_net(), images(64)
    for size, expected in ((32, 1), (8, 2), (32, 2)):
        model.fit(x, y, batch_size=size, verbose=0)
        assert graphs() == expected


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("step", [1, 2, 4, 5], ids=lambda step: f"step {step}")
def test_a_run_that_goes_on_ends_with_the_same_bits(tmp_path: Path, step: int) -> None:
    """Also where it goes on with the last batch of a pass, which is smaller, and with dropout."""
    whole = conv_net(nn.Dropout(0.5))
    fitted(whole, seed=0)

    def press(batch: int, logs: Any) -> None:
        if model._session.progress.steps == step:
            os.kill(os.getpid(), signal.SIGINT)

    model = conv_net(nn.Dropout(0.5))
    with pytest.raises(KeyboardInterrupt):
        fitted(model, seed=0, resume=tmp_path, callbacks=ec.callbacks.LambdaCallback(on_train_batch_end=press))
    model = conv_net(nn.Dropout(0.5))
    fitted(model, seed=0, resume=tmp_path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


@pytest.mark.usefixtures("traced")
def test_hooks_that_come_and_go_later_are_noticed() -> None:
    fast, plain = conv_net(), conv_net(jit=False)

    def same() -> None:
        assert fitted(fast) == pytest.approx(fitted(plain), rel=1e-4)
        for mine, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)

    same()
    handles = [model[-1].register_forward_hook(lambda module, args, output: output * 0.5) for model in (fast, plain)]
    same()
    for handle in handles:
        handle.remove()
    same()


@pytest.mark.usefixtures("traced")
@torch._dynamo.config.patch(recompile_limit=3)
def test_where_torch_compiles_no_more_the_code_that_there_is_serves() -> None:
    def net(jit: bool) -> ec.Sequential:
        torch.manual_seed(0)
        model = ec.Sequential([ec.layers.Conv2D(4, 3), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(3)])
        model.compile("sgd", lr=0.1, device="cpu", jit=jit)
        return model

    generator = torch.Generator().manual_seed(0)
    batches = [(torch.randn(4, 1, size, size, generator=generator), torch.arange(4) % 3) for size in (5, *range(5, 12))]
    fast, plain = net(True), net(False)
    with pytest.warns(EasyconvWarning, match=r"has compiled .* as often as it will .*limit is 3") as told:
        losses = fast.fit(batches, epochs=3, verbose=0).history["loss"]
    assert len(told) == 1
    assert losses == pytest.approx(plain.fit(batches, epochs=3, verbose=0).history["loss"], rel=1e-4)
    assert graphs() == 3
    handle = fast[0].register_forward_hook(lambda module, args, output: output * 0)
    weight = fast[0].weight.clone()
    fast.fit(batches, epochs=1, verbose=0)
    assert torch.equal(fast[0].weight, weight)
    handle.remove()


def test_without_a_compiler_training_goes_on_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')")

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(REAL, backend=broken))
    model, plain = conv_net(), conv_net(jit=False)
    with pytest.warns(EasyconvWarning, match=r"jit=True\) has no effect here.*compiler.*\. Install a C\+\+ compiler"):
        losses = fitted(model)
    assert losses == pytest.approx(fitted(plain), rel=1e-5)
    torch._dynamo.reset()


def test_errors_of_the_net_stay_its_own() -> None:
    def computation(x: Any, y: Any, weight: Any) -> Any:
        raise ValueError("mine")

    compiled = CompiledComputation(computation)
    with pytest.raises(ValueError, match="mine"):
        compiled(torch.zeros(2), None, None)


@pytest.mark.torture
@pytest.mark.skipif(sys.platform != "linux", reason="torch.compile is tried on Linux only")
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("c++") is None, reason="needs a C++ compiler")
def test_the_nets_of_the_course_really_compile() -> None:
    for make, shape in ((ec.zoo.mnist_cnn, (1, 28, 28)), (ec.zoo.googlenet, (3, 32, 32))):
        options = {"small": True, "num_classes": 10} if make is ec.zoo.googlenet else {}
        torch._dynamo.reset()
        counters.clear()
        model = make(**options)
        model.compile("sgd", lr=0.01, device="cpu", jit=True)
        x, y = torch.randn(20, *shape), torch.arange(20) % 10
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, validation_data=(x, y))
        assert (graphs(), dict(counters["graph_break"])) == (2, {})
