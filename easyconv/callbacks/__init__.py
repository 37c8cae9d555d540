"""Callbacks: what runs at the events of training. Derive from :class:`Callback` to write your own."""

from easyconv.callbacks.checkpoint import ModelCheckpoint
from easyconv.callbacks.logging import CSVLogger, History, LambdaCallback
from easyconv.callbacks.progress import ProgressBar, ProgressLines
from easyconv.callbacks.schedule import ReduceLROnPlateau
from easyconv.callbacks.stopping import EarlyStopping
from easyconv.training.callback import Callback

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "ModelCheckpoint",
    "ProgressBar",
    "ProgressLines",
    "ReduceLROnPlateau",
]
