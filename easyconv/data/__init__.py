"""From whatever users have to batches on the device."""

from easyconv.data.batch import Batch

__all__ = ["Batch"]
