"""What a net answered: classes, how sure it is of them, and which answers are worth a look."""

from typing import Any

import numpy as np
import torch

from easyconv.arguments import check_integer
from easyconv.errors import DataError, DataTypeError, LengthError, NonFiniteDataError

__all__ = ["as_tensor", "check_length", "classes_and_confidence", "labels", "pick_predictions"]


def pick_predictions(targets: Any, outputs: Any, *, right: int = 6, wrong: int = 12) -> torch.Tensor:
    """Indices of the mistakes that the net was most sure of, surest first, then of the first right answers.

    Parameters
    ----------
    targets, outputs
        As in :func:`gallery`. Where ``outputs`` are classes, all count as equally sure.
    right, wrong : int, default 6 and 12
        Most indices of each kind; where there are fewer mistakes, right answers take their places.

    Returns
    -------
    torch.Tensor
        Integers, at most ``wrong + right`` of them.

    Raises
    ------
    LengthError, DataError, DataTypeError, ArgumentError, ArgumentTypeError
        When an argument makes no sense.

    Examples
    --------
    >>> pick_predictions([0, 0, 0], torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 5.0]]))
    tensor([2, 1, 0])
    """
    check_integer("right", right, minimum=0)
    check_integer("wrong", wrong, minimum=0)
    answers = labels("targets", targets)
    predicted, sure = classes_and_confidence(outputs)
    check_length("outputs", len(predicted), len(answers), of="targets")
    missed = (predicted != answers).nonzero().flatten()
    if sure is not None:
        missed = missed[sure[missed].argsort(descending=True, stable=True)]
    missed = missed[:wrong]
    return torch.cat([missed, (predicted == answers).nonzero().flatten()[: right + wrong - len(missed)]])


def as_tensor(name: str, value: Any) -> torch.Tensor:
    """Whatever the user passed, as a tensor on the CPU."""
    try:
        tensor = torch.as_tensor(np.asarray(value) if isinstance(value, (list, tuple)) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataTypeError(f"{name} must be a tensor, an array or numbers, got {type(value).__name__}.") from error
    return tensor.detach().cpu()


def labels(name: str, values: Any) -> torch.Tensor:
    """Class numbers of shape (N,)."""
    found = as_tensor(name, values)
    found = found.flatten() if found.dim() == 2 and found.shape[1] == 1 else found
    if found.dim() != 1 or found.is_floating_point():
        raise DataError(f"{name} must be class numbers of shape (N,), got {found.dtype} of shape {tuple(found.shape)}.")
    return found.long()


def classes_and_confidence(outputs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Predicted classes, and how sure the net is of each where that is known."""
    found = as_tensor("outputs_or_predictions", outputs)
    if not found.is_floating_point():
        return labels("outputs_or_predictions", found), None
    if not torch.isfinite(found).all():
        raise NonFiniteDataError("outputs_or_predictions hold NaN or infinite values.")
    if found.dim() == 1 or (found.dim() == 2 and found.shape[1] == 1):
        flat = found.float().flatten()
        positive = flat if bool(((flat >= 0) & (flat <= 1)).all()) else flat.sigmoid()
        classes = (positive > 0.5).long()
        return classes, torch.where(classes == 1, positive, 1 - positive)
    if found.dim() != 2:
        raise DataError(f"outputs_or_predictions must have shape (N,) or (N, K), got {tuple(found.shape)}.")
    rows = found.float()
    proper = bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-3).all())
    sure, classes = (rows if proper else rows.softmax(1)).max(1)
    return classes, sure


def check_length(name: str, length: int, count: int, *, of: str = "images") -> None:
    """Refuse what does not belong together."""
    if length != count:
        raise LengthError(f"{name} and {of} must have the same length, got {length} and {count}.")
