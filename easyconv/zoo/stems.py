"""How residual and dense nets begin: a large step down for photographs, none for small images."""

from torch import nn

from easyconv.layers import BatchNorm, Conv2D

__all__ = ["stem"]


def stem(*names: str, small: bool) -> list[tuple[str, nn.Module]]:
    """Convolution, norm, ReLU and pooling under the names that are given; for small images a 3x3 without pooling."""
    if small:
        layers = [Conv2D(64, 3, padding=1, bias=False), BatchNorm(), nn.ReLU()]
    else:
        layers = [
            Conv2D(64, 7, stride=2, padding=3, bias=False),
            BatchNorm(),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
    return list(zip(names, layers, strict=False))
