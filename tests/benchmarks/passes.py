"""What ``fit`` does with two rows before its first step, pass by pass: ``python -m benchmarks.passes ROUNDS``.

The same measurement as the start of ``fit`` in `fit_cost.py`: a new model, two rows, one thread and its time on the
processor. Prints JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch

from benchmarks.fit_cost import SHAPES, around_the_batch, new_model
from easyconv.training import preparing, session

__all__ = ["PASSES", "timed"]

PASSES = {
    "how the net takes the rows": (preparing, "_reception"),
    "dry run": (preparing, "dry_run"),
    "channels last or not": (session, "wants_channels_last"),
}
"""Each pass, and where the function is that makes it."""


@contextmanager
def timed(seconds: dict[str, float]) -> Iterator[None]:
    """Add up the seconds of each pass in this block."""

    def noting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **words: Any) -> Any:
            start = time.process_time()
            try:
                return function(*arguments, **words)
            finally:
                seconds[name] = seconds.get(name, 0.0) + time.process_time() - start

        return noted

    with ExitStack() as stack:
        for name, (module, function) in PASSES.items():
            stack.enter_context(mock.patch.object(module, function, noting(name, getattr(module, function))))
        yield


def measured(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each pass, and of all that ``fit`` does around the one batch, for each net."""
    found: dict[str, dict[str, list[float]]] = {name: {part: [] for part in (*PASSES, "all")} for name in SHAPES}
    for turn in range(rounds + 1):
        for name in SHAPES:
            model, x = new_model(name)
            seconds: dict[str, float] = {}
            with timed(seconds):
                whole = around_the_batch(model, x)
            if turn:  # the first round warms up
                found[name]["all"].append(whole)
                for part in PASSES:
                    found[name][part].append(1e3 * seconds.get(part, 0.0))
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(measured(int(sys.argv[1]))))
