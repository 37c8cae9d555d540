"""What layers share that find their sizes at the first forward pass and then become plain ``torch.nn`` layers.

`SeededLazy` goes in front of torch's own lazy classes and adds what those lack: initial values drawn from a seed that
is taken when the layer is made (so that the order in which sizes become known changes nothing, and neither does the
device), and sizes that are known as soon as a ``state_dict`` is loaded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from easyconv.errors import NotBuiltError

__all__ = [
    "SeededLazy",
    "Undecided",
    "become",
    "draw_seed",
    "drawn_from",
    "is_built",
    "is_unbuilt_layer",
    "require_built",
    "unbuilt_layers",
]


def draw_seed() -> int:
    """One number from torch's global CPU generator, from which a layer will draw its initial values."""
    return int(torch.randint(2**63 - 1, (), dtype=torch.int64, device="cpu"))


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Draw from ``seed`` on the CPU inside the block; the global state is given back after it."""
    state = torch.get_rng_state()
    # not torch.manual_seed: that would seed the generators of all devices too
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


class Undecided:
    """Mark of a module whose kind (not only its size) is decided at the first forward pass."""


def become(module: nn.Module, plain: type[nn.Module]) -> None:
    """Turn a lazy module into ``plain`` in place; nothing of its lazy life is left."""
    for name in ("_initialize_hook", "_load_hook"):
        handle = module.__dict__.pop(name, None)
        if handle is not None:
            handle.remove()
    for name in ("_seed", "init"):
        module.__dict__.pop(name, None)
    module.__class__ = plain


class SeededLazy(LazyModuleMixin):
    """What torch's lazy modules lack: seeded initial values, and sizes taken from a loaded ``state_dict``."""

    init: Callable[[nn.Module], None] | None = None
    """Fills the layer in place of torch's own initial values."""
    _seed: int
    _parameters: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[misc]
        self._seed = draw_seed()

    def plain_class(self) -> type[nn.Module] | None:
        """The class to become, or None as long as it cannot be known."""
        found: type[nn.Module] | None = self.cls_to_become
        return found

    def adopt_sizes(self) -> None:
        """Set the attributes that hold sizes from the parameters, which have just been loaded."""
        raise NotImplementedError

    def fits(self, name: str, shape: torch.Size) -> bool:
        """Whether a loaded tensor has the sizes that are known already."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Draw the initial values on the CPU, in single precision, from the seed taken at construction."""
        if "_seed" not in self.__dict__ or self.has_uninitialized_params():  # type: ignore[misc]
            return
        kept = dict(self._parameters)
        if all(value is None or value.is_meta for value in kept.values()):
            return
        for name, value in kept.items():
            if value is not None:
                self._parameters[name] = nn.Parameter(torch.empty(value.shape, dtype=torch.float32, device="cpu"))
        try:
            with drawn_from(self._seed):
                super().reset_parameters()  # type: ignore[misc]
                if self.init is not None:
                    self.init(self)  # type: ignore[arg-type]
            with torch.no_grad():
                for name, value in kept.items():
                    if value is not None:
                        value.copy_(self._parameters[name])
        finally:
            self._parameters.update(kept)

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any = None) -> None:
        # a first forward inside inference_mode must not leave parameters that can never be trained
        with torch.inference_mode(False), torch.no_grad():
            module.initialize_parameters(*args, **(kwargs or {}))
        become(module, module.plain_class())

    def _lazy_load_hook(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        tensors = {**self._parameters, **self._buffers}  # type: ignore[attr-defined]
        waiting = {name: tensor for name, tensor in tensors.items() if is_lazy(tensor)}
        given = {name: state_dict.get(prefix + name) for name in waiting}
        if any(value is None or is_lazy(value) for value in given.values()):
            return
        wrong = [name for name, value in given.items() if not self.fits(name, value.shape)]  # type: ignore[union-attr]
        if wrong:
            shapes = ", ".join(f"{prefix}{name} {tuple(given[name].shape)}" for name in wrong)  # type: ignore[union-attr]
            error_msgs.append(f"size mismatch: the file holds {shapes}, which does not fit {self}.")
            return
        for name, tensor in waiting.items():
            tensor.materialize(given[name].shape)  # type: ignore[union-attr]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        lazy_before = self.has_uninitialized_params()  # type: ignore[misc]
        super()._load_from_state_dict(state_dict, prefix, *args)  # type: ignore[misc]
        if lazy_before and not self.has_uninitialized_params():  # type: ignore[misc]
            self.adopt_sizes()
            plain = self.plain_class()
            if plain is not None:
                become(self, plain)  # type: ignore[arg-type]


def is_unbuilt_layer(module: nn.Module) -> bool:
    """Whether ``module`` itself (not its children) still waits for its first input."""
    if isinstance(module, Undecided) or (isinstance(module, LazyModuleMixin) and hasattr(module, "_initialize_hook")):
        return True
    own = [*module._parameters.values(), *module._buffers.values()]
    return any(isinstance(tensor, (UninitializedParameter, UninitializedBuffer)) for tensor in own)


def unbuilt_layers(net: nn.Module) -> list[str]:
    """Dotted names of the layers of ``net`` whose sizes are not known yet.

    Examples
    --------
    >>> from easyconv import layers
    >>> unbuilt_layers(nn.Sequential(layers.Conv2D(8, 3), nn.ReLU()))
    ['0']
    """
    return [name for name, module in net.named_modules() if is_unbuilt_layer(module)]


def is_built(net: nn.Module) -> bool:
    """Whether the sizes of all layers of ``net`` are known.

    Examples
    --------
    >>> is_built(nn.Linear(2, 3)), is_built(nn.LazyLinear(3))
    (True, False)
    """
    return not any(is_unbuilt_layer(module) for module in net.modules())


def require_built(net: nn.Module, action: str) -> None:
    """Check that all sizes are known.

    Parameters
    ----------
    net : torch.nn.Module
        The net.
    action : str
        What needs them, for the message: ``"summary()"``.

    Raises
    ------
    NotBuiltError
        When some are not; the message names the layers and says what to do.
    """
    waiting = unbuilt_layers(net)
    if not waiting:
        return
    shown = ", ".join(repr(name) if name else type(net).__name__ for name in waiting[:5])
    more = f" and {len(waiting) - 5} more" if len(waiting) > 5 else ""
    raise NotBuiltError(
        f"{action} needs the sizes of all layers, but the inputs of {shown}{more} are not known yet. "
        "Call build((channels, height, width)) (no batch dimension), pass input_shape= when you make the model, "
        "or give it data first: fit, evaluate and predict build it."
    )
