"""Results copied from the device to the CPU while the device goes on computing."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["HostCopies"]


class HostCopies:
    """Trees of tensors, each copied to the CPU when it is added; nobody waits for a copy before the end.

    Examples
    --------
    >>> copies = HostCopies()
    >>> copies.add((torch.ones(1), torch.zeros(2)))
    >>> copies.finished()
    [(tensor([1.]), tensor([0., 0.]))]
    """

    def __init__(self) -> None:
        self._trees: list[Any] = []
        self._under_way: set[torch.device] = set()

    def add(self, tree: Any) -> None:
        """Begin to copy a tree; what is on the CPU already, or no tensor, stays as it is."""
        if isinstance(tree, Tensor):
            self._trees.append(self._copied(tree))
        else:
            self._trees.append(torch.utils._pytree.tree_map_only(Tensor, self._copied, tree))

    def finished(self) -> list[Any]:
        """All trees, once they are there."""
        for device in self._under_way:
            torch.cuda.synchronize(device)
        self._under_way.clear()
        return self._trees

    def _copied(self, tensor: Tensor) -> Tensor:
        if tensor.device.type != "cuda":
            return tensor.cpu()
        # Its copies go into pinned memory, for only then they need not be waited for.
        self._under_way.add(tensor.device)
        return tensor.to("cpu", non_blocking=True)
