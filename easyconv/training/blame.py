"""What was NaN or infinite first: a batch that was not finite goes through the net again, watched step by step.

Forward, hooks look at what each layer gives. Backward, every operation that autograd noted belongs to the layer in
whose forward it was noted, or to the loss; the first whose outgoing gradients are not finite while the incoming ones
are is where it began.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor, nn

from easyconv.data.sources.values import bad_rows, listed
from easyconv.errors import NonFiniteGradientError, NonFiniteLossError
from easyconv.layers.keeping import kept
from easyconv.layers.trace import takes_hooks
from easyconv.nested import leaves, rows_of
from easyconv.seed import derive, seed_for
from easyconv.training.finite import Watched
from easyconv.training.state import Run
from easyconv.training.supply import STEP

__all__ = ["LEAST_SCALE", "Cause", "find_cause", "stop"]

LEAST_SCALE = 2.0**-20
"""A loss scale below this scales nothing any more: gradients overflow float16 whatever it is."""


@dataclass(frozen=True)
class Cause:
    """What was not finite first.

    Parameters
    ----------
    first : str
        ``"inputs"``, ``"weights"``, ``"outputs"``, ``"targets"``, ``"loss"`` or ``"gradients"``.
    layer : str, optional
        Dotted name of the layer; ``None`` where it is none.
    what : str
        In words, for the message.
    rows : tuple of int, optional
        In which rows of the batch, where that is known.
    """

    first: Literal["inputs", "weights", "outputs", "targets", "loss", "gradients"]
    layer: str | None
    what: str
    rows: tuple[int, ...] = ()


def stop(run: Run, bad: Watched) -> NoReturn:
    """Give back what the batch has changed, find out where it became NaN or infinite, and say so.

    Raises
    ------
    NonFiniteLossError, NonFiniteGradientError
        With epoch, batch and cause.
    """
    finite = run.finite
    finite.give_back(bad, run.optimizer)
    for parameter in run.parameters:
        parameter.grad = None
    loss = math.nan if bad.loss is None else float(bad.loss)
    cause = None if _scale_collapsed(run) else find_cause(run, bad)
    of_gradients = math.isfinite(loss)
    error = (NonFiniteGradientError if of_gradients else NonFiniteLossError)(
        f"{'The gradients became NaN or infinite' if of_gradients else f'The loss became {loss}'} in batch "
        f"{bad.number} of {finite.place}; {_told(run, cause)} The optimizer has not taken this batch: weights, "
        f"statistics and the optimizer's state are those of before it. {_advice(cause)}"
    )
    error.batch = bad.number
    if cause is not None:
        error.first, error.layer, error.rows = cause.first, cause.layer, cause.rows
    raise error


def find_cause(run: Run, bad: Watched) -> Cause | None:
    """What was not finite first, in a second run of the batch that leaves no trace; ``None`` where that was finite."""
    try:
        return _of_the_inputs(bad) or _of_the_weights(run.net) or _of_a_second_run(run, bad)
    except Exception:
        # What the user is told must not depend on whether code of theirs can be run twice.
        return None


def _of_the_inputs(bad: Watched) -> Cause | None:
    return next(_causes("inputs", leaves(bad.batch.x)), None)


def _of_the_targets(bad: Watched) -> Cause | None:
    named = (("sample_weight", bad.batch.sample_weight), *leaves(bad.batch.y, "y"))
    return next(_causes("targets", named), None)


def _causes(first: Literal["inputs", "targets"], named: Iterable[tuple[str, Any]]) -> Iterator[Cause]:
    for name, leaf in named:
        if not _is_finite(leaf):
            rows = bad_rows(leaf)
            count = int(leaf.isfinite().logical_not().sum())
            numbers = f"{count} number{'' if count == 1 else 's'} that {'is' if count == 1 else 'are'} NaN or infinite"
            yield Cause(first, None, f"{name} holds {numbers}, in {_rows(rows)} of the batch.", tuple(rows))


def _of_the_weights(net: nn.Module) -> Cause | None:
    for name, parameter in net.named_parameters():
        if not _is_finite(parameter):
            layers, (layer, _, attribute) = _Layers(net), name.rpartition(".")
            what = f"{attribute!r} of {layers.words(layer)} held NaN or infinity before this batch."
            return Cause("weights", layers.name(layer), what)
    return None


def _of_a_second_run(run: Run, bad: Watched) -> Cause | None:
    batch, rows = bad.batch, rows_of(bad.batch.x)
    witness = _Witness(run.net, rows)
    compute: Callable[..., Any] = getattr(run.compute, "plain", run.compute)
    with kept(run.net), torch.enable_grad():
        if run.seed is not None:
            seed_for(run.recipe.device, derive(run.seed, STEP, bad.step))
        with run.recipe.autocast(), witness.listening():
            _, loss, values = compute(batch.x, batch.y, batch.sample_weight)
        if not _is_finite(loss):
            return witness.cause or _of_the_targets(bad) or _of_the_loss(run, values)
        if run.scaler is not None:
            return None
        return witness.of_the_gradients(loss * rows if run.recipe.accumulate > 1 else loss, run.parameters)


def _of_the_loss(run: Run, values: Any) -> Cause:
    bad = [name for name, value in values.items() if not _is_finite(value)]
    name = f"the loss {bad[0]!r}" if bad else f"the loss ({run.recipe.objective.name})"
    return Cause("loss", None, f"what the net gives is finite, {name} of it is not.")


class _Witness:
    """Follows one run of a net: which layer gives what is not finite, and to which layer an operation belongs."""

    def __init__(self, net: nn.Module, rows: int) -> None:
        self.cause: Cause | None = None
        self._layers = _Layers(net)
        self._rows = rows
        self._open: list[str] = []
        self._owners: dict[Any, str | None] = {}
        """The layer of each operation of autograd; ``None`` is the loss."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hooks are there inside the block only."""
        with ExitStack() as handles:
            for name, module in self._layers.modules.items():
                if takes_hooks(module):
                    for handle in self._hooks(name, module):
                        handles.callback(handle.remove)
            yield

    def of_the_gradients(self, loss: Tensor, parameters: list[Tensor]) -> Cause | None:
        """Go back from the loss, and see where gradients stop being finite."""
        self._claim(loss, None)
        found: list[Any] = []

        def watch(node: Any) -> Callable[..., None]:
            def hook(outgoing: Any, incoming: Any) -> None:
                if not found and _all_finite(incoming) and not _all_finite(outgoing):
                    found.append(node)

            return hook

        with ExitStack() as handles:
            for node in self._owners:
                handles.callback(node.register_hook(watch(node)).remove)
            wanted = [parameter for parameter in parameters if parameter.requires_grad]
            torch.autograd.grad(loss, wanted, allow_unused=True)
        if not found:
            return None
        owner, operation = self._owners[found[0]], found[0].name()
        of = "the loss" if owner is None else self._layers.words(owner)
        what = f"the loss is finite; on the way back {of} was first, in {operation}."
        return Cause("gradients", None if owner is None else self._layers.name(owner), what)

    def _hooks(self, name: str, module: nn.Module) -> list[Any]:
        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            # What leads to the inputs was computed between the layers of the one around this one.
            around = self._open[-1] if self._open else ""
            for _, leaf in leaves([args, kwargs]):
                self._claim(leaf, around)
                self._look(leaf, around, "made the first value that is NaN or infinite between its layers")
            self._open.append(name)

        def after(module: nn.Module, args: Any, output: Any) -> None:
            while self._open and self._open.pop() != name:
                pass
            for _, leaf in leaves(output):
                self._claim(leaf, name)
                self._look(leaf, name, "gave the first value that is NaN or infinite")

        return [
            module.register_forward_pre_hook(before, with_kwargs=True, prepend=True),
            module.register_forward_hook(after),
        ]

    def _look(self, value: Any, name: str, did: str) -> None:
        if self.cause is not None or _is_finite(value):
            return
        rows = bad_rows(value) if value.ndim and value.shape[0] == self._rows else []
        where = f", in {_rows(rows)} of {self._rows}" if rows else ""
        what = f"{self._layers.words(name)} {did}{where}."
        self.cause = Cause("outputs", self._layers.name(name), what, tuple(rows))

    def _claim(self, value: Any, owner: str | None) -> None:
        """What autograd noted on the way to ``value``, and nobody has claimed yet, is of this layer."""
        waiting = [value.grad_fn] if isinstance(value, Tensor) and value.grad_fn is not None else []
        while waiting:
            node = waiting.pop()
            if node not in self._owners:
                self._owners[node] = owner
                waiting += [following for following, _ in node.next_functions if following is not None]


def _is_finite(value: Any) -> bool:
    if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
        return True
    return bool(value.detach().isfinite().all())


def _all_finite(gradients: Any) -> bool:
    return all(map(_is_finite, gradients if isinstance(gradients, tuple) else (gradients,)))


class _Layers:
    """The layers of a net, by the names that its user knows."""

    def __init__(self, net: nn.Module) -> None:
        self.modules = dict(net.named_modules())
        # A Model that only wraps a net goes by the names in that net.
        wraps = getattr(type(net).forward, "__module__", "") == "easyconv.model.buildable"
        self._prefix = "net." if wraps and "net" in self.modules else ""

    def name(self, name: str) -> str:
        """Dotted; empty for the net itself."""
        return f"{name}.".removeprefix(self._prefix).removesuffix(".")

    def words(self, name: str) -> str:
        """The name and the class, for messages."""
        kind = type(self.modules[name]).__name__
        return f"layer {self.name(name)!r} ({kind})" if self.name(name) else f"the net itself ({kind})"


def _rows(rows: list[int]) -> str:
    return f"row{'' if len(rows) == 1 else 's'} {listed(rows)}"


def _scale_collapsed(run: Run) -> bool:
    return run.scaler is not None and run.scaler.get_scale() < LEAST_SCALE


def _told(run: Run, cause: Cause | None) -> str:
    if cause is not None:
        return cause.what
    if _scale_collapsed(run):
        return "the gradients overflow float16 however small the loss scale is, so that every step is passed over."
    return "a second run of the batch was finite, so it depends on what the net draws at random, or on code of yours."


def _advice(cause: Cause | None) -> str:
    return _ADVICE.get(cause.first if cause is not None else "", _ADVICE["outputs"])


_ADVICE = {
    "inputs": "Look at those rows, and at the transforms that they went through.",
    "targets": "Look at those rows; fill what is missing, or give them the weight 0 in a loss of your own.",
    "weights": "Give the net finite weights: load_weights(...), or make it anew. Where training itself has made them "
    "so, lower the learning rate.",
    "outputs": "Lower the learning rate, clip the gradients (compile(clip_norm=1.0)), or look for extreme values in "
    "the data; a logarithm, a root or a division needs a small number added to what it takes.",
    "loss": "Keep what a logarithm or a division takes away from 0 (torch.clamp), or use a loss on raw outputs "
    "('cross_entropy', 'bce').",
    "gradients": "Roots, norms and powers have no finite slope at 0: add a small number inside, or torch.clamp what "
    "they take. Elsewhere they have grown too large: lower the learning rate.",
}
