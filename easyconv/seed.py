"""Random state: one call that seeds everything, keyed seeds, and giving the state back."""

import hashlib
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from easyconv.arguments import check_integer

__all__ = ["derive", "kept_random_state", "random_state", "seed_all", "seed_for", "set_seed"]


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


def seed_for(device: torch.device, seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch on the CPU, and that of one device: about 10 µs."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
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
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]

    def give_back() -> None:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if devices:
            torch.cuda.set_rng_state_all(devices)

    return give_back


@contextmanager
def kept_random_state(device: torch.device | None = None) -> Iterator[None]:
    """Give back the global random state as it was found before the block; see `random_state`."""
    give_back = random_state(device)
    try:
        yield
    finally:
        give_back()
