"""Checks for single arguments: each returns the value it was given, or raises a message that says what to pass."""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import suggest

__all__ = [
    "check_choice",
    "check_flag",
    "check_integer",
    "check_keywords",
    "check_number",
    "check_takes_pair",
    "checked_keywords",
    "made_from",
]

OUTPUT_WORDS = ("output", "outputs", "pred", "prediction", "predictions", "preds", "y_hat", "y_pred")
TARGET_WORDS = ("label", "labels", "target", "targets", "truth", "y", "y_true")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def check_integer(name: str, value: object, *, minimum: int) -> int:
    """An integer of at least ``minimum``; NumPy integers pass, bools and floats do not.

    Examples
    --------
    >>> check_integer("epochs", 3, minimum=0)
    3
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ArgumentTypeError(
            f"{name} must be an integer, got {value!r} ({type(value).__name__}).{_as_integer(value)}"
        )
    if value < minimum:
        raise ArgumentError(f"{name} must be at least {minimum}, got {value}.")
    return int(value)


def check_number(
    name: str,
    value: object,
    *,
    minimum: float = float("-inf"),
    maximum: float = float("inf"),
    above: float | None = None,
    below: float | None = None,
) -> float:
    """A finite number between the bounds; ``above`` and ``below`` leave the bound itself out.

    Examples
    --------
    >>> check_number("lr", 0.1, above=0)
    0.1
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{name} must be a number, got {value!r} ({type(value).__name__}).{_as_number(value)}")
    number = float(value)
    low = f"more than {above:g}" if above is not None else f"at least {minimum:g}" if minimum > float("-inf") else ""
    high = f"less than {below:g}" if below is not None else f"at most {maximum:g}" if maximum < float("inf") else ""
    inside = minimum <= number <= maximum and (above is None or number > above) and (below is None or number < below)
    if not inside or number in (float("inf"), float("-inf")):
        wanted = " and ".join(part for part in (low, high) if part) or "finite"
        raise ArgumentError(f"{name} must be {wanted}, got {value!r}.")
    return number


def check_flag(name: str, value: object) -> bool:
    """``True`` or ``False``, nothing else.

    Examples
    --------
    >>> check_flag("shuffle", True)
    True
    """
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{name} must be True or False, got {value!r} ({type(value).__name__}).")
    return value


def check_choice(name: str, value: T, choices: Sequence[T]) -> T:
    """One of ``choices``.

    Examples
    --------
    >>> check_choice("mode", "min", ("auto", "min", "max"))
    'min'
    """
    if any(value == choice and type(value) is type(choice) for choice in choices):
        return value
    listed = ", ".join(repr(choice) for choice in choices)
    hint = f" {suggest(value, [c for c in choices if isinstance(c, str)])}" if isinstance(value, str) else ""
    if "Did you mean" not in hint:  # they are all listed already
        hint = ""
    raise ArgumentError(f"{name} must be one of {listed}, got {value!r}.{hint}")


def check_takes_pair(what: str, function: Callable[..., Any], hint: str = "") -> None:
    """Refuse a function that cannot be called as ``function(output, target)``.

    Examples
    --------
    >>> check_takes_pair("The loss 'f'", lambda output: output, "Add target.")
    Traceback (most recent call last):
    ...
    easyconv.errors.ArgumentError: The loss 'f' must take two arguments, ... its signature is (output). Add target.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # builtins that tell nothing about themselves
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise ArgumentError(
            f"{what} must take two arguments, (output, target), but its signature is {signature}. {hint}".rstrip()
        ) from error
    first, second = [*signature.parameters, "", ""][:2]
    if first in TARGET_WORDS and second in OUTPUT_WORDS:
        raise ArgumentError(
            f"{what} takes ({first}, {second}), as in Keras; here, as in torch, it is called with the outputs first: "
            f"(output, target). Change the order: def f({second}, {first})."
        )


def made_from(kind: type[T], what: str) -> T:
    """An object of a class that the user passed in place of an object.

    Raises
    ------
    ArgumentTypeError
        When it needs arguments.

    Examples
    --------
    >>> made_from(dict, "The table")
    {}
    """
    try:
        return kind()
    except (TypeError, ValueError) as error:
        name = kind.__name__
        raise ArgumentTypeError(
            f"{what} {name} cannot be made without arguments ({error}). Pass an object: {name}(...)."
        ) from error


def _as_integer(value: object) -> str:
    """What to write for text or a float that means an integer."""
    number = _parsed(value)
    return f" Write {int(number)}." if number is not None and number.is_integer() else ""


def _as_number(value: object) -> str:
    """What to write for text that means a number."""
    number = _parsed(value) if isinstance(value, str) else None
    return f" Write {number:g}." if number is not None else ""


def _parsed(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, float)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def check_keywords(call: str, given: Iterable[str], known: Sequence[str], elsewhere: Mapping[str, str]) -> None:
    """Refuse keywords that a function does not have.

    Parameters
    ----------
    call : str
        Name of the function.
    given, known : names of keywords
        Those that were passed, and those that there are.
    elsewhere : mapping of str to str
        Words of other libraries, and what to do instead.

    Examples
    --------
    >>> check_keywords("fit", ["epoch"], ["epochs"], {})
    Traceback (most recent call last):
    ...
    easyconv.errors.ArgumentTypeError: fit() has no argument epoch=. Did you mean 'epochs'?
    """
    for name in given:
        if name not in known:
            raise ArgumentTypeError(f"{call}() has no argument {name}=. {elsewhere.get(name) or suggest(name, known)}")


def checked_keywords(elsewhere: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a method, so that an unknown keyword gets an error that says what to write.

    Parameters
    ----------
    elsewhere : mapping of str to str
        Words of other libraries, and what to do instead.

    Examples
    --------
    >>> @checked_keywords({"learning_rate": "Write lr=."})
    ... def compile(optimizer="adam", lr=None):
    ...     return lr
    >>> compile(learning_rate=0.1)
    Traceback (most recent call last):
    ...
    easyconv.errors.ArgumentTypeError: compile() has no argument learning_rate=. Write lr=.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known = [name for name in inspect.signature(function).parameters if name != "self"]

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            check_keywords(function.__name__, kwargs, known, elsewhere)
            return function(*args, **kwargs)

        return checked

    return decorate
