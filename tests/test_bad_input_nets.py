"""Nets that fail on good data: the message names the layer and shows the shapes up to it."""

import pytest
import torch
from bad_input import COLOUR, Bench, Case, X, Y, bits, loader, run_case, small_net
from torch import nn
from torch.nn import functional

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvError, EasyconvWarning, ReservedNameError, ShapeError

L = ec.layers


class View(nn.Module):
    """Fails in ``view`` between two layers."""

    def __init__(self, features=100):
        super().__init__()
        self.conv, self.head, self.features = nn.Conv2d(1, 4, 3), nn.Linear(features, 3), features

    def forward(self, x):
        return self.head(self.conv(x).view(-1, self.features))


class Outer(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.stem, self.inner = nn.Conv2d(1, 2, 3, padding=1), inner

    def forward(self, x):
        return self.inner(self.stem(x))


class Own(Exception):
    pass


class OwnValue(ValueError):
    pass


class OwnRuntime(RuntimeError):
    pass


class OwnKey(KeyError):
    pass


class Raises(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.net, self.error = small_net(), error

    def forward(self, x):
        raise self.error


class Returns(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.net, self.what = small_net(), what

    def forward(self, x):
        return self.what(self.net(x))


def net(module, x=X, y=Y, **options):
    return lambda b: b.fit(x, y, net=module() if isinstance(module, type) else module, good=None, **options)


def resnet(b, x):
    import torchvision

    torch.manual_seed(0)
    return b.fit(x, Y[:4], net=torchvision.models.resnet18(num_classes=3), good=None, batch_size=4)


SHAPES = [
    Case("Linear by hand", net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3))), ShapeError),
    Case("Linear by hand, unnamed flatten missing", net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(144, 3))), ShapeError),
    Case("conv channels by hand", net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(8, 4, 3))), ShapeError),
    Case("batch norm by hand", net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(8))), ShapeError),
    Case("BatchNorm1d for images", net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm1d(4))), ShapeError),
    Case("BatchNorm2d after Flatten", net(nn.Sequential(nn.Flatten(), nn.BatchNorm2d(64))), ShapeError),
    Case("conv after Flatten", net(nn.Sequential(nn.Flatten(), nn.Conv2d(1, 4, 3))), (ShapeError, EasyconvError)),
    Case("too many pools", net(ec.Sequential([L.Conv2D(4, 3), L.MaxPool2D(2), L.MaxPool2D(2), L.MaxPool2D(2), L.Flatten(), L.Dense(3)])), ShapeError),
    Case("too many ConvBlocks", net(ec.Sequential([ec.ConvBlock(4, pool=2) for _ in range(4)] + [L.Flatten(), L.Dense(3)])), ShapeError),
    Case("conv after the map is too small", net(ec.Sequential([L.MaxPool2D(4), L.Conv2D(4, 5), L.Flatten(), L.Dense(3)])), ShapeError),
    Case("groups that do not divide", net(ec.Sequential([L.Conv2D(4, 3), L.Conv2D(6, 3, groups=3), L.Flatten(), L.Dense(3)])), EasyconvError),
    Case("view between layers", net(View), ShapeError),
    Case("view of a transposed tensor", net(Returns(lambda x: x.t().view(-1))), ShapeError),
    Case("cat of two sizes", net(Returns(lambda x: torch.cat([x, x[:1]], 1))), ShapeError),
    Case("deep in a nested Model", net(ec.Model(Outer(ec.Model(nn.Sequential(nn.Flatten(), nn.Linear(7, 3)))))), ShapeError),
    Case("deep in a nested Sequential", net(ec.Sequential([L.Conv2D(2, 3), ec.Sequential([("flat", L.Flatten()), ("head", nn.Linear(7, 3))])])), ShapeError),
    Case("Parallel branches of two sizes", net(ec.Sequential([ec.Parallel(L.Conv2D(2, 3), L.Conv2D(2, 5)), L.Flatten(), L.Dense(3)])), ShapeError),
    Case("Parallel sum of two channel counts", net(ec.Sequential([ec.Parallel(L.Conv2D(2, 3), L.Conv2D(3, 3), merge="sum"), L.Flatten(), L.Dense(3)])), ShapeError),
    Case("Residual that loses its border", net(ec.Sequential([ec.Residual(L.Conv2D(2, 3)), L.Flatten(), L.Dense(3)])), ShapeError),
    Case("Residual without a shortcut", net(ec.Sequential([ec.Residual(L.Conv2D(2, 3, padding=1), shortcut="identity"), L.Flatten(), L.Dense(3)])), EasyconvError),
    Case("resnet18 on one channel", lambda b: resnet(b, torch.rand(4, 1, 64, 64)), EasyconvError),
    Case("resnet18 on four channels", lambda b: resnet(b, torch.rand(4, 4, 64, 64)), EasyconvError),
    Case("resnet18 with a wrong inner layer", lambda b: broken_resnet(b), ShapeError),
    Case("Embedding of images", net(nn.Sequential(nn.Embedding(10, 2), nn.Flatten(), nn.Linear(128, 3))), EasyconvError),
    Case("LSTM of wrong features", net(nn.Sequential(nn.Flatten(2), nn.LSTM(9, 3)), ), ShapeError),
    Case("double precision net", net(small_net().double()), (ShapeError, EasyconvError)),
    Case("build of a wrong shape", lambda b: b.model().build((3, 8, 8)), ShapeError),
    Case("build with the batch axis", lambda b: b.model().build((None, 1, 8, 8)), ArgumentError),
    Case("build with channels last", lambda b: b.model(small_net(3, size=16), good=(COLOUR, Y)).build((16, 16, 3)), ArgumentError),
    Case("build with a number", lambda b: b.model().build(8), ArgumentTypeError),
    Case("build with floats", lambda b: b.model().build((1.0, 8, 8)), ArgumentTypeError),
    Case("build with 0", lambda b: b.model().build((0, 8, 8)), ArgumentError),
    Case("build with text", lambda b: b.model().build("1x8x8"), ArgumentTypeError),
    Case("called by hand", lambda b: b.model()(torch.zeros(2, 1, 9, 9)), ShapeError),
]


def broken_resnet(b):
    import torchvision

    torch.manual_seed(0)
    made = torchvision.models.resnet18(num_classes=3)
    made.layer3[1].conv2 = nn.Conv2d(128, 256, 3, padding=1)
    return b.fit(torch.rand(4, 3, 64, 64), Y[:4], net=made, good=None, batch_size=4)


OUTPUTS = [
    Case("returns a list", net(Returns(lambda x: [x, x])), EasyconvError),
    Case("returns a tuple for one y", net(Returns(lambda x: (x, x))), EasyconvError),
    Case("returns None", net(Returns(lambda x: None)), EasyconvError),
    Case("returns text", net(Returns(lambda x: "yes")), EasyconvError),
    Case("returns a float", net(Returns(lambda x: 0.5)), EasyconvError),
    Case("returns NumPy", net(Returns(lambda x: x.detach().numpy())), EasyconvError),
    Case("returns one number", net(Returns(lambda x: x.mean())), EasyconvError),
    Case("returns labels", net(Returns(lambda x: x.argmax(1))), EasyconvError),
    Case("returns a dict for one y", net(Returns(lambda x: {"out": x})), EasyconvError),
    Case("returns other rows", net(Returns(lambda x: x.repeat(2, 1))), EasyconvError),
    Case("returns a detached tensor", net(Returns(lambda x: x.detach())), EasyconvError),
    Case("predict returns None", lambda b: b.model(Returns(lambda x: None), good=None).predict(X), EasyconvError),
    Case("predict returns text", lambda b: b.model(Returns(lambda x: "yes"), good=None).predict(X), EasyconvError),
    Case("too many outputs for the labels", net(small_net(outputs=1)), EasyconvError),
    Case("transposed output", net(Returns(lambda x: x.t())), EasyconvError),
]

OWN = [
    Case("own exception", net(Raises(Own("the sensor is off"))), Own),
    Case("own ValueError", net(Raises(OwnValue("the sensor is off"))), OwnValue),
    Case("own RuntimeError", net(Raises(OwnRuntime("the sensor is off"))), OwnRuntime),
    Case("own KeyError", net(Raises(OwnKey("the sensor is off"))), OwnKey),
    Case("plain KeyError", net(Raises(KeyError("sensor"))), KeyError),
    Case("plain AssertionError", net(Raises(AssertionError("the sensor is off"))), AssertionError),
    Case("plain ValueError", net(Raises(ValueError("the sensor is off"))), ValueError),
    Case("plain RuntimeError", net(Raises(RuntimeError("the sensor is off"))), RuntimeError),
    Case("plain IndexError", net(Raises(IndexError("the sensor is off"))), IndexError),
    Case("plain TypeError", net(Raises(TypeError("the sensor is off"))), TypeError),
    Case("plain NotImplementedError", net(Raises(NotImplementedError("the sensor is off"))), NotImplementedError),
    Case("KeyboardInterrupt", net(Raises(KeyboardInterrupt())), KeyboardInterrupt),
    Case("no forward", net(type("Empty", (nn.Module,), {})()), NotImplementedError),
]

MAKING = [
    Case("Model of a class", lambda b: ec.Model(nn.Linear), ArgumentTypeError),
    Case("Model of a list", lambda b: ec.Model([nn.Linear(1, 1)]), ArgumentTypeError),
    Case("Model of text", lambda b: ec.Model("resnet18"), ArgumentTypeError),
    Case("Model of a function", lambda b: ec.Model(functional.relu), ArgumentTypeError),
    Case("Sequential of a class", lambda b: ec.Sequential([nn.ReLU]), ArgumentTypeError),
    Case("Sequential of text", lambda b: ec.Sequential(["relu"]), ArgumentTypeError),
    Case("Sequential of None", lambda b: ec.Sequential([None]), ArgumentTypeError),
    Case("Sequential of a function", lambda b: ec.Sequential([functional.relu]), ArgumentTypeError),
    Case("a submodule called history", lambda b: named_history(), ReservedNameError),
    Case("Keras's filters", lambda b: L.Conv2D(filters=8, kernel_size=3), ArgumentTypeError),
    Case("Keras's strides", lambda b: L.Conv2D(8, 3, strides=2), ArgumentTypeError),
    Case("Keras's units", lambda b: L.Dense(units=8), ArgumentTypeError),
    Case("Keras's pool_size", lambda b: L.MaxPool2D(pool_size=2), ArgumentTypeError),
    Case("Keras's input_shape", lambda b: L.Conv2D(8, 3, input_shape=(8, 8, 1)), ArgumentTypeError),
    Case("torch's in_channels", lambda b: L.Conv2D(3, 8, 3), (ArgumentTypeError, ArgumentError)),
    Case("misspelt padding", lambda b: L.Conv2D(8, 3, paddin=1), ArgumentTypeError),
    Case("padding misspelt word", lambda b: L.Conv2D(8, 3, padding="sam"), ArgumentError),
    Case("activation misspelt", lambda b: L.Conv2D(8, 3, activation="rellu"), ArgumentError),
    Case("activation a number", lambda b: L.Dense(8, activation=3), ArgumentTypeError),
    Case("0 channels", lambda b: L.Conv2D(0, 3), ArgumentError),
    Case("negative units", lambda b: L.Dense(-1), ArgumentError),
    Case("float units", lambda b: L.Dense(8.0), ArgumentTypeError),
    Case("text kernel", lambda b: L.Conv2D(8, "3"), ArgumentTypeError),
    Case("kernel of 3 numbers", lambda b: L.Conv2D(8, (3, 3, 3)), (ArgumentError, ArgumentTypeError)),
    Case("dropout 2", lambda b: L.Dropout(2), ArgumentError),
    Case("dropout text", lambda b: L.Dropout("0.5"), ArgumentTypeError),
    Case("unknown layer", lambda b: L.Conv2d, AttributeError),
    Case("merge misspelt", lambda b: ec.Parallel(nn.ReLU(), nn.ReLU(), merge="concatenate"), ArgumentError),
    Case("get_layer misspelt", lambda b: b.model().get_layer("net.00"), EasyconvError),
    Case("freeze unknown", lambda b: b.model().freeze("head"), EasyconvError),
]


def named_history():
    class Net(ec.Model):
        def __init__(self):
            super().__init__()
            self.history = nn.Linear(1, 1)

    return Net()


CASES = SHAPES + OUTPUTS + OWN + MAKING
