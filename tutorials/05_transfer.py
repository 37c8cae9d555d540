"""Transfer: a net that has read the digits 0 to 4 learns 5 to 9 from a handful of each.

Run it with ``make transfer``, or ``python tutorials/05_transfer.py``. A small net is trained on MNIST's digits 0 to 4.
Then it gets a new head and is fine-tuned on 1, 2, 5, ... pictures of each of the digits 5 to 9, beside the same net
trained from scratch on the same pictures. MNIST is read from the folder that ``EASYCONV_DATA`` names, or downloaded.
``transfer/curve.png`` shows both.

With a network the same code starts from a net that has seen ImageNet, and from your own pictures::

    model = ec.zoo.resnet18(weights="imagenet")
    data = ec.data.image_folder("cats_and_dogs", size=224, validation_split=0.2).normalize(IMAGENET_MEAN, IMAGENET_STD)
    model.replace_head(2)
    model.compile("adam", metrics=["accuracy"])
    model.fine_tune(data.train, validation_data=data.validation, epochs=5)
    model.classify("photo.jpg")
"""

import argparse
from pathlib import Path

import torch

import easyconv as ec

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def make_net() -> ec.Model:
    """Two stages of convolutions and a head for five classes."""
    return ec.Sequential([
        ("stem", ec.ConvBlock(16, pool=2)),
        ("body", ec.ConvBlock(32, pool=2)),
        ("features", ec.ConvBlock(64)),
        ("pool", ec.layers.GlobalAvgPool2D()),
        ("hidden", ec.layers.Dense(64, activation="relu")),
        ("head", ec.layers.Dense(5)),
    ])  # fmt: skip


def digits(split: ec.data.Split, chosen: range) -> ec.data.Split:
    """The pictures of some digits, numbered from 0."""
    rows = torch.isin(split.targets, torch.tensor(chosen)).nonzero().flatten()
    part = split.subset(rows)
    return ec.data.ArraySplit(part.images, part.targets - chosen[0], class_names=[str(digit) for digit in chosen])


def few_of_each(split: ec.data.Split, count: int, seed: int) -> ec.data.Split:
    """So many pictures of each class, drawn by the seed."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    rows = [order[split.targets[order] == label][:count] for label in range(5)]
    return split.subset(torch.cat(rows))


def pretrain(data: ec.data.Split, epochs: int) -> ec.Model:
    """The digits 0 to 4."""
    ec.set_seed(0)
    model = make_net()
    model.compile("adam", lr=0.003, metrics=["accuracy"])
    model.fit(data, batch_size=128, epochs=epochs, seed=0)
    return model


def transferred(weights: Path, data: ec.data.Split, epochs: int, seed: int) -> ec.Model:
    """The same net with a new head: first the head alone, then all of it at lower rates."""
    model = make_net()
    model.build((1, 28, 28))
    model.load_weights(weights)
    ec.set_seed(seed)
    model.replace_head(5)
    model.compile("adam", lr=0.003, metrics=["accuracy"])
    model.fine_tune(data, head_epochs=epochs, epochs=epochs, lr=0.002, decay=0.9, batch_size=16, seed=seed, verbose=0)
    return model


def from_scratch(data: ec.data.Split, epochs: int, seed: int) -> ec.Model:
    """The same net on the same pictures, for as many steps, knowing nothing."""
    ec.set_seed(seed)
    model = make_net()
    model.compile("adam", lr=0.001, metrics=["accuracy"])  # 0.003 does worse here
    model.fit(data, batch_size=16, epochs=2 * epochs, seed=seed, verbose=0)
    return model


def draw(counts: list[int], curves: dict[str, list[list[float]]], path: Path) -> None:
    """Accuracy over the number of pictures of each class, the spread over the draws shaded."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, runs in curves.items():
        values = torch.tensor(runs) * 100
        axes.plot(counts, values.mean(1), marker="o", label=name)
        axes.fill_between(counts, values.amin(1), values.amax(1), alpha=0.2)
    axes.set(xscale="log", xlabel="pictures of each of the digits 5 to 9", ylabel="accuracy on the test part, %")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Train on five digits, transfer to the other five, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 5, 10, 20, 50, 100])
    parser.add_argument("--draws", type=int, default=3, help="how often the pictures are drawn anew")
    parser.add_argument("--epochs", type=int, default=30, help="of each phase of fine-tuning")
    parser.add_argument("--pretrain-epochs", type=int, default=3)
    arguments = parser.parse_args()
    folder = Path("transfer")
    folder.mkdir(exist_ok=True)

    data = ec.data.load("mnist")
    known, new, test = digits(data.train, range(5)), digits(data.train, range(5, 10)), digits(data.test, range(5, 10))
    model = pretrain(known, arguments.pretrain_epochs)
    model.save_weights(folder / "zero_to_four.pt")

    curves: dict[str, list[list[float]]] = {"fine-tuned": [], "from scratch": []}
    print(f"\n{'of each':>8} {'fine-tuned':>11} {'from scratch':>13}")
    for count in arguments.counts:
        found: dict[str, list[float]] = {name: [] for name in curves}
        for seed in range(arguments.draws):
            few = few_of_each(new, count, seed)
            for name, tuned in (
                ("fine-tuned", transferred(folder / "zero_to_four.pt", few, arguments.epochs, seed)),
                ("from scratch", from_scratch(few, arguments.epochs, seed)),
            ):
                found[name].append(tuned.evaluate(test, batch_size=500, verbose=0)[1])
        for name, values in found.items():
            curves[name].append(values)
        means = [sum(values) / len(values) for values in found.values()]
        print(f"{count:>8} {means[0]:>11.1%} {means[1]:>13.1%}")
    draw(arguments.counts, curves, folder / "curve.png")

    # What the first net, which has never seen a 7, finds alike: the nearest in the space of its last features.
    ec.visualize.neighbors(model, test.subset(slice(6)), new.subset(slice(2000)), path=folder / "neighbors.png")


if __name__ == "__main__":
    main()
