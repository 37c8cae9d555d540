"""Nearest neighbours: exact, and drawn as in the AlexNet paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, DataError, LabelError, LengthError, NonFiniteDataError


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


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 40),
    st.integers(1, 4),
    st.sampled_from([np.int64, np.float16, np.float32, np.float64]),
    st.integers(0, 2**16),
)
def test_the_order_is_that_of_numpy_also_where_distances_are_equal(asked, count, width, dtype, seed):
    rng = np.random.default_rng(seed)
    queries, embeddings = (rng.integers(-2, 3, (n, width)).astype(dtype) for n in (asked, count))
    k = int(rng.integers(1, count + 1))
    rows, distances = ec.visualize.nearest(queries, embeddings, k)
    squares = np.square(queries[:, None].astype(np.float64) - embeddings[None]).sum(2)
    wanted = np.argsort(squares, axis=1, kind="stable")[:, :k]
    assert np.array_equal(rows.numpy(), wanted)
    assert np.allclose(distances.numpy() ** 2, np.take_along_axis(squares, wanted, 1), rtol=1e-5, atol=1e-5)


def test_nothing_is_asked():
    assert ec.visualize.nearest(torch.zeros(0, 2), torch.zeros(3, 2), 2)[0].shape == (0, 2)


def shown(figure):
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def test_images_are_drawn_as_they_were_before_they_were_normalised():
    pixels = IMAGES.float() / 255
    normal = (pixels - 0.4) / 0.2
    figure = ec.visualize.neighbors(model(), normal[:2], normal, k=2, mean=[0.4], std=[0.2])
    rows, _ = ec.visualize.nearest(model().embed(normal[:2], verbose=0), model().embed(normal, verbose=0), 2)
    expected = [pixels[row, 0] for query in (0, 1) for row in (query, *rows[query].tolist())]
    for picture, wanted in zip(shown(figure), expected, strict=True):
        assert np.allclose(picture, wanted, atol=1e-6)


def test_bytes_and_floats_may_meet():
    figure = ec.visualize.neighbors(model(), IMAGES[:1].float() / 255, IMAGES, k=1)
    assert np.allclose(*shown(figure), atol=1e-6)


def test_labels_of_plain_arrays():
    figure = ec.visualize.neighbors(model(), IMAGES[:1], IMAGES, k=1, query_labels=[2], labels=torch.arange(30))
    assert [axes.get_title() for axes in figure.axes] == ["query · 2", "0 · 0"]
    names = [f"class {n}" for n in range(30)]
    figure = ec.visualize.neighbors(model(), IMAGES[:1], IMAGES, k=1, labels=range(30), class_names=names)
    assert [axes.get_title() for axes in figure.axes] == ["query", "0 · class 0"]


def wide():
    return ec.Sequential([ec.layers.GlobalAvgPool2D(), ec.layers.Dense(2)])


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
        (lambda: ec.visualize.nearest([[0.0]], [[float("nan")]], 1), NonFiniteDataError, "embeddings hold NaN"),
        (
            lambda: ec.visualize.neighbors(wide(), torch.rand(1, 3, 8, 8), torch.rand(3, 3, 9, 9), k=2),
            DataError,
            r"the same size and channels, got \(3, 8, 8\) and \(3, 9, 9\)",
        ),
        (
            lambda: ec.visualize.neighbors(model(), IMAGES, IMAGES, k=1, labels=[1, 2]),
            LengthError,
            "labels and images must have the same length, got 2 and 30",
        ),
        (
            lambda: ec.visualize.neighbors(model(), IMAGES[:1], IMAGES, k=1, labels=[3] * 30, class_names=["a"]),
            LabelError,
            "no name for class 3: class_names has 1 names",
        ),
        (
            lambda: ec.visualize.neighbors(model(), torch.rand(1, 1, 6, 6), IMAGES, k=1, mean=[0.5]),
            ArgumentError,
            "mean and std belong together",
        ),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
