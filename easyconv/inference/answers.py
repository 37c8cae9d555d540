"""Whether another way to compute gives the same answers."""

from typing import Any

import torch
from torch import Tensor

from easyconv.nested import leaves

__all__ = ["agree"]


def agree(answers: Any, expected: Any, *, within: float) -> bool:
    """Whether two outputs are trees of the same shapes whose numbers differ by no more than a share of the largest.

    Parameters
    ----------
    answers, expected : tensor, or nested tuple or dict of tensors
        What is tried, and what it is compared with.
    within : float
        Largest difference, as a share of the largest number that is expected.

    Examples
    --------
    >>> agree(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.01]), within=0.01)
    True
    >>> agree(torch.tensor([1.0]), (torch.tensor([1.0]),), within=0.01)
    False
    """
    tried, wanted = list(leaves(answers)), list(leaves(expected))
    if [name for name, _ in tried] != [name for name, _ in wanted]:
        return False
    return all(_close(one, other, within) for (_, one), (_, other) in zip(tried, wanted, strict=True))


def _close(one: Any, other: Any, within: float) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return type(one) is type(other)
    if one.shape != other.shape or one.is_floating_point() != other.is_floating_point():
        return False
    if not other.is_floating_point() or not other.numel():
        return torch.equal(one, other)
    one, other = one.detach().double(), other.detach().double()
    largest = other.abs().nan_to_num(0.0, posinf=0.0).max()
    return torch.allclose(one, other, rtol=0.0, atol=within * float(largest), equal_nan=True)
