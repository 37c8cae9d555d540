"""What README and docs show is run, in their own order."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

import easyconv as ec

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text())


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the pages take for granted."""
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        file = tmp_path / "pictures" / ["cat", "dog"][number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 60), (20 * number, 90, 60)).save(file)
    Image.new("RGB", (300, 250), "green").save(tmp_path / "photo.jpg")
    ec.set_seed(0)
    images, labels = torch.rand(64, 1, 28, 28), torch.arange(64) % 10
    dataset = TensorDataset(images, labels)
    model = ec.Sequential([("features", ec.ConvBlock(4, pool=4)), ec.layers.Flatten(), ec.layers.Dense(10)])
    return {
        "ec": ec,
        "torch": torch,
        "np": np,
        "model": model.build((1, 28, 28)),
        "layer": ec.layers.Dense(10),
        "main": ec.ConvBlock(4),
        "branch1": ec.ConvBlock(4),
        "branch2": ec.ConvBlock(4),
        "images": images,
        "labels": labels,
        "dataset": dataset,
        "train_images": images,
        "train_labels": labels,
        "test_images": images,
        "test_labels": labels,
        "train_loader": DataLoader(dataset, batch_size=16, shuffle=True),
        "test_loader": DataLoader(dataset, batch_size=16),
    }


@pytest.mark.filterwarnings("ignore:compile\\(\\) starts the optimizer afresh")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_code_on_the_page_runs(page, names):
    for block in blocks(page):
        given = dict(names)
        exec(compile(block, str(page), "exec"), names)
        if page.name == "building.md":  # each block stands by itself there
            names = {**names, "model": given["model"]}


def test_every_link_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_what_the_architecture_page_names_exists():
    page = (ROOT / "docs" / "architecture.md").read_text()
    for named in re.findall(r"`((?:easyconv|tests|docs)/[\w/.]+)`", page):
        assert (ROOT / named).exists(), f"architecture.md names {named}, which is not there"
    for named in re.findall(
        r"`((?:layers|data|losses|metrics|optim|training|callbacks|model|visualize)/[\w/.]*)`", page
    ):
        assert (ROOT / "easyconv" / named).exists(), f"architecture.md names {named}, which is not there"


def test_ten_lines_from_import_to_an_evaluated_model():
    first = blocks(ROOT / "README.md")[0]
    statements = [line for line in first.splitlines() if line.strip()]
    assert len(statements) <= 10
    assert "evaluate" in statements[-1]
