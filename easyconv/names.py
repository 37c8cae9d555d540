"""Look-ups by name, with the nearest right name when one is misspelt."""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TypeVar

from easyconv.errors import MissingExtraError, UnknownNameError

__all__ = ["look_up", "normalize", "optional_import", "suggest"]

T = TypeVar("T")


def normalize(name: str) -> str:
    """Lower case, with spaces and hyphens as underscores.

    Examples
    --------
    >>> normalize("Cross-Entropy")
    'cross_entropy'
    """
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def suggest(name: str, known: Iterable[str]) -> str:
    """Sentence that names the nearest right names, or all of them when none is near.

    Examples
    --------
    >>> suggest("Adm", ["adam", "sgd"])
    "Did you mean 'adam'?"
    >>> suggest("zzz", ["adam", "sgd"])
    "Choose one of 'adam', 'sgd'."
    """
    by_key = {normalize(candidate): candidate for candidate in known}
    near = difflib.get_close_matches(normalize(name), by_key, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(repr(by_key[key]) for key in near)}?"
    return f"Choose one of {', '.join(repr(candidate) for candidate in sorted(by_key.values()))}."


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
