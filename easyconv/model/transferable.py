"""What transfer learning does to a model: layers frozen, and a head for other classes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from easyconv.arguments import check_integer
from easyconv.data.class_names import checked_names
from easyconv.errors import ArgumentError, ArgumentTypeError, LayerNotFoundError
from easyconv.layers import freezing
from easyconv.layers.build import dry_run
from easyconv.layers.heads import Head, exchanged, find_head, heads_of, replaced
from easyconv.layers.trace import FORWARD_ERRORS
from easyconv.model.buildable import Buildable
from easyconv.nested import leaves

__all__ = ["Transferable"]


class Transferable(Buildable):
    """A module of which parts can be frozen, and whose head can be replaced; :class:`Model` trains it."""

    _head_name: str | None = None
    """What ``replace_head(layer=...)`` named, where the head is not the last layer with weights."""

    def freeze(self, *layers: str | nn.Module, until: str | nn.Module | None = None) -> None:
        """Stop training some layers, all that come before one, or the whole net.

        Their parameters get no gradients, and their batch norms keep their statistics, also through ``train()``.

        Parameters
        ----------
        *layers : str or torch.nn.Module
            Dotted names, or the layers themselves; the whole net where none is given.
        until : str or torch.nn.Module, optional
            A layer: all that comes before it, in the order in which the net was put together, is frozen; the layer
            itself and what follows is trained, also where it was frozen. So one can go down layer by layer.

        Raises
        ------
        LayerNotFoundError
            When there is no such layer.
        ArgumentError
            When both ``layers`` and ``until`` are given.

        Examples
        --------
        >>> import easyconv as ec
        >>> model = ec.Sequential([ec.layers.Dense(4), ec.layers.Dense(2)], input_shape=(3,))
        >>> model.freeze("0")
        >>> model.count_params(trainable=True)
        10
        """
        if until is not None:
            if layers:
                raise ArgumentError("freeze() takes layers, or until= for all that come before one, not both.")
            net, chosen = self._own_net(), self._chosen([until])[0]
            freezing.freeze_before(net, next((path for path, part in net.named_modules() if part is chosen), ""))
            return
        for layer in self._chosen(layers):
            freezing.freeze(layer)

    def unfreeze(self, *layers: str | nn.Module) -> None:
        """Train some layers again, or all of them; see :meth:`freeze`.

        Parameters
        ----------
        *layers : str or torch.nn.Module
            Dotted names, or the layers themselves; the whole net where none is given.
        """
        for layer in self._chosen(layers):
            freezing.unfreeze(layer)

    def replace_head(
        self, num_classes: int, *, layer: str | None = None, class_names: Sequence[str] | None = None
    ) -> "Transferable":
        """Put a new last classifier in the place of the old one, for other classes; all else stays the same objects.

        The new one is of the same kind (a dense layer, a 1x1 convolution), drawn anew by torch's own rule, on the same
        device, and trained. Auxiliary heads that answer with as many classes (GoogLeNet's, Inception's) go along.

        Parameters
        ----------
        num_classes : int
            Number of classes.
        layer : str, optional
            Dotted name of the classifier, where it is not the last layer with weights. ``fine_tune`` and ``embed``
            remember it.
        class_names : sequence of str, optional
            Names of the new classes, which go into ``model.preprocessing``; the old names are forgotten in any case.

        Returns
        -------
        Model
            This model.

        Raises
        ------
        LayerNotFoundError
            When there is no classifier, or no layer of that name.
        ArgumentError
            When the new head does not decide what the net gives; nothing is changed then. When there are more or fewer
            names than classes, or no ``preprocessing`` to keep them.
        ArgumentTypeError, LabelError
            When ``class_names`` is no list of text, or has a name twice.

        Examples
        --------
        >>> import easyconv as ec
        >>> model = ec.zoo.resnet18(num_classes=10, small=True).replace_head(2)
        >>> model.get_layer("fc")
        Linear(in_features=512, out_features=2, bias=True)
        """
        check_integer("num_classes", num_classes, minimum=1)
        names = _names_for(num_classes, class_names)
        if names is not None and self._preprocessing is None:
            raise ArgumentError(
                "class_names are kept by model.preprocessing, and this model has none. Set it first, "
                "model.preprocessing = ec.data.Preprocessing(function), or leave them out: a data set of ec.data that "
                "is passed to fit() brings its own."
            )
        net, head = self._own_net(), self._head(layer)
        layers = {old.layer: replaced(old, num_classes) for old in heads_of(net, head)}
        with exchanged(net, layers):
            self._check_answers(num_classes, head)
        self._hand_over(
            {
                parameter: new.get_parameter(name)
                for old, new in layers.items()
                for name, parameter in old.named_parameters(recurse=False)
            }
        )
        if layer is not None:
            self._head_name = layer
        if self._preprocessing is not None:
            self._preprocessing = replace(self._preprocessing, categories=names)
        return self

    def _hand_over(self, pairs: Mapping[Tensor, Tensor]) -> None:
        """Whoever trains parameters that are the net's no longer gets those in their places."""

    def _head(self, layer: str | None = None) -> Head:
        name = self._head_name if layer is None else layer
        return find_head(self._own_net(), None if name is None else self._short(name))

    def _check_answers(self, num_classes: int, head: Head) -> None:
        """Refuse a head that does not decide how many classes the net answers with, where its inputs are known."""
        if self._inputs is None:
            return
        wrong = f"The layer {head.name!r} is not the head: with {num_classes} outputs there, the net "
        remedy = ". Nothing was changed. Name the right one: layer='...'."
        try:
            output = dry_run(self._own_net(), self._example())
        except FORWARD_ERRORS as error:
            raise ArgumentError(f"{wrong}does not fit together any more{remedy}") from error
        shapes = [tuple(leaf.shape) for _, leaf in leaves(output) if isinstance(leaf, Tensor)]
        if not any(shape[1:2] == (num_classes,) for shape in shapes):
            listed = ", ".join(map(str, shapes))
            raise ArgumentError(f"{wrong}gives the shape{'s' * (len(shapes) > 1)} {listed}{remedy}")

    def _chosen(self, layers: Iterable[str | nn.Module]) -> list[nn.Module]:
        chosen = [self.get_layer(layer) if isinstance(layer, str) else _checked_layer(layer) for layer in layers]
        own = set(self.modules())
        for layer in chosen:
            if layer not in own:
                raise LayerNotFoundError(
                    f"This model has no layer {layer!r}; pass a dotted name or a layer of its own."
                )
        return chosen or [self]


def _names_for(num_classes: int, class_names: Sequence[str] | None) -> tuple[str, ...] | None:
    names = checked_names(class_names, None)
    if names is not None and len(names) != num_classes:
        raise ArgumentError(f"class_names must be {num_classes} names, one per class, got {len(names)}.")
    return names


def _checked_layer(layer: object) -> nn.Module:
    if isinstance(layer, nn.Module):
        return layer
    raise ArgumentTypeError(
        f"freeze() and unfreeze() take dotted names or layers, each as an argument of its own: freeze('0', '1'); got "
        f"{layer!r} ({type(layer).__name__})."
    )
