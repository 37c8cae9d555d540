"""Well-known data sets by name, over ``torchvision.datasets``."""

import os
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from easyconv.arguments import check_flag
from easyconv.data.datasets.array_split import ArraySplit
from easyconv.data.datasets.splits import Splits
from easyconv.data.sources.splits import split_indices
from easyconv.errors import ArgumentTypeError, FileMissingError
from easyconv.files import cache_folder
from easyconv.names import look_up, optional_import

__all__ = ["DATA_VARIABLE", "data_folder", "load"]

DATA_VARIABLE = "EASYCONV_DATA"


class _Part(NamedTuple):
    """Pictures as torchvision keeps them, made tensors."""

    images: Tensor
    targets: Tensor
    class_names: tuple[str, ...]


def load(name: str, *, root: str | os.PathLike[str] | None = None, download: bool = True) -> Splits:
    """A well-known data set, in memory as bytes.

    ================= ======================= ========= ======= =======================================================
    name              pictures                train     test    what
    ================= ======================= ========= ======= =======================================================
    ``digits``        1x8x8                   1,438     359     scikit-learn's digits; needs no download
    ``mnist``         1x28x28                 60,000    10,000  handwritten digits
    ``fashion_mnist`` 1x28x28                 60,000    10,000  clothes
    ``kmnist``        1x28x28                 60,000    10,000  handwritten Japanese characters
    ``emnist``        1x28x28                 112,800   18,800  letters and digits, 47 classes (the balanced split)
    ``usps``          1x16x16                 7,291     2,007   digits of postal codes
    ``cifar10``       3x32x32                 50,000    10,000  animals and vehicles
    ``cifar100``      3x32x32                 50,000    10,000  the same in 100 classes
    ``svhn``          3x32x32                 73,257    26,032  house numbers
    ``stl10``         3x96x96                 5,000     8,000   animals and vehicles
    ================= ======================= ========= ======= =======================================================

    Parameters
    ----------
    name : str
        One of the above.
    root : path, optional
        The folder that holds the files, laid out as torchvision does it (``MNIST/raw/``, ``cifar-10-batches-py/``).
        By default the environment variable ``EASYCONV_DATA``, and where that is not set ``data`` in the user's cache
        folder.
    download : bool, default True
        Fetch files that are not there. Files are checked as torchvision checks them: CIFAR, SVHN, STL-10 and USPS by
        their MD5 sums each time, the MNIST family by those of what is downloaded.

    Returns
    -------
    Splits
        ``train`` and ``test``, pictures as uint8, labels as int64. Of ``digits`` a fifth of each class is the test
        part, always the same; the other data sets come with theirs. Take a part of the training pictures to choose by
        with ``data.hold_out(0.1)``.

    Raises
    ------
    UnknownNameError
        For a name that is not known; the nearest are suggested.
    FileMissingError
        When the files are not there or damaged, and cannot be fetched.
    MissingExtraError
        When scikit-learn (digits) or SciPy (svhn) is not installed.

    Examples
    --------
    >>> data = load("digits")
    >>> len(data.train), len(data.test), data.class_names[:3]
    (1438, 359, ('0', '1', '2'))
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(f"name must be the name of a data set, like 'mnist', got {name!r}.")
    known = look_up(name, _KNOWN, "data set")
    check_flag("download", download)
    train, test = known.read(data_folder(root), download)
    return Splits(_split(train), test=_split(test))


def data_folder(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds data sets: ``root``, or ``EASYCONV_DATA``, or ``data`` in the user's cache folder.

    Examples
    --------
    >>> data_folder("pictures").name
    'pictures'
    """
    if root is not None:
        if not isinstance(root, (str, os.PathLike)):
            raise ArgumentTypeError(f"root must be a folder, got {root!r} ({type(root).__name__}).")
        return Path(root).expanduser()
    named = os.environ.get(DATA_VARIABLE)
    return Path(named).expanduser() if named else cache_folder() / "data"


def _split(part: _Part) -> ArraySplit:
    return ArraySplit(part.images, part.targets, class_names=part.class_names)


@dataclass(frozen=True)
class _Torchvision:
    """How one of torchvision's data sets is made, for each part."""

    kind: str
    where: str
    """The folder or files that it looks for."""
    part: Callable[[bool], dict[str, Any]] = lambda train: {"train": train}
    class_names: tuple[str, ...] | None = None

    def read(self, root: Path, download: bool) -> tuple[_Part, _Part]:
        """The training and the test part."""
        return self._part(root, download, train=True), self._part(root, download, train=False)

    def _part(self, root: Path, download: bool, *, train: bool) -> _Part:
        from torchvision import datasets

        made = self._made(getattr(datasets, self.kind), root, download, self.part(train))
        targets = made.targets if hasattr(made, "targets") else made.labels
        names = self.class_names or tuple(made.classes)
        return _Part(_as_images(made.data), torch.as_tensor(np.asarray(targets), dtype=torch.int64), names)

    def _made(self, kind: Any, root: Path, download: bool, arguments: dict[str, Any]) -> Any:
        try:
            return kind(str(root), download=False, **arguments)
        except (RuntimeError, OSError, EOFError, ValueError) as error:
            if not download:
                raise FileMissingError(self._missing(root, "download=False forbids to fetch them")) from error
        with self._explained(root), redirect_stdout(StringIO()):
            root.mkdir(parents=True, exist_ok=True)
            return kind(str(root), download=True, **arguments)

    @contextmanager
    def _explained(self, root: Path) -> Iterator[None]:
        try:
            yield
        except urllib.error.URLError as error:
            raise FileMissingError(self._missing(root, f"cannot be fetched: {error.reason}")) from error
        except (RuntimeError, OSError, EOFError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise FileMissingError(self._missing(root, f"cannot be fetched: {reason}")) from error

    def _missing(self, root: Path, why: str) -> str:
        return (
            f"The files of {self.kind} ({self.where}) are not in {str(root)!r}, or are damaged, and {why}. Put them "
            f"there from a computer with a network, or say where they are: root=..., or the environment variable "
            f"{DATA_VARIABLE}."
        )


@dataclass(frozen=True)
class _Digits:
    """scikit-learn's digits, whose pixels go from 0 to 16; a fifth of each class is to test on."""

    def read(self, root: Path, download: bool) -> tuple[_Part, _Part]:
        """The training and the test part."""
        bunch = optional_import("sklearn.datasets", "data", "load('digits')").load_digits()
        images = torch.from_numpy(np.round(bunch.images * (255 / 16)).astype(np.uint8))[:, None]
        targets = torch.from_numpy(bunch.target.astype(np.int64))
        kept, held = split_indices(len(targets), targets, fraction=0.2, seed=0)
        names = tuple(map(str, range(10)))
        return _Part(images[kept], targets[kept], names), _Part(images[held], targets[held], names)


@dataclass(frozen=True)
class _Svhn(_Torchvision):
    """House numbers, whose files are MATLAB's."""

    def read(self, root: Path, download: bool) -> tuple[_Part, _Part]:
        """The training and the test part."""
        optional_import("scipy.io", "data", "load('svhn')")
        return super().read(root, download)


def _as_images(data: Any) -> Tensor:
    """Bytes of shape (N, C, H, W), whatever torchvision has made of its files."""
    images = torch.as_tensor(data)
    if images.dim() == 3:
        return images[:, None]
    return images.permute(0, 3, 1, 2).contiguous() if images.shape[-1] == 3 else images


def _split_word(train: bool) -> dict[str, Any]:
    return {"split": "train" if train else "test"}


_TEN_DIGITS = tuple(map(str, range(10)))
_KNOWN: dict[str, Any] = {
    "cifar10": _Torchvision("CIFAR10", "cifar-10-batches-py/"),
    "cifar100": _Torchvision("CIFAR100", "cifar-100-python/"),
    "digits": _Digits(),
    "emnist": _Torchvision("EMNIST", "EMNIST/raw/", lambda train: {"train": train, "split": "balanced"}),
    "fashion_mnist": _Torchvision("FashionMNIST", "FashionMNIST/raw/"),
    "kmnist": _Torchvision("KMNIST", "KMNIST/raw/"),
    "mnist": _Torchvision("MNIST", "MNIST/raw/", class_names=_TEN_DIGITS),
    "stl10": _Torchvision("STL10", "stl10_binary/", _split_word),
    "svhn": _Svhn("SVHN", "train_32x32.mat, test_32x32.mat", _split_word, _TEN_DIGITS),
    "usps": _Torchvision("USPS", "usps.bz2, usps.t.bz2", class_names=_TEN_DIGITS),
}
