"""Blocks that nets are built of, one file per idea."""

from easyconv.layers.blocks.conv_block import ConvBlock
from easyconv.layers.blocks.inception import InceptionA

__all__ = ["ConvBlock", "InceptionA"]
