"""The benchmarks' page says what the JSON file has, and what is measured for it is there to be measured."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.breakdown import goals_reached, where_the_time_goes
from benchmarks.contestants import easyconv as contestant
from benchmarks.fit_cost import around_the_batch, new_model
from benchmarks.goals import PROFILED, RATIOS, Goal, goals
from benchmarks.nets import make_net
from benchmarks.passes import PASSES, timed
from benchmarks.report import page
from benchmarks.workloads import WORKLOADS, Task
from torch.utils.data import TensorDataset

DOCS = Path(__file__).parents[1] / "docs"


def workload(base: str = "tutorial", **ratios: list[float]) -> dict[str, Any]:
    """A section whose base takes two seconds in every round."""
    seconds = {base: [2.0] * 3, **{name.replace("_", "-"): [2 * one for one in some] for name, some in ratios.items()}}
    contestants = {name: {"check": None, "seconds": values} for name, values in seconds.items()}
    shape = {"base": base, "verb": "train", "rows": 128, "steps": 2, "batch_size": 64, "rounds": 3, "failed": {}}
    return {"title": "a net", **shape, "contestants": contestants}


def step(bound: str = "memory", reached: float = 0.25, **milliseconds: float) -> dict[str, Any]:
    seconds = {"transfer": 0.0, **{name: value / 1e3 for name, value in milliseconds.items()}}
    return {"seconds": seconds, "roofline": {"bound": bound, "reached": reached}}


STEP = {"data": 1.0, "forward": 3.0, "loss": 1.0, "backward": 4.0, "optimizer": 1.5, "framework": -0.5}
RESULTS: dict[str, Any] = {
    "about": {
        "versions": {"Python": "3.11"},
        "quick": False,
        "remark": "",
        "processor": "A processor",
        "cores": 2,
        "threads": 2,
        "system": "Linux",
        "data": {"mnist": "MNIST"},
    },
    "minutes": {"W0": 1.0},
    "left_out": {},
    "workloads": {
        "W0": workload(easyconv=[0.49, 0.501, 0.7]),
        "W1": workload(easyconv=[0.9, 0.8004, 0.7], easyconv_bf16=[0.3, 0.5, 0.4], keras=[2.0, 2.0, 2.0]),
    },
    "imports": {
        "rounds": 2,
        "modules": {
            "torch": {"seconds": [1.0, 1.1], "peak_mb": [700.0, 701.0]},
            "easyconv": {"seconds": [1.05, 1.19], "peak_mb": [712.0, 711.0]},
        },
    },
    "memory": {
        "title": "peak memory",
        "rows": 100,
        "rounds": 1,
        "contestants": {
            "tuned": {"peak_mb": [1000.0], "growth_mb": [1.0]},
            "easyconv": {"peak_mb": [1050.0], "growth_mb": [2.0]},
        },
    },
    "fit-cost": {
        "rounds": 1,
        "per_step": {"metrics": {"0": [1.0]}},
        "start_up": {
            "perceptron": {"new": [4.0, 4.2], "again": [1.0, 1.0]},
            "resnet18": {"new": [9.0], "again": [1.0]},
        },
    },
    "profile": {
        "rounds": 3,
        "steps": [
            {
                "workload": "W0",
                "contestant": "easyconv",
                "rounds": [
                    step(**STEP),
                    step(reached=0.3, **STEP),
                    step("arithmetic", 0.9, **{**STEP, "forward": 1.0}),
                ],
            },
            {"workload": "W3", "contestant": "easyconv-bf16", "rounds": [step(**STEP)]},
        ],
        "failed": {"easyconv-cache": "W2: out of memory"},
        "passes": {"resnet18": {"dry run": [2.0, 3.0, 4.0], "check": [5.0, 5.0, 5.0], "all": [9.0, 10.0, 11.0]}},
    },
}

GOALS = """\
## Goals

Set before anything was measured. Reached is what has a median within the limit.

| goal | at most | seen: median [min max] | reached |
|---|---|---|---|
| W0: a net; easyconv, ratio to the tutorial loop | 0.50 | 0.501 [0.490 0.700] | **no** |
| W1: a net; easyconv, ratio to the tutorial loop | 0.80 | 0.800 [0.700 0.900] | yes |
| W1: a net; easyconv, bf16, ratio to the tutorial loop | 0.55 | 0.400 [0.300 0.500] | yes |
| `import easyconv`, beyond `import torch` | 0.1 s | 0.070 [0.050 0.090] s | yes |
| `import easyconv`, memory beyond `import torch` | 10 MB | 11.0 [10.0 12.0] MB | **no** |
| start and end of `fit`, a new perceptron | 5 ms | 4.1 [4.0 4.2] ms | yes |
| start and end of `fit`, a new resnet18 | 5 ms | 9.0 [9.0 9.0] ms | **no** |
| peak memory of `fit`, beyond the tuned loop | 50 MB | 50 [50 50] MB | yes |"""

STEPS = """\
| | ms per batch | data | forward | loss | backward | optimizer | framework | forward and backward | bound by | at most | seen | reached |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
| W0, easyconv | 10.00 | 10% | 30% | 10% | 40% | 15% | -5% | 70% | memory, 28% | 0.50 | 0.501 [0.490 0.700] | **no** |
| W3, easyconv, bf16 | 10.00 | 10% | 30% | 10% | 40% | 15% | -5% | 70% | memory, 25% | – | – | – |
"""  # noqa: E501, RUF001 - as the page has it

PASSES_TABLE = """\
| | dry run | check | all else | together |
|---|---|---|---|---|
| resnet18 | 3.0 [2.0 4.0] | 5.0 [5.0 5.0] | 2.0 [2.0 2.0] | 10.0 [9.0 11.0] |"""


def test_goals_beside_what_was_seen() -> None:
    assert goals_reached(RESULTS) == GOALS


def test_the_verdict_is_about_the_figure_that_is_shown() -> None:
    assert Goal("", 0.22, [0.2204], digits=3).reached
    assert not Goal("", 0.22, [0.2206], digits=3).reached
    assert not Goal("", 5, [5.06, 5.06], "ms", digits=1).reached


def test_where_the_time_goes() -> None:
    text = where_the_time_goes(RESULTS)
    assert text.startswith("## Where the time goes\n")
    assert "medians of 3 rounds." in text
    assert STEPS in text
    assert text.endswith(PASSES_TABLE)
    once = {**RESULTS, "profile": {**RESULTS["profile"], "rounds": 1}}
    assert "medians of 1 round." in where_the_time_goes(once)


def test_the_page_has_what_was_measured_and_nothing_else() -> None:
    whole = page(RESULTS)
    assert GOALS in whole
    assert where_the_time_goes(RESULTS) in whole
    assert whole.endswith("## Left out\n\n- easyconv, ec.data.cache in profile: W2: out of memory.\n")
    bare = page({**{key: RESULTS[key] for key in ("about", "minutes", "left_out")}, "workloads": {}})
    assert "## " not in bare
    baseless = {"workloads": {"W0": workload("tuned", easyconv=[0.4]) | {"base": "tutorial"}}}
    assert goals(baseless) == []


def test_the_page_of_the_docs_is_that_of_its_figures() -> None:
    results = json.loads((DOCS / "benchmarks.json").read_text())
    assert (DOCS / "benchmarks.md").read_text() == page(results)


def test_every_workload_with_a_goal_is_one_and_those_that_train_are_profiled() -> None:
    assert {key for key, _ in RATIOS} <= set(WORKLOADS)
    assert {key for key, _ in PROFILED} == {"W0", "W0-loader", "W1", "W2", "W3", "W4"}


def test_the_passes_before_the_first_step_are_timed_where_they_are() -> None:
    """They are functions of easyconv's own rooms, which may get other names."""
    model, x = new_model("course_cnn")
    seconds: dict[str, float] = {}
    with timed(seconds):
        whole = around_the_batch(model, x)
    assert set(seconds) == set(PASSES)
    assert 0 < 1e3 * sum(seconds.values()) < whole


@pytest.mark.parametrize("as_loader", [False, True])
def test_a_step_of_the_contestant_is_profiled(as_loader: bool) -> None:
    dataset = TensorDataset(torch.rand(256, 784), torch.arange(256) % 10)
    task = Task(lambda: make_net("perceptron"), dataset, 64, True, 0, as_loader)
    found = json.loads(json.dumps(contestant.profile(task, 2)))
    assert set(found["seconds"]) == {*STEP, "transfer"}
    assert found["roofline"]["bound"] in ("memory", "arithmetic")
