"""Parameter groups: parts of a net that are trained with settings of their own."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from easyconv.arguments import check_number
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import look_up, name_of, suggest
from easyconv.optim.rates import arguments_of

__all__ = ["Group", "Grouping", "GroupsLike", "make_grouping", "no_bias_decay"]

Group: TypeAlias = dict[str, Any]
GroupsLike: TypeAlias = str | Callable[[nn.Module], list[Group]] | None

_UNDECAYED = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.PReLU)
_NORM_NAME = re.compile(r"Norm(\d[dD])?$")
_BOOKKEEPING = ("params", "name", "initial_lr", "relative_lr")
"""Keys of a group that are no arguments of the optimizer."""


def no_bias_decay(net: nn.Module, weight_decay: float | None = None) -> list[Group]:
    """Two parameter groups: weights, and what weight decay leaves out: biases, norms and slopes of PReLU.

    ====== ========================================================== =======================
    group  parameters                                                 weight decay
    ====== ========================================================== =======================
    first  all others: weights of convolutions, dense and recurrent   ``weight_decay``
           layers, embeddings, parameters of your own
    second biases, by their name; scale and shift of norms, by their  0
           type; slopes of ``nn.PReLU``
    ====== ========================================================== =======================

    Norms are torch's (batch, instance, layer, group, RMS) and other modules whose class is called ``...Norm``, like
    ``LayerNorm2d``. A parameter that is shared decays when one of its owners asks for it.

    Parameters
    ----------
    net : torch.nn.Module
        The net; its sizes need not be known.
    weight_decay : float, optional
        Of the first group, at least 0; by default that of the optimizer.

    Returns
    -------
    list of dict
        Two groups for any optimizer of ``torch.optim``; every parameter of the net, frozen ones too, is in one of them,
        in the order of ``net.parameters()``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When ``weight_decay`` is negative or no number, or ``net`` is no module.

    References
    ----------
    He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", CVPR 2019, section 3.1 ("No
    bias decay"). He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.1, for PReLU. Embeddings decay here,
    as they do in torch without groups.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> optimizer = torch.optim.SGD(no_bias_decay(net, weight_decay=5e-4), lr=0.1)
    >>> [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
    [(1, 0.0005), (3, 0.0)]
    """
    if not isinstance(net, nn.Module):
        raise ArgumentTypeError(f"no_bias_decay() takes a net, got {net!r} ({type(net).__name__}).")
    decays: dict[int, bool] = {}
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            decays[id(parameter)] = decays.get(id(parameter), False) or _decays(module, name)
    for parameter in _sources_of_biases(net):
        decays[id(parameter)] = False
    weights: Group = {"params": [parameter for parameter in net.parameters() if decays[id(parameter)]]}
    if weight_decay is not None:
        weights["weight_decay"] = check_number("weight_decay", weight_decay, minimum=0)
    rest = [parameter for parameter in net.parameters() if not decays[id(parameter)]]
    return [weights, {"params": rest, "weight_decay": 0.0}]


def _decays(owner: nn.Module, name: str) -> bool:
    # bias, bias_ih_l0 of recurrent layers, in_proj_bias of attention
    return not (isinstance(owner, _UNDECAYED) or _NORM_NAME.search(type(owner).__name__) or "bias" in name.split("_"))


def _sources_of_biases(net: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters that a bias is computed from, which ``torch.nn.utils.parametrize`` calls ``original``."""
    for path, parameter in net.named_parameters():
        _, found, rest = path.rpartition("parametrizations.")
        if found and "bias" in rest.partition(".")[0].split("_"):
            yield parameter


_GROUPINGS: Mapping[str, Callable[[nn.Module], list[Group]]] = {"no_bias_decay": no_bias_decay}


class Grouping:
    """What ``groups=`` means: checked parameter groups of any net.

    Examples
    --------
    >>> split = make_grouping("no_bias_decay")
    >>> [len(group["params"]) for group in split(nn.Linear(2, 3))]
    [1, 1]
    """

    def __init__(self, groups: str | Callable[[nn.Module], list[Group]]) -> None:
        self.groups = groups
        self.name = repr(groups) if isinstance(groups, str) else name_of(groups)

    @property
    def function(self) -> Callable[[nn.Module], list[Group]]:
        """From a net to its groups."""
        return look_up(self.groups, _GROUPINGS, "grouping") if isinstance(self.groups, str) else self.groups

    def check(self, cls: type[Optimizer], arguments: Mapping[str, Any]) -> None:
        """Refuse at once what would have no effect.

        Raises
        ------
        ArgumentError
            When decay is left out of some groups, but the optimizer has none.
        """
        if self.function is not no_bias_decay:
            return
        known = arguments_of(cls)
        if "weight_decay" not in known:
            raise ArgumentError(f"groups={self.name} is about weight decay, which {cls.__name__} does not have.")
        if not arguments.get("weight_decay", known["weight_decay"].default):
            raise ArgumentError(
                f"groups={self.name} leaves biases and norms out of weight decay, and {cls.__name__} has none here: "
                "its weight_decay is 0. Add weight_decay=5e-4, or leave out groups."
            )

    def __call__(self, net: nn.Module, cls: type[Optimizer] | None = None) -> list[Group]:
        """The groups of ``net``: copies, with every trainable parameter once, and frozen ones where they belong.

        Raises
        ------
        ArgumentTypeError
            When the function returns anything but a list of dicts with parameters.
        ArgumentError
            When a parameter is in no group, in two, or not of this net; or when a setting is unknown to the optimizer.
        """
        groups = [self._checked(group, cls) for group in self._listed(self.function(net))]
        self._check_cover(groups, net)
        return groups

    def _listed(self, groups: Any) -> list[Any]:
        if isinstance(groups, (list, tuple)) and groups:
            return list(groups)
        raise ArgumentTypeError(
            f"groups={self.name} must return a list of dicts like {{'params': [...], 'lr': 0.01}}, got "
            f"{_shown(groups)}."
        )

    def _checked(self, group: Any, cls: type[Optimizer] | None) -> Group:
        if not isinstance(group, Mapping) or "params" not in group:
            raise ArgumentTypeError(
                f"groups={self.name} must return dicts with the key 'params', like {{'params': [...], 'lr': 0.01}}, "
                f"got {_shown(group)}."
            )
        held = group["params"]
        held = [held] if isinstance(held, Tensor) else list(held) if isinstance(held, Iterable) else [held]
        for parameter in held:
            if not isinstance(parameter, Tensor):
                raise ArgumentTypeError(
                    f"groups={self.name} must return parameters under 'params', got {_shown(parameter)}. Write "
                    "list(layer.parameters())."
                )
        self._check_settings(group, cls)
        return {**group, "params": held}

    def _check_settings(self, group: Mapping[str, Any], cls: type[Optimizer] | None) -> None:
        """Refuse words that the optimizer does not know; torch takes any and does nothing with them."""
        if cls is None:
            return
        known = arguments_of(cls)
        takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
        for key in group:
            if key not in known and key not in _BOOKKEEPING and not takes_any:
                raise ArgumentError(
                    f"groups={self.name} sets {key!r}, which {cls.__name__} does not have. {suggest(str(key), known)}"
                )

    def _check_cover(self, groups: list[Group], net: nn.Module) -> None:
        names = {id(parameter): name for name, parameter in net.named_parameters()}
        held = Counter(id(parameter) for group in groups for parameter in group["params"])
        foreign = sum(key not in names for key in held)
        if foreign:
            raise ArgumentError(
                f"groups={self.name} returned {foreign} parameters that do not belong to this net. Take them from the "
                "net that it is given."
            )
        doubled = [names[key] for key, count in held.items() if count > 1]
        if doubled:
            raise ArgumentError(
                f"groups={self.name} puts parameters into more than one place: {_listing(doubled)}. Each belongs to "
                "one group, once."
            )
        lost = [
            name for name, parameter in net.named_parameters() if parameter.requires_grad and id(parameter) not in held
        ]
        if lost:
            raise ArgumentError(
                f"groups={self.name} leaves out parameters that are to be trained: {_listing(lost)}. Add a group for "
                "the rest, or freeze them: model.freeze(name)."
            )


def make_grouping(groups: GroupsLike) -> Grouping | None:
    """What ``groups=`` means.

    Raises
    ------
    UnknownNameError
        For a name that is not known.
    ArgumentTypeError
        For anything but a name or a function.
    """
    if groups is None:
        return None
    if isinstance(groups, str):
        look_up(groups, _GROUPINGS, "grouping")
        return Grouping(groups)
    if callable(groups) and not isinstance(groups, (type, nn.Module)):
        return Grouping(groups)
    raise ArgumentTypeError(
        "groups must be 'no_bias_decay', or a function from the net to a list of dicts: groups=lambda net: "
        f"[{{'params': net[0].parameters(), 'lr': 0.01}}, ...], got {_shown(groups)}."
    )


def _shown(value: object) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def _listing(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
