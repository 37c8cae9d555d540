"""Mistakes of the net and the loss together, found before the first step: refused, or warned of."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.layers.hidden import hidden_layers, marked_untrainable
from easyconv.layers.keeping import split_call
from easyconv.losses import Objective
from easyconv.nested import leaves
from easyconv.notices import warn_user

__all__ = [
    "check_call",
    "check_ending",
    "check_output",
    "require_tensors",
    "warn_of_idle_optimizer",
    "warn_of_untrained_layers",
]

# What autograd calls steps that change the form of a tensor and no value.
_FORMS = (
    "View",
    "UnsafeView",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Clone",
    "ToCopy",
    "Alias",
    "Slice",
    "Select",
    "Permute",
)


def check_call(net: nn.Module, inputs: Any) -> None:
    """Refuse a number of inputs, or names of inputs, that ``net.forward`` does not take.

    Raises
    ------
    ArgumentError
        Names what the net takes and what came.
    """
    inner = _innermost(net)
    args, kwargs = split_call(inner, inputs)
    try:
        signature = inspect.signature(inner.forward)
    except (TypeError, ValueError):  # compiled code tells nothing about itself
        return
    try:
        signature.bind(*args, **kwargs)
        if args and isinstance(args[0], Mapping) and _wants_tensor(inner):
            raise TypeError("a dict for a layer that takes a tensor")
    except TypeError as error:
        names = [name for name, one in signature.parameters.items() if one.kind is not one.VAR_KEYWORD]
        takes = f"{len(names)} input{'' if len(names) == 1 else 's'} ({', '.join(names)})"
        raise ArgumentError(
            f"The net's forward takes {takes}, but x is {_form(inputs)}. {_hint(names, inputs)}"
        ) from error


def _hint(names: list[str], inputs: Any) -> str:
    if len(names) > 1:
        keys = ", ".join(f"{name!r}: ..." for name in names)
        return f"Pass a tuple of {len(names)} arrays in this order, or a dict {{{keys}}}."
    if isinstance(inputs, Mapping) and {"x", "y"} <= set(inputs):
        return "A dict is several inputs: pass its parts, fit(data['x'], data['y']), validation_data=(x, y)."
    if isinstance(inputs, Mapping):
        return "Pass the array itself; a dict that is a whole batch has the keys 'x' and 'y'."
    return "A tuple is several inputs: pass one array, and targets apart, fit(x, y)."


def _form(inputs: Any) -> str:
    if isinstance(inputs, Tensor):
        return "one array"
    if isinstance(inputs, Mapping):
        return f"a dict with the keys {', '.join(map(repr, inputs))}"
    return f"a {type(inputs).__name__} of {len(inputs)} arrays"


def _wants_tensor(module: nn.Module) -> bool:
    """Whether the first layer of a stack is one of torch's, which take tensors only."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[0]
    return type(module).__module__.startswith("torch.nn.") and not isinstance(module, nn.Sequential)


def _innermost(net: nn.Module) -> nn.Module:
    """The module whose ``forward`` says what it takes: wrappers hand on whatever they get."""
    children = list(net.children())
    try:
        parameters = inspect.signature(net.forward).parameters.values()
    except (TypeError, ValueError):
        return net
    passes_on = all(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in parameters)
    return _innermost(children[0]) if passes_on and len(children) == 1 else net


def check_output(output: Any, objective: Objective, rows: int) -> None:
    """Refuse an output that the loss cannot compare with targets.

    Parameters
    ----------
    output : object
        What the net gave for ``rows`` samples.
    objective : Objective
        The loss; of a custom one nothing is known but that it needs something.
    rows : int
        Number of samples.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        Names what the net gave and what to return.
    """
    if output is None:
        raise _no_tensor(None)
    objective.check_output(output)
    kinds = dict(leaves(objective.kinds, "output"))
    for name, leaf in leaves(output, "output"):
        if kinds.get(name, objective.kinds) == "any":
            continue
        if not isinstance(leaf, Tensor):
            raise _no_tensor(leaf)
        _check_values(leaf, objective, rows)


def _check_values(output: Tensor, objective: Objective, rows: int) -> None:
    shape = tuple(output.shape)
    if not output.is_floating_point():
        raise ArgumentTypeError(
            f"The net gave {str(output.dtype).removeprefix('torch.')} numbers of shape {shape}, and the loss "
            f"{objective.name!r} needs floating outputs: return the raw outputs, without argmax or round. "
            "predict_classes() gives labels."
        )
    if not shape or shape[0] != rows:
        raise ArgumentError(
            f"The net gave an output of shape {shape} for {rows} sample{'' if rows == 1 else 's'}: the first axis must "
            "be the samples. Look for a mean, a transpose, a reshape or a cat over the first axis in its forward."
        )
    if objective.expects == "probabilities" and output.numel():
        low, high = (value.item() for value in torch.aminmax(output.detach().float()))
        if low < 0 or high > 1:
            raise ArgumentError(_no_probabilities(objective, f"values from {low:.3g} to {high:.3g}"))


def _no_probabilities(objective: Objective, got: str) -> str:
    return (
        f"The loss {objective.name!r} needs probabilities from 0 to 1, and the net gives {got}. End the net with "
        'Activation("sigmoid"), or use loss="bce", which takes raw outputs.'
    )


def require_tensors(output: Any) -> None:
    """Refuse an output that ``predict`` cannot join: each part must be a tensor.

    Raises
    ------
    ArgumentTypeError
        Names what the net gave.
    """
    for _, leaf in leaves(output, "output"):
        if not isinstance(leaf, Tensor):
            raise _no_tensor(leaf)


def _no_tensor(output: Any) -> ArgumentTypeError:
    if output is None:
        return ArgumentTypeError(
            "The net gave None: its forward must return the output. Look whether the last line lacks its return."
        )
    return ArgumentTypeError(
        f"The net gave {type(output).__name__}: its forward must return a tensor, or a tuple or dict of tensors, "
        "computed by torch from start to end."
    )


def check_ending(net: nn.Module, output: Any, objective: Objective, *, training: bool) -> None:
    """See whether the last step of the net fits the loss, and whether gradients reach the net.

    Parameters
    ----------
    net : torch.nn.Module
        The net.
    output : object
        What it gave for a few rows, as autograd has recorded it.
    objective : Objective
        The loss.
    training : bool
        Whether the net is to be trained.

    Raises
    ------
    ArgumentError
        Where the output has no gradient though the net has parameters to train, or no probabilities for a loss that
        needs them.

    Warns
    -----
    EasyconvWarning
        Where the net and the loss both apply a softmax or sigmoid, or neither does.
    """
    if training:
        _check_gradient(net, output, objective)
    if isinstance(output, Tensor) and output.is_floating_point():
        _check_last_step(output, objective)


def _check_gradient(net: nn.Module, output: Any, objective: Objective) -> None:
    if not any(parameter.requires_grad for parameter in net.parameters()) or any(True for _ in objective.parameters()):
        return
    tensors = [leaf for _, leaf in leaves(output) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    if tensors and not any(tensor.requires_grad for tensor in tensors):
        raise ArgumentError(
            "The net's output has no gradient, so nothing can be learned. Its forward must not call .detach(), .data, "
            ".numpy(), torch.tensor() or torch.no_grad() between the trained layers and the output."
        )


def _check_last_step(output: Tensor, objective: Objective) -> None:
    last, problem = _last_step(output), None
    if objective.expects == "probabilities" and last in ("Addmm", "Convolution"):
        raise ArgumentError(_no_probabilities(objective, "the raw outputs of its last layer"))
    if objective.name == "cross_entropy" and (last == "Softmax" or _sums_to_one(output)):
        problem = (
            "outputs are probabilities already (a softmax at the end), and cross_entropy applies a softmax itself: the "
            "net would learn slowly. Remove the softmax; predict_proba() gives probabilities"
        )
    elif objective.expects == "logits" and last == "Sigmoid":
        problem = (
            f"last step is a sigmoid, and the loss {objective.name!r} applies one itself: the net would learn slowly. "
            "Remove the sigmoid; predict_proba() gives probabilities"
        )
        if objective.target_kind == "classes":
            problem = (
                f"last step is a sigmoid, and the loss {objective.name!r} expects raw outputs: the net would learn "
                "slowly. Remove the sigmoid; predict_proba() gives probabilities"
            )
    elif objective.expects == "log_probabilities" and not _sums_to_one(output.exp()):
        problem = (
            f"outputs are no log-probabilities, which the loss {objective.name!r} expects. End the net with "
            "Activation('log_softmax'), or use loss='cross_entropy' on the raw outputs"
        )
    if problem is not None:
        warn_user(f"The net's {problem}.")


def _last_step(output: Tensor) -> str:
    """What autograd calls the operation that the output comes from; empty where there is no gradient."""
    step = output.grad_fn
    while step is not None:
        name = step.name().partition("Backward")[0]
        if name not in _FORMS or not step.next_functions:
            return name
        step = step.next_functions[0][0]
    return ""


def warn_of_idle_optimizer(optimizer: Any) -> None:
    """Warn where every parameter group has the rate 0, so that nothing would change."""
    if all(float(group["lr"]) == 0 for group in optimizer.param_groups if "lr" in group):
        warn_user(
            "The optimizer's learning rate is 0, so no weight will change unless a schedule raises it. Give the "
            "optimizer lr=0.001 or so."
        )


def warn_of_untrained_layers(net: nn.Module) -> None:
    """Warn of layers that torch does not know of, and of layers that only Keras would call frozen."""
    hidden = hidden_layers(net)
    if hidden:
        warn_user(
            f"The layers in {', '.join(map(repr, hidden))} stand in a plain list, tuple or dict, where torch does not "
            "see them: they are neither trained nor saved. Use torch.nn.ModuleList or torch.nn.ModuleDict."
        )
    marked = marked_untrainable(net)
    if marked:
        warn_user(
            f"trainable=False on {', '.join(map(repr, marked))} is Keras's word, which torch does not look at: these "
            "layers are trained. Call model.freeze(name)."
        )


def _sums_to_one(output: Tensor) -> bool:
    if output.dim() < 2 or output.shape[1] < 2:
        return False
    values = output.detach().float()
    return bool((values >= 0).all()) and bool(((values.sum(1) - 1).abs() < 1e-4).all())
