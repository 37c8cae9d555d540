"""Whole models in one file: everything comes back, and nothing that is code goes in."""

import ast
import functools
import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

import easyconv as ec
from easyconv import layers, zoo
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DamagedFileError,
    EasyconvWarning,
    FileMissingError,
    FileWriteError,
    NotBuiltError,
    UnreadableFileError,
)
from easyconv.files import read_state, write_state
from easyconv.layers.freezing import is_frozen
from easyconv.saving.catalogue import classes, name_of

NETS = [name for name in zoo.__all__ if inspect.isfunction(getattr(zoo, name))]
BLOCKS = [
    name
    for name in layers.__all__
    if inspect.isclass(getattr(layers, name)) and issubclass(getattr(layers, name), nn.Module)
]
REQUIRED = {"out_channels": 4, "channels": 4, "kernel_size": 3, "num_layers": 2}
SPECIAL = {
    "InceptionNaive": lambda: layers.InceptionNaive(4, 6, 2),
    "InceptionV1": lambda: layers.InceptionV1(4, (3, 6), (1, 2), 2),
    "Lambda": lambda: layers.Lambda(torch.square),
    "Parallel": lambda: layers.Parallel({"a": layers.Conv2D(4, 1), "b": None}, merge="concat"),
    "Permute": lambda: layers.Permute(0, 3, 1, 2),
    "Residual": lambda: layers.Residual(layers.Conv2D(4, 3, padding=1), activation="gelu"),
}


def there_and_back(model, folder):
    return ec.load(model.save(folder / "model.safetensors"))


def outputs(net, x):
    with torch.no_grad():
        return net.eval()(x)


def same(left, right):
    assert list(left) == list(right)
    for key in left:
        assert left[key].dtype == right[key].dtype
        assert torch.equal(left[key], right[key]), key


def check_same(model, twin, x):
    assert type(twin) is type(model)
    assert str(twin) == str(model)
    assert twin.name == model.name
    same(model.state_dict(), twin.state_dict())
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in twin.parameters()]
    assert [m.training for m in model.modules()] == [m.training for m in twin.modules()]
    assert torch.equal(outputs(model, x), outputs(twin, x))


# --- what can be saved ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_every_net_of_the_zoo(tmp_path, name):
    make, parameters = getattr(zoo, name), inspect.signature(getattr(zoo, name)).parameters
    arguments = {"small": True} if "small" in parameters else {"input_size": 32} if "input_size" in parameters else {}
    model = make(7, 3, **arguments)
    check_same(model, there_and_back(model, tmp_path), torch.rand(2, 3, 32, 32))


@pytest.mark.parametrize("name", BLOCKS)
def test_every_block(tmp_path, name):
    maker = getattr(layers, name)
    needed = [p.name for p in inspect.signature(maker).parameters.values() if p.default is p.empty]
    block = SPECIAL[name]() if name in SPECIAL else maker(**{key: REQUIRED[key] for key in needed})
    model = ec.Sequential([block], input_shape=(4, 9, 9))
    check_same(model, there_and_back(model, tmp_path), torch.rand(2, 4, 9, 9))


def test_there_are_nets_and_blocks():
    assert len(NETS) > 20
    assert len(BLOCKS) > 15


TORCH = {
    "dense": (lambda: nn.Sequential(nn.Linear(8, 6), nn.PReLU(), nn.LayerNorm(6), nn.Softmax(1)), (2, 8)),
    "recurrent": (lambda: nn.LSTM(8, 5, 2, bidirectional=True, batch_first=True), (2, 3, 8)),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 3, 8)),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3), nn.InstanceNorm2d(4), nn.ELU()),
        (2, 3, 5, 5),
    ),
    "padded": (lambda: nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(3, 4, 3, padding_mode="circular")), (2, 3, 5, 5)),
    "double": (lambda: nn.Sequential(nn.Linear(8, 3)).double(), (2, 8)),
    "half": (lambda: nn.Sequential(nn.Linear(8, 3)).to(torch.bfloat16), (2, 8)),
}


@pytest.mark.parametrize("kind", TORCH)
def test_nets_of_torch_in_a_wrapper(tmp_path, kind):
    make, shape = TORCH[kind]
    net = make()
    model = ec.Model(net)
    x = torch.rand(shape).to(next(net.parameters()).dtype)
    twin = there_and_back(model, tmp_path)
    left, right = outputs(model, x), outputs(twin, x)
    if kind == "recurrent":
        left, right = left[0], right[0]
    assert torch.equal(left, right)
    same(model.state_dict(), twin.state_dict())


def test_tied_weights_stay_tied_and_layers_that_are_used_twice_one_layer(tmp_path):
    model = ec.Sequential([nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)])
    model[2].weight = model[0].weight
    model.add(model[0])
    twin = there_and_back(model, tmp_path)
    assert twin[2].weight is twin[0].weight
    assert twin[3] is twin[0]
    assert twin.count_params() == model.count_params()


def test_buffers_that_are_no_part_of_the_weights(tmp_path):
    model = ec.Sequential([nn.BatchNorm1d(3)])
    model[0].register_buffer("extra", torch.arange(3.0), persistent=False)
    twin = there_and_back(model, tmp_path)
    assert torch.equal(twin[0].extra, torch.arange(3.0))
    assert "0.extra" not in twin.state_dict()


def test_a_model_in_a_model(tmp_path):
    inner = ec.Sequential([("a", nn.Linear(3, 4))], name="inner")
    model = ec.Sequential([("inner", inner), nn.ReLU(), ec.Model(nn.Linear(4, 2))])
    twin = there_and_back(model, tmp_path)
    check_same(model, twin, torch.rand(2, 3))
    assert twin.inner.name == "inner"
    assert len(twin.inner.history) == 0


def test_what_is_frozen_stays_frozen_through_train(tmp_path):
    model = ec.zoo.resnet20()
    model.freeze(until="fc")
    twin = there_and_back(model.train(), tmp_path).train()
    norms = [module for module in twin.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    check_same(model, twin, torch.rand(2, 3, 32, 32))
    twin.unfreeze()
    assert all(m.training for m in twin.train().modules())
    assert not is_frozen(twin)


def test_a_changed_net_is_saved_as_it_is(tmp_path):
    model = ec.zoo.resnet18(10, small=True)
    model.replace_head(3)
    check_same(model, there_and_back(model, tmp_path), torch.rand(2, 3, 32, 32))
    part = model[:4]
    check_same(part, there_and_back(part, tmp_path), torch.rand(2, 3, 32, 32))


def test_a_loaded_model_builds_adds_and_summarizes(tmp_path, capsys):
    model = ec.Sequential([ec.layers.Conv2D(4, 3)], input_shape=(3, 8, 8), init="he")
    twin = there_and_back(model, tmp_path)
    twin.add(ec.layers.Dense(2))
    assert twin[1].in_features == 6
    assert twin.summary().input_shape == ("N", 3, 8, 8)


# --- training goes on -------------------------------------------------------------------------------------------------


def data(rows=48):
    generator = torch.Generator().manual_seed(3)
    return torch.rand(rows, 3, 8, 8, generator=generator), torch.randint(0, 3, (rows,), generator=generator)


def net():
    ec.set_seed(0)
    return ec.Sequential(
        [ec.ConvBlock(4, dropout=0.2), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(3)], input_shape=(3, 8, 8)
    )


COMPILED = {
    "by name": lambda m: m.compile("adam", metrics=["accuracy"]),
    "every argument": lambda m: m.compile(
        ec.optim.AdamW(lr=0.01, betas=(0.8, 0.9), groups="no_bias_decay"),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1),
        {"acc": "accuracy", "best2": ec.metrics.TopKAccuracy(2)},
        device="cpu",
        clip_norm=1.0,
        accumulate=2,
        ema=0.9,
        channels_last=False,
    ),
    "a class and functions of torch": lambda m: m.compile(torch.optim.RMSprop, F.cross_entropy, lr=0.01),
    "momentum and layer rates": lambda m: m.compile(
        ec.optim.SGD(lr=0.1, momentum=0.9, nesterov=True, groups=ec.optim.layerwise(0.5)), metrics=ec.metrics.F1
    ),
    "bf16": lambda m: m.compile("sgd", lr=0.1, precision="bf16", metrics=["precision", "recall"]),
    "not yet": lambda m: None,
}


@pytest.mark.parametrize("kind", COMPILED)
@pytest.mark.parametrize("epochs", [0, 2])
def test_training_goes_on_with_the_same_bits(tmp_path, kind, epochs):
    model = net()
    COMPILED[kind](model)
    if kind == "not yet":
        twin = there_and_back(model, tmp_path)
        assert twin.optimizer is None
        assert twin._session is None
        return
    if epochs:
        model.fit(*data(), epochs=epochs, seed=1, verbose=0)
    twin = there_and_back(model, tmp_path)
    assert twin.history.history == model.history.history
    rows = [m.fit(*data(), epochs=2, seed=1, verbose=0).history for m in (model, twin)]
    assert rows[0] == rows[1]
    same(model.state_dict(), twin.state_dict())
    assert repr(twin.optimizer) == repr(model.optimizer)
    assert twin.evaluate(*data(), verbose=0) == model.evaluate(*data(), verbose=0)


def test_after_fine_tuning_too(tmp_path):
    model = net()
    model.compile(ec.optim.SGD(lr=0.1, momentum=0.9))
    model.fine_tune(*data(), epochs=2, head_epochs=1, seed=0, verbose=0)
    twin = there_and_back(model, tmp_path)
    assert len(twin.optimizer.param_groups) == len(model.optimizer.param_groups) > 1
    for one in (model, twin):
        one.fit(*data(), epochs=1, seed=0, verbose=0)
    same(model.state_dict(), twin.state_dict())


def test_layers_that_were_frozen_after_training(tmp_path):
    model = net()
    model.compile("adam")
    model.fit(*data(), epochs=1, seed=0, verbose=0)
    model.freeze(model[0])
    twin = there_and_back(model, tmp_path)
    for one in (model, twin):
        one.unfreeze()
        one.fit(*data(), epochs=1, seed=0, verbose=0)
    same(model.state_dict(), twin.state_dict())


class SavesItself(ec.callbacks.Callback):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        logs["guest"] = object()
        self.model.save(self.folder / f"{epoch}.safetensors")


def test_a_callback_may_save_the_model_and_put_anything_into_the_rows(tmp_path):
    model = net()
    model.compile("sgd", lr=0.1, ema=0.5)
    model.fit(*data(), epochs=2, seed=0, verbose=0, callbacks=SavesItself(tmp_path))
    last = ec.load(tmp_path / "1.safetensors")
    assert torch.equal(outputs(last, data()[0]), outputs(model, data()[0]))
    assert "guest" not in last.history.history


def test_classify_works_by_names(tmp_path):
    images = torch.randint(0, 256, (30, 3, 8, 8), dtype=torch.uint8)
    parts = ec.data.from_arrays((images, torch.arange(30) % 3), class_names=["cat", "dog", "owl"]).normalize()
    model = net()
    model.compile("adam")
    model.fit(parts.train, epochs=1, verbose=0)
    twin = there_and_back(model, tmp_path)
    found, expected = twin.classify(list(images[:5])), model.classify(list(images[:5]))
    assert [one.probabilities for one in found] == [one.probabilities for one in expected]
    assert twin.preprocessing == model.preprocessing
    assert twin.preprocessing.categories == ("cat", "dog", "owl")


def test_the_preprocessing_of_imagenet(tmp_path):
    from torchvision.models import ResNet18_Weights

    model = net()
    entry = ResNet18_Weights.IMAGENET1K_V1
    model.preprocessing = ec.data.Preprocessing(entry.transforms(), entry.meta["categories"])
    twin = there_and_back(model, tmp_path)
    picture = torch.randint(0, 256, (3, 300, 280), dtype=torch.uint8)
    assert torch.equal(twin.preprocessing(picture), model.preprocessing(picture))
    assert twin.preprocessing.categories == model.preprocessing.categories


# --- without the class ------------------------------------------------------------------------------------------------

ELSEWHERE = """
import sys, torch, easyconv as ec
model = ec.load(sys.argv[1])
torch.save(model.eval()(torch.ones(1, 3, 8, 8)), sys.argv[2])
"""


def test_another_process_needs_nothing_but_the_file(tmp_path):
    path = net().save(tmp_path / "model.safetensors")
    expected = outputs(ec.load(path), torch.ones(1, 3, 8, 8))
    command = [sys.executable, "-c", ELSEWHERE, str(path), str(tmp_path / "out.pt")]
    subprocess.run(command, check=True, cwd=tmp_path, env={**_environment(), "OMP_NUM_THREADS": "1"})
    torch.testing.assert_close(torch.load(tmp_path / "out.pt", weights_only=True), expected)


def _environment():
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(ec.__file__).parent.parent)}


def test_the_weights_in_it_load_like_any(tmp_path):
    model, other = net(), net()
    path = model.save(tmp_path / "model.safetensors")
    with torch.no_grad():
        other[2].weight.zero_()
    assert other.load_weights(path) == ([], [], [])
    same(model.state_dict(), other.state_dict())
    wrapped = ec.Model(nn.Linear(2, 2))
    plain = nn.Linear(2, 2)
    ec.saving.load_weights(plain, wrapped.save(tmp_path / "w.safetensors"))
    same(plain.state_dict(), wrapped.net.state_dict())


# --- what cannot be saved ---------------------------------------------------------------------------------------------


class Own(ec.Model):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(2, 2)

    def forward(self, x):
        return self.head(x)


class OwnLayer(nn.Module):
    def forward(self, x):
        return x


def with_hook():
    model = ec.Sequential([("a", nn.Linear(2, 2))])
    model[0].register_forward_hook(lambda *_: None)
    return model


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (Own, r"Own itself is a Own of .*test_models, which is code"),
        (lambda: ec.Sequential([nn.Linear(2, 2), ("mine", OwnLayer())]), "'mine' is a OwnLayer"),
        (lambda: ec.Sequential([nn.Linear(2, 2), layers.Lambda(lambda x: 2 * x)]), r"'1\.function' is .*<lambda> of"),
        (lambda: ec.Model(nn.Sequential(OwnLayer())), r"'net\.0' is a OwnLayer"),
        (lambda: ec.Sequential([layers.Parallel(nn.Linear(2, 2), merge=lambda y: y[0])]), r"'0\.merge' is "),
        (with_hook, r"'a' is a Linear with a hook \(forward_hooks\)"),
        (lambda: ec.Sequential([nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))]), "Parametrized"),
    ],
)
def test_what_is_code_is_refused_with_what_to_do(tmp_path, make, match):
    path = tmp_path / "model.safetensors"
    with pytest.raises(ArgumentTypeError, match=match) as caught:
        make().save(path)
    assert "model.save_weights(" in str(caught.value)
    assert "model.export(" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_is_code_is_left_out_with_a_warning(tmp_path):
    model = net()
    model.compile("adam", loss=lambda output, target: F.cross_entropy(output, target), metrics=["accuracy"])
    model.fit(*data(), epochs=1, seed=0, verbose=0)
    with pytest.warns(EasyconvWarning, match=r"leaves out how .*: loss is .*<lambda>.*Call compile\(\)"):
        model.save(tmp_path / "model.safetensors")
    twin = ec.load(tmp_path / "model.safetensors")
    assert twin._session is None
    assert twin.history.history == model.history.history
    check_same(model, twin, data()[0])
    twin.compile(torch.optim.SGD(twin.parameters(), lr=0.1))
    with pytest.warns(EasyconvWarning, match="optimizer is a SGD of torch"):
        twin.save(tmp_path / "model.safetensors")


def test_a_preprocessing_that_is_code_is_left_out_with_a_warning(tmp_path):
    model = net()
    model.preprocessing = ec.data.Preprocessing(lambda image: image / 255, ["a", "b", "c"])
    with pytest.warns(EasyconvWarning, match=r"leaves out .*: preprocessing\.transform is .*<lambda>"):
        model.save(tmp_path / "model.safetensors")
    assert ec.load(tmp_path / "model.safetensors").preprocessing is None


def test_a_device_that_is_not_here(tmp_path, monkeypatch):
    model = net()
    model.compile("adam", device="cpu")
    content = read_state(model.save(tmp_path / "model.safetensors"), kind="model").content
    content["training"]["arguments"]["device"] = "cuda:77"
    write_state(tmp_path / "model.safetensors", content, kind="model")
    with pytest.warns(EasyconvWarning, match=r"is not compiled: .*not possible here\. .*cuda:77"):
        twin = ec.load(tmp_path / "model.safetensors")
    check_same(model, twin, data()[0])


def test_a_model_that_waits_for_its_sizes(tmp_path):
    with pytest.raises(NotBuiltError, match=r"save\(\)"):
        ec.Sequential([ec.layers.Dense(3)]).save(tmp_path / "model.safetensors")


@pytest.mark.parametrize("ending", [".pt", ".pth", ".pt2", ".bin", ".pkl"])
def test_endings_of_other_files(tmp_path, ending):
    with pytest.raises(ArgumentError, match=r"'model\.safetensors'.*save_weights"):
        net().save(tmp_path / f"model{ending}")
    with pytest.raises(ArgumentError, match="Keras"):
        net().save(tmp_path / "model.keras")
    with pytest.raises(ArgumentTypeError, match="path"):
        net().save(None)


# --- files that are not as they should be -----------------------------------------------------------------------------


def test_damage_is_noticed(tmp_path):
    path = net().save(tmp_path / "model.safetensors")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 4
    path.write_bytes(whole)
    with pytest.raises(DamagedFileError, match=r"model\.safetensors' is damaged"):
        ec.load(path)
    with pytest.raises(FileMissingError, match="nowhere"):
        ec.load(tmp_path / "nowhere.safetensors")
    with pytest.raises(ArgumentTypeError, match="path"):
        ec.load(3)


def test_other_files(tmp_path):
    net().save_weights(tmp_path / "w.safetensors")
    with pytest.raises(DamagedFileError, match="load_weights"):
        ec.load(tmp_path / "w.safetensors")
    write_state(tmp_path / "c.safetensors", {}, kind="checkpoint")
    with pytest.raises(UnreadableFileError, match="holds a checkpoint, not a model"):
        ec.load(tmp_path / "c.safetensors")


def test_a_failed_write_keeps_the_older_model(tmp_path, monkeypatch):
    path = net().save(tmp_path / "model.safetensors")
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("easyconv.files.whole.os.fsync", full)
        with pytest.raises(FileWriteError, match="bytes are needed"):
            net().save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def forged(tmp_path, change):
    content = read_state(net().save(tmp_path / "model.safetensors"), kind="model").content
    change(content["net"])
    return write_state(tmp_path / "model.safetensors", content, kind="model")


def first_child(plan):
    return next(iter(plan["children"].values()))


def attribute(**value):
    return lambda plan: plan["attributes"].update(x=value["value"])


def weight_of_nothing(plan):
    first_child(first_child(plan))["parameters"].update(weight={"key": "no", "trained": True})


FOREIGN = {
    "a class of the system": lambda plan: plan.update({"@module": "subprocess.Popen"}),
    "a class of torch elsewhere": lambda plan: plan.update({"@module": "torch.hub.Faketqdm"}),
    "a function of the system": attribute(value={"@function": "os.system"}),
    "a function of torch": attribute(value={"@function": "torch.load"}),
    "an optimizer from elsewhere": attribute(value={"@optimizer": "os.system"}),
    "an object from elsewhere": attribute(value={"@object": "pathlib.Path", "attributes": {}}),
    "a class for a value": attribute(value={"@class": "builtins.eval"}),
}
WRONG = {
    "an object for a module": lambda plan: plan.update({"@module": "easyconv.History"}),
    "hooks": lambda plan: plan["attributes"].update(_forward_hooks={1: {"@function": "torch.relu"}}),
    "a tensor that is not there": weight_of_nothing,
    "a mark that stands for nothing": attribute(value={"@eval": "1"}),
    "a type that is none": attribute(value={"@dtype": "load"}),
    "itself inside itself": lambda plan: plan["children"].update(again={"@same": 99}),
    "a net that is no model": lambda plan: plan.update({"@module": "torch.nn.Sequential", "attributes": {}}),
}
FORGERIES = {
    **{kind: (change, UnreadableFileError, "does not know") for kind, change in FOREIGN.items()},
    **{kind: (change, DamagedFileError, "does not hold a model") for kind, change in WRONG.items()},
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_files_that_are_forged(tmp_path, kind):
    change, error, match = FORGERIES[kind]
    path = forged(tmp_path, change)
    with pytest.raises(error, match=rf"model\.safetensors.*{match}"):
        ec.load(path)


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_every_class_has_a_name_of_its_own():
    seen = {}
    for cls in classes().values():
        assert seen.setdefault(name_of(cls), cls) is cls
    everything = [cls for cls in _all_of(nn.Module) if name_of(cls)]
    doubled = {cls for cls in everything if classes()[name_of(cls)] is not cls}
    assert {cls.__qualname__ for cls in doubled if cls.__module__.startswith("easyconv.")} == set()


def test_classes_are_known_before_anybody_has_imported_them():
    code = "from easyconv.saving.catalogue import classes; print(list(classes()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    known = ast.literal_eval(done.stdout)
    assert {"easyconv.CutMix", "easyconv.GoogLeNet", "easyconv.InceptionV3"} <= set(known)
    # Here tests have imported all there is.
    assert [name for name in classes() if name.startswith("easyconv.") and name not in known] == []


def _all_of(cls):
    for child in cls.__subclasses__():
        yield child
        yield from _all_of(child)


def test_classes_of_users_are_not_in_it():
    assert name_of(OwnLayer) is None
    assert not any(cls.__module__.startswith("test") for cls in classes().values())
    assert name_of(functools.partial) is None
    assert name_of(np.ndarray) is None
