"""The classic nets, one file per paper; each reads like the table of its paper."""

from easyconv.names import suggest
from easyconv.zoo.alexnet import alexnet
from easyconv.zoo.course import cifar_cnn, cifar_vgg, mnist_cnn, mnist_googlenet, mnist_resnet
from easyconv.zoo.densenet import densenet121
from easyconv.zoo.googlenet import googlenet
from easyconv.zoo.inception_v3 import inception_v3
from easyconv.zoo.lenet import lenet5
from easyconv.zoo.mobilenet import mobilenet_v2
from easyconv.zoo.preact_resnet import preact_resnet18
from easyconv.zoo.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from easyconv.zoo.resnet_cifar import resnet20, resnet32, resnet44, resnet56, resnet110
from easyconv.zoo.vgg import vgg11, vgg13, vgg16, vgg19
from easyconv.zoo.zfnet import zfnet

__all__ = [
    "alexnet",
    "cifar_cnn",
    "cifar_vgg",
    "densenet121",
    "googlenet",
    "inception_v3",
    "lenet5",
    "mnist_cnn",
    "mnist_googlenet",
    "mnist_resnet",
    "mobilenet_v2",
    "preact_resnet18",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
    "zfnet",
]


def __getattr__(name: str) -> object:
    hint = f" {suggest(name, __all__)}" if not name.startswith("_") else ""
    raise AttributeError(f"easyconv.zoo has no net {name!r}.{hint}")
