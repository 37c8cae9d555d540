"""A terminal of a test's own: a pseudo-terminal, and a screen that follows the few control characters in use."""

import io
import os
import pty
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TOKEN = re.compile(r"\x1b\[A|\r|\n|[^\r\n\x1b]+")


class Screen:
    """What a terminal would show.

    Parameters
    ----------
    columns : int
        A character beyond the last column goes to the next line, and ``wrapped`` tells that this has happened.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[str] = [""]
        self.row = self.column = 0
        self.wrapped = False

    def feed(self, text: str) -> None:
        rest = TOKEN.sub(lambda match: self._take(match.group()) or "", text)
        assert not rest, f"control characters that no terminal needs here: {rest!r}"

    def _take(self, token: str) -> None:
        if token == "\r":
            self.column = 0
        elif token == "\n":
            self._down()
        elif token == "\x1b[A":
            self.row -= 1
        else:
            for character in token:
                self._put(character)

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    def _put(self, character: str) -> None:
        if self.column == self.columns:
            self.wrapped = True
            self.column = 0
            self._down()
        line = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = line[: self.column] + character + line[self.column + 1 :]
        self.column += 1

    @property
    def lines(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]


class Terminal:
    """Both ends of a pseudo-terminal: ``stream`` to write to, ``text()`` to see what has come."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._master, slave = pty.openpty()
        self.stream = io.TextIOWrapper(os.fdopen(slave, "wb", 0), encoding=encoding, newline="", write_through=True)
        self._chunks: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:
                return
            if not chunk:
                return
            self._chunks.append(chunk)

    def close(self) -> str:
        self.stream.close()
        self._reader.join(5)
        os.close(self._master)
        # The line discipline turns \n into \r\n.
        return b"".join(self._chunks).decode(self.stream.encoding).replace("\r\n", "\n\r")


@contextmanager
def watched(monkeypatch, columns: int, encoding: str = "utf-8") -> Iterator[Screen]:
    """Run the block in a terminal of so many columns; afterwards the screen has what it shows."""
    terminal, screen = Terminal(encoding), Screen(columns)
    with monkeypatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setattr("sys.stdout", terminal.stream)
        patch.setattr("sys.stderr", terminal.stream)
        yield screen
    screen.feed(terminal.close())
