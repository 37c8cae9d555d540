"""The losses that have a name, and what each asks of outputs and targets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from easyconv.errors import UnknownNameError
from easyconv.names import look_up, normalize

__all__ = ["ALIASES", "KNOWN", "Expects", "LossKind", "TargetKind", "find_by_name", "find_by_object"]

TargetKind: TypeAlias = Literal["classes", "binary", "values", "any"]
Expects: TypeAlias = Literal["logits", "log_probabilities", "probabilities", "values", "any"]
TensorFunction: TypeAlias = Callable[[Tensor], Tensor]


def _softmax(output: Tensor) -> Tensor:
    return output.softmax(dim=1)


def _identity(output: Tensor) -> Tensor:
    return output


def _largest(output: Tensor) -> Tensor:
    return output.argmax(dim=1)


def _positive(output: Tensor) -> Tensor:
    return (output > 0).long()


def _above_half(output: Tensor) -> Tensor:
    return (output > 0.5).long()


@dataclass(frozen=True)
class LossKind:
    """What a known loss asks for, and how its outputs become probabilities and classes.

    Attributes
    ----------
    name : str
        The name that ``compile(loss=...)`` takes.
    module : type of nn.Module
        Torch's class.
    function : callable or None
        Torch's function of the same meaning; ``None`` where its defaults differ from those of the name.
    target_kind, expects : str
        See `Objective`.
    activation : callable or None
        Raw outputs to probabilities.
    classes : callable or None
        Raw outputs to class numbers.
    """

    name: str
    module: type[nn.Module]
    function: Callable[..., Tensor] | None
    target_kind: TargetKind
    expects: Expects
    activation: TensorFunction | None = None
    classes: TensorFunction | None = None

    def make(self) -> Callable[..., Any]:
        """The loss itself, as torch would compute it with its defaults (``kl_div``: ``reduction="batchmean"``)."""
        if self.function is not None:
            return self.function
        return self.module(reduction="batchmean") if self.module is nn.KLDivLoss else self.module()


_KINDS = (
    LossKind("cross_entropy", nn.CrossEntropyLoss, functional.cross_entropy, "classes", "logits", _softmax, _largest),
    LossKind("nll", nn.NLLLoss, functional.nll_loss, "classes", "log_probabilities", torch.exp, _largest),
    LossKind("hinge", nn.MultiMarginLoss, functional.multi_margin_loss, "classes", "logits", None, _largest),
    LossKind(
        "bce",
        nn.BCEWithLogitsLoss,
        functional.binary_cross_entropy_with_logits,
        "binary",
        "logits",
        torch.sigmoid,
        _positive,
    ),
    LossKind(
        "bce_probabilities",
        nn.BCELoss,
        functional.binary_cross_entropy,
        "binary",
        "probabilities",
        _identity,
        _above_half,
    ),
    LossKind("mse", nn.MSELoss, functional.mse_loss, "values", "values"),
    LossKind("mae", nn.L1Loss, functional.l1_loss, "values", "values"),
    LossKind("huber", nn.HuberLoss, functional.huber_loss, "values", "values"),
    LossKind("smooth_l1", nn.SmoothL1Loss, functional.smooth_l1_loss, "values", "values"),
    LossKind("poisson_nll", nn.PoissonNLLLoss, functional.poisson_nll_loss, "values", "values"),
    LossKind("kl_div", nn.KLDivLoss, None, "values", "log_probabilities", torch.exp, _largest),
)

KNOWN: dict[str, LossKind] = {kind.name: kind for kind in _KINDS}

ALIASES: dict[str, str] = {
    "bce_with_logits": "bce",
    "l1": "mae",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "nll_loss": "nll",
}

# Losses of torch that can be given as modules or functions but have no name of their own here.
_UNNAMED = (
    LossKind(
        "multilabel_soft_margin",
        nn.MultiLabelSoftMarginLoss,
        functional.multilabel_soft_margin_loss,
        "binary",
        "logits",
        torch.sigmoid,
        _positive,
    ),
    LossKind("soft_margin", nn.SoftMarginLoss, functional.soft_margin_loss, "values", "values"),
    LossKind("hinge_embedding", nn.HingeEmbeddingLoss, functional.hinge_embedding_loss, "values", "values"),
    LossKind("kl_div", nn.KLDivLoss, functional.kl_div, "values", "log_probabilities", torch.exp, _largest),
)

_LOGITS = "use 'cross_entropy', which takes raw outputs (logits): no softmax at the end of the net"
_BINARY = "use 'bce', which takes raw outputs (logits), or 'bce_probabilities', which takes probabilities"
_REFUSED = {
    "sparse_categorical_crossentropy": _LOGITS,
    "categorical_crossentropy": _LOGITS,
    "crossentropy": _LOGITS,
    "binary_crossentropy": _BINARY,
    "binary_cross_entropy": _BINARY,
    "kl_divergence": "use 'kl_div', which takes log-probabilities",
    "kullback_leibler_divergence": "use 'kl_div', which takes log-probabilities",
}


def find_by_name(name: str) -> LossKind:
    """Known loss called ``name``.

    Raises
    ------
    UnknownNameError
        When there is none, or when the name means something else in Keras; the message says which to use.

    Examples
    --------
    >>> find_by_name("mean_squared_error").name
    'mse'
    """
    key = normalize(name)
    if key in _REFUSED:
        raise UnknownNameError(f"There is no loss called {name!r}: {_REFUSED[key]}.")
    table = KNOWN | {alias: KNOWN[target] for alias, target in ALIASES.items()}
    return look_up(name, table, "loss")


def find_by_object(loss: object) -> LossKind | None:
    """Known loss that a module, a function of ``torch.nn.functional`` or a ``partial`` of one stands for.

    Examples
    --------
    >>> find_by_object(nn.CrossEntropyLoss()).name
    'cross_entropy'
    >>> find_by_object(print) is None
    True
    """
    bare = getattr(loss, "func", loss)
    for kind in (*_KINDS, *_UNNAMED):
        if isinstance(loss, kind.module) or (kind.function is not None and bare is kind.function):
            return kind
    return None
