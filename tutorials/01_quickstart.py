"""Handwritten digits in a minute: build a net, train it, see what it does.

Run it with ``make quickstart``, or ``python tutorials/01_quickstart.py``. The digits are real (1,797 pictures of 8x8
pixels) and come with scikit-learn, so nothing is downloaded. Pictures and weights are written into ``quickstart/``.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import easyconv as ec

folder = Path("quickstart")
folder.mkdir(exist_ok=True)

# 1. Data: plain NumPy arrays. Images have their channels first: (how many, channels, height, width).
digits = load_digits()
images = digits.images[:, np.newaxis] / 16.0
train_images, test_images, train_labels, test_labels = train_test_split(
    images, digits.target, test_size=0.2, stratify=digits.target, random_state=0
)

# 2. A net. Nobody says how many channels come in, or how many features leave Flatten: that is inferred.
ec.set_seed(0)
model = ec.Sequential([
    ec.ConvBlock(32),  # convolution, batch norm, ReLU
    ec.ConvBlock(64, pool=2),  # ... and max-pooling
    ec.ConvBlock(128, pool=2),
    ec.layers.Flatten(),
    ec.layers.Dropout(0.5),
    ec.layers.Dense(10),
], input_shape=(1, 8, 8))  # fmt: skip
model.summary()

# 3. How to train it, and training. The best weights go into a file; the learning rate drops when progress stops.
model.compile(optimizer="adam", loss="cross_entropy", metrics=["accuracy"])
history = model.fit(
    train_images,
    train_labels,
    batch_size=32,
    epochs=20,
    validation_split=0.1,
    callbacks=[
        ec.callbacks.ModelCheckpoint(folder / "best.pt", monitor="val_loss", save_best_only=True),
        ec.callbacks.ReduceLROnPlateau(patience=4, verbose=1),
    ],
    seed=0,
)

# 4. How good is it on pictures that it has never seen?
model.load_weights(folder / "best.pt")
loss, accuracy = model.evaluate(test_images, test_labels, verbose=0)
print(f"\nTest accuracy: {accuracy:.2%} of {len(test_labels)} digits")

# 5. Ask it about single pictures.
guesses = model.predict_classes(test_images[:10], verbose=0)
print("It reads ", *guesses)
print("Truth is ", *test_labels[:10])

# 6. Look at it: the course of training, and what it gets right and wrong.
outputs = model.predict(test_images, verbose=0)
history.plot(folder / "curves.png")
ec.visualize.predictions(test_images, test_labels, outputs, path=folder / "predictions.png")

# 7. The weights are an ordinary torch file: a second model of the same layers gives the same answers.
model.save_weights(folder / "digits.pt")
twin = ec.Sequential([
    ec.ConvBlock(32),
    ec.ConvBlock(64, pool=2),
    ec.ConvBlock(128, pool=2),
    ec.layers.Flatten(),
    ec.layers.Dropout(0.5),
    ec.layers.Dense(10),
])  # fmt: skip
twin.load_weights(folder / "digits.pt")
assert np.array_equal(twin.predict(test_images, verbose=0), outputs)
print(f"\nWritten into {folder}/: {', '.join(sorted(path.name for path in folder.iterdir()))}")
