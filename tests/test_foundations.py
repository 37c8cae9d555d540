"""The ground floor: errors, names, arguments, seeds, devices."""

import functools
import random
import re
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from easyconv import errors
from easyconv.arguments import check_choice, check_flag, check_integer, check_number, check_takes_pair, made_from
from easyconv.device import DEVICE_VARIABLE, best_device, resolve_device
from easyconv.directions import larger_is_better
from easyconv.errors import ArgumentError, ArgumentTypeError, MissingExtraError, UnknownNameError
from easyconv.names import look_up, name_of, normalize, optional_import, suggest
from easyconv.nested import first_rows
from easyconv.seed import derive, kept_random_state, seed_all, set_seed

quick = settings(max_examples=60, deadline=None)


# --- errors -----------------------------------------------------------------------------------------------------------

LINE = re.compile(r"^(?P<indent>[ │├└─]*)(?P<name>\w+(?:Error|Warning)) +(?:\[(?P<builtins>[\w, ]+)\])?")


def drawn_tree():
    """Name -> (parent, builtins), as the docstring draws them."""
    tree, trail = {}, {}
    for line in errors.__doc__.splitlines():
        match = LINE.match(f"{line} ")
        if match:
            depth = len(match["indent"]) // 4
            trail[depth] = match["name"]
            builtins = [text.strip() for text in (match["builtins"] or "").split(",") if text.strip()]
            tree[match["name"]] = (trail.get(depth - 1) if depth > 1 else None, builtins)
    return tree


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    tree = drawn_tree()
    assert sorted(tree) == sorted(errors.__all__)
    for name, (parent, builtins) in tree.items():
        bases = [base.__name__ for base in getattr(errors, name).__bases__]
        if name == "EasyconvError":
            assert bases == ["Exception"]
        else:
            assert bases == ([parent] if parent else []) + builtins, name


def test_every_error_is_caught_by_the_base_and_says_something():
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert kind.__doc__.endswith(".")
        assert issubclass(kind, Warning if name == "EasyconvWarning" else errors.EasyconvError)
        assert str(kind("what to do")) == "what to do"


# --- names ------------------------------------------------------------------------------------------------------------

TABLE = {"adam": 1, "sgd": 2, "cross_entropy": 3}


@pytest.mark.parametrize("name", ["cross_entropy", "Cross-Entropy", " CROSS entropy "])
def test_names_in_any_dress(name):
    assert look_up(name, TABLE, "loss") == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("adm", "There is no optimizer called 'adm'. Did you mean 'adam'?"),
        ("zzz", "There is no optimizer called 'zzz'. Choose one of 'adam', 'cross_entropy', 'sgd'."),
        ("", "Choose one of"),
    ],
)
def test_misspelt_names(name, text):
    with pytest.raises(UnknownNameError, match=re.escape(text)) as caught:
        look_up(name, TABLE, "optimizer")
    assert isinstance(caught.value, ValueError)


@given(st.text(max_size=30), st.lists(st.text(max_size=8), max_size=60))
@quick
def test_suggest_always_gives_a_short_sentence(name, known):
    sentence = suggest(name, known)
    assert sentence.endswith((".", "?"))
    assert len(sentence) < 1500
    assert normalize(normalize(name)) == normalize(name)


def test_suggest_cuts_long_lists_and_knows_the_empty_one():
    assert suggest("q", []) == "There are none to choose from."
    assert suggest("q", [f"layer{i:03}" for i in range(100)]).endswith("'layer039' and 60 more.")


def test_optional_import():
    assert optional_import("json", "viz", "this") is sys.modules["json"]
    with pytest.raises(MissingExtraError, match=r'a plot needs no_such, .*pip install "easyconv\[viz\]"') as caught:
        optional_import("no_such.thing", "viz", "a plot")
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (torch.nn.functional.mse_loss, "mse_loss"),
        (functools.partial(torch.nn.functional.mse_loss, reduction="sum"), "mse_loss"),
        (torch.nn.CosineEmbeddingLoss(), "cosine_embedding_loss"),
        (torch.nn.L1Loss(), "l1_loss"),
        (lambda output, target: 0, "<lambda>"),
    ],
)
def test_names_for_logs(thing, name):
    assert name_of(thing) == name


RISING = ["accuracy", "val_top5", "head_auroc", "loss_head_accuracy", "average_precision", "Jaccard", "r2_score"]
FALLING = ["loss", "val_logloss", "top5_error", "f1_loss", "mean_squared_error", "head_MAE", "error_rate", "a_bce_mean"]


def test_directions():
    assert [name for name in RISING if larger_is_better(name) is not True] == []
    assert [name for name in FALLING if larger_is_better(name) is not False] == []
    assert [name for name in ("wobble", "learning_rate", "val_", "", "temperature") if larger_is_better(name)] == []
    assert larger_is_better("wobble") is None


# --- nested -----------------------------------------------------------------------------------------------------------


def test_rows_of_the_first_tensor():
    assert first_rows((torch.zeros(3, 2), torch.zeros(5))) == 3
    assert first_rows({"a": [torch.zeros(4)], "b": torch.zeros(5)}) == 4
    assert [first_rows(tree) for tree in (torch.tensor(1.0), (), {}, None, "text", ["text"])] == [1] * 6


# --- arguments --------------------------------------------------------------------------------------------------------


@given(st.integers(), st.integers(-5, 5))
@quick
def test_integers(value, minimum):
    if value >= minimum:
        assert check_integer("n", value, minimum=minimum) == value
    else:
        with pytest.raises(ArgumentError, match=f"n must be at least {minimum}, got {value}"):
            check_integer("n", value, minimum=minimum)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16])
def test_integers_of_numpy(kind):
    assert type(check_integer("n", kind(3), minimum=0)) is int


@pytest.mark.parametrize("value", [True, 3.0, "3", None, [3], np.float32(3), torch.tensor(3), float("nan")])
def test_what_is_no_integer(value):
    with pytest.raises(ArgumentTypeError, match=r"n must be an integer, got"):
        check_integer("n", value, minimum=0)


def test_functions_of_two():
    for function in (lambda output, target: 0, lambda *parts: 0, lambda output, target, more=1: 0, max, dict.get):
        check_takes_pair("The loss", function)
    with pytest.raises(ArgumentError, match=r"^The loss must take two .* signature is \(output\)\. Wrap it\.$"):
        check_takes_pair("The loss", lambda output: 0, "Wrap it.")
    with pytest.raises(ArgumentError, match=r"signature is \(a, b, c\)\.$"):
        check_takes_pair("The loss", lambda a, b, c: 0)


def test_classes_in_place_of_objects():
    assert type(made_from(torch.nn.L1Loss, "The loss")) is torch.nn.L1Loss
    with pytest.raises(
        ArgumentTypeError, match=r"The loss Linear cannot be made .*\. Pass an object: Linear\(\.\.\.\)"
    ):
        made_from(torch.nn.Linear, "The loss")


@given(st.floats() | st.integers(-(10**6), 10**6), st.floats(-10, 0), st.floats(1, 10))
@quick
def test_numbers(value, low, high):
    if low <= value <= high:
        result = check_number("lr", value, minimum=low, maximum=high)
        assert type(result) is float
        assert result == value
    else:
        with pytest.raises(ArgumentError, match=r"lr must be at least .* and at most .*, got"):
            check_number("lr", value, minimum=low, maximum=high)
    if low < value < high:
        assert check_number("lr", value, above=low, below=high) == value
    else:
        with pytest.raises(ArgumentError, match=r"lr must be more than .* and less than"):
            check_number("lr", value, above=low, below=high)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_are_finite(value):
    with pytest.raises(ArgumentError, match="must be finite"):
        check_number("lr", value)


@pytest.mark.parametrize("value", [True, "0.1", None, 1j, [0.1], torch.tensor(0.1)])
def test_what_is_no_number(value):
    with pytest.raises(ArgumentTypeError, match="lr must be a number, got"):
        check_number("lr", value)


@given(st.booleans() | st.integers() | st.none() | st.text(max_size=5))
@quick
def test_flags(value):
    if isinstance(value, bool):
        assert check_flag("shuffle", value) is value
    else:
        with pytest.raises(ArgumentTypeError, match="shuffle must be True or False, got"):
            check_flag("shuffle", value)


CHOICES = ("auto", 0, 1, 2, True)


@given(st.sampled_from(CHOICES) | st.integers() | st.text(max_size=5) | st.floats() | st.none() | st.booleans())
@quick
def test_choices(value):
    if any(type(value) is type(choice) and value == choice for choice in CHOICES):
        assert check_choice("verbose", value, CHOICES) == value
    else:
        with pytest.raises(ArgumentError, match="verbose must be one of 'auto', 0, 1, 2, True, got"):
            check_choice("verbose", value, CHOICES)


def test_choices_suggest():
    with pytest.raises(ArgumentError, match="Did you mean 'auto'"):
        check_choice("verbose", "aut", CHOICES)


# --- seed -------------------------------------------------------------------------------------------------------------


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_set_seed_seeds_all_three():
    set_seed(3)
    first = draws()
    second = draws()
    set_seed(3)
    assert draws() == first != second
    set_seed(4)
    assert all(a != b for a, b in zip(draws(), first, strict=True))
    set_seed(np.int64(3))
    assert draws() == first
    set_seed(2**40)


@pytest.mark.parametrize(
    ("seed", "error"),
    [(-1, ArgumentError), (1.0, ArgumentTypeError), ("0", ArgumentTypeError), (True, ArgumentTypeError)],
)
def test_seeds_that_are_none(seed, error):
    before = torch.get_rng_state()
    with pytest.raises(error, match="seed must be"):
        set_seed(seed)
    assert torch.equal(torch.get_rng_state(), before)


def test_random_state_is_given_back_also_after_an_error():
    set_seed(0)
    expected = draws()
    set_seed(0)
    with kept_random_state():
        seed_all(9)
        draws()

    def fail():
        with kept_random_state():
            draws()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert draws() == expected


@given(st.integers(0, 2**62), st.lists(st.integers(0, 2**62), max_size=4))
@quick
def test_derived_seeds(seed, key):
    value = derive(seed, *key)
    assert 0 <= value < 2**63
    assert value == derive(seed, *key)
    assert value != derive(seed, *key, 0)
    assert value != derive(seed + 1, *key)


def test_derived_seeds_are_the_same_everywhere():
    # A run that is repeated in years must draw the same: the numbers themselves are a promise.
    assert (derive(0), derive(7, 1, 2)) == (893442142816765029, 5131819315702240109)
    assert len({derive(0, a, b) for a in range(40) for b in range(40)}) == 1600


# --- device -----------------------------------------------------------------------------------------------------------


def test_the_variable_names_the_device(monkeypatch):
    monkeypatch.setattr("easyconv.device.best_device", lambda: torch.device("cuda"))
    monkeypatch.setenv(DEVICE_VARIABLE, "cpu")
    assert resolve_device() == resolve_device("AUTO") == torch.device("cpu")
    monkeypatch.undo()
    for unset in ("", "auto"):
        monkeypatch.setenv(DEVICE_VARIABLE, unset)
        assert resolve_device() == best_device()
    monkeypatch.delenv(DEVICE_VARIABLE)
    assert resolve_device() == best_device()
    assert resolve_device(torch.device("cpu")) == torch.device("cpu")


def test_a_bad_variable_is_named(monkeypatch):
    monkeypatch.setenv(DEVICE_VARIABLE, "gpu0")
    with pytest.raises(ArgumentError, match=f"the environment variable {DEVICE_VARIABLE} is 'gpu0'"):
        resolve_device()


@pytest.mark.parametrize("name", ["cuda:99", "mps:7"])
def test_devices_that_are_not_there(name):
    with pytest.raises(ArgumentError, match=rf"device is '{name}', which this machine cannot use.*Pass 'auto'"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("name", "hint"), [("gpu", "Did you mean 'cuda'"), ("", "Choose one of"), ("cpuu", "'cpu'"), ("cpu:x", "'cpu'")]
)
def test_names_of_no_device(name, hint):
    with pytest.raises(ArgumentError, match=rf"device is '{name}', and torch knows no such device. .*{hint}"):
        resolve_device(name)


def test_a_device_without_values_is_refused():
    with pytest.raises(ArgumentError, match="device is 'meta', where tensors have no values to train"):
        resolve_device("meta")


@pytest.mark.parametrize("value", [0, None, ["cpu"], True])
def test_what_is_no_device(value):
    with pytest.raises(ArgumentTypeError, match="device must be 'auto'"):
        resolve_device(value)


def test_the_order_of_devices(monkeypatch):
    there = {"cuda": False, "mps": False, "xpu": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there["mps"])
    monkeypatch.setattr(torch.xpu, "is_available", lambda: there["xpu"])
    found = [best_device().type]
    for name in ("xpu", "mps", "cuda"):
        there[name] = True
        found.append(best_device().type)
    assert found == ["cpu", "xpu", "mps", "cuda"]
