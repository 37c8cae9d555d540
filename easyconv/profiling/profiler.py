"""``ec.profile``: a training step under the magnifying glass."""

import statistics
import time
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from easyconv.arguments import check_choice, check_integer
from easyconv.data.sources.batch import Batch, batch_size_of
from easyconv.data.sources.make import DEFAULT_BATCH_SIZE, Source, make_source
from easyconv.errors import ArgumentTypeError, DataError
from easyconv.heap import kept_heap
from easyconv.layers.keeping import call, kept_modes
from easyconv.model import Model
from easyconv.model.twins import prepared_for, twin_of
from easyconv.nested import leaves
from easyconv.profiling.machine import best_time, counted, peak_bandwidth, peak_flops
from easyconv.profiling.phases import PlainStep, layer_times, seconds_to_send
from easyconv.profiling.report import Profile, Roofline
from easyconv.profiling.words import WORDS, Setting, tried
from easyconv.training.layout import wants_channels_last
from easyconv.training.state import Recipe
from easyconv.trials.trial import Trial, quietly

__all__ = ["profile"]

_ROUNDS = 3
_QUICK = tuple(word for word in WORDS if word != "jit")


def profile(
    model: Model,
    x: Any,
    y: Any = None,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    steps: int = 10,
    words: str | Collection[str] = "auto",
) -> Profile:
    """Where the time of a training step goes, and what would make it shorter on this machine.

    Everything is tried on copies: the model, its optimizer and the random state are as before. Takes some seconds.

    Parameters
    ----------
    model : Model
        Compiled; built or not.
    x, y : object
        Data as for ``fit``. Some batches are read, so not a generator.
    batch_size : int, default 32
        Rows per step, where ``x`` is data.
    steps : int, default 10
        How many to measure, each time.
    words : "auto", or collection of str, default "auto"
        What to try: ``"precision"``, ``"channels_last"``, ``"batch_size"``, ``"cache"``, ``"num_workers"``, as far as
        they apply, and ``"jit"``, which ``"auto"`` leaves out, since compiling takes long. ``()`` tries nothing.

    Returns
    -------
    Profile
        Prints as a table; see there for what it holds.

    Raises
    ------
    ArgumentTypeError
        When ``model`` is none.
    NotCompiledError
        Before ``compile``.
    DataError, DataTypeError
        For data that does not fit, and for a generator.
    StateError
        When the model cannot be copied.
    ArgumentError
        For a word that there is not.

    Notes
    -----
    All times of computing are the best of some, as in ``timeit``: other work on the machine only makes them longer.
    Parts of a step are timed in a loop as one writes it by hand; ``framework`` is what a step of ``fit`` on rows in
    memory takes beyond their sum. It may be below zero, where ``fit`` does something faster than the plain loop.
    Layers are timed one by one in the forward pass; on an accelerator each is waited for, so that their sum is more
    than the pass takes.

    Examples
    --------
    >>> import torch, easyconv as ec
    >>> model = ec.zoo.mnist_cnn()
    >>> model.compile(metrics=["accuracy"])
    >>> found = ec.profile(model, torch.rand(64, 1, 28, 28), torch.zeros(64, dtype=torch.long), steps=2, words=())
    >>> found.rows_per_second > 0, sorted(layer.name for layer in found.layers)[:2]
    (True, ['conv1', 'conv2'])
    """
    if not isinstance(model, Model):
        raise ArgumentTypeError(
            f"profile() takes a compiled Model, got {type(model).__name__}. Wrap a module: model = ec.Model(net), then "
            "model.compile(...)."
        )
    model._compiled("profile()")
    chosen = _chosen(words)
    check_integer("steps", steps, minimum=1)
    source = make_source(x, y, batch_size=batch_size)
    if source.one_shot:
        raise DataError(
            "profile() reads some batches, and a generator would lose them. Pass data, a DataLoader, or a list of "
            "batches: list(itertools.islice(generator, 20))."
        )
    with kept_heap(), quietly(model._compiled("profile()").recipe.device):
        return _profile(model, x, source, steps, chosen, () if words == "auto" else chosen)


def _chosen(words: str | Collection[str]) -> Collection[str]:
    if isinstance(words, str):
        return _QUICK if words == "auto" else (check_choice("words", words, ("auto", *WORDS)),)
    if not isinstance(words, Collection):
        raise ArgumentTypeError(f"words must be 'auto', a word or several, got {words!r} ({type(words).__name__}).")
    return [check_choice("words", word, WORDS) for word in words]


def _profile(
    model: Model, x: Any, source: Source, steps: int, words: Collection[str], asked: Collection[str]
) -> Profile:
    twin = twin_of(model)
    recipe: Recipe = twin._session.recipe
    prepared = prepared_for(twin, source)
    channels_last = wants_channels_last(twin, recipe, prepared.inputs, without=twin._session)
    prepared.bind(channels_last=channels_last)
    data_seconds, batch = _read(source, steps)
    size = batch_size_of(batch)
    rows = Batch(prepared.inputs, prepared.targets)
    trial = Trial(twin, rows, recipe.device)
    activations = trial.warm_up(size)
    plain = None if _own_step(twin) else PlainStep(twin, recipe, twin.optimizer, twin._overrides().compute_loss)
    sent = seconds_to_send(batch, recipe.device)
    with kept_modes(twin):
        parts = _step_parts(twin, trial, plain, batch, steps)
        twin.train()
        layers = layer_times(twin, _runner(twin, plain, batch, recipe), recipe.device, steps)
        roofline = None if plain is None else _roofline(plain, batch, recipe)
    seconds = {"data": max(data_seconds - sent, 0.0), "transfer": sent, **parts}
    setting = Setting(model, x, rows, size, source.rows, channels_last, trial, data_seconds, steps, recipe.device)
    found, failed = tried(setting, words, asked=asked)
    return Profile(
        device=str(recipe.device),
        precision=recipe.precision,
        batch_size=size,
        seconds=seconds,
        rows_per_second=size / sum(seconds.values()),
        layers=layers,
        memory=_memory(twin, activations),
        roofline=roofline,
        words=found,
        failed=failed,
    )


def _read(source: Source, steps: int) -> tuple[float, Batch]:
    """Seconds for a batch, without the first where there are others: before it workers start; and that first batch."""
    seconds, batches = [], iter(source.batches())
    first = None
    start = time.perf_counter()
    for batch in islice(batches, steps + 1):
        seconds.append(time.perf_counter() - start)
        first = batch if first is None else first
        start = time.perf_counter()
    if first is None:
        raise DataError("profile() found no batch in the data. Pass at least one.")
    return statistics.median(seconds[1:] or seconds), first


def _own_step(twin: Any) -> bool:
    return twin._overrides().train_step is not None


def _step_parts(twin: Any, trial: Trial, plain: PlainStep | None, batch: Batch, steps: int) -> dict[str, float]:
    """Seconds of each part of a step; the loop by hand and ``fit`` take turns."""
    size = batch_size_of(batch)
    if plain is None:
        return {"step": min(trial.seconds_per_step(size, steps) for _ in range(_ROUNDS))}
    rounds: list[dict[str, float]] = []
    for _ in range(_ROUNDS):
        twin.train()
        plain.times(batch)
        taken = [plain.times(batch) for _ in range(steps)]
        rounds.append({name: min(part[name] for part in taken) for name in taken[0]})
        rounds[-1]["by hand"] = min(sum(part.values()) for part in taken)
        rounds[-1]["fit"] = trial.seconds_per_step(size, steps)
    best = {name: min(part[name] for part in rounds) for name in rounds[0]}
    # Whole steps are compared with whole steps: other work interrupts long pieces more often than short ones.
    framework = best.pop("fit") - best.pop("by hand")
    return best | {"framework": framework}


def _runner(twin: Any, plain: PlainStep | None, batch: Batch, recipe: Recipe) -> Callable[[], object]:
    """What runs the net once; where the step is the user's own, only forward."""
    if plain is not None:
        return lambda: plain.passes(batch)

    def forward() -> None:
        with torch.enable_grad(), recipe.autocast():
            call(twin, batch.x)

    return forward


def _roofline(plain: PlainStep, batch: Batch, recipe: Recipe) -> Roofline:
    flops, moved = counted(lambda: plain.passes(batch))
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[recipe.precision]
    return Roofline(
        flops=flops,
        moved=moved,
        seconds=best_time(lambda: plain.passes(batch), recipe.device),
        peak_flops=peak_flops(recipe.device, dtype),
        peak_bandwidth=peak_bandwidth(recipe.device),
    )


def _memory(twin: Any, activations: int) -> dict[str, int]:
    state = [leaf for values in twin.optimizer.state.values() for _, leaf in leaves(dict(values))]
    return {
        "weights": _bytes([*twin.parameters(), *twin.buffers()]),
        "gradients": _bytes([parameter for parameter in twin.parameters() if parameter.requires_grad]),
        "optimizer": _bytes([leaf for leaf in state if isinstance(leaf, Tensor)]),
        "activations": activations,
    }


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
