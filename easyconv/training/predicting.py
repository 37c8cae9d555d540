"""Prediction: the raw outputs of a net as NumPy arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from easyconv.augment.views import Views
from easyconv.data.sources.make import Source
from easyconv.data.sources.pipeline import Pipeline
from easyconv.errors import ArgumentError
from easyconv.nested import map_tree
from easyconv.training import loop
from easyconv.training.answering import Choice
from easyconv.training.callback import CallbackList
from easyconv.training.preparing import Prepared
from easyconv.training.supply import Supply
from easyconv.training.viewing import averaged

__all__ = ["device_of", "predict", "to_numpy"]


def predict(
    net: nn.Module,
    source: Source,
    choose: Choice,
    *,
    device: torch.device,
    steps: int | None,
    callbacks: CallbackList,
    ready: Callable[[Any, int | None], None],
    resize: bool = False,
    views: Views | None = None,
    finish: Callable[[Any], Any] | None = None,
) -> Any:
    """Outputs for every row of a source, on the CPU, joined along the first axis.

    ``ready`` is told the first inputs and the number of batches, before the first. With ``resize`` the batches are as
    large as is fastest. With ``views`` the answers for several views of each image are averaged, after ``finish`` was
    applied to each.

    Returns
    -------
    tensor, or tuple or dict of tensors
        As the net gives them.
    """
    supply = Supply(source, steps)
    supply.require(1)
    net.to(device)
    if views is not None:
        # Views are cut from floats on the device.
        source.pipeline = (source.pipeline or Pipeline()).viewed_by(views)
    prepared = Prepared(net, source, None, device, views=views)
    prepared.bind(labelled=False)
    answering = choose(prepared)
    if resize:
        source.resize(answering.rows)
    ready(prepared.inputs, supply.steps_per_epoch)
    return _joined(loop.predict(net, supply, averaged(answering.step, views, finish), callbacks))


def to_numpy(outputs: Any) -> Any:
    """The same tree of NumPy arrays; low precision becomes float32."""

    def convert(tensor: Tensor) -> np.ndarray[Any, Any]:
        small = tensor.dtype in (torch.bfloat16, torch.float16)
        return (tensor.float() if small else tensor).detach().cpu().numpy()

    return map_tree(convert, outputs)


def device_of(net: nn.Module) -> torch.device:
    """Where the parameters of a net are; the CPU for a net without any."""
    return next((parameter.device for parameter in net.parameters()), torch.device("cpu"))


def _joined(outputs: list[Any]) -> Any:
    first = outputs[0]
    if isinstance(first, dict):
        return {key: _joined([output[key] for output in outputs]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(_joined(list(parts)) for parts in zip(*outputs, strict=True))
    try:
        return torch.cat(outputs)
    except RuntimeError as error:
        shapes = sorted({tuple(output.shape[1:]) for output in outputs})
        raise ArgumentError(
            f"The outputs of the batches cannot be joined: they have the shapes {shapes}. Predict such inputs batch by "
            "batch with predict_on_batch()."
        ) from error
