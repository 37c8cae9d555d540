"""Callbacks: what runs at the events of training. Derive from :class:`Callback` to write your own."""

from easyconv.callbacks.averaging import SwapEMAWeights
from easyconv.callbacks.backup import BackupAndRestore
from easyconv.callbacks.checkpoint import ModelCheckpoint
from easyconv.callbacks.freezing import Freeze, Unfreeze
from easyconv.callbacks.layer_monitor import ActivationMonitor, GradientMonitor
from easyconv.callbacks.lr_finder import LRFinder
from easyconv.callbacks.progress import ProgressBar, ProgressLines
from easyconv.callbacks.records import CSVLogger, History, LambdaCallback
from easyconv.callbacks.remote import RemoteMonitor
from easyconv.callbacks.schedule import DropLR, LearningRateScheduler, ReduceLROnPlateau
from easyconv.callbacks.stopping import EarlyStopping, MaxSteps, TerminateOnNaN, TimeLimit
from easyconv.callbacks.tensorboard import TensorBoard
from easyconv.callbacks.timing import Timer
from easyconv.callbacks.torch_schedule import TorchScheduler
from easyconv.callbacks.trackers import MLflowLogger, WandbLogger
from easyconv.callbacks.whole_schedule import OneCycle, WarmupCosine
from easyconv.training.callback import Callback

__all__ = [
    "ActivationMonitor",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "DropLR",
    "EarlyStopping",
    "Freeze",
    "GradientMonitor",
    "History",
    "LRFinder",
    "LambdaCallback",
    "LearningRateScheduler",
    "MLflowLogger",
    "MaxSteps",
    "ModelCheckpoint",
    "OneCycle",
    "ProgressBar",
    "ProgressLines",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "TimeLimit",
    "Timer",
    "TorchScheduler",
    "Unfreeze",
    "WandbLogger",
    "WarmupCosine",
]
