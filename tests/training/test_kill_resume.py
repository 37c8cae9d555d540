"""``fit(resume=...)``: a training that is killed and started again ends with the bits of one that was not."""

import itertools
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
        ends = json.loads(server.stdout.readline())  # type: ignore[union-attr]
        codes, error = [end["code"] for end in ends], folder / "error.txt"
        assert codes[-1] == 0, error.read_text() if error.exists() else codes
        return {"codes": codes, "ends": ends, **json.loads((folder / "result.json").read_text())}

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


def check_every_row_once(folder: Path, epochs: int = EPOCHS, rows: int = ROWS, steps: int = STEPS) -> None:
    trained = surviving_rows(folder)
    assert sorted(trained) == list(range(epochs * steps))
    for epoch in range(epochs):
        found = [row for step in range(epoch * steps, (epoch + 1) * steps) for row in trained[step]]
        assert sorted(found) == list(range(rows))


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


KINDS = list(itertools.product([[0], [2], [2, 0]], [False, True], [False, True]))
"""Workers, augmented, extras."""


@pytest.mark.torture
@pytest.mark.parametrize(("workers", "augmented", "extras"), KINDS)
@pytest.mark.parametrize("stop", [FIRST, MIDDLE, LAST, VALIDATION, SAVE])
def test_every_combination(
    train: Train, undisturbed: Train, tmp_path: Path, stop: Any, workers: Any, augmented: bool, extras: bool
) -> None:
    found = train(tmp_path, workers=workers, augmented=augmented, extras=extras, stops=[stop])
    assert found["codes"] == [-9, 0]
    assert same(found, undisturbed(augmented=augmented, extras=extras))
    check_every_row_once(tmp_path)


MOST_TRAININGS = 10
"""As many trainings for each kill that is asked for; four in five are hit."""


def trained_at_random(train: Train, whole: dict[str, Any], folder: Path, kills: int, **case: Any) -> list[Any]:
    """Ends of processes that were killed, at random moments, in so many trainings that they are ``kills`` or more."""
    killed: list[Any] = []
    here = train(folder / "undisturbed", **{**case, "chance": None})
    assert same(here, whole)
    how = {"longest": 1.2 * here["ends"][0]["seconds"], **case.pop("chance")}
    for number in range(MOST_TRAININGS * kills):
        run = folder / str(number)
        found = train(run, chance={"seed": number, **how}, **case)
        assert same(found, whole), f"training {number}, ends: {found['ends']}"
        check_every_row_once(run, case["epochs"])
        killed += found["ends"][:-1]
        if len(killed) >= kills:
            return killed
    raise AssertionError(f"Only {len(killed)} of {MOST_TRAININGS * kills} trainings were hit by {how}.")


@pytest.mark.torture
@pytest.mark.parametrize(("workers", "augmented", "extras"), KINDS)
@pytest.mark.parametrize("group", [False, True], ids=["process", "with its workers"])
def test_kills_at_random_moments(
    train: Train, undisturbed: Train, tmp_path: Path, workers: Any, augmented: bool, extras: bool, group: bool
) -> None:
    """From outside: in imports, in the first look at the data, in steps, in saves, in the last callbacks."""
    kind = {"augmented": augmented, "extras": extras, "epochs": 6}
    whole = undisturbed(**kind)
    chance = {"group": group}
    killed = trained_at_random(train, whole, tmp_path, 20, workers=workers, chance=chance, **kind)
    assert {end["code"] for end in killed} == {-9}
    report("SIGKILL", workers, killed)


@pytest.mark.torture
@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("INT", 130)])
@pytest.mark.parametrize("group", [False, True], ids=["process", "with its workers"])
@pytest.mark.parametrize("workers", [[0], [2]])
def test_signals_at_random_moments(
    train: Train, undisturbed: Train, tmp_path: Path, name: str, code: int, group: bool, workers: Any
) -> None:
    kind = {"augmented": True, "extras": True, "epochs": 6}
    whole = undisturbed(**kind)
    chance = {"signal": name, "group": group}
    killed = trained_at_random(train, whole, tmp_path, 20, workers=workers, every_steps=None, chance=chance, **kind)
    before_and_after = {"TERM": -15, "INT": 130}[name]  # where no fit is at work, the system ends the program
    assert {end["code"] for end in killed} <= {code, before_and_after}
    report(f"SIG{name}", workers, killed)
    if group and workers != [0]:
        return  # torch raises within a step when a worker is ended from outside: that step is done again
    for run in tmp_path.glob("[0-9]*"):
        trained = [json.loads(line)[0] for line in (run / "rows.jsonl").read_text().splitlines()]
        assert trained == list(range(6 * STEPS))  # none twice: nothing was lost


def report(name: str, workers: Any, killed: list[Any]) -> None:
    """What the page of reliability tells of ``make torture``."""
    steps = sum(end["steps"] > 0 for end in killed)
    torn = sum(end["torn"] for end in killed)
    print(f"\n{name}, workers {workers}: {len(killed)} ends, {steps} after a step or more, {torn} within a save")


@pytest.mark.torture
@pytest.mark.parametrize("workers", [[0], [2], [2, 0]])
@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("every_steps", [None, 7])
@pytest.mark.parametrize("step", [45, 75, 101, 128, 150])
def test_as_others_were_measured(
    train: Train, undisturbed: Train, tmp_path: Path, step: int, every_steps: Any, augmented: bool, workers: Any
) -> None:
    """The training with which the page of reliability compares libraries."""
    kind = {"rows": 640, "batch": 16, "epochs": 4, "decay": 0.8, "augmented": augmented}
    stop = ["step", (step - 1) // 40, (step - 1) % 40, "KILL"]
    found = train(tmp_path, workers=workers, every_steps=every_steps, stops=[stop], **kind)
    assert found["codes"] == [-9, 0]
    assert same(found, undisturbed(**kind))
    check_every_row_once(tmp_path, 4, 640, 40)
