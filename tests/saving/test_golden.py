"""Models of every release load for ever, and answer what they answered then; its runs go on."""

import shutil
import sys
from pathlib import Path

import pytest
import torch

import easyconv as ec
from easyconv.files import read_state

GOLDEN = Path(__file__).parent.parent / "golden"
RUNS = [path for path in sorted(GOLDEN.glob("run-*.safetensors")) if ".expected" not in path.name]
FILES = [path for path in sorted(GOLDEN.glob("model-*.safetensors")) if ".expected" not in path.name]
sys.path.insert(0, str(GOLDEN))
from make import RUN, answers, run  # noqa: E402


def test_this_release_has_one():
    assert f"model-{ec.__version__}.safetensors" in [path.name for path in FILES]
    assert f"run-{ec.__version__}.safetensors" in [path.name for path in RUNS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_answers_what_it_answered(path):
    expected = read_state(path.with_suffix(".expected.safetensors"), kind="golden").content
    # Kernels of other machines and versions add in another order.
    close(answers(ec.load(path)), expected)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_it_goes_on(path, tmp_path):
    expected = read_state(path.with_suffix(".expected.safetensors"), kind="golden").content
    shutil.copy(path, tmp_path / RUN)
    close(run(tmp_path), expected)


def close(found, expected, place="answers"):
    if isinstance(expected, dict):
        assert list(found) == list(expected), place
        for key in expected:
            close(found[key], expected[key], f"{place}.{key}")
    elif isinstance(expected, torch.Tensor):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    elif isinstance(expected, list) and isinstance(expected[0], float):
        assert found == pytest.approx(expected, rel=1e-3), place
    else:
        assert found == (pytest.approx(expected, rel=1e-3) if isinstance(expected, float) else expected), place
