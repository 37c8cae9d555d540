"""The classic nets, one file per paper; each reads like the table of its paper."""

from easyconv.names import suggest

__all__: list[str] = []


def __getattr__(name: str) -> object:
    hint = f" {suggest(name, __all__)}" if not name.startswith("_") else ""
    raise AttributeError(f"easyconv.zoo has no net {name!r}.{hint}")
