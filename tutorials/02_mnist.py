"""MNIST twice: the course's net of two convolutions, then its small GoogLeNet.

Run it with ``make mnist``, or ``python tutorials/02_mnist.py``. The data set is downloaded where there is a network;
``EASYCONV_DATA=folder`` reads it from a folder instead (which has ``MNIST/raw/`` in it). Both nets are trained as in
the course: SGD with a learning rate of 0.01 and momentum 0.5, batches of 64, 10 epochs. That takes a while on a CPU:
``--epochs 2`` shows the same in a fifth of the time.
"""

import argparse
import os
from pathlib import Path

from torch.utils.data import DataLoader
from torchvision import datasets, transforms

import easyconv as ec

MEAN, STD = 0.1307, 0.3081  # of all pixels of the training images


def make_loaders(root: Path, batch_size: int = 64) -> tuple[DataLoader, DataLoader]:
    """Training and test images as tensors of mean 0 and standard deviation 1."""
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    download = not (root / "MNIST" / "raw").exists()
    train = datasets.MNIST(root, train=True, transform=to_tensor, download=download)
    test = datasets.MNIST(root, train=False, transform=to_tensor, download=download)
    # Training images come in a new order each epoch. For the test the order does not matter.
    return DataLoader(train, batch_size, shuffle=True), DataLoader(test, 256)


def plain_net() -> ec.Sequential:
    """Two convolutions, each followed by pooling, and one dense layer."""
    return ec.Sequential([
        ec.layers.Conv2D(10, 5),
        ec.layers.MaxPool2D(2),
        ec.layers.Activation("relu"),
        ec.layers.Conv2D(20, 5),
        ec.layers.MaxPool2D(2),
        ec.layers.Activation("relu"),
        ec.layers.Flatten(),
        ec.layers.Dense(10),
    ], input_shape=(1, 28, 28), name="Two convolutions")  # fmt: skip


def google_net() -> ec.Sequential:
    """The same, with an Inception block after each pooling: four ways to look at the same place, side by side."""
    return ec.Sequential([
        ec.layers.Conv2D(10, 5),
        ec.layers.MaxPool2D(2),
        ec.layers.Activation("relu"),
        ec.InceptionA(),
        ec.layers.Conv2D(20, 5),
        ec.layers.MaxPool2D(2),
        ec.layers.Activation("relu"),
        ec.InceptionA(),
        ec.layers.Flatten(),
        ec.layers.Dense(10),
    ], input_shape=(1, 28, 28), name="GoogLeNet for MNIST")  # fmt: skip


def train(model: ec.Sequential, loaders: tuple[DataLoader, DataLoader], epochs: int, folder: Path) -> float:
    """Train and test one net, and draw its curves; returns the test accuracy of the last epoch."""
    train_loader, test_loader = loaders
    model.summary()
    model.compile(ec.optim.SGD(lr=0.01, momentum=0.5), loss="cross_entropy", metrics=["accuracy"])
    history = model.fit(train_loader, epochs=epochs, validation_data=test_loader, seed=0)
    _, accuracy = model.evaluate(test_loader, verbose=0)
    history.plot(folder / f"{model.name.split()[0].lower()}_curves.png")
    return accuracy


def show_mistakes(model: ec.Sequential, loader: DataLoader, path: Path) -> None:
    """Draw some of the test images, and the mistakes of which the net is most sure."""
    images = loader.dataset.data[:, None]
    normalized = (images / 255 - MEAN) / STD
    outputs = model.predict(normalized, batch_size=256, verbose=0)
    ec.visualize.predictions(images, loader.dataset.targets, outputs, path=path)


def main() -> None:
    """Train both nets and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("EASYCONV_DATA", "data")))
    parser.add_argument("--folder", type=Path, default=Path("mnist"), help="where pictures and weights go")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    loaders = make_loaders(arguments.root)
    accuracies = {}
    for make_net in (plain_net, google_net):
        ec.set_seed(0)
        model = make_net()
        accuracies[model.name] = train(model, loaders, arguments.epochs, arguments.folder)
        model.save_weights(arguments.folder / f"{make_net.__name__}.pt")
    show_mistakes(model, loaders[1], arguments.folder / "mistakes.png")

    print(f"\nTest accuracy after {arguments.epochs} epochs:")
    for name, accuracy in accuracies.items():
        print(f"  {name:20}  {accuracy:.2%}")


if __name__ == "__main__":
    main()
