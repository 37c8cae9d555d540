"""Writes the golden files of this release: a model as ``save`` writes it now, a run that keeps itself, their answers.

Run once per release, from the root: ``python tests/golden/make.py``. Files of earlier releases are never written again:
``tests/saving/test_golden.py`` loads them all, for ever.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

import easyconv as ec
from easyconv.files import write_state

HERE = Path(__file__).parent
RUN = "step-0000000006.safetensors"
"""The checkpoint that stays of the golden run: in the middle of its second epoch."""


def model():
    """A little of everything: layers, blocks, containers, a loss and metrics as objects, a frozen norm."""
    ec.set_seed(0)
    net = ec.Sequential(
        [
            ("stem", ec.ConvBlock(4, pool=2)),
            ("block", ec.layers.BasicBlock(6, stride=2)),
            ("paths", ec.Parallel(ec.layers.Conv2D(3, 1), [ec.layers.Conv2D(3, 3, padding="same"), nn.PReLU()], None)),
            ("around", ec.Residual(ec.layers.SqueezeExcite(reduction=2), shortcut="identity", activation="gelu")),
            ("turn", ec.layers.Lambda(torch.tanh)),
            ("pool", ec.layers.GlobalAvgPool2D()),
            ("drop", ec.layers.Dropout(0.1)),
            ("head", ec.layers.Dense(3)),
        ],
        input_shape=(3, 12, 12),
        name="golden",
    )
    net.freeze("stem")
    net.compile(
        ec.optim.SGD(lr=0.1, momentum=0.9, weight_decay=1e-3, groups="no_bias_decay"),
        nn.CrossEntropyLoss(label_smoothing=0.1),
        ["accuracy", ec.metrics.TopKAccuracy(2)],
        clip_norm=5.0,
        ema=0.9,
        device="cpu",
    )
    return net


def rows(number, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (number, 3, 12, 12), generator=generator).to(torch.uint8)
    return images, torch.randint(0, 3, (number,), generator=generator)


def data():
    """What the model is trained on: pictures as bytes, names of the classes, numbers made normal."""
    return ec.data.from_arrays(rows(32, 1), class_names=["cat", "dog", "owl"]).normalize((0.5,) * 3, (0.2,) * 3).train


def answers(net):
    """Everything that must stay the same."""
    pictures = rows(4, 2)[0]
    images = net.preprocessing(pictures)
    found = {
        "outputs": torch.from_numpy(net.predict(images, verbose=0)),
        "labels": [net.classify(picture).label for picture in pictures],
        "loss": net.evaluate(data(), verbose=0, return_dict=True)["loss"],
        "history": net.history.history,
    }
    found["next"] = net.fit(data(), epochs=1, batch_size=8, seed=0, verbose=0).history
    return {**found, "after": torch.from_numpy(net.predict(images, verbose=0))}


def run(folder):
    """A training that keeps itself, with callbacks that have a state, and what comes of it."""
    net = model()
    callbacks = [ec.callbacks.OneCycle(), ec.callbacks.ReduceLROnPlateau("loss"), ec.callbacks.EarlyStopping("loss")]
    fitted = net.fit(
        data(), epochs=3, batch_size=8, validation_data=data(), callbacks=callbacks, resume=folder, verbose=0
    )
    images = net.preprocessing(rows(4, 2)[0])
    return {"history": fitted.history, "after": torch.from_numpy(net.predict(images, verbose=0))}


def main():
    net = model()
    net.fit(data(), epochs=2, batch_size=8, seed=0, verbose=0)
    name = f"model-{ec.__version__}"
    net.save(HERE / f"{name}.safetensors")
    write_state(HERE / f"{name}.expected.safetensors", answers(net), kind="golden")
    name = f"run-{ec.__version__}"
    with TemporaryDirectory() as folder:
        run(ec.RunFolder(folder, every_steps=2, keep=9))
        shutil.copy(Path(folder) / RUN, HERE / f"{name}.safetensors")
    with TemporaryDirectory() as folder:
        write_state(HERE / f"{name}.expected.safetensors", run(folder), kind="golden")


if __name__ == "__main__":
    main()
