"""What is minimised: one loss, or a weighted sum of one loss per output."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from easyconv.arguments import check_number
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.losses.single import SingleLoss, make_single
from easyconv.losses.table import Expects, TargetKind
from easyconv.names import suggest
from easyconv.nested import describe, is_nested, keys_of, map_tree, part_of

__all__ = ["Objective", "make_objective"]

KindTree: TypeAlias = "TargetKind | tuple[TargetKind, ...] | dict[str, TargetKind]"
ExpectsTree: TypeAlias = "Expects | tuple[Expects, ...] | dict[str, Expects]"
Key: TypeAlias = "int | str"


class Objective(ABC):
    """What ``compile(loss=..., loss_weights=...)`` means; made by `make_objective`.

    Attributes
    ----------
    name : str
        ``"cross_entropy"``; the function's or the class's own name where the loss is not one of ours.
    target_kind : {"classes", "binary", "values", "any"}
        What the targets are: class numbers (or one probability per class), numbers from 0 to 1 of the outputs' shape,
        values of the outputs' shape, or whatever the loss makes of them. ``"any"`` for several losses.
    kinds : str, tuple of str or dict of str
        ``target_kind`` of each output, in the structure in which the losses were given; ``"any"`` for an output
        without a loss. One string for one loss, whatever the outputs.
    expects : str, tuple of str or dict of str
        What the outputs are, in the structure of ``kinds``: ``"logits"`` (raw scores), ``"log_probabilities"``,
        ``"probabilities"``, ``"values"`` or ``"any"``.
    ignore_index : int or None
        The label that does not count, where a ``CrossEntropyLoss`` or ``NLLLoss`` was given with one.
    activation : callable or None
        Turns outputs into probabilities (softmax, sigmoid, exp); ``None`` where the loss implies none. For several
        outputs it takes and gives the structure.
    classes : callable or None
        Turns outputs into class numbers (the largest, or above one half), likewise.

    Examples
    --------
    >>> objective = make_objective("cross_entropy")
    >>> objective.target_kind, objective.expects
    ('classes', 'logits')
    >>> objective.classes(torch.tensor([[0.1, 2.0, 0.3]]))
    tensor([1])
    """

    name: str
    target_kind: TargetKind
    kinds: KindTree
    expects: ExpectsTree
    ignore_index: int | None
    activation: Callable[[Any], Any] | None
    classes: Callable[[Any], Any] | None

    @abstractmethod
    def __call__(self, output: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """Mean loss of a batch, a differentiable 0-dim tensor.

        Parameters
        ----------
        output, target : Tensor, or tuple or dict of Tensor
            What the net gives, and what it should give.
        sample_weight : Tensor of shape (N,) or (N, 1), or a tuple or dict of them, optional
            The mean is then Σ w·l / N, where l is the mean loss of a sample over its other dimensions, as in Keras.
            A loss with class weights has them in l. Labels to ignore count neither above nor below the line.
        """

    @abstractmethod
    def parts(self, output: Any, target: Any, sample_weight: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, and the unweighted loss of each output by name: ``"<key>_loss"``, ``"output_0_loss"``.

        The dict is empty where there is one output.
        """

    def check_output(self, output: Any) -> None:  # noqa: B027
        """See that the net gives one output for each loss, where there are several.

        Raises
        ------
        ArgumentError
            When it gives another structure.
        """

    @abstractmethod
    def modules(self) -> Iterator[nn.Module]:
        """The losses that are modules."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Trainable parameters of losses that are modules, which the optimizer should train too."""
        for module in self.modules():
            yield from (parameter for parameter in module.parameters() if parameter.requires_grad)

    def to(self, device: torch.device | str) -> "Objective":
        """Move losses that are modules to ``device``, in place as ``nn.Module.to`` does; returns the objective."""
        for module in self.modules():
            module.to(device)
        return self

    def __repr__(self) -> str:
        return f"Objective({self.name})"


class _One(Objective):
    """One loss; a known one applies to each of several outputs and sums, a custom one gets them whole."""

    def __init__(self, loss: SingleLoss) -> None:
        self._loss = loss
        self.name = loss.name
        self.target_kind = loss.target_kind
        self.kinds = loss.target_kind
        self.expects = loss.expects
        self.ignore_index = loss.ignore_index
        self.activation = _on_each(loss.activation)
        self.classes = _on_each(loss.classes)

    def __call__(self, output: Any, target: Any, sample_weight: Any = None) -> Tensor:
        if isinstance(output, Tensor):
            return self._loss(output, target, sample_weight)
        return self.parts(output, target, sample_weight)[0]

    def parts(self, output: Any, target: Any, sample_weight: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        if not is_nested(output) or self._loss.is_custom:
            return self._loss(output, target, sample_weight), {}
        if isinstance(target, Tensor):
            raise ArgumentError(
                f"The net gives {describe(output)}, and there is one target, {describe(target)}: the loss "
                f"{self.name!r} cannot compare them. Pass one target for each output. Where the net gives further "
                "outputs in training only, give them as a named tuple (logits, aux_logits), whose auxiliary losses are "
                "added, or take a function loss(output, target) that sees to all."
            )
        losses = dict.fromkeys(keys_of(output), self._loss)
        return _weighted_sum(losses, dict.fromkeys(losses, 1.0), output, target, sample_weight)

    def modules(self) -> Iterator[nn.Module]:
        yield from self._loss.modules()


class _Several(Objective):
    """One loss per output; the total is Σ weight · loss."""

    def __init__(self, losses: dict[Key, SingleLoss | None], weights: dict[Key, float], structure: type) -> None:
        self._losses = losses
        self._weights = weights
        self._structure: type = structure
        self.name = " + ".join(loss.name for loss in losses.values() if loss)
        self.target_kind = "any"
        self.kinds = self._tree([loss.target_kind if loss else "any" for loss in losses.values()])
        self.expects = self._tree([loss.expects if loss else "any" for loss in losses.values()])
        self.ignore_index = None
        self.activation = self._on_parts({key: loss.activation if loss else None for key, loss in losses.items()})
        self.classes = self._on_parts({key: loss.classes if loss else None for key, loss in losses.items()})

    def __call__(self, output: Any, target: Any, sample_weight: Any = None) -> Tensor:
        return self.parts(output, target, sample_weight)[0]

    def parts(self, output: Any, target: Any, sample_weight: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        self.check_output(output)
        losses = {key: loss for key, loss in self._losses.items() if loss is not None}
        return _weighted_sum(losses, self._weights, output, target, sample_weight)

    def modules(self) -> Iterator[nn.Module]:
        for loss in self._losses.values():
            if loss is not None:
                yield from loss.modules()

    def _tree(self, values: list[Any]) -> Any:
        return dict(zip(self._losses, values, strict=True)) if self._structure is dict else tuple(values)

    def check_output(self, output: Any) -> None:
        """See `Objective.check_output`."""
        fits = isinstance(output, Mapping) if self._structure is dict else isinstance(output, (tuple, list))
        if not fits or set(keys_of(output)) != set(self._losses):
            kind = "a dict" if self._structure is dict else "a list"
            raise ArgumentError(
                f"loss is {kind} for the outputs {list(self._losses)}, but the net gives {describe(output)}. "
                "Give one loss for each output, in the same structure, and None for an output that has no loss."
            )

    def _on_parts(self, functions: Mapping[Key, Callable[[Tensor], Tensor] | None]) -> Callable[[Any], Any] | None:
        known = {key: function for key, function in functions.items() if function is not None}
        if len(known) < len(functions):
            return None

        return functools.partial(self._apply, known)

    def _apply(self, functions: Mapping[Key, Callable[[Tensor], Tensor]], output: Any) -> Any:
        self.check_output(output)
        return self._tree([function(output[key]) for key, function in functions.items()])


def _on_each(function: Callable[[Tensor], Tensor] | None) -> Callable[[Any], Any] | None:
    if function is None:
        return None
    return functools.partial(map_tree, function)


def _weighted_sum(
    losses: Mapping[Key, SingleLoss], weights: Mapping[Key, float], output: Any, target: Any, sample_weight: Any
) -> tuple[Tensor, dict[str, Tensor]]:
    parts: dict[str, Tensor] = {}
    total: Tensor | None = None
    for key, loss in losses.items():
        weight = part_of(sample_weight, key, "sample_weight") if is_nested(sample_weight) else sample_weight
        value = loss(output[key], part_of(target, key, "target"), weight)
        parts[f"{key if isinstance(key, str) else f'output_{key}'}_loss"] = value
        weighted = value if weights[key] == 1.0 else weights[key] * value
        total = weighted if total is None else total + weighted
    if total is None:
        raise ArgumentError(f"The net gives no output that has a loss: {describe(output)}.")
    return total, parts


def make_objective(loss: Any, loss_weights: Any = None) -> Objective:
    """What ``loss`` and ``loss_weights`` mean.

    Parameters
    ----------
    loss : str, nn.Module, type of nn.Module, callable, or list, tuple or dict of them
        A name (see `easyconv.losses`), a loss of torch or a class of one, or any ``loss(output, target)`` that returns
        a 0-dim tensor or one value per row, which are averaged. A list or dict has one loss for each output of the
        net, ``None`` for an output without one. One known loss for a net with several outputs applies to each, and
        the sum is minimised; a custom function gets outputs and targets whole.
    loss_weights : list, tuple or dict of float, optional
        Factors of the several losses, in the structure of ``loss``; 1 for a key that is missing from a dict.

    Returns
    -------
    Objective

    Raises
    ------
    UnknownNameError
        For a name that is not known; the nearest are suggested.
    ArgumentTypeError
        For anything that is no loss.
    ArgumentError
        For ``loss_weights`` that do not fit, and for a loss that needs more than output and target.

    Notes
    -----
    Without sample weights the loss is exactly torch's, with its own reduction, so results are those of a plain loop.

    Examples
    --------
    >>> objective = make_objective("mse")
    >>> float(objective(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])))
    2.0
    >>> float(objective(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]), torch.tensor([1.0, 0.5])))
    1.0
    >>> make_objective({"label": "cross_entropy", "box": "mae"}, {"box": 0.1}).kinds
    {'label': 'classes', 'box': 'values'}
    """
    if isinstance(loss, (list, tuple, Mapping)):
        losses: dict[Key, SingleLoss | None] = {
            key: None if loss[key] is None else make_single(_not_nested(loss[key], key)) for key in keys_of(loss)
        }
        if not any(losses.values()):
            raise ArgumentError(f"loss names no loss at all: {loss!r}. Give at least one output a loss.")
        return _Several(losses, _check_weights(loss_weights, losses), dict if isinstance(loss, Mapping) else tuple)
    if loss_weights is not None:
        raise ArgumentError(
            f"loss_weights are for several losses, but loss is {loss!r}. Give one loss for each output as a list or "
            f"dict, or multiply inside the loss; got loss_weights={loss_weights!r}."
        )
    return _One(make_single(loss))


def _not_nested(loss: Any, key: Key) -> Any:
    if isinstance(loss, (list, tuple, Mapping)):
        raise ArgumentTypeError(
            f"loss[{key!r}] is a {type(loss).__name__}: losses nest one level deep. Give one loss per output, or one "
            "function loss(output, target) that gets everything."
        )
    return loss


def _check_weights(loss_weights: Any, losses: Mapping[Key, object]) -> dict[Key, float]:
    if loss_weights is None:
        return dict.fromkeys(losses, 1.0)
    wanted: Literal["dict", "list"] = "dict" if all(isinstance(key, str) for key in losses) else "list"
    if not isinstance(loss_weights, Mapping if wanted == "dict" else (list, tuple)):
        raise ArgumentTypeError(
            f"loss is a {wanted}, so loss_weights must be a {wanted} of numbers too, "
            f"got {loss_weights!r} ({type(loss_weights).__name__})."
        )
    if wanted == "list" and len(loss_weights) != len(losses):
        raise ArgumentError(f"There are {len(losses)} losses but {len(loss_weights)} loss_weights: {loss_weights!r}.")
    keys = keys_of(loss_weights)
    for key in keys:
        if key not in losses:
            raise ArgumentError(f"loss_weights has a key {key!r}. {suggest(str(key), [str(k) for k in losses])}")
    given = {key: check_number(f"loss_weights[{key!r}]", loss_weights[key]) for key in keys}
    return {key: given.get(key, 1.0) for key in losses}
