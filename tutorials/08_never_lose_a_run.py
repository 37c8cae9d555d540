"""A training that cannot be lost: it is killed several times, and ends with the bits of one that was not.

Run it with ``make neverlost``, or ``python tutorials/08_never_lose_a_run.py``. The training (``train`` below) is an
ordinary script with one more word, ``resume=``. A second script, the lower half of this file, starts it, ends it by
SIGKILL at a random moment, as a power cut, a full memory or somebody else's job would, and starts the same command
again. MNIST is read from the folder that ``EASYCONV_DATA`` names; without it, scikit-learn's digits take its place.
"""

import argparse
import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import easyconv as ec


def load_data() -> ec.data.Splits:
    """MNIST, or digits of 8x8 pixels."""
    try:
        return ec.data.load("mnist", download=False)
    except ec.errors.FileMissingError:
        return ec.data.load("digits")


def train(folder: Path, epochs: int, rows: int) -> None:
    """What there is to train; whether it is the first start or the fifth makes no difference here."""
    data = load_data()
    pictures = data.train.subset(range(min(rows, len(data.train))))
    ec.set_seed(0)  # the initial weights
    model = ec.Sequential([
        ec.ConvBlock(16, pool=2),
        ec.ConvBlock(32, pool=2),
        ec.layers.Flatten(),
        ec.layers.Dropout(0.3),  # drawn at random in each step,
        ec.layers.Dense(10),
    ])  # fmt: skip
    model.compile(ec.optim.SGD(lr=0.05, momentum=0.9), metrics=["accuracy"], ema=0.99)
    print("About to train.")
    history = model.fit(
        pictures.augment(ec.augment.RandomAffine(degrees=10, translate=(0.1, 0.1))),  # as is this,
        batch_size=64,  # and the order of the pictures
        epochs=epochs,
        validation_data=data.test,
        callbacks=ec.callbacks.WarmupCosine(),
        resume=ec.RunFolder(folder, every_seconds=0.5),  # and at the end of each epoch
        verbose=2,
    )
    model.save_weights(folder / "weights.safetensors")
    history.to_csv(folder / "history.csv")


# What follows only starts and kills. A training of yours has no need of it.


def start(folder: Path, arguments: argparse.Namespace) -> subprocess.Popen:
    """Run this file once more, with ``--train``; its first line is read when it is about to train."""
    options = ["--train", str(folder), "--epochs", str(arguments.epochs), "--rows", str(arguments.rows)]
    process = subprocess.Popen([sys.executable, "-u", __file__, *options], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def show(process: subprocess.Popen) -> int:
    """Print what a process says, wait for its end, and give the code with which it ended."""
    for line in process.stdout:
        print(f"    {line}", end="")
    return process.wait()


def finish(folder: Path, arguments: argparse.Namespace) -> None:
    """Start the training, and let it be."""
    if show(start(folder, arguments)) != 0:
        sys.exit("The training has failed.")


def train_and_kill(folder: Path, arguments: argparse.Namespace) -> None:
    """Start the training again and again; all but the last time it is killed at a random moment."""
    draw = random.Random(arguments.seed)
    for kill in range(1, arguments.kills + 1):
        print(f"Start {kill}")
        process = start(folder, arguments)
        time.sleep(draw.uniform(0.2, arguments.seconds))
        process.kill()  # SIGKILL; on Windows TerminateProcess. Neither can be caught.
        print(f"    killed: {show(process)}")
    print(f"Start {arguments.kills + 1}")
    finish(folder, arguments)


def digest(path: Path) -> str:
    """The same for two files only if each of their bits is the same."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def main() -> None:
    """Train twice, once undisturbed, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=15_000, help="pictures to train on")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="the longest time between a start and its kill")
    parser.add_argument("--seed", type=int, help="of the moments; another one each time where it is left out")
    parser.add_argument("--folder", type=Path, default=Path("never_lost"), help="where the runs go")
    parser.add_argument("--train", type=Path, help="train in this folder, and kill nothing")
    arguments = parser.parse_args()
    if arguments.train is not None:
        train(arguments.train, arguments.epochs, arguments.rows)
        return

    run = arguments.folder / time.strftime("%Y-%m-%d-%H-%M-%S")
    train_and_kill(run / "killed", arguments)
    print("Undisturbed")
    finish(run / "undisturbed", arguments)

    print("\nsha-256 of              killed and started again          undisturbed")
    same = True
    for name in ("weights.safetensors", "history.csv"):
        killed, undisturbed = digest(run / "killed" / name), digest(run / "undisturbed" / name)
        same &= killed == undisturbed
        print(f"  {name:20}  {killed}  {undisturbed}")
    print("\nThe same bits." if same else "\nThey differ!")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
