"""Blocks that nets are built of, one file per idea."""

from easyconv.layers.blocks.conv_block import ConvBlock
from easyconv.layers.blocks.dense_block import DenseBlock, Transition
from easyconv.layers.blocks.inception import InceptionA, InceptionNaive, InceptionV1
from easyconv.layers.blocks.inception_v3 import InceptionV3A, InceptionV3B, InceptionV3C, InceptionV3D, InceptionV3E
from easyconv.layers.blocks.residual import BasicBlock, Bottleneck, PreActBlock
from easyconv.layers.blocks.residual_unit import ResidualUnit
from easyconv.layers.blocks.separable import DepthwiseSeparable, InvertedResidual
from easyconv.layers.blocks.squeeze_excite import SqueezeExcite

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ConvBlock",
    "DenseBlock",
    "DepthwiseSeparable",
    "InceptionA",
    "InceptionNaive",
    "InceptionV1",
    "InceptionV3A",
    "InceptionV3B",
    "InceptionV3C",
    "InceptionV3D",
    "InceptionV3E",
    "InvertedResidual",
    "PreActBlock",
    "ResidualUnit",
    "SqueezeExcite",
    "Transition",
]
