"""Data sets in one line, and what happens to their batches."""

from easyconv.data.datasets.array_split import ArraySplit
from easyconv.data.datasets.arrays import from_arrays
from easyconv.data.datasets.caching import cache
from easyconv.data.datasets.describing import describe
from easyconv.data.datasets.file_split import FileSplit
from easyconv.data.datasets.folders import image_folder
from easyconv.data.datasets.named import load
from easyconv.data.datasets.split import Split
from easyconv.data.datasets.splits import Splits
from easyconv.data.pictures.format import PictureFormat
from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.batch import Batch
from easyconv.data.sources.workers import loader

__all__ = [
    "ArraySplit",
    "Batch",
    "FileSplit",
    "PictureFormat",
    "Preprocessing",
    "Split",
    "Splits",
    "cache",
    "describe",
    "from_arrays",
    "image_folder",
    "load",
    "loader",
]
