"""When a training keeps itself, and what it does with what it finds of an earlier process."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from easyconv.directions import larger_is_better
from easyconv.errors import ArgumentError, EasyconvError, NonFiniteLossError, ResumeError
from easyconv.notices import warn_user
from easyconv.training.checkpoint import (
    Content,
    announce_epoch,
    check_callbacks,
    check_metrics,
    gather,
    load_callbacks,
    put_back,
)
from easyconv.training.identity import differences, identity_of
from easyconv.training.position import Keeper, Position
from easyconv.training.run_folder import OpenRun
from easyconv.training.session import Training
from easyconv.training.snapshot import give_group_settings, group_settings, load_net, tensors_of
from easyconv.training.supply import Place

__all__ = ["CheckpointKeeper", "kept_in"]


def kept_in(folder: OpenRun | None) -> Callable[[Training], Keeper]:
    """What makes a training keep itself in a folder, or nowhere."""
    return (lambda training: Keeper()) if folder is None else partial(CheckpointKeeper, folder=folder)


@dataclass
class _Moment:
    """Something to go back to, as long as nothing has changed since."""

    position: Position
    places: tuple[Place, ...]
    versions: list[int]
    content: Content | None
    saved: bool = False


class CheckpointKeeper(Keeper):
    """Writes checkpoints of a training into a folder, and lets it begin with the newest that is there.

    Parameters
    ----------
    training : Training
        About to begin.
    folder : OpenRun
        Held until it has ended.

    Raises
    ------
    ResumeError
        When the folder holds a run of another net, other data or other arguments.
    """

    notes = True
    stops_on_sigterm = True

    def __init__(self, training: Training, folder: OpenRun) -> None:
        super().__init__()
        self.training = training
        self.folder = folder
        self.found = folder.content
        self._supplies = [stage.supply for stage in training.stages]
        sources = [supply.source for supply in self._supplies]
        session = training.session
        self._run = identity_of(training.net, session.recipe, session.optimizer_as_made, training.options, sources)
        self._tensors = list(self._by_name().values())
        self._best: float | None = None
        self._moment: _Moment | None = None
        self._saved_step = 0
        self._saved_at = 0.0
        check_metrics(training.train.metrics)
        if self.found is not None:
            self._check(self.found)
            # Values of another name cannot be compared.
            best = self.found["best"]
            self._best = best["value"] if best["monitor"] == self._monitor else None
        for supply in self._supplies:
            supply.remembers = True

    def is_done(self) -> bool:
        """Whether the folder holds this training to its end; the model then is as it was there."""
        found = self.found
        if found is None or found["ended"] is None or not self._has_no_more_to_do(found):
            return False
        put_back(self.training, found, str(self.folder.path))
        tensors = {**found["net"]["tensors"], **found["ended"]["tensors"]}
        give_group_settings(self.training.session, found["ended"]["settings"])
        load_net(self.training.session, self.training.net, {**found["net"], "tensors": tensors})
        epochs = len(found["history"]["epoch"])
        self._say(
            f"The run in {str(self.folder.path)!r} has ended after {epochs} epoch{'' if epochs == 1 else 's'}: nothing "
            "is left to do, and the model is as it was then. Ask for more epochs to go on, or choose another folder."
        )
        return True

    def begin(self, first_epoch: int) -> Position:
        """Where the newest checkpoint was written, or the beginning; see `Keeper.begin`."""
        if self.found is None:
            position = Position(first_epoch)
            self.training.history.begin_run(str(self.folder.path), anew=True)
            self._save(self._note(position, gather(self.training, position, self._places())))
            return position
        is_over = self._has_no_more_to_do(self.found)
        if not is_over:
            self._say_where(self.found["position"])
        announce_epoch(self.training.callbacks, self.found)
        position = put_back(self.training, self.found, str(self.folder.path))
        load_callbacks(self.training.callbacks, self.found)
        self._saved_step, self._saved_at = self.training.run.progress.steps, time.monotonic()
        # Where nothing but on_train_end is left, no epoch follows.
        return Position(self.training.plan.epochs.stop) if is_over else position

    def leave(self) -> None:
        """See `Keeper.leave`."""
        self._moment = None

    def reach(self, position: Position) -> None:
        """Save, if it is time; see `Keeper.reach`."""
        # Later, callbacks and the data of validation are not what they are now; between two steps they are.
        content = None if position.row is None else gather(self.training, position, self._places())
        moment = self._note(position, content)
        settings, steps = self.folder.settings, self.training.run.progress.steps
        by_steps = settings.every_steps is not None and steps - self._saved_step >= settings.every_steps
        by_time = settings.every_seconds is not None and time.monotonic() - self._saved_at >= settings.every_seconds
        if (by_steps or by_time) and steps > self._saved_step:
            self._save(moment)

    def may_stop(self) -> bool:
        """Whether the last moment can still be saved."""
        return self._moment is not None and self._moment.versions == self._versions()

    def end_epoch(self, epoch: int, row: Mapping[str, float]) -> None:
        """Save, and note whether it is the best."""
        position = Position(epoch + 1)
        is_best = self._is_best(row)
        self._save(self._note(position, gather(self.training, position, self._places())), best=is_best)

    def rescue(self, error: BaseException) -> None:
        """Save the last moment, if nothing has changed since; an error of its own does not hide the one at hand."""
        moment = self._moment
        if isinstance(error, NonFiniteLossError) or moment is None or moment.saved or not self.may_stop():
            return
        try:
            self._save(moment)
        except NonFiniteLossError:
            return
        except EasyconvError as failed:
            warn_user(f"The state at the end could not be saved: {failed}")

    def end(self) -> None:
        """Keep what ``on_train_end`` has made of net and optimizer, beside the state to go on from."""
        if self.folder.settings.discard_when_done:
            self.folder.checkpoints.clear()
            return
        found = self.folder.checkpoints.load()
        if found is None:
            return
        before = found.content["net"]["tensors"]
        now = {name: tensor.detach().cpu() for name, tensor in self._by_name().items()}
        changed = {name: tensor for name, tensor in now.items() if not _same_bits(tensor, before[name])}
        ended = {"tensors": changed, "settings": group_settings(self.training.session)}
        self.folder.checkpoints.save({**found.content, "ended": ended}, step=found.step)

    @property
    def _monitor(self) -> str | None:
        if self.folder.settings.monitor != "auto":
            return self.folder.settings.monitor
        return "val_loss" if self.training.check is not None else "loss"

    def _by_name(self) -> dict[str, torch.Tensor]:
        return tensors_of(self.training.session, self.training.net)

    def _check(self, found: Content) -> None:
        others = differences(found["run"], self._run)
        if others:
            raise ResumeError(
                f"The folder {str(self.folder.path)!r} holds a run that was begun in another way:\n"
                + "".join(f"  {line}\n" for line in others)
                + "Go on with what it was begun with (make the model anew if this program has changed it since), or "
                "choose another folder for a new run."
            )
        check_callbacks(self.training.callbacks, found)

    def _has_no_more_to_do(self, found: Content) -> bool:
        epochs = self.training.plan.epochs.stop
        return bool(found["position"]["epoch"] >= epochs or (found["stopped"] and epochs <= found["epochs"]))

    def _say_where(self, position: Mapping[str, Any]) -> None:
        batch = f", batch {position['batch'] + 1}" if position["batch"] else ""
        self._say(f"Going on in epoch {position['epoch'] + 1}{batch}, from {str(self.folder.path)!r}.")

    def _say(self, text: str) -> None:
        if self.training.verbose:
            print(text, flush=True)

    def _note(self, position: Position, content: Content | None) -> _Moment:
        self._moment = moment = _Moment(position, self._places(), self._versions(), content)
        return moment

    def _places(self) -> tuple[Place, ...]:
        return tuple([supply.place() for supply in self._supplies])

    def _versions(self) -> list[int]:
        return [tensor._version for tensor in self._tensors]

    def _save(self, moment: _Moment, *, best: bool = False) -> None:
        self.verify()
        content = moment.content or gather(self.training, moment.position, moment.places)
        step = self.training.run.progress.steps
        self.folder.checkpoints.save(
            {**content, "run": self._run, "best": {"monitor": self._monitor, "value": self._best}}, step=step, best=best
        )
        moment.saved = True
        self._saved_step, self._saved_at = step, time.monotonic()

    def _is_best(self, row: Mapping[str, float]) -> bool:
        name = self._monitor
        if name is None or (name.startswith("val_") and not any(known.startswith("val_") for known in row)):
            return False
        if name not in row:
            raise ArgumentError(
                f"RunFolder(monitor={name!r}) is not in the logs, which have {', '.join(map(repr, row))}."
            )
        value = -float(row[name]) if larger_is_better(name) else float(row[name])
        if math.isnan(value):
            return False
        is_best = bool(self._best is None or value < self._best)
        self._best = value if is_best else self._best
        return is_best


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.contiguous().reshape(-1).view(torch.uint8), other.contiguous().reshape(-1).view(torch.uint8))
