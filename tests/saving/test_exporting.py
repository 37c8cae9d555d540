"""Nets in forms that run without easyconv: the outputs of the files are those of the nets."""

import copy
import importlib.util
import inspect

import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv import zoo
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    ExportError,
    FileWriteError,
    MissingExtraError,
    NotBuiltError,
)
from easyconv.saving import exporting

NETS = [name for name in zoo.__all__ if inspect.isfunction(getattr(zoo, name))]
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MISSING = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
ONNX = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra 'onnx')")
FORMATS = ["torch", pytest.param("onnx", marks=ONNX)]
ENDING = {"torch": "net.pt2", "onnx": "net.onnx"}


def run(path, inputs, kind):
    """What the file alone answers."""
    if kind == "torch":
        found = torch.export.load(path).module()(*inputs)
        return list(found.values()) if isinstance(found, dict) else list(found) if isinstance(found, tuple) else [found]
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return [torch.from_numpy(a) for a in session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))]


def check(model, inputs, folder, kind):
    path = model.export(folder / ENDING[kind], format=kind)
    assert path == folder / ENDING[kind]
    assert [entry.name for entry in folder.iterdir()] == [path.name]
    with torch.no_grad():
        expected = model.eval()(*inputs)
    parts = list(expected.values()) if isinstance(expected, dict) else expected
    for own, other in zip(parts if isinstance(parts, (list, tuple)) else [parts], run(path, inputs, kind), strict=True):
        torch.testing.assert_close(other, own, rtol=1e-3, atol=1e-4 * float(own.abs().max()))


def of_zoo(name, **arguments):
    parameters = inspect.signature(getattr(zoo, name)).parameters
    small = {"small": True} if "small" in parameters else {"input_size": 32} if "input_size" in parameters else {}
    ec.set_seed(0)
    return getattr(zoo, name)(7, 3, **small, **arguments)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["lenet5", "mnist_resnet"])
def test_nets_of_the_zoo(tmp_path, name, kind):
    check(of_zoo(name), [torch.rand(3, 3, 32, 32)], tmp_path, kind)


@pytest.mark.torture
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", NETS)
def test_every_net_of_the_zoo(tmp_path, name, kind):
    check(of_zoo(name), [torch.rand(3, 3, 32, 32)], tmp_path, kind)


class Two(nn.Module):
    """Two inputs, of which one is words; two outputs."""

    def __init__(self):
        super().__init__()
        self.words, self.numbers = nn.Embedding(10, 4), nn.Linear(3, 4)

    def forward(self, words, numbers):
        both = self.words(words).mean(1) + self.numbers(numbers)
        return both, both.sum(1)


@pytest.mark.parametrize("kind", FORMATS)
def test_several_inputs_and_outputs(tmp_path, kind):
    model = ec.Model(Two())
    model.predict((torch.randint(0, 10, (4, 5)), torch.rand(4, 3)), verbose=0)
    check(model, [torch.randint(0, 10, (3, 5)), torch.rand(3, 3)], tmp_path, kind)


def trained():
    model = ec.Sequential([ec.ConvBlock(4), ec.layers.Flatten(), ec.layers.Dropout(0.5), ec.layers.Dense(3)])
    model.compile("adam", ema=0.9)
    model.fit(torch.rand(20, 3, 6, 6), torch.arange(20) % 3, verbose=0)
    return model


@pytest.mark.parametrize("kind", FORMATS)
def test_a_trained_model_is_left_as_it_is(tmp_path, kind):
    model = trained().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random, optimizer = torch.get_rng_state(), model.optimizer
    model.export(tmp_path / ENDING[kind], format=kind)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert model.optimizer is optimizer
    model.fit(torch.rand(20, 3, 6, 6), torch.arange(20) % 3, verbose=0)


class Decides(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


class FixedRows(nn.Module):
    def forward(self, x):
        return x.reshape(2, 3).sum(1)


@pytest.mark.parametrize(("net", "what"), [(Decides, "Decides"), (FixedRows, "FixedRows")])
def test_nets_that_cannot_be_followed(tmp_path, net, what):
    model = ec.Model(net()).build((3,)) if net is Decides else ec.Model(net())
    if net is FixedRows:
        model._note_inputs(torch.zeros(1, 3))
    with pytest.raises(ExportError, match=rf"torch\.export cannot follow what {what} does: .*number of rows as fixed"):
        model.export(tmp_path / "net.pt2", format="torch")
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_differ_are_noticed_before_the_file_is_there(tmp_path, monkeypatch):
    followed = exporting._followed
    path = tmp_path / "net.pt2"
    path.write_bytes(b"older")

    def other_weights(net, example):
        other = copy.deepcopy(net)
        with torch.no_grad():
            other[0].weight += 0.01
        return followed(other, example)

    monkeypatch.setattr(exporting, "_followed", other_weights)
    model = ec.Sequential([nn.Linear(3, 2)], input_shape=(3,))
    with pytest.raises(ExportError, match=r"gives other outputs than the net: they differ by .*nothing was written"):
        model.export(path, format="torch")
    assert path.read_bytes() == b"older"


@pytest.mark.parametrize(
    ("found", "match"),
    [
        ([torch.ones(2, 2)], "of the shapes"),
        ([torch.ones(2, 3), torch.ones(1)], "of the shapes"),
        ([torch.full((2, 3), 1.001)], "other outputs"),
        ([torch.full((2, 3), torch.nan)], "other outputs"),
    ],
)
def test_the_comparison_can_fail(found, match):
    exporting._compare([torch.ones(2, 3)], [torch.full((2, 3), 1.00001)], "torch")
    with pytest.raises(ExportError, match=match):
        exporting._compare([torch.ones(2, 3)], found, "torch")


def test_what_is_asked_wrongly(tmp_path, monkeypatch):
    model = ec.Sequential([ec.layers.Dense(2)], input_shape=(3,))
    with pytest.raises(ArgumentError, match="format must be one of 'onnx', 'torch', got 'tflite'"):
        model.export(tmp_path / "net.tflite", format="tflite")
    with pytest.raises(ArgumentTypeError, match="path like"):
        model.export(None)
    with pytest.raises(NotBuiltError, match=r"export\(\) needs the shape of the inputs.*build"):
        ec.Model(nn.Linear(3, 2)).export(tmp_path / "net.onnx")
    with pytest.raises(NotBuiltError):
        ec.Sequential([ec.layers.Dense(2)]).export(tmp_path / "net.onnx")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileWriteError, match="is a folder"):
        model.export(tmp_path / "folder", format="torch")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package):
    def without(name, *args):
        if name in PACKAGES and name != package:
            return
        raise ImportError(name)

    monkeypatch.setattr("easyconv.names.importlib.import_module", without)
    model = ec.Sequential([ec.layers.Dense(2)], input_shape=(3,))
    with pytest.raises(MissingExtraError, match=rf'needs {package}, .*pip install "easyconv\[onnx\]"'):
        model.export(tmp_path / "net.onnx")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_pooling_with_its_own_divisor(tmp_path, kind):
    model = ec.Sequential([nn.AvgPool2d(3, 2, 1, divisor_override=4)], input_shape=(2, 8, 8))
    check(model, [torch.rand(3, 2, 8, 8)], tmp_path, kind)


@ONNX
def test_what_torch_translates_wrongly_is_refused(tmp_path):
    """Its exporter leaves out divisors in silence; with ``ceil_mode`` we cannot make it right beforehand."""
    model = ec.Sequential([nn.AvgPool2d(3, 2, divisor_override=4, ceil_mode=True)], input_shape=(2, 8, 8))
    with pytest.raises(ExportError, match="gives other outputs than the net"):
        model.export(tmp_path / "net.onnx")


@ONNX
def test_what_onnx_does_not_have(tmp_path):
    model = ec.Sequential([ec.layers.Lambda(lambda x: torch.linalg.svdvals(x))], input_shape=(3, 3))
    with pytest.raises(ExportError, match=r"cannot be written as ONNX: .*format='torch' may take it"):
        model.export(tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []
