"""The names of initial weights: from the numbers of inputs and outputs to a variance.

`initialize` lists them, with their papers.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

__all__ = ["SCHEMES", "Scheme", "fans"]


@dataclass(frozen=True)
class Scheme:
    """Independent draws around 0 whose variance follows from the numbers of inputs and outputs."""

    variance: Callable[[float, float], float]
    uniform: bool = False
    """Uniform draws; normal ones otherwise."""

    def draw(self, weight: Tensor, fan_in: float, fan_out: float) -> None:
        """Fill ``weight`` in place."""
        variance = self.variance(fan_in, fan_out)
        if self.uniform:
            limit = math.sqrt(3 * variance)
            weight.uniform_(-limit, limit)
        else:
            weight.normal_(0.0, math.sqrt(variance))


def _glorot(fan_in: float, fan_out: float) -> float:
    return 2 / (fan_in + fan_out)


def _he(fan_in: float, fan_out: float) -> float:
    return 2 / fan_in


def _he_fan_out(fan_in: float, fan_out: float) -> float:
    return 2 / fan_out


def _lecun(fan_in: float, fan_out: float) -> float:
    return 1 / fan_in


def _alexnet(fan_in: float, fan_out: float) -> float:
    return 0.01**2


SCHEMES: Mapping[str, Scheme | Callable[[Tensor], Any]] = {
    "alexnet": Scheme(_alexnet),
    "glorot": Scheme(_glorot, uniform=True),
    "glorot_normal": Scheme(_glorot),
    "glorot_uniform": Scheme(_glorot, uniform=True),
    "he": Scheme(_he),
    "he_fan_out": Scheme(_he_fan_out),
    "he_normal": Scheme(_he),
    "he_uniform": Scheme(_he, uniform=True),
    "lecun": Scheme(_lecun),
    "lecun_normal": Scheme(_lecun),
    "lecun_uniform": Scheme(_lecun, uniform=True),
    "orthogonal": nn.init.orthogonal_,
}


def fans(layer: nn.Module) -> tuple[float, float]:
    """Values that each output sums, and outputs that each input reaches, as torch and Keras count them.

    The weight of a transposed convolution is (in, out / groups, ...), the other way round than that of a convolution.
    Each of its outputs sums ``in / groups * area`` values, or with a stride only that divided by the stride, on
    average. (torch.nn.init and Keras read the weight as if it were a convolution's.)
    """
    weight: Any = layer.weight
    area = weight[0, 0].numel()
    if not getattr(layer, "transposed", False):
        return weight.shape[1] * area, weight.shape[0] * area
    transposed: Any = layer
    return weight.shape[0] / transposed.groups * area / math.prod(transposed.stride), weight.shape[1] * area
