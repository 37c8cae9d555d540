"""What holds for every transform that is exported; a new one is found by itself."""

import inspect
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import easyconv as ec
from easyconv.augment.transform import Position
from easyconv.errors import DataError, DataTypeError, EmptyDataError

ROOT = Path(__file__).parents[2]
TRANSFORMS = {
    name: thing
    for name in ec.augment.__all__
    if inspect.isclass(thing := getattr(ec.augment, name)) and issubclass(thing, ec.augment.Transform)
    if not inspect.isabstract(thing)
}
VIEWS = {
    name: thing
    for name in ec.augment.__all__
    if inspect.isclass(thing := getattr(ec.augment, name)) and issubclass(thing, ec.augment.Views)
    if not inspect.isabstract(thing)
}
ARGUMENTS = {
    "CenterCrop": (6,),
    "ColorJitter": (0.4, 0.4, 0.4, 0.2),
    "Compose": (),
    "Cutout": (4,),
    "CutMix": (1.0, 3),
    "Denormalize": ([0.4], [0.3]),
    "FiveCrop": (6,),
    "GaussianBlur": (3,),
    "MixUp": (1.0, 3),
    "Normalize": ([0.4], [0.3]),
    "PCALighting": (0.2, (0.2, 0.02, 0.005), ((0.6, 0.7, 0.4), (0.6, 0.0, -0.8), (0.6, -0.7, 0.4))),
    "RandAugment": (2, 15),
    "RandomApply": (ec.augment.GaussianBlur(3),),
    "RandomAffine": (20, (0.2, 0.2), (0.8, 1.2), 10),
    "RandomCrop": (8, 2),
    "RandomErasing": (1.0,),
    "RandomPerspective": (0.5, 1.0),
    "RandomResizedCrop": (8,),
    "RandomRotation": (40,),
    "Resize": (5,),
    "TenCrop": (6,),
}
"""What a transform needs to be made, where it needs anything; strong enough to be seen."""
IDLE = {
    "ColorJitter": (),
    "Compose": (),
    "CenterCrop": (8,),
    "CutMix": (0.0, 3),
    "Cutout": (0,),
    "GaussianNoise": (0.0,),
    "MixUp": (0.0, 3),
    "Normalize": ([0.0], [1.0]),
    "Denormalize": ([0.0], [1.0]),
    "PCALighting": (0.0, *ARGUMENTS["PCALighting"][1:]),
    "RandAugment": (0,),
    "RandomAffine": (0,),
    "RandomApply": (ec.augment.GaussianBlur(3), 0.0),
    "RandomCrop": (8,),
    "RandomErasing": (0.0,),
    "RandomHorizontalFlip": (0.0,),
    "RandomPerspective": (0.5, 0.0),
    "RandomResizedCrop": (8, (1.0, 1.0), (1.0, 1.0)),
    "RandomRotation": (0,),
    "RandomVerticalFlip": (0.0,),
    "Resize": (8,),
}
"""Strength zero: the images come out as they went in."""
FIXED = {"CenterCrop", "Compose", "Denormalize", "Normalize", "Resize"}
"""Without chance."""


def make(name):
    return TRANSFORMS[name](*ARGUMENTS.get(name, ()))


def images(dtype=torch.float32, count=6, size=(8, 8), channels=3):
    pixels = torch.randint(0, 256, (count, channels, *size), generator=torch.Generator().manual_seed(count))
    return pixels.to(torch.uint8) if dtype == torch.uint8 else (pixels / 255).to(dtype)


def apply(transform, batch, rows=None):
    return transform.apply(batch, None, Position(torch.arange(len(batch)) if rows is None else rows))[0]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_says_whether_it_draws(name):
    assert make(name).by_chance == (name not in FIXED)


def test_all_are_found():
    assert len(TRANSFORMS) >= 21
    assert len(VIEWS) == 3
    assert set(ARGUMENTS) <= set(TRANSFORMS) | set(VIEWS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.float64])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_type_range_and_input_are_kept(name, dtype):
    batch = images(dtype)
    before = batch.clone()
    torch.manual_seed(0)
    changed = apply(make(name), batch)
    assert torch.equal(batch, before)
    assert len(changed) == len(batch)
    assert changed.shape[1] == 3
    assert changed.device == batch.device
    if name in ("Normalize", "Denormalize"):
        return
    assert changed.dtype == dtype
    assert changed.min() >= 0
    assert changed.max() <= (255 if dtype == torch.uint8 else 1)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_strength_zero_changes_nothing(name):
    if name not in IDLE:
        assert name in ("AlternatingFlip", "GaussianBlur"), f"give {name} its arguments of no effect in IDLE"
        return
    for dtype in (torch.float32, torch.uint8):
        if dtype == torch.uint8 and name in ("Normalize", "Denormalize"):
            continue
        batch = images(dtype)
        torch.testing.assert_close(apply(TRANSFORMS[name](*IDLE[name]), batch), batch, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_one_seed_gives_one_batch_and_each_sample_draws_for_itself(name):
    transform = make(name)
    same = images(count=1).expand(64, -1, -1, -1)
    if name in ("MixUp", "CutMix"):
        same = images(count=64)
    torch.manual_seed(1)
    first = apply(transform, same)
    torch.manual_seed(1)
    assert torch.equal(first, apply(transform, same))
    kinds = len(torch.unique(first.flatten(1), dim=0))
    assert kinds == 1 if name in FIXED else kinds > 1
    if name in FIXED or name == "AlternatingFlip":
        return
    torch.manual_seed(2)
    assert not torch.equal(first, apply(transform, same))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_plain_data(name):
    transform = make(name)
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert hash(transform) == hash(make(name))
    assert repr(transform).startswith(f"{name}(")
    with pytest.raises((AttributeError, TypeError)):
        transform.p = 3


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        ([[1.0]], DataTypeError, "takes a tensor of images, got list"),
        (torch.zeros(3, 8, 8), DataError, r"shape \(N, C, H, W\), got \(3, 8, 8\). For one image: images\[None\]"),
        (torch.zeros(0, 3, 8, 8), EmptyDataError, "got an empty batch"),
        (torch.zeros(2, 3, 8, 8, dtype=torch.int64), DataTypeError, r"floats in \[0, 1\] or uint8, got torch.int64"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(name, batch, error, text):
    with pytest.raises(error, match=text):
        make(name)(batch)


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(6, 20),
    width=st.integers(6, 20),
    count=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from([torch.float32, torch.uint8]),
)
@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"RandomCrop", "PCALighting"}))
def test_every_size_and_type(name, height, width, count, channels, dtype):
    changed = apply(make(name), images(dtype, count, (height, width), channels))
    assert changed.shape[:2] == (count, channels)
    assert torch.isfinite(changed.float()).all()


@pytest.mark.parametrize("name", VIEWS)
def test_views_keep_the_batch(name):
    batch = images(count=4)
    views = VIEWS[name](*ARGUMENTS.get(name, ()))(batch)
    assert all(view.shape[:2] == (4, 3) for view in views)
    assert pickle.loads(pickle.dumps(VIEWS[name](*ARGUMENTS.get(name, ())))) == VIEWS[name](*ARGUMENTS.get(name, ()))


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"Compose"}))
def test_every_transform_has_its_picture(name):
    picture = f"docs/images/augment/{name}.jpg"
    assert picture in TRANSFORMS[name].__doc__
    assert 1_000 < (ROOT / picture).stat().st_size < 80_000
    assert picture.removeprefix("docs/") in (ROOT / "docs" / "augmentation.md").read_text()


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) | set(VIEWS)))
def test_every_transform_is_on_the_page(name):
    assert f"`{name}" in (ROOT / "docs" / "augmentation.md").read_text()
