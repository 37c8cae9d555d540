"""What ``compile(optimizer=..., lr=...)`` means."""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from easyconv.arguments import check_number
from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import look_up, suggest
from easyconv.optim.adopting import adopt_into_groups
from easyconv.optim.building import build, check_some_trainable, make_optimizer, refuse_lbfgs
from easyconv.optim.groups import Group, Grouping, GroupsLike, make_grouping
from easyconv.optim.layerwise import WithinGroups, layerwise
from easyconv.optim.rates import arguments_of, describe

__all__ = ["CLASSES", "FromClass", "OptimizerFactory", "resolve_optimizer"]

CLASSES: dict[str, type[Optimizer]] = {
    name: value
    for name, value in sorted(vars(torch.optim).items())
    if isinstance(value, type) and issubclass(value, Optimizer) and value not in (Optimizer, torch.optim.LBFGS)
}

_NOT_FINE = (
    "fine_tune() makes the optimizer anew at lower rates, and {name} is not made by compile(). Pass a name to "
    "compile(), like optimizer='adam', or ec.optim.SGD(...)."
)
_BY_NAME = {name.lower(): value for name, value in CLASSES.items()}
_KERAS_WORDS = {
    "learning_rate": "lr",
    "epsilon": "eps",
    "rho": "alpha",
    "beta_1": "betas",
    "beta_2": "betas",
    "clipnorm": "compile(clip_norm=...)",
    "clipvalue": "compile(clip_value=...)",
    "use_ema": "compile(ema=...)",
    "gradient_accumulation_steps": "compile(accumulate=...)",
}


class OptimizerFactory(ABC):
    """Makes the optimizer of a net, once the net's sizes are known; made by `resolve_optimizer` or ``ec.optim.SGD``.

    Attributes
    ----------
    name : str
        ``"SGD"``, or the function's own name.

    Examples
    --------
    >>> factory = resolve_optimizer("sgd", lr=0.5)
    >>> factory.name
    'SGD'
    >>> factory(nn.Linear(2, 3)).param_groups[0]["lr"]
    0.5
    """

    name: str

    @abstractmethod
    def __call__(self, net: nn.Module, extra_parameters: Iterable[nn.Parameter] = ()) -> Optimizer:
        """Optimizer of the parameters of ``net`` that can be trained, in the order of ``net.parameters()``.

        Parameters
        ----------
        net : nn.Module
            Its sizes must be known.
        extra_parameters : iterable of nn.Parameter
            More to train: those of a loss.

        Raises
        ------
        StateError
            When there is nothing to train: no parameters, or all of them frozen.
        ArgumentError
            When the optimizer refuses the parameters, or has parameters that are not the net's.
        """

    @abstractmethod
    def with_lr(self, lr: float) -> "OptimizerFactory":
        """The same with another learning rate."""

    @property
    def lr(self) -> float:
        """The learning rate that it gives."""
        raise ArgumentError(_NOT_FINE.format(name=self.name))

    def fine(self, lr: float, decay: float) -> "OptimizerFactory":
        """The same at another rate, which gets smaller from layer to layer towards the input.

        Raises
        ------
        ArgumentError
            When the optimizer is not made here.
        """
        raise ArgumentError(_NOT_FINE.format(name=self.name))

    @property
    def existing(self) -> Optimizer | None:
        """The optimizer, where it exists before the net is trained."""
        return None

    def uses(self, optimizer: Optimizer) -> bool:
        """Whether the factory gives ``optimizer`` itself, with what it has gathered."""
        return False

    def adopt(self, optimizer: Optimizer, net: nn.Module) -> None:
        """Take in parameters that have become trainable since ``optimizer`` was made: unfrozen, or of a new layer.

        Raises
        ------
        StateError
            When there is nothing to train any more.
        """
        parameters = list(net.parameters())
        check_some_trainable(parameters)
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        new = [parameter for parameter in parameters if parameter.requires_grad and id(parameter) not in held]
        if new:
            optimizer.add_param_group({"params": new, "lr": optimizer.param_groups[0]["lr"]})


class FromClass(OptimizerFactory):
    """A class of ``torch.optim``, its arguments, and how the parameters are grouped."""

    def __init__(self, cls: type[Optimizer], arguments: dict[str, Any], groups: GroupsLike = None) -> None:
        self.name = cls.__name__
        self._class = cls
        self._arguments = arguments
        self._groups = groups
        _check_arguments(cls, arguments)
        self._grouping = make_grouping(groups)
        if self._grouping is not None:
            self._grouping.check(cls, arguments)

    def __call__(self, net: nn.Module, extra_parameters: Iterable[nn.Parameter] = ()) -> Optimizer:
        """Optimizer of the parameters that can be trained; with groups, those of a loss have one of their own."""
        make = functools.partial(make_optimizer, self._class, self._arguments)
        split = None if self._grouping is None else functools.partial(self._split, self._grouping)
        return build(make, self.name, net, extra_parameters, split=split)

    def _split(self, grouping: Grouping, net: nn.Module) -> list[Group]:
        groups = [self._with_rate(group) for group in grouping(net, self._class)]
        for group in groups:  # torch does not look at the settings of a group
            settings = {key: value for key, value in group.items() if key in arguments_of(self._class)}
            _check_arguments(self._class, {**self._arguments, **settings})
        return groups

    def _with_rate(self, group: Group) -> Group:
        """A group that says how its rate stands to the optimizer's, with the rate itself."""
        settings = dict(group)
        relative = settings.pop("relative_lr", None)
        if relative is None:
            return group
        if "lr" in group:
            raise ArgumentError(
                f"A parameter group has lr={group['lr']!r} and relative_lr={relative!r}. Give one of them: the rate, "
                "or how it stands to the optimizer's."
            )
        base = self._arguments.get("lr", arguments_of(self._class)["lr"].default)
        return {**settings, "lr": base * check_number("relative_lr", relative, above=0)}

    @property
    def lr(self) -> float:
        """The learning rate: given, or torch's default."""
        return float(self._arguments.get("lr", arguments_of(self._class)["lr"].default))

    def fine(self, lr: float, decay: float) -> OptimizerFactory:
        """The same at another rate, layer by layer, also within groups of the user's."""
        rates = layerwise(decay)
        groups = rates if self._grouping is None else WithinGroups(self._grouping, rates, self.lr)
        return FromClass(self._class, {**self._arguments, "lr": lr}, groups)

    def adopt(self, optimizer: Optimizer, net: nn.Module) -> None:
        """Take in parameters that have become trainable, each into its group."""
        if self._grouping is None:
            super().adopt(optimizer, net)
        else:
            check_some_trainable(net.parameters())
            adopt_into_groups(optimizer, self._split(self._grouping, net))

    def with_lr(self, lr: float) -> OptimizerFactory:
        """The same with a learning rate, unless it has one."""
        if "lr" in self._arguments:
            raise ArgumentError(
                f"The learning rate is given twice: lr={lr:g} and ec.optim.{self.name}(lr={self._arguments['lr']!r}). "
                "Give it once."
            )
        return FromClass(self._class, {**self._arguments, "lr": lr}, self._groups)

    def __repr__(self) -> str:
        shown = [f"{key}={value!r}" for key, value in self._arguments.items()]
        if self._grouping is not None:
            shown.append(f"groups={self._grouping.name}")
        return f"{self.name}({', '.join(shown)})"


class _FromCallable(OptimizerFactory):
    """Any function from parameters to an optimizer."""

    def __init__(self, function: Callable[..., Any]) -> None:
        bare = getattr(function, "func", function)
        self.name = getattr(bare, "__name__", type(bare).__name__)
        self._function = function

    def __call__(self, net: nn.Module, extra_parameters: Iterable[nn.Parameter] = ()) -> Optimizer:
        return build(self._function, self.name, net, extra_parameters)

    def with_lr(self, lr: float) -> OptimizerFactory:
        try:
            inspect.signature(self._function).bind([], lr=lr)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"lr={lr:g} was given together with the function {self.name!r}, which takes no lr. Set the learning "
                "rate in the function."
            ) from error
        return _FromCallable(functools.partial(self._function, lr=lr))

    def __repr__(self) -> str:
        return self.name


class _FromInstance(OptimizerFactory):
    """An optimizer that exists already; it is checked against the net and used as it is."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.name = type(optimizer).__name__
        self._optimizer = optimizer

    def __call__(self, net: nn.Module, extra_parameters: Iterable[nn.Parameter] = ()) -> Optimizer:
        own = {id(parameter) for parameter in (*net.parameters(), *extra_parameters)}
        held = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        foreign = sum(id(parameter) not in own for parameter in held)
        if foreign:
            raise ArgumentError(
                f"{foreign} of the {len(held)} parameters of the optimizer {self.name} do not belong to this net. Make "
                f"it from this net's parameters, torch.optim.{self.name}(net.parameters(), ...), or let compile() do "
                f'it: optimizer="{self.name.lower()}" or ec.optim.{self.name}(...).'
            )
        check_some_trainable(held)
        return self._optimizer

    @property
    def existing(self) -> Optimizer | None:
        """The user's optimizer."""
        return self._optimizer

    def uses(self, optimizer: Optimizer) -> bool:
        """Whether it is this very optimizer."""
        return optimizer is self._optimizer

    def adopt(self, optimizer: Optimizer, net: nn.Module) -> None:
        """What the user's own optimizer trains is the user's choice."""
        check_some_trainable(net.parameters())

    def with_lr(self, lr: float) -> OptimizerFactory:
        raise ArgumentError(
            f"lr={lr:g} was given together with an optimizer that exists already, {describe(self._optimizer)}. Set the "
            f"learning rate there, or pass ec.optim.{self.name}(lr={lr:g})."
        )

    def __repr__(self) -> str:
        return describe(self._optimizer)


def resolve_optimizer(optimizer: Any, lr: float | None = None) -> OptimizerFactory:
    """What ``compile(optimizer=..., lr=...)`` means.

    Parameters
    ----------
    optimizer : str, type of Optimizer, callable, OptimizerFactory or Optimizer
        The name of a class of ``torch.optim`` in any case; such a class; any function that takes parameters and
        returns an optimizer; ``ec.optim.SGD(...)``; or an optimizer whose parameters are the net's.
    lr : float, optional
        Learning rate, above 0; torch's default where it is left out.

    Returns
    -------
    OptimizerFactory

    Raises
    ------
    UnknownNameError
        For a name that is not in ``torch.optim``; the nearest are suggested.
    ArgumentError
        For a bad learning rate, for one that is given twice, and for ``LBFGS``.
    ArgumentTypeError
        For anything else.

    Examples
    --------
    >>> net = nn.Linear(2, 1)
    >>> describe(resolve_optimizer("sgd", lr=0.5)(net))
    'SGD(lr=0.5)'
    """
    factory = _factory(optimizer)
    return factory if lr is None else factory.with_lr(_check_lr(lr))


def _factory(optimizer: Any) -> OptimizerFactory:
    if isinstance(optimizer, OptimizerFactory):
        return optimizer
    refuse_lbfgs(optimizer)
    if isinstance(optimizer, str):
        return FromClass(look_up(optimizer, _BY_NAME, "optimizer"), {})
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer) and optimizer is not Optimizer:
        return FromClass(optimizer, {})
    if optimizer is Optimizer:
        raise ArgumentTypeError(
            "optimizer must be one of the classes of torch.optim, like torch.optim.SGD, got its base."
        )
    if isinstance(optimizer, Optimizer):
        return _FromInstance(optimizer)
    if callable(optimizer) and not isinstance(optimizer, nn.Module):
        if hasattr(optimizer, "torch_class"):  # ec.optim.SGD without its brackets
            return FromClass(optimizer.torch_class, {})
        return _FromCallable(optimizer)
    raise ArgumentTypeError(
        "optimizer must be a name like 'adam', a class of torch.optim, ec.optim.SGD(...), a function from parameters "
        f"to an optimizer, or an optimizer, got {optimizer!r} ({type(optimizer).__name__})."
    )


def _check_lr(lr: Any) -> float:
    if isinstance(lr, (int, float)) and not isinstance(lr, bool) and lr == 0:
        raise ArgumentError("lr must be more than 0, got 0: nothing would change.")
    return check_number("lr", lr, above=0)


def _check_arguments(cls: type[Optimizer], arguments: dict[str, Any]) -> None:
    """Refuse now what torch would refuse when it meets the parameters."""
    known = arguments_of(cls)
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
    for word in arguments:
        if word not in known and not takes_any:
            hint = f"Use {_KERAS_WORDS[word]}." if word in _KERAS_WORDS else suggest(word, [*known, "groups"])
            raise ArgumentError(f"{cls.__name__} has no argument {word!r}. {hint}")
    if arguments.get("lr") is not None and not isinstance(arguments["lr"], Tensor):
        _check_lr(arguments["lr"])
    try:
        cls([nn.Parameter(torch.zeros(1, 1))], **arguments)
    except (ValueError, TypeError) as error:
        listed = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise ArgumentError(f"{cls.__name__}({listed}) is not possible: {error}") from error
    except RuntimeError:  # fused=True and the like depend on the device, which is not known yet
        pass
