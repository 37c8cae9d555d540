"""Trained weights: files as torchvision has them, read from the folder where torch keeps them; nothing is fetched."""

import inspect
import pickle
import re
import urllib.error

import PIL.Image
import pytest
import torch
import torchvision
from torchvision.models import get_model_weights

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DataTypeError,
    FileMissingError,
    UnknownNameError,
    WeightsError,
)
from easyconv.zoo.pretrained import check_weights, load_imagenet

HEADS = {"googlenet": {"aux_logits": True, "init_weights": False}, "inception_v3": {"init_weights": False}}
"""What torchvision's builders need so that their nets hold what the files hold, and are made fast."""


TWINS = [
    (name, torchvision_name, arguments)
    for name in ec.zoo.__all__
    if "weights" in inspect.signature(getattr(ec.zoo, name)).parameters
    for torchvision_name, arguments in [
        (name, {"version": "torchvision"} if name in ("alexnet", "googlenet") else {}),
        *([(f"{name}_bn", {"batch_norm": True})] if name.startswith("vgg") else []),
    ]
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of weights, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def unreachable(url, *args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def path_of(folder, name, version="IMAGENET1K_V1"):
    return folder / get_model_weights(name)[version].url.rpartition("/")[2]


def their_net(name, seed=0):
    """torchvision's, with random weights, and statistics that are none of 0 and 1."""
    torch.manual_seed(seed)
    net = torchvision.models.get_model(name, weights=None, **HEADS.get(name, {})).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return net


def put(folder, name, version="IMAGENET1K_V1", seed=0):
    """Write such a net's file where a download would put it."""
    net = their_net(name, seed)
    torch.save(net.state_dict(), path_of(folder, name, version))
    return net


def picture(height=300, width=400):
    values = torch.rand(3, height // 20, width // 20, generator=torch.Generator().manual_seed(3))
    return torchvision.transforms.functional.resize((values * 255).byte(), [height, width])


# --- what loads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "googlenet", "inception_v3"])
def test_the_same_outputs_as_torchvision_with_its_own_preprocessing(folder, name):
    theirs = put(folder, name)
    if name in HEADS:
        theirs.transform_input = True  # as torchvision itself sets it with these weights
    ours = getattr(ec.zoo, name)(weights="imagenet").eval()
    entry = get_model_weights(name)["IMAGENET1K_V1"]
    image = picture()
    with torch.no_grad():
        expected = theirs(entry.transforms()(image)[None])
        found = ours(ours.preprocessing(image)[None])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert ours.preprocessing.categories == tuple(entry.meta["categories"])
    assert ours.preprocessing.categories[207] == "golden retriever"


def test_there_are_twins():
    assert len(TWINS) > 15


@pytest.mark.parametrize(("name", "torchvision_name", "arguments"), TWINS)
@pytest.mark.parametrize("num_classes", [1000, 7])
def test_every_twin_takes_its_file(monkeypatch, name, torchvision_name, arguments, num_classes):
    # Shapes are enough to see that each key finds its place, and which layers are the head.
    with torch.device("meta"):
        theirs = torchvision.models.get_model(torchvision_name, weights=None, **HEADS.get(name, {}))
    asked = []
    monkeypatch.setattr(
        torchvision.models.WeightsEnum,
        "get_state_dict",
        lambda entry, **options: asked.append(entry) or theirs.state_dict(),
    )
    with torch.device("meta"):
        ours = getattr(ec.zoo, name)(num_classes, weights="imagenet", **arguments)
    assert asked == [get_model_weights(torchvision_name)["IMAGENET1K_V1"]]
    assert (ours.preprocessing.categories is None) == (num_classes == 7)


@pytest.mark.parametrize(("name", "torchvision_name", "arguments"), TWINS)
def test_every_twin_hands_on_the_version(folder, name, torchvision_name, arguments):
    known = get_model_weights(torchvision_name).__members__
    error, match = (
        (FileMissingError, re.escape(path_of(folder, torchvision_name, "IMAGENET1K_V2").name))
        if "IMAGENET1K_V2" in known
        else (UnknownNameError, f"no weights IMAGENET1K_V2 for {torchvision_name}")
    )
    with torch.device("meta"), pytest.raises(error, match=match):
        getattr(ec.zoo, name)(weights="IMAGENET1K_V2", **arguments)


def test_another_number_of_classes_keeps_the_new_head_and_loads_all_else(folder):
    theirs = put(folder, "resnet18")
    torch.manual_seed(5)
    drawn = ec.zoo.resnet18(7)
    torch.manual_seed(5)
    ours = ec.zoo.resnet18(7, weights="imagenet")
    state = theirs.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in ours.state_dict().items() if key[:3] != "fc.")
    assert ours.fc.weight.shape == (7, 512)
    assert torch.equal(ours.fc.weight, drawn.fc.weight)
    assert torch.equal(ours.fc.bias, drawn.fc.bias)
    assert ours.preprocessing.categories is None
    assert ours.preprocessing(picture()).shape == (3, 224, 224)


def test_heads_for_training_follow_the_number_of_classes(folder):
    theirs = put(folder, "googlenet").state_dict()
    ours = ec.zoo.googlenet(7, weights="imagenet").state_dict()
    heads = ("fc.", "aux1.fc2.", "aux2.fc2.")
    assert {key for key, value in ours.items() if not torch.equal(value, theirs[key])} == {
        key for key in ours if key.startswith(heads)
    }


def test_the_file_of_densenet_has_names_with_dots(folder):
    theirs = put(folder, "densenet121")
    path = path_of(folder, "densenet121")
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12])", r"\1.\2", key): value
        for key, value in theirs.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, path)
    ours = ec.zoo.densenet121(weights="imagenet").eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-4)


def test_versions_of_torchvisions_have_files_and_transforms_of_their_own(folder):
    first, second = put(folder, "mobilenet_v2"), put(folder, "mobilenet_v2", "IMAGENET1K_V2", seed=1)
    for weights, net, resize in (
        ("imagenet", first, 256),
        ("IMAGENET1K_V1", first, 256),
        ("imagenet1k_v2", second, 232),
    ):
        ours = ec.zoo.mobilenet_v2(weights=weights)
        expected = net.classifier[1].weight
        assert torch.equal(ours.get_layer("classifier.1").weight, expected)
        assert ours.preprocessing.transform.resize_size == [resize]


def test_what_is_loaded_is_a_model_like_any_other(folder):
    put(folder, "mobilenet_v2")
    ours = ec.zoo.mobilenet_v2(weights="imagenet")
    twin = pickle.loads(pickle.dumps(ours))
    assert twin.preprocessing.categories == ours.preprocessing.categories
    torch.testing.assert_close(twin.preprocessing(picture()), ours.preprocessing(picture()))
    assert not any("preprocessing" in key for key in ours.state_dict())


def test_without_weights_nothing_happens():
    model = ec.Sequential([ec.layers.Dense(2)])
    assert load_imagenet(model, "resnet18", head="fc", weights=None) is model
    assert model.preprocessing is None


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def preprocessing():
    return ec.data.Preprocessing(get_model_weights("resnet18")["IMAGENET1K_V1"].transforms(), ["cat", "dog"])


def test_pictures_tensors_and_batches(preprocessing):
    image = picture()
    as_picture = torchvision.transforms.functional.to_pil_image(image)
    single, batch = preprocessing(image), preprocessing(torch.stack([image, image]))
    assert single.shape == (3, 224, 224)
    assert batch.shape == (2, 3, 224, 224)
    torch.testing.assert_close(batch[1], single)
    # Pillow rounds to whole bytes between its two passes.
    torch.testing.assert_close(preprocessing(as_picture), single, atol=0.03, rtol=0)
    # By hand: a white image is one color, whatever is cut out of it.
    white = preprocessing(torch.full((3, 300, 300), 255, dtype=torch.uint8))
    torch.testing.assert_close(
        white[:, 0, 0], (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    )
    assert preprocessing.categories == ("cat", "dog")


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16", "F"])
def test_pictures_of_every_kind_become_rgb(preprocessing, mode):
    assert preprocessing(PIL.Image.new(mode, (250, 260))).shape == (3, 224, 224)


@pytest.mark.parametrize(
    ("images", "error", "match"),
    [
        (3, DataTypeError, r"takes a PIL picture, a path, or a uint8 tensor .* got int\. .*PIL\.Image\.fromarray"),
        ("none.jpg", DataError, r"The picture 'none\.jpg' cannot be read: there is no such file"),
        (torch.zeros(3, 8, 8), DataTypeError, r"bytes of images, 0 to 255, got a tensor of torch\.float32\. .*\* 255"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), DataError, r"got \(2, 1, 8, 8\)\. .*expand"),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), DataError, r"channels first, got \(8, 8, 3\)\. .*permute"),
        (torch.zeros(8, 8, dtype=torch.uint8), DataError, r"got \(8, 8\)"),
    ],
)
def test_what_is_no_picture_is_refused(preprocessing, images, error, match):
    with pytest.raises(error, match=match):
        preprocessing(images)


def test_preprocessing_is_checked():
    with pytest.raises(ArgumentTypeError, match="transform must be a function of an image, got 3"):
        ec.data.Preprocessing(3)
    for wrong in ("cat", 3):
        with pytest.raises(ArgumentTypeError, match=f"categories must be a list of names, got {wrong!r}"):
            ec.data.Preprocessing(abs, wrong)
    model = ec.Sequential()
    assert model.preprocessing is None
    with pytest.raises(
        ArgumentTypeError, match=r"must be an ec\.data\.Preprocessing or None, .*Preprocessing\(function\)"
    ):
        model.preprocessing = abs
    model.preprocessing = ec.data.Preprocessing(abs)
    assert model.preprocessing.transform is abs
    model.preprocessing = None
    assert model.preprocessing is None


# --- what does not load -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "more", "error", "match"),
    [
        (
            "imagnet",
            {},
            UnknownNameError,
            r"no weights called 'imagnet'\. Did you mean 'imagenet' .*load_weights\(path\)",
        ),
        ("best.pt", {}, UnknownNameError, r"no weights called 'best\.pt'\. .*load_weights\(path\)"),
        (True, {}, ArgumentTypeError, r'got True \(bool\)\. Write weights="imagenet"\.'),
        (3, {}, ArgumentTypeError, r"got 3 \(int\)\.$"),
        ("imagenet", {"in_channels": 1}, ArgumentError, r"in_channels must be 3, got 1\. Repeat the channel .*expand"),
        ("imagenet", {"small": True}, ArgumentError, r"for large images, and small=True .*Leave small out"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_net_is_made(weights, more, error, match):
    with pytest.raises(error, match=match):
        check_weights(weights, **{"in_channels": 3, "small": False} | more)
    with pytest.raises(error, match=match):
        ec.zoo.resnet18(weights=weights, **more)


def test_none_is_always_right():
    assert check_weights(None, in_channels=1, small=True) is None


def test_without_a_network_the_message_says_where_to_put_the_file(folder):
    with pytest.raises(FileMissingError) as caught:
        ec.zoo.resnet18(weights="imagenet")
    text = str(caught.value)
    assert "'resnet18-f37072fd.pth'" in text
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in text
    assert repr(str(folder)) in text
    assert "no network" in text
    assert "TORCH_HOME" in text
    assert list(folder.iterdir()) == []


def test_a_version_that_a_net_does_not_have(folder):
    with pytest.raises(UnknownNameError, match=r'no weights IMAGENET1K_V2 for resnet18, .*weights="imagenet"'):
        ec.zoo.resnet18(weights="IMAGENET1K_V2")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_a_damaged_file_is_named(folder, content):
    path_of(folder, "resnet18").write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"'resnet18-f37072fd\.pth' in '.*' is damaged or cannot be read: .*Remove it"
    ):
        ec.zoo.resnet18(weights="imagenet")


def test_nothing_in_a_file_is_executed(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    torch.save({"fc.weight": Evil()}, path_of(folder, "resnet18"))
    with pytest.raises(WeightsError, match="damaged or cannot be read"):
        ec.zoo.resnet18(weights="imagenet")
    assert not (tmp_path / "opened").exists()


def test_a_file_that_is_no_state_dict(folder):
    torch.save([1, 2], path_of(folder, "resnet18"))
    with pytest.raises(WeightsError, match="holds a list, not a state_dict"):
        ec.zoo.resnet18(weights="imagenet")


def test_a_file_of_another_net_changes_nothing(folder):
    state = {"0.weight": torch.ones(4, 4), "0.bias": torch.ones(4), "9.weight": torch.ones(1)}
    torch.save(state, path_of(folder, "resnet18"))
    model = ec.Sequential([torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(
        WeightsError,
        match=r"nothing was loaded: 1\.weight is missing; 1\.bias is missing; 9\.weight is not in the net and 1 more",
    ):
        load_imagenet(model, "resnet18", head="1", weights="imagenet")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.preprocessing is None


def test_trained_weights_classify_files_and_transfer(folder, tmp_path):
    theirs, weights = put(folder, "resnet18"), get_model_weights("resnet18")["IMAGENET1K_V1"]
    model = ec.zoo.resnet18(weights="imagenet")
    torchvision.transforms.functional.to_pil_image(picture()).save(tmp_path / "photo.png")
    answer = model.classify(tmp_path / "photo.png")
    with torch.no_grad():
        image = weights.transforms()(PIL.Image.open(tmp_path / "photo.png"))
        wanted = theirs(image[None]).softmax(1)[0]
    assert answer.label == weights.meta["categories"][int(wanted.argmax())]
    assert answer.probability == pytest.approx(float(wanted.max()), abs=1e-5)
    body = model.layer4[0].conv1.weight
    model.replace_head(2, class_names=["cat", "dog"])
    assert model.layer4[0].conv1.weight is body
    assert model.classify(tmp_path / "photo.png").label in ("cat", "dog")
