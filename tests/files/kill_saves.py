"""Kills processes while they save, and looks at what they left; ``test_kills.py`` runs it.

One process imports torch and forks, for each kill, one that does nothing but save. What is printed is JSON: how often
the kill hit a save (a temporary file was left), and what was wrong afterwards.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from easyconv.files import CheckpointFolder


def content(step, size):
    """A checkpoint in which every part says of which step it is."""
    return {
        "step": step,
        "weights": torch.full((size // 8,), float(step)),
        "moments": [torch.full((size // 8,), step * 2.0)],
    }


def save_for_ever(path, size, report, naive):
    with CheckpointFolder(path) as folder:
        found = None if naive else folder.load()
        step = 0 if found is None else found.step
        while True:
            step += 1
            if naive:
                torch.save(content(step, size), Path(path) / "naive.pt")
            else:
                folder.save(content(step, size), step=step)
            os.write(report, step.to_bytes(8, "little"))  # from now on it must never be lost


def one_kill(path, size, naive, draw):
    """Number of the last save that had ended when the process was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            save_for_ever(path, size, writing, naive)
        finally:
            os._exit(1)  # unless it is killed
    os.close(writing)
    last = int.from_bytes(os.read(reading, 8), "little")
    time.sleep(draw.random() * 0.15)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the process that saves has ended by itself: {status}"
    while more := os.read(reading, 8):
        last = int.from_bytes(more, "little")
    os.close(reading)
    return last


def fault(path, last):
    """What is wrong with what the killed process has left, or nothing."""
    with CheckpointFolder(path) as folder:
        if any(entry.suffix == ".tmp" for entry in folder.path.iterdir()):
            return "a temporary file was not swept"
        found = folder.load()
    if found is None or found.step < last:
        return f"step {last} was saved, and {found and found.step} is what is there"
    parts = found.content
    whole = (
        parts["step"] == found.step
        and bool((parts["weights"] == found.step).all())
        and bool((parts["moments"][0] == 2 * found.step).all())
    )
    return None if whole else f"step {found.step} is a mixture"


def naive_fault(path):
    """The same for ``torch.save`` over the old file: this is what the harness must be able to see."""
    try:
        torch.load(path / "naive.pt", weights_only=True)
    except Exception as error:
        return type(error).__name__
    return None


def main(path, kills, size, naive=""):
    torch.set_num_threads(1)
    draw = random.Random(0)
    hits, faults = 0, []
    for _ in range(int(kills)):
        last = one_kill(path, int(size), naive, draw)
        hits += any(entry.suffix == ".tmp" for entry in Path(path).iterdir())
        wrong = naive_fault(Path(path)) if naive else fault(path, last)
        faults += [wrong] if wrong else []
    print(json.dumps({"hits": hits, "faults": faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
