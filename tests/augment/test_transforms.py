"""Each transform against torchvision on single samples, closed formulas, and the statistics of its draws."""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torchvision.transforms as version_one
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

import easyconv as ec
from easyconv.augment import color, geometry, noise, policies, warping
from easyconv.augment.transform import Position, as_transform
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    LabelError,
    LengthError,
    StateError,
    UnknownNameError,
)

COUNT = 40
X = torch.rand(COUNT, 3, 24, 20, generator=torch.Generator().manual_seed(0))
BYTES = (X * 255).to(torch.uint8)
Y = torch.arange(COUNT) % 3


def drawn(transform, images, seed=0, at=Position()):  # noqa: B008
    """What a transform draws for a batch, and the batch that it makes with that."""
    torch.manual_seed(seed)
    draws = transform._draw(images, at) if isinstance(transform, _Geometric) else transform._draw(images)
    torch.manual_seed(seed)
    return draws, transform(images)


_Geometric = (ec.augment.RandomCrop, ec.augment.RandomResizedCrop, ec.augment.RandomRotation, ec.augment.RandomAffine)
_Geometric += (ec.augment.RandomPerspective, ec.augment.RandomHorizontalFlip, ec.augment.RandomVerticalFlip)


def samples(images):
    return images.unbind(0)


# --- crops and flips --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [X, BYTES])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_random_crop_cuts_what_torchvision_cuts(images, mode):
    crop = ec.augment.RandomCrop((16, 18), padding=(3, 2), padding_mode=mode)
    (down, right), cut = drawn(crop, images)
    for image, ours, top, left in zip(samples(images), cut, down.tolist(), right.tolist(), strict=True):
        theirs = tv.crop(tv.pad(image, [2, 3], padding_mode=mode), top, left, 16, 18)
        assert torch.equal(ours, theirs)


def test_random_crop_draws_every_place_alike():
    down, right = ec.augment.RandomCrop(22, padding=(0, 2))._draw(X[:1].expand(6000, -1, -1, -1), Position())
    assert sorted(down.unique().tolist()) == [0, 1, 2]
    assert sorted(right.unique().tolist()) == [0, 1, 2]
    counts = torch.bincount(down * 3 + right, minlength=9)
    # Within five standard deviations of 6000 / 9.
    assert ((counts - 6000 / 9).abs() < 5 * math.sqrt(6000 / 9 * 8 / 9)).all()


def test_fill_of_constant_padding():
    crop = ec.augment.RandomCrop(24, padding=(0, 30), fill=0.5)
    torch.manual_seed(0)
    cut = crop(X)
    assert ((cut == 0.5).flatten(1).sum(1) > 0).any()


def test_crops_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"RandomCrop\(32, 32\) needs larger images: with \(2, 2\) pixels of padding"):
        ec.augment.RandomCrop(32, padding=2)(X)
    with pytest.raises(DataError, match="cannot mirror 30 pixels"):
        ec.augment.RandomCrop(24, padding=30, padding_mode="reflect")(X)
    with pytest.raises(DataError, match=r"Crops of \(30, 30\) need larger images"):
        ec.augment.TenCrop(30)(X)


@pytest.mark.parametrize("size", [(10, 12), (23, 19), (24, 20), (30, 26)])
def test_center_crop_is_torchvisions(size):
    assert torch.equal(ec.augment.CenterCrop(size)(X), tv.center_crop(X, list(size)))


@pytest.mark.parametrize("images", [X, BYTES])
def test_resize_is_torchvisions(images):
    for size in ((12, 10), (30, 31)):
        assert torch.equal(ec.augment.Resize(size)(images), tv.resize(images, list(size), antialias=True))


@pytest.mark.parametrize(
    ("transform", "axis"), [(ec.augment.RandomHorizontalFlip, 3), (ec.augment.RandomVerticalFlip, 2)]
)
def test_flips(transform, axis):
    flipped, images = drawn(transform(0.3), X)
    assert torch.equal(images[flipped], X[flipped].flip(axis))
    assert torch.equal(images[~flipped], X[~flipped])
    many = transform(0.3)._draw(X[:1].expand(5000, -1, -1, -1), Position())
    assert abs(many.float().mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 5000)


def test_alternating_flip_needs_no_luck():
    flip, rows = ec.augment.AlternatingFlip(), torch.arange(1000, 1000 + COUNT)
    epochs = [flip.apply(X, None, Position(rows, epoch))[0] for epoch in range(4)]
    for first, second in itertools.pairwise(epochs):
        assert torch.equal(first, second.flip(3))
    assert torch.equal(epochs[0], epochs[2])
    halves = flip._draw(X[:1].expand(10_000, -1, -1, -1), Position(torch.arange(10_000), 0))
    assert abs(halves.float().mean() - 0.5) < 0.025
    # Neighbours are not alike more often than chance has it.
    assert abs((halves[1:] == halves[:-1]).float().mean() - 0.5) < 0.025
    with pytest.raises(StateError, match="needs the numbers of the samples"):
        flip(X)


def test_random_resized_crop_of_whole_pixels_is_a_crop_and_a_resize():
    crop = ec.augment.RandomResizedCrop((12, 10), scale=(0.25, 0.25), ratio=(20 / 24, 20 / 24))
    (top, left, high, wide), cut = drawn(crop, X)
    assert torch.allclose(high, torch.tensor(12.0), atol=1e-4)
    assert torch.allclose(wide, torch.tensor(10.0), atol=1e-4)
    # Half the size both ways: between whole pixels it is the mean of four, which grid_sample finds too.
    for image, ours, y, x in zip(X, cut, top.tolist(), left.tolist(), strict=True):
        rows, columns = torch.arange(12) + y, torch.arange(10) + x
        low_y, low_x = rows.floor().long(), columns.floor().long()
        a, b = (rows - low_y)[:, None], columns - low_x
        up_y, up_x = (low_y + 1).clamp(max=23), (low_x + 1).clamp(max=19)
        at = lambda r, c: image[:, r][:, :, c]  # noqa: B023, E731
        wanted = (1 - a) * ((1 - b) * at(low_y, low_x) + b * at(low_y, up_x))
        wanted = wanted + a * ((1 - b) * at(up_y, low_x) + b * at(up_y, up_x))
        torch.testing.assert_close(ours, wanted, atol=2e-4, rtol=0)


def test_random_resized_crop_draws_areas_and_shapes():
    crop = ec.augment.RandomResizedCrop(8, scale=(0.2, 0.6), ratio=(0.5, 2.0))
    top, left, high, wide = crop._draw(torch.rand(1, 1, 40, 40).expand(5000, -1, -1, -1), Position())
    area, shape = high * wide / 1600, wide / high
    whole = (high < 40) & (wide < 40)
    assert area.min() >= 0.2 - 1e-4
    assert area.max() <= 0.6 + 1e-4
    assert abs(area[whole].mean() - 0.4) < 0.02
    assert shape.min() >= 0.5 - 1e-4
    assert abs(shape.log().mean()) < 0.04
    assert (top >= 0).all()
    assert ((top + high <= 40 + 1e-4) & (left + wide <= 40 + 1e-4)).all()


@pytest.mark.parametrize("size", [(40, 40), (40, 80), (30, 20)])
def test_random_resized_crop_draws_parts_as_torchvision_does(size):
    scale, ratio = (0.08, 1.0), (3 / 4, 4 / 3)
    images = torch.rand(1, 1, *size)
    _, _, high, wide = ec.augment.RandomResizedCrop(8)._draw(images.expand(6000, -1, -1, -1), Position())
    torch.manual_seed(0)
    theirs = torch.tensor([version_one.RandomResizedCrop.get_params(images[0], scale, ratio)[2:] for _ in range(3000)])
    area = math.prod(size)
    assert abs((high * wide).mean() - theirs.prod(1).float().mean()) / area < 0.02
    assert abs((wide / high).log().mean() - (theirs[:, 1] / theirs[:, 0]).log().mean()) < 0.03


def test_random_resized_crop_of_a_shape_that_never_fits_takes_the_middle():
    crop = ec.augment.RandomResizedCrop(8, scale=(0.9, 1.0), ratio=(3.0, 3.0))
    _, _, high, wide = crop._draw(X, Position())
    assert torch.allclose(wide, torch.tensor(20.0))
    assert torch.allclose(high, torch.tensor(20 / 3))


def test_random_resized_crop_averages_what_shrinks():
    stripes = (torch.arange(64) % 2).float().expand(1, 1, 64, 64)
    small = ec.augment.RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(1.0, 1.0))(stripes)
    assert (small - 0.5).abs().max() < 0.01


def test_random_resized_crop_of_everything_is_a_resize_without_antialias():
    whole = ec.augment.RandomResizedCrop((31, 33), scale=(1.0, 1.0), ratio=(20 / 24, 20 / 24))
    wanted = functional.interpolate(X, (31, 33), mode="bilinear", align_corners=False)
    torch.testing.assert_close(whole(X), wanted, atol=1e-5, rtol=0)


# --- warps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", [0.0, 0.5])
def test_rotation_is_torchvisions(fill):
    turn = ec.augment.RandomRotation(50, fill=fill)
    torch.manual_seed(0)
    angles = turn._draw_angles(X)
    torch.manual_seed(0)
    turned = turn(X)
    for image, ours, angle in zip(X, turned, angles.tolist(), strict=True):
        theirs = tv.rotate(image, angle, interpolation=v2.InterpolationMode.BILINEAR, fill=[fill])
        # At the rim of the picture torchvision blends the fill with a mask of its own.
        inside = tv.rotate(torch.ones_like(image), angle, interpolation=v2.InterpolationMode.BILINEAR) > 1 - 1e-5
        assert inside.float().mean() > 0.4
        assert (ours - theirs)[inside].abs().max() < 1e-3
    assert abs(angles.mean()) < 5 * 29 / math.sqrt(COUNT)
    assert angles.abs().max() <= 50


@pytest.mark.parametrize("images", [X, BYTES])
def test_affine_is_torchvisions(images):
    move = ec.augment.RandomAffine(30, translate=(0.2, 0.1), scale=(0.7, 1.3), shear=15)
    torch.manual_seed(0)
    angles = move._draw_angles(images)
    torch.manual_seed(0)
    moved = move(images)
    for row, (image, ours) in enumerate(zip(images, moved, strict=True)):
        angle, x, y, scale, shear_x, shear_y = (float(part[row]) for part in angles)
        theirs = tv.affine(
            image, angle, [int(x), int(y)], scale, [shear_x, shear_y], interpolation=v2.InterpolationMode.BILINEAR
        )
        tolerance = 1e-4 if images.is_floating_point() else 1
        assert (ours.float() - theirs.float()).abs().max() <= tolerance
    assert angles.x.abs().max() <= 4
    assert angles.y.abs().max() <= 2.4


def test_perspective_is_torchvisions():
    tilt = ec.augment.RandomPerspective(0.6, p=1.0)
    torch.manual_seed(0)
    corners = tilt._draw_corners(X)
    torch.manual_seed(0)
    tilted = tilt(X)
    start = [[0, 0], [19, 0], [19, 23], [0, 23]]
    for image, ours, ends in zip(X, tilted, corners.tolist(), strict=True):
        theirs = tv.perspective(image, start, [[int(x), int(y)] for x, y in ends])
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)
    assert (corners[:, 0] >= 0).all()
    assert (corners[:, 2] <= torch.tensor([19.0, 23.0])).all()


def test_beyond_the_horizon_there_is_nothing():
    # The horizon is the line x = 10; what this map finds to the right of it lies behind the eye.
    matrix = torch.tensor([[[-1.0, 0.0, 10.0], [0.0, -1.0, 0.0], [-0.1, 0.0, 1.0]]])
    behind = geometry.map_points(torch.tensor([[[15.0, 5.0]]]), matrix)
    assert behind.tolist() == [[[10.0, 10.0]]]
    assert (geometry.sample(torch.ones(1, 1, 20, 20), matrix, (20, 20)) == 0).all()


def test_perspective_maps_corners_to_corners():
    result = torch.tensor([[[1.0, 2.0], [9.0, 0.0], [10.0, 8.0], [0.0, 7.0]]])
    image = torch.tensor([[0.0, 0.0], [10.0, 0.0], [10.0, 8.0], [0.0, 8.0]])
    matrix = warping.perspective_matrix(result, image)
    torch.testing.assert_close(geometry.map_points(result, matrix)[0], image, atol=1e-4, rtol=0)
    torch.testing.assert_close(geometry.forward_points(image[None], matrix), result, atol=1e-4, rtol=0)


def test_a_quarter_turn_is_exact():
    square = torch.rand(5, 3, 9, 9)
    turned = ec.augment.RandomRotation((90, 90))(square)
    torch.testing.assert_close(turned, square.rot90(1, (2, 3)), atol=1e-4, rtol=0)


# --- masks and boxes --------------------------------------------------------------------------------------------------

MOVING = [
    ec.augment.RandomCrop(16, padding=2),
    ec.augment.CenterCrop(16),
    ec.augment.RandomHorizontalFlip(),
    ec.augment.RandomVerticalFlip(),
    ec.augment.RandomRotation(30),
    ec.augment.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 10),
    ec.augment.RandomPerspective(0.3, p=1.0),
    ec.augment.RandomResizedCrop((20, 20), scale=(0.5, 1.0)),
    ec.augment.Resize((48, 40)),
]


@pytest.mark.parametrize("transform", MOVING, ids=lambda transform: type(transform).__name__)
def test_masks_and_boxes_move_with_a_picture_of_them(transform):
    """A white rectangle on black is its own mask, and its box is where it is."""
    images = torch.zeros(COUNT, 1, 24, 24)
    boxes = torch.zeros(COUNT, 4)
    rng = torch.Generator().manual_seed(3)
    for row in range(COUNT):
        x, y = torch.randint(8, 12, (2,), generator=rng).tolist()
        images[row, :, y : y + 6, x : x + 5] = 1
        boxes[row] = torch.tensor([x, y, x + 5, y + 6])
    targets = {
        "mask": tv_tensors.Mask((images[:, 0] > 0).to(torch.uint8)),
        "box": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(24, 24)),
        "label": Y,
    }
    torch.manual_seed(0)
    moved, found = transform(images, targets)
    assert isinstance(found["mask"], tv_tensors.Mask)
    assert isinstance(found["box"], tv_tensors.BoundingBoxes)
    assert found["box"].canvas_size == tuple(moved.shape[-2:])
    assert found["label"] is Y
    assert set(found["mask"].unique().tolist()) <= {0, 1}
    agree = ((moved[:, 0] > 0.5) == (found["mask"].as_subclass(torch.Tensor) > 0)).float().mean((1, 2))
    assert agree.min() > 0.97
    for picture, box in zip(moved[:, 0], found["box"].tolist(), strict=True):
        rows, columns = (picture > 0.5).nonzero().unbind(1)
        if len(rows) == 0:
            continue
        seen = [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]
        assert np.abs(np.array(seen) - box).max() <= 1.6


def test_key_points_move_too():
    points = tv_tensors.KeyPoints(torch.rand(COUNT, 5, 2) * 20, canvas_size=(24, 20))
    _, moved = ec.augment.RandomHorizontalFlip(1.0)(X, points)
    assert isinstance(moved, tv_tensors.KeyPoints)
    torch.testing.assert_close(moved[..., 0].as_subclass(torch.Tensor), 20 - points[..., 0].as_subclass(torch.Tensor))
    with pytest.raises(DataError, match=r"Key points must have the shape \(N, ..., 2\) with N = 40, got \(3, 2\)"):
        ec.augment.CenterCrop(10)(X, tv_tensors.KeyPoints(torch.zeros(3, 2), canvas_size=(24, 20)))


def test_named_tuples_stay_what_they_are():
    class Both(NamedTuple):
        mask: Any
        label: Any

    mask = tv_tensors.Mask(torch.zeros(COUNT, 24, 20, dtype=torch.uint8))
    _, both = ec.augment.CenterCrop(10)(X, Both(mask, Y))
    assert isinstance(both, Both)
    assert both.mask.shape == (COUNT, 10, 10)


def test_boxes_keep_their_format_and_type():
    boxes = tv_tensors.BoundingBoxes([[8, 12, 4, 6]], format="CXCYWH", canvas_size=(24, 20))
    _, moved = ec.augment.RandomHorizontalFlip(1.0)(X[:1], boxes)
    assert moved.tolist() == [[12, 12, 4, 6]]
    assert moved.format == tv_tensors.BoundingBoxFormat.CXCYWH
    assert moved.dtype == torch.int64


def test_nested_targets_keep_their_form():
    mask = tv_tensors.Mask(torch.zeros(COUNT, 24, 20, dtype=torch.uint8))
    _, (labels, (moved,)) = ec.augment.CenterCrop(10)(X, (Y, (mask,)))
    assert labels is Y
    assert moved.shape == (COUNT, 10, 10)


def test_more_or_fewer_targets_are_refused():
    for targets, place in ((Y[:3], "targets"), ((Y, Y[:3]), r"targets\[1\]"), ({"a": Y[:3]}, r"targets\['a'\]")):
        with pytest.raises(LengthError, match=f"CenterCrop got 40 images, and {place} has 3 rows"):
            ec.augment.CenterCrop(10)(X, targets)
    with pytest.raises(LengthError, match="MixUp got 40 images, and targets has 3 rows"):
        ec.augment.MixUp(num_classes=3)(X, Y[:3])


def test_random_policies_refuse_what_would_have_to_move():
    mask = tv_tensors.Mask(torch.zeros(COUNT, 24, 20, dtype=torch.uint8))
    with pytest.raises(
        DataError, match=r"masks and boxes would stay where they are\. Take RandomAffine and ColorJitter"
    ):
        ec.augment.RandAugment()(X, (Y, mask))
    ec.augment.RandAugment()(X, Y)


def test_masks_and_boxes_of_other_shapes_are_refused():
    for shape in ((24,), (COUNT, 20, 24), (3, 24, 20)):
        with pytest.raises(DataError, match=r"Masks must have the shape .* N = 40, H = 24 and W = 20, got \("):
            ec.augment.CenterCrop(10)(X, tv_tensors.Mask(torch.zeros(shape)))
    two = tv_tensors.BoundingBoxes(torch.zeros(2, 4), format="XYXY", canvas_size=(24, 20))
    with pytest.raises(
        DataError, match=r"Boxes must have the shape \(N, 4\), one per image, with N = 40, got \(2, 4\)"
    ):
        ec.augment.CenterCrop(10)(X, two)


# --- colours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    [
        (color.brightened, tv.adjust_brightness, 0.0, 2.0),
        (color.contrasted, tv.adjust_contrast, 0.0, 2.0),
        (color.saturated, tv.adjust_saturation, 0.0, 2.0),
        (color.turned, tv.adjust_hue, -0.5, 0.5),
    ],
)
def test_colours_are_torchvisions(ours, theirs, low, high):
    factors = torch.linspace(low, high, COUNT)
    changed = ours(X, factors)
    for image, mine, factor in zip(X, changed, factors.tolist(), strict=True):
        torch.testing.assert_close(mine, theirs(image, factor), atol=2e-6, rtol=0)


def test_color_jitter_applies_its_draws_in_their_order():
    jitter = ec.augment.ColorJitter(0.4, 0.4, 0.4, 0.3)
    (amounts, order), changed = drawn(jitter, X)
    functions = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue)
    for row, image in enumerate(X):
        for place in order[:, row].tolist():
            image = functions[place](image, float(amounts[place, row]))
        torch.testing.assert_close(changed[row], image, atol=5e-6, rtol=0)
    assert len({tuple(column) for column in order.T.tolist()}) > 10
    assert amounts[:3].min() >= 0.6
    assert amounts[3].abs().max() <= 0.3


def test_color_jitter_of_bytes_and_of_grey():
    jitter = ec.augment.ColorJitter(0.4, 0.4, 0.4, 0.3)
    torch.manual_seed(0)
    floats = jitter(BYTES.float() / 255)
    torch.manual_seed(0)
    assert (jitter(BYTES).float() / 255 - floats).abs().max() <= 0.5 / 255 + 1e-6
    assert jitter(X[:, :1]).shape == (COUNT, 1, 24, 20)
    with pytest.raises(DataError, match="1 or 3 channels, got 2"):
        jitter(X[:, :2])


def test_lighting_follows_numpys_decomposition():
    images = torch.randint(0, 256, (50, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    images[:, 1] = images[:, 0] // 2 + 20
    fitted = ec.data.from_arrays((images, torch.zeros(50, dtype=torch.int64))).train.facts
    lighting = ec.augment.PCALighting(0.1).fitted(fitted)
    pixels = images.permute(1, 0, 2, 3).reshape(3, -1).numpy() / 255.0
    values, vectors = np.linalg.eigh(np.cov(pixels, bias=True))
    assert lighting.eigenvalues == pytest.approx(values[::-1], abs=1e-9)
    assert np.abs(np.array(lighting.eigenvectors).T @ vectors[:, ::-1]) == pytest.approx(np.eye(3), abs=1e-6)
    numbers, changed = drawn(lighting, X * 0.2 + 0.4)
    shift = numbers.numpy() * np.array(lighting.eigenvalues) @ np.array(lighting.eigenvectors).T
    wanted = (X * 0.2 + 0.4).numpy() + shift[:, :, None, None]
    assert changed.numpy() == pytest.approx(wanted, abs=1e-6)
    assert abs(ec.augment.PCALighting.imagenet()._draw(X[:1].expand(4000, -1, -1, -1)).std() - 0.1) < 0.005


def test_lighting_needs_components():
    with pytest.raises(StateError, match="takes its components from a data set"):
        ec.augment.PCALighting()(X)
    with pytest.raises(DataError, match="components of 3 channels, and the images have 1"):
        ec.augment.PCALighting.imagenet()(X[:, :1])
    with pytest.raises(ArgumentError, match="belong together"):
        ec.augment.PCALighting(0.1, (1.0,))
    with pytest.raises(ArgumentError, match=r"got \(2,\) and \(1, 1\)"):
        ec.augment.PCALighting(0.1, (1.0, 2.0), ((1.0,),))


def test_normalize_and_back():
    normal = ec.augment.Normalize([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    assert torch.equal(normal(X), tv.normalize(X, [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]))
    torch.testing.assert_close(normal.inverse()(normal(X)), X)
    torch.testing.assert_close(normal(BYTES), normal(BYTES.float() / 255))
    assert normal == ec.augment.Normalize(np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.6, 0.7]))
    with pytest.raises(StateError, match="takes them from a data set"):
        ec.augment.Normalize()(X)
    with pytest.raises(DataError, match="2 numbers per argument, and the images have 3 channels"):
        ec.augment.Normalize([0, 0], [1, 1])(X)
    with pytest.raises(ArgumentError, match="more than 0 in every channel"):
        ec.augment.Normalize([0], [0])
    with pytest.raises(ArgumentError, match="belong together"):
        ec.augment.Normalize([0])
    with pytest.raises(ArgumentError, match="one number per channel each, got 1 and 2"):
        ec.augment.Normalize([0], [1, 1])
    with pytest.raises(ArgumentTypeError, match="must be one number per channel"):
        ec.augment.Normalize("mean", [1])


# --- noise and blur ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [X * 255, X - 0.5])
def test_colours_beyond_their_range_are_refused(values):
    with pytest.raises(DataError, match=r"ColorJitter takes floats in \[0, 1\], .* got values from .* to "):
        ec.augment.ColorJitter(0.1)(values)
    torch.testing.assert_close(ec.augment.RandomErasing(p=0.0)(values), values)


def test_noise_has_its_strength():
    grey = torch.full((200, 1, 20, 20), 0.5)
    changed = ec.augment.GaussianNoise(0.05)(grey) - 0.5
    assert abs(changed.std() - 0.05) < 0.001
    assert abs(changed.mean()) < 0.001


@pytest.mark.parametrize("window", [(3, 3), (5, 7), (1, 3)])
def test_blur_is_torchvisions(window):
    sigmas = torch.linspace(0.2, 3.0, COUNT)
    changed = noise.blurred(X, window, sigmas)
    for image, ours, sigma in zip(X, changed, sigmas.tolist(), strict=True):
        theirs = tv.gaussian_blur(image, [window[1], window[0]], [sigma, sigma])
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)
    strengths = ec.augment.GaussianBlur(3, (0.5, 1.5))._draw(X[:1].expand(4000, -1, -1, -1))
    assert 0.5 <= strengths.min() <= strengths.max() <= 1.5
    assert abs(strengths.mean() - 1) < 0.03


def test_blur_refuses():
    with pytest.raises(ArgumentError, match="kernel_size must be odd, got 4"):
        ec.augment.GaussianBlur(4)
    with pytest.raises(ArgumentError, match="sigma must be more than 0"):
        ec.augment.GaussianBlur(3, 0.0)
    with pytest.raises(DataError, match="larger than half its window"):
        ec.augment.GaussianBlur(99)(X)


# --- covers -----------------------------------------------------------------------------------------------------------


def test_erasing_covers_its_rectangle_and_nothing_else():
    erase = ec.augment.RandomErasing(0.7, value=0.25)
    box, changed = drawn(erase, X)
    for row, (image, ours) in enumerate(zip(X, changed, strict=True)):
        wanted = image.clone()
        wanted[:, box.top[row] : box.bottom[row], box.left[row] : box.right[row]] = 0.25
        assert torch.equal(ours, wanted)
    many = ec.augment.RandomErasing(0.7, (0.1, 0.3), (0.5, 2.0))._draw(
        torch.rand(1, 1, 50, 50).expand(4000, -1, -1, -1)
    )
    area = (many.bottom - many.top) * (many.right - many.left) / 2500
    erased = area > 0
    assert abs(erased.float().mean() - 0.7) < 0.04
    assert abs(area[erased].mean() - 0.2) < 0.01
    assert (many.bottom <= 50).all()
    assert len(ec.augment.RandomErasing(1.0, value="random")(torch.zeros(2, 3, 20, 20)).unique()) > 20


def test_cutout_covers_a_square_that_may_hang_over():
    ones = torch.ones(3000, 1, 10, 10)
    covered = (ec.augment.Cutout(4)(ones) == 0).flatten(1).sum(1)
    assert covered.max() == 16
    assert covered.min() < 16
    assert set((ec.augment.Cutout(4, value=0.5)(ones)).unique().tolist()) == {0.5, 1.0}


# --- mixing -----------------------------------------------------------------------------------------------------------


def test_mixup_by_hand():
    mix = ec.augment.MixUp(1.0, num_classes=3)
    (partner, share), (images, labels) = mixed(mix)
    rows = functional.one_hot(Y, 3).float()
    for row in range(COUNT):
        part, other = share[row], partner[row]
        torch.testing.assert_close(images[row], part * X[row] + (1 - part) * X[other])
        torch.testing.assert_close(labels[row], part * rows[row] + (1 - part) * rows[other])


def mixed(mix, images=X, targets=Y):
    torch.manual_seed(0)
    draws = mix._draw(images)
    torch.manual_seed(0)
    return draws, mix(images, targets)


def test_the_shares_follow_a_beta_distribution():
    for alpha in (0.2, 1.0, 5.0):
        share = ec.augment.MixUp(alpha, 3)._draw(X[:1].expand(20_000, -1, -1, -1)).share
        assert abs(share.mean() - 0.5) < 0.01
        assert abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.005


def test_cutmix_by_hand():
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 10, 10) / 10
    torch.manual_seed(1)
    partner = ec.augment.CutMix(1.0, 6)._draw(images).partner
    torch.manual_seed(1)
    changed, labels = ec.augment.CutMix(1.0, 6)(images, torch.arange(6))
    for row in range(6):
        own = (changed[row] == images[row]).float().mean().item() if partner[row] != row else 1.0
        assert labels[row, row] == pytest.approx(own, abs=1e-6)
        if partner[row] != row:
            assert labels[row, partner[row]] == pytest.approx(1 - own, abs=1e-6)
            other = (changed[row, 0] != images[row, 0]).nonzero()
            if len(other):
                high, wide = (other.max(0).values - other.min(0).values + 1).tolist()
                assert len(other) == high * wide


def test_rows_and_values_are_mixed_as_they_are():
    rows = torch.rand(COUNT, 4)
    (partner, share), (_, targets) = mixed(ec.augment.MixUp(1.0), targets=rows)
    torch.testing.assert_close(targets, share[:, None] * rows + (1 - share[:, None]) * rows[partner])
    assert ec.augment.MixUp(1.0)(X).shape == X.shape


def test_dense_targets_are_mixed_like_images_or_not_at_all():
    dense = torch.rand(COUNT, 2, 24, 20)
    (partner, share), (_, targets) = mixed(ec.augment.MixUp(1.0), targets=dense)
    share = share.view(-1, 1, 1, 1)
    torch.testing.assert_close(targets, share * dense + (1 - share) * dense[partner])
    with pytest.raises(DataError, match=r"CutMix mixes labels by areas, and targets of shape \(40, 2, 24, 20\)"):
        ec.augment.CutMix(1.0)(X, dense)


def test_mixing_takes_the_classes_from_the_data():
    data = ec.data.from_arrays((BYTES, Y), class_names=["a", "b", "c"])
    assert ec.augment.CutMix().fitted(data.train.facts).num_classes == 3
    unnamed = ec.data.from_arrays((BYTES, Y)).train
    assert ec.augment.CutMix().fitted(unnamed.facts).num_classes == 3
    one_hot = ec.data.from_arrays((BYTES, functional.one_hot(Y, 5))).train
    assert ec.augment.CutMix().fitted(one_hot.facts).num_classes == 5
    values = ec.data.from_arrays((BYTES, torch.rand(COUNT))).train
    assert ec.augment.CutMix().fitted(values.facts).num_classes is None
    with pytest.raises(StateError, match=r"how many classes there are: MixUp\(num_classes=10\)"):
        ec.augment.MixUp()(X, Y)
    with pytest.raises(LabelError, match=r"CutMix\(num_classes=2\) got labels from 0 to 2"):
        ec.augment.CutMix(1.0, 2)(X, Y)
    with pytest.raises(DataError, match="mixes labels of classes, got tuple"):
        ec.augment.MixUp(1.0, 3)(X, (Y, Y))
    with pytest.raises(DataError, match=r"shape \(N,\) or rows of probabilities, got \(40, 2\)"):
        ec.augment.MixUp(1.0, 3)(X, torch.stack([Y, Y], 1))


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(policies.OPERATIONS)))
@pytest.mark.parametrize("sign", [-1, 1])
def test_operations_are_those_of_torchvisions_randaugment(number, sign):
    operation = policies.OPERATIONS[number]
    augment = ec.augment.RandAugment(1, 20, 31)
    rows = torch.full((4, 1), number)
    images = torch.rand(4, 3, 40, 24, generator=torch.Generator().manual_seed(1))
    ours = augment._applied(images, policies.Choice(rows, torch.full((4, 1), sign)))
    space, signed = v2.RandAugment._AUGMENTATION_SPACE[operation.name]
    magnitudes = space(31, 40, 24)
    magnitude = 0.0 if magnitudes is None else float(magnitudes[20]) * (sign if signed else 1)
    theirs = v2.RandAugment()._apply_image_or_video_transform(
        images, operation.name, magnitude, interpolation=v2.InterpolationMode.NEAREST, fill={}
    )
    assert operation.signed == signed
    torch.testing.assert_close(ours, theirs.clamp(0, 1), atol=1e-5, rtol=0)


def test_every_operation_is_drawn_alike():
    choice = ec.augment.RandAugment()._draw(X[:1].expand(14_000, -1, -1, -1))
    counts = torch.bincount(choice.operation.flatten(), minlength=14)
    assert ((counts - 2000).abs() < 5 * math.sqrt(2000)).all()
    assert abs(choice.sign.float().mean()) < 0.04


# --- together ---------------------------------------------------------------------------------------------------------


def test_random_apply_takes_some_and_leaves_the_others():
    flip = ec.augment.RandomApply(ec.augment.RandomHorizontalFlip(1.0), p=0.3)
    mask = tv_tensors.Mask(torch.arange(COUNT * 480).view(COUNT, 24, 20))
    torch.manual_seed(0)
    images, (moved, labels) = flip(X, (mask, Y))
    turned = torch.tensor([not torch.equal(a, b) for a, b in zip(images, X, strict=True)])
    assert 0 < turned.sum() < COUNT
    assert torch.equal(images[turned], X[turned].flip(3))
    assert isinstance(moved, tv_tensors.Mask)
    plain = moved.as_subclass(torch.Tensor)
    assert torch.equal(plain[turned], mask.as_subclass(torch.Tensor)[turned].flip(2))
    assert torch.equal(plain[~turned], mask.as_subclass(torch.Tensor)[~turned])
    assert torch.equal(labels, Y)
    counts = [(ec.augment.RandomApply([lambda x: x * 0], p=0.3)(X).flatten(1).sum(1) == 0).sum() for _ in range(100)]
    assert abs(sum(counts) / 4000 - 0.3) < 5 * math.sqrt(0.21 / 4000)
    with pytest.raises(DataError, match=r"keep sizes and targets: of \(3, 24, 20\)"):
        ec.augment.RandomApply(ec.augment.CenterCrop(10), p=1.0)(X)
    fitted = ec.augment.RandomApply(ec.augment.Normalize()).fitted(ec.data.from_arrays((BYTES, Y)).train.facts)
    assert fitted.transform.mean is not None


def test_lists_are_composed():
    crop, flip = ec.augment.CenterCrop(10), ec.augment.RandomHorizontalFlip(1.0)
    assert torch.equal(ec.augment.Compose([crop, flip])(X), flip(crop(X)))
    data = ec.data.from_arrays((BYTES, Y)).augment([crop, flip], evaluation=[crop])
    assert data.train.pipeline.augmentation[0].transforms == (crop, flip)


def test_compose_and_foreign_transforms():
    both = ec.augment.Compose(v2.RandomHorizontalFlip(1.0), lambda images: images / 2)
    images, targets = both(X, tv_tensors.Mask(torch.arange(COUNT * 480).view(COUNT, 24, 20)))
    assert torch.equal(images, X.flip(3) / 2)
    assert torch.equal(targets.as_subclass(torch.Tensor), torch.arange(COUNT * 480).view(COUNT, 24, 20).flip(2))
    mixed_images, labels = as_transform(v2.MixUp(num_classes=3))(X, Y)
    assert labels.shape == (COUNT, 3)
    assert mixed_images.shape == X.shape
    assert torch.equal(as_transform(v2.CenterCrop(10))(X), ec.augment.CenterCrop(10)(X))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ec.augment.Compose("flip"), ArgumentTypeError, r"got 'flip' \(str\)"),
        (lambda: ec.augment.Compose(ec.augment.RandomCrop), ArgumentTypeError, r"got the class RandomCrop. Make one"),
        (
            lambda: ec.augment.Compose(version_one.RandomCrop(3)),
            ArgumentTypeError,
            "is of torchvision.transforms, version 1",
        ),
        (lambda: ec.augment.Compose(lambda x: x.mean())(X), DataError, r"must return images of shape .* got \(\)"),
        (lambda: ec.augment.Compose(lambda x: None)(X), DataError, "got NoneType"),
        (lambda: ec.augment.RandomCrop(0), ArgumentError, "size must be at least 1"),
        (lambda: ec.augment.RandomCrop((1, 2, 3)), ArgumentError, r"one integer, or \(height, width\)"),
        (lambda: ec.augment.RandomCrop(3, padding_mode="mirror"), ArgumentError, "padding_mode"),
        (lambda: ec.augment.RandomHorizontalFlip(1.5), ArgumentError, "p must be at least 0 and at most 1"),
        (lambda: ec.augment.RandomResizedCrop(3, scale=(0.5, 0.1)), ArgumentError, "must begin below its end"),
        (lambda: ec.augment.RandomResizedCrop(3, ratio=(0, 1)), ArgumentError, "ratio must begin above 0"),
        (lambda: ec.augment.RandomResizedCrop(3, scale=0.5), ArgumentTypeError, r"two numbers \(low, high\), got 0.5"),
        (lambda: ec.augment.RandomRotation(-3), ArgumentError, "degrees must be at least 0"),
        (lambda: ec.augment.RandomAffine(3, translate=0.1), ArgumentError, "two shares"),
        (lambda: ec.augment.RandomAffine(3, scale=(0, 1)), ArgumentError, "scale must begin above 0"),
        (lambda: ec.augment.ColorJitter(hue=0.7), ArgumentError, "hue must be at least -0.5"),
        (lambda: ec.augment.ColorJitter(brightness=1e9), ArgumentError, "a share like 0.2"),
        (lambda: ec.augment.RandomErasing(value="noise"), ArgumentError, "'random', got 'noise'"),
        (lambda: ec.augment.RandomErasing(ratio=(0, 1)), ArgumentError, "ratio must begin above 0"),
        (lambda: ec.augment.MixUp(num_classes=1), ArgumentError, "num_classes must be at least 2"),
        (lambda: ec.augment.RandAugment(magnitude=31), ArgumentError, "below num_magnitude_bins=31, got 31"),
        (lambda: ec.augment.RandAugment()(X[:, :2]), DataError, "1 or 3 channels, got 2"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_views():
    ten = ec.augment.TenCrop((10, 12))(X)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(ten, tv.ten_crop(X, [10, 12]), strict=True))
    five = ec.augment.FiveCrop((10, 12))(X)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(five, tv.five_crop(X, [10, 12]), strict=True))
    from easyconv.augment.views import as_views

    views = as_views([ec.augment.CenterCrop(24), lambda images: images + 1])(X)
    assert torch.equal(views[1], X + 1)
    with pytest.raises(DataError, match=r"FlipViews takes images of shape \(N, C, H, W\), got \(3, 24, 20\)"):
        as_views("flip")(X[0])
    with pytest.raises(UnknownNameError, match=r"no kind of test-time augmentation called 'crop'"):
        as_views("crop")
    with pytest.raises(ArgumentTypeError, match="tta must be 'flip'"):
        as_views(3)
