"""What a model is before it is trained: a module whose sizes are inferred, with names for its layers."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from easyconv.arguments import check_integer
from easyconv.data.preprocessing import Preprocessing
from easyconv.errors import ArgumentError, ArgumentTypeError, LayerNotFoundError, NotBuiltError, StateError
from easyconv.layers.build import device_and_dtype, dry_run, example_of
from easyconv.layers.initializers import InitLike, initialize, make_init
from easyconv.layers.keeping import call
from easyconv.layers.lazy import is_built, require_built
from easyconv.layers.trace import FORWARD_ERRORS, explain
from easyconv.model.reserved import check_name_is_free, is_read_only
from easyconv.names import suggest
from easyconv.nested import map_tree

if TYPE_CHECKING:
    from easyconv.summary import Summary

__all__ = ["Buildable"]


class Buildable(nn.Module):
    """A module whose sizes are inferred and whose layers can be asked for; :class:`Model` adds training.

    Parameters
    ----------
    net : torch.nn.Module, optional
        The module to wrap. Left out by subclasses that define ``forward``.
    input_shape : tuple of int, or nested tuple or dict of shapes, optional
        Shape of one sample, channels first and without the batch.
    name : str, optional
        What summaries call the model.
    init : str or callable, optional
        Initial weights of convolutions and dense layers.
    """

    def __init__(
        self, net: nn.Module | None = None, *, input_shape: Any = None, name: str | None = None, init: InitLike = None
    ) -> None:
        super().__init__()
        self._inputs: Any = None
        """One row of what the net takes, on the meta device: shapes and types without memory."""
        self._declared_shape = input_shape
        self._declared_init = make_init(init) and init
        self._name = _checked_name(name)
        self._preprocessing: Preprocessing | None = None
        if net is not None:
            self.net = _checked_net(net, type(self))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _building_at_the_end(cls.__init__)  # type: ignore[method-assign]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the wrapped net; subclasses define their own."""
        net = self._modules.get("net")
        if net is None:
            raise StateError(
                f"{type(self).__name__} has no forward(). Define forward(self, x) in the class, or wrap a module: "
                "Model(net)."
            )
        # A dict of inputs is handed over as the net wants it: by names, or whole.
        return call(net, kwargs) if kwargs and not args else net(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the net; where a layer fails, name it and show the shapes up to it."""
        try:
            return super().__call__(*args, **kwargs)
        except FORWARD_ERRORS as error:
            # While torch traces code it reads the errors itself.
            cause = None if torch.compiler.is_compiling() else _first_cause(error)
            explained = None if cause is None else explain(self._own_net(), args, kwargs, cause)
            if explained is None:
                raise
            raise explained from cause

    def build(self, input_shape: Any) -> "Buildable":
        """Infer all sizes from the shape of one sample.

        Parameters
        ----------
        input_shape : tuple of int, or nested tuple or dict of shapes
            Channels first and without the batch dimension: ``(3, 32, 32)``.

        Returns
        -------
        Model
            This model.

        Raises
        ------
        ShapeError
            When a layer cannot take what reaches it; nothing is left half built.
        ArgumentError, ArgumentTypeError
            When ``input_shape`` is no shape, has a batch dimension, or its channels last.

        Examples
        --------
        >>> import easyconv as ec
        >>> model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(10)]).build((1, 8, 8))
        >>> model[1]
        Linear(in_features=64, out_features=10, bias=True)
        """
        example = example_of(input_shape, self._own_net())
        dry_run(self._own_net(), example)
        self._note_inputs(example)
        return self

    @property
    def name(self) -> str:
        """What summaries call the model."""
        return self._name or type(self).__name__

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"name must be text, got {name!r} ({type(name).__name__}).")
        self._name = name

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What turns pictures into what the net was trained on; nets with ``weights="imagenet"`` have one."""
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, preprocessing: Preprocessing | None) -> None:
        if not isinstance(preprocessing, (Preprocessing, type(None))):
            raise ArgumentTypeError(
                f"preprocessing must be an ec.data.Preprocessing or None, got {preprocessing!r} "
                f"({type(preprocessing).__name__}). Write ec.data.Preprocessing(function)."
            )
        self._preprocessing = preprocessing

    def get_layer(self, name: str | None = None, index: int | None = None) -> nn.Module:
        """A layer by its dotted name, or a direct child by its index.

        Parameters
        ----------
        name : str, optional
            As in ``named_modules()``: ``"features.0"``.
        index : int, optional
            Position among the direct children; negative ones count from the end.

        Raises
        ------
        LayerNotFoundError
            When there is none; the nearest names are suggested.
        ArgumentError
            When both or neither are given.

        Examples
        --------
        >>> import easyconv as ec
        >>> ec.Sequential([("stem", ec.layers.Activation("relu"))]).get_layer("stem")
        ReLU()
        """
        if (name is None) == (index is None):
            raise ArgumentError("get_layer() takes either name= or index=.")
        net = self._own_net()
        if name is not None:
            layers: dict[str, nn.Module] = {
                layer_name: layer for layer_name, layer in net.named_modules() if layer_name
            }
            short = self._short(name)
            if short not in layers:
                raise LayerNotFoundError(f"There is no layer {name!r}. {suggest(short, layers)}")
            return layers[short]
        children: list[nn.Module] = list(net.children())
        if isinstance(index, bool) or not isinstance(index, int) or not -len(children) <= index < len(children):
            raise LayerNotFoundError(f"There is no layer with index {index!r}: the net has {len(children)} layers.")
        return children[index]

    def count_params(self, *, trainable: bool | None = None) -> int:
        """Number of parameters.

        Parameters
        ----------
        trainable : bool, optional
            Count only those that are trained (``True``) or frozen (``False``).

        Raises
        ------
        NotBuiltError
            When sizes are not known yet.
        """
        from easyconv.measure import count_parameters

        self._complete("count_params()")
        return count_parameters(self, trainable=trainable)

    def summary(self, *, input_shape: Any = None, depth: int = 3) -> "Summary":
        """Print a table of the layers: shapes, parameters, multiply-adds, receptive fields.

        Parameters
        ----------
        input_shape : tuple of int, or nested tuple or dict of shapes, optional
            Shape of one sample; by default that of ``build`` or of the data last seen.
        depth : int, default 3
            Levels of nested layers to show.

        Returns
        -------
        Summary
            The table's rows and totals, for programs.

        Raises
        ------
        NotBuiltError
            When nobody has said yet what the inputs look like.
        """
        from easyconv.summary import summarize

        if input_shape is not None:
            self.build(input_shape)
        self._complete("summary()")
        if self._inputs is None:
            raise NotBuiltError(
                "summary() needs the shape of the inputs, and this model has seen none yet. Pass it: "
                "summary(input_shape=(3, 32, 32)), channels first and without the batch."
            )
        table = summarize(
            self._own_net(), self._example(), title=self.name, depth=check_integer("depth", depth, minimum=1)
        )
        print(table)
        return table

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (nn.Module, Tensor)) or is_read_only(name, type(self)):
            check_name_is_free(name, type(self))
        if name == "trainable" and isinstance(value, bool):
            raise ArgumentError(
                f"trainable={value} is Keras's word, which torch does not look at. Call model.freeze() or "
                "model.unfreeze(), with names of layers for a part of the model."
            )
        super().__setattr__(name, value)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """As in torch; names of ``Model``'s own attributes are refused."""
        check_name_is_free(name, type(self))
        super().register_buffer(name, tensor, persistent)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """As in torch; names of ``Model``'s own attributes are refused."""
        check_name_is_free(name, type(self))
        super().register_parameter(name, param)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """As in torch; names of ``Model``'s own attributes are refused."""
        check_name_is_free(name, type(self))
        super().add_module(name, module)

    def _complete(self, action: str) -> None:
        """Infer sizes that are missing still, where the inputs are known; layers may have been put in since."""
        if self._inputs is not None and not is_built(self):
            dry_run(self._own_net(), self._example())
        require_built(self, action)

    def _note_inputs(self, inputs: Any) -> None:
        """Remember the shapes and types of one row."""
        self._inputs = map_tree(lambda tensor: torch.empty_like(tensor[:1], device="meta"), inputs)

    def _example(self) -> Any:
        """One row of zeros of the shapes that were last seen, where the net is and in its precision."""
        device, dtype = device_and_dtype(self)

        def zeros(tensor: Tensor) -> Tensor:
            kind = dtype if tensor.is_floating_point() else tensor.dtype
            return torch.zeros(tensor.shape, dtype=kind, device=device)

        return map_tree(zeros, self._inputs)

    def _short(self, name: str) -> str:
        """The name of a layer in the net itself, without the wrapper's."""
        return str(name).removeprefix("net.") if self._wraps() else str(name)

    def _wraps(self) -> bool:
        return type(self).forward is Buildable.forward and "net" in self._modules

    def _own_net(self) -> nn.Module:
        """The wrapped net, or this model itself."""
        return self.net if self._wraps() else self


def _building_at_the_end(init: Callable[..., None]) -> Callable[..., None]:
    """The same constructor, which sees to ``init`` and ``input_shape`` once the subclass has made its layers."""

    @wraps(init)
    def constructor(self: Buildable, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        # Only the class that is being made knows when the last layer is there, not those that it derives from.
        if type(self).__init__ is not constructor:
            return
        initialize(self, self.__dict__.pop("_declared_init", None))
        shape = self.__dict__.pop("_declared_shape", None)
        if shape is not None:
            self.build(shape)

    return constructor


def _first_cause(error: BaseException) -> BaseException:
    """What failed at first, where a model inside this one has explained it already by a name of its own."""
    return error.__cause__ if hasattr(error, "layer") and error.__cause__ is not None else error


def _checked_name(name: str | None) -> str | None:
    if name is None or isinstance(name, str):
        return name
    raise ArgumentTypeError(f"name must be text, got {name!r} ({type(name).__name__}).")


def _checked_net(net: object, cls: type) -> nn.Module:
    if isinstance(net, type) and issubclass(net, nn.Module):
        raise ArgumentTypeError(
            f"{cls.__name__}() takes an object, got the class {net.__name__}; write {net.__name__}()."
        )
    if not isinstance(net, nn.Module):
        raise ArgumentTypeError(
            f"{cls.__name__}() takes a torch.nn.Module, got {net!r} ({type(net).__name__}). For a list of layers use "
            "Sequential([...])."
        )
    return net
