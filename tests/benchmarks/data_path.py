"""What a batch costs: a ``DataLoader`` over pictures beside the cached path, and transforms beside torchvision's.

Run it with ``make bench-data``. Rounds are interleaved; what counts are the ratios within a round. MNIST is read from
the folder that ``EASYCONV_DATA`` names, and takes the place of pictures of noise where it is there.
"""

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import PIL.Image
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

import easyconv as ec

ROUNDS = 5
BATCH = 64
SAMPLES = 6400
MEAN, STD = 0.1307, 0.3081


def images_and_labels() -> tuple[torch.Tensor, torch.Tensor]:
    """MNIST, or noise of its size."""
    try:
        train = ec.data.load("mnist", download=False).train
        return train.images[:SAMPLES], train.targets[:SAMPLES]
    except ec.errors.FileMissingError:
        print("(no MNIST: pictures of noise)")
        return torch.randint(0, 256, (SAMPLES, 1, 28, 28), dtype=torch.uint8), torch.arange(SAMPLES) % 10


class Pictures(Dataset):
    """Pictures (PIL) with a transform, as ``torchvision.datasets.MNIST`` gives them."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, *transforms: object) -> None:
        self.images, self.labels = images.numpy()[:, 0], labels
        to_floats = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([MEAN], [STD])]
        self.transform = v2.Compose([*transforms, *to_floats])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(PIL.Image.fromarray(self.images[index])), int(self.labels[index])


def drain(batches: Iterator[object]) -> float:
    """Seconds that all batches take."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def loading() -> None:
    """Samples per second of one pass, shuffled and normalized, with and without augmentation."""
    images, labels = images_and_labels()
    crop = v2.RandomCrop(28, padding=2), v2.RandomRotation(10)
    plain, moved = Pictures(images, labels), Pictures(images, labels, *crop)
    data = ec.data.from_arrays((images, labels)).normalize([MEAN], [STD])
    augmented = data.augment(ec.augment.RandomCrop(28, padding=2), ec.augment.RandomRotation(10))

    def ours(split: ec.data.Split) -> Callable[[], float]:
        source = split.make_source(batch_size=BATCH, shuffle=True)
        source.bind(training=True)
        return lambda: drain(source.batches())

    def theirs(dataset: Dataset, workers: int) -> Callable[[], float]:
        loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers)
        return lambda: drain(iter(loader))

    contestants = {
        "PIL, 0 workers": theirs(plain, 0),
        "PIL, 2 workers": theirs(plain, 2),
        "cached": ours(data.train),
        "PIL, crop and rotation, 0 workers": theirs(moved, 0),
        "PIL, crop and rotation, 2 workers": theirs(moved, 2),
        "cached, crop and rotation": ours(augmented.train),
    }
    rounds = [{name: run() for name, run in contestants.items()} for _ in range(ROUNDS)]
    print(f"\n| batches of {BATCH}, {SAMPLES} samples | samples per second | times the loader's, median [min max] |")
    print("|---|---|---|")
    for name in contestants:
        base = "PIL, crop and rotation, 0 workers" if "crop" in name else "PIL, 0 workers"
        ratios = [found[base] / found[name] for found in rounds]
        speed = SAMPLES / statistics.median(found[name] for found in rounds)
        print(f"| {name} | {speed:,.0f} | {statistics.median(ratios):.1f} [{min(ratios):.1f} {max(ratios):.1f}] |")


PAIRS: dict[str, tuple[ec.augment.Transform, object]] = {
    "RandomCrop + flip": (
        ec.augment.Compose(ec.augment.RandomCrop(32, padding=4), ec.augment.RandomHorizontalFlip()),
        v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()]),
    ),
    "RandomResizedCrop": (ec.augment.RandomResizedCrop(32), v2.RandomResizedCrop(32, antialias=False)),
    "RandomRotation": (ec.augment.RandomRotation(15), v2.RandomRotation(15, v2.InterpolationMode.BILINEAR)),
    "RandomAffine": (
        ec.augment.RandomAffine(10, (0.1, 0.1), (0.9, 1.1), 5),
        v2.RandomAffine(10, (0.1, 0.1), (0.9, 1.1), 5, v2.InterpolationMode.BILINEAR),
    ),
    "ColorJitter": (ec.augment.ColorJitter(0.2, 0.2, 0.2, 0.05), v2.ColorJitter(0.2, 0.2, 0.2, 0.05)),
    "GaussianBlur": (ec.augment.GaussianBlur(3), v2.GaussianBlur(3)),
    "RandomErasing": (ec.augment.RandomErasing(), v2.RandomErasing()),
    "RandAugment": (ec.augment.RandAugment(), v2.RandAugment()),
}


def transforms() -> None:
    """Time of a batch, beside torchvision's transform applied to each of its samples."""
    images = torch.rand(128, 3, 32, 32)
    print(
        "\n| 128 images of 3x32x32, floats | ms per batch | times torchvision's speed, one by one: median [min max] |"
    )
    print("|---|---|---|")
    for name, (ours, theirs) in PAIRS.items():
        rounds = []
        for _ in range(ROUNDS):
            mine = timed(lambda: ours(images), 20)  # noqa: B023
            single = timed(lambda: torch.stack([theirs(image) for image in images]), 2)  # noqa: B023
            rounds.append((mine, single / mine))
        ratios = [ratio for _, ratio in rounds]
        milliseconds = 1e3 * statistics.median(mine for mine, _ in rounds)
        print(
            f"| {name} | {milliseconds:.2f} | {statistics.median(ratios):.1f} [{min(ratios):.1f} {max(ratios):.1f}] |"
        )


def timed(run: Callable[[], object], times: int) -> float:
    """Seconds that one run takes, the mean of a few."""
    run()
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def main() -> None:
    """Both tables."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, NumPy {np.__version__}")
    loading()
    transforms()


if __name__ == "__main__":
    main()
