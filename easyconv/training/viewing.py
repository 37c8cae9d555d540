"""Test-time augmentation: several views of each image, whose answers are averaged."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from easyconv.augment.views import Views
from easyconv.data.sources.batch import Batch
from easyconv.errors import ArgumentError
from easyconv.nested import leaves, map_tree

__all__ = ["averaged"]


def averaged(
    step: Callable[[Batch], Any], views: Views | None, finish: Callable[[Any], Any] | None = None
) -> Callable[[Batch], Any]:
    """A step of prediction that averages over views, after ``finish`` has been applied to the answer for each.

    Parameters
    ----------
    step : callable
        From a batch to the outputs of the net.
    views : Views, optional
        From images to a list of views of them.
    finish : callable, optional
        What turns outputs into probabilities; AlexNet averaged these (section 4.1 of its paper).

    Raises
    ------
    ArgumentError
        By the step, for answers that have places in the image.

    Examples
    --------
    >>> from easyconv.augment.views import FlipViews
    >>> first_pixel = averaged(lambda batch: batch.x[:, 0, 0, :1], FlipViews())
    >>> first_pixel(Batch(torch.tensor([[[[1.0, 3.0]]]])))
    tensor([[2.]])
    """

    def answer(batch: Batch) -> Any:
        output = step(batch)
        return output if finish is None else finish(output)

    if views is None:
        return answer
    return lambda batch: _mean([_whole(answer(batch._replace(x=view))) for view in views(batch.x)])


def _whole(output: Any) -> Any:
    """Refuse answers that have places in the image, which differ from view to view."""
    for name, leaf in leaves(output, "output"):
        if isinstance(leaf, Tensor) and leaf.dim() > 3:
            raise ArgumentError(
                f"tta= averages answers about whole images, and the net gives maps ({name} has the shape "
                f"{tuple(leaf.shape)}), whose places are others in each view. Predict without tta=."
            )
    return output


def _mean(outputs: list[Any]) -> Any:
    if isinstance(outputs[0], dict):
        return {key: _mean([output[key] for output in outputs]) for key in outputs[0]}
    if isinstance(outputs[0], (tuple, list)):
        return tuple(_mean(list(parts)) for parts in zip(*outputs, strict=True))
    return torch.stack([map_tree(lambda leaf: leaf.float(), output) for output in outputs]).mean(0)
