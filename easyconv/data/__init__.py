"""Data sets in one line, and what happens to their batches."""

from typing import TYPE_CHECKING

from easyconv.names import names_on_demand

if TYPE_CHECKING:
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

_PLACES = {
    "ArraySplit": "easyconv.data.datasets.array_split",
    "Batch": "easyconv.data.sources.batch",
    "FileSplit": "easyconv.data.datasets.file_split",
    "PictureFormat": "easyconv.data.pictures.format",
    "Preprocessing": "easyconv.data.preprocessing",
    "Split": "easyconv.data.datasets.split",
    "Splits": "easyconv.data.datasets.splits",
    "cache": "easyconv.data.datasets.caching",
    "describe": "easyconv.data.datasets.describing",
    "from_arrays": "easyconv.data.datasets.arrays",
    "image_folder": "easyconv.data.datasets.folders",
    "load": "easyconv.data.datasets.named",
    "loader": "easyconv.data.sources.workers",
}

if not TYPE_CHECKING:
    # Who trains on arrays or a loader needs none of this, so it is imported when somebody asks for it.
    __getattr__, __dir__ = names_on_demand(__name__, _PLACES)
