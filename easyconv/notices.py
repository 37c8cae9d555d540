"""Warnings that point at the user's own line."""

import sys
from types import FrameType
from warnings import warn

from easyconv.errors import EasyconvWarning

__all__ = ["warn_user"]

_BETWEEN = ("contextlib", "easyconv", "functools", "torch")
"""Modules that stand between the user's line and the place where something was noticed."""


def warn_user(message: str) -> None:
    """Give an ``EasyconvWarning`` that names the line outside easyconv which led to it.

    Parameters
    ----------
    message : str
        What was noticed, and what to do.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_user("The labels are sorted.")
    >>> [str(warning.message) for warning in caught]
    ['The labels are sorted.']
    """
    level, frame = 1, sys._getframe()
    while _is_between(frame) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warn(message, EasyconvWarning, stacklevel=level)


def _is_between(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _BETWEEN
