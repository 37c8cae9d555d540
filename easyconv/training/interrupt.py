"""Ctrl-C that ends the batch first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "deferred_interrupt"]


class Interrupt:
    """Whether Ctrl-C has been pressed."""

    def __init__(self) -> None:
        self.requested = False

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Remember the first Ctrl-C; the second stops at once."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def raise_if_requested(self) -> None:
        """Raise ``KeyboardInterrupt`` where Ctrl-C has been pressed."""
        if self.requested:
            raise KeyboardInterrupt


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Hold the first Ctrl-C back until it is asked for, and give the signal handler back afterwards.

    Only the main thread gets signals; elsewhere, and where the program has a handler of its own, nothing is changed.
    """
    interrupt = Interrupt()
    found = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or found is not signal.default_int_handler:
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt.handle)
    try:
        yield interrupt
        # Whoever pressed Ctrl-C while the last callbacks were at work did so too.
        interrupt.raise_if_requested()
    except Exception as error:
        # Workers of a DataLoader get Ctrl-C too and die of it; what the user did was press Ctrl-C.
        if interrupt.requested:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, found)
