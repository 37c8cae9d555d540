"""Memory layout of images while a net trains (``compile(channels_last=...)``)."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.inference.answers import agree
from easyconv.layers.keeping import call
from easyconv.layers.known import is_known
from easyconv.layers.layout import as_channels_last, channels_last_pays
from easyconv.nested import map_tree
from easyconv.seed import kept_random_state
from easyconv.training.state import Recipe

__all__ = ["as_usual", "wants_channels_last"]

_ROUNDING = 1e-3
"""By how much answers may differ, as a share of the largest, between the layouts."""


def wants_channels_last(net: nn.Module, recipe: Recipe, example: Any, *, without: object = None) -> bool:
    """Whether training shall give images to the net with the channels last in memory.

    Filters stay as they lie: torch lays them out for each convolution, which costs little, and whoever holds them (a
    tied layer, an optimizer, a view) finds them as before.

    ``True`` and ``False`` are obeyed. ``"auto"`` is for nets with 2-D convolutions and images in, on the CPU or in low
    precision on CUDA, where it pays: 1.2 to 1.6 times the speed on a CPU. Layers of torch and of easyconv take any
    layout, so a net wholly made of them is trained so at once. Code of the user's may hold an ``x.view(n, -1)`` that
    needs the other layout: there it has to be seen that a forward and a backward pass of a copy succeed. ``without`` is
    an object that the net refers to and the copy needs not: the session with the optimizer's state, twice as large as
    the net.
    """
    if recipe.channels_last != "auto":
        return recipe.channels_last
    pays = channels_last_pays(net, example, recipe.device, low_precision=recipe.precision != "fp32")
    if not pays or recipe.jit:  # the compiler chooses layouts by itself
        return False
    return is_known(net) or _works(net, example, without)


def as_usual(output: Any, x: Any) -> Any:
    """Maps that a net made of images with their channels last, laid out as losses and metrics expect them.

    Examples
    --------
    >>> images = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    >>> as_usual(images * 2, images).is_contiguous()
    True
    """
    # Strides tell: images of one channel count as contiguous in both layouts.
    if not isinstance(x, Tensor) or x.dim() != 4 or x.stride(1) != 1 or x.shape[2] * x.shape[3] == 1:
        return output
    return map_tree(lambda leaf: leaf.contiguous() if isinstance(leaf, Tensor) else leaf, output)


def _works(net: nn.Module, example: Tensor, without: object) -> bool:
    """Whether a copy gives the same answers in that layout, and can be trained in it."""
    try:
        with kept_random_state(), torch.enable_grad():
            # What the memo holds counts as copied already; the copy has None in its place.
            probe = copy.deepcopy(net, {id(without): None})
            images = example.to(_device_of(net))
            laid = as_channels_last(images)
            if not agree(call(probe.eval(), laid), call(probe, images), within=_ROUNDING):
                return False
            # Two rows at least, or norms could not be trained on them.
            trained = probe.train() if len(images) > 1 else probe
            outputs = [leaf for leaf in _tensors(call(trained, laid)) if leaf.requires_grad]
            torch.autograd.backward([output.sum() for output in outputs])
    except Exception:
        # Whatever goes wrong in the probe, the ordinary layout is the safe answer; a real fault shows there.
        return False
    return True


def _device_of(net: nn.Module) -> torch.device:
    return next((parameter.device for parameter in net.parameters()), torch.device("cpu"))


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    return [tensor for part in parts for tensor in _tensors(part)]
