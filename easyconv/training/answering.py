"""How ``predict`` answers for a batch: by the step as it is, the fastest way that the net allows, or a fast copy."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from easyconv.data.sources.batch import Batch
from easyconv.errors import StateError
from easyconv.inference.fast import FastCopies
from easyconv.inference.pooling import pooled_by_slices
from easyconv.inference.way import MIN_ROWS, Way, find_way, is_compiled, why_as_it_is
from easyconv.notices import warn_user
from easyconv.training.preparing import Prepared
from easyconv.training.state import Recipe

__all__ = ["Answering", "Choice", "as_it_is", "by_a_copy", "by_the_net"]

_SAME, _SAME_IN_16_BITS = 1e-3, 5e-2

Step = Callable[[Batch], Any]


class Answering(NamedTuple):
    """A step from a batch to the outputs, and how many rows it likes to get.

    Parameters
    ----------
    step : callable
        From a batch to outputs.
    rows : int, default 32
        Rows at a time, where the user has not said.
    """

    step: Step
    rows: int = Way.rows


Choice = Callable[[Prepared], Answering]
"""Decides once the net and the first rows are there."""


def as_it_is(step: Step) -> Choice:
    """The step, whatever it does; only max-pooling on a CPU is computed another way, which gives the same values."""
    return lambda prepared: Answering(_pooled(step, prepared))


def by_the_net(net: nn.Module, step: Step, recipe: Recipe | None) -> Choice:
    """The step on as many rows, and in such a layout, as is fastest; the net is left alone.

    Parameters
    ----------
    net : torch.nn.Module
        What the step runs.
    step : callable
        easyconv's own step of prediction.
    recipe : Recipe, optional
        May pin the layout.
    """
    pinned = recipe is not None and recipe.channels_last is False
    within = _SAME if recipe is None or recipe.precision == "fp32" else _SAME_IN_16_BITS

    def choose(prepared: Prepared) -> Answering:
        rows = prepared.source.rows
        if (rows is not None and rows < MIN_ROWS) or why_as_it_is(net):
            return as_it_is(step)(prepared)
        way = find_way(
            net,
            lambda x: step(Batch(x)),
            prepared.inputs,
            prepared.output,
            device=prepared.device,
            layout=not pinned,
            within=within,
        )
        laid = _laid(step, way) if way.channels_last else step
        return Answering(_pooled(laid, prepared), way.rows)

    return choose


def by_a_copy(net: nn.Module, copies: FastCopies, *, without: object, otherwise: Choice) -> Choice:
    """A copy made for answering only; where there can be none, the user hears why, and it goes ``otherwise``.

    Parameters
    ----------
    net : torch.nn.Module
        What is copied.
    copies : FastCopies
        Keeps the copy for the next call.
    without : object
        What the net refers to and the copy needs not.
    otherwise : Choice
        What to do where there is no copy.
    """

    def choose(prepared: Prepared) -> Answering:
        try:
            reason = why_as_it_is(net)
            if reason:
                raise StateError(reason)
            copy = copies.of(net, prepared.inputs, prepared.output, prepared.device, without=without)
        except StateError as error:
            warn_user(f"fast=True has no effect: {error}.")
            return otherwise(prepared)
        return Answering(_pooled(lambda batch: copy(batch.x), prepared), copy.rows)

    return choose


def _laid(step: Step, way: Way) -> Step:
    return lambda batch: step(batch._replace(x=way.lay(batch.x)))


def _pooled(step: Step, prepared: Prepared) -> Step:
    return step if is_compiled(prepared.net) else pooled_by_slices(step, prepared.device)
