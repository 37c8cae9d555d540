"""Nets with auxiliary heads: small classifiers beside the stack that answer while it is trained."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from easyconv.layers.initializers import InitLike
from easyconv.layers.lazy import is_built
from easyconv.model.model import Model

__all__ = ["HeadedNet"]


class HeadedNet(Model):
    """Named layers one after the other, with heads among them: a head gets what its next layer gets.

    A subclass names its heads in ``heads`` and says in ``forward`` what becomes of their answers.
    """

    heads: tuple[str, ...] = ()

    def __init__(
        self, layers: Iterable[tuple[str, nn.Module]], *, input_shape: tuple[int, ...], name: str, init: InitLike
    ) -> None:
        super().__init__(input_shape=input_shape, name=name, init=init)
        for layer_name, layer in layers:
            self.add_module(layer_name, layer)

    def _run(self, x: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """Output of the last layer, and the answers of the heads by their names: none in evaluation mode."""
        answers = {}
        for name, layer in self._modules.items():
            if layer is None:
                continue
            if name not in self.heads:
                x = layer(x)
            elif self.training or not is_built(layer):  # sizes are inferred in evaluation mode
                answers[name] = layer(x)
        return x, answers if self.training else {}
