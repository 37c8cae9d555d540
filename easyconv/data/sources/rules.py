"""What a net takes and what its loss compares with: the two rules that data is made to fit."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

__all__ = ["InputRule", "TargetRule"]


@dataclass(frozen=True)
class InputRule:
    """What the first layer of a net takes.

    Parameters
    ----------
    kind : {"any", "tokens", "sequence", "image", "volume"}, default "any"
        ``"tokens"`` are integers for an ``Embedding``; a ``"sequence"`` is (N, C, L), an ``"image"`` (N, C, H, W), a
        ``"volume"`` (N, C, D, H, W), all floats. ``"any"`` are floats of any shape.
    channels : int, optional
        C, where it is known.
    tokens : int, optional
        How many tokens the embedding has, where that is known.
    dtype : torch.dtype, default torch.float32
        What the net computes in; floats become that.
    integers : bool, default False
        Whether the net makes of integers and bools what it needs, so that they are left as they are; else they become
        floats (or tokens). uint8 always does: it is a picture.

    Examples
    --------
    >>> InputRule("image", channels=3)
    InputRule(kind='image', channels=3, tokens=None, dtype=torch.float32, integers=False)
    """

    kind: Literal["tokens", "image", "sequence", "volume", "any"] = "any"
    channels: int | None = None
    tokens: int | None = None
    dtype: torch.dtype = torch.float32
    integers: bool = False


@dataclass(frozen=True)
class TargetRule:
    """What a loss compares the net's output with.

    Parameters
    ----------
    kind : {"any", "classes", "binary", "values"}, default "any"
        ``"classes"`` are class indices or probability rows, ``"binary"`` numbers in [0, 1] of the output's shape,
        ``"values"`` floats of the output's shape; ``"any"`` is left as it is.
    output_shape : tuple of int, optional
        Shape of the net's output without the batch axis.
    ignore_index : int, optional
        A label that marks rows or pixels which do not count.
    loss : str, default "the loss"
        The loss's name, for messages.
    required : bool, default True
        Whether data without targets is refused.
    dtype : torch.dtype, default torch.float32
        What floats become, so that they can be compared with the output.
    input_size : tuple of int, optional
        Height and width of the images for which the net gives that output; other images may have other maps.

    Examples
    --------
    >>> TargetRule("classes", (10,)).ignore_index is None
    True
    """

    kind: Literal["classes", "binary", "values", "any"] = "any"
    output_shape: tuple[int, ...] | None = None
    ignore_index: int | None = None
    loss: str = "the loss"
    required: bool = True
    dtype: torch.dtype = torch.float32
    input_size: tuple[int, ...] | None = None

    def for_images(self, size: tuple[int, ...] | None, y: Tensor) -> "TargetRule":
        """The rule for a batch of images of this size: where it is another one, maps are as large as they are.

        The loss compares their size with that of the output.

        Examples
        --------
        >>> rule = TargetRule("classes", (5, 16, 16), input_size=(32, 32))
        >>> rule.for_images((48, 48), torch.zeros(2, 24, 24)).output_shape
        (5, 24, 24)
        """
        axes = len(self.output_shape or ()) - 1
        if self.input_size is None or size is None or size == self.input_size or not self.output_shape:
            return self
        return (
            replace(self, output_shape=(self.output_shape[0], *y.shape[y.dim() - axes :])) if y.dim() > axes else self
        )
