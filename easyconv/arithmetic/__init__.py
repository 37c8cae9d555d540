"""Arithmetic of layers that one can do on paper, each formula a plain function.

============================= ===================================================================================
output sizes                  :func:`conv_output_size`, :func:`pool_output_size`, :func:`conv_transpose_output_size`,
                              :func:`same_padding`
parameters                    :func:`conv_parameters`, :func:`linear_parameters`, :func:`batch_norm_parameters`
multiplications               :func:`conv_multiply_adds`, :func:`conv_transpose_multiply_adds`,
                              :func:`linear_multiply_adds`
receptive fields              :func:`receptive_field`, :func:`receptive_field_step`
============================= ===================================================================================

The same numbers of a whole net: ``easyconv.count_parameters``, ``easyconv.multiply_adds``,
``easyconv.receptive_field``, ``easyconv.output_shape``.

Source of the formulas: Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016), and
Araujo, Norris and Sim, *Computing receptive fields of convolutional neural networks*, Distill (2019).
"""

from easyconv.arithmetic.counts import (
    batch_norm_parameters,
    conv_multiply_adds,
    conv_parameters,
    conv_transpose_multiply_adds,
    linear_multiply_adds,
    linear_parameters,
)
from easyconv.arithmetic.fields import ReceptiveField, receptive_field, receptive_field_step
from easyconv.arithmetic.sizes import conv_output_size, conv_transpose_output_size, pool_output_size, same_padding

__all__ = [
    "ReceptiveField",
    "batch_norm_parameters",
    "conv_multiply_adds",
    "conv_output_size",
    "conv_parameters",
    "conv_transpose_multiply_adds",
    "conv_transpose_output_size",
    "linear_multiply_adds",
    "linear_parameters",
    "pool_output_size",
    "receptive_field",
    "receptive_field_step",
    "same_padding",
]
