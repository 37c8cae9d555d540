"""classify(): names of what pictures show; predict(tta=...)."""

import copy
import pickle

import numpy as np
import PIL.Image
import pytest
import torch
import torchvision
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    EmptyDataError,
    NotCompiledError,
    StateError,
    UnknownNameError,
)

NAMES = ("dark", "bright")


def pictures(folder, count=4, size=(9, 8)):
    """Half of them dark, half bright."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        low = 0 if number % 2 == 0 else 170
        pixels = rng.integers(low, low + 80, (*size, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(count)]


@pytest.fixture(scope="module")
def trained():
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    images = (torch.randint(0, 80, (64, 3, 8, 8), generator=rng) + 170 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    data = ec.data.from_arrays((images, labels), class_names=NAMES).normalize()
    ec.set_seed(0)
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(2)])
    model.compile("adam", lr=0.01)
    model.fit(data.train, epochs=5, seed=0, verbose=0)
    return model, data


def test_one_picture_a_list_and_a_folder(trained, tmp_path):
    model, _ = trained
    files = pictures(tmp_path / "some")
    one = model.classify(files[1])
    assert one.label == "bright"
    assert one.file == files[1]
    assert list(one.probabilities) == ["bright", "dark"]
    assert sum(one.probabilities.values()) == pytest.approx(1)
    assert one.probability == one.probabilities["bright"] > 0.5
    many = model.classify(files, batch_size=3)
    assert [answer.label for answer in many] == ["dark", "bright", "dark", "bright"]
    assert many[1].probability == pytest.approx(one.probability, abs=1e-6)
    folder = model.classify(tmp_path / "some")
    assert [answer.file for answer in folder] == files
    assert [answer.label for answer in folder] == [answer.label for answer in many]
    picture = model.classify(PIL.Image.open(files[1]))
    assert picture.probabilities == one.probabilities
    assert picture.file is None
    assert repr(one).startswith("<1.png: bright ")


def test_arrays_may_have_their_channels_last(trained, tmp_path):
    model, _ = trained
    pixels = np.asarray(PIL.Image.open(pictures(tmp_path, size=(8, 8))[1]))
    wanted = model.classify(PIL.Image.fromarray(pixels)).probabilities
    assert model.classify(pixels).probabilities == wanted
    assert model.classify(pixels.transpose(2, 0, 1)).probabilities == wanted
    assert model.classify([pixels])[0].probabilities == wanted


def test_classify_and_predict_agree_on_the_pictures_of_the_data_set(trained):
    model, data = trained
    outputs = torch.from_numpy(model.predict(data.train)).softmax(1)
    answers = model.classify([image for image, _ in data.train])
    for answer, row in zip(answers, outputs, strict=True):
        assert answer.probabilities["bright"] == pytest.approx(row[1].item(), abs=1e-6)


def test_preprocessing_travels_with_the_model(trained, tmp_path):
    model, data = trained
    file = pictures(tmp_path)[0]
    wanted = model.classify(file).probabilities
    assert copy.deepcopy(model).classify(file).probabilities == wanted
    assert pickle.loads(pickle.dumps(model)).classify(file).probabilities == wanted
    assert model.preprocessing == data.train.preprocessing
    assert pickle.loads(pickle.dumps(model.preprocessing)) == model.preprocessing


def test_a_net_that_is_not_compiled_uses_softmax(tmp_path):
    net = torchvision.models.resnet18(num_classes=2)
    model = ec.Model(net)
    weights = torchvision.models.ResNet18_Weights.DEFAULT
    model.preprocessing = ec.data.Preprocessing(weights.transforms(), NAMES)
    file = pictures(tmp_path, size=(300, 260))[0]
    answer = model.classify(file)
    with torch.no_grad():
        wanted = net.eval()(weights.transforms()(PIL.Image.open(file))[None]).softmax(1)[0]
    assert answer.probabilities["dark"] == pytest.approx(wanted[0].item(), abs=1e-5)


def test_one_output_is_the_probability_of_the_second_class(tmp_path):
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(1)])
    model.compile(loss="bce")
    images = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    model.fit(ec.data.from_arrays((images, torch.arange(8) % 2), class_names=NAMES).train, verbose=0)
    answer = model.classify(images[0])
    raw = model.predict(images[:1])[0, 0]
    assert answer.probabilities["bright"] == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-6)


def test_classes_without_names_are_numbers():
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(3)])
    model.compile()
    images = torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8)
    model.fit(ec.data.from_arrays((images, torch.arange(9) % 3)).train, verbose=0)
    assert model.classify(images[0]).label in (0, 1, 2)


def named(names):
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(3)], input_shape=(3, 8, 8))
    model.preprocessing = ec.data.Preprocessing(lambda x: torch.zeros(3, 8, 8), names)
    return model


def regression():
    model = named(None)
    model.compile(loss="mse")
    return model


IMAGE = torch.zeros(3, 8, 8, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda path: ec.zoo.lenet5().classify(IMAGE), StateError, "needs to know how pictures become"),
        (lambda path: named(NAMES).classify(IMAGE), DataError, "answers with 3 classes, .* has names for 2"),
        (lambda path: named(None).classify([]), EmptyDataError, "empty list"),
        (lambda path: named(None).classify(path), EmptyDataError, "no pictures in the folder"),
        (lambda path: named(None).classify(3), ArgumentTypeError, "takes a picture .* got int"),
        (lambda path: named(None).classify([IMAGE, 3]), ArgumentTypeError, "got int"),
        (lambda path: named(None).classify({"a": IMAGE}), ArgumentTypeError, "got dict"),
        (lambda path: named(None).classify(path / "none.jpg"), DataError, "none.jpg"),
        (lambda path: named(None).classify(IMAGE, batch_size=0), ArgumentError, "batch_size must be at least 1"),
        (lambda path: regression().classify(IMAGE), StateError, "does not say what the probabilities are"),
    ],
)
def test_refused(call, error, text, tmp_path):
    with pytest.raises(error, match=text):
        call(tmp_path)


def test_a_file_that_is_no_picture_is_named(trained, tmp_path):
    files = pictures(tmp_path)
    (tmp_path / "bad.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"bad\.jpg"):
        trained[0].classify([*files, tmp_path / "bad.jpg"])


# --- views ------------------------------------------------------------------------------------------------------------


def convolutional(size=8):
    ec.set_seed(0)
    model = ec.Sequential(
        [ec.layers.Conv2D(4, 3, activation="relu"), ec.layers.Flatten(), ec.layers.Dense(3)],
        input_shape=(3, size, size),
    )
    model.compile()
    return model


X = torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_flip_averages_outputs_and_probabilities():
    model = convolutional()
    straight, mirrored = (torch.from_numpy(model.predict(x)) for x in (X, X.flip(3)))
    assert model.predict(X, tta="flip") == pytest.approx(((straight + mirrored) / 2).numpy(), abs=1e-6)
    wanted = (straight.softmax(1) + mirrored.softmax(1)) / 2
    assert model.predict_proba(X, tta="flip") == pytest.approx(wanted.numpy(), abs=1e-6)
    assert model.predict_classes(X, tta="flip").tolist() == ((straight + mirrored) / 2).argmax(1).tolist()


def test_ten_crop_takes_the_size_of_the_net():
    model = convolutional(6)
    views = functional.ten_crop(X, [6, 6])
    wanted = torch.stack([torch.from_numpy(model.predict(view)) for view in views]).mean(0)
    assert model.predict(X, tta="ten_crop") == pytest.approx(wanted.numpy(), abs=1e-6)
    assert model.predict(X, tta=ec.augment.TenCrop(6)) == pytest.approx(wanted.numpy(), abs=1e-6)


def test_ten_crop_takes_the_place_of_the_crop_of_evaluation():
    model, images = convolutional(6), (X * 255).to(torch.uint8)
    data = ec.data.from_arrays((images, torch.zeros(10, dtype=torch.int64)))
    data = data.augment(ec.augment.RandomCrop(6), evaluation=ec.augment.CenterCrop(6))
    wanted = model.predict(images, tta=ec.augment.TenCrop(6))
    for tta in ("ten_crop", ec.augment.TenCrop(6)):
        assert model.predict(data.train, tta=tta) == pytest.approx(wanted, abs=1e-6)
    cut = model.predict(images[..., 1:7, 1:7], tta="flip")
    assert model.predict(data.train, tta="flip") == pytest.approx(cut, abs=1e-6)


def test_bytes_and_splits_have_views_too():
    model, images = convolutional(), (X * 255).to(torch.uint8)
    data = ec.data.from_arrays((images, torch.zeros(10, dtype=torch.int64))).normalize([0.5] * 3, [0.2] * 3)
    normal = (images.float() / 255 - 0.5) / 0.2
    assert model.predict(images, tta="flip") == pytest.approx(model.predict(images.float() / 255, tta="flip"), abs=1e-6)
    assert model.predict(data.train, tta="flip") == pytest.approx(model.predict(normal, tta="flip"), abs=1e-5)


def test_views_are_refused_where_they_make_no_sense():
    model = convolutional()
    with pytest.raises(UnknownNameError, match="flip"):
        model.predict(X, tta="filp")
    with pytest.raises(DataError, match=r"The crops of 6x6 are all the same in images of that very size\. Pass larger"):
        model.predict(X[..., :6, :6], tta=ec.augment.TenCrop(6))
    maps = ec.Sequential([ec.layers.Conv2D(2, 1)])
    with pytest.raises(ArgumentError, match=r"about whole images, and the net gives maps \(output has the shape"):
        maps.predict(X, tta="flip")
    masks = ec.data.from_arrays((X, tv_tensors.Mask(torch.zeros(len(X), *X.shape[2:], dtype=torch.uint8))))
    with pytest.raises(ArgumentError, match="this data has masks or boxes, whose places are others in each view"):
        maps.predict(masks.train, tta="flip")
    with pytest.raises(ArgumentError, match="ten_crop"):
        ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(2)]).predict(X, tta="ten_crop")
    with pytest.raises(NotCompiledError):
        ec.zoo.lenet5().predict_proba(X, tta="flip")
