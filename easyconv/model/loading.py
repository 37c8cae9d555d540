"""From a file of ``model.save`` to the model, without the code that made it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from easyconv.errors import DamagedFileError, EasyconvError, UnreadableFileError
from easyconv.files import read_state
from easyconv.model.archive import KIND
from easyconv.model.model import Model
from easyconv.notices import warn_user
from easyconv.saving import check_weights_path
from easyconv.saving.blueprint import Builder
from easyconv.training.snapshot import restore

__all__ = ["load"]


def load(path: str | os.PathLike[str]) -> Model:
    """Make the model that ``model.save(path)`` has written, without the code that made it at first.

    It has the same layers, weights and frozen parts, gives the same outputs, and is compiled as it was: ``fit`` goes on
    from the optimizer's state, ``history`` and ``preprocessing`` are there. Nothing in the file is executed: only
    classes of ``torch.nn`` and easyconv can be named in it.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Model
        On the CPU; ``fit``, ``evaluate`` and ``predict`` move it to the device of ``compile``.

    Raises
    ------
    FileMissingError
        When there is no such file.
    DamagedFileError
        When the file was cut off or altered, or is no file of ``save``.
    UnreadableFileError
        When it holds something else, or was written by a newer easyconv.

    Warns
    -----
    EasyconvWarning
        When the model cannot be compiled here as it was: it had another device, say.

    Examples
    --------
    >>> import easyconv as ec, tempfile
    >>> model = ec.zoo.lenet5(10, 1)
    >>> model.compile("sgd", lr=0.1, metrics=["accuracy"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     twin = ec.load(model.save(f"{folder}/digits.safetensors"))
    >>> twin.name, twin.count_params() == model.count_params()
    ('lenet5', True)
    """
    path = check_weights_path(path)
    content = read_state(path, kind=KIND).content
    with _understood(path):
        builder = Builder(content["weights"], content["buffers"])
        model = builder.build(content["net"])
        if not isinstance(model, Model):
            raise TypeError(f"{type(model).__name__} is no model")
        model.preprocessing = builder.build(content["preprocessing"])
        training = content["training"]
    if training is not None:
        _compile(model, training, path)
    return model


def _compile(model: Model, training: dict[str, Any], path: Path) -> None:
    with _understood(path):
        builder = Builder(training["weights"], training["buffers"])
        arguments = {name: builder.build(plan) for name, plan in training["arguments"].items()}
        second = builder.build(training["second_optimizer"])
    try:
        model.compile(**arguments)
    except EasyconvError as error:
        warn_user(f"The model is not compiled: what it was compiled with is not possible here. {error}")
        return
    session = model._compiled("load()")
    with _understood(path):
        if second is not None:
            session.go_on_with(second)
        restore(session, model, training["state"])


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Say of which file it is that something in it cannot be understood."""
    try:
        yield
    except UnreadableFileError as error:
        raise UnreadableFileError(f"{str(path)!r} {error}") from error
    except Exception as error:  # its checksum is right, so somebody has made it so
        raise DamagedFileError(
            f"{str(path)!r} does not hold a model as easyconv writes it ({type(error).__name__}: {error})."
        ) from error
