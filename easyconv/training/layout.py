"""Memory layout of images while a net trains (``compile(channels_last=...)``)."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.inference.layout import channels_last_pays
from easyconv.layers.containers import Parallel
from easyconv.layers.function import Lambda
from easyconv.layers.keeping import call
from easyconv.seed import kept_random_state
from easyconv.training.state import Recipe

__all__ = ["laid_out", "wants_channels_last"]


def wants_channels_last(net: nn.Module, recipe: Recipe, example: Any, *, without: object = None) -> bool:
    """Whether training shall keep images and filters with the channels last in memory.

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
    return _is_known(net) or _works(net, example, without)


@contextmanager
def laid_out(net: nn.Module, channels_last: bool) -> Iterator[None]:
    """Lay the 4-D parameters out with channels last in this block, and as they were after it; values do not change."""
    if not channels_last:
        yield
        return
    found = [(parameter, parameter.stride()) for parameter in _filters(net)]
    _lay_out(net)
    try:
        yield
    finally:
        for parameter, stride in found:
            # Not .contiguous(): with one channel both layouts count as contiguous, and convolutions look at strides.
            laid = torch.empty_strided(parameter.shape, stride, dtype=parameter.dtype, device=parameter.device)
            parameter.data = laid.copy_(parameter.data)


def _lay_out(net: nn.Module) -> None:
    # Not net.to(memory_format=...): it would put new tensors in the place of the buffers.
    for parameter in _filters(net):
        parameter.data = parameter.data.to(memory_format=torch.channels_last)


def _filters(net: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in net.parameters() if parameter.dim() == 4]


def _is_known(net: nn.Module) -> bool:
    """Whether no code of the user's runs in it: neither modules of other classes, nor hooks, nor functions."""
    return all(_is_ours(module) and not _has_hooks(module) for module in net.modules())


def _is_ours(module: nn.Module) -> bool:
    room = type(module).__module__
    functions = isinstance(module, Lambda) or (isinstance(module, Parallel) and not isinstance(module.merge, str))
    return room.startswith(("torch.nn.modules.", "easyconv.")) and not functions and "forward" not in vars(module)


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


def _works(net: nn.Module, example: Tensor, without: object) -> bool:
    try:
        with kept_random_state(), torch.enable_grad():
            # What the memo holds counts as copied already; the copy has None in its place.
            probe = copy.deepcopy(net, {id(without): None})
            _lay_out(probe)
            images = example.to(_device_of(net)).contiguous(memory_format=torch.channels_last)
            outputs = [leaf for leaf in _tensors(call(probe.eval(), images)) if leaf.requires_grad]
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
