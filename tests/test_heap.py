"""Memory that a run frees is kept until its end, and given back then."""

import json
import os
import platform
import subprocess
import sys
from contextlib import suppress

import pytest
import torch

import easyconv as ec
from easyconv import heap
from easyconv.heap import kept_heap

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap is kept on Linux with glibc only")

MMAP, TRIM = -3, -1

_TRAINING = """
import json, resource, time
import torch
import easyconv as ec

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

class Faults(ec.callbacks.Callback):
    def on_train_begin(self, logs=None):
        time.sleep(1.1)  # after short runs nothing is given back

    def on_train_batch_end(self, batch, logs=None):
        seen.append(faults())
        largest.append(resident())

seen, largest = [], []
torch.set_num_threads(1)
model = ec.Sequential([ec.layers.Conv2D(32, 3), ec.layers.Activation("relu"), ec.layers.Flatten(), ec.layers.Dense(2)])
model.compile("sgd", "cross_entropy")
x, y = torch.rand(384, 1, 64, 64), torch.randint(0, 2, (384,))
model.fit(x[:2], y[:2], verbose=0)  # sizes and whatever torch makes once
before = resident()
model.fit(x, y, batch_size=32, verbose=0, callbacks=Faults())
per_step = sorted(later - sooner for sooner, later in zip(seen, seen[1:]))
print(json.dumps({"faults": per_step[len(per_step) // 2], "grown": max(largest) - before, "left": resident() - before}))
"""


class Libc:
    """What is asked of a C library; before 2.35 it takes no threshold above 32 MiB."""

    def __init__(self, largest=1 << 40, trimming=0.0):
        self.calls = []
        self.largest = largest
        self.trimming = trimming

    def mallopt(self, parameter, value):
        accepted = parameter != MMAP or value <= self.largest
        if accepted:
            self.calls.append((parameter, value))
        return int(accepted)

    def malloc_trim(self, pad):
        self.calls.append("trim")
        self.now += self.trimming


@pytest.fixture
def libc(monkeypatch):
    def put(**kind):
        fake = Libc(**kind)
        fake.now = 100.0
        monkeypatch.setattr(heap, "_libc", lambda: fake)
        monkeypatch.setattr(heap, "_HEAP", heap._Heap())
        monkeypatch.setattr(heap.time, "perf_counter", lambda: fake.now)
        return fake

    return put


KEPT = [(MMAP, 1 << 30), (TRIM, -1)]
USUAL = [(MMAP, 32 << 20), (TRIM, 64 << 20)]


def trained(**environment):
    clean = {name: value for name, value in os.environ.items() if "_threshold" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-c", _TRAINING], env=clean | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@glibc
def test_a_step_asks_the_system_for_no_memory_and_all_is_given_back():
    found = trained(PRICE_THRESHOLD="3")  # of another program's
    assert found["faults"] < 200
    assert found["grown"] > 30
    assert found["left"] < found["grown"] / 2 + 10


@glibc
def test_thresholds_of_the_users_are_left_alone():
    # So set, glibc maps every larger block anew: each map of 15 MB is thousands of pages.
    assert trained(MALLOC_MMAP_THRESHOLD_="131072")["faults"] > 2000
    assert trained(GLIBC_TUNABLES="glibc.malloc.mmap_threshold=131072")["faults"] > 2000


def test_set_at_the_begin_and_at_the_end(libc):
    fake = libc()
    with kept_heap():
        assert fake.calls == KEPT
    assert fake.calls == KEPT + USUAL


def test_the_last_of_several_gives_back(libc):
    fake = libc()
    first, second = kept_heap(), kept_heap()
    first.__enter__()
    second.__enter__()
    fake.now += 1.5
    first.__exit__(None, None, None)  # two threads need not end in order
    assert fake.calls == KEPT
    second.__exit__(None, None, None)
    assert fake.calls == [*KEPT, *USUAL, "trim"]


def test_an_error_gives_back_too(libc):
    fake = libc()
    with suppress(KeyError), kept_heap():
        fake.now += 1.5
        raise KeyError
    assert fake.calls == [*KEPT, *USUAL, "trim"]


def test_giving_back_takes_a_small_share_of_the_time(libc):
    fake = libc(trimming=0.1)
    for seconds, trims in ((0.9, 0), (1.1, 1), (19.9, 1), (20.1, 2), (1.1, 2)):
        with kept_heap():
            fake.now += seconds
        assert fake.calls.count("trim") == trims, seconds


def test_older_libraries(libc):
    fake = libc(largest=32 << 20)
    with kept_heap():
        assert fake.calls == [(MMAP, 32 << 20), (TRIM, -1)]
    assert fake.calls[2:] == USUAL


@pytest.mark.parametrize("rows", [1, 33])
def test_one_batch_changes_no_setting(libc, rows):
    fake = libc()
    model = ec.Model(torch.nn.Linear(3, 2))
    model.compile("sgd", metrics=["accuracy"])
    x, y = torch.rand(rows, 3), torch.zeros(rows, dtype=torch.long)
    model.predict(x, verbose=0, batch_size=32)
    model.evaluate(x, y, verbose=0, batch_size=32)
    assert fake.calls == ([] if rows == 1 else [*KEPT, *USUAL] * 2)


def test_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert heap._libc.__wrapped__() is None
    with kept_heap():
        pass
