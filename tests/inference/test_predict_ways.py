"""``predict`` is fast by itself and leaves the net alone; ``fast=True`` answers by a copy."""

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import easyconv as ec
from easyconv.device import has_fast_bf16
from easyconv.errors import ArgumentTypeError, EasyconvWarning
from easyconv.inference import fast
from easyconv.inference.answers import agree
from easyconv.inference.marks import mark_of
from easyconv.inference.way import Way, find_way, why_as_it_is
from easyconv.layers.layout import as_channels_last, channels_last_pays

CPU = torch.device("cpu")
IMAGES = torch.rand(300, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def small_net(seed: int = 0) -> ec.Sequential:
    torch.manual_seed(seed)
    layers = [ec.ConvBlock(4, pool=2), ec.ConvBlock(8, pool=2), ec.layers.Flatten(), ec.layers.Dense(10)]
    model = ec.Sequential(layers, input_shape=(1, 28, 28))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return model


def plainly(net: nn.Module, x: Tensor = IMAGES) -> np.ndarray[Any, Any]:
    net.eval()
    with torch.no_grad():
        answers = net(x).numpy()
    net.train()
    return answers


def state_of(net: nn.Module) -> list[Any]:
    tensors = [*net.parameters(), *net.buffers()]
    seen = [(id(t), t.data_ptr(), t._version, t.stride(), t.requires_grad, t.clone()) for t in tensors]
    return [*seen, [(name, type(m), m.training, len(m._forward_hooks)) for name, m in net.named_modules()]]


def same_states(one: list[Any], other: list[Any]) -> bool:
    tensors = all(a[:5] == b[:5] and torch.equal(a[5], b[5]) for a, b in zip(one[:-1], other[:-1], strict=True))
    return tensors and one[-1] == other[-1]


def near(given: Any, expected: Any, within: float) -> bool:
    return float(np.abs(given - expected).max()) <= within * float(np.abs(expected).max())


class Rows(ec.callbacks.Callback):
    """Notes how many rows each batch has, and how many batches are announced."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.rows.append(len(logs["outputs"]))


# By default


def test_the_answers_are_those_of_the_net_and_the_net_is_left_alone() -> None:
    model = small_net()
    model.predict(IMAGES[:2], verbose=0)
    before = state_of(model)
    assert near(model.predict(IMAGES, verbose=0), plainly(model), 1e-5)
    assert same_states(state_of(model), before)


def test_a_pinned_layout_gives_the_bits_of_the_net() -> None:
    model = small_net()
    model.compile(channels_last=False, device="cpu")
    expected = np.concatenate([plainly(model, part) for part in IMAGES.split(32)])
    assert np.array_equal(model.predict(IMAGES, batch_size=32, verbose=0), expected)


def test_rows_at_a_time_follow_the_largest_tensor() -> None:
    rows = Rows()
    small_net().predict(IMAGES, verbose=0, callbacks=rows)
    assert rows.rows == [256, 44]  # 4 maps of 28 x 28 floats: 668 rows in 8 MiB
    assert rows.params["steps"] == 2
    wide = ec.Sequential([ec.layers.Conv2D(64, 3, padding=1), ec.layers.GlobalAvgPool2D()])
    rows = Rows()
    wide.predict(IMAGES, verbose=0, callbacks=rows)
    assert rows.rows == [32] * 9 + [12]  # 64 maps: 41 rows
    dense = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(2)], input_shape=(1, 28, 28))
    rows = Rows()
    dense.predict(IMAGES.repeat(2, 1, 1, 1), verbose=0, callbacks=rows)
    assert rows.rows == [256, 256, 88]


@pytest.mark.parametrize(("options", "expected"), [({"batch_size": 100}, [100] * 3), ({"steps": 2}, [32, 32])])
def test_what_the_user_says_holds(options: dict[str, int], expected: list[int]) -> None:
    rows = Rows()
    small_net().predict(IMAGES, verbose=0, callbacks=rows, **options)
    assert rows.rows == expected


def test_few_rows_are_not_tried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = small_net(), []
    monkeypatch.setattr(ec.Sequential, "forward", _counting(ec.Sequential.forward, calls))
    model.predict(IMAGES[:20], verbose=0)
    few = len(calls)
    model.predict(IMAGES[:200], verbose=0)
    assert (few, len(calls) - few) == (3, 4)  # two looks at the first rows, and the batch; one look more


def _counting(forward: Any, calls: list[int]) -> Any:
    def counting(self: Any, x: Any) -> Any:
        calls.append(len(x))
        return forward(self, x)

    return counting


def test_loaders_bring_their_own_rows() -> None:
    rows = Rows()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(IMAGES), batch_size=70)
    model = small_net()
    assert near(model.predict(loader, verbose=0, callbacks=rows), plainly(model), 1e-5)
    assert rows.rows == [70] * 4 + [20]


def test_a_net_that_needs_its_layout_keeps_it() -> None:
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.dense = nn.Conv2d(1, 4, 5), nn.Linear(4 * 24 * 24, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            assert y.is_contiguous() or len(y) == 2  # only two rows are tried
            return self.dense(y.view(len(y), -1))

    model = ec.Model(Viewing())
    assert near(model.predict(IMAGES, verbose=0), plainly(model), 1e-5)


def test_hooks_see_what_they_saw_before() -> None:
    model, seen = small_net(), []
    model[0].register_forward_hook(lambda module, args, output: seen.append((len(output), output.is_contiguous())))
    model.predict(IMAGES, verbose=0)
    assert seen == [(2, True), *[(32, True)] * 9, (12, True)]


def test_an_own_step_gets_batches_as_before() -> None:
    seen = []

    class Own(ec.Model):
        def predict_step(self, batch: Any) -> Any:
            seen.append((len(batch.x), batch.x.is_contiguous()))
            with torch.enable_grad():
                x = batch.x.requires_grad_()
                return torch.autograd.grad(self(x).sum(), x)[0]

    torch.manual_seed(0)
    model = Own(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(338, 1)))
    x = IMAGES.clone().requires_grad_()
    expected = torch.autograd.grad(model(x).sum(), x)[0]
    assert near(model.predict(IMAGES, verbose=0), expected.numpy(), 1e-5)
    assert seen == [*[(32, True)] * 9, (12, True)]


def test_what_a_net_keeps_from_predict_can_be_trained_on() -> None:
    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.scale = nn.Linear(784, 2), None

        def forward(self, x: Tensor) -> Tensor:
            if self.scale is None:
                self.scale = torch.ones(2)  # as positional encodings are kept
            return self.dense(x.flatten(1)) * self.scale

    model = ec.Model(Caching())
    model.compile("sgd", lr=0.1, device="cpu")
    model.predict(IMAGES, verbose=0)
    model.fit(IMAGES, torch.arange(300) % 2, verbose=0)
    assert not model.net.scale.is_inference()


def test_a_layout_is_taken_only_where_the_answers_stay() -> None:
    class Strided(nn.Module):
        """Reads memory as it lies."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).as_strided((len(x), 4), (32, 1))

    net, x = Strided(), torch.rand(2, 2, 4, 4)
    with torch.no_grad():
        expected = net(x)
    assert find_way(net, net, x, expected, device=CPU, layout=True, within=1e-3) == Way(256, False)


def test_layouts() -> None:
    for shape in ((2, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (1, 1, 1, 1)):
        x = torch.rand(shape)
        laid = as_channels_last(x)
        _, channels, height, width = shape
        assert torch.equal(laid, x)
        assert laid.stride() == (channels * height * width, 1, channels * width, channels)
    net = nn.Conv2d(1, 1, 1)
    assert not channels_last_pays(net, IMAGES, torch.device("cuda"), low_precision=False)
    assert channels_last_pays(net, IMAGES, torch.device("cuda"), low_precision=True)
    assert not channels_last_pays(nn.Linear(1, 1), IMAGES, CPU, low_precision=False)
    assert not channels_last_pays(net, IMAGES[0], CPU, low_precision=False)


# fast=True


@pytest.fixture(params=[True, False], ids=["bf16", "fp32"])
def bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the device is taken for one with 16-bit instructions."""
    monkeypatch.setattr(fast, "has_fast_bf16", lambda device: request.param)
    return bool(request.param)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[fast.FastCopy]:
    """Every copy that is made."""
    made: list[fast.FastCopy] = []
    make = fast._fast_copy

    def noting(*args: Any) -> fast.FastCopy:
        made.append(make(*args))
        return made[-1]

    monkeypatch.setattr(fast, "_fast_copy", noting)
    return made


def test_a_copy_answers(bf16: bool, copies: list[fast.FastCopy]) -> None:
    model = small_net()
    model.predict(IMAGES[:2], verbose=0)
    before, expected = state_of(model), plainly(model)
    given = model.predict(IMAGES, fast=True, verbose=0)
    assert given.dtype == np.float32
    assert near(given, expected, 2e-2 if bf16 else 1e-5)
    assert near(given, expected, 1e-5) != bf16
    assert same_states(state_of(model), before)
    [copied] = copies
    assert copied.dtype == (torch.bfloat16 if bf16 else None)
    assert copied.channels_last
    assert copied.rows == 256
    assert not any(isinstance(module, nn.BatchNorm2d) for module in copied.net.modules())


def test_probabilities_and_classes_by_a_copy() -> None:
    model = small_net()
    model.compile(device="cpu")
    usual, quick = (model.predict_proba(IMAGES, fast=way, verbose=0) for way in (False, True))
    assert near(quick, usual, 2e-2)
    np.testing.assert_allclose(quick.sum(1), 1.0, rtol=1e-5)  # softmax of float32, not of bfloat16
    model.predict_classes(IMAGES, fast=True, verbose=0)
    flipped = model.predict(IMAGES, fast=True, tta="flip", verbose=0)
    assert near(flipped, model.predict(IMAGES, tta="flip", verbose=0), 2e-2)


def test_the_copy_is_kept_until_something_changes(copies: list[fast.FastCopy]) -> None:
    model = small_net()
    model.compile("sgd", lr=0.1, device="cpu")
    changes: list[Any] = [
        lambda: model.fit(IMAGES, torch.arange(300) % 2, verbose=0),
        lambda: model[0][1].running_mean.add_(1.0),
        lambda: model[3].weight.data.mul_(2.0),  # torch counts no such change
        lambda: model.load_state_dict(small_net(5).state_dict()),
        lambda: model.__setitem__(3, nn.Linear(392, 10)),
        lambda: setattr(model[0][1], "eps", 0.5),
    ]
    model.predict(IMAGES, fast=True, verbose=0)
    for number, change in enumerate(changes, start=2):
        with torch.no_grad():
            change()
        for _ in range(2):
            given = model.predict(IMAGES, fast=True, verbose=0)
        assert len(copies) == number
        assert near(given, plainly(model), 2e-2), number


def test_marks() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = mark_of(net)
    net.train(False)
    assert mark_of(net) == before
    net[1].momentum = 0.5
    assert mark_of(net) != before
    assert mark_of(nn.ReLU()) != before


def test_copies_and_files_of_a_model_hold_no_fast_copy(copies: list[fast.FastCopy]) -> None:
    model = small_net()
    size = len(pickle.dumps(model))
    model.predict(IMAGES, fast=True, verbose=0)
    assert len(pickle.dumps(model)) < 1.01 * size
    assert copy.deepcopy(model)._copies._copy is None
    alive = weakref.ref(copies.pop().net)
    del model
    gc.collect()
    assert alive() is None


class MakesFloats(nn.Module):
    """Adds a float32 tensor of its own, which a net in bfloat16 cannot take."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(784, 5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.linear(x.flatten(1) + torch.zeros(784), self.dense.weight)


def test_where_16_bits_do_not_work_the_copy_keeps_32(copies: list[fast.FastCopy], monkeypatch: Any) -> None:
    monkeypatch.setattr(fast, "has_fast_bf16", lambda device: True)
    model = ec.Model(MakesFloats())
    assert near(model.predict(IMAGES, fast=True, verbose=0), plainly(model), 1e-5)
    assert copies[0].dtype is None


def test_double_precision_stays(copies: list[fast.FastCopy], monkeypatch: Any) -> None:
    monkeypatch.setattr(fast, "has_fast_bf16", lambda device: True)
    model = small_net().double()
    given = model.predict(IMAGES.double(), fast=True, verbose=0)
    assert given.dtype == np.float64
    assert near(given, plainly(model, IMAGES.double()), 1e-12)


def with_hook() -> ec.Model:
    model = small_net()
    model[0].register_forward_hook(lambda *_: None)
    return model


def uncopyable() -> ec.Model:
    model = small_net()
    model.generator = (number for number in range(3))
    return model


class OwnStep(ec.Model):
    def predict_step(self, batch: Any) -> Any:
        return super().predict_step(batch)


class Unlike(nn.Linear):
    """Its copies have weights of their own."""

    def __deepcopy__(self, memo: Any) -> "Unlike":
        return Unlike(784, 3)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (with_hook, "has forward hooks"),
        (uncopyable, "cannot be copied .TypeError: cannot pickle 'generator' object"),
        (lambda: OwnStep(nn.Sequential(nn.Flatten(), nn.Linear(784, 2))), "predict_step.. is your own"),
        (lambda: ec.Model(nn.Sequential(nn.Flatten(), Unlike(784, 3))), "gives other answers than the net itself"),
    ],
    ids=["hooks", "uncopyable", "own step", "other answers"],
)
def test_where_there_can_be_no_copy_one_hears_why(make: Any, reason: str) -> None:
    model = make()
    with pytest.warns(EasyconvWarning, match=f"fast=True has no effect: .*{reason}"):
        given = model.predict(IMAGES, fast=True, batch_size=300, verbose=0)
    assert near(given, plainly(model), 1e-5)


@pytest.mark.parametrize("way", [False, True])
def test_random_numbers_are_not_drawn(way: bool) -> None:
    class Drawing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) + torch.randn(784)

    model = ec.Model(Drawing())
    torch.manual_seed(4)
    given = model.predict(IMAGES, fast=way, batch_size=300, verbose=0)
    torch.manual_seed(4)
    np.testing.assert_allclose(given, (IMAGES.flatten(1) + torch.randn(784)).numpy(), rtol=1e-6)


def test_fast_is_a_flag() -> None:
    with pytest.raises(ArgumentTypeError, match="fast must be True or False, got 'yes'"):
        small_net().predict(IMAGES, fast="yes", verbose=0)


def test_a_compiled_net_is_run_as_it_is() -> None:
    class OptimizedModule(nn.Identity):
        """Named as that of torch."""

    assert why_as_it_is(nn.Sequential(OptimizedModule())) == "the net is compiled already"


def test_agreement() -> None:
    one = torch.tensor([1.0, 2.0])
    assert agree({"a": one}, {"a": one + 0.01}, within=0.01)
    assert not agree({"a": one}, {"b": one}, within=1.0)
    assert not agree(one, one[:1], within=1.0)
    assert not agree(one, one + 0.03, within=0.01)
    assert agree(one / 0, one / 0, within=0.0)
    assert not agree(one, one.long(), within=1.0)
    assert agree(one.long(), one.long(), within=0.0)


def test_this_machines_answer_about_16_bits_is_an_answer() -> None:
    assert has_fast_bf16(CPU) in (True, False)


@pytest.mark.real_data
def test_accuracy_of_the_fast_word_on_real_digits(real_data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "has_fast_bf16", lambda device: True)
    data = ec.data.load("mnist")
    labels = data.test.targets.numpy()
    for seed in range(3):
        ec.set_seed(seed)
        model = ec.Sequential(
            [ec.ConvBlock(8, pool=2), ec.ConvBlock(16, pool=2), ec.layers.Flatten(), ec.layers.Dense(10)]
        )
        model.compile("adam", lr=0.003, device="cpu")
        model.fit(data.train, batch_size=128, steps_per_epoch=150, seed=seed, verbose=0)
        usual, quick = (model.predict_classes(data.test, fast=way, verbose=0) for way in (False, True))
        print(f"seed {seed}: {(usual == labels).mean():.4f} {(quick == labels).mean():.4f} {(usual != quick).sum()}")
        assert (usual == labels).mean() > 0.95
        assert abs((usual == labels).mean() - (quick == labels).mean()) <= 0.0015
        assert (usual != quick).mean() <= 0.005


# What could go wrong in silence


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net[-1].weight.data.neg_(),
        lambda net: net[-1].weight.data.copy_(net[-1].weight.data[[1, 0, *range(2, len(net[-1].weight))]]),
        lambda net: net[-1].bias.data.neg_(),
        lambda net: net[0].norm.running_mean.data.neg_(),
    ],
)
def test_changes_through_data_that_keep_all_norms_are_seen(change: Any) -> None:
    model = small_net()
    for _ in range(2):
        model.predict(IMAGES, fast=True, verbose=0)
    with torch.no_grad():
        change(model)
    assert near(model.predict(IMAGES, fast=True, verbose=0), plainly(model), 0.05)


class Set(nn.Module):
    """Hangs on things that are no plain values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.scale, self.words = nn.Conv2d(1, 4, 3), torch.relu, torch.tensor(1.0), {"t": 1.0}

    def forward(self, x: Tensor) -> Tensor:
        return (self.act(self.conv(x)) * self.scale * self.words["t"]).mean((2, 3))


@pytest.mark.parametrize(
    ("name", "value"), [("act", torch.sigmoid), ("scale", torch.tensor(5.0)), ("words", {"t": 0.1})]
)
def test_settings_of_code_of_the_users_are_seen(name: str, value: Any) -> None:
    model = ec.Model(Set())
    for _ in range(2):
        model.predict(IMAGES, fast=True, verbose=0)
    setattr(model.net, name, value)
    assert near(model.predict(IMAGES, fast=True, verbose=0), plainly(model), 0.05)


class Branches(nn.Module):
    """Uses its norm where numbers or shapes say so."""

    def __init__(self, by: str) -> None:
        super().__init__()
        self.conv, self.norm, self.by = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), by
        self.norm.running_mean.fill_(3.0)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv(x)
        if (x.mean() > 5) if self.by == "numbers" else (x.shape[-1] > 10):
            return maps.mean((2, 3))
        return self.norm(maps).mean((2, 3))


def test_norms_of_nets_that_branch_are_not_folded() -> None:
    bright = torch.cat([IMAGES[:64], IMAGES[:64] + 20])
    model = ec.Model(Branches("numbers")).eval()
    given = model.predict(bright, fast=True, batch_size=32, verbose=0)
    expected = np.concatenate([plainly(model, part) for part in bright.split(32)])
    assert near(given, expected, 0.05)
    model = ec.Model(Branches("shapes")).eval()
    for side in (8, 16):
        x = torch.rand(140, 1, side, side)
        assert near(model.predict(x, fast=True, verbose=0), plainly(model, x), 0.05)


def test_numbers_that_are_no_images_keep_all_their_digits() -> None:
    years = torch.arange(1990.0, 2024.0)[:, None].repeat(5, 1)
    model = ec.Model(nn.Sequential(nn.Linear(1, 1)))
    with torch.no_grad():
        model.net[0].weight.fill_(1.0), model.net[0].bias.fill_(-2000.0)
    assert near(model.predict(years, fast=True, verbose=0), plainly(model, years), 1e-5)
