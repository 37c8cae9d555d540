"""The rooms of the house: who may import whom, and what importing costs.

The table of rooms is read from ``docs/architecture.md``, so that it says what holds.
"""

import ast
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "easyconv"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
OPTIONAL = ["torchvision", "torchinfo", "matplotlib", "scipy", "pandas", "sklearn", "torchmetrics", "tensorboard"]
OPTIONAL += ["PIL", "IPython", "tqdm.notebook", "safetensors", "onnx", "onnxruntime", "onnxscript"]
OPTIONAL += ["torch._dynamo", "torch._inductor", "statistics"]
ON_DEMAND = [
    "easyconv.augment.mixing",
    "easyconv.callbacks.stopping",
    "easyconv.data.datasets",
    "easyconv.measure",
    "easyconv.summary",
]
ON_DEMAND += ["easyconv.tracing", "easyconv.trials", "easyconv.visualize", "easyconv.zoo"]


# --- the table --------------------------------------------------------------------------------------------------------


def read_floors(text):
    """Path of a file or folder in the package -> floor."""
    floors = {}
    for floor, cell in re.findall(r"^\| (\d+) \| ([^|]+) \|", text, flags=re.MULTILINE):
        folder = PACKAGE
        for name in re.findall(r"`([^`]+)`", cell):
            path = PACKAGE / name if (PACKAGE / name).exists() else folder / name
            folder = path.parent
            floors[path] = int(floor)
    return floors


FLOORS = read_floors((ROOT / "docs" / "architecture.md").read_text())


def floor_of(path):
    return next((FLOORS[place] for place in (path, *path.parents) if place in FLOORS), None)


def room_of(path):
    """A folder is one room, whatever its floors; the small tools of the first floor are one together."""
    if floor_of(path) == 1:
        return "tools"
    return path.relative_to(PACKAGE).parts[0]


# --- who imports whom -------------------------------------------------------------------------------------------------


def imports_of(module, tree):
    """Modules of easyconv that a file names in an import, wherever it stands: in functions and TYPE_CHECKING too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "easyconv"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import in line {node.lineno}"
            assert not any(alias.name == "*" for alias in node.names), f"{module} has a star import"
            if (node.module or "").split(".")[0] == "easyconv":
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    found.add(full if full in FILES else node.module)
    return found


IMPORTS = {module: imports_of(module, ast.parse(path.read_text())) for module, path in FILES.items()}


def complaint(importer, imported):
    """What is wrong with an import, if anything is."""
    high, low = FILES[importer], FILES[imported]
    if room_of(high) == room_of(low):
        return f"{importer} imports {imported} from above" if floor_of(low) > floor_of(high) else None
    return None if floor_of(low) < floor_of(high) else f"{importer} imports {imported}, which is not on a lower floor"


def circles(graph):
    """Every circle that a walk finds."""
    found, done = [], set()

    def walk(module, trail):
        if module in trail:
            found.append([*trail[trail.index(module) :], module])
        elif module not in done:
            for other in sorted(graph[module]):
                walk(other, [*trail, module])
            done.add(module)

    for module in graph:
        walk(module, [])
    return found


def test_every_file_has_a_floor_and_every_room_exists():
    assert len(FLOORS) > 15
    assert [str(path) for path in FLOORS if not path.exists()] == []
    assert [module for module, path in FILES.items() if floor_of(path) is None] == []


def test_imports_go_down():
    wrong = [complaint(module, other) for module, others in IMPORTS.items() for other in others]
    assert [text for text in wrong if text] == []


def test_no_circles():
    assert circles(IMPORTS) == []


def test_these_checks_can_fail():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]
    assert complaint("easyconv.layers.build", "easyconv.data.sources.batch")
    assert complaint("easyconv.names", "easyconv.layers.lazy")
    assert complaint("easyconv.training.steps", "easyconv.training.loop")
    assert complaint("easyconv.training.loop", "easyconv.training.steps") is None
    assert complaint("easyconv.layers.build", "easyconv.layers.trace") is None
    source = "def f():\n    from easyconv.training import loop\nif TYPE_CHECKING:\n    import easyconv.model.model\n"
    assert imports_of("x", ast.parse(source)) == {"easyconv.training.loop", "easyconv.model.model"}
    assert floor_of(PACKAGE / "training" / "session.py") > floor_of(PACKAGE / "training" / "loop.py") > 3
    assert floor_of(PACKAGE / "nowhere.py") is None


def test_no_argument_is_checked_with_assert():
    # python -O leaves assertions out, and their errors say nothing.
    found = [
        f"{module}:{node.lineno}"
        for module, path in FILES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


# --- what importing costs ---------------------------------------------------------------------------------------------

MEASURE = """
import json, pathlib, sys, time
start = time.process_time()
import torch
torchs = time.process_time() - start
before = set(sys.modules)
statm = pathlib.Path("/proc/self/statm")
memory_used = lambda: int(statm.read_text().split()[1]) * 4096 if statm.exists() else 0
# As for any user: compiled files are kept from the first import on.
sys.pycache_prefix, sys.dont_write_bytecode = sys.argv[1], False
start, cpu, memory = time.perf_counter(), time.process_time(), memory_used()
import easyconv
seconds, cpu, memory = time.perf_counter() - start, time.process_time() - cpu, memory_used() - memory
print(json.dumps([seconds, cpu, memory, torchs, sorted(sys.modules), sorted(set(sys.modules) - before)]))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pycache")
    command = [sys.executable, "-c", MEASURE, str(folder)]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(4)]
    return [json.loads(run.stdout.splitlines()[-1]) for run in runs]


def test_import_brings_nothing_optional(measured):
    *_, modules, new = measured[0]
    assert "easyconv.model.model" in new
    assert [name for name in OPTIONAL if name in modules] == []
    # Beside torch, the standard library and tqdm, nothing else comes along.
    roots = {name.split(".")[0] for name in new} - {"easyconv", "torch", "tqdm"}
    assert roots <= {*sys.stdlib_module_names, "__future__"}


def test_what_training_does_not_need_is_imported_on_demand(measured):
    *_, new = measured[0]
    assert [name for name in ON_DEMAND if name in new] == []


def test_import_is_quick(measured):
    # The first run compiles. Processor time, since other work on the machine stretches the time on the clock.
    clock, cpu, torchs = (statistics.median(run[kind] for run in measured[1:]) for kind in (0, 1, 3))
    print(f"import easyconv adds {clock * 1e3:.0f} ms to import torch ({cpu * 1e3:.0f} ms of processor time)")
    # Torch takes 1.2 s on an idle machine: where it takes longer, so may we.
    assert cpu < max(0.1, torchs / 12)


def test_import_takes_little_memory(measured):
    # Measured where Linux tells it; 0 elsewhere.
    assert statistics.median(run[2] for run in measured[1:]) < 10 * 2**20


def test_import_does_no_work():
    code = """
import random, numpy, torch, warnings
states = lambda: (random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().tolist())
before = states(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), len(warnings.filters)
import easyconv
after = states(), torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), len(warnings.filters)
assert before == after
assert not torch.cuda.is_initialized()
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout == run.stderr == ""
