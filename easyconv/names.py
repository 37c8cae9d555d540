"""Look-ups by name, with the nearest right name when one is misspelt."""

import difflib
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TypeVar

from easyconv.errors import MissingExtraError, UnknownNameError

__all__ = ["look_up", "name_of", "names_on_demand", "normalize", "optional_import", "snake_case", "suggest"]

T = TypeVar("T")

_MOST_NAMES = 40
_MOST_NEAR = 3


def normalize(name: str) -> str:
    """Lower case, with spaces and hyphens as underscores.

    Examples
    --------
    >>> normalize("Cross-Entropy")
    'cross_entropy'
    """
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def snake_case(name: str) -> str:
    """Name of a class as a name in logs.

    Examples
    --------
    >>> snake_case("MulticlassF1Score"), snake_case("AUROC")
    ('multiclass_f1_score', 'auroc')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def name_of(function: object) -> str:
    """Name of a function, also inside a ``partial``; of any other object its class's, as in logs.

    Examples
    --------
    >>> name_of(len), name_of(ValueError())
    ('len', 'value_error')
    """
    bare = getattr(function, "func", function)
    name = getattr(bare, "__name__", None)
    return name if isinstance(name, str) else snake_case(type(bare).__name__)


def suggest(name: str, known: Iterable[str]) -> str:
    """Sentence that names the nearest right names, or all of them when none is near.

    Examples
    --------
    >>> suggest("Adm", ["adam", "sgd"])
    "Did you mean 'adam'?"
    >>> suggest("Conv2d", ["Conv1D", "Conv2D"])
    "Did you mean 'Conv2D'?"
    >>> suggest("zzz", ["adam", "sgd"])
    "Choose one of 'adam', 'sgd'."
    """
    by_key = {normalize(candidate): candidate for candidate in known}
    key = normalize(name)
    near = [key] if key in by_key else _nearest(key, by_key)
    if near:
        return f"Did you mean {' or '.join(repr(by_key[key]) for key in near)}?"
    if not by_key:
        return "There are none to choose from."
    listed = ", ".join(repr(candidate) for candidate in sorted(by_key.values())[:_MOST_NAMES])
    more = f" and {len(by_key) - _MOST_NAMES} more" if len(by_key) > _MOST_NAMES else ""
    return f"Choose one of {listed}{more}."


def _nearest(key: str, known: Iterable[str]) -> list[str]:
    """All names that are one slip of a finger away, then those that look alike, up to three."""
    known = list(known)
    slips = [candidate for candidate in known if _is_slip(key, candidate)]
    slips.sort(key=lambda candidate: -difflib.SequenceMatcher(None, key, candidate).ratio())
    alike = difflib.get_close_matches(key, known, n=_MOST_NEAR, cutoff=0.6)
    return slips + [candidate for candidate in alike if candidate not in slips][: max(0, _MOST_NEAR - len(slips))]


def _is_slip(typed: str, right: str) -> bool:
    """Whether one letter is missing, too many, or wrong, or two neighbours are swapped."""
    if abs(len(typed) - len(right)) > 1 or typed == right:
        return False
    start = next((i for i, (a, b) in enumerate(zip(typed, right, strict=False)) if a != b), min(len(typed), len(right)))
    rest, wanted = typed[start:], right[start:]
    swapped = rest[:2] == wanted[:2][::-1] and rest[2:] == wanted[2:]
    return rest[1:] == wanted[1:] or rest[1:] == wanted or rest == wanted[1:] or swapped


def look_up(name: str, table: Mapping[str, T], what: str) -> T:
    """Entry of ``table`` called ``name``, whatever its case.

    Parameters
    ----------
    name : str
        What the user typed.
    table : mapping of str to object
        Keys in lower case with underscores.
    what : str
        What the table lists, for the message: ``"optimizer"``.

    Raises
    ------
    UnknownNameError
        When there is no such name; the nearest are suggested.

    Examples
    --------
    >>> look_up("SGD", {"sgd": 1}, "optimizer")
    1
    """
    key = normalize(name)
    if key not in table:
        raise UnknownNameError(f"There is no {what} called {name!r}. {suggest(name, table)}")
    return table[key]


def optional_import(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a package that only some uses need.

    Parameters
    ----------
    module : str
        The module to import: ``"matplotlib.pyplot"``.
    extra : str
        The extra of easyconv that installs it: ``"viz"``.
    purpose : str
        What needs it, for the message: ``"history.plot()"``.

    Raises
    ------
    MissingExtraError
        When the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f'{purpose} needs {package}, which is not installed. Install it with: pip install "easyconv[{extra}]"'
        ) from error


def names_on_demand(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package whose parts are imported when somebody asks for them.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    places : mapping of str to str
        Each name, and the module that has it; a module that is meant itself is given by its own name.

    Examples
    --------
    >>> find, _ = names_on_demand("easyconv", {"conv_output_size": "easyconv.arithmetic.sizes"})
    >>> find("conv_output_size")(32, 3)
    30
    """

    def find(name: str) -> object:
        if name not in places:
            hint = "" if name.startswith("_") else f" {_where(name, sys.modules[package])}"
            raise AttributeError(f"module {package!r} has no attribute {name!r}.{hint}")
        module = importlib.import_module(places[name])
        value = module if places[name].rpartition(".")[2] == name else getattr(module, name)
        # Found once, it is an ordinary attribute: Python does not ask again.
        setattr(sys.modules[package], name, value)
        return value

    def listed() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return find, listed


def _where(name: str, package: ModuleType) -> str:
    """Sentence that names the place of a name that is asked for in the wrong one, or the nearest right names."""
    rooms = [(room, vars(package)[room]) for room in package.__all__ if isinstance(vars(package).get(room), ModuleType)]
    found = [f"{package.__name__}.{room}.{name}" for room, module in rooms if name in getattr(module, "__all__", ())]
    return f"It is {' or '.join(found)}." if found else suggest(name, package.__all__)
