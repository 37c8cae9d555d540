"""Learning rates that differ from layer to layer: parameter groups for ``groups=``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from easyconv.arguments import check_number
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import suggest
from easyconv.optim.groups import Group, Grouping

__all__ = ["LayerwiseRates", "NamedRates", "WithinGroups", "layer_rates", "layerwise"]

_FEW = 4
_TOO_LARGE = 0.5


def layerwise(decay: float = 0.7) -> "LayerwiseRates":
    """Smaller rates towards the input: those of each stage are ``decay`` times those of the next.

    A stage is a child of the net that has parameters. Where there are fewer than four of them, as in VGG's
    ``features`` and ``classifier``, their children are stages in their place; and so are those of a ``Sequential``
    that holds more than half of all parameters.

    Parameters
    ----------
    decay : float, default 0.7
        Above 0, at most 1. The last stage, the head, has the optimizer's own rate.

    Returns
    -------
    callable
        For ``ec.optim.SGD(lr=0.01, groups=ec.optim.layerwise(0.7))``; a group per stage, that of the head first.

    References
    ----------
    Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.2
    ("discriminative fine-tuning").

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 2))
    >>> [group["relative_lr"] for group in layerwise(0.5)(net)]
    [1.0, 0.5, 0.25]
    """
    if check_number("decay", decay, above=0) > 1:
        raise ArgumentError(f"decay must be at most 1, got {decay}: the layers near the input change the least.")
    return LayerwiseRates(float(decay))


def layer_rates(rates: Mapping[str, float], rest: float = 1.0) -> "NamedRates":
    """Rates of some layers by their names, relative to the optimizer's own.

    Parameters
    ----------
    rates : dict of str to float
        Dotted names of layers or parameters, of which the longest that fits counts: ``{"layer4": 0.3, "fc": 1.0}``.
        Rates above 0; a layer that is not to be trained is frozen instead.
    rest : float, default 1.0
        For all others.

    Returns
    -------
    callable
        For ``ec.optim.SGD(lr=0.01, groups=ec.optim.layer_rates({"fc": 1.0}, rest=0.1))``.

    Raises
    ------
    ArgumentError
        When there is no such layer, or it has no parameters, as soon as the net is known.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    >>> groups = layer_rates({"1": 1.0}, rest=0.1)(net)
    >>> [(group["relative_lr"], len(group["params"])) for group in groups]
    [(1.0, 2), (0.1, 2)]
    """
    if not isinstance(rates, Mapping) or not rates:
        raise ArgumentTypeError(
            f"rates must be a dict from names of layers to numbers, like {{'fc': 1.0}}, got {rates!r}."
        )
    checked = {str(name): check_number(f"rates[{name!r}]", rate, above=0) for name, rate in rates.items()}
    return NamedRates(tuple(checked.items()), check_number("rest", rest, above=0))


@dataclass(frozen=True)
class LayerwiseRates:
    """What `layerwise` makes."""

    decay: float

    def __call__(self, net: nn.Module) -> list[Group]:
        """A group per stage, from the head down."""
        stages = _stages(_without_wrappers(net))
        held: set[int] = set()
        groups: list[Group] = []
        for depth, stage in enumerate(reversed(stages)):
            fresh = [parameter for parameter in stage.parameters() if id(parameter) not in held]
            held |= {id(parameter) for parameter in fresh}
            groups.append({"params": fresh, "relative_lr": self.decay**depth})
        # What stands on the net itself, beside its layers (ViT's class token), is nearest to the input.
        loose = [parameter for parameter in net.parameters() if id(parameter) not in held]
        if loose:
            groups.append({"params": loose, "relative_lr": self.decay ** len(stages)})
        return groups

    @property
    def __name__(self) -> str:
        return f"layerwise({self.decay:g})"

    def __repr__(self) -> str:
        return self.__name__


@dataclass(frozen=True)
class WithinGroups:
    """The groups of another grouping, each divided by the rates of layers, so that all settings of both hold.

    Parameters
    ----------
    outer : Grouping
        The other grouping.
    rates : LayerwiseRates
        The rates of layers.
    lr : float
        The optimizer's rate that rates of the other grouping's were meant beside: they keep their ratios to it.
    """

    outer: Grouping
    rates: LayerwiseRates
    lr: float

    def __call__(self, net: nn.Module) -> list[Group]:
        """For each group a group per rate, the largest first."""
        of = {id(parameter): group["relative_lr"] for group in self.rates(net) for parameter in group["params"]}
        return [part for group in self.outer(net) for part in self._parts(group, of)]

    def _parts(self, group: Group, of: Mapping[int, float]) -> Iterator[Group]:
        settings = {key: value for key, value in group.items() if key not in ("params", "lr", "relative_lr")}
        own = float(group["lr"]) / self.lr if "lr" in group else group.get("relative_lr", 1.0)
        for rate in sorted({of[id(parameter)] for parameter in group["params"]}, reverse=True):
            held = [parameter for parameter in group["params"] if of[id(parameter)] == rate]
            yield {**settings, "params": held, "relative_lr": own * rate}

    @property
    def __name__(self) -> str:
        return f"{self.rates} within {self.outer.name}"


@dataclass(frozen=True)
class NamedRates:
    """What `layer_rates` makes."""

    rates: tuple[tuple[str, float], ...]
    rest: float

    def __call__(self, net: nn.Module) -> list[Group]:
        """A group per name, in their order, and one for the rest."""
        names = self._full_names(net)
        chosen: dict[str, list[Any]] = {name: [] for name in names}
        rest: list[Any] = []
        for path, parameter in net.named_parameters():
            fitting = [name for name, full in names.items() if f"{path}.".startswith(f"{full}.")]
            (chosen[max(fitting, key=len)] if fitting else rest).append(parameter)
        groups: list[Group] = [{"params": chosen[name], "relative_lr": rate} for name, rate in self.rates]
        return [*groups, {"params": rest, "relative_lr": self.rest}] if rest else groups

    def _full_names(self, net: nn.Module) -> dict[str, str]:
        """Names as the user gave them, and as the net has them."""
        parameters = [name for name, _ in net.named_parameters()]
        layers = {name for name, _ in net.named_modules() if name}
        names = {name: name if name in {*layers, *parameters} else f"net.{name}" for name, _ in self.rates}
        for name, full in names.items():
            if full not in layers and full not in parameters:
                raise ArgumentError(
                    f"layer_rates() names the layer {name!r}, which is not there. {suggest(name, layers)}"
                )
            if not any(f"{path}.".startswith(f"{full}.") for path in parameters):
                raise ArgumentError(f"layer_rates() names the layer {name!r}, which has no parameters. Leave it out.")
        return names

    @property
    def __name__(self) -> str:
        return f"layer_rates({dict(self.rates)}, rest={self.rest:g})"

    def __repr__(self) -> str:
        return self.__name__


def _without_wrappers(net: nn.Module) -> nn.Module:
    while len(found := _filled(net)) == 1:
        net = found[0]
    return net


def _filled(net: nn.Module) -> list[nn.Module]:
    return [child for child in net.children() if any(True for _ in child.parameters())]


def _stages(net: nn.Module) -> list[nn.Module]:
    whole = sum(parameter.numel() for parameter in net.parameters())
    stages = _filled(net) or [net]
    while len(stages) < _FEW and any(len(_filled(stage)) > 1 for stage in stages):
        stages = [part for stage in stages for part in (_filled(stage) if len(_filled(stage)) > 1 else [stage])]
    return [part for stage in stages for part in _opened(stage, whole)]


def _opened(stage: nn.Module, whole: int) -> list[nn.Module]:
    parts = _filled(stage)
    size = sum(parameter.numel() for parameter in stage.parameters())
    if not isinstance(stage, nn.Sequential) or len(parts) < 2 or size <= _TOO_LARGE * whole:
        return [stage]
    return [part for child in parts for part in _opened(child, whole)]
