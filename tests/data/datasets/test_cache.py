"""cache(): what a data set gives sample by sample, as one array."""

import time

import numpy as np
import PIL.Image
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset
from torchvision import tv_tensors
from torchvision.transforms import v2

import easyconv as ec
from easyconv.errors import ArgumentTypeError, DataError, DataTypeError, EmptyDataError, SampleError

PIXELS = np.random.default_rng(0).integers(0, 256, (300, 6, 5, 3), dtype=np.uint8)


class Pictures(Dataset):
    """Pictures as torchvision's data sets give them."""

    classes = ("no", "yes")

    def __init__(self, transform=None, pixels=PIXELS):
        self.transform, self.pixels = transform, pixels

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        picture = PIL.Image.fromarray(self.pixels[index])
        return (picture if self.transform is None else self.transform(picture)), index % 2


def test_pictures_become_bytes():
    split = ec.data.cache(Pictures())
    assert torch.equal(split.images, torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    assert split.images.dtype == torch.uint8
    assert torch.equal(split.targets, torch.arange(300) % 2)
    assert split.class_names == ("no", "yes")


def test_floats_that_are_bytes_in_truth_are_kept_as_bytes():
    to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    data = Pictures(to_tensor)
    split = ec.data.cache(data)
    assert split.images.dtype == torch.uint8
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(2)])
    ours = model.predict(split, verbose=0)
    assert ours == pytest.approx(model.predict(data, verbose=0), abs=1e-6)


def test_other_floats_stay_as_they_are_also_when_the_first_batch_looks_like_bytes():
    def half_at_the_end(picture):
        image = torch.from_numpy(np.asarray(picture)).permute(2, 0, 1) / 255
        return image / 2 if image[0, 0, 0] == PIXELS[299, 0, 0, 0] / np.float32(255) else image

    data = Pictures(half_at_the_end)
    split = ec.data.cache(data)
    assert split.images.dtype == torch.float32
    assert torch.equal(split.images, torch.stack([data[row][0] for row in range(300)]))


def test_normalized_samples_and_grey_ones():
    normalize = v2.Compose(
        [v2.Grayscale(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])]
    )
    split = ec.data.cache(Pictures(normalize))
    assert split.images.shape == (300, 1, 6, 5)
    assert split.images.min() < 0


def test_subsets_know_the_names_and_targets_may_be_missing():
    assert ec.data.cache(Subset(Pictures(), [3, 1])).class_names == ("no", "yes")
    bare = ec.data.cache(TensorDataset(torch.rand(4, 1, 2, 2)))
    assert bare.targets is None
    assert len(bare) == 4


def test_masks_stay_masks():
    class Segments(Pictures):
        def __getitem__(self, index):
            image, _ = super().__getitem__(index)
            return image, tv_tensors.Mask(torch.from_numpy(self.pixels[index, :, :, 0] > 100))

    split = ec.data.cache(Segments())
    assert isinstance(split.targets, tv_tensors.Mask)
    assert torch.equal(split.targets.as_subclass(torch.Tensor), torch.from_numpy(PIXELS[..., 0] > 100))


def test_boxes_and_odd_pictures():
    class Found(Pictures):
        def __getitem__(self, index):
            picture = PIL.Image.fromarray(self.pixels[index]).convert(["1", "I", "LA", "F"][index % 4])
            return picture, tv_tensors.BoundingBoxes([[1, 2, 3, 4 + index % 2]], format="XYXY", canvas_size=(6, 5))

    split = ec.data.cache(Found())
    assert split.images.shape == (300, 1, 6, 5)
    assert isinstance(split.targets, tv_tensors.BoundingBoxes)
    assert split.targets[:2].tolist() == [[1, 2, 3, 4], [1, 2, 3, 5]]


@pytest.mark.parametrize("kept", [True, False])
def test_a_part_of_a_data_set_keeps_its_transforms_and_names(tmp_path, kept):
    for name in ("no", "yes"):
        (tmp_path / name).mkdir()
        for row in range(4):
            PIL.Image.fromarray(PIXELS[row]).save(tmp_path / name / f"{row}.png")
    data = ec.data.image_folder(tmp_path, size=6, cache="memory" if kept else "none")
    part = data.normalize().augment(ec.augment.RandomHorizontalFlip(1.0)).train.subset([1, 4, 6])
    cached = ec.data.cache(part)
    assert (cached.class_names, cached.files, cached.pipeline) == (part.class_names, part.files, part.pipeline)
    assert torch.equal(cached.images, torch.stack([part[row][0] for row in range(3)]))
    assert cached.targets.tolist() == part.targets.tolist()
    assert cached.in_memory
    assert ec.data.cache(part, class_names=["never", "always"]).class_names == ("never", "always")


def test_workers_read_the_same():
    assert torch.equal(ec.data.cache(Pictures(), num_workers=2).images, ec.data.cache(Pictures()).images)


def test_the_random_state_is_left_alone():
    state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    ec.data.cache(Pictures())
    assert torch.equal(torch.get_rng_state(), state[0])
    assert np.random.get_state()[1].tolist() == state[1]


class Broken(Pictures):
    samples = tuple((f"pictures/{row}.jpg", 0) for row in range(300))

    def __getitem__(self, index):
        if index == 17:
            raise OSError("image file is truncated")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ec.data.cache(Pictures(v2.RandomCrop(3))), DataError, "is another one each time it is read"),
        (lambda: ec.data.cache([]), EmptyDataError, "is empty"),
        (lambda: ec.data.cache(iter([])), ArgumentTypeError, "with __getitem__ and __len__, got list_iterator"),
        (lambda: ec.data.cache(torch.utils.data.DataLoader(Pictures())), ArgumentTypeError, "Pass loader.dataset"),
        (
            lambda: ec.data.cache(type("Stream", (IterableDataset,), {"__iter__": iter})()),
            ArgumentTypeError,
            "got Stream",
        ),
        (lambda: ec.data.cache([{"a": 1}]), DataError, r"samples \(image, target\), got one dict"),
        (lambda: ec.data.cache([(1, 2, 3)]), DataError, "got a tuple of 3"),
        (lambda: ec.data.cache([(torch.zeros(3), 0)]), DataError, r"\(C, H, W\) or \(H, W\), got \(3,\)"),
        (
            lambda: ec.data.cache([(torch.zeros(1, 2, 2), 0), (torch.zeros(1, 3, 2), 0)]),
            DataError,
            r"one shape, got \(1, 2, 2\) and \(1, 3, 2\)",
        ),
        (
            lambda: ec.data.cache([(torch.zeros(1, 2, 2), "cat")]),
            DataTypeError,
            r"the target 'cat' \(str\). Number the classes, and pass their names as class_names",
        ),
        (
            lambda: ec.data.cache([(PIXELS[0], 1)]),
            DataError,
            r"channels first, \(C, H, W\), got \(6, 5, 3\). .* array.transpose\(2, 0, 1\)",
        ),
        (
            lambda: ec.data.cache(Subset(Broken(), [17])),
            SampleError,
            r"Sample 0 .*could not be read: OSError: image file is truncated",
        ),
        (
            lambda: ec.data.cache(Broken()),
            SampleError,
            r"Sample 17 \('pictures/17.jpg'\) could not be read: OSError: im",
        ),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


# --- the notice of a loader that could be cached ----------------------------------------------------------------------


class Slow(Pictures):
    def __getitem__(self, index):
        time.sleep(0.005)
        image, label = super().__getitem__(index)
        return torch.from_numpy(np.asarray(image)).permute(2, 0, 1) / 255, label


def fit_on(data, **arguments):
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(2)])
    model.compile()
    model.fit(torch.utils.data.DataLoader(data, batch_size=50), verbose=0, **arguments)


def test_a_slow_loader_gets_one_notice():
    data = Slow()
    with pytest.warns(ec.errors.EasyconvWarning, match=r"From memory the same batches take 0\.\d\d seconds"):
        fit_on(data, epochs=2)
    fit_on(data)


def test_a_single_stall_is_no_cost_of_reading():
    class Stalling(Pictures):
        def __getitem__(self, index):
            if index == 120:
                time.sleep(1.5)
            image, label = super().__getitem__(index)
            return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255, label

    fit_on(Stalling())


def test_no_notice_where_samples_are_random_or_quick():
    class Random(Slow):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return image + torch.rand(1), label

    fit_on(Random())
    fit_on(Pictures(v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])))
