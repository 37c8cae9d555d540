"""How the sweeps make each callback: arguments with which it does something, and such as are refused."""

import inspect
from typing import Any

import torch
from fakes import server

from easyconv import callbacks

EXPORTED = {name: value for name in callbacks.__all__ if inspect.isclass(value := getattr(callbacks, name))}


def halve(epoch, lr):
    return lr / 2


def decay(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)


GOOD: dict[str, dict[str, Any]] = {
    "ActivationMonitor": {"every": 2},
    "BackupAndRestore": {"backup_dir": "backup"},
    "CSVLogger": {"filename": "log.csv"},
    "DropLR": {"at": [1, 3]},
    "EarlyStopping": {"patience": 1, "restore_best_weights": True},
    "Freeze": {"epoch": 1},
    "LRFinder": {"steps": 10},
    "LambdaCallback": {"on_epoch_end": print},
    "LearningRateScheduler": {"schedule": halve},
    "MLflowLogger": {"experiment": "digits"},
    "MaxSteps": {"steps": 8},
    "ModelCheckpoint": {"filepath": "{epoch}.pt", "save_best_only": True},
    "ReduceLROnPlateau": {"patience": 1},
    "RemoteMonitor": {"send_as_json": True},
    "TensorBoard": {"histogram_freq": 1, "update_freq": 2},
    "TimeLimit": {"seconds": 1000},
    "TorchScheduler": {"make": decay, "per": "batch"},
    "Unfreeze": {"epoch": 1},
    "WandbLogger": {"project": "digits"},
    "WarmupCosine": {"warmup": 0.5},
}
"""Arguments with which each callback does something; the others take none."""

BAD: dict[str, dict[str, Any]] = {
    "ActivationMonitor": {"every": 0},
    "BackupAndRestore": {"backup_dir": 3},
    "CSVLogger": {"filename": 3},
    "DropLR": {"at": [3, 1]},
    "EarlyStopping": {"patience": "long"},
    "Freeze": {"epoch": 1},
    "LRFinder": {"lowest": 1, "highest": 1},
    "LambdaCallback": {"on_epoch_finished": print},
    "LearningRateScheduler": {"schedule": 0.1},
    "MLflowLogger": {"experiment": 3},
    "MaxSteps": {"steps": 0},
    "ModelCheckpoint": {"filepath": None},
    "OneCycle": {"rise": 1.5},
    "ReduceLROnPlateau": {"factor": 10},
    "RemoteMonitor": {"root": "localhost"},
    "SwapEMAWeights": {"swap_on_epoch": 1},
    "TensorBoard": {"log_dir": None},
    "TimeLimit": {"seconds": 0},
    "TorchScheduler": {"make": 0.1},
    "Unfreeze": {"epoch": -1},
    "WandbLogger": {"project": 3},
    "WarmupCosine": {"warmup": 1.0},
}


def make(name: str, *layers: str, **changed: Any) -> Any:
    """A callback with its good arguments, some of them changed; ``layers`` are those that ``Freeze`` needs."""
    arguments = {**GOOD.get(name, {}), **changed}
    if name == "RemoteMonitor":
        arguments = {"root": server(), **arguments}
    return EXPORTED[name](*(layers if name == "Freeze" else ()), **arguments)
