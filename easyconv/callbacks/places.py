"""Places where one line is drawn again and again, then stays: a terminal, the output of a notebook's cell."""

import importlib
import os
import shutil
import sys
from typing import Any, Protocol, TextIO, cast

__all__ = ["NotebookLine", "Place", "TerminalLine", "in_notebook", "is_terminal", "make_place"]

NOTEBOOK_COLUMNS = 100


class Place(Protocol):
    """Where a line is drawn."""

    ascii_only: bool

    def width(self) -> int:
        """Columns that a line may have."""

    def show(self, line: str) -> None:
        """Draw this line in place of the one before."""

    def close(self, text: str) -> None:
        """Leave this text, for good."""


def make_place(*, keep_prints_apart: bool) -> Place:
    """The place that suits where the program runs.

    Parameters
    ----------
    keep_prints_apart : bool
        In a terminal, what others print until ``close`` appears above the line and not through it.
    """
    return NotebookLine() if in_notebook() else TerminalLine(keep_prints_apart=keep_prints_apart)


def is_terminal() -> bool:
    """Whether somebody watches the standard output."""
    return bool(getattr(sys.stdout, "isatty", bool)())


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook (Jupyter, Colab, VS Code, Kaggle), not a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return any(cls.__name__ == "ZMQInteractiveShell" for cls in type(shell).__mro__)


class TerminalLine:
    """The last line of a terminal, kept by ``tqdm``, so that it goes together with other bars of ``tqdm``.

    Parameters
    ----------
    keep_prints_apart : bool
        Replace ``sys.stdout`` and ``sys.stderr`` until ``close`` by streams that print above the line.
    """

    def __init__(self, *, keep_prints_apart: bool = False) -> None:
        self._stream: TextIO = _beneath(sys.stdout)
        self.ascii_only = not _takes(self._stream, "━─")
        self._bar = _quiet_bar(self._stream)
        self._guards: list[tuple[str, PrintAbove]] = []
        if keep_prints_apart:
            self._guard("stdout")
            self._guard("stderr")

    def width(self) -> int:
        """Columns of the terminal, but one: some go to the next line after the last."""
        return max(20, shutil.get_terminal_size().columns - 1)

    def show(self, line: str) -> None:
        """Draw the line, unless somebody is in the middle of one."""
        busy = any(guard.amid for _, guard in self._guards)
        self._bar.set_description_str(line, refresh=not busy)

    def close(self, text: str) -> None:
        """Wipe the line, give the streams back and print the text."""
        for name, guard in self._guards:
            guard.finish()
            if getattr(sys, name) is guard:
                setattr(sys, name, guard.stream)
        self._guards = []
        self._bar.close()
        print(text, flush=True)

    def _guard(self, name: str) -> None:
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, PrintAbove) or not stream.isatty():
            return
        guard = PrintAbove(stream, self._stream, self._bar)
        setattr(sys, name, guard)
        self._guards.append((name, guard))


class PrintAbove:
    """A text stream that lets whole lines appear above a bar.

    Parameters
    ----------
    stream : text stream
        Where the lines go; it answers everything else that is asked of this object.
    terminal : text stream
        Where the bar is.
    bar : tqdm
        Wiped before each line and drawn again after it, like all bars of tqdm in that terminal.
    """

    def __init__(self, stream: TextIO, terminal: TextIO, bar: Any) -> None:
        self.stream = stream
        self._terminal = terminal
        self._bar = bar
        self.amid = False
        """Whether the beginning of a line stands where the bar was."""
        self._begun = ""
        self._process = os.getpid()

    def write(self, text: str) -> int:
        """Print whole lines; keep the beginning of a line until its end comes, or until ``flush``."""
        if os.getpid() != self._process:  # a worker of a DataLoader has a copy of this, but not the bar
            return self.stream.write(text)
        size = len(text)
        if self.amid:
            rest, newline, text = text.partition("\n")
            self.stream.write(rest + newline)
            self.amid = not newline
        whole, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            with self._bar.external_write_mode(file=self._terminal):
                self._terminal.flush()
                self.stream.write(whole + newline)
                self.stream.flush()
        return size

    def flush(self) -> None:
        """Print what has been kept: somebody waits for it, like a debugger's prompt."""
        if self._begun:
            if not self.amid:
                self._bar.clear()
                self._terminal.flush()
            self.stream.write(self._begun)
            self._begun, self.amid = "", True
        self.stream.flush()

    def finish(self) -> None:
        """End a line that has been begun."""
        if self._begun or self.amid:
            self.write("\n")

    def writelines(self, lines: Any) -> None:
        """Print several lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class NotebookLine:
    """An output of a cell that is updated in place; a notebook that is saved has the last line, as text."""

    ascii_only = False

    def __init__(self) -> None:
        self._handle: Any = None

    def width(self) -> int:
        """Columns that fit beside a notebook's margins."""
        return NOTEBOOK_COLUMNS

    def show(self, line: str) -> None:
        """Draw the line."""
        content = {"text/plain": line}
        if self._handle is not None:
            self._handle.update(content, raw=True)
            return
        display = importlib.import_module("IPython.display").display
        self._handle = display(content, raw=True, display_id=True)

    def close(self, text: str) -> None:
        """Leave the text."""
        self.show(text)


def _quiet_bar(stream: TextIO) -> Any:
    """A bar of tqdm that shows its description only, when told to, and is gone when closed."""
    from tqdm import tqdm

    class Line(tqdm):  # type: ignore[misc]
        monitor_interval = 0  # no thread: nothing is drawn but by show()

    # Sizes so large that tqdm cuts nothing off: the line fits already.
    return Line(bar_format="{desc}", file=stream, leave=False, ncols=10_000, nrows=100)


def _beneath(stream: Any) -> TextIO:
    return cast(TextIO, stream.stream if isinstance(stream, PrintAbove) else stream)


def _takes(stream: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
