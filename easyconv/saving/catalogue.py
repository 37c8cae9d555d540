"""What a model's file may name: torch's and easyconv's classes and functions; nothing is imported by a name in it."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from easyconv.augment.transform import Transform
from easyconv.data.pictures.format import PictureFormat
from easyconv.data.preprocessing import PictureTransform, Preprocessing
from easyconv.metrics.base import Mean, Metric
from easyconv.optim.factory import CLASSES, FromClass
from easyconv.optim.groups import Grouping, no_bias_decay
from easyconv.optim.layerwise import LayerwiseRates, NamedRates, WithinGroups
from easyconv.training.history import History

__all__ = ["also_from", "classes", "functions", "name_of", "optimizers"]

_FAMILIES = (nn.Module, Metric, Transform)
"""Of these and all that derive from them, what torch.nn and easyconv define."""
_SINGLE = (
    FromClass,
    Grouping,
    History,
    LayerwiseRates,
    Mean,
    NamedRates,
    PictureFormat,
    PictureTransform,
    Preprocessing,
    WithinGroups,
)
_HOMES = {"easyconv": "easyconv", "torch.nn.modules": "torch.nn", "torchvision.transforms._presets": "torchvision"}
"""Where classes are defined, and what stands before their names in files: rooms may change, names stay."""
_OF_TORCH = (
    "abs cos erf exp exp2 expm1 flatten log log1p mean neg relu rsqrt selu sigmoid sign sin softmax sqrt square "
    "squeeze sum tan tanh transpose"
)
_FUNCTIONAL = (
    "avg_pool1d avg_pool2d binary_cross_entropy binary_cross_entropy_with_logits celu cross_entropy elu gelu glu "
    "hardsigmoid hardswish hardtanh hinge_embedding_loss huber_loss kl_div l1_loss leaky_relu log_softmax logsigmoid "
    "max_pool1d max_pool2d mish mse_loss nll_loss normalize poisson_nll_loss relu relu6 selu sigmoid silu "
    "smooth_l1_loss soft_margin_loss softmax softmin softplus softsign tanh tanhshrink"
)


_PACKAGES: list[str] = []


def also_from(*packages: str) -> None:
    """Let files name the classes of packages that nobody may have imported yet; they are imported to read a file.

    Parameters
    ----------
    *packages : str
        Packages of easyconv, each with its ``__all__``.

    Examples
    --------
    >>> also_from("easyconv.zoo")
    >>> "easyconv.GoogLeNet" in classes()
    True
    """
    _PACKAGES.extend(package for package in packages if package not in _PACKAGES)


def classes() -> dict[str, type]:
    """Name in files to class.

    Examples
    --------
    >>> classes()["torch.nn.Conv2d"]
    <class 'torch.nn.modules.conv.Conv2d'>
    >>> "easyconv.Residual" in classes()
    True
    """
    for package in _PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            getattr(module, name)  # some are imported when somebody asks for them
    found = (cls for family in _FAMILIES for cls in _descendants(family))
    named = {name: cls for cls in (*_FAMILIES, *_SINGLE, *found) if (name := name_of(cls))}
    return dict(sorted(named.items()))


def name_of(cls: type) -> str | None:
    """What files call a class; None where it is not torch's or ours.

    Examples
    --------
    >>> name_of(nn.Linear), name_of(int)
    ('torch.nn.Linear', None)
    """
    home = next((home for home in _HOMES if cls.__module__ == home or cls.__module__.startswith(f"{home}.")), None)
    return None if home is None else f"{_HOMES[home]}.{cls.__qualname__}"


def functions() -> dict[str, Callable[..., Any]]:
    """Name in files to function: of tensors, without effects.

    Examples
    --------
    >>> functions()["torch.square"] is torch.square
    True
    """
    found: dict[str, Callable[..., Any]] = {f"torch.{name}": getattr(torch, name) for name in _OF_TORCH.split()}
    found |= {f"torch.nn.functional.{name}": getattr(F, name) for name in _FUNCTIONAL.split()}
    return {**found, "easyconv.no_bias_decay": no_bias_decay}


def optimizers() -> dict[str, type[torch.optim.Optimizer]]:
    """Name in files to class of ``torch.optim``."""
    return {f"torch.optim.{name}": cls for name, cls in CLASSES.items()}


def _descendants(cls: type) -> Iterator[type]:
    children: list[type] = cls.__subclasses__()
    for child in children:
        yield child
        yield from _descendants(child)
