import matplotlib.colors
import numpy as np
import pytest
import torch

from easyconv.errors import (
    ArgumentError,
    DataError,
    DataTypeError,
    EmptyDataError,
    LabelError,
    LengthError,
    NonFiniteDataError,
)
from easyconv.visualize import gallery, pick_predictions, predictions
from easyconv.visualize.figures import RIGHT, WRONG


def drawn(figure):
    return [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def colours(figure):
    return [matplotlib.colors.to_hex(axes.title.get_color()).upper() for axes in figure.axes]


def test_pixels_of_each_kind():
    floats = torch.rand(2, 3, 5, 7)
    np.testing.assert_allclose(drawn(gallery(floats))[1], floats[1].permute(1, 2, 0).numpy())
    integers = torch.randint(0, 256, (2, 1, 5, 7), dtype=torch.uint8)
    np.testing.assert_allclose(drawn(gallery(integers))[0], integers[0, 0].numpy() / 255, rtol=1e-6)
    grey = np.random.default_rng(0).random((3, 5, 7))
    np.testing.assert_allclose(drawn(gallery(grey))[2], grey[2], rtol=1e-6)


def test_normalisation_is_undone():
    pixels, mean, std = torch.rand(2, 3, 4, 4), [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
    given = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    shown = drawn(gallery(given, mean=mean, std=std))
    np.testing.assert_allclose(shown[0], pixels[0].permute(1, 2, 0).numpy(), atol=1e-6)


def test_other_ranges_are_stretched_image_by_image():
    images = torch.stack([torch.linspace(-3, 5, 16), torch.linspace(0, 0.5, 16)]).view(2, 1, 4, 4)
    for picture in drawn(gallery(images)):
        assert (picture.min(), picture.max()) == (0, 1)
    assert drawn(gallery(torch.full((1, 1, 4, 4), 7.0)))[0].max() == 0


def test_captions_and_colours():
    outputs = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    figure = gallery(torch.rand(2, 4, 4), targets=[0, 0], outputs_or_predictions=outputs, class_names=["cat", "dog"])
    assert titles(figure) == ["cat · 88%", "dog (cat) · 73%"]
    assert colours(figure) == [RIGHT.upper(), WRONG.upper()]
    both = gallery(torch.rand(1, 4, 4), titles=["first"], targets=torch.tensor([[1]]))
    assert titles(both) == ["first\n1"]


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([0, 1], ["0", "1"]),
        (torch.tensor([[0.9, 0.1], [0.3, 0.7]]), ["0 · 90%", "1 · 70%"]),
        (torch.tensor([[-2.0], [3.0]]), ["0 · 88%", "1 · 95%"]),
        (np.array([0.25, 0.75]), ["0 · 75%", "1 · 75%"]),
    ],
)
def test_outputs_of_each_kind(outputs, expected):
    assert titles(gallery(torch.rand(2, 4, 4), outputs_or_predictions=outputs)) == expected


def test_tiny_pictures_are_not_blurred_and_nothing_stays_open(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    figure = gallery(torch.rand(5, 1, 8, 8), columns=2, path=tmp_path / "a.png")
    assert {axes.get_images()[0].get_interpolation() for axes in figure.axes} == {"nearest"}
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (3, 2)
    assert pyplot.get_fignums() == before
    assert (tmp_path / "a.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.rand(0, 1, 4, 4), EmptyDataError, r"no images to show.*\(0, 1, 4, 4\)"),
        (torch.rand(4, 4), DataError, r"got \(4, 4\).*image\[None\]"),
        (torch.rand(2, 8, 8, 3), DataError, r"channels last.*images\.permute\(0, 3, 1, 2\)"),
        (torch.rand(8, 8, 3), DataError, r"channels last.*image\.permute\(2, 0, 1\)\[None\]"),
        (torch.rand(2, 4, 8, 8), DataError, "1 or 3 channels, got 4"),
        (torch.full((1, 1, 4, 4), torch.nan), NonFiniteDataError, "NaN or infinite"),
        (torch.rand(401, 1, 2, 2), ArgumentError, "401 images are too many"),
        (torch.zeros(1, 1, 2, 2, dtype=torch.complex64), DataTypeError, "real numbers, got torch.complex64"),
        ("x", DataTypeError, "images must be a tensor, an array or numbers, got str"),
    ],
)
def test_images_that_cannot_be_drawn(images, error, message):
    with pytest.raises(error, match=message):
        gallery(images)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"titles": ["a"]}, LengthError, "titles and images must have the same length, got 1 and 2"),
        ({"targets": [1, 2, 3]}, LengthError, "targets and images must have the same length, got 3 and 2"),
        ({"outputs_or_predictions": torch.rand(3, 4)}, LengthError, "got 3 and 2"),
        ({"targets": torch.rand(2, 5)}, DataError, "targets must be class numbers"),
        ({"outputs_or_predictions": torch.rand(2, 3, 4)}, DataError, r"shape \(N,\) or \(N, K\), got \(2, 3, 4\)"),
        ({"outputs_or_predictions": torch.tensor([0.1, torch.inf])}, NonFiniteDataError, "NaN or infinite"),
        ({"targets": [0, 2], "class_names": ["a", "b"]}, LabelError, "no name for class 2: class_names has 2 names"),
        ({"mean": [0.5]}, ArgumentError, "mean and std belong together"),
        ({"mean": [0.5, 0.5], "std": [1.0]}, LengthError, "mean needs one number per channel: 1, got 2"),
        ({"columns": 0}, ArgumentError, "columns must be at least 1, got 0"),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, message):
    with pytest.raises(error, match=message):
        gallery(torch.rand(2, 1, 4, 4), **arguments)


def test_the_surest_mistakes_come_first():
    outputs = torch.tensor([[4.0, 0], [0, 1.0], [0, 3.0], [0, 2.0], [1.0, 0]])
    assert pick_predictions([0, 0, 0, 0, 0], outputs, right=1, wrong=2).tolist() == [2, 3, 0]
    assert pick_predictions([0, 0], [1, 0]).tolist() == [0, 1]
    assert titles(predictions(torch.rand(5, 4, 4), [0] * 5, outputs, right=0, wrong=1)) == ["1 (0) · 95%"]


def test_predictions_refuse_what_does_not_fit():
    with pytest.raises(LengthError, match="targets and images must have the same length, got 2 and 3"):
        predictions(torch.rand(3, 4, 4), [0, 1], [0, 1])
    with pytest.raises(LengthError, match="outputs and targets must have the same length, got 3 and 2"):
        pick_predictions([0, 1], [0, 1, 1])
    with pytest.raises(EmptyDataError, match="nothing to show: 2 images, right=0, wrong=0"):
        predictions(torch.rand(2, 4, 4), [0, 1], [0, 1], right=0, wrong=0)
    with pytest.raises(ArgumentError, match="right must be at least 0"):
        pick_predictions([0], [0], right=-1)
