"""Layers that are frozen or trained from some epoch on."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError
from easyconv.training.callback import Callback, Logs

__all__ = ["Freeze", "Unfreeze"]


class _AtEpoch(Callback):
    """Does something to layers once, before an epoch."""

    def __init__(self, *layers: str | nn.Module, epoch: int) -> None:
        super().__init__()
        self.layers = layers
        self.epoch = check_integer("epoch", epoch, minimum=0)
        self._done = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See that the layers are there."""
        self._done = False
        for layer in self.layers:
            if isinstance(layer, str):
                self.model.get_layer(layer)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Act, once the epoch is there."""
        if epoch >= self.epoch and not self._done:
            self._act()
            self._done = True

    def state_dict(self) -> dict[str, Any]:
        """Whether it is done."""
        return {"done": self._done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do again what was done: files of weights do not say what is frozen."""
        self._done = bool(state["done"])
        if self._done:
            self._act()

    def _act(self) -> None:
        raise NotImplementedError


class Freeze(_AtEpoch):
    """Stop training layers from some epoch on: ``model.freeze(*layers)`` in the midst of a ``fit``.

    Parameters
    ----------
    *layers : str or torch.nn.Module
        Dotted names, or the layers themselves; at least one.
    epoch : int
        Number of the first epoch with frozen layers; epochs count from 0.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When no layer is given, or ``epoch`` is not a whole number from 0 on.
    LayerNotFoundError
        When training begins and there is no such layer.

    References
    ----------
    Brock et al., "FreezeOut: Accelerate Training by Progressively Freezing Layers", 2017.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(4), ec.layers.Dense(2)])
    >>> model.compile("sgd")
    >>> history = model.fit(
    ...     torch.rand(8, 3), torch.arange(8) % 2, epochs=3, callbacks=Freeze("0", epoch=2), verbose=0
    ... )
    >>> [parameter.requires_grad for parameter in model.parameters()]
    [False, False, True, True]
    """

    def __init__(self, *layers: str | nn.Module, epoch: int) -> None:
        super().__init__(*layers, epoch=epoch)
        if not layers:
            raise ArgumentError("Freeze() needs at least one layer: Freeze('features', epoch=3).")

    def _act(self) -> None:
        self.model.freeze(*self.layers)


class Unfreeze(_AtEpoch):
    """Train layers from some epoch on: ``model.unfreeze(*layers)`` in the midst of a ``fit``.

    The optimizer takes up what it has not trained yet, each parameter in its group. For the usual two phases of
    transfer learning there is ``model.fine_tune``.

    Parameters
    ----------
    *layers : str or torch.nn.Module
        Dotted names, or the layers themselves; the whole net where none is given.
    epoch : int
        Number of the first epoch in which they are trained; epochs count from 0.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When ``epoch`` is not a whole number from 0 on.
    LayerNotFoundError
        When training begins and there is no such layer.

    References
    ----------
    Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.3 ("gradual
    unfreezing").

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(4), ec.layers.Dense(2)], input_shape=(3,))
    >>> model.freeze("0")
    >>> model.compile("sgd")
    >>> history = model.fit(torch.rand(8, 3), torch.arange(8) % 2, epochs=3, callbacks=Unfreeze(epoch=2), verbose=0)
    >>> all(parameter.requires_grad for parameter in model.parameters())
    True
    """

    def _act(self) -> None:
        self.model.unfreeze(*self.layers)
