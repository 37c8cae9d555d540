"""What gradients and activations are like, layer by layer: sums on the device, read once per epoch."""

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError, StateError
from easyconv.training.callback import Callback, Logs

__all__ = ["ActivationMonitor", "GradientMonitor"]

Row = dict[str, dict[str, float]]

_VANISHING = 1e-4
"""A layer's gradient vanishes when it is so many times the largest one of a layer."""
_EXPLODING = 1e3
"""A gradient explodes when its norm is beyond this, or is no number."""
_MANY_DEAD = 0.5
"""A layer is told of when more than this share of its units is dead."""


class _LayerMonitor(Callback):
    """Base: sums that are kept by name of layer, and the rows that they become at the end of each epoch."""

    remembers = ("rows", "_sums", "_count")

    def __init__(self) -> None:
        super().__init__()
        self._remove: Callable[[], object] | None = None
        self._forget()

    def _forget(self) -> None:
        self.rows: list[Row] = []
        """One dict per epoch: name of layer to its numbers."""
        self._sums: dict[str, Tensor] = {}
        self._count = 0
        """Steps that are in the sums."""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_remove": None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with rows and sums, on the device where the model is."""
        super().load_state_dict(state)
        device = next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))
        self._sums = {name: value.to(device) for name, value in self._sums.items()}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        self._forget()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Take the hooks off again."""
        if self._remove is not None:
            self._remove()
        self._remove = None

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the numbers of each layer over the epochs, from the input (dark) to the output (light).

        Parameters
        ----------
        path : str or path, optional
            Also write the picture there; the ending decides the format.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it by itself.

        Raises
        ------
        StateError
            When there is no epoch to draw.
        MissingExtraError
            When matplotlib is not installed.
        """
        from easyconv.callbacks.layer_plots import plot_layers

        if not self.rows:
            raise StateError(f"{type(self).__name__} has seen no epoch. Pass it to fit(callbacks=...) first.")
        return plot_layers(self.rows, self._panels(), path)

    @abstractmethod
    def _panels(self) -> dict[str, str]:
        """Number to the heading of its panel."""

    def _end_epoch(self, row: Row) -> None:
        self.rows.append(row)
        self._sums, self._count = {}, 0


class GradientMonitor(_LayerMonitor):
    """Norms of the gradients that the optimizer gets, layer by layer, which show whether they vanish or explode.

    Adds ``gradient_norm``, that of all layers together, to the logs. Gradients are those of ``model.optimizer``, after
    clipping. Sums stay on the device and are read once per epoch.

    Attributes
    ----------
    rows : list of dict
        One per epoch: name of layer to ``norm`` (mean over the steps) and ``largest``.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(4), torch.nn.ReLU(), ec.layers.Dense(2)])
    >>> model.compile("sgd")
    >>> monitor = GradientMonitor()
    >>> history = model.fit(torch.rand(8, 3), torch.arange(8) % 2, callbacks=monitor, verbose=0)
    >>> list(monitor.rows[0]), monitor.advice()
    (['0', '2'], [])
    """

    def __init__(self) -> None:
        super().__init__()
        self._optimizer: Optimizer | None = None
        self._held: list[tuple[int, Tensor]] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_optimizer": None, "_held": []}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh."""
        super().on_train_begin(logs)
        self._optimizer = None

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Listen to the optimizer; another one may have come with the epoch."""
        if self._optimizer is not self.model.optimizer:
            self.on_train_end()
            self._optimizer = self.model.optimizer
            places = {layer: place for place, layer in enumerate(_layers_with_parameters(self.model))}
            self._held = [(places[_layer(name)], parameter) for name, parameter in self.model.named_parameters()]
            self._remove = self.model.optimizer.register_step_pre_hook(lambda *_: self._add()).remove

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Read the sums."""
        if not self._count:
            return
        layers = _layers_with_parameters(self.model)
        total, *read = torch.cat([self._sums["total"], self._sums["norm"], self._sums["largest"]]).tolist()
        pairs = zip(layers, read[: len(layers)], read[len(layers) :], strict=True)
        row = {layer: {"norm": norm / self._count, "largest": largest} for layer, norm, largest in pairs}
        if logs is not None:
            logs["gradient_norm"] = total / self._count
        self._end_epoch({layer: numbers for layer, numbers in row.items() if _is_trained(self.model, layer)})

    def advice(self) -> list[str]:
        """A sentence for each layer whose gradient vanished or exploded in the last epoch."""
        last = self.rows[-1] if self.rows else {}
        top = max((numbers["norm"] for numbers in last.values()), default=0.0)
        told = []
        for layer, numbers in last.items():
            if not numbers["largest"] <= _EXPLODING:
                told.append(
                    f"{layer}: a gradient exploded, its norm was {numbers['largest']:.3g}. Lower the learning rate, or "
                    "clip: compile(clip_norm=1.0)."
                )
            elif numbers["norm"] < _VANISHING * top:
                told.append(
                    f"{layer}: the gradient vanishes, its norm is {numbers['norm']:.3g} where the largest of a layer "
                    f"is {top:.3g}. Use ReLU, batch norm, shortcuts, or init='he'."
                )
        return told

    def _panels(self) -> dict[str, str]:
        return {"norm": "Gradient norm, mean", "largest": "Gradient norm, largest"}

    @torch.no_grad()
    def _add(self) -> None:
        found = [(place, held.grad) for place, held in self._held if held.grad is not None and not held.grad.is_sparse]
        if not found:
            return
        by_layer: list[list[Tensor]] = [[] for _ in range(1 + self._held[-1][0])]
        for (place, _), norm_of_one in zip(found, torch._foreach_norm([grad for _, grad in found]), strict=True):
            by_layer[place].append(norm_of_one.float())
        nothing = torch.zeros((), device=found[0][1].device)
        norm = torch.stack(torch._foreach_norm([torch.stack(norms or [nothing]) for norms in by_layer]))
        total = norm.norm().reshape(1)
        if not self._sums:
            self._sums = {"norm": torch.zeros_like(norm), "largest": torch.zeros_like(norm)}
            self._sums["total"] = torch.zeros_like(total)
        self._sums["norm"] += norm
        self._sums["largest"] = torch.maximum(self._sums["largest"], norm)
        self._sums["total"] += total
        self._count += 1


class ActivationMonitor(_LayerMonitor):
    """What activations put out in training: mean, spread, share of zeros, and units that are dead.

    A unit (a channel of a map, an output of a dense layer) is dead where it gave nothing but zeros in all batches of
    an epoch that were looked at. Adds ``dead_units``, the share of all units, to the logs. Sums stay on the device and
    are read once per epoch.

    Parameters
    ----------
    *layers : str
        Dotted names of the layers to watch; all activations (``ReLU`` and its like) by default.
    every : int, default 10
        Look at every so many batches, the first of each epoch included.

    Attributes
    ----------
    rows : list of dict
        One per epoch: name of layer to ``mean``, ``std``, ``zeros`` and ``dead``.

    Raises
    ------
    ArgumentError
        When training begins and the net has no activation layer, or is compiled with ``jit=True``, where layers do not
        tell what they put out.
    LayerNotFoundError
        When training begins and there is no such layer.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(4), torch.nn.ReLU(), ec.layers.Dense(2)])
    >>> model.compile("sgd")
    >>> monitor = ActivationMonitor()
    >>> history = model.fit(torch.rand(8, 3), torch.arange(8) % 2, callbacks=monitor, verbose=0)
    >>> sorted(monitor.rows[0]["1"])
    ['dead', 'mean', 'std', 'zeros']
    """

    def __init__(self, *layers: str, every: int = 10) -> None:
        super().__init__()
        self.layers = layers
        self.every = check_integer("every", every, minimum=1)
        self._looking = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Listen to the layers."""
        super().on_train_begin(logs)
        if self.model._session.recipe.jit:
            raise ArgumentError(
                "ActivationMonitor listens to layers, which compile(jit=True) merges. Leave jit out while you look."
            )
        handles = [
            module.register_forward_hook(lambda _, __, output, name=name: self._add(name, output))
            for name, module in self._watched().items()
        ]
        self._remove = partial(_remove_all, handles)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Look at this batch, or not."""
        self._looking = batch % self.every == 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look away: what follows may be a validation."""
        self._looking = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Read the sums."""
        if not self._sums:
            return
        read = torch.cat([value.flatten() for value in self._sums.values()]).tolist()
        row, units, dead = {}, 0, 0
        for name, value in self._sums.items():
            (passes, mean, square, zeros), ever = read[:4], read[4 : value.numel()]
            read = read[value.numel() :]
            count = sum(not alive for alive in ever)
            units, dead = units + len(ever), dead + count
            std = max(0.0, square / passes - (mean / passes) ** 2) ** 0.5
            row[name] = {"mean": mean / passes, "std": std, "zeros": zeros / passes, "dead": count / len(ever)}
        if logs is not None:
            logs["dead_units"] = dead / units
        self._end_epoch(row)

    def advice(self) -> list[str]:
        """A sentence for each layer of which more than half of the units were dead in the last epoch."""
        return [
            f"{name}: {numbers['dead']:.0%} of the units are dead. Lower the learning rate, or use init='he', batch "
            "norm or LeakyReLU."
            for name, numbers in (self.rows[-1] if self.rows else {}).items()
            if numbers["dead"] > _MANY_DEAD
        ]

    def _panels(self) -> dict[str, str]:
        return {"std": "Spread of the outputs", "zeros": "Share of zeros", "dead": "Share of dead units"}

    def _watched(self) -> dict[str, nn.Module]:
        if self.layers:
            return {name: self.model.get_layer(name) for name in self.layers}
        found = {name: module for name, module in self.model.named_modules() if _is_activation(module)}
        if not found:
            raise ArgumentError(
                "ActivationMonitor found no activation layer (functions in forward() are none). Name the layers to "
                "watch: ActivationMonitor('conv1')."
            )
        return found

    @torch.no_grad()
    def _add(self, name: str, output: Any) -> None:
        if not self._looking or not isinstance(output, Tensor) or not output.is_floating_point():
            return
        values = output.detach().float()
        units = values.movedim(1, 0).flatten(1) if values.dim() > 1 else values[None]
        zeros = units == 0
        sums = torch.stack([values.new_ones(()), values.mean(), values.square().mean(), zeros.float().mean()])
        alive = (~zeros.all(dim=1)).float()
        before = self._sums.get(name)
        if before is None:
            self._sums[name] = torch.cat([sums, alive])
        else:
            self._sums[name] = torch.cat([before[:4] + sums, torch.maximum(before[4:], alive)])


def _remove_all(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()


def _layers_with_parameters(net: nn.Module) -> list[str]:
    return list(dict.fromkeys(_layer(name) for name, _ in net.named_parameters()))


def _layer(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _is_trained(net: nn.Module, layer: str) -> bool:
    module = net.get_submodule(layer)
    return any(parameter.requires_grad for parameter in module.parameters(recurse=False))


def _is_activation(module: nn.Module) -> bool:
    kind = type(module)
    return kind.__module__ == "torch.nn.modules.activation" and not isinstance(module, nn.MultiheadAttention)
