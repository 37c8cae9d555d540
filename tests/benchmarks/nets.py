"""The nets of the workloads, as plain PyTorch modules that every library takes."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

__all__ = ["NETS", "make_net"]


def perceptron() -> nn.Sequential:
    """784-32-10."""
    return nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))


def course_cnn() -> nn.Sequential:
    """The first net of a course: two convolutions of 5x5, pooling after each; 8,490 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 10, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(10, 20, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(320, 10),
    )


def mnist_googlenet() -> nn.Sequential:
    """The course's second net: an Inception block after each pooling."""
    import easyconv as ec

    return _plain(ec.zoo.mnist_googlenet())


def resnet18() -> nn.Sequential:
    """ResNet-18 for images of 32x32."""
    import easyconv as ec

    return _plain(ec.zoo.resnet18(10, small=True))


NETS: dict[str, Callable[[], nn.Sequential]] = {
    net.__name__: net for net in (perceptron, course_cnn, mnist_googlenet, resnet18)
}


def make_net(name: str, seed: int = 0) -> nn.Sequential:
    """The net, with the same weights for everybody."""
    torch.manual_seed(seed)
    return NETS[name]()


def _plain(model: nn.Module) -> nn.Sequential:
    """The layers without easyconv's verbs, which would only be in the way of other libraries."""
    return nn.Sequential(OrderedDict(model.named_children()))
