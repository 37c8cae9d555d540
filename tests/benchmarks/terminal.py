"""A terminal that nobody looks at, for progress bars that draw only on one."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

__all__ = ["terminal"]


@contextlib.contextmanager
def terminal() -> Iterator[None]:
    """Standard output is a pseudo-terminal in this block; what is written there is read and dropped."""
    if sys.platform == "win32":
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
        return
    master, slave = os.openpty()

    def drain() -> None:
        with contextlib.suppress(OSError):
            while os.read(master, 65536):
                pass

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    try:
        with os.fdopen(slave, "w") as file, contextlib.redirect_stdout(file):
            yield
    finally:
        reader.join(timeout=1)
        os.close(master)
