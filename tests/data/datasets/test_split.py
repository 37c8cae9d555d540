"""Splits: every part goes into the verbs, is cut, transformed and shown."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset, random_split
from torchvision import tv_tensors
from torchvision.transforms import v2

import easyconv as ec
from easyconv.data.datasets import array_split
from easyconv.data.sources.batch import Batch
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DataTypeError,
    EmptyDataError,
    LabelError,
    LengthError,
    StateError,
)

IMAGES = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 4
NAMES = ["ant", "bee", "cat", "dog"]


def make(**arguments):
    return ec.data.from_arrays((IMAGES, LABELS), class_names=NAMES, **arguments)


def net():
    ec.set_seed(0)
    model = ec.Sequential([ec.layers.Conv2D(4, 3, activation="relu"), ec.layers.Flatten(), ec.layers.Dense(4)])
    model.compile("sgd", lr=0.1, metrics=["accuracy"])
    return model


class Seen(ec.Model):
    """Keeps what reaches it."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.LazyLinear(4)
        self.seen = {True: [], False: []}

    def forward(self, x):
        self.seen[self.training].append(x.detach().clone())
        return self.head(x.flatten(1))


def seen_by(fit_on, **arguments):
    model = Seen()
    model.compile("sgd", lr=1e-9)
    model.predict(fit_on.pictures([0]).float() / 255)
    model.seen = {True: [], False: []}
    model.fit(fit_on, batch_size=10, shuffle=False, verbose=0, seed=0, **arguments)
    return {mode: torch.cat(images) for mode, images in model.seen.items() if images}


# --- in the verbs -----------------------------------------------------------------------------------------------------


def test_without_transforms_a_split_trains_like_its_arrays():
    data, one, other = make(), net(), net()
    mine = one.fit(data.train, epochs=2, batch_size=8, seed=3, verbose=0)
    plain = other.fit(IMAGES, LABELS, epochs=2, batch_size=8, seed=3, verbose=0)
    assert mine.history == plain.history
    assert np.array_equal(one.predict(data.train), other.predict(IMAGES))
    assert one.evaluate(data.train, verbose=0) == other.evaluate(IMAGES, LABELS, verbose=0)


def test_validation_split_of_a_split_keeps_its_transforms_and_does_not_augment():
    class Loud(ec.augment.RandomHorizontalFlip):
        def apply(self, images, targets, at):
            return images + 100, targets

    seen = seen_by(make().train.augment(Loud()), validation_split=0.25)
    assert len(seen[True]) == 30
    assert seen[True].min() >= 100
    held = seen[False][-10:]
    assert held.max() <= 1
    originals = {tuple(image.flatten().tolist()) for image in IMAGES.float() / 255}
    assert all(tuple(image.flatten().tolist()) in originals for image in held)


def test_validation_never_sees_augmentation():
    data = make(validation_split=0.25).augment(ec.augment.RandomErasing(p=1.0))
    seen = seen_by(data.train, validation_data=data.validation)
    wanted = data.validation.images.float() / 255
    assert torch.equal(seen[False][-len(wanted) :], wanted)
    assert not torch.equal(seen[True], data.train.images.float() / 255)


def test_evaluation_transforms_take_the_place_of_augmentation():
    data = make(validation_split=0.25)
    data = data.augment(ec.augment.RandomCrop(6), evaluation=[ec.augment.CenterCrop(6)])
    seen = seen_by_cropping(data)
    assert torch.equal(seen[False][-10:], data.validation.images[:, :, 1:7, 1:7].float() / 255)
    assert seen[True].shape == (30, 3, 6, 6)


def seen_by_cropping(data):
    model = Seen()
    model.compile("sgd", lr=1e-9)
    model.predict(torch.zeros(1, 3, 6, 6))
    model.seen = {True: [], False: []}
    model.fit(data.train, validation_data=data.validation, batch_size=10, verbose=0, seed=0)
    assert model.predict(data.validation).shape == (10, 4)
    return {mode: torch.cat(images) for mode, images in model.seen.items()}


def test_transforms_run_in_the_order_in_which_they_are_named():
    data = make().normalize([0.5] * 3, [0.5] * 3).augment(lambda x: x + 1).augment(lambda x: x * 2)
    batch = data.train.transform(Batch(IMAGES.float() / 255, LABELS), training=True)
    torch.testing.assert_close(batch.x, ((IMAGES.float() / 255 + 1) * 2 - 0.5) / 0.5)


def test_normalize_takes_the_statistics_of_the_training_part():
    data = make(validation_split=0.25)
    pixels = data.train.images.double() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3), correction=0)
    assert data.mean == pytest.approx(mean.tolist(), abs=1e-12)
    assert data.std == pytest.approx(std.tolist(), abs=1e-12)
    seen = seen_by(data.normalize().train, validation_data=data.normalize().validation)
    wanted = (data.validation.images.double() / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.testing.assert_close(seen[False][-10:].double(), wanted, atol=1e-6, rtol=0)
    assert seen[True].mean((0, 2, 3)).abs().max() < 1e-5


def test_one_seed_gives_the_same_augmented_batches_and_epochs_differ():
    data = make().augment(ec.augment.RandomCrop(8, padding=2), ec.augment.RandomHorizontalFlip())
    first, again = seen_by(data.train, epochs=2), seen_by(data.train, epochs=2)
    assert torch.equal(first[True], again[True])
    assert not torch.equal(first[True][:40], first[True][40:])


def test_a_second_fit_draws_as_one_long_fit_does():
    data = make().augment(ec.augment.RandomCrop(8, padding=2))
    long, short = net(), net()
    long.fit(data.train, epochs=4, batch_size=8, seed=1, verbose=0)
    short.fit(data.train, epochs=2, batch_size=8, seed=1, verbose=0)
    short.fit(data.train, epochs=4, initial_epoch=2, batch_size=8, seed=1, verbose=0)
    assert all(torch.equal(a, b) for a, b in zip(long.parameters(), short.parameters(), strict=True))


def test_alternating_flip_shows_every_image_both_ways_in_two_epochs():
    data = make().augment(ec.augment.AlternatingFlip())
    model = Seen()
    model.compile("sgd", lr=1e-9)
    model.predict(torch.zeros(1, 3, 8, 8))
    model.seen = {True: [], False: []}
    model.fit(data.train, epochs=4, batch_size=7, verbose=0, seed=0)
    shown = torch.cat(model.seen[True]).view(4, 40, 3, 8, 8)
    images = IMAGES.float() / 255
    for epoch in (0, 1, 2):
        pair = shown[epoch : epoch + 2].flatten(0, 1)
        for image in images:
            as_is = (pair == image).flatten(1).all(1).sum()
            mirrored = (pair == image.flip(2)).flatten(1).all(1).sum()
            assert (as_is, mirrored) == (1, 1)


def test_a_loader_of_a_split_and_what_torch_cuts_of_it_keep_the_transforms():
    data = make().normalize()
    wanted = net().evaluate(data.train, verbose=0)
    assert net().evaluate(DataLoader(data.train, batch_size=32), verbose=0) == pytest.approx(wanted, rel=1e-6)
    part, _ = random_split(data.train, [10, 30], torch.Generator().manual_seed(0))
    whole = net().predict(data.train)
    assert np.allclose(net().predict(part), whole[list(part.indices)], atol=1e-6)
    assert np.allclose(net().predict(Subset(part, [1, 3])), whole[[part.indices[1], part.indices[3]]], atol=1e-6)


def test_joined_splits_keep_the_transforms_that_they_share():
    from torch.utils.data import ConcatDataset

    data = make(validation_split=0.25).normalize()
    joined = ConcatDataset([data.train, Subset(data.validation, [1, 0])])
    wanted = np.concatenate([net().predict(data.train), net().predict(data.validation.subset([1, 0]))])
    assert np.allclose(net().predict(joined), wanted, atol=1e-6)
    with pytest.raises(DataError, match="joined have different transforms"):
        net().fit(ConcatDataset([data.train, make().train]), verbose=0)
    with pytest.raises(DataError, match="joined have different transforms"):
        net().fit(ConcatDataset([data.train, TensorDataset(torch.rand(4, 3, 8, 8), LABELS[:4])]), verbose=0)


@pytest.mark.parametrize(
    "cut",
    [
        lambda a, b: a + b,
        lambda a, b: ConcatDataset([Subset(a, range(len(a))), b]),
        lambda a, b: Subset(a + b, range(len(a) + len(b))),
    ],
)
def test_joined_parts_keep_their_transforms_through_validation_split_and_cache(cut):
    data = make().augment(ec.augment.RandomCrop(6), evaluation=ec.augment.CenterCrop(6)).normalize()
    joined = cut(data.train.subset(range(20)), data.train.subset(range(20, 40)))
    model = Seen()
    model.compile("sgd", lr=1e-9)
    model.fit(joined, validation_split=0.25, verbose=0)
    assert {images.shape[-1] for images in (*model.seen[True], *model.seen[False])} == {6}
    assert model.preprocessing.normalization == data.train.preprocessing.normalization
    cached = ec.data.cache(joined)
    assert cached.pipeline == data.train.pipeline
    assert cached.class_names == tuple(NAMES)
    assert torch.equal(cached.images, IMAGES)


def test_grey_pictures_reach_a_net_for_colours_through_prepare():
    data = ec.data.from_arrays((IMAGES[:, :1], LABELS)).prepare(lambda x: x.expand(-1, 3, -1, -1))
    model = ec.Sequential([ec.layers.Conv2D(4, 3), ec.layers.Flatten(), ec.layers.Dense(4)], input_shape=(3, 8, 8))
    model.compile()
    model.fit(data.train, verbose=0)
    assert model.predict(data.train).shape == (40, 4)


def test_mixed_labels_train_and_are_measured():
    data = make().augment(ec.augment.MixUp())
    history = net().fit(data.train, batch_size=8, verbose=0, seed=0)
    assert 0 <= history.history["accuracy"][0] <= 1


def test_masks_move_along_with_their_images():
    masks = (IMAGES[:, :1] > 127).to(torch.uint8)
    data = ec.data.from_arrays((IMAGES, tv_tensors.Mask(masks))).augment(ec.augment.RandomHorizontalFlip(p=1.0))
    batch = data.train.transform(Batch(IMAGES.float() / 255, masks), training=True)
    assert torch.equal(batch.x, IMAGES.flip(3).float() / 255)
    assert torch.equal(batch.y, masks.flip(3))
    assert type(batch.y) is torch.Tensor


@pytest.mark.parametrize("lead", [(), (1,)])
def test_masks_may_change_their_size_with_their_images(lead):
    masks = (IMAGES[:, 0] > 127).to(torch.uint8).view(40, *lead, 8, 8)
    data = ec.data.from_arrays((IMAGES, tv_tensors.Mask(masks)), validation_split=0.25)
    data = data.augment(ec.augment.RandomCrop(6), evaluation=ec.augment.CenterCrop(6))
    model = ec.Sequential([ec.layers.Conv2D(2, 3, padding=1)])
    model.compile("sgd", lr=0.1, metrics=["accuracy"])
    history = model.fit(data.train, validation_data=data.validation, verbose=0, seed=0)
    assert len(history.history["val_loss"]) == 1
    cut = data.train.transform(Batch(data.train.images.float() / 255, data.train.targets))
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(model.predict(cut.x)), cut.y.view(-1, 6, 6).long())
    assert model.evaluate(data.train, verbose=0)[0] == pytest.approx(loss.item(), rel=1e-5)


def test_several_masks_change_their_size_too():
    class Two(ec.Model):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x):
            return tuple(self.conv(x).chunk(2, 1))

    masks = tuple((IMAGES[:, channel] > 127).to(torch.uint8) for channel in (0, 1))
    data = ec.data.from_arrays((IMAGES, tuple(map(tv_tensors.Mask, masks)))).prepare(ec.augment.Resize(4))
    model = Two()
    model.compile("sgd", lr=0.1, loss=["cross_entropy", "cross_entropy"])
    model.fit(data.train, verbose=0)
    with pytest.raises(DataError, match="y must be a tuple of 2 arrays"):
        model.fit(ec.data.from_arrays((IMAGES, LABELS)).train, verbose=0)


def test_masks_of_another_size_than_the_output_are_refused_with_their_own_shape():
    masks = tv_tensors.Mask((IMAGES[:, 0, :7] > 127).to(torch.uint8))
    model = ec.Sequential([ec.layers.Conv2D(2, 3, padding=1)])
    model.compile("sgd", lr=0.1)
    with pytest.raises(LabelError, match=r"labels of shape \(N, 8, 8\) .* a tensor \(40, 7, 8\)|got .*\(40, 7, 8\)"):
        model.fit(ec.data.from_arrays((IMAGES, masks)).train, verbose=0)


def test_functions_of_images_are_noticed_where_masks_would_have_to_move():
    data = ec.data.from_arrays((IMAGES, tv_tensors.Mask(IMAGES[:, 0])))
    for call in (data.augment, data.train.prepare):
        with pytest.warns(ec.errors.EasyconvWarning, match="A function gets the images alone, and the masks or boxes"):
            call([v2.RandomHorizontalFlip(), lambda images: images.flip(3)] if call == data.augment else torch.square)
    make().augment(torch.square)


def test_transforms_of_torchvision_that_draw_are_told_from_those_that_do_not():
    for random in (v2.RandomRotation(90), v2.Compose([v2.Resize(8), v2.GaussianNoise()]), v2.MixUp(num_classes=4)):
        with pytest.raises(ArgumentError, match=r"prepare\(\) is for batches that .* draws at random"):
            make().prepare(random)
    state = torch.get_rng_state()
    make().prepare(v2.Compose([v2.Resize(8), v2.CenterCrop(6)]), v2.Grayscale(3))
    assert torch.equal(torch.get_rng_state(), state)


def test_plain_masks_are_noticed_where_pixels_move():
    data = ec.data.from_arrays((IMAGES, IMAGES[:, 0].long()))
    data.augment(ec.augment.GaussianNoise())
    for transform in (ec.augment.RandomApply(ec.augment.RandomVerticalFlip()), v2.RandomHorizontalFlip()):
        with pytest.warns(ec.errors.EasyconvWarning, match=r"stay where they are .*tv_tensors\.Mask\(targets\)"):
            data.augment(transform)


# --- what a split is --------------------------------------------------------------------------------------------------


def test_a_split_is_a_data_set():
    split = make().train
    image, label = split[-1]
    assert torch.equal(image, IMAGES[39])
    assert (label, len(split), split.size, split.channels) == (3, 40, (8, 8), 3)
    with pytest.raises(IndexError, match="There are 40 pictures, so no number 40"):
        split[40]
    again = pickle.loads(pickle.dumps(make().augment(ec.augment.RandomCrop(6)).train))
    assert torch.equal(again.images, IMAGES)
    assert repr(split) == "<ArraySplit: 40 pictures of 3x8x8, uint8 in memory, 4 classes>"
    assert "train:      <ArraySplit: 30 pictures" in repr(make(validation_split=0.25))
    assert split[np.int64(3)][1] == 3


def test_subset():
    split = make().train
    assert torch.equal(split.subset([3, 1]).images, IMAGES[[3, 1]])
    assert split.subset(slice(5, 8)).targets.tolist() == [1, 2, 3]
    assert split.subset(slice(5, 8)).images.data_ptr() == split.images[5:].data_ptr()


@pytest.mark.parametrize("shuffle", [True, False])
def test_large_parts_are_not_copied_and_train_alike(monkeypatch, shuffle):
    def history(data):
        model = net()
        model.fit(
            data.train, validation_data=data.validation, epochs=2, batch_size=7, shuffle=shuffle, seed=1, verbose=0
        )
        found = [*model.history.history["loss"], *model.history.history["val_loss"]]
        return found, model.predict(data.validation), model.predict(data.train.subset([5, 2, 9]))

    copied = make(validation_split=0.25).normalize()
    monkeypatch.setattr(array_split, "_COPIED", 0)
    data = make()
    held = data.hold_out(0.25).normalize()
    assert held.train._base.data_ptr() == data.train._base.data_ptr()
    assert torch.equal(held.train.images, copied.train.images)
    assert torch.equal(held.train.subset([5, 2, 9]).images, copied.train.images[[5, 2, 9]])
    assert (held.mean, held.std) == (copied.mean, copied.std)
    for one, other in zip(history(held), history(copied), strict=True):
        assert np.array_equal(one, other)
    assert held.train.subset([5, 2]).subset([1])._rows.tolist() == [held.train._rows[2].item()]
    ec.data.describe(held)
    held.train.show(3)


def test_subset_by_mask_and_from_the_end():
    split = make().train
    assert torch.equal(split.subset(LABELS == 2).images, IMAGES[LABELS == 2])
    assert torch.equal(split.subset(np.array([-1])).images, IMAGES[-1:])
    assert torch.equal(split.subset(range(3)).images, IMAGES[:3])
    assert torch.equal(split.subset(slice(None, None, -1)).images, IMAGES.flip(0))


def test_bytes_that_are_only_scaled_are_noticed_where_more_is_wanted():
    model, data = net(), make().normalize()
    model.fit(data.train, verbose=0)
    for call in (lambda: model.predict(IMAGES), lambda: model.evaluate(IMAGES, LABELS, verbose=0)):
        with pytest.warns(ec.errors.EasyconvWarning, match="divided by 255, and nothing else"):
            call()
    right = model.predict(data.train)
    assert np.allclose(model.predict(model.preprocessing(IMAGES)), right, atol=1e-5)
    plain = net()
    plain.fit(make().train, verbose=0)
    plain.predict(IMAGES)


def test_methods_leave_the_split_alone():
    data = make()
    data.augment(ec.augment.RandomErasing(p=1.0)).normalize()
    batch = Batch(IMAGES.float() / 255, LABELS)
    assert torch.equal(data.train.transform(batch, training=True).x, batch.x)


def test_hold_out_is_stratified_disjoint_and_the_same_each_time():
    data = ec.data.from_arrays((IMAGES[:37], LABELS[:37])).hold_out(0.3, seed=5)
    counts = torch.bincount(data.validation.targets, minlength=4)
    exact = torch.bincount(LABELS[:37], minlength=4) * 0.3
    assert ((counts - exact).abs() < 1).all()
    rows = {tuple(image.flatten().tolist()) for image in data.train.images}
    assert not rows & {tuple(image.flatten().tolist()) for image in data.validation.images}
    assert torch.equal(
        data.validation.images, ec.data.from_arrays((IMAGES[:37], LABELS[:37])).hold_out(0.3, seed=5).validation.images
    )
    # Of a fixed seed the very pictures, so that a change in torch or in the code shows.
    assert data.validation.targets.tolist() == [0, 0, 2, 0, 1, 1, 1, 2, 3, 2, 3]


def test_pictures_are_shown(tmp_path):
    data = make().augment(ec.augment.MixUp()).normalize()
    figure = data.show(6, path=tmp_path / "shown.png")
    assert {axes.get_title() for axes in figure.axes} <= set(NAMES)
    assert len(figure.axes) == 6
    titles = [axes.get_title() for axes in data.show_batch(12).axes]
    assert any("%" in title for title in titles)
    state = torch.get_rng_state()
    data.show_batch(4)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_shown_batch_has_its_colours_back():
    data = make().normalize()
    rows = data.train._some(4, 0)
    drawn = [axes.images[0].get_array() for axes in data.show_batch(4).axes]
    for picture, image in zip(drawn, IMAGES[rows], strict=True):
        assert np.abs(np.asarray(picture) - image.permute(1, 2, 0).numpy() / 255).max() < 1e-5


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: make().normalize().normalize(), ArgumentError, "normalized already"),
        (
            lambda: net().fit(make().train, sample_weight=np.ones(40)),
            DataError,
            "sample_weight must be left out where x is a ArraySplit: weigh classes with class_weight=",
        ),
        (
            lambda: net().fit(DataLoader(make().augment(ec.augment.AlternatingFlip()).train, 8), verbose=0),
            StateError,
            "a DataLoader, which does not tell the numbers",
        ),
        (lambda: make(validation_split=0.2).hold_out(), ArgumentError, "8 pictures to validate on already"),
        (lambda: net().fit(make(), verbose=0), DataTypeError, "Pass data.train to fit"),
        (lambda: net().fit(make().train, LABELS, verbose=0), DataError, "y must be left out where x is a ArraySplit"),
        (lambda: ec.data.Splits(IMAGES), ArgumentTypeError, "train must be a Split, .* got Tensor"),
        (lambda: ec.data.from_arrays(IMAGES), DataError, r"train must be a pair \(images, targets\), got Tensor"),
        (lambda: ec.data.from_arrays(None), DataTypeError, "got None"),
        (lambda: ec.data.from_arrays((IMAGES, LABELS[:3])), LengthError, "40 pictures and 3 targets"),
        (lambda: ec.data.from_arrays((IMAGES.permute(0, 2, 3, 1), LABELS)), DataError, "channels last"),
        (lambda: ec.data.from_arrays((IMAGES.flatten(1), LABELS)), DataError, "must be images of shape"),
        (lambda: ec.data.from_arrays((IMAGES, LABELS), class_names=["a"]), LengthError, "1 names, .* target 3"),
        (lambda: ec.data.from_arrays((IMAGES, LABELS), class_names=["a", "a"]), LabelError, "got 'a' twice"),
        (lambda: ec.data.from_arrays((IMAGES, LABELS), class_names="ab"), ArgumentTypeError, "must be a list of names"),
        (lambda: ec.data.ArraySplit(IMAGES.long()), DataTypeError, "uint8 or floats, got torch.int64"),
        (lambda: ec.data.ArraySplit(IMAGES[0]), DataError, r"shape \(N, C, H, W\), got \(3, 8, 8\)"),
        (lambda: make().augment("flip"), ArgumentTypeError, "flip"),
        (lambda: make().prepare(ec.augment.RandomCrop(6)), ArgumentError, r"prepare\(\) is for .* RandomCrop draws at"),
        (
            lambda: make().augment(evaluation=[ec.augment.RandomApply(ec.augment.GaussianBlur(3))]),
            ArgumentError,
            "evaluation= is for batches that the net does not train on",
        ),
        (
            lambda: make().augment(ec.augment.Normalize(), ec.augment.ColorJitter(), evaluation=ec.augment.Normalize()),
            ArgumentError,
            "comes after a normalization",
        ),
        (lambda: make().augment(ec.augment.Normalize()), ArgumentError, "normalizes training only, .* everywhere else"),
        (
            lambda: make().augment(evaluation=ec.augment.Normalize()),
            ArgumentError,
            r"normalizes evaluation only, .* in training. Pass the normalization to normalize\(\) or prepare\(\)",
        ),
        (lambda: make().normalize([127], [50]), ArgumentError, r"of pixels in \[0, 1\], got mean=\(127.0,\)"),
        (lambda: make().normalize([0.5, 0.5], [1, 1]), DataError, "has 2 numbers per argument, .* have 3 channels"),
        (
            lambda: make().train[:5],
            ArgumentTypeError,
            r"the number of one picture, got slice.*split.subset\(slice\(5\)\)",
        ),
        (lambda: make().train["3"], ArgumentTypeError, r"got '3' \(str\)"),
        (
            lambda: make(validation=(IMAGES, LABELS), validation_split=0.2),
            ArgumentError,
            "validation_split=0.2 makes no sense beside validation=",
        ),
        (lambda: make().hold_out(0.001), DataError, "validation=0.001 of 40 samples leaves the validation part empty"),
        (
            lambda: ec.data.from_arrays((IMAGES.float(), LABELS)).augment(ec.augment.GaussianNoise()),
            ArgumentError,
            r"GaussianNoise takes images in \[0, 1\], .* after the images, which go beyond \[0, 1\]",
        ),
        (lambda: make().hold_out(1.5), ArgumentError, "validation must be more than 0 and less than 1"),
        (lambda: make().train.subset([]), EmptyDataError, "No row is left of 40"),
        (lambda: make().train.subset([40]), DataError, "There are 40 rows, .* got numbers from 40 to 40"),
        (lambda: make().train.subset([True]), DataError, "A mask must have a bool for each of the 40 rows, got 1"),
        (lambda: make().train.subset([0.5]), DataTypeError, "chosen by whole numbers in a list, got torch.float32"),
        (lambda: make().train.subset("all"), DataTypeError, "a slice or a mask, got str"),
        (lambda: seen_by(make().train.augment(lambda x: x[:2])), DataError, "keep the number of samples"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
