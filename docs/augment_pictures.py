"""Draws the pictures of ``docs/augmentation.md``: for each transform the original and what chance makes of it.

Run it with ``make augmentations`` after a change to a transform. The photographs are scikit-learn's.
"""

import inspect
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_images

import easyconv as ec
from easyconv.augment.transform import Position

FOLDER = Path(__file__).parent / "images" / "augment"
DRAWS = 6
SIDE = 96
EXAMPLES = {
    "CenterCrop": ec.augment.CenterCrop(64),
    "ColorJitter": ec.augment.ColorJitter(0.5, 0.5, 0.5, 0.15),
    "CutMix": ec.augment.CutMix(1.0, 2),
    "Cutout": ec.augment.Cutout(40),
    "Denormalize": ec.augment.Denormalize([0.4] * 3, [0.3] * 3),
    "GaussianBlur": ec.augment.GaussianBlur(9, (0.1, 3.0)),
    "GaussianNoise": ec.augment.GaussianNoise(0.12),
    "MixUp": ec.augment.MixUp(1.0, 2),
    "Normalize": ec.augment.Normalize([0.4] * 3, [0.3] * 3),
    "PCALighting": ec.augment.PCALighting.imagenet(1.0),
    "RandAugment": ec.augment.RandAugment(2, 15),
    "RandomAffine": ec.augment.RandomAffine(15, (0.15, 0.15), (0.8, 1.2), 10),
    "RandomApply": ec.augment.RandomApply(ec.augment.GaussianBlur(9, 2.0)),
    "RandomCrop": ec.augment.RandomCrop(SIDE, padding=16),
    "RandomErasing": ec.augment.RandomErasing(1.0, value="random"),
    "RandomPerspective": ec.augment.RandomPerspective(0.5, p=1.0),
    "RandomResizedCrop": ec.augment.RandomResizedCrop(SIDE, scale=(0.15, 1.0)),
    "RandomRotation": ec.augment.RandomRotation(40),
    "Resize": ec.augment.Resize(24),
}
"""Arguments that can be seen; all others have their defaults."""


def photographs() -> torch.Tensor:
    """Two photographs, square and small: shape (2, 3, SIDE, SIDE)."""
    form = ec.data.PictureFormat(SIDE)
    from PIL import Image

    pixels = [form(Image.fromarray(picture)) for picture in load_sample_images().images]
    return torch.from_numpy(np.stack(pixels)) / 255


def transforms() -> dict[str, ec.augment.Transform]:
    """Every exported transform by its name."""
    kinds = {name: getattr(ec.augment, name) for name in ec.augment.__all__}
    return {
        name: EXAMPLES.get(name) or kind()
        for name, kind in sorted(kinds.items())
        if inspect.isclass(kind) and issubclass(kind, ec.augment.Transform) and not inspect.isabstract(kind)
        if name != "Compose"
    }


def drawn(name: str, transform: ec.augment.Transform, pair: torch.Tensor) -> list[torch.Tensor]:
    """The transformed pictures: of the first photograph, or of both by turns where they are mixed."""
    torch.manual_seed(11)
    images = pair[:1].expand(DRAWS, -1, -1, -1)
    if name in ("MixUp", "CutMix"):
        images = pair[[0, 1] * (DRAWS // 2)]
    if name == "Denormalize":
        images = ec.augment.Normalize([0.4] * 3, [0.3] * 3)(images)
    if name == "AlternatingFlip":
        return [transform.apply(images[:1], None, Position(torch.zeros(1), epoch))[0][0] for epoch in range(DRAWS)]
    return list(transform(images))


def draw(name: str, transform: ec.augment.Transform, pair: torch.Tensor) -> None:
    """One row of pictures."""
    results = drawn(name, transform, pair)
    figure = Figure(figsize=(1.3 * (DRAWS + 1), 1.35), layout="constrained", facecolor="white")
    for place, image in enumerate([pair[0], *results]):
        axes = figure.add_subplot(1, DRAWS + 1, place + 1)
        axes.imshow(image.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
        axes.set_axis_off()
        if not place:
            axes.set_title("original", fontsize=8, pad=2)
        elif name == "AlternatingFlip":
            axes.set_title(f"epoch {place}", fontsize=8, pad=2)
    figure.savefig(FOLDER / f"{name}.jpg", dpi=96, pil_kwargs={"quality": 80})


def main() -> None:
    """All of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pair = photographs()
    for name, transform in transforms().items():
        draw(name, transform, pair)


if __name__ == "__main__":
    main()
