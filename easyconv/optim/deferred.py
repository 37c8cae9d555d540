"""``ec.optim.SGD`` and its like, made from the classes of ``torch.optim``."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from easyconv.errors import ArgumentTypeError
from easyconv.optim.factory import CLASSES, FromClass, OptimizerFactory
from easyconv.optim.groups import GroupsLike
from easyconv.optim.rates import arguments_of

__all__ = ["deferred"]

_GROUPS = """groups : "no_bias_decay" or callable, optional
    How the parameters are grouped: a name, or a function from the net to a list of dicts, each with ``"params"`` and
    the settings in which the group differs, like ``{"params": [...], "lr": 0.01}``. Each trainable parameter must be in
    one group. ``"no_bias_decay"`` leaves biases and norms out of weight decay, see `no_bias_decay`. Parameters of a
    loss are in a group of their own, with the optimizer's settings. All are in one group by default.
"""


@functools.cache
def deferred(name: str) -> Callable[..., OptimizerFactory]:
    """``ec.optim.<name>``: torch's class without its first argument."""
    cls = CLASSES[name]
    parameters = arguments_of(cls)

    def make(*positional: Any, groups: GroupsLike = None, **arguments: Any) -> OptimizerFactory:
        if positional and not isinstance(positional[0], (int, float)):
            raise ArgumentTypeError(
                f"ec.optim.{name} takes no parameters to train: compile() adds them. Write ec.optim.{name}(lr=...), or "
                f"pass torch.optim.{name}(net.parameters(), ...) itself."
            )
        if positional:
            raise ArgumentTypeError(
                f"ec.optim.{name} takes its arguments by name: ec.optim.{name}(lr={positional[0]})."
            )
        return FromClass(cls, arguments, groups)

    make.__name__ = make.__qualname__ = name
    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters.values()]
    keyword.append(inspect.Parameter("groups", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=GroupsLike))
    make.__signature__ = inspect.Signature(keyword, return_annotation=OptimizerFactory)  # type: ignore[attr-defined]
    make.torch_class = cls  # type: ignore[attr-defined]
    make.__doc__ = (
        f"``torch.optim.{name}`` with its arguments now and its parameters later.\n\n"
        f"Takes the arguments of ``torch.optim.{name}`` by name, without ``params``; bad ones are refused at once.\n\n"
        f"Parameters\n----------\n{_GROUPS}\n"
        f"Returns\n-------\nOptimizerFactory\n    For ``compile(optimizer=...)``.\n\n"
        f"Raises\n------\nArgumentError\n    For an argument that does not exist or that torch refuses.\n"
        f"UnknownNameError, ArgumentTypeError\n    For ``groups`` that are no known name and no function.\n\n"
        f"Examples\n--------\n>>> {name}(lr=0.01)\n{name}(lr=0.01)\n"
    )
    return make
