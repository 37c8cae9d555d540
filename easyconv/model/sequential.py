"""``Sequential``: a stack of layers that is a model."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn

from easyconv.errors import ArgumentError, ArgumentTypeError, LayerNotFoundError
from easyconv.layers.build import dry_run
from easyconv.layers.initializers import InitLike, initialize_waiting
from easyconv.model.model import Model

__all__ = ["Sequential"]


class Sequential(Model, nn.Sequential):
    """Layers one after the other; a :class:`Model`, and torch's ``nn.Sequential`` as well.

    Indexing, slicing, iterating and ``len`` work as in torch; ``layers``, ``add`` and ``pop`` as in Keras.

    Parameters
    ----------
    layers : list of layers, layers, or dict of name to layer
        A list, or the layers as arguments. A layer may be a pair ``("stem", layer)``.
    input_shape : tuple of int, optional
        Shape of one sample, channels first and without the batch; sizes are then inferred at once.
    name : str, optional
        What summaries call the model.
    init : str or callable, optional
        Initial weights of all convolutions and dense layers, as in :class:`Model`; of layers that are added later only
        where they wait for their sizes.

    Raises
    ------
    ArgumentTypeError
        When something is not a layer.
    ShapeError
        When a layer cannot take what reaches it; the message names the layer and shows the shapes up to it.

    Examples
    --------
    >>> import easyconv as ec
    >>> model = ec.Sequential([
    ...     ec.ConvBlock(32, pool=2),
    ...     ec.layers.Flatten(),
    ...     ("head", ec.layers.Dense(10)),
    ... ], input_shape=(1, 28, 28))
    >>> model.get_layer("head")
    Linear(in_features=6272, out_features=10, bias=True)
    >>> len(model[:2])
    2
    """

    def __init__(self, *layers: Any, input_shape: Any = None, name: str | None = None, init: InitLike = None) -> None:
        super().__init__(input_shape=input_shape, name=name, init=init)
        self._init: InitLike = None  # the constructor draws the weights of its own layers when all are there
        for layer_name, layer in _named(layers):
            self.add(layer, layer_name)
        self._init = init

    def forward(self, x: Any) -> Any:
        """Send ``x`` through the layers, one after the other."""
        for layer in self._modules.values():
            x = layer(x)
        return x

    @property
    def layers(self) -> list[nn.Module]:
        """The layers, in order."""
        return list(self)

    def add(self, layer: nn.Module, name: str | None = None) -> None:
        """Put a layer at the end. Where the shape of the inputs is known, its sizes are inferred at once.

        Parameters
        ----------
        layer : torch.nn.Module
            The layer.
        name : str, optional
            Its name; its number by default.

        Raises
        ------
        ArgumentTypeError
            When it is not a layer.
        ArgumentError
            When the name is taken or has a dot.
        ShapeError
            When it cannot take what reaches it; it is not added then.
        """
        if name is None:
            name = next(str(n) for n in range(len(self), 2 * len(self) + 1) if str(n) not in self._modules)
        if not isinstance(name, str) or not name or "." in name or name in self._modules:
            taken = " that is not taken yet" if name in self._modules else ""
            raise ArgumentError(f"The name of a layer must be text without a dot{taken}, got {name!r}.")
        self.add_module(name, self._initialized(layer))
        if self._inputs is not None:
            self._build_or_remove(name)

    def append(self, module: nn.Module) -> "Sequential":
        """Put a layer at the end, as in torch; returns the model."""
        self.add(module)
        return self

    def extend(self, sequential: Iterable[nn.Module]) -> "Sequential":
        """Put layers at the end, as in torch; returns the model."""
        for layer in list(sequential):
            self.add(layer)
        return self

    def insert(self, index: int, module: nn.Module) -> "Sequential":
        """Put a layer before the one at ``index``, as in torch; numbers move on, names stay.

        Raises
        ------
        LayerNotFoundError
            When there is no such place.
        """
        if not -len(self) <= index <= len(self):
            raise LayerNotFoundError(f"There is no place {index} to insert at: the model has {len(self)} layers.")
        pairs = list(self._modules.items())
        pairs.insert(index, ("0", self._initialized(module)))
        self._modules = _renumbered(pairs)
        return self

    def pop(self, key: int | slice = -1) -> nn.Module:
        """Take a layer out, the last one by default, and return it.

        Raises
        ------
        LayerNotFoundError
            When there is no such layer.
        """
        if not isinstance(key, slice) and (not isinstance(key, int) or not -len(self) <= key < len(self)):
            raise LayerNotFoundError(f"There is no layer with index {key!r} to pop: the model has {len(self)} layers.")
        return super().pop(key)

    def __getitem__(self, idx: Any) -> Any:
        # A slice is a plain stack: a subclass may have a constructor that takes something else than layers.
        if isinstance(idx, slice):
            return Sequential(dict(list(self._modules.items())[idx]))
        return super().__getitem__(idx)

    def __setitem__(self, idx: int, module: nn.Module) -> None:
        super().__setitem__(idx, self._initialized(module))

    def __delitem__(self, idx: int | slice) -> None:
        pairs = list(self._modules.items())
        del pairs[idx]
        self._modules = _renumbered(pairs)

    def __add__(self, other: Iterable[nn.Module]) -> "Sequential":
        return Sequential(*self, *other)

    def __iadd__(self, other: Iterable[nn.Module]) -> "Sequential":
        return self.extend(other)

    def _initialized(self, layer: Any) -> nn.Module:
        checked = _checked_layer(layer)
        initialize_waiting(checked, self._init)
        return checked

    def _build_or_remove(self, name: str) -> None:
        try:
            dry_run(self, self._example())
        except Exception:
            del self._modules[name]
            raise


def _renumbered(pairs: list[tuple[str, nn.Module]]) -> dict[str, nn.Module]:
    """Layers without a name are numbered by their place; names stay."""
    return {str(place) if name.isdigit() else name: layer for place, (name, layer) in enumerate(pairs)}


def _named(layers: tuple[Any, ...]) -> Iterator[tuple[str | None, Any]]:
    """Name and layer of whatever ``Sequential`` was given."""
    one = layers[0] if len(layers) == 1 else None
    if isinstance(one, (Mapping, nn.ModuleDict)):
        yield from one.items()
        return
    is_layer = isinstance(one, nn.Module) and not isinstance(one, nn.ModuleList)
    if not is_layer and not _is_pair(one) and isinstance(one, Iterable):
        layers = tuple(one)
    for layer in layers:
        yield layer if _is_pair(layer) else (None, layer)


def _is_pair(layer: Any) -> bool:
    return isinstance(layer, tuple) and len(layer) == 2 and isinstance(layer[0], str)


def _checked_layer(layer: Any) -> nn.Module:
    if isinstance(layer, nn.Module):
        return layer
    if isinstance(layer, type) or (callable(layer) and getattr(layer, "__module__", "").startswith("easyconv.layers")):
        raise ArgumentTypeError(f"A layer must be an object, got {layer.__name__} itself; write {layer.__name__}(...).")
    if callable(layer):
        raise ArgumentTypeError(
            f"A layer must be a torch.nn.Module, got the function {getattr(layer, '__name__', layer)!r}. Wrap it: "
            "ec.layers.Lambda(function)."
        )
    if isinstance(layer, (list, tuple)):
        raise ArgumentTypeError(
            f"A layer must be a torch.nn.Module, got a {type(layer).__name__}. Nest stacks with ec.Sequential([...]), "
            "name a layer with the pair ('name', layer)."
        )
    raise ArgumentTypeError(f"A layer must be a torch.nn.Module, got {layer!r} ({type(layer).__name__}).")
