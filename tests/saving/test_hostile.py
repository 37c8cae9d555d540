"""Files made to do harm: nothing in them runs, whichever way they are loaded."""

import ast
import contextlib
import io
import pickle
import re
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv.errors import EasyconvError
from easyconv.files import CheckpointFolder, read_state
from easyconv.saving import load_weights

PACKAGE = Path(ec.__file__).parent


def touch(path):
    Path(path).write_text("code was run")


class Calls:
    """Pickled as a call of something with some arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class SetsState:
    """Pickled as an object whose state is set by a call."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (dict, (), None, None, iter([("a", Calls(touch, self.marker))]))


class Layer(nn.Module):
    def __init__(self, marker):
        super().__init__()
        self.marker = marker

    def __setstate__(self, state):
        touch(state["marker"])


def with_torch(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def rewritten(data, changes):
    """A torch file (a zip) with other contents in some of its entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.namelist():
            ending = entry.rpartition("/")[2]
            new.writestr(changes.get("rename", lambda name: name)(entry), changes.get(ending, old.read(entry)))
    return file.getvalue()


def opcodes(text):
    """A pickle written by hand: ``module name arguments``."""
    return b"\x80\x02" + text


def text(words):
    return b"X" + struct.pack("<I", len(words)) + words.encode()


STATE = {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}
GOOD = with_torch(STATE)


def bomb():
    """A few kilobytes that say they are four gigabytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("archive/data.pkl", "w", force_zip64=True) as entry:
            for _ in range(64):
                entry.write(bytes(1 << 20))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def numpy_object(marker):
    file = io.BytesIO()
    np.save(file, np.array([Calls(touch, marker)], dtype=object), allow_pickle=True)
    return file.getvalue()


def safetensors(header):
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text)) + text


HOSTILE = {
    "a call": lambda m: with_torch(Calls(touch, m)),
    "a call for a weight": lambda m: with_torch({**STATE, "weight": Calls(touch, m)}),
    "a call for a key": lambda m: with_torch({Calls(touch, m): torch.zeros(1)}),
    "a call deep inside": lambda m: with_torch({**STATE, "extra": [{"a": (1, [Calls(touch, m)])}]}),
    "eval": lambda m: with_torch(Calls(eval, f"open({m!r}, 'w').close()")),
    "exec": lambda m: with_torch(Calls(exec, f"open({m!r}, 'w').close()")),
    "open": lambda m: with_torch(Calls(open, m, "w")),
    "the system": lambda m: with_torch(Calls(__import__("os").system, f"touch {m}")),
    "a process": lambda m: with_torch(Calls(__import__("subprocess").Popen, ["touch", m])),
    "an import": lambda m: with_torch(Calls(__import__("importlib").import_module, "this")),
    "a function of torch": lambda m: with_torch(Calls(torch.hub.load_state_dict_from_url, f"file://{m}")),
    "a pickle in a pickle": lambda m: with_torch(Calls(pickle.loads, pickle.dumps(Calls(touch, m)))),
    "a script": lambda m: with_torch(Calls(__import__("runpy").run_path, m)),
    "an object that sets its state": lambda m: with_torch(SetsState(m)),
    "a whole net": lambda m: with_torch(Layer(m)),
    "the old format": lambda m: with_torch(Calls(touch, m), _use_new_zipfile_serialization=False),
    "a bare pickle": lambda m: pickle.dumps(Calls(touch, m)),
    "a bare pickle of protocol 0": lambda m: pickle.dumps(Calls(touch, m), protocol=0),
    "operations by hand": lambda m: opcodes(
        b"cposix\nsystem\n(X" + struct.pack("<I", len(m) + 6) + f"touch {m}".encode() + b"tR."
    ),
    "a dotted name": lambda m: opcodes(b"ctorch\n_utils.os.system\n(X\x04\x00\x00\x00truetR."),
    "another pickle in a good zip": lambda m: rewritten(GOOD, {"data.pkl": pickle.dumps(Calls(touch, m))}),
    "names that leave the folder": lambda m: rewritten(GOOD, {"rename": lambda name: f"../../{name}"}),
    "an absolute name": lambda m: rewritten(GOOD, {"rename": lambda name: m if name.endswith("/0") else name}),
    "a zip bomb": lambda m: bomb(),
    "TorchScript": lambda m: with_script(),
    "objects of NumPy": numpy_object,
    "a header larger than the memory": lambda m: struct.pack("<Q", 2**63) + b"{}",
    "a header that is code": lambda m: safetensors(f"__import__('os').system('touch {m}')"),
    "a header deeper than the interpreter": lambda m: safetensors("[" * 1_000_000),
    "a tensor with a path for a name": lambda m: (
        safetensors('{"../../x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}') + bytes(4)
    ),
}


def with_script():
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), file)
    return file.getvalue()


HARMLESS = {"a function of torch", "an absolute name", "names that leave the folder", "a tensor with a path for a name"}

LOADERS = {
    "weights": lambda path: load_weights(nn.Linear(2, 2), path),
    "weights, not strict": lambda path: load_weights(nn.Linear(2, 2), path, strict=False, skip_mismatch=True),
    "state": lambda path: read_state(path, kind="model"),
    "model": ec.load,
    "checkpoint": lambda path: in_a_folder(path),
}


def in_a_folder(path):
    with CheckpointFolder(path.parent / "run") as folder:
        path.rename(folder.path / "step-0000000001.safetensors")
        return folder.load()


def test_there_are_enough():
    assert len(HOSTILE) >= 20


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_runs(tmp_path, kind, ending):
    marker, outside = tmp_path / "marker", set(tmp_path.parent.iterdir())
    data = HOSTILE[kind](str(marker))
    imported = set(sys.modules)
    for how, load in LOADERS.items():
        path = tmp_path / f"file{ending}"
        path.write_bytes(data)
        if how.startswith("weights") and kind in HARMLESS:  # what is good in it may be taken
            with contextlib.suppress(EasyconvError):
                load(path)
        else:
            with pytest.raises(EasyconvError):
                load(path)
        assert not marker.exists(), how
    assert set(tmp_path.parent.iterdir()) == outside
    assert "this" not in set(sys.modules) - imported


def test_the_files_do_harm_where_nobody_takes_care(tmp_path):
    """Or nothing would be shown by their doing none."""
    harmful = 0
    for make in HOSTILE.values():
        marker = tmp_path / "marker"
        (tmp_path / "file").write_bytes(make(str(marker)))
        try:
            torch.load(tmp_path / "file", weights_only=False)
        except Exception:
            try:
                pickle.loads((tmp_path / "file").read_bytes())
            except Exception:
                continue
        harmful += marker.exists()
        marker.unlink(missing_ok=True)
    assert harmful >= 12


# --- the source -------------------------------------------------------------------------------------------------------

FORBIDDEN_IMPORTS = {"cloudpickle", "code", "dill", "joblib", "marshal", "pickle", "shelve"}
FORBIDDEN_CALLS = {"__import__", "compile", "eval", "exec"}
ALLOWED_IMPORTS = {("saving/weights.py", "pickle")}
"""Where an error of pickle's is caught."""


def complaints(place, tree):
    """What a file does that could run code of a file."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in names:
                if name.partition(".")[0] in FORBIDDEN_IMPORTS and (place, name) not in ALLOWED_IMPORTS:
                    yield f"{place}:{node.lineno} imports {name}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called in FORBIDDEN_CALLS or called.startswith("pickle."):
            yield f"{place}:{node.lineno} calls {called}()"
        if called == "torch.load" and given.get("weights_only") != "True":
            yield f"{place}:{node.lineno} calls torch.load() without weights_only=True"
        if given.get("weights_only", "True") != "True" or given.get("allow_pickle", "False") != "False":
            yield f"{place}:{node.lineno} lets a file bring more than data"
        if called in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
            yield f"{place}:{node.lineno} calls {called}() without allow_pickle=False"


def test_no_source_of_ours_can_run_a_file():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        found += complaints(path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "exec(x)",
        "__import__(name)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "def f():\n    import dill",
    ],
)
def test_this_check_can_fail(source):
    assert len(list(complaints("x.py", ast.parse(source)))) >= 1


def test_this_check_lets_good_things_pass():
    source = "import torch\nre.compile('a')\ntorch.load(p, weights_only=True)\nmodel.eval()\nmodel.compile()"
    assert list(complaints("x.py", ast.parse(source))) == []
    assert re.search("pickle", (PACKAGE / "saving" / "weights.py").read_text())
