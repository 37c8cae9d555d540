"""A copy of a net that is made for answering only: norms folded, 16 bits where the device is fast with them."""

import copy
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.device import has_fast_bf16
from easyconv.errors import StateError
from easyconv.inference.answers import agree
from easyconv.inference.folding import fold_batch_norms
from easyconv.inference.marks import mark_of
from easyconv.inference.way import find_way
from easyconv.layers.keeping import call, kept
from easyconv.layers.known import is_known, runs_straight
from easyconv.layers.layout import as_channels_last, channels_last_pays
from easyconv.nested import leaves, map_tree
from easyconv.seed import kept_random_state

__all__ = ["FastCopies", "FastCopy"]

_ROUNDING = {None: 1e-3, torch.bfloat16: 5e-2}
"""By how much answers may differ, as a share of the largest, before a copy is taken for broken."""


@dataclass(frozen=True)
class FastCopy:
    """A net that answers like another one, but for rounding.

    Parameters
    ----------
    net : torch.nn.Module
        The copy.
    dtype : torch.dtype, optional
        What it computes in; ``None`` leaves that to the net.
    channels_last : bool, default False
        Whether images are laid out with their channels last.
    rows : int, default 32
        Rows at a time.
    """

    net: nn.Module
    dtype: torch.dtype | None = None
    channels_last: bool = False
    rows: int = 32

    def __call__(self, x: Any) -> Any:
        """Outputs for a batch; float32 where the copy computes in less."""
        return map_tree(_widened, call(self.net, map_tree(self._ready, x)))

    def _ready(self, x: Tensor) -> Tensor:
        if self.dtype is not None and x.is_floating_point():
            x = x.to(self.dtype)
        return as_channels_last(x) if self.channels_last and x.dim() == 4 else x


class FastCopies:
    """Keeps the fast copy of a net for as long as neither the net nor the form of its inputs changes.

    A copy of this object, and what is written to a file, is empty: it is made anew when it is asked for.
    """

    def __init__(self) -> None:
        self._copy: FastCopy | None = None
        self._mark: Hashable = None

    def of(self, net: nn.Module, inputs: Any, expected: Any, device: torch.device, *, without: object) -> FastCopy:
        """The copy, made now where there is none or the net has changed.

        Parameters
        ----------
        net : torch.nn.Module
            The net, built; it is left alone.
        inputs, expected : tensor or nested tensors
            A few rows, and what the net answers for them: what the copy is tried on.
        device : torch.device
            Where the net is.
        without : object
            What the net refers to and the copy needs not.

        Raises
        ------
        StateError
            When the net cannot be copied, or its copy gives other answers.
        """
        if not is_known(net):
            # Code of the user's may hang on anything: a copy of it is good for this call only.
            self._copy = None
            with kept_random_state(device):
                return _fast_copy(net, inputs, expected, device, without)
        mark = mark_of(net), _form(inputs)
        if self._copy is None or mark != self._mark:
            self._copy = None  # not two copies at a time
            with kept_random_state(device):
                self._copy, self._mark = _fast_copy(net, inputs, expected, device, without), mark
        return self._copy

    def __reduce__(self) -> Any:
        return FastCopies, ()


def _fast_copy(net: nn.Module, inputs: Any, expected: Any, device: torch.device, without: object) -> FastCopy:
    """The fastest copy that answers as the net does: in 16 bits and with channels last, or without one or both."""
    folded = _folded(net, inputs, expected, without)
    # Images have few digits. Other numbers may need all of theirs: years, numbers of rows in a table.
    images = isinstance(inputs, Tensor) and inputs.dim() == 4
    short = images and has_fast_bf16(device) and _computes_float32(net)
    for dtype in (torch.bfloat16, None) if short else (None,):
        pays = channels_last_pays(net, inputs, device, low_precision=dtype is not None)
        for channels_last in (True, False) if pays else (False,):
            made = FastCopy(_converted(folded, dtype, channels_last), dtype, channels_last)
            rows = _rows_of_a_good_copy(made, inputs, expected, device)
            if rows:
                return replace(made, rows=rows)
    raise StateError("a copy of the net gives other answers than the net itself")


def _folded(net: nn.Module, inputs: Any, expected: Any, without: object) -> nn.Module:
    """A copy with its norms folded, or as it is where that changes the answers."""
    plain = _copied(net, without)
    if not runs_straight(plain):
        return plain
    folded = copy.deepcopy(plain)
    try:
        with kept(folded, training=False):
            return folded if fold_batch_norms(folded, inputs) and _agrees(folded, inputs, expected) else plain
    except Exception:  # whatever goes wrong, the copy that was not folded is the safe answer
        return plain


def _form(inputs: Any) -> Hashable:
    return tuple((name, tuple(leaf.shape[1:]), leaf.dtype) for name, leaf in leaves(inputs))


def _copied(net: nn.Module, without: object) -> nn.Module:
    try:
        # What the memo holds counts as copied already; the copy has None in its place.
        made = copy.deepcopy(net, {id(without): None})
    except Exception as error:
        raise StateError(f"the net cannot be copied ({type(error).__name__}: {error})") from error
    return made.eval().requires_grad_(False)


def _agrees(net: nn.Module, inputs: Any, expected: Any) -> bool:
    with torch.no_grad():
        return agree(call(net, inputs), expected, within=_ROUNDING[None])


def _computes_float32(net: nn.Module) -> bool:
    found = {parameter.dtype for parameter in net.parameters() if parameter.is_floating_point()}
    return found == {torch.float32}


def _converted(net: nn.Module, dtype: torch.dtype | None, channels_last: bool) -> nn.Module:
    converted = copy.deepcopy(net).to(dtype=dtype)
    if channels_last:
        for parameter in converted.parameters():
            if parameter.dim() == 4:
                parameter.data = as_channels_last(parameter.data)
    return converted


def _rows_of_a_good_copy(made: FastCopy, inputs: Any, expected: Any, device: torch.device) -> int:
    """Rows at a time; 0 for a copy that fails or gives other answers."""
    within = _ROUNDING[made.dtype]
    try:
        with torch.no_grad():
            answers = made(inputs)
    except Exception:  # a net may make tensors of its own in float32, or need the other layout
        return 0
    if not agree(answers, expected, within=within):
        return 0
    return find_way(made.net, made, inputs, answers, device=device, layout=False, within=within).rows


def _widened(output: Tensor) -> Tensor:
    return output.float() if output.dtype in (torch.bfloat16, torch.float16) else output
