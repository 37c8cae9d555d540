"""Workers: seeds, errors that name the sample, Ctrl-C, pinned memory."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, Subset, TensorDataset

import easyconv as ec
from easyconv.data.sources import workers
from easyconv.data.sources.workers import check_workers, file_of
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError, SampleError


class Drawing(Dataset):
    """Each sample is what the three generators draw."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor([np.random.rand(), random.random(), torch.rand(1).item()], dtype=torch.float64)


def passes(count, num_workers=2):
    loader = ec.data.loader(Drawing(), batch_size=1, num_workers=num_workers)
    return [torch.cat(list(loader)) for _ in range(count)]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_worker_and_every_pass_draws_its_own_numbers(num_workers):
    drawn = torch.cat(passes(3, num_workers))
    for column in drawn.T:
        assert len(column.unique()) == 24


def test_one_seed_gives_the_same_draws():
    torch.manual_seed(3)
    first = torch.cat(passes(2))
    torch.manual_seed(3)
    assert torch.equal(first, torch.cat(passes(2)))


def test_fit_with_a_seed_and_workers_is_the_same_twice():
    class Noisy(Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, index):
            return torch.rand(3) + np.float32(np.random.rand()), index % 2

    def weights():
        ec.set_seed(0)
        model = ec.Sequential([ec.layers.Dense(2)])
        model.compile()
        loader = ec.data.loader(Noisy(), batch_size=4, shuffle=True, num_workers=2)
        model.fit(loader, epochs=2, seed=5, verbose=0)
        return torch.cat([parameter.flatten() for parameter in model.parameters()])

    assert torch.equal(weights(), weights())


@pytest.mark.parametrize(
    ("cores", "accelerator", "workers_wanted"),
    [(1, False, 0), (2, False, 0), (2, True, 2), (4, False, 3), (64, True, 8)],
)
def test_auto(monkeypatch, cores, accelerator, workers_wanted):
    monkeypatch.setattr(workers, "usable_cores", lambda: cores)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator)
    monkeypatch.setattr(workers, "_CAN_FORK", True)
    assert check_workers("auto") == workers_wanted
    monkeypatch.setattr(workers, "_CAN_FORK", False)
    assert check_workers("auto") == 0


def test_memory_is_pinned_where_there_is_an_accelerator(monkeypatch):
    assert ec.data.loader(Drawing()).pin_memory == torch.accelerator.is_available()
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert ec.data.loader(Drawing(), num_workers=0).pin_memory


# --- errors -----------------------------------------------------------------------------------------------------------


class Files(Dataset):
    samples = tuple((f"cats/{row}.jpg", 0) for row in range(10))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if index == 7:
            raise OSError("image file is truncated (3 bytes not processed)")
        return torch.zeros(2), index % 2


WANTED = "Sample 7 ('cats/7.jpg') could not be read: OSError: image file is truncated (3 bytes not processed)."


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_failing_sample_is_named(num_workers):
    with pytest.raises(SampleError) as caught:
        list(ec.data.loader(Files(), batch_size=2, num_workers=num_workers))
    assert str(caught.value) == WANTED


@pytest.mark.parametrize("num_workers", [None, 0, 2])
def test_fit_names_it_too(num_workers):
    data = Files() if num_workers is None else ec.data.loader(Files(), batch_size=2, num_workers=num_workers)
    model = ec.Sequential([ec.layers.Dense(2)])
    model.compile()
    arguments = {"batch_size": 2, "shuffle": False} if num_workers is None else {}
    with pytest.raises(DataError) as caught:
        model.fit(data, verbose=0, **arguments)
    assert str(caught.value) == f"Batch 3: {WANTED}"


def test_samples_are_named_through_subsets_and_whole_batches():
    class Batched(Files):
        def __getitems__(self, indices):
            return [self[index] for index in indices]

    with pytest.raises(SampleError, match=r"Sample 1 \('cats/7.jpg'\)"):
        list(ec.data.loader(Subset(Batched(), [3, 7])))
    assert file_of(TensorDataset(torch.zeros(2)), 0) is None


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ec.data.loader(iter([])), ArgumentTypeError, "with __getitem__ and __len__, got list_iterator"),
        (lambda: ec.data.loader(Files(), 0), ArgumentError, "batch_size must be at least 1"),
        (
            lambda: ec.data.loader(Files(), num_workers="two"),
            ArgumentError,
            "'auto' or an integer from 0 on, got 'two'",
        ),
        (lambda: ec.data.loader(Files(), num_workers=-1), ArgumentError, "num_workers must be at least 0"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------

TRAINING = """
import time, torch, easyconv as ec
class Slow(torch.utils.data.Dataset):
    def __len__(self): return 10_000
    def __getitem__(self, index):
        time.sleep(0.01)
        return torch.zeros(3), index % 2
model = ec.Sequential([ec.layers.Dense(2)])
model.compile()
class Started(ec.callbacks.LambdaCallback):
    def on_train_batch_end(self, batch, logs=None): print("batch", batch, flush=True)
model.fit(ec.data.loader(Slow(), batch_size=4, num_workers=2), epochs=5, verbose=0, callbacks=[Started()])
"""


@pytest.mark.skipif(os.name != "posix", reason="signals to a group of processes")
def test_ctrl_c_ends_workers_and_all_at_once():
    run = subprocess.Popen(
        [sys.executable, "-c", TRAINING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert run.stdout.readline() == "batch 0\n"
    start = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)  # a terminal sends it to the workers too
    _, errors = run.communicate(timeout=30)
    assert time.monotonic() - start < 10
    assert run.returncode in (1, -signal.SIGINT)
    assert errors.rstrip().splitlines()[-1].startswith("KeyboardInterrupt")
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
