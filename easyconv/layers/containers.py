"""Containers that turn an idea into one line: branches side by side, and a path around."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import nn

from easyconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from easyconv.layers.activations import ActivationLike, make_activation
from easyconv.layers.keywords import torch_words
from easyconv.layers.shortcut import AutoPadding, AutoShortcut, WithShortcut, shapes_text
from easyconv.names import look_up

__all__ = ["Branch", "Merge", "Parallel", "Residual", "make_shortcut"]

Branch: TypeAlias = nn.Module | Iterable[nn.Module] | str | None
Merge: TypeAlias = str | Callable[[list[torch.Tensor]], torch.Tensor]


def _concat(outputs: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(outputs, dim=1)


def _stack(outputs: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(outputs, dim=1)


def _add(outputs: list[torch.Tensor]) -> torch.Tensor:
    total = outputs[0]
    for output in outputs[1:]:
        total = total + output
    return total


def _mean(outputs: list[torch.Tensor]) -> torch.Tensor:
    return _add(outputs) / len(outputs)


def _multiply(outputs: list[torch.Tensor]) -> torch.Tensor:
    product = outputs[0]
    for output in outputs[1:]:
        product = product * output
    return product


_MERGES: dict[str, Callable[[list[torch.Tensor]], torch.Tensor]] = {
    "add": _add,
    "concat": _concat,
    "mean": _mean,
    "multiply": _multiply,
    "stack": _stack,
    "sum": _add,
}


def _as_branch(branch: object, what: str) -> nn.Module:
    if branch is None or branch == "identity":
        return nn.Identity()
    if isinstance(branch, nn.Module):
        return branch
    if isinstance(branch, (list, tuple)) and all(isinstance(layer, nn.Module) for layer in branch):
        return nn.Sequential(*branch)
    raise ArgumentTypeError(
        f"{what} must be a module, a list of modules, or None for the input itself, "
        f"got {branch!r} ({type(branch).__name__})."
    )


class Parallel(nn.Module):
    """Give one input to several branches, and merge what they make of it.

    Parameters
    ----------
    *branches : torch.nn.Module, list of modules, None, or one dict of such
        A list becomes an ``nn.Sequential``; None (or ``"identity"``) is the input itself. A dict gives the branches
        names; otherwise they are called ``"0"``, ``"1"``, and so on.
    merge : str or callable, default "concat"
        ``"concat"`` along dimension 1, the channels; ``"sum"`` (or ``"add"``), ``"mean"`` and ``"multiply"`` element
        by element; ``"stack"`` along a new dimension 1; or a function (or module) of the list of outputs.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When there is no branch, or one that is no module.
    UnknownNameError
        When there is no merge of that name.
    ShapeError
        At the forward pass, when the outputs do not fit together; the message lists each branch's shape.

    References
    ----------
    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, figure 2, for ``merge="concat"``.

    Examples
    --------
    >>> from easyconv import layers
    >>> block = layers.Parallel(layers.Conv2D(8, 1), [layers.Conv2D(4, 1), layers.Conv2D(16, 3, padding="same")], None)
    >>> block(torch.zeros(1, 3, 6, 6)).shape
    torch.Size([1, 27, 6, 6])
    """

    @torch_words
    def __init__(self, *branches: Branch | Mapping[str, Branch], merge: Merge = "concat") -> None:
        super().__init__()
        named = _named(branches)
        if not named:
            raise ArgumentError("Parallel() needs at least one branch.")
        for name, branch in named.items():
            self.add_module(name, _as_branch(branch, f"branch {name!r}"))
        self._branch_names = list(named)
        if not isinstance(merge, str) and not callable(merge):
            raise ArgumentTypeError(f"merge must be a name or a function of a list of tensors, got {merge!r}.")
        self.merge: Any = merge
        if isinstance(merge, str):
            look_up(merge, _MERGES, "merge")

    def forward(self, x: Any) -> Any:
        """Merge of all branches' outputs."""
        outputs = [self.get_submodule(name)(x) for name in self._branch_names]
        if not isinstance(self.merge, str):
            return self.merge(outputs)
        merge = look_up(self.merge, _MERGES, "merge")
        self._check(merge, outputs)
        return merge(outputs)

    def _check(self, merge: Callable[..., Any], outputs: Sequence[torch.Tensor]) -> None:
        first = outputs[0].shape
        if merge is _concat:
            fit = all(
                len(o.shape) == len(first) and o.shape[:1] == first[:1] and o.shape[2:] == first[2:] for o in outputs
            )
            wanted = "in all dimensions but the second (the channels)"
        else:
            fit = all(output.shape == first for output in outputs)
            wanted = "in all dimensions"
        if not fit:
            raise ShapeError(
                f'Parallel(merge="{self.merge}") needs outputs that agree {wanted}, and its branches gave '
                f"{shapes_text(zip(self._branch_names, outputs, strict=True))}. Give them the same strides, and "
                'paddings that keep the size (padding="same"; for a pooling of 3, padding=1 with stride=1).'
            )

    def extra_repr(self) -> str:
        """How the outputs are merged."""
        return "" if isinstance(self.merge, nn.Module) else f"merge={getattr(self.merge, '__name__', self.merge)!r}"


def _named(branches: tuple[Any, ...]) -> dict[str, Any]:
    if len(branches) == 1 and isinstance(branches[0], Mapping) and not isinstance(branches[0], nn.Module):
        named = dict(branches[0])
        for name in named:
            if not isinstance(name, str) or not name or "." in name or hasattr(Parallel, name) or name == "merge":
                raise ArgumentError(f"{name!r} cannot be the name of a branch; take a word without dots.")
        return named
    return {str(index): branch for index, branch in enumerate(branches)}


def make_shortcut(shortcut: Branch, *, stride: int | None = None, norm: bool = True) -> nn.Module:
    """What ``shortcut=`` means: a module, or one of the paper's options by name.

    Parameters
    ----------
    shortcut : str, torch.nn.Module, list of modules or None
        As `Residual` takes it.
    stride : int, optional
        Step of the path that it goes around, where the block knows it; by default it follows from the shapes.
    norm : bool, default True
        Whether a batch norm follows a projection.

    Raises
    ------
    UnknownNameError
        When there is no shortcut of that name.
    ArgumentTypeError
        When it is no module.

    Examples
    --------
    >>> make_shortcut("identity")
    Identity()
    """
    if not isinstance(shortcut, str):
        return _as_branch(shortcut, "shortcut")
    option = look_up(shortcut, _OPTIONS, "shortcut")
    if option == "identity":
        return nn.Identity()
    return AutoPadding(stride=stride) if option == "A" else AutoShortcut(always=option == "C", stride=stride, norm=norm)


_OPTIONS = {"a": "A", "b": "B", "c": "C", "auto": "B", "conv": "C", "identity": "identity"}


class Residual(WithShortcut):
    """Add what a path makes of the input to the input itself: ``main(x) + shortcut(x)``.

    Parameters
    ----------
    main : torch.nn.Module or list of modules
        The path; a list becomes an ``nn.Sequential``.
    shortcut : "auto", "A", "B", "C", "conv", "identity", None, torch.nn.Module or list, default "auto"
        What happens to the input; the letters are the paper's options, which are decided at the first forward pass.
        How far a projection steps is read off the sizes there, so these should be more than one pixel.

        - ``"A"``: the identity; where the shapes differ it skips places and adds channels of zeros. No parameters.
        - ``"B"`` or ``"auto"``: the identity; where the shapes differ a 1x1 convolution (a linear layer for (N, F))
          without bias, with the stride that is needed, and a batch norm.
        - ``"C"`` or ``"conv"``: that convolution in any case.
        - ``"identity"`` or None: the input itself.
    activation : str, type, torch.nn.Module or callable, optional
        After the sum, as `Activation` takes it. The paper has ``"relu"``.

    Notes
    -----
    Children are called ``main``, ``shortcut`` (a convolution and a norm where it projects) and ``activation``.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense.
    ShapeError
        At the forward pass, when the two do not have the same shape, or no stride makes it the same.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, sections 3.2, 3.3
    and 4.1 (table 3 compares the options).

    Examples
    --------
    >>> from easyconv import layers
    >>> block = layers.Residual([layers.Conv2D(8, 3, stride=2, padding="same"), layers.BatchNorm()], activation="relu")
    >>> block(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 8, 4, 4])
    >>> block.shortcut[0]
    Conv2d(3, 8, kernel_size=(1, 1), stride=(2, 2), bias=False)
    """

    @torch_words
    def __init__(
        self, main: nn.Module | Iterable[nn.Module], *, shortcut: Branch = "auto", activation: ActivationLike = None
    ) -> None:
        super().__init__()
        self.main = _as_branch(main, "main")
        self.shortcut = make_shortcut(shortcut)
        self.activation = None if activation is None else make_activation(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``activation(main(x) + shortcut(x))``."""
        y = cast(torch.Tensor, self.main(x))
        total = y + self.around(x, y)
        return total if self.activation is None else cast(torch.Tensor, self.activation(total))
