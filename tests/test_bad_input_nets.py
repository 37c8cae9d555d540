"""Nets that fail on good data: the message names the layer and shows the shapes up to it."""

import pytest
import torch
from bad_input import COLOUR, Bench, Case, X, Y, run_case, small_net
from torch import nn
from torch.nn import functional

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    EasyconvError,
    ReservedNameError,
    ShapeError,
)

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


class OwnError(Exception):
    pass


class OwnValueError(ValueError):
    pass


class OwnRuntimeError(RuntimeError):
    pass


class OwnKeyError(KeyError):
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
    Case(
        "Linear by hand",
        net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3))),
        ShapeError,
        (
            "Layer '3' (Linear(in_features=100, out_features=3, bias=True)) cannot take an input of shape (2, 144)",
            "It expects 100 features in the last dimension; make it Linear(144, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "3      Linear   (2, 144)      failed",
        ),
    ),
    Case(
        "Linear by hand, unnamed flatten missing",
        net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(144, 3))),
        ShapeError,
        (
            "Layer '1' (Linear(in_features=144, out_features=3, bias=True)) cannot take an input of shape (2, 4, 6, 6)",
            "It expects 144 features in the last dimension; put a Flatten() before it.",
            "1      Linear  (2, 4, 6, 6)  failed",
        ),
    ),
    Case(
        "conv channels by hand",
        net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(8, 4, 3))),
        ShapeError,
        (
            "Layer '1' (Conv2d(8, 4, kernel_size=(3, 3), stride=(1, 1))) cannot take an input of shape (2, 4, 6, 6)",
            "It expects 8 channels and got 4; give it in_channels=4, or use Conv2D of easyconv.layers, "
            "which infers them.",
            "1      Conv2d  (2, 4, 6, 6)  failed",
        ),
    ),
    Case(
        "batch norm by hand",
        net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(8))),
        ShapeError,
        (
            "Layer '1' (BatchNorm2d(8",
            "cannot take an input of shape (2, 4, 6, 6)",
            "It expects 8 channels in the second dimension and got 4; BatchNorm of easyconv.layers infers them.",
            "1      BatchNorm2d  (2, 4, 6, 6)  failed",
        ),
    ),
    Case(
        "BatchNorm1d for images",
        net(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm1d(4))),
        ShapeError,
        (
            "Layer '1' (BatchNorm1d(4",
            "cannot take an input of shape (2, 4, 6, 6)",
            "BatchNorm1d does not take 4 dimensions; BatchNorm of easyconv.layers takes (N, C, L), (N, C, "
            "H, W) and (N, C, D, H, W) alike.",
            "1      BatchNorm1d  (2, 4, 6, 6)  failed",
        ),
    ),
    Case(
        "BatchNorm2d after Flatten",
        net(nn.Sequential(nn.Flatten(), nn.BatchNorm2d(64))),
        ShapeError,
        (
            "Layer '1' (BatchNorm2d(64",
            "cannot take an input of shape (2, 64)",
            "BatchNorm2d does not take 2 dimensions; BatchNorm of easyconv.layers takes (N, C, L), (N, C, "
            "H, W) and (N, C, D, H, W) alike.",
            "1      BatchNorm2d  (2, 64)       failed",
        ),
    ),
    Case(
        "conv after Flatten",
        net(nn.Sequential(nn.Flatten(), nn.Conv2d(1, 4, 3))),
        ShapeError,
        (
            "Layer '1' (Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))) cannot take an input of shape (2, 64)",
            "It expects (N, C, H, W), 4 dimensions with the channels second, and got 2. If the images have "
            "one channel, add it with x.unsqueeze(1).",
            "1      Conv2d   (2, 64)       failed",
        ),
    ),
    Case(
        "too many pools",
        net(ec.Sequential([L.Conv2D(4, 3), L.MaxPool2D(2), L.MaxPool2D(2), L.MaxPool2D(2), L.Flatten(), L.Dense(3)])),
        ShapeError,
        (
            "Layer '3' (MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)) cannot "
            "take an input of shape (2, 4, 1, 1)",
            "The feature map has become too small for its window of 2: use larger inputs, fewer poolings "
            "or strides before it, a smaller kernel, or padding.",
            "3      MaxPool2d  (2, 4, 1, 1)  failed",
        ),
    ),
    Case(
        "too many ConvBlocks",
        net(ec.Sequential([ec.ConvBlock(4, pool=2) for _ in range(4)] + [L.Flatten(), L.Dense(3)])),
        ShapeError,
        (
            "Layer '3.pool' (MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)) "
            "cannot take an input of shape (2, 4, 1, 1)",
            "The feature map has become too small for its window of 2: use larger inputs, fewer poolings "
            "or strides before it, a smaller kernel, or padding.",
            "3.pool        MaxPool2d    (2, 4, 1, 1)  failed",
        ),
    ),
    Case(
        "conv after the map is too small",
        net(ec.Sequential([L.MaxPool2D(4), L.Conv2D(4, 5), L.Flatten(), L.Dense(3)])),
        ShapeError,
        (
            "Layer '1' (Conv2d(1, 4, kernel_size=(5, 5), stride=(1, 1))) cannot take an input of shape (2, 1, 2, 2)",
            "The feature map has become too small for its window of (5, 5): use larger inputs, fewer "
            "poolings or strides before it, a smaller kernel, or padding.",
            "1      Conv2d     (2, 1, 2, 2)  failed",
        ),
    ),
    Case(
        "groups that do not divide",
        net(ec.Sequential([L.Conv2D(4, 3), L.Conv2D(6, 3, groups=3), L.Flatten(), L.Dense(3)])),
        EasyconvError,
        (
            "Layer '1' (LazyConv2D(4, 6, kernel_size=(3, 3), stride=(1, 1), groups=3)) cannot take an "
            "input of shape (2, 4, 6, 6)",
            "Its 3 groups do not divide the 4 channels of the input evenly.",
            "1      LazyConv2D  (2, 4, 6, 6)  failed",
        ),
    ),
    Case(
        "view between layers",
        net(View),
        ShapeError,
        (
            "The net (View) failed in its own forward on an input of shape (2, 1, 8, 8), after layer "
            "'conv' gave (2, 4, 6, 6)",
            "Each sample has 144 values after layer 'conv': x.flatten(1) keeps the samples apart, and a "
            "Linear after it takes 144 features.",
            "(net)  View    (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "view of a transposed tensor",
        net(Returns(lambda x: x.t().view(-1))),
        ShapeError,
        (
            "The net (Returns) failed in its own forward on an input of shape (2, 1, 8, 8), after layer "
            "'net.3' gave (2, 3)",
            "(net)  Returns  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "cat of two sizes",
        net(Returns(lambda x: torch.cat([x, x[:1]], 1))),
        ShapeError,
        (
            "The net (Returns) failed in its own forward on an input of shape (2, 1, 8, 8), after layer "
            "'net.3' gave (2, 3)",
            "Let the branches give the same shapes: the same strides, and paddings that keep the size.",
            "(net)  Returns  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "deep in a nested Model",
        net(ec.Model(Outer(ec.Model(nn.Sequential(nn.Flatten(), nn.Linear(7, 3)))))),
        ShapeError,
        (
            "Layer 'inner.net.1' (Linear(in_features=7, out_features=3, bias=True)) cannot take an input "
            "of shape (2, 128)",
            "It expects 7 features in the last dimension; make it Linear(128, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "inner.net.1  Linear   (2, 128)      failed",
        ),
    ),
    Case(
        "deep in a nested Sequential",
        net(ec.Sequential([L.Conv2D(2, 3), ec.Sequential([("flat", L.Flatten()), ("head", nn.Linear(7, 3))])])),
        ShapeError,
        (
            "Layer '1.head' (Linear(in_features=7, out_features=3, bias=True)) cannot take an input of shape (2, 72)",
            "It expects 7 features in the last dimension; make it Linear(72, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "1.head  Linear   (2, 72)       failed",
        ),
    ),
    Case(
        "Parallel branches of two sizes",
        net(ec.Sequential([ec.Parallel(L.Conv2D(2, 3), L.Conv2D(2, 5)), L.Flatten(), L.Dense(3)])),
        ShapeError,
        (
            "Layer '0' (Parallel) failed in its own forward on an input of shape (2, 1, 8, 8), after layer "
            "'0.1' gave (2, 2, 4, 4)",
            'Give them the same strides, and paddings that keep the size (padding="same"; for a pooling of '
            "3, padding=1 with stride=1).",
            "0      Parallel  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "Parallel sum of two channel counts",
        net(ec.Sequential([ec.Parallel(L.Conv2D(2, 3), L.Conv2D(3, 3), merge="sum"), L.Flatten(), L.Dense(3)])),
        ShapeError,
        (
            "Layer '0' (Parallel) failed in its own forward on an input of shape (2, 1, 8, 8), after layer "
            "'0.1' gave (2, 3, 6, 6)",
            'Give them the same strides, and paddings that keep the size (padding="same"; for a pooling of '
            "3, padding=1 with stride=1).",
            "0      Parallel  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "Residual that loses its border",
        net(ec.Sequential([ec.Residual(L.Conv2D(2, 3)), L.Flatten(), L.Dense(3)])),
        ShapeError,
        (
            "Layer '0' (Residual) failed in its own forward on an input of shape (2, 1, 8, 8), after layer "
            "'0.main' gave (2, 2, 6, 6)",
            'Choose paddings so that the main path keeps the size or divides it, rounded up (padding="same"; '
            "ceil_mode=True of a pooling), or give "
            "the shortcut yourself: shortcut=<module>.",
            "0       Residual  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "Residual without a shortcut",
        net(ec.Sequential([ec.Residual(L.Conv2D(2, 3, padding=1), shortcut="identity"), L.Flatten(), L.Dense(3)])),
        EasyconvError,
        (
            "Layer '0' (Residual) failed in its own forward on an input of shape (2, 1, 8, 8), after layer "
            "'0.shortcut' gave (2, 1, 8, 8)",
            'Let the main path keep the shape of the input (2, 1, 8, 8), or take shortcut="auto", which '
            "projects where it does not.",
            "0           Residual  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "resnet18 on one channel",
        lambda b: resnet(b, torch.rand(4, 1, 64, 64)),
        EasyconvError,
        (
            "x must be images of shape (N, C, H, W) with C = 3, got shape (4, 1, 64, 64) with 1 channel.",
            "Repeat the one there is (x.repeat(3, 1) of an array, x.repeat_interleave(3, 1) of a tensor), "
            "or build the net for one channel.",
        ),
    ),
    Case(
        "resnet18 on four channels",
        lambda b: resnet(b, torch.rand(4, 4, 64, 64)),
        EasyconvError,
        (
            "x must be images of shape (N, C, H, W) with C = 3, got shape (4, 4, 64, 64) with 4 channels.",
            "Build the net for 4 channels, or give it data of 3.",
        ),
    ),
    Case(
        "resnet18 with a wrong inner layer",
        lambda b: broken_resnet(b),
        ShapeError,
        (
            "Layer 'layer3.1.conv2' (Conv2d(128, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))) "
            "cannot take an input of shape (2, 256, 4, 4)",
            "It expects 128 channels and got 256; give it in_channels=256, or use Conv2D of "
            "easyconv.layers, which infers them.",
            "layer3.1.conv2         Conv2d       (2, 256, 4, 4)  failed",
        ),
    ),
    Case(
        "Embedding of images",
        net(nn.Sequential(nn.Embedding(10, 2), nn.Flatten(), nn.Linear(128, 3))),
        EasyconvError,
        (
            "x must hold integers, since the first layer is an embedding, got float32 of shape (24, 1, 8, "
            "8) with fractions, the first in row 0.",
            "Pass token numbers, or start the net with another layer.",
        ),
    ),
    Case(
        "LSTM of wrong features",
        net(
            nn.Sequential(nn.Flatten(2), nn.LSTM(9, 3)),
        ),
        ShapeError,
        (
            "Layer '1' (LSTM(9, 3)) cannot take an input of shape (2, 1, 64)",
            "It expects 9 features in the last dimension; make it LSTM(64, 3), or turn the axes.",
            "1      LSTM     (2, 1, 64)    failed",
        ),
    ),
    Case(
        "build of a wrong shape",
        lambda b: b.model().build((3, 8, 8)),
        ShapeError,
        (
            "Layer '0' (Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))) cannot take an input of shape (1, 3, 8, 8)",
            "It expects 1 channel and got 3; give it in_channels=3, or use Conv2D of easyconv.layers, "
            "which infers them.",
            "0      Conv2d  (1, 3, 8, 8)  failed",
        ),
    ),
    Case(
        "build with the batch axis",
        lambda b: b.model().build((None, 1, 8, 8)),
        ArgumentError,
        (
            "input_shape must leave out the batch dimension: got (None, 1, 8, 8), write (1, 8, 8) "
            "(channels come first).",
        ),
    ),
    Case(
        "build with channels last",
        lambda b: b.model(small_net(3, size=16), good=(COLOUR, Y)).build((16, 16, 3)),
        ArgumentError,
        (
            "input_shape (16, 16, 3) has its channels last",
            "here, as in torch, they come first: (3, 16, 16).",
            "Images that are stored channels last are turned with images.permute(0, 3, 1, 2).",
        ),
    ),
    Case(
        "build with a number",
        lambda b: b.model().build(8),
        ArgumentTypeError,
        (
            "input_shape must be a tuple, got 8",
            "write (8,).",
        ),
    ),
    Case(
        "build with floats",
        lambda b: b.model().build((1.0, 8, 8)),
        ArgumentTypeError,
        ("input_shape must hold integers, got (1.0, 8, 8) with 1.0.",),
    ),
    Case(
        "build with 0",
        lambda b: b.model().build((0, 8, 8)),
        ArgumentError,
        ("input_shape must hold sizes of at least 1, got (0, 8, 8).",),
    ),
    Case(
        "build with text",
        lambda b: b.model().build("1x8x8"),
        ArgumentTypeError,
        (
            "input_shape must be a tuple of integers like (3, 32, 32), channels first and without the batch dimension",
            "got '1x8x8' (str).",
        ),
    ),
    Case(
        "called by hand",
        lambda b: b.model()(torch.zeros(2, 1, 9, 9)),
        ShapeError,
        (
            "Layer '3' (Linear(in_features=144, out_features=3, bias=True)) cannot take an input of shape (2, 196)",
            "It expects 144 features in the last dimension; make it Linear(196, 3), or Dense(3) of "
            "easyconv.layers, which infers the size.",
            "3      Linear   (2, 196)      failed",
        ),
    ),
]


def broken_resnet(b):
    import torchvision

    torch.manual_seed(0)
    made = torchvision.models.resnet18(num_classes=3)
    made.layer3[1].conv2 = nn.Conv2d(128, 256, 3, padding=1)
    return b.fit(torch.rand(4, 3, 64, 64), Y[:4], net=made, good=None, batch_size=4)


OUTPUTS = [
    Case(
        "returns a list",
        net(Returns(lambda x: [x, x])),
        EasyconvError,
        (
            "y must be a tuple of 2 arrays, since the net gives 2 outputs, got one array of shape (24,).",
            "Pass one array for each, or let forward return one tensor.",
        ),
    ),
    Case(
        "returns a tuple for one y",
        net(Returns(lambda x: (x, x))),
        EasyconvError,
        (
            "y must be a tuple of 2 arrays, since the net gives 2 outputs, got one array of shape (24,).",
            "Pass one array for each, or let forward return one tensor.",
        ),
    ),
    Case(
        "returns None",
        net(Returns(lambda x: None)),
        EasyconvError,
        (
            "The net gave None: its forward must return the output.",
            "Look whether the last line lacks its return.",
        ),
    ),
    Case(
        "returns text",
        net(Returns(lambda x: "yes")),
        EasyconvError,
        (
            "The net gave str: its forward must return a tensor, or a tuple or dict of tensors, computed "
            "by torch from start to end.",
        ),
    ),
    Case(
        "returns a float",
        net(Returns(lambda x: 0.5)),
        EasyconvError,
        (
            "The net gave float: its forward must return a tensor, or a tuple or dict of tensors, computed "
            "by torch from start to end.",
        ),
    ),
    Case(
        "returns NumPy",
        net(Returns(lambda x: x.detach().numpy())),
        EasyconvError,
        (
            "The net gave ndarray: its forward must return a tensor, or a tuple or dict of tensors, "
            "computed by torch from start to end.",
        ),
    ),
    Case(
        "returns one number",
        net(Returns(lambda x: x.mean())),
        EasyconvError,
        (
            "The net gave an output of shape () for 2 samples: the first axis must be the samples.",
            "Look for a mean, a transpose, a reshape or a cat over the first axis in its forward.",
        ),
    ),
    Case(
        "returns labels",
        net(Returns(lambda x: x.argmax(1))),
        EasyconvError,
        (
            "The net gave int64 numbers of shape (2,), and the loss 'cross_entropy' needs floating "
            "outputs: return the raw outputs, without argmax or round. predict_classes() gives labels.",
        ),
    ),
    Case(
        "returns a dict for one y",
        net(Returns(lambda x: {"out": x})),
        EasyconvError,
        (
            "y must be a dict with the keys 'out', since the net gives 1 output, got one array of shape (24,).",
            "Pass one array for each, or let forward return one tensor.",
        ),
    ),
    Case(
        "returns other rows",
        net(Returns(lambda x: x.repeat(2, 1))),
        EasyconvError,
        (
            "The net gave an output of shape (4, 3) for 2 samples: the first axis must be the samples.",
            "Look for a mean, a transpose, a reshape or a cat over the first axis in its forward.",
        ),
    ),
    Case(
        "returns a detached tensor",
        net(Returns(lambda x: x.detach())),
        EasyconvError,
        (
            "The net's output has no gradient, so nothing can be learned.",
            "Its forward must not call .detach(), .data, .numpy(), torch.tensor() or torch.no_grad() "
            "between the trained layers and the output.",
        ),
    ),
    Case(
        "predict returns None",
        lambda b: b.model(Returns(lambda x: None), good=None).predict(X),
        EasyconvError,
        (
            "The net gave None: its forward must return the output.",
            "Look whether the last line lacks its return.",
        ),
    ),
    Case(
        "predict returns text",
        lambda b: b.model(Returns(lambda x: "yes"), good=None).predict(X),
        EasyconvError,
        (
            "The net gave str: its forward must return a tensor, or a tuple or dict of tensors, computed "
            "by torch from start to end.",
        ),
    ),
    Case(
        "too many outputs for the labels",
        net(small_net(outputs=1)),
        EasyconvError,
        (
            "y holds class labels for cross_entropy, which needs one output per class, but the net's "
            "output is (N, 1): one number per sample.",
            'For two classes use loss="bce" with this output',
            "otherwise end the net with as many outputs as there are classes.",
        ),
    ),
    Case(
        "transposed output",
        net(Returns(lambda x: x.t())),
        EasyconvError,
        (
            "The net gave an output of shape (3, 2) for 2 samples: the first axis must be the samples.",
            "Look for a mean, a transpose, a reshape or a cat over the first axis in its forward.",
        ),
    ),
]

OWN = [
    Case(
        "own exception",
        net(Raises(OwnError("the sensor is off"))),
        OwnError,
        ("the sensor is off",),
    ),
    Case(
        "own ValueError",
        net(Raises(OwnValueError("the sensor is off"))),
        OwnValueError,
        ("the sensor is off",),
    ),
    Case(
        "own RuntimeError",
        net(Raises(OwnRuntimeError("the sensor is off"))),
        OwnRuntimeError,
        ("the sensor is off",),
    ),
    Case(
        "own KeyError",
        net(Raises(OwnKeyError("the sensor is off"))),
        OwnKeyError,
        ("'the sensor is off'",),
    ),
    Case(
        "plain KeyError",
        net(Raises(KeyError("sensor"))),
        KeyError,
        ("'sensor'",),
    ),
    Case(
        "plain AssertionError",
        net(Raises(AssertionError("the sensor is off"))),
        AssertionError,
        ("the sensor is off",),
    ),
    Case(
        "plain ValueError",
        net(Raises(ValueError("the sensor is off"))),
        ValueError,
        (
            "The net (Raises) failed in its own forward on an input of shape (2, 1, 8, 8)",
            "(net)  Raises  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "plain RuntimeError",
        net(Raises(RuntimeError("the sensor is off"))),
        RuntimeError,
        (
            "The net (Raises) failed in its own forward on an input of shape (2, 1, 8, 8)",
            "(net)  Raises  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "plain IndexError",
        net(Raises(IndexError("the sensor is off"))),
        IndexError,
        (
            "The net (Raises) failed in its own forward on an input of shape (2, 1, 8, 8)",
            "(net)  Raises  (2, 1, 8, 8)  failed",
        ),
    ),
    Case(
        "plain TypeError",
        net(Raises(TypeError("the sensor is off"))),
        TypeError,
        ("the sensor is off",),
    ),
    Case(
        "plain NotImplementedError",
        net(Raises(NotImplementedError("the sensor is off"))),
        NotImplementedError,
        ("the sensor is off",),
    ),
    Case(
        "KeyboardInterrupt",
        net(Raises(KeyboardInterrupt())),
        KeyboardInterrupt,
        (),
    ),
    Case(
        "no forward",
        net(type("Empty", (nn.Module,), {})()),
        NotImplementedError,
        ('Module [Empty] is missing the required "forward" function',),
    ),
]

MAKING = [
    Case(
        "Model of a class",
        lambda b: ec.Model(nn.Linear),
        ArgumentTypeError,
        (
            "Model() takes an object, got the class Linear",
            "write Linear().",
        ),
    ),
    Case(
        "Model of a list",
        lambda b: ec.Model([nn.Linear(1, 1)]),
        ArgumentTypeError,
        (
            "Model() takes a torch.nn.Module, got [Linear(in_features=1, out_features=1, bias=True)] (list).",
            "For a list of layers use Sequential([...]).",
        ),
    ),
    Case(
        "Model of text",
        lambda b: ec.Model("resnet18"),
        ArgumentTypeError,
        (
            "Model() takes a torch.nn.Module, got 'resnet18' (str).",
            "For a list of layers use Sequential([...]).",
        ),
    ),
    Case(
        "Model of a function",
        lambda b: ec.Model(functional.relu),
        ArgumentTypeError,
        (
            "Model() takes a torch.nn.Module, got <function relu at",
            "> (function).",
            "For a list of layers use Sequential([...]).",
        ),
    ),
    Case(
        "Sequential of a class",
        lambda b: ec.Sequential([nn.ReLU]),
        ArgumentTypeError,
        (
            "A layer must be an object, got ReLU itself",
            "write ReLU(...).",
        ),
    ),
    Case(
        "Sequential of text",
        lambda b: ec.Sequential(["relu"]),
        ArgumentTypeError,
        ("A layer must be a torch.nn.Module, got 'relu' (str).",),
    ),
    Case(
        "Sequential of None",
        lambda b: ec.Sequential([None]),
        ArgumentTypeError,
        ("A layer must be a torch.nn.Module, got None (NoneType).",),
    ),
    Case(
        "Sequential of a function",
        lambda b: ec.Sequential([functional.relu]),
        ArgumentTypeError,
        (
            "A layer must be a torch.nn.Module, got the function 'relu'.",
            "Wrap it: ec.layers.Lambda(function).",
        ),
    ),
    Case(
        "a submodule called history",
        lambda b: named_history(),
        ReservedNameError,
        (
            "Net cannot have a layer, parameter or value called 'history': that is Model.history.",
            "Take another name, like history_layer or history_.",
        ),
    ),
    Case(
        "Keras's filters",
        lambda b: L.Conv2D(filters=8, kernel_size=3),
        ArgumentTypeError,
        (
            "Conv2D() got filters=8, which is Keras's name",
            "here, as in torch, it is out_channels=8.",
        ),
    ),
    Case(
        "Keras's strides",
        lambda b: L.Conv2D(8, 3, strides=2),
        ArgumentTypeError,
        (
            "Conv2D() got strides=2, which is Keras's name",
            "here, as in torch, it is stride=2.",
        ),
    ),
    Case(
        "Keras's units",
        lambda b: L.Dense(units=8),
        ArgumentTypeError,
        (
            "Dense() got units=8, which is Keras's name",
            "here, as in torch, it is out_features=8.",
        ),
    ),
    Case(
        "Keras's pool_size",
        lambda b: L.MaxPool2D(pool_size=2),
        ArgumentTypeError,
        (
            "MaxPool2D() got pool_size=2, which is Keras's name",
            "here, as in torch, it is kernel_size=2.",
        ),
    ),
    Case(
        "Keras's input_shape",
        lambda b: L.Conv2D(8, 3, input_shape=(8, 8, 1)),
        ArgumentTypeError,
        (
            "Conv2D() got input_shape=(8, 8, 1), which is no argument here: give it to the model: "
            "Sequential([...], input_shape=(channels, height, width)).",
        ),
    ),
    Case(
        "torch's in_channels",
        lambda b: L.Conv2D(3, 8, 3),
        ArgumentError,
        (
            "Conv2D(3, 8, 3) would have 3 output channels and a window of 8 with stride 3.",
            "The input channels are inferred and left out here: Conv2D(8, 3).",
            "If you do mean it, write stride=3.",
        ),
    ),
    Case(
        "misspelt padding",
        lambda b: L.Conv2D(8, 3, paddin=1),
        ArgumentTypeError,
        (
            "Conv2D() got paddin=1, which it does not know.",
            "Did you mean 'padding' or 'padding_mode'?",
        ),
    ),
    Case(
        "padding misspelt word",
        lambda b: L.Conv2D(8, 3, padding="sam"),
        ArgumentError,
        (
            "padding must be one of 'same', 'valid', got 'sam'.",
            "Did you mean 'same'?",
        ),
    ),
    Case(
        "activation misspelt",
        lambda b: L.Conv2D(8, 3, activation="rellu"),
        ArgumentError,
        (
            "There is no activation called 'rellu'.",
            "Did you mean 'relu' or 'relu6' or 'prelu'?",
        ),
    ),
    Case(
        "activation a number",
        lambda b: L.Dense(8, activation=3),
        ArgumentTypeError,
        ("activation must be a name like 'relu', a torch.nn module or its class, or a function, got 3 (int).",),
    ),
    Case(
        "0 channels",
        lambda b: L.Conv2D(0, 3),
        ArgumentError,
        ("out_channels must be at least 1, got 0.",),
    ),
    Case(
        "negative units",
        lambda b: L.Dense(-1),
        ArgumentError,
        ("out_features must be at least 1, got -1.",),
    ),
    Case(
        "float units",
        lambda b: L.Dense(8.0),
        ArgumentTypeError,
        (
            "out_features must be an integer, got 8.0 (float).",
            "Write 8.",
        ),
    ),
    Case(
        "text kernel",
        lambda b: L.Conv2D(8, "3"),
        ArgumentTypeError,
        (
            "kernel_size must be an integer, got '3' (str).",
            "Write 3.",
        ),
    ),
    Case(
        "kernel of 3 numbers",
        lambda b: L.Conv2D(8, (3, 3, 3)),
        ArgumentError,
        ("kernel_size must be one integer or 2 of them, got (3, 3, 3).",),
    ),
    Case(
        "dropout 2",
        lambda b: L.Dropout(2),
        ArgumentError,
        ("p must be at least 0 and less than 1, got 2.",),
    ),
    Case(
        "dropout text",
        lambda b: L.Dropout("0.5"),
        ArgumentTypeError,
        (
            "p must be a number, got '0.5' (str).",
            "Write 0.5.",
        ),
    ),
    Case(
        "unknown layer",
        lambda b: L.Conv2d,
        AttributeError,
        (
            "easyconv.layers has no layer 'Conv2d'.",
            "Did you mean 'Conv2D'?",
        ),
    ),
    Case(
        "merge misspelt",
        lambda b: ec.Parallel(nn.ReLU(), nn.ReLU(), merge="concatenate"),
        ArgumentError,
        (
            "There is no merge called 'concatenate'.",
            "Did you mean 'concat'?",
        ),
    ),
    Case(
        "get_layer misspelt",
        lambda b: b.model().get_layer("net.00"),
        EasyconvError,
        (
            "There is no layer 'net.00'.",
            "Did you mean '0'?",
        ),
    ),
    Case(
        "freeze unknown",
        lambda b: b.model().freeze("head"),
        EasyconvError,
        (
            "There is no layer 'head'.",
            "Choose one of '0', '1', '2', '3'.",
        ),
    ),
]


def named_history():
    class Net(ec.Model):
        def __init__(self):
            super().__init__()
            self.history = nn.Linear(1, 1)

    return Net()


CASES = SHAPES + OUTPUTS + OWN + MAKING


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_nets_that_fail_are_explained(case):
    run_case(case)


@pytest.mark.parametrize("case", [case for case in SHAPES if case.error is ShapeError], ids=repr)
def test_a_shape_error_has_the_table(case):
    with pytest.raises(ShapeError) as caught:
        case.act(Bench())
    lines = str(caught.value).splitlines()
    header = next(line for line in lines if line.startswith("  layer"))
    assert header.split() == ["layer", "type", "input", "output"]
    assert lines[-1].endswith("failed")
    assert caught.value.rows[-1].output_shape == "failed"
    assert (caught.value.layer or "(net)") in lines[-1]


@pytest.mark.parametrize("error", [OwnError("off"), OwnValueError("off"), OwnRuntimeError("off"), OwnKeyError("off")])
def test_own_exceptions_pass_as_the_same_object(error):
    for call in (
        lambda model: model.fit(X, Y, verbose=0),
        lambda model: model.evaluate(X, Y, verbose=0),
        lambda model: model.predict(X, verbose=0),
        lambda model: model(X),
        lambda model: model.build((1, 8, 8)),
    ):
        with pytest.raises(type(error)) as caught:
            call(Bench().model(Raises(error), good=None))
        assert caught.value is error


def test_an_lstm_in_a_stack_is_explained():
    stack = nn.Sequential(nn.Flatten(2), nn.LSTM(64, 3), nn.Linear(3, 3))
    with pytest.raises(ShapeError, match=r"Layer '2' \(Linear[^\n]*\n.*take the first, output, state = lstm") as caught:
        Bench().fit(net=stack, good=None)
    assert isinstance(caught.value, TypeError)


def test_an_explained_error_is_still_what_torch_raised():
    with pytest.raises(IndexError, match=r"It takes ids from 0 to 9, and got ids from 0 to 10"):
        ec.Model(nn.Embedding(10, 2))(torch.tensor([[0, 10]]))
