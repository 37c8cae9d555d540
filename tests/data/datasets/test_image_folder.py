"""image_folder(): from folders of every kind to a data set."""

import json
import os
import re
import signal
import time

import numpy as np
import PIL.Image
import pytest
import torch
import torchvision

import easyconv as ec
from easyconv import room
from easyconv.data.datasets import array_split, decoding, folders
from easyconv.data.pictures.reading import check_picture
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    BrokenPictureError,
    DataError,
    EasyconvWarning,
    EmptyDataError,
    FileMissingError,
    FileWriteError,
)

RNG = np.random.default_rng(0)


def fill(folder, names, count=5, size=(12, 10)):
    """Pictures of noise, so that no two are alike."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("EASYCONV_CACHE", str(tmp_path_factory.mktemp("cache")))


CACHES = ["memory", "disk", "none"]


# --- the layouts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", CACHES)
def test_a_folder_per_class_like_torchvision(tmp_path, cache):
    fill(tmp_path, ["dog", "cat", "bird"])
    data = ec.data.image_folder(tmp_path, size=8, cache=cache, num_workers=0)
    theirs = torchvision.datasets.ImageFolder(str(tmp_path))
    assert data.class_names == tuple(theirs.classes)
    assert data.train.targets.tolist() == theirs.targets
    assert list(data.train.files) == [file for file, _ in theirs.samples]
    wanted = ec.data.PictureFormat(8)
    images = torch.stack([torch.from_numpy(wanted(picture)) for picture, _ in theirs])
    assert torch.equal(data.train.pictures(range(15)), images)
    assert data.validation is None
    assert data.test is None


def test_parts_are_recognized(tmp_path):
    for part, count in (("train", 5), ("val", 2), ("test", 3)):
        fill(tmp_path / part, ["cat", "dog"], count)
    data = ec.data.image_folder(tmp_path, size=8)
    assert [len(part) for part in data.parts.values()] == [10, 4, 6]
    assert list(data.parts) == ["train", "validation", "test"]


def test_a_class_may_be_missing_in_test_but_not_strange(tmp_path):
    fill(tmp_path / "train", ["cat", "dog"])
    fill(tmp_path / "test", ["dog"])
    assert ec.data.image_folder(tmp_path, size=8).test.targets.tolist() == [1] * 5
    fill(tmp_path / "test", ["cow"])
    with pytest.raises(DataError, match=r"test' has the class 'cow', which .*train' does not have"):
        ec.data.image_folder(tmp_path, size=8)


def test_classes_called_train_and_bus_are_classes(tmp_path):
    fill(tmp_path, ["train", "bus"])
    assert ec.data.image_folder(tmp_path, size=8).class_names == ("bus", "train")


def test_parts_by_other_names_and_beside_folders_without_pictures(tmp_path):
    fill(tmp_path / "Training_Set", ["cat", "dog"])
    fill(tmp_path / "testset", ["cat", "dog"], 2)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "boxes.xml").write_text("")
    assert [len(part) for part in ec.data.image_folder(tmp_path, size=8).parts.values()] == [10, 4]


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        (
            ["train/cat", "test/cat", "extra/cat"],
            "folders of parts, 'test', 'train', and other ones .*, 'extra', which",
        ),
        (["train/cat", "val/cat", "valid/cat"], "folders of parts, 'train', 'val', 'valid'. Leave one of each"),
        (["val/cat", "test/cat"], "folders of parts, 'test', 'val', but none to train on"),
        (["test/cat", "test/dog"], "folders of parts, 'test', but none to train on. Name that one 'train'"),
        (
            ["train/cat", "train/dog", "dev/cat", "dev/dog"],
            "other ones with pictures, 'dev', .* Move them elsewhere; if 'train' is the name of a class, put its",
        ),
        (["train/cat", "train/dog", "unlabelled"], "folders of parts, 'train', and other ones .*, 'unlabelled'"),
        (["train/cat", "test"], "test' has no folders in it; .* The 2 pictures in it need labels="),
    ],
)
def test_parts_are_never_taken_for_classes(tmp_path, folders, text):
    fill(tmp_path, folders, 2)
    with pytest.raises(DataError, match=text):
        ec.data.image_folder(tmp_path, size=8)


def test_a_folder_above_the_classes_is_noticed(tmp_path):
    fill(tmp_path / "images", ["cat", "dog"], 2)
    with pytest.warns(EasyconvWarning, match=r"one class only in .*, 'images', whose .* pass '.*images'"):
        ec.data.image_folder(tmp_path, size=8)


def test_pictures_beside_the_class_folders_are_noticed(tmp_path):
    fill(tmp_path, ["cat", "dog", "."], 2)
    with pytest.warns(EasyconvWarning, match="2 pictures in .* are in none of its class folders.* '00.png', '01.png'"):
        assert len(ec.data.image_folder(tmp_path, size=8).train) == 4


def test_files_of_a_class_come_in_torchvisions_order_also_from_deeper_folders(tmp_path):
    fill(tmp_path, ["cat", "cat/black", "cat/0", "dog"], 2)
    theirs = torchvision.datasets.ImageFolder(str(tmp_path))
    assert list(ec.data.image_folder(tmp_path, size=8).train.files) == [file for file, _ in theirs.samples]


def test_deeper_folders_and_links_belong_to_their_class(tmp_path):
    fill(tmp_path / "real", ["cat", "cat/black", "dog"])
    (tmp_path / "real" / "dog" / "more").symlink_to(tmp_path / "real" / "cat", target_is_directory=True)
    data = ec.data.image_folder(tmp_path / "real", size=8)
    assert torch.bincount(data.train.targets).tolist() == [10, 15]


# --- labels -----------------------------------------------------------------------------------------------------------


def labelled(tmp_path):
    fill(tmp_path, ["all"])
    return tmp_path / "all", {f"{number:02}.png": ["dog", "cat"][number % 2] for number in range(5)}


def test_labels_from_a_dict_a_function_json_and_csv(tmp_path):
    folder, table = labelled(tmp_path)
    (tmp_path / "labels.json").write_text(json.dumps(table))
    rows = [f"{name},{label}" for name, label in table.items()]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    (tmp_path / "headed.csv").write_text("\n".join(["id,label", *rows, ""]), encoding="utf-8-sig")
    ways = [
        table,
        lambda path: table[os.path.basename(path)],
        *(tmp_path / name for name in ("labels.json", "labels.csv", "headed.csv")),
    ]
    for labels in ways:
        data = ec.data.image_folder(folder, size=8, labels=labels)
        assert data.class_names == ("cat", "dog")
        assert data.train.targets.tolist() == [1, 0, 1, 0, 1]


def test_whole_numbers_are_ordered_by_value(tmp_path):
    folder, _ = labelled(tmp_path)
    (tmp_path / "labels.csv").write_text("".join(f"{number:02}.png,{[10, 9, 2][number % 3]}\n" for number in range(5)))
    data = ec.data.image_folder(folder, size=8, labels=tmp_path / "labels.csv")
    assert data.class_names == ("2", "9", "10")
    assert data.train.targets.tolist() == [2, 1, 0, 2, 1]


def test_labels_of_numpy_and_labels_with_gaps(tmp_path):
    folder, table = labelled(tmp_path)
    data = ec.data.image_folder(folder, size=8, labels={name: np.int64(3 * row) for row, name in enumerate(table)})
    assert data.class_names == ("0", "3", "6", "9", "12")
    assert data.train.targets.tolist() == [0, 1, 2, 3, 4]


def without(table, name):
    return {key: value for key, value in table.items() if key != name}


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda folder, table: without(table, "03.png"), DataError, "1 pictures .* have no label: '03.png'"),
        (lambda folder, table: {**table, "09.png": "cat"}, DataError, "1 labels have no picture .*: '09.png'"),
        (lambda folder, table: {"01": "cat"}, DataError, r"Names need their ending"),
        (lambda folder, table: lambda path: 0.5, DataError, r"must be a name or a whole number, got 0.5 \(float\)"),
        (lambda folder, table: folder / "none.csv", FileMissingError, "no file of labels"),
        (lambda folder, table: 3, ArgumentTypeError, "labels must be a CSV or JSON file"),
        (lambda folder, table: written(folder, "a.json", "[1]"), DataError, "must hold an object .* got list"),
        (lambda folder, table: written(folder, "a.json", "{"), DataError, "is no JSON"),
        (lambda folder, table: written(folder, "a.csv", ""), DataError, "is empty"),
        (lambda folder, table: written(folder, "a.json", '{"1.png": 0, "1.png": 1}'), DataError, "labels for '1.png'"),
        (
            lambda folder, table: written(folder, "a.csv", "01.png\n"),
            DataError,
            r"no name and label in row 1: \['01.png'",
        ),
        (
            lambda folder, table: written(folder, "a.csv", "\n1.png,3,cat"),
            DataError,
            "row 2: .* read the file yourself",
        ),
        (lambda folder, table: written(folder, "a.csv", "1.png,a\n2.png,"), DataError, r"row 2: \['2.png', ''\]"),
        (lambda folder, table: written(folder, "a.csv", "1.png,a\n1.png,b\n"), DataError, "several labels for '1.png'"),
        (lambda folder, table: written(folder, "a.csv", b"1.png,\xe4\n"), DataError, "is no CSV in UTF-8"),
        (lambda folder, table: {**table, "00.png": 1}, DataError, "all be names, or all be whole numbers, got 1 for"),
        (lambda folder, table: {**table, "00.png": ""}, DataError, "must be a name or a whole number, got ''"),
        (lambda folder, table: lambda path: None, DataError, "5 pictures .* have no label: .*00.png"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, make, error, text):
    folder, table = labelled(tmp_path)
    with pytest.raises(error, match=text):
        ec.data.image_folder(folder, size=8, labels=make(folder, table))


def written(folder, name, text):
    (folder.parent / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder.parent / name


# --- the split --------------------------------------------------------------------------------------------------------


def test_validation_split_is_stratified_disjoint_and_pinned(tmp_path):
    fill(tmp_path, ["a"], 10)
    fill(tmp_path, ["b"], 7)
    fill(tmp_path, ["c"], 3)
    data = ec.data.image_folder(tmp_path, size=8, validation_split=0.3, seed=1)
    counts = torch.bincount(data.validation.targets)
    assert ((counts - torch.tensor([3.0, 2.1, 0.9])).abs() < 1).all()
    assert not set(data.train.files) & set(data.validation.files)
    assert len(set(data.train.files) | set(data.validation.files)) == 20
    held = [os.path.relpath(file, tmp_path) for file in data.validation.files]
    assert held == ["a/01.png", "a/02.png", "a/05.png", "b/01.png", "b/03.png", "c/02.png"]


def test_classes_of_a_single_picture_stay_in_training(tmp_path):
    """Also where there are hardly more pictures than classes, so that other targets would be taken for free text."""
    fill(tmp_path, ["a", "b", "c"], 1)
    fill(tmp_path, ["d"], 2)
    for seed in range(10):
        data = ec.data.image_folder(tmp_path, size=8, validation_split=0.2, seed=seed)
        assert sorted(data.train.targets.tolist()) == [0, 1, 2, 3]
        assert data.validation.targets.tolist() == [3]


def test_augmentation_is_for_training_only_by_the_pixels(tmp_path):
    fill(tmp_path, ["a", "b"], 10)
    data = ec.data.image_folder(tmp_path, size=8, validation_split=0.25)
    seen = {True: [], False: []}

    class Net(ec.Model):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.LazyLinear(2)

        def forward(self, x):
            seen[self.training].append(x.detach().clone())
            return self.head(x.flatten(1))

    model = Net()
    model.compile()
    loud = data.augment(lambda x: 1 - x)
    model.fit(loud.train, validation_data=loud.validation, verbose=0)
    assert torch.equal(seen[False][-1], data.validation.images / 255)
    assert set(seen[True][-1].flatten().tolist()) != set((data.train.images / 255).flatten().tolist())


# --- broken files -----------------------------------------------------------------------------------------------------


def zoo_of_files(tmp_path):
    """A folder with everything that folders have."""
    fill(tmp_path, ["cat", "dog"])
    whole = (tmp_path / "cat" / "00.png").read_bytes()
    cat = tmp_path / "cat"
    PIL.Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(cat / "whole.jpg")
    (cat / "truncated.jpg").write_bytes((cat / "whole.jpg").read_bytes()[:-500])
    (cat / "text.jpg").write_text("I am no picture")
    (cat / "zero.png").write_bytes(b"")
    (cat / "UPPER.PNG").write_bytes(whole)
    PIL.Image.new("RGB", (1, 1), "red").save(cat / "pixel.png")
    PIL.Image.fromarray(RNG.integers(0, 65536, (9, 9), dtype=np.uint16)).save(cat / "sixteen.png")
    PIL.Image.fromarray(RNG.integers(0, 256, (9, 9, 4), dtype=np.uint8), "CMYK").save(cat / "cmyk.jpg")
    frames = [PIL.Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(cat / "moving.gif", save_all=True, append_images=frames[1:])
    (cat / "ünï çode 🐈.png").write_bytes(whole)
    (cat / ("long" * 50 + ".png")).write_bytes(whole)
    (cat / "link.png").symlink_to(cat / "00.png")
    (cat / "dead link.png").symlink_to(cat / "nowhere.png")
    (cat / ".DS_Store").write_bytes(b"x")
    (cat / "Thumbs.db").write_bytes(b"x")
    return ["dead link.png", "text.jpg", "truncated.jpg", "zero.png"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("cache", CACHES)
def test_broken_files_are_refused_or_skipped_but_never_in_silence(tmp_path, cache):
    broken = zoo_of_files(tmp_path)
    with pytest.raises(BrokenPictureError, match="4 of 23 pictures cannot be read") as caught:
        ec.data.image_folder(tmp_path, size=8, cache=cache, num_workers=0)
    assert all(name in str(caught.value) for name in broken)
    with pytest.warns(EasyconvWarning, match="4 of 23 pictures cannot be read and are left out") as warned:
        data = ec.data.image_folder(tmp_path, size=8, cache=cache, broken="skip", num_workers=0)
    assert all(name in str(warned[0].message) for name in broken)
    assert len(data.train) == 19
    names = {os.path.basename(file) for file in data.train.files}
    assert {"UPPER.PNG", "pixel.png", "sixteen.png", "cmyk.jpg", "moving.gif", "link.png", "ünï çode 🐈.png"} <= names
    assert not names & set(broken)
    wanted = ec.data.PictureFormat(8)
    for row, file in enumerate(data.train.files):
        assert np.array_equal(data.train[row][0].numpy(), wanted(file)), file


def test_many_broken_files_are_counted_and_none_left_is_an_error(tmp_path):
    fill(tmp_path, ["a"], 2)
    for number in range(12):
        (tmp_path / "a" / f"bad{number:02}.jpg").write_text("")
    with pytest.raises(BrokenPictureError, match=re.escape("and 2 more")):
        ec.data.image_folder(tmp_path, size=8)
    for file in (tmp_path / "a").glob("0*.png"):
        file.unlink()
    with pytest.raises(BrokenPictureError, match=r"No picture of the class 'a' of the part 'train' .* 12 of 12"):
        ec.data.image_folder(tmp_path, size=8, broken="skip")


@pytest.mark.parametrize("cache", CACHES)
def test_no_class_of_the_training_part_loses_all_its_pictures(tmp_path, cache):
    fill(tmp_path / "train", ["a", "b"], 2)
    fill(tmp_path / "val", ["a", "b"], 1)
    (tmp_path / "val" / "b" / "00.png").write_bytes(b"")
    with pytest.warns(EasyconvWarning, match="1 of 6 pictures cannot be read"):
        data = ec.data.image_folder(tmp_path, size=8, cache=cache, broken="skip", num_workers=0)
    assert data.validation.targets.tolist() == [0]
    (tmp_path / "val" / "a" / "00.png").write_bytes(b"")
    with pytest.raises(BrokenPictureError, match="No picture of the classes 'a', 'b' of the part 'validation'"):
        ec.data.image_folder(tmp_path, size=8, cache=cache, broken="skip")
    fill(tmp_path / "val", ["a", "b"], 1)
    for number in range(2):
        (tmp_path / "train" / "b" / f"{number:02}.png").write_bytes(b"")
    with pytest.raises(BrokenPictureError, match="No picture of the class 'b' of the part 'train' can be read"):
        ec.data.image_folder(tmp_path, size=8, cache=cache, broken="skip")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    fill(tmp_path, ["a", "b"], 2)
    (tmp_path / "a" / "00.png").chmod(0)
    with pytest.raises(BrokenPictureError, match="no permission"):
        ec.data.image_folder(tmp_path, size=8)


# --- the caches -------------------------------------------------------------------------------------------------------


def test_a_second_run_finds_the_file_on_the_disk(tmp_path, monkeypatch):
    fill(tmp_path, ["a", "b"])
    first = ec.data.image_folder(tmp_path, size=8, cache="disk")
    assert "in a memory-mapped file" in repr(first.train)
    monkeypatch.setattr(decoding, "_decode", lambda *arguments: pytest.fail("decoded again"))
    again = ec.data.image_folder(tmp_path, size=8, cache="disk")
    assert torch.equal(first.train.images, again.train.images)


def test_a_part_of_a_mapped_file_stays_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(array_split, "_COPIED", 0)
    fill(tmp_path, ["a", "b"])
    data = ec.data.image_folder(tmp_path, 8, cache="disk", validation_split=0.2)
    assert "in a memory-mapped file" in repr(data.train)
    assert torch.equal(data.train.images, ec.data.image_folder(tmp_path, 8, validation_split=0.2).train.images)


def test_the_file_is_made_anew_for_other_pictures_another_size_and_when_it_is_damaged(tmp_path):
    fill(tmp_path, ["a"])
    first = ec.data.image_folder(tmp_path, size=8, cache="disk").train.images.clone()
    assert ec.data.image_folder(tmp_path, size=6, cache="disk").train.images.shape[-1] == 6
    (file,) = (
        f
        for f in (os.scandir(os.path.join(os.environ["EASYCONV_CACHE"], "pictures")))
        if f.stat().st_size == first.numel()
    )
    with open(file.path, "r+b") as damaged:
        damaged.truncate(10)
    assert torch.equal(ec.data.image_folder(tmp_path, size=8, cache="disk").train.images, first)
    PIL.Image.new("RGB", (12, 10), "red").save(tmp_path / "a" / "00.png")
    assert not torch.equal(ec.data.image_folder(tmp_path, size=8, cache="disk").train.images, first)


def notes():
    folder = os.path.join(os.environ["EASYCONV_CACHE"], "pictures")
    return [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".json")]


@pytest.mark.parametrize("text", ["", "[", "3", "[99]", '["x"]'])
@pytest.mark.parametrize("cache", ["disk", "none"])
def test_damaged_notes_are_made_anew(tmp_path, cache, text):
    fill(tmp_path, ["a"])
    (tmp_path / "a" / "01.png").write_bytes(b"")
    for damage in (False, True):
        if damage:
            (path,) = notes()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        with pytest.raises(BrokenPictureError, match=r"1 of 5 .*\n.*01.png"):
            ec.data.image_folder(tmp_path, size=8, cache=cache)


def test_a_second_run_need_not_check_the_files_again(tmp_path, monkeypatch):
    fill(tmp_path, ["a", "b"])
    (tmp_path / "a" / "02.png").write_text("no picture")
    checked = []
    monkeypatch.setattr(decoding, "check_picture", lambda file: checked.append(file) or check_picture(file))
    for size, wanted in ((8, 10), (9, 1), (9, 1)):
        checked.clear()
        with pytest.warns(EasyconvWarning, match="1 of 10"):
            ec.data.image_folder(tmp_path, size=size, cache=None, broken="skip", num_workers=0)
        assert len(checked) == wanted  # the broken one is looked at anew
    (tmp_path / "a" / "03.png").write_text("no picture either")
    with pytest.raises(BrokenPictureError, match="2 of 10"):
        ec.data.image_folder(tmp_path, size=8, cache=None)


def test_the_check_needs_no_place_to_write_to(tmp_path, monkeypatch):
    fill(tmp_path, ["a", "b"])
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EASYCONV_CACHE", str(tmp_path / "file"))
    assert len(ec.data.image_folder(tmp_path, size=8, cache="none", num_workers=0).train) == 10
    with pytest.raises(FileWriteError, match="Cannot write"):
        ec.data.image_folder(tmp_path, size=8, cache="disk")


@pytest.mark.parametrize("cache", ["disk", "none"])
def test_what_was_forbidden_may_be_allowed_later(tmp_path, monkeypatch, cache):
    """A change of permissions changes neither size nor time of a file, so the digest is the same."""
    fill(tmp_path, ["a", "b"])
    forbidden = str(tmp_path / "a" / "02.png")
    opened = PIL.Image.open

    def refuse(file, *arguments):
        if str(file) == forbidden:
            raise PermissionError(13, "Permission denied")
        return opened(file, *arguments)

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(PIL.Image, "open", refuse)
            with pytest.raises(BrokenPictureError, match=r"02.png' .*: no permission"):
                ec.data.image_folder(tmp_path, size=8, cache=cache)
    data = ec.data.image_folder(tmp_path, size=8, cache=cache, num_workers=0)
    assert torch.equal(data.train.images, ec.data.image_folder(tmp_path, size=8, cache="memory").train.images)


def test_skipped_pictures_do_not_pull_a_mapped_file_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(array_split, "_COPIED", 0)
    fill(tmp_path, ["a", "b"])
    (tmp_path / "a" / "00.png").write_bytes(b"")
    monkeypatch.setattr(folders, "_together", lambda *arguments: pytest.fail("moved"))
    with pytest.warns(EasyconvWarning, match="1 of 10"):
        data = ec.data.image_folder(tmp_path, size=8, cache="disk", broken="skip")
    assert "in a memory-mapped file" in repr(data.train)
    wanted = ec.data.PictureFormat(8)
    assert torch.equal(data.train.images, torch.stack([torch.from_numpy(wanted(file)) for file in data.train.files]))


def test_ctrl_c_ends_the_reading_within_moments():
    started = []

    def work(row):
        started.append(row)
        if row == 5:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.01)

    before = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        decoding._in_threads(work, 5000)
    assert len(started) < 500
    assert time.perf_counter() - before < 5


def test_an_interrupted_run_leaves_no_file(tmp_path, monkeypatch):
    fill(tmp_path, ["a"])

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(decoding, "_decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ec.data.image_folder(tmp_path, size=8, cache="disk")
    assert os.listdir(os.path.join(os.environ["EASYCONV_CACHE"], "pictures")) == []


@pytest.mark.parametrize(
    ("memory", "disk", "kind"), [(1e9, 1e9, "in memory"), (1e3, 1e9, "memory-mapped"), (1e3, 1e3, "from files")]
)
def test_auto_takes_the_first_that_fits(tmp_path, monkeypatch, memory, disk, kind):
    fill(tmp_path, ["a", "b"])
    monkeypatch.setattr(folders, "available_memory", lambda: memory)
    monkeypatch.setattr(folders, "free_disk", lambda folder: disk)
    assert kind in repr(ec.data.image_folder(tmp_path, size=8, num_workers=0).train)


def test_room_is_measured(monkeypatch, tmp_path):
    assert 1e8 < room.available_memory() < 1e14
    assert room.free_disk(tmp_path / "not" / "yet") == room.free_disk(tmp_path)


def test_the_limit_of_a_container_counts_without_what_it_holds_of_files(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("50000000\n")
    (tmp_path / "memory.current").write_text("30000000\n")
    monkeypatch.setattr(room, "_GROUPS", ((str(tmp_path), "memory.max", "memory.current"),))
    assert room.available_memory() == 20_000_000
    (tmp_path / "memory.stat").write_text("anon 4000000\nactive_file 5000000\ninactive_file 1000000\n")
    assert room.available_memory() == 26_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert room.available_memory() > 1e8


@pytest.mark.parametrize("num_workers", [0, 2])
def test_files_train_like_arrays(tmp_path, num_workers):
    fill(tmp_path, ["a", "b"], 8)

    def history(cache):
        data = ec.data.image_folder(tmp_path, size=8, cache=cache, num_workers=num_workers).normalize()
        ec.set_seed(0)
        model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(2)])
        model.compile("sgd", lr=0.1)
        model.fit(data.train, batch_size=16, epochs=2, seed=0, verbose=0)
        return [*model.history.history["loss"], *model.predict(data.train, batch_size=5).flatten().tolist()]

    # Whole batches, so that the order, which is drawn in another way, does not matter.
    assert history("none") == pytest.approx(history("memory"), rel=1e-5)


def test_files_alternate_too(tmp_path):
    fill(tmp_path, ["a", "b"], 6)
    data = ec.data.image_folder(tmp_path, size=8, cache="none", num_workers=0).augment(ec.augment.AlternatingFlip())
    source = data.train.make_source(batch_size=5, shuffle=True)
    source.bind(training=True)
    images = data.train.images / 255
    shown = torch.cat([batch.x for epoch in (0, 1) for batch in source.batches(epoch, epoch)])
    for image in images:
        for version in (image, image.flip(2)):
            assert (shown == version).flatten(1).all(1).sum() == 1


def test_a_file_that_breaks_later_is_named(tmp_path):
    fill(tmp_path, ["a", "b"], 4)
    data = ec.data.image_folder(tmp_path, size=8, cache="none", num_workers=0)
    (tmp_path / "b" / "02.png").write_text("gone bad")
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(2)])
    model.compile()
    with pytest.raises(DataError, match=r"Sample 6 \('.*b/02.png'\) could not be read: BrokenPictureError"):
        model.fit(data.train, verbose=0)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"path": "nowhere"}, FileMissingError, "There is no folder"),
        ({"path": "a/00.png"}, FileMissingError, "is a file, not a folder"),
        ({"path": 3}, ArgumentTypeError, "path must be a folder, got 3"),
        ({"path": "a"}, EmptyDataError, r"has no folders in it.* The 3 pictures in it need labels="),
        ({"path": "empty"}, EmptyDataError, "has no folders in it; there must be one for each class"),
        ({"path": "hollow"}, EmptyDataError, r"no pictures in the class folder 'dog'.* end in \.bmp, \.gif"),
        ({"size": None}, ArgumentTypeError, "size must be an integer"),
        ({"cache": "ram"}, ArgumentError, "cache"),
        ({"broken": "ignore"}, ArgumentError, "broken"),
        ({"validation_split": 1.0}, ArgumentError, "validation_split"),
        ({"num_workers": "many"}, ArgumentError, "num_workers"),
        (
            {"path": "parts", "validation_split": 0.1},
            ArgumentError,
            "makes no sense beside a folder of pictures to validate",
        ),
    ],
)
def test_refused(tmp_path, arguments, error, text):
    fill(tmp_path, ["a", "b"], 3)
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "hollow", ["cat"], 1)
    (tmp_path / "hollow" / "dog").mkdir()
    for part in ("train", "val"):
        fill(tmp_path / "parts" / part, ["cat"], 1)
    path = arguments.pop("path", "hollow/cat/..")
    path = tmp_path / path if isinstance(path, str) else path
    with pytest.raises(error, match=text):
        ec.data.image_folder(path, **{"size": 8, **arguments})
