"""What ``fit(batch_size="auto")`` stands for."""

from typing import Any

from easyconv.callbacks.progress import Verbosity
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.make import holds_batches, make_source
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError
from easyconv.model.twins import prepared_for, twin_of
from easyconv.seed import kept_random_state
from easyconv.trials.batch_size import choose_batch_size
from easyconv.trials.trial import Trial

__all__ = ["chosen_batch_size"]


def chosen_batch_size(model: Any, x: Any, y: Any, *, word: str, held_out: float, verbose: Verbosity) -> int:
    """Rows per batch, as tried on a copy; the model and the random state are as before.

    Parameters
    ----------
    model : Model
        Compiled.
    x, y : object
        The data of ``fit``.
    word : str
        What the user has written: ``"auto"``.
    held_out : float
        Share of the rows that is not trained on.
    verbose : {"auto", 0, 1, 2}
        Whether the choice is shown.

    Raises
    ------
    ArgumentTypeError
        For any other word.
    ArgumentError
        For a source that brings its own batches.
    DataError
        For data whose rows cannot be counted.
    """
    if word != "auto":
        hint = f" Write {int(word)}." if word.isdecimal() else ""
        raise ArgumentTypeError(f"batch_size must be an integer or 'auto', got {word!r} (str).{hint}")
    if holds_batches(x, y):
        raise ArgumentError(
            f"batch_size='auto' has no effect where x is a {type(x).__name__}, which makes the batches itself. Pass "
            "the data itself (loader.dataset), or choose the size there."
        )
    device = model._session.recipe.device
    with kept_random_state(device):
        source = make_source(x, y)
        if source.rows is None:
            raise DataError(
                f"batch_size='auto' needs to know how many rows there are, and a {type(x).__name__} does not say. Pass "
                "a number."
            )
        twin = twin_of(model)
        prepared = prepared_for(twin, source)
        trial = Trial(twin, Batch(prepared.inputs, prepared.targets), device)
        chosen = choose_batch_size(trial, max(source.rows - round(source.rows * held_out), 1), device)
    if verbose:
        print(chosen)
    return chosen.size
