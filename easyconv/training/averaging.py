"""An exponential moving average of the weights (``compile(ema=...)``)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """Running average of a net's trainable parameters: ``average = decay · average + (1 - decay) · weight``.

    As in Keras (``use_ema``), buffers such as batch norm's statistics are not averaged. The averaged weights are what
    validation measures, what callbacks save and what the net holds after ``fit``; the weights that training goes on
    with are kept here.

    Parameters
    ----------
    net : torch.nn.Module
        Its parameters with ``requires_grad`` are averaged.
    decay : float
        Between 0 and 1; 0.999 averages over about a thousand steps.

    References
    ----------
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights: list[Tensor] = [parameter for parameter in net.parameters() if parameter.requires_grad]
        self.averages = self._copies()
        self._raw: list[Tensor] | None = None
        self._began: list[int] | None = None

    @contextmanager
    def following_steps(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Update the average after every step of this optimizer in the block, whoever makes the step."""
        handle = optimizer.register_step_post_hook(lambda *_: self.update())
        try:
            yield
        finally:
            handle.remove()

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights into the average."""
        torch._foreach_lerp_(self.averages, self.weights, 1 - self.decay)
        self._began = None

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Train with the plain weights in this block; the net has the averages before and after it."""
        self.take_out()
        try:
            yield
        finally:
            self.put_in()

    @torch.no_grad()
    def put_in(self) -> None:
        """Put the averages into the net.

        Where the weights have changed without one update (a train_step of the user's may have an optimizer of its
        own), the average starts afresh from them: what was learned must not be lost.
        """
        if self._began is not None and self._began != self._versions():
            self.averages = self._copies()
        self._raw = self._copies()
        torch._foreach_copy_(self.weights, self.averages)

    @torch.no_grad()
    def take_out(self) -> None:
        """Give the net the weights that training goes on with.

        Where somebody has given the net other weights in the meantime, those are kept and averaged from afresh.
        """
        raw, self._raw = self._raw, None
        if raw is None:
            pass
        elif all(torch.equal(weight, average) for weight, average in zip(self.weights, self.averages, strict=True)):
            torch._foreach_copy_(self.weights, raw)
        else:
            self.averages = self._copies()
        self._began = self._versions()

    @staticmethod
    def following(net: nn.Module, decay: float, former: "WeightAverage | None") -> "WeightAverage":
        """The former average, or a new one where other parameters are trained now (some were frozen or unfrozen).

        Training then goes on from the plain weights, as it would have otherwise.
        """
        if former is not None and former.follows(net):
            return former
        if former is not None:
            former.take_out()
        return WeightAverage(net, decay)

    def state(self) -> dict[str, list[Tensor] | None]:
        """The averages, and the weights that training goes on with while the net has the averages."""
        return {"averages": self.averages, "raw": self._raw}

    @staticmethod
    def restored(weights: list[Tensor], decay: float, state: Mapping[str, Any]) -> "WeightAverage":
        """An average of these weights with what `state` gave."""
        average = WeightAverage(nn.Module(), decay)
        average.weights = weights
        average.averages = _like(weights, state["averages"])
        average._raw = None if state["raw"] is None else _like(weights, state["raw"])
        return average

    def follows(self, net: nn.Module) -> bool:
        """Whether the net still has the very parameters that are averaged."""
        trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
        return [id(parameter) for parameter in trainable] == [id(weight) for weight in self.weights]

    def _versions(self) -> list[int]:
        """Counts of autograd, which every change of a weight raises."""
        return [weight._version for weight in self.weights]

    def _copies(self) -> list[Tensor]:
        return [weight.detach().clone() for weight in self.weights]


def _like(weights: list[Tensor], values: list[Tensor]) -> list[Tensor]:
    """The values where the weights are, and laid out as they are."""
    return [torch.empty_like(weight.detach()).copy_(value) for weight, value in zip(weights, values, strict=True)]
