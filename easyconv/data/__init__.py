"""From whatever users have to batches on the device."""

from easyconv.data.preprocessing import Preprocessing
from easyconv.data.sources.batch import Batch

__all__ = ["Batch", "Preprocessing"]
