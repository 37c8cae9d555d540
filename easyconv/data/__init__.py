"""From whatever users have to batches on the device."""

from easyconv.data.batch import Batch
from easyconv.data.preprocessing import Preprocessing

__all__ = ["Batch", "Preprocessing"]
