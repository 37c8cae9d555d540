"""describe(): planted faults are found, and nothing else."""

import numpy as np
import PIL.Image
import pytest
import torch

import easyconv as ec
from easyconv.data.datasets import describing
from easyconv.data.datasets.describing import Place
from easyconv.errors import ArgumentTypeError

IMAGES = torch.randint(60, 200, (30, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(30) % 3


def planted():
    images, labels, test = IMAGES.clone(), LABELS.clone(), IMAGES.flip(0)[:6].flip(3).clone()
    images[4] = images[1]  # the same class: 1 and 1
    images[5] = images[0]  # 0 and 2: a contradiction
    test[2] = images[10]  # a leak
    images[20] = 77
    images[21], images[22] = images[21] // 10, 255 - images[22] // 10
    return ec.data.from_arrays((images, labels), test=(test, LABELS[:6]), class_names=["a", "b", "c"])


def test_nothing_is_found_where_nothing_is():
    found = ec.data.describe(ec.data.from_arrays((IMAGES, LABELS), class_names=["a", "b", "c"]))
    assert found.counts == {"train": {"a": 10, "b": 10, "c": 10}}
    assert (found.duplicates, found.leaks, found.contradictions, found.suspects, found.sizes) == ([], [], [], [], None)
    assert found.balance == 1.0


def test_planted_faults_are_found():
    found = ec.data.describe(planted())
    rows = [[(place.part, place.row) for place in group] for group in found.duplicates]
    assert sorted(rows) == [[("train", 0), ("train", 5)], [("train", 1), ("train", 4)], [("train", 10), ("test", 2)]]
    assert found.leaks == [[Place("train", 10), Place("test", 2)]]
    # The leak's labels differ too: 10 % 3 is 1, and the test picture's is 2.
    assert [group[0].row for group in found.contradictions] == [0, 10]
    assert [(suspect.place.row, suspect.reason) for suspect in found.suspects] == [
        (20, "all of one colour"),
        (21, "nearly black"),
        (22, "nearly white"),
    ]


def test_the_table_can_be_read():
    text = repr(ec.data.describe(planted()))
    assert "train        test" in text
    assert "total          30           6" in text
    assert "train[10] = test[2]" in text
    assert "train[20]: all of one colour" in text


def test_imbalance_many_classes_and_targets_that_are_no_classes():
    lopsided = ec.data.describe(ec.data.from_arrays((IMAGES[:4], [0, 0, 0, 1])))
    assert lopsided.balance == 3.0
    assert ec.data.describe(ec.data.from_arrays((IMAGES[:4], [0, 0, 2, 2]))).balance == float("inf")
    many = ec.data.describe(ec.data.from_arrays((IMAGES, torch.arange(30))))
    assert "... and 20 more classes" in repr(many)
    assert ec.data.describe(ec.data.from_arrays((IMAGES, torch.rand(30)))).counts == {"train": {"all": 30}}


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_files(tmp_path, cache):
    (tmp_path / "a").mkdir()
    rng = np.random.default_rng(0)
    for number, size in enumerate([(10, 20), (30, 40), (50, 60), (8, 90), (1, 1)]):
        PIL.Image.fromarray(rng.integers(60, 200, (*size, 3), dtype=np.uint8)).save(tmp_path / "a" / f"{number}.png")
    data = ec.data.image_folder(tmp_path, size=8, cache=cache, num_workers=0)
    found = ec.data.describe(data)
    assert found.sizes.height == (1, 10, 50)
    assert found.sizes.width == (1, 40, 90)
    reasons = {suspect.place.file[-5:]: suspect.reason for suspect in found.suspects if "pixels" in suspect.reason}
    assert reasons == {"3.png": "very long: 90 x 8 pixels", "4.png": "1 x 1 pixels"}
    assert "files: width 1 to 90 (median 40), height 1 to 50 (median 10)" in repr(found)


def test_equal_files_of_other_names_and_a_file_that_is_gone(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(3):
                pixels = rng.integers(60, 200, (9, 9, 3), dtype=np.uint8)
                PIL.Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    copy = PIL.Image.open(tmp_path / "train" / "a" / "1.png")
    copy.save(tmp_path / "test" / "b" / "1.tiff")  # other bytes, the same pixels
    data = ec.data.image_folder(tmp_path, size=8)
    (tmp_path / "train" / "b" / "2.png").unlink()
    found = ec.data.describe(data)
    names = [[place.file.removeprefix(str(tmp_path)) for place in group] for group in found.leaks]
    assert names == [["/train/a/1.png", "/test/b/1.tiff"]]
    assert found.duplicates == found.contradictions == found.leaks
    assert [(suspect.place.row, suspect.reason) for suspect in found.suspects] == [
        (5, "the file cannot be read any more")
    ]


@pytest.mark.parametrize("at_a_time", [1, 200, 10**9])
def test_chunks_do_not_matter(monkeypatch, at_a_time):
    whole = ec.data.describe(planted())
    monkeypatch.setattr(describing, "_AT_A_TIME", at_a_time)
    assert ec.data.describe(planted()) == whole


def test_numbers_that_are_no_classes_take_no_room():
    targets = torch.tensor([-1, 10**12, 10**12, 5])
    assert ec.data.describe(ec.data.from_arrays((IMAGES[:4], targets))).counts == {
        "train": {"-1": 1, "5": 1, "1000000000000": 2}
    }


def test_floats_of_another_range_are_not_called_white():
    images = IMAGES.float()
    assert ec.data.describe(ec.data.from_arrays((images, LABELS))).suspects == []
    bright = images / 255
    bright[7] = 1 - bright[7] / 20
    (suspect,) = ec.data.describe(ec.data.from_arrays((bright, LABELS))).suspects
    assert (suspect.place.row, suspect.reason) == (7, "nearly white")


def test_a_single_split_and_what_is_none():
    assert list(ec.data.describe(planted().train).counts) == ["data"]
    with pytest.raises(ArgumentTypeError, match=r"takes what load.*returned, got Tensor"):
        ec.data.describe(IMAGES)
