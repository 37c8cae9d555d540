"""The parts of a training step one after the other, each with its time."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.data.sources.batch import Batch
from easyconv.device import wait_for
from easyconv.layers.keeping import call
from easyconv.nested import map_tree
from easyconv.profiling.report import Layer
from easyconv.training.auxiliary import main_output, with_auxiliary_losses
from easyconv.training.state import Recipe

__all__ = ["PlainStep", "layer_times", "seconds_to_send"]


class PlainStep:
    """The training step that one writes by hand, whose parts can be timed one by one.

    Parameters
    ----------
    net : torch.nn.Module
        A copy; it is trained.
    recipe : Recipe
        How.
    optimizer : torch.optim.Optimizer
        Of the copy.
    loss : callable, optional
        ``(output, target, weights) -> loss`` of the user's, in place of that of the recipe.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, optimizer: torch.optim.Optimizer, loss: Any = None) -> None:
        self._net = net
        self._recipe = recipe
        self._optimizer = optimizer
        self._own_loss = loss
        self._losses = with_auxiliary_losses(recipe.objective.parts)

    def times(self, batch: Batch) -> dict[str, float]:
        """Seconds of each part of one step."""
        clock = _Stopwatch(self._recipe.device)
        with torch.enable_grad():
            with self._recipe.autocast():
                output = clock.of("forward", lambda: call(self._net, batch.x))
                loss = clock.of("loss", lambda: self._loss(output, batch))
            clock.of("backward", loss.backward)
            clock.of("optimizer", self._update)
        return clock.seconds

    def passes(self, batch: Batch) -> None:
        """Forward and backward, without a step of the optimizer."""
        with torch.enable_grad():
            with self._recipe.autocast():
                loss = self._loss(call(self._net, batch.x), batch)
            loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.zero_grad()

    def _loss(self, output: Any, batch: Batch) -> Tensor:
        if self._own_loss is not None:
            own: Tensor = self._own_loss(main_output(output, batch.y), batch.y, batch.sample_weight)
            return own
        return self._losses(output, batch.y, batch.sample_weight)[0]

    def _update(self) -> None:
        if self._recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._net.parameters(), self._recipe.clip_norm)
        if self._recipe.clip_value is not None:
            nn.utils.clip_grad_value_(self._net.parameters(), self._recipe.clip_value)
        self._optimizer.step()
        self._optimizer.zero_grad()


class _Stopwatch:
    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    def of(self, name: str, function: Callable[[], Any]) -> Any:
        wait_for(self._device)
        start = time.perf_counter()
        result = function()
        wait_for(self._device)
        self.seconds[name] = time.perf_counter() - start
        return result


def layer_times(net: nn.Module, run: Callable[[], object], device: torch.device, times: int) -> list[Layer]:
    """Each layer without layers of its own, by the time of its forward pass; what functions do counts nowhere.

    Parameters
    ----------
    net : torch.nn.Module
        What is watched.
    run : callable
        Runs the net on a batch, forward and backward: without the latter its tensors would find their memory warm.
    device : torch.device
        Where.
    times : int
        How often; the best counts.
    """
    layers = {name: module for name, module in net.named_modules() if not any(module.children())}
    found: dict[str, list[float]] = {}
    for _ in range(times):
        seconds = dict.fromkeys(layers, 0.0)
        with _timed(layers, seconds, device):
            run()
        for name, value in seconds.items():
            found.setdefault(name, []).append(value)
    rows = [
        Layer(name.removeprefix("net."), type(module).__name__, min(found[name]), _parameters(module))
        for name, module in layers.items()
        if any(found[name])
    ]
    return sorted(rows, key=lambda layer: -layer.seconds)


@contextmanager
def _timed(layers: dict[str, nn.Module], seconds: dict[str, float], device: torch.device) -> Iterator[None]:
    began: dict[str, float] = {}

    def start(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            wait_for(device)
            began[name] = time.perf_counter()

        return hook

    def stop(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            wait_for(device)
            seconds[name] += time.perf_counter() - began[name]

        return hook

    with ExitStack() as handles:
        for name, module in layers.items():
            handles.callback(module.register_forward_pre_hook(start(name)).remove)
            handles.callback(module.register_forward_hook(stop(name)).remove)
        yield


def seconds_to_send(batch: Batch, device: torch.device) -> float:
    """What it takes to bring a batch from the host's memory to the device: the best of three."""
    if device.type == "cpu":
        return 0.0
    on_host = [map_tree(Tensor.cpu, part) for part in batch if part is not None]
    seconds = []
    for _ in range(3):
        clock = _Stopwatch(device)
        clock.of("send", lambda: [map_tree(lambda tensor: tensor.to(device), part) for part in on_host])
        seconds.append(clock.seconds["send"])
    return min(seconds)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
