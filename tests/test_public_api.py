"""What users may import: named, there, documented and typed."""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import easyconv as ec

ROOT = Path(__file__).parent.parent
MODULES = ["easyconv", *(info.name for info in pkgutil.walk_packages(ec.__path__, "easyconv."))]
PACKAGES = [
    ec,
    ec.arithmetic,
    ec.augment,
    ec.callbacks,
    ec.data,
    ec.errors,
    ec.layers,
    ec.losses,
    ec.metrics,
    ec.optim,
    ec.visualize,
]
ERRORS = {name: getattr(ec.errors, name) for name in ec.errors.__all__}


def public_objects():
    """Every public function and class that a user can reach from ``ec``, once."""
    seen = {}
    for package in PACKAGES:
        for name in package.__all__:
            thing = getattr(package, name)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                seen.setdefault(id(thing), (f"{package.__name__}.{name}", thing))
    return dict(seen.values())


OBJECTS = public_objects()


def own_methods(cls):
    """Public methods and properties that easyconv has written for a class."""
    for name, member in inspect.getmembers(cls):
        function = member.fget if isinstance(member, property) else member
        if not name.startswith("_") and inspect.isfunction(function) and function.__module__.startswith("easyconv"):
            yield name, function


@pytest.mark.parametrize("module_name", MODULES)
def test_every_module_says_what_is_public(module_name):
    module = importlib.import_module(module_name)
    assert module.__doc__
    tree = ast.parse(Path(module.__file__).read_text())
    if len(tree.body) == 1:
        return  # a package that only has a docstring
    assert isinstance(module.__all__, list)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert hasattr(module, name), f"{module_name}.__all__ names {name}, which is not there"


@pytest.mark.parametrize("module_name", MODULES)
def test_what_other_files_import_is_public(module_name):
    tree = ast.parse(Path(importlib.import_module(module_name).__file__).read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "easyconv":
            continue
        source = importlib.import_module(node.module)
        for alias in node.names:
            is_module = f"{node.module}.{alias.name}" in MODULES
            assert is_module or alias.name in source.__all__, f"{module_name} imports {node.module}.{alias.name}"


def test_the_front_door():
    public = {name for name in dir(ec) if not name.startswith("_")} | {"__version__"}
    # Rooms that Python hangs into a package when they are imported are no promise.
    rooms = {name.split(".")[1] for name in sys.modules if name.startswith("easyconv.")}
    assert set(ec.__all__) <= public
    assert public - set(ec.__all__) <= rooms
    assert {"Model", "Sequential", "ConvBlock", "InceptionA", "Parallel", "Residual", "set_seed"} <= set(ec.__all__)


def test_version_is_that_of_the_package():
    text = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'^version = "(.+)"$', text, flags=re.MULTILINE).group(1) == ec.__version__


@pytest.mark.parametrize("name", OBJECTS)
def test_everything_public_has_a_docstring_and_most_an_example(name):
    thing = OBJECTS[name]
    doc = inspect.getdoc(thing) or ""
    assert doc.splitlines(), name
    if thing in ERRORS.values():
        return
    assert re.search(r"^Examples\n-{8}\n", doc, flags=re.MULTILINE), f"{name} has no Examples"
    assert ">>> " in doc


@pytest.mark.parametrize("name", OBJECTS)
def test_everything_public_is_typed(name):
    thing = OBJECTS[name]
    functions = [(name, thing)] if inspect.isfunction(thing) else list(own_methods(thing))
    if inspect.isclass(thing) and "__init__" in vars(thing):
        functions.append((f"{name}.__init__", thing.__init__))
    for function_name, function in functions:
        signature = inspect.signature(function)
        untyped = [
            parameter.name
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
        ]
        assert untyped == [], f"{name}.{function_name}"
        assert signature.return_annotation is not signature.empty, f"{name}.{function_name}"


@pytest.mark.parametrize("name", [name for name, thing in OBJECTS.items() if inspect.isclass(thing)])
def test_every_public_method_has_a_docstring(name):
    missing = [method for method, function in own_methods(OBJECTS[name]) if not inspect.getdoc(function)]
    assert missing == []


@pytest.mark.parametrize("name", OBJECTS)
def test_arguments_beyond_the_third_have_names(name):
    thing = OBJECTS[name]
    functions = [(name, thing)] if inspect.isfunction(thing) else list(own_methods(thing))
    for function_name, function in functions:
        positional = [
            parameter
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name != "self"
        ]
        # Layers keep torch's order, which is positional.
        if thing.__module__.startswith(("easyconv.layers", "easyconv.optim")):
            continue
        assert len(positional) <= 4, f"{name}.{function_name}{inspect.signature(function)}"


PROMISED = {
    "compile": "optimizer loss metrics * lr device precision jit clip_norm clip_value accumulate ema channels_last "
    "loss_weights",
    "fit": "x y * batch_size epochs verbose callbacks validation_split validation_data shuffle class_weight "
    "sample_weight initial_epoch steps_per_epoch validation_steps validation_batch_size validation_freq seed resume "
    "on_oom",
    "evaluate": "x y * batch_size verbose sample_weight steps callbacks return_dict",
    "predict": "x * batch_size verbose steps callbacks tta fast",
    "get_layer": "name index",
}


@pytest.mark.parametrize("verb", PROMISED)
def test_the_verbs_take_what_was_promised(verb):
    parameters = list(inspect.signature(getattr(ec.Model, verb)).parameters.values())[1:]
    positional, _, keyword = PROMISED[verb].partition("*")
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == positional.split()
    assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == keyword.split()


def test_defaults_that_were_promised():
    def default(function, name):
        return inspect.signature(function).parameters[name].default

    assert default(ec.Model.compile, "optimizer") == "adam"
    assert default(ec.Model.compile, "loss") == "cross_entropy"
    assert default(ec.Model.fit, "batch_size") == default(ec.Model.evaluate, "batch_size") == 32
    assert default(ec.Model.predict, "batch_size") is None  # as many as are fastest
    assert default(ec.callbacks.ReduceLROnPlateau, "factor") == 0.1
    assert default(ec.Model.fit, "verbose") == "auto"
    assert default(ec.Model.fit, "shuffle") is True


def test_the_constructor_still_shows_its_arguments():
    assert list(inspect.signature(ec.Model).parameters) == ["net", "input_shape", "name", "init"]
    assert list(inspect.signature(ec.Sequential).parameters) == ["layers", "input_shape", "name", "init"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Conv2D", "It is easyconv.layers.Conv2D."),
        ("EarlyStopping", "It is easyconv.callbacks.EarlyStopping."),
        ("Sequental", "Did you mean 'Sequential'?"),
        ("layer", "Did you mean 'layers'?"),
    ],
)
def test_a_name_that_is_elsewhere_or_misspelt_is_found(name, hint):
    with pytest.raises(AttributeError, match=re.escape(f"has no attribute {name!r}. {hint}")):
        getattr(ec, name)
