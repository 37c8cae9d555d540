"""Callbacks: what runs at the events of training. Derive from :class:`Callback` to write your own."""

from typing import TYPE_CHECKING

from easyconv.names import names_on_demand
from easyconv.training.callback import Callback

if TYPE_CHECKING:
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

_PLACES = {
    "ActivationMonitor": "easyconv.callbacks.layer_monitor",
    "BackupAndRestore": "easyconv.callbacks.backup",
    "CSVLogger": "easyconv.callbacks.records",
    "DropLR": "easyconv.callbacks.schedule",
    "EarlyStopping": "easyconv.callbacks.stopping",
    "Freeze": "easyconv.callbacks.freezing",
    "GradientMonitor": "easyconv.callbacks.layer_monitor",
    "History": "easyconv.callbacks.records",
    "LRFinder": "easyconv.callbacks.lr_finder",
    "LambdaCallback": "easyconv.callbacks.records",
    "LearningRateScheduler": "easyconv.callbacks.schedule",
    "MLflowLogger": "easyconv.callbacks.trackers",
    "MaxSteps": "easyconv.callbacks.stopping",
    "ModelCheckpoint": "easyconv.callbacks.checkpoint",
    "OneCycle": "easyconv.callbacks.whole_schedule",
    "ProgressBar": "easyconv.callbacks.progress",
    "ProgressLines": "easyconv.callbacks.progress",
    "ReduceLROnPlateau": "easyconv.callbacks.schedule",
    "RemoteMonitor": "easyconv.callbacks.remote",
    "SwapEMAWeights": "easyconv.callbacks.averaging",
    "TensorBoard": "easyconv.callbacks.tensorboard",
    "TerminateOnNaN": "easyconv.callbacks.stopping",
    "TimeLimit": "easyconv.callbacks.stopping",
    "Timer": "easyconv.callbacks.timing",
    "TorchScheduler": "easyconv.callbacks.torch_schedule",
    "Unfreeze": "easyconv.callbacks.freezing",
    "WandbLogger": "easyconv.callbacks.trackers",
    "WarmupCosine": "easyconv.callbacks.whole_schedule",
}

if not TYPE_CHECKING:
    # A training has few of them; the others are imported when somebody asks for them.
    __getattr__, __dir__ = names_on_demand(__name__, _PLACES)
