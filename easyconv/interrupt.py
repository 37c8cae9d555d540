"""Ctrl-C and SIGTERM that end the batch first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupt", "deferred_interrupt"]


class Interrupt:
    """Which signal asks the program to stop, if any does."""

    signal: int | None = None
    insisted: bool = False
    """Whether Ctrl-C has been pressed again."""

    @property
    def requested(self) -> bool:
        """Whether one does."""
        return self.signal is not None

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Remember a signal; a second Ctrl-C stops at once."""
        if signum == signal.SIGINT and self.requested:
            self.insisted = True
            raise KeyboardInterrupt
        self.signal = signum

    def raise_if_requested(self) -> None:
        """Raise what stops the program, where it has been asked for."""
        if self.requested:
            raise self.error()

    def error(self) -> BaseException:
        """``KeyboardInterrupt`` after Ctrl-C; after SIGTERM the exit of the program, with the code that shells give."""
        return SystemExit(128 + signal.SIGTERM) if self.signal == signal.SIGTERM else KeyboardInterrupt()


@contextmanager
def deferred_interrupt(*, terminate: bool = False) -> Iterator[Interrupt]:
    """Hold the first Ctrl-C back until it is asked for, and give the signal handler back afterwards.

    Only the main thread gets signals; elsewhere, and where the program has a handler of its own, nothing is changed.

    Parameters
    ----------
    terminate : bool, default False
        Hold SIGTERM back too, of which the program would die at once.
    """
    interrupt = Interrupt()
    found = _take_over(interrupt, terminate)
    try:
        yield interrupt
        # Whoever pressed Ctrl-C at the very end did so too.
        interrupt.raise_if_requested()
    except Exception as error:
        # Workers of a DataLoader get Ctrl-C too and die of it; what the user did was press Ctrl-C.
        if interrupt.requested:
            raise interrupt.error() from error
        raise
    finally:
        for signum, handler in found.items():
            signal.signal(signum, handler)


def _take_over(interrupt: Interrupt, terminate: bool) -> dict[int, signal.Handlers]:
    """Handle the signals that nobody handles yet; what they had before."""
    usual: dict[int, object] = {signal.SIGINT: signal.default_int_handler}
    if terminate:
        usual[signal.SIGTERM] = signal.SIG_DFL
    found: dict[int, signal.Handlers] = {}
    if threading.current_thread() is threading.main_thread():
        for signum, handler in usual.items():
            if signal.getsignal(signum) is handler:
                found[signum] = signal.signal(signum, interrupt.handle)  # type: ignore[assignment]
    return found
