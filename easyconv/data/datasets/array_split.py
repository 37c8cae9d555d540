"""Pictures in memory as one array, or in a memory-mapped file that looks like one."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from easyconv.data.datasets.split import Split
from easyconv.data.pictures.format import PictureFormat
from easyconv.data.sources.arrays import ArraySource
from easyconv.data.sources.source import Source
from easyconv.errors import DataError, DataTypeError

__all__ = ["ArraySplit"]

_COPIED = 64 << 20
"""Parts of more bytes are not copied out of their array, which may be larger than the memory."""


class ArraySplit(Split):
    """Pictures of one size in one tensor: whole batches are gathered at once, and nothing is done per picture.

    Parameters
    ----------
    images : Tensor
        Shape (N, C, H, W), uint8 or floating. A view of a memory-mapped file is read from the disk batch by batch.
    targets : Tensor, or nested tuple or dict of tensors, optional
        One row per picture.
    class_names : sequence of str, optional
        Name of each class.
    files : sequence of str, optional
        Where each picture comes from.
    picture_format : PictureFormat, optional
        How other pictures become such as these; by default the short side is brought to this size and the centre cut.
    mapped : bool, default False
        Whether the pictures are in a memory-mapped file.

    Raises
    ------
    DataError, DataTypeError
        When ``images`` is no such tensor.
    LengthError
        When the lengths differ, or there are more classes than names.

    Examples
    --------
    >>> split = ArraySplit(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 1, 0, 1]))
    >>> split
    <ArraySplit: 5 pictures of 1x8x8, uint8 in memory>
    >>> split.subset([0, 2]).targets
    tensor([0, 1])
    """

    in_memory = True

    def __init__(
        self,
        images: Tensor,
        targets: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        files: Sequence[str] | None = None,
        picture_format: PictureFormat | None = None,
        mapped: bool = False,
    ) -> None:
        self._base = _checked(images)
        self._rows: Tensor | None = None
        self._mapped = mapped
        if picture_format is None:
            picture_format = PictureFormat(
                (images.shape[2], images.shape[3]), channels=3 if images.shape[1] == 3 else 1
            )
        super().__init__(targets, class_names=class_names, files=files, picture_format=picture_format)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._base if self._rows is None else self._rows)

    @property
    def images(self) -> Tensor:
        """All pictures: shape (N, C, H, W); a copy where this is a part of a large array."""
        return self._base if self._rows is None else self._base[self._rows]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the pixels."""
        return self._base.dtype

    @property
    def channels(self) -> int:
        """Channels of the pictures."""
        return self._base.shape[1]

    def pictures(self, rows: Any) -> Tensor:
        """Some of the pictures, by their numbers, as they are kept: shape (n, C, H, W)."""
        index = torch.as_tensor(rows, dtype=torch.int64)
        return self._base[index if self._rows is None else self._rows[index]]

    def _bare_source(self, batch_size: int, shuffle: bool) -> Source:
        return ArraySource(self._base, self.targets, batch_size=batch_size, shuffle=shuffle, chosen=self._rows)

    def _only(self, rows: Tensor) -> "ArraySplit":
        chosen = copy.copy(self)
        start = int(rows[0])
        if self._rows is None and torch.equal(rows, torch.arange(start, start + len(rows))):
            chosen._base = self._base[start : start + len(rows)]  # neighbours share the memory
        elif len(rows) * self._base[0].nbytes <= _COPIED:
            chosen._base, chosen._rows, chosen._mapped = self.pictures(rows), None, False
        else:
            chosen._rows = rows if self._rows is None else self._rows[rows]
        return chosen

    def _kept(self) -> str:
        kind = str(self.dtype).removeprefix("torch.")
        return f"{kind} in {'a memory-mapped file' if self._mapped else 'memory'}"


def _checked(images: Any) -> Tensor:
    if not isinstance(images, Tensor) or not (images.dtype == torch.uint8 or images.is_floating_point()):
        got = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise DataTypeError(f"images must be a tensor of uint8 or floats, got {got}.")
    if images.dim() != 4 or 0 in images.shape[1:]:
        raise DataError(f"images must have the shape (N, C, H, W), got {tuple(images.shape)}.")
    return images.detach()
