"""What one could write to make training faster, each tried for a few steps on a copy."""

import statistics
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from easyconv.data.datasets.caching import cache
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.make import as_split, holds_batches
from easyconv.device import has_fast_bf16
from easyconv.errors import EasyconvError, StateError
from easyconv.layers.layout import channels_last_pays
from easyconv.model.twins import twin_of
from easyconv.profiling.report import Word
from easyconv.trials.trial import Trial

__all__ = ["WORDS", "Setting", "tried"]

WORDS = ("precision", "channels_last", "batch_size", "jit", "cache", "num_workers")
_ROUNDS = 3
_LARGER, _LARGEST = 4, 1024
_WORKERS = 2
_IDLE = {
    "precision": "It trains in low precision already, or the device has no units for it.",
    "channels_last": "There are no images, or no 2-D convolutions.",
    "batch_size": "There are not enough rows for a larger batch.",
    "jit": "It is compiled already.",
    "cache": "The samples are in memory already, or are too few.",
    "num_workers": "No samples are read one by one, or too few, or there are workers already.",
}

Candidate = tuple[str, str, Callable[[], float]]
"""A word, what to write, and what tries it."""


@dataclass(frozen=True)
class Setting:
    """How a model trains now, and what a step costs.

    Parameters
    ----------
    model : Model
        As the user has it.
    data : object
        What it trains on.
    rows : Batch
        A few rows, as the net gets them.
    batch_size : int
        Rows per step.
    most_rows : int or None
        Rows that there are.
    channels_last : bool
        Whether it trains in that layout.
    trial : Trial
        A copy that trains just so.
    data_seconds : float
        What reading a batch takes.
    steps : int
        How many to try.
    device : torch.device
        Where.
    """

    model: Any
    data: Any
    rows: Batch
    batch_size: int
    most_rows: int | None
    channels_last: bool
    trial: Trial
    data_seconds: float
    steps: int
    device: torch.device


def tried(
    setting: Setting, words: Collection[str], *, asked: Collection[str] = ()
) -> tuple[list[Word], dict[str, str]]:
    """The words that apply here, with the factor that each gave, the best first; and why others could not be tried.

    Parameters
    ----------
    setting : Setting
        How the model trains now.
    words : collection of str
        Of `WORDS`.
    asked : collection of str, optional
        Those of which the user wants to hear also where they do not apply.
    """
    candidates = [*_of_the_step(setting, words), *_of_the_data(setting, words)]
    idle = set(asked) - {word for word, *_ in candidates}
    outcomes = {code: _outcome(code, factor) for _, code, factor in candidates}
    found = [word for word in outcomes.values() if isinstance(word, Word)]
    failed = {code: reason for code, reason in outcomes.items() if isinstance(reason, str)}
    failed |= {word: _IDLE[word] for word in WORDS if word in idle}
    return sorted(found, key=lambda word: -word.factor), failed


def _outcome(code: str, factor: Callable[[], float]) -> Word | str:
    """The word, or why it does not work with this net or data, or on this machine."""
    try:
        return Word(code, factor())
    except (RuntimeError, EasyconvError) as error:
        return next(iter(str(error).splitlines()), type(error).__name__)


def _of_the_step(setting: Setting, words: Collection[str]) -> Iterator[Candidate]:
    for word, code, changes, batch_size in _candidates(setting):
        if word in words:
            yield word, code, partial(_factor_of_a_copy, setting, changes, batch_size)


def _factor_of_a_copy(setting: Setting, changes: dict[str, Any], batch_size: int) -> float:
    twin = twin_of(setting.model, **changes)
    trial = Trial(twin, setting.rows, setting.device)
    trial.warm_up(batch_size)
    factor = _factor(setting, trial, batch_size)
    if twin._session.why_uncompiled:
        raise StateError(f"torch says: {twin._session.why_uncompiled}")
    return factor


def _candidates(setting: Setting) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    recipe, size = setting.model._session.recipe, setting.batch_size
    if recipe.precision == "fp32" and has_fast_bf16(setting.device):
        yield "precision", "compile(precision='bf16')", {"precision": "bf16"}, size
    if channels_last_pays(setting.model, setting.rows.x, setting.device, low_precision=True):
        other = not setting.channels_last
        yield "channels_last", f"compile(channels_last={other})", {"channels_last": other}, size
    larger = min(1 << (size * _LARGER - 1).bit_length(), _LARGEST)
    if larger > size and (setting.most_rows is None or larger <= setting.most_rows):
        yield "batch_size", _batches_of(larger, setting.data), {}, larger
    if not recipe.jit:
        yield "jit", "compile(jit=True)", {"jit": True}, size


def _batches_of(rows: int, data: Any) -> str:
    if isinstance(data, DataLoader):
        return f"DataLoader(dataset, batch_size={rows})"
    return f"batches of {rows} rows" if holds_batches(data) else f"fit(batch_size={rows})"


def _factor(setting: Setting, trial: Trial, batch_size: int) -> float:
    """How many times as fast a row is; both ways take turns, so that other work on the machine slows both."""
    reading = setting.data_seconds / setting.batch_size
    steps = max(setting.steps * setting.batch_size // batch_size, 2)
    factors = []
    for _ in range(_ROUNDS):
        now = setting.trial.seconds_per_step(setting.batch_size, setting.steps) / setting.batch_size
        then = trial.seconds_per_step(batch_size, steps) / batch_size
        factors.append((reading + now) / (reading + then))
    return statistics.median(factors)


def _of_the_data(setting: Setting, words: Collection[str]) -> Iterator[Candidate]:
    dataset = _dataset(setting.data)
    count = (setting.steps + 1) * setting.batch_size
    if dataset is None or len(dataset) < count or not {"cache", "num_workers"} & set(words):
        return
    part = Subset(dataset, range(count))
    now = _seconds(setting, _loader(setting, part, 0))
    workers = getattr(setting.data, "num_workers", 0)
    if "cache" in words:
        yield "cache", "fit(ec.data.cache(dataset))", lambda: now / _seconds(setting, cache(part))
    if "num_workers" in words and not workers and torch.get_num_threads() > 1:
        many = _loader(setting, part, _WORKERS)
        yield "num_workers", f"DataLoader(dataset, num_workers={_WORKERS})", lambda: now / _seconds(setting, many)


def _seconds(setting: Setting, source: Any) -> float:
    times = [setting.trial.seconds_per_batch_of(source, setting.batch_size, setting.steps) for _ in range(_ROUNDS)]
    return statistics.median(times)


def _loader(setting: Setting, part: Any, workers: int) -> Any:
    collate = getattr(setting.data, "collate_fn", None)
    return DataLoader(part, batch_size=setting.batch_size, num_workers=workers, collate_fn=collate)


def _dataset(data: Any) -> Any:
    """The map-style data set whose samples are read one by one; None where there is none."""
    dataset = data.dataset if isinstance(data, DataLoader) else data
    plain = isinstance(dataset, Dataset) and not isinstance(dataset, (IterableDataset, TensorDataset))
    return dataset if plain and hasattr(dataset, "__len__") and as_split(dataset) is None else None
