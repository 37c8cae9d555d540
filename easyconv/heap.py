"""Memory that is freed stays with the process while a run lasts, since the next batch wants it again."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["kept_heap"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the parameters in glibc's ``malloc.h``."""
_NEVER, _LARGEST = -1, 1 << 30
_USUAL_MMAP, _USUAL_TRIM = 32 << 20, 64 << 20
"""What glibc raises the thresholds to, at most, by itself."""
_LEAST_SECONDS, _LEAST_TIMES = 1.0, 200


@contextmanager
def kept_heap() -> Iterator[None]:
    """Keep what is freed in the block, on Linux with glibc; give it back to the system after a long one.

    glibc returns large blocks to the system as soon as they are free. The maps of each layer are such blocks: every
    step would ask for them again, and the system would fill them with zeros, page by page, which takes up to 15 % of a
    step on a CPU.

    The settings are those of the whole process. After the block they are what glibc raises them to by itself in a
    process that has freed a block of 32 MiB. Where the environment sets thresholds (``MALLOC_TRIM_THRESHOLD_``,
    ``GLIBC_TUNABLES``) they stay as they are.

    Notes
    -----
    Blocks may be nested, and run in several threads: the last one to end gives back. To give back takes time, more
    where a program has freed many small things, and the next run has to ask for it all again. So it is done after a
    second at least, and only if it took less than a two-hundredth of that time when it was last done.

    Examples
    --------
    >>> with kept_heap():
    ...     sum(range(3))
    3
    """
    _HEAP.enter()
    try:
        yield
    finally:
        _HEAP.leave()


class _Heap:
    """glibc's heap, and how many want it kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._since = 0.0
        self._last_took = 0.0

    def enter(self) -> None:
        with self._lock:
            self._users += 1
            libc = _libc() if self._users == 1 else None
            if libc is not None:
                self._since = time.perf_counter()
                _set(libc, mmap=_LARGEST, trim=_NEVER)

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            libc = _libc() if self._users == 0 else None
            if libc is not None:
                _set(libc, mmap=_USUAL_MMAP, trim=_USUAL_TRIM)
                self._give_back(libc)

    def _give_back(self, libc: ctypes.CDLL) -> None:
        start = time.perf_counter()
        if start - self._since > max(_LEAST_SECONDS, _LEAST_TIMES * self._last_took):
            libc.malloc_trim(0)
            self._last_took = time.perf_counter() - start


_HEAP = _Heap()


@cache
def _libc() -> ctypes.CDLL | None:
    """The C library, where it is glibc and the user has not set its thresholds."""
    if not sys.platform.startswith("linux") or _thresholds_are_set():
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None


def _thresholds_are_set() -> bool:
    """Whether the environment sets them."""
    variables = os.environ.keys() & {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}
    return bool(variables) or "_threshold" in os.environ.get("GLIBC_TUNABLES", "")


def _set(libc: ctypes.CDLL, *, mmap: int, trim: int) -> None:
    # Before 2.35 the larger value is refused.
    if not libc.mallopt(_MMAP_THRESHOLD, mmap):
        libc.mallopt(_MMAP_THRESHOLD, _USUAL_MMAP)
    libc.mallopt(_TRIM_THRESHOLD, trim)
