"""Names that a subclass of ``Model`` cannot give to its layers."""

from typing import Any

from torch import nn

from easyconv.errors import ReservedNameError

__all__ = ["check_name_is_free", "is_read_only"]

HOME = "easyconv.model."


def check_name_is_free(name: str, cls: type) -> None:
    """Refuse a submodule, parameter or buffer that is named like a public attribute of ``Model``, torch's included.

    torch keeps such things apart from the attributes of the class, so ``model.history`` would go on being the history
    and the layer would be out of reach, in silence.

    Raises
    ------
    ReservedNameError
        Names the attribute, and another name.
    """
    owner = _owner(name, cls)
    if owner is not None:
        raise ReservedNameError(
            f"{cls.__name__} cannot have a layer, parameter or value called {name!r}: that is {_shown(owner)}.{name}. "
            f"Take another name, like {name}_layer or {name}_."
        )


def is_read_only(name: str, cls: type) -> bool:
    """Whether ``name`` is a property of ``Model`` that nothing can be assigned to."""
    attribute: Any = getattr(cls, name, None)
    return isinstance(attribute, property) and attribute.fset is None and _owner(name, cls) is not None


def _owner(name: str, cls: type) -> type | None:
    if name.startswith("_"):
        return None
    return next((base for base in cls.__mro__ if _is_reserving(base) and name in vars(base)), None)


def _is_reserving(base: type) -> bool:
    return base.__module__.startswith(HOME) or base in (nn.Module, nn.Sequential)


def _shown(owner: type) -> str:
    """The class as users know it: what a model can do before it is trained is ``Model``'s to them."""
    if owner in (nn.Module, nn.Sequential):
        return f"torch.nn.{owner.__name__}"
    return "Model" if owner.__module__ in (f"{HOME}buildable", f"{HOME}savable") else owner.__name__
