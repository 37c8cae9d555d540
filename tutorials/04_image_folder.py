"""From folders of photographs to a classifier: pictures in, names out.

Run it with ``make folder``, or ``python tutorials/04_image_folder.py path/to/pictures``. The folder holds one folder
per class, or ``train/`` and ``test/`` with those in them. Without a path it takes CIFAR-10 as JPEG files from the
folder that ``EASYCONV_DATA`` names (``cifar10-jpeg/``, or ``cifar10-jpeg.tar.gz``, which is unpacked into a temporary
folder). What it draws and learns goes into ``image_folder/``.
"""

import argparse
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

import easyconv as ec


@contextmanager
def pictures_of(path: Path | None) -> Iterator[Path]:
    """The folder that the user named, or CIFAR-10's."""
    root = Path(os.environ.get("EASYCONV_DATA", "data"))
    if path is not None or not (root / "cifar10-jpeg.tar.gz").exists():
        yield path or root / "cifar10-jpeg"
        return
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(root / "cifar10-jpeg.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder) / "cifar10-jpeg"


def make_net(classes: int) -> ec.Model:
    """Three stages of two convolutions; nobody says how large the pictures are."""
    return ec.Sequential([
        ec.ConvBlock(32), ec.ConvBlock(32, pool=2),
        ec.ConvBlock(64), ec.ConvBlock(64, pool=2),
        ec.ConvBlock(128), ec.ConvBlock(128),
        ec.layers.GlobalAvgPool2D(),
        ec.layers.Dense(classes),
    ])  # fmt: skip


def main() -> None:
    """Look at the data, train on it, and ask the net about files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--size", type=int, default=32, help="height and width that all pictures are brought to")
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    folder = Path("image_folder")
    folder.mkdir(exist_ok=True)

    with pictures_of(arguments.path) as path:
        # 1. One line: the classes are the folders, every file is read once and checked, a tenth is held out.
        data = ec.data.image_folder(path, size=arguments.size, validation_split=0.1)
        print(data)

        # 2. What is in there? How many of each class, doubles between training and test, odd pictures.
        print(ec.data.describe(data))
        data.show(24, path=folder / "pictures.png")

        # 3. Shifted and mirrored at random while training, a whole batch at a time; the colours made alike everywhere.
        padding = arguments.size // 8
        data = data.augment(
            ec.augment.RandomCrop(arguments.size, padding=padding, padding_mode="reflect"),
            ec.augment.RandomHorizontalFlip(),
        ).normalize()
        data.show_batch(24, path=folder / "batch.png")

        # 4. A net, and training.
        ec.set_seed(0)
        model = make_net(len(data.class_names))
        model.compile("adam", lr=0.002, metrics=["accuracy"], precision="bf16")
        history = model.fit(
            data.train,
            validation_data=data.validation,
            batch_size=128,
            epochs=arguments.epochs,
            callbacks=[
                ec.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: slow_down(model, epoch, arguments))
            ],
            seed=0,
        )
        history.plot(path=folder / "curves.png")
        model.save_weights(folder / "weights.pt")

        # 5. How good is it on pictures that it has never seen? Mirror images help a little.
        test = data.test or data.validation
        targets = test.targets
        outputs = torch.from_numpy(model.predict(test, batch_size=500, tta="flip", verbose=0))
        print(f"\nTest accuracy: {(outputs.argmax(1) == targets).float().mean():.2%} of {len(test)} pictures")

        # 6. The mistakes that it is most sure of, and what it says of files that it is given.
        ec.visualize.predictions(
            test.pictures(range(len(test))),
            targets,
            outputs,
            class_names=data.class_names,
            path=folder / "mistakes.png",
        )
        for answer in model.classify(list(test.files[:: max(1, len(test) // 5)][:5])):
            print(f"{Path(answer.file).parent.name:>12}/{Path(answer.file).name}  {answer}")


def slow_down(model: ec.Model, epoch: int, arguments: argparse.Namespace) -> None:
    """A learning rate that falls to a twentieth in a straight line."""
    ec.optim.set_lr(model.optimizer, 0.002 * (1 - 0.95 * epoch / max(1, arguments.epochs - 1)))


if __name__ == "__main__":
    main()
