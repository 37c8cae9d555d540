"""Trainings kept by Weights & Biases and by MLflow."""

import math
import numbers
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from easyconv.errors import ArgumentTypeError
from easyconv.names import optional_import
from easyconv.optim import describe
from easyconv.training.callback import Callback, Logs

__all__ = ["MLflowLogger", "WandbLogger"]


class _Tracker(Callback):
    """Base: a run that begins with the first epoch, gets a row per epoch, and ends with training.

    It begins no earlier, so that a training that goes on in another process goes on with its run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.run_id: str | None = None
        """Id of the run, once there is one."""
        self._running = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Import the package; start afresh."""
        self._module()
        self.run_id = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin the run, before the first epoch."""
        self._ensure_run()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the row."""
        self._ensure_run()
        self._log({name: float(value) for name, value in (logs or {}).items() if _is_finite(value)}, epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """End the run."""
        if self._running:
            self._finish()
        self._running = False

    def state_dict(self) -> dict[str, Any]:
        """Which run it is."""
        return {"run_id": self.run_id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with that run."""
        self.run_id = state["run_id"]

    def _ensure_run(self) -> None:
        if not self._running:
            self.run_id = self._begin(_config(self.model, self.params))
            self._running = True

    @abstractmethod
    def _module(self) -> Any:
        """The package."""

    @abstractmethod
    def _begin(self, config: dict[str, Any]) -> str:
        """Begin a run, or go on with ``self.run_id``; its id is returned."""

    @abstractmethod
    def _log(self, row: dict[str, float], epoch: int) -> None:
        """Write one row."""

    @abstractmethod
    def _finish(self) -> None:
        """End the run."""


class WandbLogger(_Tracker):
    """Log each epoch to Weights & Biases.

    Begins a run with the first epoch and ends it with training; where your program has begun one, that is used and
    left open. The configuration has the net, the optimizer, the loss, epochs, batches and parameters.

    Parameters
    ----------
    project : str, optional
        Name of the project.
    name : str, optional
        Name of the run.
    **init
        More arguments of ``wandb.init``: ``mode="offline"``, ``dir=...``, ``config={...}``.

    Raises
    ------
    MissingExtraError
        When training begins and wandb is not installed: ``pip install "easyconv[wandb]"``.
    ArgumentTypeError
        When a name is not text.

    Examples
    --------
    >>> from easyconv.callbacks import WandbLogger
    >>> WandbLogger("digits", mode="offline").project
    'digits'
    """

    def __init__(self, project: str | None = None, *, name: str | None = None, **init: Any) -> None:
        super().__init__()
        self.project = _checked_text("project", project)
        self.name = _checked_text("name", name)
        self.init = init
        self._run: Any = None
        self._own = False

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_run": None, "_running": False}

    def _module(self) -> Any:
        return optional_import("wandb", "wandb", "WandbLogger")

    def _begin(self, config: dict[str, Any]) -> str:
        wandb = self._module()
        self._own = wandb.run is None
        if self._own:
            again = {} if self.run_id is None else {"id": self.run_id, "resume": "allow"}
            settings = {**self.init, "config": {**config, **self.init.get("config", {})}}
            self._run = wandb.init(project=self.project, name=self.name, **again, **settings)
        else:
            self._run = wandb.run
            self._run.config.update(config, allow_val_change=True)
        return str(self._run.id)

    def _log(self, row: dict[str, float], epoch: int) -> None:
        self._run.log({"epoch": epoch, **row})

    def _finish(self) -> None:
        if self._own:
            self._run.finish()
        self._run = None


class MLflowLogger(_Tracker):
    """Log each epoch to MLflow.

    Begins a run with the first epoch and ends it with training; where your program has begun one, that is used and
    left open. The run's parameters are the net, the optimizer, the loss, epochs, batches and number of weights.

    Parameters
    ----------
    experiment : str, optional
        Name of the experiment.
    run_name : str, optional
        Name of the run.
    tracking_uri : str, optional
        Where to write: a server, or ``"sqlite:///mlflow.db"``.

    Raises
    ------
    MissingExtraError
        When training begins and mlflow is not installed: ``pip install "easyconv[mlflow]"``.
    ArgumentTypeError
        When a name is not text.

    Examples
    --------
    >>> from easyconv.callbacks import MLflowLogger
    >>> MLflowLogger("digits").experiment
    'digits'
    """

    def __init__(
        self, experiment: str | None = None, *, run_name: str | None = None, tracking_uri: str | None = None
    ) -> None:
        super().__init__()
        self.experiment = _checked_text("experiment", experiment)
        self.run_name = _checked_text("run_name", run_name)
        self.tracking_uri = _checked_text("tracking_uri", tracking_uri)
        self._own = False

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_running": False}

    def _module(self) -> Any:
        return optional_import("mlflow", "mlflow", "MLflowLogger")

    def _begin(self, config: dict[str, Any]) -> str:
        mlflow = self._module()
        run = mlflow.active_run()
        self._own = run is None
        if run is None:
            if self.tracking_uri is not None:
                mlflow.set_tracking_uri(self.tracking_uri)
            if self.experiment is not None:
                mlflow.set_experiment(self.experiment)
            new = self.run_id is None
            run = mlflow.start_run(run_name=self.run_name) if new else mlflow.start_run(run_id=self.run_id)
        if self.run_id is None:
            mlflow.log_params(config)
        return str(run.info.run_id)

    def _log(self, row: dict[str, float], epoch: int) -> None:
        self._module().log_metrics(row, step=epoch)

    def _finish(self) -> None:
        if self._own:
            self._module().end_run()


def _config(model: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """What describes the training to somebody who finds it later."""
    config = {"net": model.name, "parameters": model.count_params(), "epochs": params.get("epochs")}
    config |= {"steps": params.get("steps"), "loss": model._session.recipe.objective.name}
    return config if model.optimizer is None else {**config, "optimizer": describe(model.optimizer)}


def _is_finite(value: object) -> bool:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _checked_text(name: str, value: str | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ArgumentTypeError(f"{name} must be text, got {value!r} ({type(value).__name__}).")
