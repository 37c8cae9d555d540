"""NaN and infinity are noticed before the optimizer takes them, and what their batch has changed is given back.

After the backward pass of a batch one operation looks at its loss and its gradients, and raises a flag where a number
is not finite. On the CPU the flag is seen at once. On an accelerator nobody waits for it: the optimizer reads it on
the device, as it does that of a loss scaler, and leaves the weights alone; the host sees it while the next batch is at
work.

A flag that is up stays up. So whatever comes after the first bad batch changes no weights either.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from easyconv.data.sources.batch import Batch

__all__ = ["FiniteWatch", "Watched", "seen_at_once"]


def seen_at_once(device: torch.device) -> bool:
    """Whether what is computed there is there already when it is looked at.

    Examples
    --------
    >>> seen_at_once(torch.device("cpu"))
    True
    """
    return device.type == "cpu"


@dataclass(slots=True)
class Watched:
    """A batch that nobody has found to be finite yet.

    Parameters
    ----------
    batch : Batch
        What the net was given.
    number : int
        Counts the batches of the pass from 1.
    step : int
        Steps since ``compile`` before it; keys what it draws.
    slot : int
        Where the buffers of before are kept.
    loss : Tensor, optional
        Its loss, once there is one.
    fresh : bool
        Whether the optimizer had no state before its step.
    """

    batch: Batch
    number: int
    step: int
    slot: int
    loss: Tensor | None = None
    fresh: bool = False


class FiniteWatch:
    """Watches the training steps of one run, batch by batch.

    Parameters
    ----------
    net : torch.nn.Module
        Its buffers (statistics of batch norms) are copied before each batch.
    device : torch.device
        Where it is trained.

    Attributes
    ----------
    place : str
        The pass that is watched, for messages: ``"epoch 3"``.
    number : int
        Batches of the pass so far.
    """

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        self.place = "this call"
        self.number = 0
        self._net = net
        self._flag = torch.zeros((), device=device)
        self._one = torch.ones((), device=device)
        self._alike = True
        self._late = not seen_at_once(device)
        # Two of everything that is looked at late: the batch after it must not write where it is still to be read.
        self._arrivals = [_Arrival(self._flag) for _ in range(2)] if self._late else []
        self._seen = None if self._late else self._flag.numpy()
        self._buffers: list[_BufferCopies] = []
        self._current: Watched | None = None
        self._earlier: Watched | None = None
        self._backup: tuple[Watched | None, _Backup] | None = None

    def start(self, place: str, done: int = 0) -> None:
        """Begin a pass, whose batches are counted by ``number``, or go on in it; until then no buffers are kept."""
        self.place, self.number = place, done
        self._buffers = [_BufferCopies(self._net) for _ in range(2 if self._late else 1)]

    def before(self, batch: Batch, step: int) -> None:
        """Remember a batch, and the buffers as they are before the net sees it."""
        slot = 1 - self._earlier.slot if self._earlier is not None else 0
        self._current = Watched(batch, self.number, step, slot)
        if self._buffers:
            self._buffers[slot].take()

    def once_more(self) -> None:
        """Give back the buffers of before, since the net will see the batch again."""
        if self._current is not None and self._buffers:
            self._buffers[self._current.slot].give_back()

    def look(self, loss: Tensor, gradients: Iterable[Tensor]) -> Watched | None:
        """Look at the present batch, after its backward pass.

        Returns
        -------
        Watched or None
            The batch that is not finite, where one is known by now: this one, or on an accelerator the one before.
        """
        current = self._require_current()
        current.loss = loss
        if not self._late:
            self._mark([loss, *gradients])
            if self._seen:
                return current
            self._current = None
            return None
        bad = self.settled()
        if bad is None:
            self._mark([loss, *gradients])
            self._arrivals[current.slot].depart(self._flag)
            self._earlier = current
        return bad

    def raise_flag(self, bad: Tensor) -> None:
        """Raise the flag where ``bad`` is true, without looking at it."""
        torch.maximum(self._flag, bad.to(self._flag), out=self._flag)

    def settled(self) -> Watched | None:
        """The last batch, where it was not finite; waits until the device knows."""
        earlier, self._earlier = self._earlier, None
        if earlier is None or not self._arrivals[earlier.slot].arrived():
            return None
        return earlier

    def brake(self, optimizer: Optimizer, averages: Sequence[Tensor] = ()) -> Tensor | None:
        """What keeps the optimizer from its next step on the device, should the flag be up; ``None`` on the CPU.

        An optimizer that cannot be kept from it makes its step: weights, state and averages are copied before.
        """
        if not self._late:
            return None
        if self._current is not None:
            self._current.fresh = not optimizer.state
        if _can_be_kept(optimizer):
            return self._flag
        self._backup = (self._current, _Backup(optimizer, averages))
        return None

    def scaled(self, scaler: Any, optimizer: Optimizer) -> None:
        """Let a loss scaler pass over the step where the flag is up."""
        for found in scaler._found_inf_per_device(optimizer).values():
            torch.maximum(found, self._flag.to(found.device), out=found)

    def give_back(self, bad: Watched, optimizer: Optimizer | None) -> None:
        """Undo what a batch that is not finite has changed: statistics of the net, and where it made one, the step."""
        if self._buffers:
            self._buffers[bad.slot].give_back()
        if self._backup is not None and self._backup[0] is bad:
            self._backup[1].give_back()
        if bad.fresh and optimizer is not None:
            # torch makes the moments before its kernel passes over the first step, and leaves them as they come.
            optimizer.state.clear()
        self._backup = self._current = self._earlier = None

    def _require_current(self) -> Watched:
        if self._current is None:
            raise RuntimeError("look() comes after before().")
        return self._current

    def _mark(self, tensors: list[Tensor]) -> None:
        """Raise the flag where one of the tensors is not finite; each keeps its bits, being multiplied by nothing."""
        if self._alike:
            try:
                torch._amp_foreach_non_finite_check_and_unscale_(tensors, self._flag, self._one)
            except RuntimeError:
                # The one operation takes tensors of one device and one type, and no sparse ones.
                self._alike = False
        if not self._alike:
            for group in _by_kind(tensors):
                self.raise_flag(_any_bad(group))


def _by_kind(tensors: list[Tensor]) -> list[list[Tensor]]:
    """Tensors of one device and type together."""
    groups: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        values = tensor._values() if tensor.is_sparse else tensor
        groups.setdefault((values.device, values.dtype), []).append(values)
    return list(groups.values())


def _any_bad(alike: list[Tensor]) -> Tensor:
    """Above 0 where a number in them is not finite."""
    flag, one = (torch.full((), value, device=alike[0].device) for value in (0.0, 1.0))
    try:
        torch._amp_foreach_non_finite_check_and_unscale_(alike, flag, one)
        return flag
    except RuntimeError:  # not every device takes every type
        return torch.stack([tensor.isfinite().all() for tensor in alike]).all().logical_not()


class _Arrival:
    """A flag on its way to the host."""

    def __init__(self, flag: Tensor) -> None:
        pinned = flag.device.type in ("cuda", "xpu")
        self._copy = torch.zeros((), pin_memory=pinned)
        self._seen = self._copy.numpy()
        self._event = None if flag.device.type == "cpu" else torch.Event(flag.device)

    def depart(self, flag: Tensor) -> None:
        """Send it, without waiting."""
        self._copy.copy_(flag, non_blocking=True)
        if self._event is not None:
            self._event.record()

    def arrived(self) -> bool:
        """Whether it was up; waits for what the device was told until it was sent, and for nothing after that."""
        if self._event is not None:
            self._event.synchronize()
        return bool(self._seen)


class _BufferCopies:
    """Copies of all buffers of a net."""

    def __init__(self, net: nn.Module) -> None:
        self._net = net
        self._find()

    def take(self) -> None:
        """Copy them."""
        if not self._places:
            return
        try:
            with torch.no_grad():
                torch._foreach_copy_(self._copies, [book[name] for book, name in self._places])  # type: ignore[misc]
        except (RuntimeError, KeyError, TypeError):
            # Some have other shapes now, are gone or new.
            self._find()

    def give_back(self) -> None:
        """Make them what they were."""
        with torch.no_grad():
            for (book, name), own, copy in zip(self._places, self._own, self._copies, strict=True):
                own.copy_(copy)
                book[name] = own

    def _find(self) -> None:
        books = [module._buffers for module in self._net.modules()]
        found = [(book, name, buffer) for book in books for name, buffer in book.items() if buffer is not None]
        self._places = [(book, name) for book, name, _ in found]
        self._own = [buffer for *_, buffer in found]
        self._copies = [buffer.detach().clone() for buffer in self._own]


class _Backup:
    """All that a step of an optimizer changes, as it is now."""

    def __init__(self, optimizer: Optimizer, averages: Sequence[Tensor]) -> None:
        weights = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._optimizer = optimizer
        self._tensors = [(tensor, tensor.detach().clone()) for tensor in (*weights, *averages)]
        self._state = {parameter: _copied(state) for parameter, state in optimizer.state.items()}

    def give_back(self) -> None:
        """Make it what it was."""
        with torch.no_grad():
            for tensor, copy in self._tensors:
                tensor.copy_(copy)
        self._optimizer.state.clear()
        self._optimizer.state.update(self._state)


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}


def _can_be_kept(optimizer: Optimizer) -> bool:
    """Whether its kernels look at ``found_inf`` on the device."""
    takes_flag = getattr(optimizer, "_step_supports_amp_scaling", False)
    return bool(takes_flag) and all(group.get("fused") for group in optimizer.param_groups)
