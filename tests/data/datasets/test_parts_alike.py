"""Parts of a data set, and data beside that which a net was trained on, mean the same: scale, channels, classes."""

import warnings

import PIL.Image
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

import easyconv as ec
from easyconv.errors import DataError, EasyconvWarning, LabelError

IMAGES = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 3
NAMES = ("ant", "bee", "cat")


def part(images=IMAGES, names=NAMES):
    return ec.data.ArraySplit(images, LABELS, class_names=names)


def trained(data, **arguments):
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(3)])
    model.compile("sgd", lr=0.01)
    model.fit(data, verbose=0, **arguments)
    return model


@pytest.mark.parametrize(
    ("test", "error", "text"),
    [
        (part(IMAGES[:, :1]), DataError, "test has pictures of 1 channels, and train has 3"),
        (
            part(IMAGES.float()),
            DataError,
            r"test has pixels beyond \[0, 1\], and train has bytes or floats in \[0, 1\]",
        ),
        (part(names=("ant", "cat", "bee")), LabelError, "'cat' is class 1 in test, and class 2 in train"),
        (part(names=("bee", "cat", "dog")), LabelError, "'bee' is class 0 in test, and class 1 in train"),
    ],
)
def test_parts_that_mean_something_else_are_refused(test, error, text):
    with pytest.raises(error, match=text):
        ec.data.Splits(part(), test=test)


def test_the_part_that_is_out_of_range_is_named():
    with pytest.raises(DataError, match=r"train has pixels beyond \[0, 1\], and test has bytes"):
        ec.data.Splits(part(IMAGES.float()), test=part())


def test_floats_in_the_unit_range_are_like_bytes_and_names_may_be_missing():
    ec.data.Splits(part(), test=part(IMAGES.float() / 255))
    ec.data.Splits(part(), test=part(names=None))
    ec.data.Splits(part(names=(*NAMES, "dog")), test=part())


def test_floats_beyond_the_unit_range_train_and_leave_no_preprocessing():
    wide = part(IMAGES.float()).normalize()
    assert wide.preprocessing is None
    model = trained(wide)
    assert model.preprocessing is None
    with pytest.raises(ec.errors.StateError, match="preprocessing"):
        model.classify(IMAGES[0])


def test_evaluation_refuses_other_numbers_of_classes():
    model = trained(part())
    with pytest.raises(
        LabelError, match="'cat' is class 1 in this data, and class 2 in the data that the net was trai"
    ):
        model.evaluate(part(names=("ant", "cat", "bee")), verbose=0)
    model.predict(part(names=("ant", "cat", "bee")), verbose=0)
    with pytest.raises(LabelError, match="class 1 in validation_data, and class 2 in the data that is trained on"):
        model.fit(part(), validation_data=part(names=("ant", "cat", "bee")), verbose=0)


def test_a_folder_with_fewer_classes_is_refused_by_itself(tmp_path):
    for name in ("train/ant", "train/bee", "test/bee"):
        (tmp_path / name).mkdir(parents=True)
        for row in range(4):
            picture = PIL.Image.fromarray(IMAGES[row].permute(1, 2, 0).numpy())
            picture.save(tmp_path / name / f"{row}.png")
    model = trained(ec.data.image_folder(tmp_path / "train", size=8, cache="memory").train)
    alone = ec.data.image_folder(tmp_path / "test", size=8, cache="memory").train
    with pytest.raises(LabelError, match=r"'bee' is class 0 in this data, and class 1 in .*folder per class"):
        model.evaluate(alone, verbose=0)


@pytest.mark.parametrize(
    ("trained_on", "given", "text"),
    [
        (part().normalize(), part(), r"images are not normalized, .* trained on images that are normalized by mean \("),
        (part(), part().normalize(), r"images are normalized by mean .*trained on images that are not normalized"),
        (part().normalize(), part().normalize([0.5], [0.25]), r"by mean \(0.5\) and std \(0.25\), .* by mean \("),
        (part().normalize(), IMAGES, r"images lie in \[0, 1\] \(bytes are divided by 255, and nothing else\)"),
        (part().normalize(), IMAGES.float() / 255, r"images lie in \[0, 1\] .* went through model.preprocessing"),
    ],
)
def test_images_of_another_scale_are_noticed(trained_on, given, text):
    model = trained(trained_on)
    data = (given, LABELS) if isinstance(given, torch.Tensor) else (given,)
    with pytest.warns(EasyconvWarning, match=text):
        model.evaluate(*data, verbose=0)
    with pytest.warns(EasyconvWarning, match=text):
        model.predict(given, verbose=0)
    with pytest.warns(EasyconvWarning, match=text):
        model.fit(trained_on, validation_data=data if len(data) == 2 else given, verbose=0)


def batches():
    yield IMAGES[:20].float() / 255, LABELS[:20]


@pytest.mark.parametrize(
    "bare",
    [
        lambda: DataLoader(TensorDataset(IMAGES, LABELS), 20),
        lambda: [(IMAGES[:20], LABELS[:20])],
        lambda: batches(),
        lambda: Own(part()),
    ],
)
def test_so_they_are_wherever_they_come_from(bare):
    model = trained(part().normalize())
    with pytest.warns(EasyconvWarning, match=r"images lie in \[0, 1\]"):
        model.evaluate(bare(), verbose=0)
    with pytest.warns(EasyconvWarning, match=r"images lie in \[0, 1\]"):
        trained(part().normalize(), validation_data=bare(), validation_steps=1)


class Own(Dataset):
    """Takes pictures out of a part, which gives them as they are kept."""

    def __init__(self, split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, row):
        image, label = self.split[row]
        return image, int(label)


def test_parts_that_are_normalized_by_other_numbers_are_refused():
    for one, other in ((part().normalize(), part()), (part(), part().normalize())):
        with pytest.raises(
            DataError, match=r"test is normalized by other numbers than train\. Normalize them together"
        ):
            ec.data.Splits(one, test=other)
    together = ec.data.Splits(part(), test=part(255 - IMAGES)).normalize()
    assert together.test.preprocessing.normalization == together.train.preprocessing.normalization


def test_data_without_names_leaves_those_of_the_head():
    model = trained(part())
    model.replace_head(3, class_names=["u", "v", "w"])
    model.fit(part(names=None), verbose=0)
    assert model.preprocessing.categories == ("u", "v", "w")
    model.fit(part(), verbose=0)
    assert model.preprocessing.categories == NAMES


@pytest.mark.parametrize("trained_on", [part(), part().normalize(), part().normalize([0.5], [0.25])])
def test_images_of_the_same_scale_are_not(trained_on):
    model = trained(trained_on, validation_data=trained_on)
    model.evaluate(trained_on, verbose=0)
    model.predict(model.preprocessing(IMAGES), verbose=0)
    model.predict(torch.randn(4, 3, 8, 8), verbose=0)


def test_scales_that_nobody_can_tell_are_left_alone():
    model = trained(part())
    model.preprocessing = ec.data.Preprocessing(lambda image: image.float() - 3)
    model.predict(IMAGES.float() / 255, verbose=0)
    model.predict(part().normalize(), verbose=0)


def test_a_grey_net_classifies_pictures_without_a_warning_of_torch():
    model = trained(part(IMAGES[:, :1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers = model.classify([PIL.Image.fromarray(image[0].numpy()) for image in IMAGES[:3]])
    assert {answer.label for answer in answers} <= set(NAMES)
    with pytest.raises(DataError, match=r"shape \(1, H, W\).*Make coloured images grey: .*rgb_to_grayscale\(images\)"):
        model.classify(IMAGES[0])
