"""Layers, blocks and containers.

The layers are functions that make plain ``torch.nn`` layers; those that infer the size of their input become the plain
class at the first forward pass. Arguments have torch's names; the layout is channels first.
"""

from easyconv.layers.activations import Activation
from easyconv.layers.blocks import (
    BasicBlock,
    Bottleneck,
    ConvBlock,
    DenseBlock,
    DepthwiseSeparable,
    InceptionA,
    InceptionNaive,
    InceptionV1,
    InceptionV3A,
    InceptionV3B,
    InceptionV3C,
    InceptionV3D,
    InceptionV3E,
    InvertedResidual,
    PreActBlock,
    ResidualUnit,
    SqueezeExcite,
    Transition,
)
from easyconv.layers.containers import Parallel, Residual
from easyconv.layers.convolution import Conv1D, Conv2D, Conv3D, ConvTranspose2D
from easyconv.layers.dense import Dense, Embedding
from easyconv.layers.function import Lambda
from easyconv.layers.global_pooling import GlobalAvgPool1D, GlobalAvgPool2D, GlobalMaxPool1D, GlobalMaxPool2D
from easyconv.layers.initializers import initialize
from easyconv.layers.normalization import BatchNorm, GroupNorm, LayerNorm, LocalResponseNorm
from easyconv.layers.pooling import AvgPool1D, AvgPool2D, AvgPool3D, MaxPool1D, MaxPool2D, MaxPool3D
from easyconv.layers.reshaping import Dropout, Dropout2D, Flatten, Permute, Reshape, Upsample, ZeroPad2D
from easyconv.layers.whitened_filters import whitening
from easyconv.names import suggest

__all__ = [
    "Activation",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BasicBlock",
    "BatchNorm",
    "Bottleneck",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "ConvBlock",
    "ConvTranspose2D",
    "Dense",
    "DenseBlock",
    "DepthwiseSeparable",
    "Dropout",
    "Dropout2D",
    "Embedding",
    "Flatten",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "InceptionA",
    "InceptionNaive",
    "InceptionV1",
    "InceptionV3A",
    "InceptionV3B",
    "InceptionV3C",
    "InceptionV3D",
    "InceptionV3E",
    "InvertedResidual",
    "Lambda",
    "LayerNorm",
    "LocalResponseNorm",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "Parallel",
    "Permute",
    "PreActBlock",
    "Reshape",
    "Residual",
    "ResidualUnit",
    "SqueezeExcite",
    "Transition",
    "Upsample",
    "ZeroPad2D",
    "initialize",
    "whitening",
]

_KERAS_NAMES = {
    "Add": "Residual",
    "AveragePooling1D": "AvgPool1D",
    "AveragePooling2D": "AvgPool2D",
    "AveragePooling3D": "AvgPool3D",
    "BatchNormalization": "BatchNorm",
    "Concatenate": "Parallel",
    "Conv2DTranspose": "ConvTranspose2D",
    "ELU": 'Activation("elu")',
    "GlobalAveragePooling1D": "GlobalAvgPool1D",
    "GlobalAveragePooling2D": "GlobalAvgPool2D",
    "GlobalMaxPooling1D": "GlobalMaxPool1D",
    "GlobalMaxPooling2D": "GlobalMaxPool2D",
    "GroupNormalization": "GroupNorm",
    "LayerNormalization": "LayerNorm",
    "LeakyReLU": 'Activation("leaky_relu")',
    "MaxPooling1D": "MaxPool1D",
    "MaxPooling2D": "MaxPool2D",
    "MaxPooling3D": "MaxPool3D",
    "PReLU": 'Activation("prelu")',
    "ReLU": 'Activation("relu")',
    "SeparableConv2D": "ConvBlock(..., separable=True)",
    "Softmax": 'Activation("softmax")',
    "SpatialDropout2D": "Dropout2D",
    "UpSampling2D": "Upsample",
    "ZeroPadding2D": "ZeroPad2D",
}


def __getattr__(name: str) -> object:
    raise AttributeError(f"easyconv.layers has no layer {name!r}.{_hint(name)}")


def _hint(name: str) -> str:
    from torch import nn

    if name in _KERAS_NAMES:
        return f" Keras's {name} is {_KERAS_NAMES[name]} here."
    if name.startswith("_"):
        return ""
    ours = {other.lower() for other in __all__}
    if isinstance(getattr(nn, name, None), type) and name.lower() not in ours:
        return f" torch.nn.{name} works in every net as it is."
    return f" {suggest(name, __all__)}"
