"""SIGKILL while checkpoints are saved: the newest can always be loaded, and what was saved is never lost."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
HARNESS = Path(__file__).with_name("kill_saves.py")
MEMORY = Path("/dev/shm")
PLACES = ["folder", "memory"]


@pytest.fixture
def place(request, tmp_path):
    """A folder on the file system of temporary files, or on another one."""
    if request.param == "folder":
        yield tmp_path
        return
    if not os.access(MEMORY, os.W_OK) or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system in /dev/shm")
    other = Path(tempfile.mkdtemp(dir=MEMORY))
    yield other
    shutil.rmtree(other)


def kill(place, kills, size, *more):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HARNESS), str(place), str(kills), str(size), *more]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_thirty_kills(place):
    found = kill(place, 30, 4_000_000)
    assert found["faults"] == []
    assert found["hits"] >= 5  # or nothing was tried


@pytest.mark.torture
@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_two_hundred_kills_of_twenty_megabytes(place):
    found = kill(place, 200, 20_000_000)
    print(found)
    assert found["faults"] == []
    assert found["hits"] >= 50


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_the_harness_sees_what_is_lost(place):
    assert len(kill(place, 10, 20_000_000, "naive")["faults"]) >= 3
