"""A whole model as data: layers, weights, how it is trained, what it knows of pictures."""

import os
from pathlib import Path
from typing import Any

from easyconv.errors import ArgumentTypeError
from easyconv.files import write_state
from easyconv.model.predictor import Predictor
from easyconv.notices import warn_user
from easyconv.saving import check_model_path
from easyconv.saving.blueprint import Blueprint, NotDescribableError
from easyconv.training.session import Session
from easyconv.training.snapshot import snapshot

__all__ = ["KIND", "save"]

KIND = "model"
"""What files of models are called inside."""


def save(model: Predictor, path: str | os.PathLike[str]) -> Path:
    """Write a model as one file of data; see `Savable.save`."""
    path = check_model_path(path)
    blueprint = Blueprint()
    try:
        net = blueprint.describe(model)
    except NotDescribableError as error:
        raise ArgumentTypeError(_is_code(model, error)) from error
    content = {
        "net": net,
        "weights": blueprint.weights,
        "buffers": blueprint.buffers,
        "preprocessing": _preprocessing(model),
        "training": None if model._session is None else _training(model._session, model),
    }
    return write_state(path, content, kind=KIND)


def _is_code(model: Predictor, error: NotDescribableError) -> str:
    place = f"{type(model).__name__} itself" if not error.place else repr(error.place)
    return (
        f"save() writes models that are made of torch.nn, ec.layers and ec.zoo, and {place} is {error.what}, which is "
        "code. Save its weights, model.save_weights('weights.safetensors'), and load them into a model that the same "
        "code has built; or write a program that needs no code: model.export('net.pt2', format='torch')."
    )


def _preprocessing(model: Predictor) -> Any:
    try:
        return Blueprint().describe(model.preprocessing, "preprocessing")
    except NotDescribableError as error:
        warn_user(
            f"save() leaves out model.preprocessing and the names of the classes: {error}, which is code. Set "
            "model.preprocessing again after load()."
        )
        return None


def _training(session: Session, model: Predictor) -> dict[str, Any] | None:
    """What ``compile`` was told, and what the session has gathered since."""
    blueprint = Blueprint()
    try:
        arguments = {name: blueprint.describe(value, name) for name, value in session.arguments.items()}
        second = (
            None if session.recipe is session.as_compiled else blueprint.describe(session.recipe.optimizer, "optimizer")
        )
    except NotDescribableError as error:
        warn_user(
            f"save() leaves out how the model is trained: {error}, which is code. Call compile() again after load()."
        )
        return None
    return {
        "arguments": arguments,
        "weights": blueprint.weights,
        "buffers": blueprint.buffers,
        "second_optimizer": second,
        "state": snapshot(session, model),
    }
