"""Keras's way to say that a training keeps itself: a callback in place of ``fit(resume=...)``."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

from easyconv.arguments import check_flag, check_integer
from easyconv.errors import ArgumentError
from easyconv.training.callback import Callback, CallbackList
from easyconv.training.run_folder import OpenRun, RunFolder

__all__ = ["BackupAndRestore", "opened_run"]


class BackupAndRestore(Callback):
    """Keep the training in a folder, and go on from there when it was interrupted; as Keras's callback of this name.

    The same as ``fit(..., resume=RunFolder(...))``, which says it in one word. What Keras's callback leaves out is kept
    too: the random draws, the order of the data, the state of the other callbacks, the history. So the result is that
    of an undisturbed run, bit for bit. The checkpoints are removed when training has ended as it should.

    Parameters
    ----------
    backup_dir : str or path
        The folder. One training at a time.
    save_freq : "epoch" or int, default "epoch"
        Save at the end of each epoch, and also after so many batches where a number is given.
    double_checkpoint : bool, default False
        Takes Keras's argument, and changes nothing: two checkpoints are always kept.
    delete_checkpoint : bool, default True
        Remove the checkpoints in the end. With ``False`` the same command does nothing then, and more epochs go on.
    save_before_preemption : bool, default False
        Takes Keras's argument, and changes nothing: SIGTERM always saves.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        For values that make no sense, and in ``fit`` when ``resume=`` is given as well.

    Examples
    --------
    >>> import easyconv as ec, tempfile, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = model.fit(
    ...         torch.rand(8, 3), torch.arange(8) % 2, callbacks=BackupAndRestore(folder), verbose=0
    ...     )
    >>> len(history)
    1
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: Literal["epoch"] | int = "epoch",
        double_checkpoint: bool = False,
        *,
        delete_checkpoint: bool = True,
        save_before_preemption: bool = False,
    ) -> None:
        check_flag("double_checkpoint", double_checkpoint)
        check_flag("save_before_preemption", save_before_preemption)
        if isinstance(save_freq, str) and save_freq != "epoch":
            raise ArgumentError(f"save_freq must be 'epoch' or a number of batches, got {save_freq!r}.")
        steps = None if save_freq == "epoch" else check_integer("save_freq", save_freq, minimum=1)
        self.folder = RunFolder(
            backup_dir, every_steps=steps, discard_when_done=check_flag("delete_checkpoint", delete_checkpoint)
        )


def opened_run(resume: Any, callbacks: CallbackList) -> AbstractContextManager[OpenRun | None]:
    """The folder that ``resume=`` or a `BackupAndRestore` names, held for a block; None where there is none.

    Raises
    ------
    ArgumentError
        When several are named.
    """
    named = [callback.folder for callback in callbacks.callbacks if isinstance(callback, BackupAndRestore)]
    if resume is not None:
        named.append(RunFolder.of(resume))
    if len(named) > 1:
        raise ArgumentError(
            "A training keeps itself in one folder, and several are named: pass resume= or one BackupAndRestore, not "
            "both."
        )
    return named[0].opened() if named else nullcontext()
