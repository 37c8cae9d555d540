"""Names that a subclass of ``Model`` cannot give to its layers."""

from typing import Any

from easyconv.errors import ReservedNameError

__all__ = ["check_name_is_free", "is_read_only"]

HOME = "easyconv.model."


def check_name_is_free(name: str, cls: type) -> None:
    """Refuse a submodule, parameter or buffer that is named like a public attribute of ``Model``.

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
            f"{cls.__name__} cannot have a layer, parameter or value called {name!r}: that is {owner.__name__}.{name}. "
            f"Take another name, like {name}_layer or {name}_."
        )


def is_read_only(name: str, cls: type) -> bool:
    """Whether ``name`` is a property of ``Model`` that nothing can be assigned to."""
    attribute: Any = getattr(cls, name, None)
    return isinstance(attribute, property) and attribute.fset is None and _owner(name, cls) is not None


def _owner(name: str, cls: type) -> type | None:
    if name.startswith("_"):
        return None
    return next((base for base in cls.__mro__ if base.__module__.startswith(HOME) and name in vars(base)), None)
