"""``fit(resume=...)``: a training that is killed and started again ends with the bits of one that was not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kill_training import EPOCHS, ROWS, STEPS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL and no fork")
HARNESS = Path(__file__).with_name("kill_training.py")
Train = Callable[..., dict[str, Any]]

FIRST, MIDDLE, LAST = ["step", 1, 0, "KILL"], ["step", 1, 2, "KILL"], ["step", 1, STEPS - 1, "KILL"]
VALIDATION, SAVE = ["validation", 1, 0, "KILL"], ["save", 5]
CASES = [  # every pair of: where, workers, augmented, extras
    (FIRST, [0], False, False),
    (FIRST, [2], True, True),
    (FIRST, [2, 0], True, False),
    (MIDDLE, [0], True, True),
    (MIDDLE, [2], False, False),
    (MIDDLE, [2, 0], False, True),
    (LAST, [0], True, False),
    (LAST, [2], False, True),
    (LAST, [2, 0], True, True),
    (VALIDATION, [0], False, True),
    (VALIDATION, [2], True, False),
    (VALIDATION, [2, 0], False, False),
    (SAVE, [0], True, True),
    (SAVE, [2], False, False),
    (SAVE, [2, 0], True, False),
]


@pytest.fixture(scope="module")
def server() -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(HARNESS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def train(server: "subprocess.Popen[str]") -> Train:
    def run(folder: Path, **case: Any) -> dict[str, Any]:
        server.stdin.write(json.dumps({"folder": str(folder), **case}) + "\n")  # type: ignore[union-attr]
        server.stdin.flush()  # type: ignore[union-attr]
        codes = json.loads(server.stdout.readline())  # type: ignore[union-attr]
        error = folder / "error.txt"
        assert codes[-1] == 0, error.read_text() if error.exists() else codes
        return {"codes": codes, **json.loads((folder / "result.json").read_text())}

    return run


@pytest.fixture(scope="module")
def undisturbed(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}

    def run(**case: Any) -> dict[str, Any]:
        key = json.dumps(case, sort_keys=True)
        if key not in known:
            known[key] = train(tmp_path_factory.mktemp("whole"), workers=[0], **case)
        return known[key]

    return run


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name] == other[name] for name in ("digest", "epochs", "best"))


def surviving_rows(folder: Path) -> dict[int, list[int]]:
    """Step to the rows that it was trained on when it was done for the last time."""
    lines = (folder / "rows.jsonl").read_text().splitlines()
    return dict(json.loads(line) for line in lines if line.endswith("]]"))


def check_every_row_once(folder: Path) -> None:
    steps = surviving_rows(folder)
    assert sorted(steps) == list(range(EPOCHS * STEPS))
    for epoch in range(EPOCHS):
        rows = [row for step in range(epoch * STEPS, (epoch + 1) * STEPS) for row in steps[step]]
        assert sorted(rows) == list(range(ROWS))


@pytest.mark.parametrize(("stop", "workers", "augmented", "extras"), CASES)
def test_the_same_bits_after_a_kill(
    train: Train, undisturbed: Train, tmp_path: Path, stop: Any, workers: Any, augmented: bool, extras: bool
) -> None:
    whole = undisturbed(augmented=augmented, extras=extras)
    found = train(tmp_path, workers=workers, augmented=augmented, extras=extras, stops=[stop])
    assert found["codes"] == [-9, 0]
    assert same(found, whole)
    check_every_row_once(tmp_path)


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("INT", 130)])
@pytest.mark.parametrize("event", [["step", 1, 2], ["validation", 1, 0], ["begin", 2, 0], ["epoch", 0, 0]])
def test_a_signal_loses_no_step(
    train: Train, undisturbed: Train, tmp_path: Path, name: str, code: int, event: Any
) -> None:
    whole = undisturbed(augmented=True, extras=True)
    stops = [[*event, name]]
    found = train(tmp_path, workers=[0], augmented=True, extras=True, stops=stops, every_steps=None)
    assert found["codes"] == [code, 0]
    assert same(found, whole)
    trained = [json.loads(line)[0] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert trained == list(range(EPOCHS * STEPS))  # none twice: nothing was lost


def test_five_kills_in_one_epoch(train: Train, undisturbed: Train, tmp_path: Path) -> None:
    stops = [["step", 1, batch, "KILL"] for batch in (0, 1, 2, 3, 4)]
    found = train(tmp_path, workers=[2, 0, 2], augmented=True, stops=stops, every_steps=1)
    assert found["codes"] == [-9] * 5 + [0]
    assert same(found, undisturbed(augmented=True, extras=False))
    check_every_row_once(tmp_path)
