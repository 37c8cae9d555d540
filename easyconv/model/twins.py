"""Copies of models to try things on."""

import copy
from dataclasses import replace
from typing import Any

from easyconv.data.sources.make import Source
from easyconv.errors import StateError
from easyconv.training.preparing import Prepared

__all__ = ["prepared_for", "twin_of"]


def twin_of(model: Any, **changes: Any) -> Any:
    """A copy of a compiled model, with its optimizer, that trains in another way.

    Parameters
    ----------
    model : Model
        Is left alone.
    **changes
        Fields of its recipe: ``precision="bf16"``.

    Raises
    ------
    StateError
        When the model cannot be copied.

    Examples
    --------
    >>> import easyconv as ec
    >>> model = ec.Sequential([ec.layers.Dense(3)])
    >>> model.compile()
    >>> twin_of(model, precision="bf16") is model
    False
    """
    try:
        twin = copy.deepcopy(model)
    except Exception as error:
        raise StateError(
            "Things are tried on a copy of the model, and this one cannot be copied "
            f"({type(error).__name__}: {error}). Keep out of the net what copy.deepcopy() does not take: open files, "
            "locks, tensors that are computed from parameters."
        ) from error
    session = twin._session
    session.recipe = session.as_compiled = replace(session.recipe, **changes)
    return twin


def prepared_for(twin: Any, source: Source) -> Prepared:
    """Up to two rows of a source as the net gets them in training, and their targets; the twin is built for them."""
    session = twin._session
    twin.to(session.recipe.device)
    objective = None if twin._overrides().own_targets else session.recipe.objective
    return Prepared(twin, source, objective, session.recipe.device, peek=True, training=True)
