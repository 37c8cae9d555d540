"""Branches side by side whose layers are numbered, and not nested: the names of Google's and torchvision's files."""

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_lowercase
from typing import TypeAlias

import torch
from torch import nn

__all__ = ["NumberedBranches", "Step"]

Step: TypeAlias = nn.Module | tuple[nn.Module, ...]


class NumberedBranches(nn.Module):
    """Give one input to several branches, and concatenate their outputs along the channels.

    It does what `Parallel` does, but all layers are children of the block itself: those of a branch ``branch7x7`` are
    ``branch7x7_1``, ``branch7x7_2`` and so on, an only one is ``branch7x7``. A pooling has no weights and no number:
    it is called ``pool``. So the weights have the names under which they were published.

    Parameters
    ----------
    branches : dict of str to list of steps
        A step is a layer, or a tuple of layers where the branch forks: they get the same input, their outputs are
        concatenated, and they are called ``branch3x3_2a``, ``branch3x3_2b``.

    Examples
    --------
    >>> from easyconv.layers import Conv2D
    >>> block = NumberedBranches({"left": [Conv2D(2, 1)], "right": [Conv2D(3, 1), (Conv2D(4, 1), Conv2D(5, 1))]})
    >>> block(torch.zeros(1, 3, 6, 6)).shape
    torch.Size([1, 11, 6, 6])
    >>> [name for name, _ in block.named_children()]
    ['left', 'right_1', 'right_2a', 'right_2b']
    """

    def __init__(self, branches: Mapping[str, Sequence[Step]]) -> None:
        super().__init__()
        # Names, not layers: what is put in the place of a layer later is then used.
        self._branches = [[self._add(step, names) for step, names in _named(branch)] for branch in branches.items()]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of all branches, one after the other along the channels."""
        return torch.cat([self._through(branch, x) for branch in self._branches], dim=1)

    def _through(self, branch: list[list[str]], x: torch.Tensor) -> torch.Tensor:
        for names in branch:
            outputs = [self.get_submodule(name)(x) for name in names]
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
        return x

    def _add(self, step: Step, names: list[str]) -> list[str]:
        for name, layer in zip(names, step if isinstance(step, tuple) else (step,), strict=True):
            self.add_module(name, layer)
        return names


def _named(branch: tuple[str, Sequence[Step]]) -> Iterator[tuple[Step, list[str]]]:
    """The steps of a branch, each with the names of its layers."""
    name, steps = branch
    alone = sum(not _is_pooling(step) for step in steps) == 1
    number = 0
    for step in steps:
        if _is_pooling(step):
            yield step, ["pool"]
            continue
        number += 1
        numbered = name if alone else f"{name}_{number}"
        letters = ascii_lowercase[: len(step)] if isinstance(step, tuple) else ("",)
        yield step, [numbered + letter for letter in letters]


def _is_pooling(step: Step) -> bool:
    return isinstance(step, (nn.AvgPool2d, nn.MaxPool2d))
