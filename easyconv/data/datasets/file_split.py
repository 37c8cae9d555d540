"""Pictures that stay in their files and are decoded while the net trains."""

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from easyconv.data.datasets.split import Split
from easyconv.data.pictures.format import PictureFormat
from easyconv.data.sources.files import FileSource
from easyconv.data.sources.source import Source
from easyconv.data.sources.workers import check_workers, usable_cores

__all__ = ["FileSplit"]


class FileSplit(Split):
    """Pictures that are too many for memory and disk cache: each is decoded when its batch is due, by workers.

    Parameters
    ----------
    files : sequence of str
        Where the pictures are.
    targets : Tensor, or nested tuple or dict of tensors, optional
        One row per picture.
    class_names : sequence of str, optional
        Name of each class.
    picture_format : PictureFormat
        How the files become pictures of one size.
    num_workers : int or "auto", default "auto"
        Processes that decode, see `loader`.

    Examples
    --------
    >>> import torch
    >>> FileSplit(["cat.jpg", "dog.jpg"], torch.tensor([0, 1]), picture_format=PictureFormat(32))
    <FileSplit: 2 pictures of 3x32x32, decoded from files as they are needed>
    """

    in_memory = False

    def __init__(
        self,
        files: Sequence[str],
        targets: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        picture_format: PictureFormat,
        num_workers: int | str = "auto",
    ) -> None:
        self._count = len(files)
        self.num_workers = num_workers
        check_workers(num_workers)
        super().__init__(targets, class_names=class_names, files=files, picture_format=picture_format)

    def __len__(self) -> int:
        """Number of pictures."""
        return self._count

    @property
    def images(self) -> Tensor:
        """All pictures, decoded now: they have to fit in memory."""
        return self.pictures(range(len(self)))

    def pictures(self, rows: Any) -> Tensor:
        """Some of the pictures, by their numbers, decoded now: shape (n, C, H, W)."""
        files = [self._file(row) for row in torch.as_tensor(rows, dtype=torch.int64).tolist()]
        with ThreadPoolExecutor(usable_cores()) as pool:
            decoded = list(pool.map(self.picture_format, files))
        if not decoded:
            return torch.empty((0, self.channels, *self.size), dtype=torch.uint8)
        return torch.stack([torch.from_numpy(picture) for picture in decoded])

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        """One picture and its target, before all transforms."""
        row = self._row(index)
        # No threads: workers decode one picture after the other.
        return torch.from_numpy(self.picture_format(self._file(row))), self._target(row)

    def _file(self, row: int) -> str:
        return "" if self.files is None else self.files[row]

    def _bare_source(self, batch_size: int, shuffle: bool) -> Source:
        return FileSource(self, batch_size, shuffle=shuffle, num_workers=self.num_workers)

    def _only(self, rows: Tensor) -> "FileSplit":
        chosen = copy.copy(self)
        chosen._count = len(rows)
        return chosen

    def _kept(self) -> str:
        return "decoded from files as they are needed"
