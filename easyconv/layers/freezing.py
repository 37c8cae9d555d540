"""Freeze layers, so that training leaves them alone: their parameters, and the statistics of their norms."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

__all__ = ["freeze", "freeze_before", "frozen_but", "is_frozen", "mode_of", "set_mode", "unfreeze"]


class _StayInEval:
    """Takes the place of ``train()`` on one norm that is frozen.

    ``Module.train`` walks down by calling each child's ``train``, so an attribute of the instance is enough to keep
    its mode. It is neither a hook nor a new class: the forward pass, ``type(norm)``, ``state_dict`` and what is
    exported are untouched, and it is copied and pickled along with the norm.
    """

    def __init__(self, norm: nn.Module) -> None:
        self.norm = norm
        self.wanted = norm.training

    def __call__(self, mode: bool = True) -> nn.Module:
        self.wanted = mode
        self.norm.training = False
        return self.norm


def freeze(module: nn.Module) -> None:
    """Stop training ``module``: no gradients, and norms keep their running statistics.

    A frozen batch norm normalizes with its running statistics and stays in evaluation mode through any later
    ``train()`` of a net that holds it. Works on any module, built or not.

    Parameters
    ----------
    module : torch.nn.Module
        The layer or net to freeze, with all that it holds.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    >>> freeze(net[1])
    >>> net.train()[1].training, [p.requires_grad for p in net.parameters()]
    (False, [True, True, False, False])
    """
    for parameter in module.parameters():
        parameter.requires_grad = False
    for part in module.modules():
        if _keeps_statistics(part) and not isinstance(part.__dict__.get("train"), _StayInEval):
            stay = _StayInEval(part)
            part.__dict__["train"] = stay
            part.training = False


def unfreeze(module: nn.Module) -> None:
    """Train ``module`` again: gradients for every parameter, and norms in the mode that they would have by now.

    Parameters
    ----------
    module : torch.nn.Module
        The layer or net, with all that it holds.

    Examples
    --------
    >>> norm = nn.BatchNorm1d(3)
    >>> freeze(norm)
    >>> unfreeze(norm)
    >>> norm.training, norm.weight.requires_grad
    (True, True)
    """
    for parameter in module.parameters():
        if parameter.data.is_floating_point() or parameter.data.is_complex():
            parameter.requires_grad = True
    _release(module.modules())


def freeze_before(net: nn.Module, name: str) -> None:
    """Freeze all that comes before a layer in the order in which the net was put together; train it and what follows.

    Parameters that stand on a container, beside its layers, count as coming before them. A layer that is used on both
    sides is frozen.

    Parameters
    ----------
    net : torch.nn.Module
        The net.
    name : str
        Dotted name of a layer that it has; empty for the net itself, which nothing comes before.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)))
    >>> freeze_before(net, "1.1")
    >>> [parameter.requires_grad for parameter in net.parameters()]
    [False, False, False, False, True, True]
    """
    unfreeze(net)
    place = net
    for part in name.split(".") if name else ():
        for parameter in place.parameters(recurse=False):
            parameter.requires_grad = False
        for child_name, child in place.named_children():
            if child_name == part:
                place = child
                break
            freeze(child)


@contextmanager
def frozen_but(net: nn.Module, *kept: nn.Module) -> Iterator[None]:
    """Freeze a net inside the block, all but some parts; afterwards what was trained before is trained again.

    What was frozen before stays so, in the parts too.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    >>> with frozen_but(net, net[1]):
    ...     print([parameter.requires_grad for parameter in net.parameters()])
    [False, False, True, True]
    >>> all(parameter.requires_grad for parameter in net.parameters())
    True
    """
    flags = {parameter: parameter.requires_grad for parameter in net.parameters()}
    norms = [part for part in net.modules() if not isinstance(part.__dict__.get("train"), _StayInEval)]
    inside = {part for layer in kept for part in layer.modules()}
    freeze(net)
    for layer in kept:
        for parameter in layer.parameters():
            parameter.requires_grad = flags[parameter]
    _release(part for part in norms if part in inside)
    try:
        yield
    finally:
        for parameter, flag in flags.items():
            parameter.requires_grad = flag
        _release(norms)


def _release(parts: Iterable[nn.Module]) -> None:
    """Let norms have the mode again that they would have by now."""
    for part in parts:
        stay = part.__dict__.get("train")
        if isinstance(stay, _StayInEval):
            del part.__dict__["train"]
            part.training = stay.wanted


def is_frozen(module: nn.Module) -> bool:
    """Whether ``module`` has parameters and none of them is trained.

    Examples
    --------
    >>> layer = nn.Linear(2, 3)
    >>> freeze(layer)
    >>> is_frozen(layer)
    True
    """
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def mode_of(module: nn.Module) -> bool:
    """Whether ``module`` is in training mode, or would be if its statistics were not frozen."""
    stay = module.__dict__.get("train")
    return stay.wanted if isinstance(stay, _StayInEval) else module.training


def set_mode(module: nn.Module, training: bool) -> None:
    """Put one module, without its children, into a mode; a frozen norm stays in evaluation mode and remembers."""
    stay = module.__dict__.get("train")
    if isinstance(stay, _StayInEval):
        stay(training)
    else:
        module.training = training


def _keeps_statistics(module: nn.Module) -> bool:
    # other packages have norms of their own, which share the names of the buffers only
    return isinstance(module, _NormBase) or "running_mean" in module._buffers
