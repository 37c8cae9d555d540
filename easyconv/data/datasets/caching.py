"""A data set that is read sample by sample, made one array."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, Subset, default_collate
from tqdm import tqdm

from easyconv.data.datasets.array_split import ArraySplit
from easyconv.data.datasets.split import Split
from easyconv.data.datasets.targets import wrapping
from easyconv.data.pictures.reading import read_picture
from easyconv.data.sources.chance import first_random
from easyconv.data.sources.convert import is_picture
from easyconv.data.sources.make import as_split, shared_split
from easyconv.data.sources.workers import Located, loader
from easyconv.errors import ArgumentTypeError, DataError, DataTypeError, EmptyDataError
from easyconv.nested import leaves, map_tree
from easyconv.seed import kept_random_state

__all__ = ["cache"]

_BATCH = 256
_LAST_BIT = 1.2e-7


def cache(dataset: Any, *, class_names: Sequence[str] | None = None, num_workers: int | str = 0) -> ArraySplit:
    """Read every sample of a data set once, and keep them as one array, from where batches come much faster.

    Parameters
    ----------
    dataset : map-style Dataset
        Gives samples ``(image, target)`` that are the same each time: pictures (PIL), arrays or tensors of shape
        (C, H, W), all of one size. Random transforms belong to ``cache(...).augment(...)``. Parts of a data set of
        ``ec.data`` keep their transforms, also where torch has cut or joined them.
    class_names : sequence of str, optional
        Name of each class; ``dataset.classes`` by default.
    num_workers : int or "auto", default 0
        Processes that read, see `loader`.

    Returns
    -------
    Split
        Goes into ``fit`` in place of the data set. Floats that are whole multiples of 1/255, as ``ToTensor()`` makes
        them, are kept as bytes, from which they come back (to the last bit but one); other floats take four times the
        memory.

    Raises
    ------
    DataError
        When samples differ from one reading to the next, or in their shapes.
    SampleError
        When a sample cannot be read.
    ArgumentTypeError
        When it is no map-style data set.

    Examples
    --------
    >>> from torch.utils.data import TensorDataset
    >>> cache(TensorDataset(torch.rand(10, 1, 4, 4), torch.arange(10)))
    <ArraySplit: 10 pictures of 1x4x4, float32 in memory>
    """
    split = as_split(dataset)
    if split is not None:
        return _in_memory(split, class_names)
    _check(dataset)
    shared = shared_split(dataset)
    located = Located(dataset)
    _check_sample(located[0])
    _refuse_random(located)
    store = _Store(len(dataset))
    batches = loader(located, _BATCH, num_workers=num_workers, collate_fn=_collate)
    with kept_random_state():
        for images, targets in _shown(batches):
            store.add(images, targets)
    known = _names_of(dataset) if shared is None else shared.class_names
    cached = ArraySplit(store.images, store.joined_targets(), class_names=known if class_names is None else class_names)
    return cached if shared is None else _with_pipeline(cached, shared)


def _in_memory(split: Split, class_names: Sequence[str] | None) -> ArraySplit:
    """A part of a data set, with its transforms, which are for batches and are not cached."""
    kept = ArraySplit(
        split.pictures(torch.arange(len(split))),
        split.targets,
        class_names=split.class_names if class_names is None else class_names,
        files=split.files,
        picture_format=split.picture_format,
    )
    return _with_pipeline(kept, split)


def _with_pipeline(kept: ArraySplit, split: Split) -> ArraySplit:
    kept.pipeline = split.pipeline
    return kept


class _Store:
    """Grows by batches, in one array of the final size; floats that are bytes in truth stay bytes while they are."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._filled = 0
        self._targets: list[Any] = []
        self.images = torch.empty(0)

    def add(self, images: Tensor, targets: Any) -> None:
        """Some more samples."""
        if not self._filled:
            first = _as_bytes(images)
            kind = images.dtype if first is None else torch.uint8
            self.images = torch.empty((self._rows, *images.shape[1:]), dtype=kind)
        elif images.shape[1:] != self.images.shape[1:]:
            raise DataError(_shapes_differ(tuple(self.images.shape[1:]), tuple(images.shape[1:])))
        if self.images.dtype == torch.uint8 and images.dtype != torch.uint8:
            small = _as_bytes(images)
            if small is None:
                self.images = self.images.to(torch.float32) / 255
            else:
                images = small
        self.images[self._filled : self._filled + len(images)] = images
        self._filled += len(images)
        self._targets.append(targets)

    def joined_targets(self) -> Any:
        """The targets of all samples; None where there are none."""
        if self._targets[0] is None:
            return None
        trees = [list(leaves(part)) for part in self._targets]
        columns = iter([torch.cat([tree[place][1] for tree in trees]) for place in range(len(trees[0]))])
        joined = map_tree(lambda _: next(columns), self._targets[0])
        return _like(self._targets[0], joined)


def _like(example: Any, joined: Any) -> Any:
    """Masks and boxes of torchvision stay what they are."""
    wrap = wrapping(example)
    return joined if wrap is None else wrap(joined)


def _as_bytes(images: Tensor) -> Tensor | None:
    """The bytes that the images were made of, where all of them are whole multiples of 1/255; else None."""
    if images.dtype == torch.uint8:
        return images
    if images.dtype != torch.float32 or bool((images < 0).any()) or bool((images > 1).any()):
        return None
    whole = (images * 255).round().to(torch.uint8)
    # torchvision's two ways to scale (by division, and by multiplication) differ in the last bit.
    return whole if bool(((whole.to(torch.float32) / 255 - images).abs() <= _LAST_BIT).all()) else None


def _check(dataset: Any) -> None:
    if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        hint = " Pass loader.dataset." if hasattr(dataset, "dataset") and hasattr(dataset, "batch_size") else ""
        raise ArgumentTypeError(
            f"cache() takes a data set with __getitem__ and __len__, got {type(dataset).__name__}.{hint}"
        )
    if len(dataset) == 0:
        raise EmptyDataError(f"The data set ({type(dataset).__name__}) is empty.")


def _check_sample(sample: Any) -> None:
    if not isinstance(sample, (tuple, list)) or len(sample) not in (1, 2):
        raise DataError(f"cache() takes samples (image, target), got {_outline(sample)}. Let the data set give a pair.")
    for place, target in leaves(sample[1] if len(sample) > 1 else None, "target"):
        if isinstance(target, (str, bytes)):
            raise DataTypeError(
                f"cache() takes targets that are numbers or tensors, got the {place} {target!r} "
                f"({type(target).__name__}). Number the classes, and pass their names as class_names=[...]."
            )


def _outline(sample: Any) -> str:
    if isinstance(sample, (tuple, list)):
        return f"a {type(sample).__name__} of {len(sample)}"
    keys = f" with the keys {', '.join(map(repr, sample))}" if isinstance(sample, dict) else ""
    return f"one {type(sample).__name__}{keys}"


def _refuse_random(dataset: Any) -> None:
    row = first_random(dataset)
    if row is not None:
        raise DataError(
            f"Sample {row} is another one each time it is read: the data set has a random transform, of which a cache "
            "would keep a single draw. Take it out, and pass it on: cache(dataset).augment(...), where it gets whole "
            "batches."
        )


def _collate(samples: list[Any]) -> tuple[Tensor, Any]:
    images = [_as_tensor(sample[0]) for sample in samples]
    for image in images:
        if image.shape != images[0].shape:
            raise DataError(_shapes_differ(tuple(images[0].shape), tuple(image.shape)))
    targets = [sample[1] for sample in samples] if len(samples[0]) > 1 else None
    return torch.stack(images), None if targets is None else _stacked(targets)


def _stacked(targets: list[Any]) -> Any:
    """The targets of some samples; data sets give the one box of an image as a table of one row."""
    stacked = default_collate(targets)
    if type(targets[0]).__name__ == "BoundingBoxes" and tuple(targets[0].shape) == (1, 4):
        stacked = stacked[:, 0]
    return _like(targets[0], stacked)


def _as_tensor(image: Any) -> Tensor:
    if is_picture(image):
        grey = image.mode.startswith(("1", "L", "I", "F"))
        pixels = np.array(read_picture(image, channels=1 if grey else 3))
        return torch.from_numpy(pixels[None] if grey else pixels.transpose(2, 0, 1).copy())
    tensor = torch.as_tensor(image).as_subclass(Tensor)
    if tensor.dim() == 2:
        return tensor[None]
    if tensor.dim() != 3:
        raise DataError(f"cache() takes images of shape (C, H, W) or (H, W), got {tuple(tensor.shape)}.")
    if tensor.dtype == torch.uint8 and tensor.shape[2] in (1, 3, 4) and tensor.shape[0] not in (1, 3, 4):
        raise DataError(
            f"cache() takes images with their channels first, (C, H, W), got {tuple(tensor.shape)}. Let the data set "
            "give pictures (PIL.Image.fromarray(array)), or array.transpose(2, 0, 1)."
        )
    return tensor.to(torch.float32) if tensor.dtype in (torch.float64, torch.float16, torch.bfloat16) else tensor


def _shapes_differ(first: tuple[int, ...], other: tuple[int, ...]) -> str:
    return (
        f"cache() takes images of one shape, got {first} and {other}. Resize them in the data set's transform, or let "
        "image_folder(path, size=...) see to it."
    )


def _names_of(dataset: Any) -> tuple[str, ...] | None:
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    return tuple(names) if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names) else None


def _shown(batches: Any) -> Iterator[Any]:
    """With a bar, where it takes more than two seconds and somebody is looking."""
    return iter(tqdm(batches, desc="caching", unit="batch", delay=2, leave=False, disable=not sys.stderr.isatty()))
