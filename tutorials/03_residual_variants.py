"""Homework: where batch norm and ReLU stand in a residual block, and what lies on its shortcut.

He et al., "Identity Mappings in Deep Residual Networks" (ECCV 2016), compare five orders of activation (figure 4) and
six shortcuts (figure 2) in a net of 110 layers on CIFAR-10. Here the same ten blocks are compared in a net of 34 layers
on MNIST: one table, one picture.

Run it with ``make residuals``, or ``python tutorials/03_residual_variants.py``. The data set is downloaded where there
is a network; ``EASYCONV_DATA=folder`` reads it from a folder instead (which has ``MNIST/raw/`` in it). Ten nets, three
epochs each over a sixth of the images: about ten minutes on two CPU cores.

So short a training shows who learns fast (and that dropout on the shortcut learns nothing), not who ends best: the
paper trains for some hundred times as many steps. ``--rows 60000 --epochs 20`` comes nearer, and takes hours.
"""

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torchvision import datasets

import easyconv as ec

# How each variant differs from the original block, and the test error of the paper's ResNet-110 on CIFAR-10 in percent.
VARIANTS = {
    "original": ({}, 6.61),
    "BN after addition": ({"activation": "bn_after_addition"}, 8.17),
    "ReLU before addition": ({"activation": "relu_before_addition"}, 7.84),
    "ReLU-only pre-activation": ({"activation": "relu_only_preactivation"}, 6.71),
    "full pre-activation": ({"activation": "full_preactivation"}, 6.37),
    "constant scaling": ({"shortcut": "constant_scaling"}, 12.35),
    "exclusive gating": ({"shortcut": "exclusive_gating"}, 8.70),
    "shortcut-only gating": ({"shortcut": "shortcut_only_gating"}, 6.91),
    "1x1 conv shortcut": ({"shortcut": "conv"}, 12.22),
    "dropout shortcut": ({"shortcut": "dropout"}, None),  # "fail": above 20
}


def make_net(units: int, **variant: str) -> ec.Sequential:
    """Two stages of residual units, at 14x14 and at 7x7 pixels; two convolutions in each unit."""

    def stage(channels: int) -> list[torch.nn.Module]:
        return [ec.layers.ResidualUnit(channels, **variant) for _ in range(units)]

    return ec.Sequential([
        ec.ConvBlock(16, stride=2),
        *stage(16),
        ec.ConvBlock(32, stride=2),
        *stage(32),
        ec.ConvBlock(32, 1, order="norm activation conv"),
        ec.layers.GlobalAvgPool2D(),
        ec.layers.Dense(10),
    ], input_shape=(1, 28, 28), init="he")  # fmt: skip


def load(root: Path, rows: int) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """The first ``rows`` training images, and all test images."""
    download = not (root / "MNIST" / "raw").exists()
    train = datasets.MNIST(root, train=True, download=download)
    test = datasets.MNIST(root, train=False, download=download)
    return (train.data[:rows, None], train.targets[:rows]), (test.data[:, None], test.targets)


def compare(root: Path, rows: int, epochs: int, units: int) -> dict[str, list[float]]:
    """Test error in percent after each epoch, for every variant."""
    (images, labels), test = load(root, rows)
    errors = {}
    for name, (variant, _) in VARIANTS.items():
        ec.set_seed(0)  # the same first weights and the same order of images for all
        model = make_net(units, **variant)
        model.compile(ec.optim.SGD(lr=0.1, momentum=0.9, weight_decay=1e-4), metrics=["accuracy"])
        print(f"\n{name}: {model.count_params():,} parameters")
        history = model.fit(images, labels, batch_size=128, epochs=epochs, validation_data=test, seed=0)
        errors[name] = [100 * (1 - accuracy) for accuracy in history.history["val_accuracy"]]
    return errors


def show_table(errors: dict[str, list[float]]) -> None:
    """Ours on MNIST beside the paper's on CIFAR-10."""
    print(f"\n{'residual unit':26}{'test error, MNIST':>18}{'the paper, CIFAR-10':>22}")
    for name, row in errors.items():
        published = VARIANTS[name][1]
        print(f"{name:26}{row[-1]:16.2f} %{'above 20' if published is None else f'{published:.2f}':>20} %")


def draw(errors: dict[str, list[float]], path: Path) -> None:
    """Test error over the epochs: the orders of activation on the left, the shortcuts on the right."""
    names = list(errors)
    groups = {"Where BN and ReLU stand": names[:5], "What lies on the shortcut": names[:1] + names[5:]}
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for panel, (title, group) in zip(panels, groups.items(), strict=True):
        for name in group:
            epochs = range(1, len(errors[name]) + 1)
            panel.plot(epochs, errors[name], marker="o", label=name, color="black" if name == "original" else None)
        panel.set(title=title, xlabel="epoch", xticks=list(epochs), yscale="log")
        panel.grid(alpha=0.3, which="both")
        panel.legend(frameon=False)
    panels[0].set_ylabel("test error in percent")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Train all variants, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_000, help="training images")
    parser.add_argument("--units", type=int, default=8, help="residual units per stage")
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("EASYCONV_DATA", "data")))
    parser.add_argument("--folder", type=Path, default=Path("residuals"), help="where the picture goes")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    errors = compare(arguments.root, arguments.rows, arguments.epochs, arguments.units)
    show_table(errors)
    draw(errors, arguments.folder / "variants.png")


if __name__ == "__main__":
    main()
