"""The first filters of a net from the patches of images, against NumPy."""

import pickle

import numpy as np
import pytest
import torch

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError

IMAGES = torch.randn(300, 3, 8, 8, generator=torch.Generator().manual_seed(0)).cumsum(2).cumsum(3) / 20


def patches(images, height, width):
    tall = images.unfold(2, height, 1).unfold(3, width, 1)
    return tall.permute(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * height * width).double()


@pytest.mark.parametrize(("filters", "kernel"), [(24, 2), (10, 2), (2, 1), (6, (1, 2))])
def test_outputs_are_uncorrelated_and_of_variance_one(filters, kernel):
    layer = ec.layers.Conv2D(filters, kernel, init=ec.layers.whitening(IMAGES, eps=0.0))
    outputs = layer(IMAGES).detach().double().transpose(0, 1).flatten(1)[: filters // 2]
    torch.testing.assert_close(
        outputs @ outputs.T / outputs.shape[1], torch.eye(filters // 2).double(), atol=2e-3, rtol=0
    )
    assert torch.equal(layer.weight[filters // 2 :], -layer.weight[: filters // 2])
    assert not layer.bias.any()


def test_without_negation_all_directions_fit():
    layer = ec.layers.Conv2D(12, 2, init=ec.layers.whitening(IMAGES, negated=False, eps=0.0))
    outputs = layer(IMAGES).detach().double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(outputs @ outputs.T / outputs.shape[1], torch.eye(12).double(), atol=2e-3, rtol=0)
    with pytest.raises(ArgumentError, match="has at most 12 filters for patches of 12 numbers, got 13"):
        ec.layers.Conv2D(13, 2, init=ec.layers.whitening(IMAGES, negated=False))(IMAGES)


def test_the_directions_are_numpys_eigenvectors_the_largest_first():
    layer = ec.layers.Conv2D(8, 2, init=ec.layers.whitening(IMAGES, eps=0.1))
    layer(IMAGES[:1])
    found = patches(IMAGES, 2, 2).numpy()
    values, vectors = np.linalg.eigh(found.T @ found / len(found))
    for row in range(4):
        ours = layer.weight[row].detach().flatten().double().numpy()
        theirs = vectors[:, -1 - row] / np.sqrt(values[-1 - row] + 0.1)
        assert np.allclose(ours, theirs * np.sign(ours @ theirs), atol=1e-5)


def test_it_is_the_same_as_a_copy_in_low_precision_and_in_one_pass_or_many(monkeypatch):
    init = ec.layers.whitening(IMAGES)
    whole = ec.layers.Conv2D(24, 2, init=init)
    whole(IMAGES[:1])
    monkeypatch.setattr("easyconv.layers.whitened_filters._IMAGES_AT_A_TIME", 7)
    parts = ec.layers.Conv2D(24, 2, init=pickle.loads(pickle.dumps(init)))
    parts(IMAGES[:1])
    torch.testing.assert_close(parts.weight.abs(), whole.weight.abs(), atol=1e-4, rtol=1e-4)
    half = ec.Sequential([ec.layers.Conv2D(24, 2, init=init)], input_shape=(3, 8, 8)).to(torch.bfloat16)
    assert half[0].weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ec.layers.whitening(IMAGES.to(torch.uint8)), ArgumentTypeError, "float tensor .* got torch.uint8"),
        (lambda: ec.layers.whitening(IMAGES.numpy()), ArgumentTypeError, r"got ndarray. Bytes of a data set: data\.tr"),
        (lambda: ec.layers.whitening(IMAGES[0]), ArgumentError, r"shape \(N, C, H, W\), got \(3, 8, 8\)"),
        (lambda: ec.layers.whitening(IMAGES / 0), ArgumentError, "finite images, got NaN or infinity"),
        (lambda: fill(ec.layers.Conv2D(26, 2)), ArgumentError, "at most 24 filters for patches of 12 numbers, got 26"),
        (lambda: fill(ec.layers.Conv2D(5, 2)), ArgumentError, "an even number of filters, .* got 5"),
        (lambda: fill(ec.layers.Conv2D(4, 2), channels=1), ArgumentError, r"images of 3 channels, .* \(4, 1, 2, 2\)"),
        (lambda: fill(ec.layers.Dense(4), channels=3), ArgumentError, r"It is for the first convolution of a net"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def fill(layer, channels=3):
    net = ec.Sequential([layer], input_shape=(channels, 8, 8))
    ec.layers.initialize(net, ec.layers.whitening(IMAGES))
