"""Auxiliary heads: outputs that a net gives in training only, so that its lower layers learn; their losses count less.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 5.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from easyconv.nested import is_nested
from easyconv.training.state import LossFunction

__all__ = ["main_output", "with_auxiliary_losses"]

_WEIGHT = 0.3


def main_output(output: Any, target: Any = None) -> Any:
    """What the net gives in evaluation too: the ``logits`` of a named tuple that has auxiliary ones, or all.

    Where each output has a target of its own, none of them is auxiliary.

    Examples
    --------
    >>> from collections import namedtuple
    >>> main_output(namedtuple("Outputs", ["logits", "aux_logits"])(1, 2))
    1
    >>> main_output((1, 2))
    (1, 2)
    """
    return output[0] if _has_auxiliary(output, target) else output


def with_auxiliary_losses(loss: LossFunction) -> LossFunction:
    """The same loss, to which those of auxiliary outputs are added, each times the ``aux_weight`` of their tuple."""

    def total(output: Any, target: Any, sample_weight: Tensor | None) -> tuple[Tensor, Mapping[str, Tensor]]:
        if not _has_auxiliary(output, target):
            return loss(output, target, sample_weight)
        found, values = loss(output[0], target, sample_weight)
        weight = getattr(output, "aux_weight", _WEIGHT)
        for head in output[1:]:
            if head is not None:
                found = found + weight * loss(head, target, sample_weight)[0]
        return found, values

    return total


def _has_auxiliary(output: Any, target: Any) -> bool:
    """Whether it is a named tuple ``(logits, aux_logits...)``, as GoogLeNet gives it, for a single target."""
    names: tuple[str, ...] = getattr(output, "_fields", ())
    heads = len(names) > 1 and not is_nested(target)
    return heads and names[0] == "logits" and all(name.startswith("aux_logits") for name in names[1:])
