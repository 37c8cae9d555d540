"""What all tests share."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def ctrl_c_as_in_a_terminal() -> Iterator[None]:
    """A job that a shell starts in the background ignores Ctrl-C; tests of it need what a terminal gives."""
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, found)


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; where there is none the test is skipped."""
    root = os.environ.get("EASYCONV_DATA")
    if not root or not (Path(root) / "MNIST" / "raw").is_dir():
        pytest.skip("EASYCONV_DATA names no folder with MNIST/raw in it")
    return Path(root)
