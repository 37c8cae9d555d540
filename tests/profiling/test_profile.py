"""``ec.profile`` measures, tries, and leaves everything as it was."""

import functools
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.utils.data import DataLoader, Dataset

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError, LabelError, NotCompiledError, StateError
from easyconv.profiling import Layer, Profile, Roofline, Word
from easyconv.profiling.machine import counted
from easyconv.profiling.words import WORDS

X, Y = torch.rand(200, 1, 12, 12, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 3
PARTS = ["data", "transfer", "forward", "loss", "backward", "optimizer", "framework"]


def compiled(**options: Any) -> ec.Sequential:
    torch.manual_seed(0)
    layers = [("conv", ec.layers.Conv2D(4, 3, bias=False)), ("flat", ec.layers.Flatten()), ("out", ec.layers.Dense(3))]
    model = ec.Sequential(layers)
    model.compile("adam", metrics=["accuracy"], device="cpu", **options)
    return model


class Samples(Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sum(range(3000))  # reading takes its time
        return X[index], int(Y[index])


def test_a_step_and_its_parts() -> None:
    found = ec.profile(compiled(), X, Y, steps=3, words=())
    assert list(found.seconds) == PARTS
    assert found.rows_per_second == pytest.approx(32 / sum(found.seconds.values()))
    assert all(found.seconds[part] > 0 for part in ("data", "forward", "loss", "backward", "optimizer"))
    assert found.seconds["transfer"] == 0
    assert (found.device, found.precision, found.batch_size, found.words) == ("cpu", "fp32", 32, [])
    layers = {layer.name: layer for layer in found.layers}
    assert {(name, layer.kind, layer.parameters) for name, layer in layers.items()} == {
        ("conv", "Conv2d", 36),
        ("flat", "Flatten", 0),
        ("out", "Linear", 1203),
    }
    seconds = [layer.seconds for layer in found.layers]
    assert seconds == sorted(seconds, reverse=True)
    assert min(seconds) > 0


def test_the_numbers_of_the_machine_and_the_memory() -> None:
    found = ec.profile(compiled(), X, Y, batch_size=10, steps=2, words=())
    # Multiply-adds of a row: 10 * 10 * 4 * 9 and 400 * 3; each is two operations. The backward pass does the
    # convolution once (its input needs no gradient) and the dense layer twice.
    convolution, dense = 2 * 10 * 3600, 2 * 10 * 1200
    assert found.roofline is not None
    assert found.roofline.flops == 2 * convolution + 3 * dense
    weights = 4 * (36 + 1203)
    assert found.memory["weights"] == found.memory["gradients"] == weights
    assert found.memory["optimizer"] == 2 * weights + 2 * 3 * 2  # two moments, and a step count for each of 3 tensors
    assert found.memory["activations"] > 10 * 4 * (144 + 400)


def test_work_is_counted_by_the_formulas() -> None:
    a, b = torch.ones(5, 7), torch.ones(7, 11)
    assert counted(lambda: a @ b) == (2 * 5 * 7 * 11, 4 * (35 + 77 + 55))
    assert counted(lambda: a.t()) == (0, 0)
    assert counted(lambda: a + a) == (0, 4 * 3 * 35)


def test_the_roofline_by_hand() -> None:
    memory = Roofline(flops=100.0, moved=100.0, seconds=2.0, peak_flops=1000.0, peak_bandwidth=200.0)
    assert (memory.intensity, memory.bound, memory.reached) == (1.0, "memory", 0.25)  # 50 of 200 per second
    arithmetic = Roofline(flops=1000.0, moved=100.0, seconds=2.0, peak_flops=1000.0, peak_bandwidth=200.0)
    assert (arithmetic.intensity, arithmetic.bound, arithmetic.reached) == (10.0, "arithmetic", 0.5)


def state_of(model: ec.Model) -> list[Any]:
    tensors = [(id(t), t._version, t.clone()) for t in (*model.parameters(), *model.buffers())]
    modes = [
        (module.training, len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()
    ]
    return [tensors, modes, len(model.history), vars(model._session.progress).copy()]


def test_the_model_is_unharmed() -> None:
    model = compiled(ema=0.9)
    model.fit(X, Y, verbose=0)
    before, random = state_of(model), torch.get_rng_state()
    moments = [value["exp_avg"].clone() for value in model.optimizer.state.values()]
    ec.profile(model, X, Y, steps=2)
    after = state_of(model)
    assert after[1:] == before[1:]
    for (one, version, value), (other, now, then) in zip(before[0], after[0], strict=True):
        assert (one, version) == (other, now)
        assert torch.equal(value, then)
    left = [value["exp_avg"] for value in model.optimizer.state.values()]
    assert all(torch.equal(one, other) for one, other in zip(moments, left, strict=True))
    assert torch.equal(random, torch.get_rng_state())


def test_an_unbuilt_model_stays_unbuilt() -> None:
    model = compiled()
    ec.profile(model, X, Y, steps=2, words=())
    assert not any(parameter.numel() for parameter in model.parameters() if type(parameter) is nn.Parameter)


def test_words_that_apply_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easyconv.profiling.words.has_fast_bf16", lambda device: True)
    found = ec.profile(compiled(), X, Y, steps=2)
    assert {word.code for word in found.words} == {
        "compile(precision='bf16')",
        "compile(channels_last=False)",
        "fit(batch_size=128)",
    }
    factors = [word.factor for word in found.words]
    assert factors == sorted(factors, reverse=True)
    assert min(factors) > 0
    only = ec.profile(compiled(channels_last=False), X, Y, steps=2, words="channels_last")
    assert [word.code for word in only.words] == ["compile(channels_last=True)"]
    assert (
        ec.profile(compiled(precision="bf16"), X, Y, batch_size=128, steps=2, words=["precision", "batch_size"]).words
        == []
    )


def test_jit_is_tried_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch traces as ever and runs what it has traced, without the seconds of the C++ compiler."""
    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    model = compiled()
    (word,) = ec.profile(model, X, Y, steps=2, words="jit").words
    assert (word.code, word.factor > 0) == ("compile(jit=True)", True)
    assert counters["stats"]["unique_graphs"] == 1
    assert model._session.recipe.jit is False
    found = ec.profile(compiled(jit=True), X, Y, steps=2, words="jit")
    assert (found.words, found.failed) == ([], {"jit": "It is compiled already."})
    torch._dynamo.reset()


def test_words_that_were_asked_for_and_do_not_apply_are_named() -> None:
    asked = ["precision", "batch_size", "cache", "num_workers"]
    found = ec.profile(compiled(precision="bf16"), X, Y, batch_size=128, steps=2, words=asked)
    assert (found.words, list(found.failed)) == ([], asked)
    assert "Does not work here: cache. The samples are in memory already" in str(found)
    assert ec.profile(compiled(precision="bf16"), X, Y, batch_size=128, steps=2).failed == {}


def test_larger_batches_are_asked_for_where_they_are_made() -> None:
    rows = torch.utils.data.TensorDataset(X, Y)
    loader = torch.utils.data.DataLoader(rows, batch_size=8)
    batches = [(X[:8], Y[:8])] * 8
    for data, code in ((loader, "DataLoader(dataset, batch_size=32)"), (batches, "batches of 32 rows")):
        assert [word.code for word in ec.profile(compiled(), data, steps=2, words="batch_size").words] == [code]


def test_what_cannot_be_tried_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("No working C++ compiler found")

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=broken))
    found = ec.profile(compiled(), X, Y, steps=2, words=["jit", "channels_last"])
    assert [word.code for word in found.words] == ["compile(channels_last=False)"]
    assert list(found.failed) == ["compile(jit=True)"]
    assert str(found).endswith("Does not work here: compile(jit=True). torch says: No working C++ compiler found")
    torch._dynamo.reset()


def test_words_for_data_that_is_read_one_by_one() -> None:
    words = ["cache", "num_workers"]
    for data in (DataLoader(Samples(), batch_size=16), Samples()):
        found = ec.profile(compiled(), data, steps=2, words=words)
        by_code = {word.code: word.factor for word in found.words}
        assert set(by_code) - {"DataLoader(dataset, num_workers=2)"} == {"fit(ec.data.cache(dataset))"}
        assert by_code["fit(ec.data.cache(dataset))"] > 0
    assert found.seconds["data"] > 0
    assert ec.profile(compiled(), X, Y, steps=2, words=words).words == []
    batches = [(X[:20], Y[:20])] * 3
    found = ec.profile(compiled(), batches, steps=2, words=words)
    assert (found.batch_size, found.words) == (20, [])


class Own(ec.Model):
    def train_step(self, batch: Any) -> Any:
        return super().train_step(batch)


class OwnLoss(ec.Model):
    def compute_loss(self, output: Any, target: Any, sample_weight: Any = None) -> Tensor:
        return nn.functional.cross_entropy(output, target)


def test_steps_and_losses_of_ones_own() -> None:
    for kind, parts in ((Own, ["data", "transfer", "step"]), (OwnLoss, PARTS)):
        model = kind(nn.Sequential(nn.Flatten(), nn.Linear(144, 3)))
        model.compile("sgd", lr=0.1, device="cpu", clip_norm=1.0, clip_value=1.0)
        found = ec.profile(model, X, Y, steps=2, words=())
        assert list(found.seconds) == parts
        assert (found.roofline is None) == (kind is Own)
        assert [layer.name for layer in found.layers if layer.kind == "Linear"] == ["1"]


def test_nets_with_auxiliary_heads_and_precision() -> None:
    model = compiled(precision="bf16")
    found = ec.profile(model, X, Y, steps=2, words=())
    assert found.precision == "bf16"
    assert found.roofline is not None


PROFILE = Profile(
    device="cpu",
    precision="fp32",
    batch_size=32,
    seconds={"data": 0.001, "transfer": 0.0, "forward": 0.002, "framework": -0.0002},
    rows_per_second=11428.5,
    layers=[Layer(f"layer{number}", "Conv2d", 0.001 / number, 10) for number in range(1, 11)],
    memory={"weights": 2048, "activations": 3 << 20, "optimizer": 12, "gradients": 5 << 30},
    roofline=Roofline(flops=2e7, moved=1e7, seconds=0.002, peak_flops=1e11, peak_bandwidth=1e10),
    words=[Word("compile(precision='bf16')", 1.9), Word("fit(batch_size=128)", 1.01)],
)

TABLE = """\
A step of 32 rows on cpu in fp32: 2.80 ms, 11,428 rows per second

  data         1.00 ms   36%  #########
  transfer        0 µs    0%
  forward      2.00 ms   71%  #################
  framework    -200 µs    0%

Forward pass, layer by layer
  layer1 (Conv2d)    1.00 ms   34%  ########
  layer2 (Conv2d)     500 µs   17%  ####
  layer3 (Conv2d)     333 µs   11%  ###
  layer4 (Conv2d)     250 µs    9%  ##
  layer5 (Conv2d)     200 µs    7%  ##
  layer6 (Conv2d)     167 µs    6%  #
  layer7 (Conv2d)     143 µs    5%  #
  layer8 (Conv2d)     125 µs    4%  #
  2 more              211 µs    7%  ##

Memory: weights 2.0 kB, activations 3.0 MB, optimizer 12 B, gradients 5.0 GB

Forward and backward: 10.0 GFLOP/s of 100.0 that a product of matrices reaches, 5.0 GB/s of 10.0 that a copy reaches.
2.0 operations per byte: bound by memory, at 50% of what that allows.

What helps most, as tried for a few steps on copies:
  1.90x  compile(precision='bf16')
Tried too: fit(batch_size=128) 1.01x"""


def test_how_it_prints() -> None:
    assert str(PROFILE) == repr(PROFILE) == TABLE
    bare = Profile("cpu", "fp32", 1, {"step": 2.5}, 0.4, words=[Word("fit(batch_size=128)", 0.5)])
    assert str(bare) == (
        "A step of 1 rows on cpu in fp32: 2.50 s, 0 rows per second\n\n"
        "  step     2.50 s  100%  ########################\n\n"
        "Nothing that was tried helps.\nTried too: fit(batch_size=128) 0.50x"
    )


def test_as_a_dict() -> None:
    found = json.loads(json.dumps(PROFILE.to_dict()))
    assert found["seconds"]["forward"] == 0.002
    assert found["layers"][0] == {"name": "layer1", "kind": "Conv2d", "seconds": 0.001, "parameters": 10}
    assert found["roofline"]["bound"] == "memory"
    assert found["roofline"]["reached"] == pytest.approx(0.5)
    assert found["words"][0] == {"code": "compile(precision='bf16')", "factor": 1.9}
    assert Profile("cpu", "fp32", 1, {"step": 1.0}, 1.0).to_dict()["roofline"] is None


def test_what_is_refused() -> None:
    with pytest.raises(ArgumentTypeError, match=r"takes a compiled Model, got Linear. Wrap a module: model = ec.Model"):
        ec.profile(nn.Linear(1, 1), X, Y)  # type: ignore[arg-type]
    with pytest.raises(NotCompiledError, match=r"profile\(\) needs to know how to train: call compile"):
        ec.profile(ec.Model(nn.Linear(1, 1)), X, Y)
    with pytest.raises(DataError, match="a generator would lose them"):
        ec.profile(compiled(), iter([(X, Y)]))
    with pytest.raises(DataError, match="y is missing"):
        ec.profile(compiled(), X)
    with pytest.raises(LabelError):
        ec.profile(compiled(), X, Y + 1)
    with pytest.raises(ArgumentError, match="steps must be at least 1, got 0"):
        ec.profile(compiled(), X, Y, steps=0)
    for nothing in (None, 3):
        with pytest.raises(ArgumentTypeError, match=r"words must be 'auto', a word or several, got (None|3)"):
            ec.profile(compiled(), X, Y, words=nothing)  # type: ignore[arg-type]
    for words in ("chanels_last", ["chanels_last"]):
        with pytest.raises(ArgumentError, match=r"words must be one of .*'chanels_last'. Did you mean 'channels_last'"):
            ec.profile(compiled(), X, Y, words=words)
    model = compiled()
    model.generator = (number for number in range(3))
    with pytest.raises(StateError, match="cannot be copied"):
        ec.profile(model, X, Y)
    assert "jit" in WORDS
