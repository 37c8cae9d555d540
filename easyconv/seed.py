"""Random state: one call that seeds everything, keyed seeds, and giving the state back."""

import hashlib
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

from easyconv.arguments import check_integer

__all__ = [
    "derive",
    "drawing_apart",
    "kept_random_state",
    "random_state",
    "seed_all",
    "seed_for",
    "seed_host",
    "set_seed",
]

T = TypeVar("T")


def derive(seed: int, *key: int) -> int:
    """A 63-bit seed for one purpose, drawn from ``seed`` and the numbers that name the purpose.

    Two different keys give unrelated seeds; the same key gives the same seed on every machine.

    Examples
    --------
    >>> derive(0, 1, 2) == derive(0, 1, 2)
    True
    >>> derive(0, 1, 2) == derive(0, 2, 1)
    False
    """
    packed = struct.pack(f"<{len(key) + 1}q", seed, *key)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little") >> 1


def seed_all(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (on every device)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_host(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch on the CPU: about 10 µs."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)


def seed_for(device: torch.device, seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch on the CPU, and that of one device."""
    seed_host(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and torch, so that a script draws the same numbers each time it runs.

    Call it before you make the model: initial weights are drawn when layers are made. ``fit(seed=...)`` keys the
    training itself.

    Parameters
    ----------
    seed : int
        Any integer from 0 on.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        When ``seed`` is not an integer from 0 on.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> ec.set_seed(0)
    >>> first = torch.rand(1)
    >>> ec.set_seed(0)
    >>> bool(first == torch.rand(1))
    True
    """
    seed_all(check_integer("seed", seed, minimum=0))


def random_state(device: torch.device | None = None) -> Callable[[], None]:
    """Note the global random state of Python, NumPy and torch; what is returned gives it back.

    Parameters
    ----------
    device : torch.device, optional
        May be used for the first time before the state is given back; CUDA is started for it now, for else there is no
        state to note.

    Examples
    --------
    >>> give_back = random_state()
    >>> first = torch.rand(1)
    >>> give_back()
    >>> bool(first == torch.rand(1))
    True
    """
    if device is not None and device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
    give_back_host = _host_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]

    def give_back() -> None:
        give_back_host()
        if devices:
            torch.cuda.set_rng_state_all(devices)

    return give_back


def drawing_apart(make: Callable[[], Iterator[T]], key: int) -> Iterator[T]:
    """The items of an iterator that draws random numbers of its own, whatever is drawn between two of them.

    Parameters
    ----------
    make : callable
        Gives the iterator; called when the first item is asked for.
    key : int
        Seeds what it draws from Python, NumPy and torch on the CPU. The global random state is left as it is.

    Examples
    --------
    >>> first = [float(x) for x in drawing_apart(lambda: (torch.rand(()) for _ in range(2)), 0)]
    >>> second = []
    >>> for x in drawing_apart(lambda: (torch.rand(()) for _ in range(2)), 0):
    ...     second.append(float(x))
    ...     _ = torch.rand(5)
    >>> first == second
    True
    """
    give_back = _host_state()
    seed_host(key)
    iterator, end = make(), object()
    while True:
        try:
            item = next(iterator, end)
        finally:
            go_on = _host_state()
            give_back()
        if item is end:
            return
        yield item  # type: ignore[misc]
        give_back = _host_state()
        go_on()


def _host_state() -> Callable[[], None]:
    """What gives back the present random state of Python, NumPy and torch on the CPU."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()

    def give_back() -> None:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)

    return give_back


@contextmanager
def kept_random_state(device: torch.device | None = None) -> Iterator[None]:
    """Give back the global random state as it was found before the block; see `random_state`."""
    give_back = random_state(device)
    try:
        yield
    finally:
        give_back()
