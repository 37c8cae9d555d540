"""Nearest neighbours: exact, and drawn as in the AlexNet paper."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError


def test_nearest_is_brute_force():
    rng = np.random.default_rng(0)
    queries, embeddings = rng.normal(size=(2100, 5)), rng.normal(size=(300, 5))
    rows, distances = ec.visualize.nearest(queries, embeddings, 4)
    wanted, theirs = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(embeddings).kneighbors(queries)
    assert np.array_equal(rows.numpy(), theirs)
    assert np.allclose(distances.numpy(), wanted)


def test_small_distances_are_not_lost():
    far = torch.full((2, 3), 1e4)
    far[1] += 1e-2
    _, distances = ec.visualize.nearest(far[:1], far, 2)
    assert distances[0].tolist() == pytest.approx([0, 1e-2 * 3**0.5], rel=0.05)


def model():
    ec.set_seed(0)
    return ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(4)], input_shape=(1, 6, 6))


IMAGES = torch.randint(0, 256, (30, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_row_per_query(tmp_path):
    net, data = model(), ec.data.from_arrays((IMAGES, torch.arange(30) % 3), class_names=["a", "b", "c"]).train
    figure = ec.visualize.neighbors(net, data.subset([3, 5]), data, k=3, path=tmp_path / "out.png")
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 8
    assert titles[0] == "query · a"
    assert titles[1] == "0 · a"
    rows, _ = ec.visualize.nearest(net.embed(IMAGES[[3]], verbose=0), net.embed(IMAGES, verbose=0), 3)
    shown = [np.asarray(axes.images[0].get_array()) for axes in figure.axes[1:4]]
    for picture, row in zip(shown, rows[0].tolist(), strict=True):
        assert np.allclose(picture, IMAGES[row, 0].numpy() / 255)
    assert (tmp_path / "out.png").stat().st_size > 1000


def test_plain_arrays_have_no_names():
    figure = ec.visualize.neighbors(model(), IMAGES[:1], IMAGES, k=2)
    assert figure.axes[0].get_title() == "query"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: ec.visualize.neighbors(torch.nn.ReLU(), IMAGES, IMAGES),
            ArgumentTypeError,
            r"Wrap it: ec.Model\(net\)",
        ),
        (
            lambda: ec.visualize.neighbors(model(), IMAGES[:1], IMAGES[:3]),
            ArgumentError,
            "at most the 3 images .* got 6",
        ),
        (
            lambda: ec.visualize.nearest(torch.zeros(2, 3), torch.zeros(4, 2), 1),
            DataError,
            r"got \(2, 3\) and \(4, 2\)",
        ),
        (lambda: ec.visualize.nearest(torch.zeros(2, 3), torch.zeros(4, 3), 0), ArgumentError, "k must be at least 1"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
