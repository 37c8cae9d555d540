"""Weights in files: the net's own keys, whole files, and nothing loaded that does not fit."""

import copy
import io
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    FileMissingError,
    FileWriteError,
    NotBuiltError,
    WeightsError,
)
from easyconv.saving import load_weights, save_weights

ENDINGS = ["w.pt", "w.pth", "w.safetensors", "w"]


def plain():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


class Net(ec.Model):
    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.norm(self.features(x)).mean((2, 3)))


def sequential():
    return ec.Sequential(
        [ec.layers.Conv2D(4, 3), ec.layers.BatchNorm(), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(2)],
        input_shape=(3, 8, 8),
    )


FORMS = {"wrapper": lambda: ec.Model(plain()), "subclass": Net, "sequential": sequential}


def read(path):
    return load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)


def write(state, path):
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)


def own_net(model):
    return model.net if "net" in model._modules else model


def same(left, right):
    assert list(left) == list(right)
    for name in left:
        assert left[name].dtype == right[name].dtype
        assert torch.equal(left[name], right[name]), name


def bits(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items() if not nn.parameter.is_lazy(tensor)}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("form", FORMS)
def test_plain_torch_and_we_read_each_other(tmp_path, form, ending):
    model, path = FORMS[form](), tmp_path / ending
    own_net(model)[1].running_mean.fill_(3.0) if form != "subclass" else model.norm.running_mean.fill_(3.0)
    model.save_weights(path)
    state = own_net(model).state_dict()
    same({name: read(path)[name] for name in state}, dict(state))
    assert set(read(path)) == set(state)

    twin = FORMS[form]()
    assert not torch.equal(next(iter(twin.parameters())), next(iter(model.parameters())))
    result = twin.load_weights(path)
    assert result == ([], [], [])
    same(dict(twin.state_dict()), dict(model.state_dict()))

    write({name: tensor + 1 for name, tensor in state.items()}, path)
    twin.load_weights(path)
    for name, tensor in own_net(twin).state_dict().items():
        assert torch.equal(tensor, state[name] + 1)


def test_a_wrapper_fits_the_net_it_wraps(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnet18(weights=None)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    model = ec.Model(torchvision.models.resnet18(weights=None))
    model.load_weights(tmp_path / "theirs.pt")
    same(dict(model.net.state_dict()), dict(theirs.state_dict()))
    model.save_weights(tmp_path / "ours.safetensors")
    other = torchvision.models.resnet18(weights=None)
    other.load_state_dict(load_file(tmp_path / "ours.safetensors"), strict=True)
    same(dict(other.state_dict()), dict(theirs.state_dict()))


@pytest.mark.parametrize("ending", ENDINGS)
def test_tied_weights(tmp_path, ending):
    def tied():
        net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False))
        net[2].weight = net[0].weight
        return net

    net, path, twin = tied(), tmp_path / ending, tied()
    save_weights(net, path)
    assert set(read(path)) == {"0.weight", "2.weight"}
    load_weights(twin, path)
    assert twin[0].weight is twin[2].weight
    assert torch.equal(twin[0].weight, net[0].weight)


@pytest.mark.parametrize("ending", ENDINGS)
def test_layouts_do_not_matter(tmp_path, ending):
    net, path = plain().to(memory_format=torch.channels_last), tmp_path / ending
    net.register_buffer("turned", torch.arange(6.0).reshape(2, 3).t())
    save_weights(net, path)
    assert all(tensor.is_contiguous() for tensor in read(path).values())
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last)
    twin = plain()
    twin.register_buffer("turned", torch.zeros(3, 2))
    load_weights(twin, path)
    same(dict(twin.state_dict()), dict(net.state_dict()))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_precisions(tmp_path, ending, dtype):
    net, path = plain().to(dtype), tmp_path / ending
    save_weights(net, path)
    assert read(path)["0.weight"].dtype == dtype
    twin = plain().to(dtype)
    load_weights(twin, path)
    same(dict(twin.state_dict()), dict(net.state_dict()))


def test_a_net_without_parameters(tmp_path):
    for ending in ENDINGS:
        save_weights(nn.ReLU(), tmp_path / ending)
        assert load_weights(nn.ReLU(), tmp_path / ending) == ([], [], [])


def test_extra_state(tmp_path):
    class Counting(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.count = {"seen": 0}

        def get_extra_state(self):
            return self.count

        def set_extra_state(self, state):
            self.count = state

    net, twin = Counting(), Counting()
    net.count = {"seen": 5}
    save_weights(net, tmp_path / "w.pt")
    load_weights(twin, tmp_path / "w.pt")
    assert twin.count == {"seen": 5}
    assert torch.equal(twin.weight, net.weight)
    with pytest.raises(WeightsError, match=r"tensors only.*_extra_state"):
        save_weights(net, tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


def unbuilt():
    return ec.Sequential([ec.ConvBlock(4), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(2)])


def test_unbuilt_nets_are_not_saved(tmp_path):
    with pytest.raises(NotBuiltError, match="save_weights"):
        unbuilt().save_weights(tmp_path / "w.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_unbuilt_nets_take_their_sizes_from_the_file(tmp_path, ending):
    model = unbuilt().build((3, 8, 8))
    model.save_weights(tmp_path / ending)
    twin = unbuilt()
    twin.load_weights(tmp_path / ending)
    same(dict(twin.state_dict()), dict(model.state_dict()))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(twin.eval()(x), model.eval()(x))
    assert [type(module) for module in twin.modules()] == [type(module) for module in model.modules()]
    with pytest.raises(Exception):  # noqa: B017, PT011
        twin(torch.randn(2, 5, 8, 8))


def test_a_file_that_does_not_fit_leaves_an_unbuilt_net_unbuilt(tmp_path):
    other = ec.Sequential([ec.ConvBlock(8), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(3)]).build((3, 8, 8))
    other.save_weights(tmp_path / "w.pt")
    twin = unbuilt()
    with pytest.raises(WeightsError, match=r"nothing was loaded(.|\n)*0\.conv\.weight: \(8, 3, 3, 3\) in the file"):
        twin.load_weights(tmp_path / "w.pt")
    twin.build((5, 8, 8))  # nothing has been taken from the file
    assert twin(torch.randn(2, 5, 8, 8)).shape == (2, 2)


def spoiled(state, how):
    state = copy.deepcopy(state)
    if how == "missing":
        del state["3.bias"]
    elif how == "unexpected":
        state["extra.weight"] = torch.zeros(1)
    elif how == "shape":
        state["3.bias"] = torch.zeros(7)
    elif how == "scalar":
        state["3.bias"] = torch.tensor(1.0)
    return state


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("missing", r"Missing in the file: 3\.bias"),
        ("unexpected", r"Not in the net: extra\.weight"),
        ("shape", r"Other shapes: 3\.bias: \(7,\) in the file, \(2,\) in the net"),
        ("scalar", r"Other shapes: 3\.bias: \(\) in the file, \(2,\) in the net"),
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path, ending, how, match):
    net, path = plain(), tmp_path / ending
    write(spoiled(plain().state_dict(), how), path)
    before = bits(net)
    with pytest.raises(WeightsError, match=match) as caught:
        load_weights(net, path)
    same(bits(net), before)
    assert "nothing was loaded" in str(caught.value)
    assert ("strict=False" in str(caught.value)) == (how in ("missing", "unexpected"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_not_strict_loads_what_fits_and_lists_the_rest(tmp_path, ending):
    net, path = plain(), tmp_path / ending
    state = spoiled(spoiled(plain().state_dict(), "missing"), "unexpected")
    write(state, path)
    bias = net[3].bias.clone()
    result = ec.Model(net).load_weights(path, strict=False)
    assert result.missing == ["3.bias"]
    assert result.unexpected == ["extra.weight"]
    assert torch.equal(net[3].bias, bias)
    assert torch.equal(net[3].weight, state["3.weight"])
    write(spoiled(plain().state_dict(), "shape"), path)
    before = bits(net)
    with pytest.raises(WeightsError, match="Other shapes"):
        load_weights(net, path, strict=False)
    same(bits(net), before)


@pytest.mark.parametrize("prefix", ["module.", "net.", "_orig_mod."])
def test_files_of_known_wrappers_load_as_they_are(tmp_path, prefix):
    net = plain()
    torch.save({prefix + name: tensor for name, tensor in net.state_dict().items()}, tmp_path / "w.pt")
    other = plain()
    load_weights(other, tmp_path / "w.pt")
    for name, tensor in net.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_a_wrapper_loads_its_own_state_dict_and_that_of_its_net(tmp_path):
    model = ec.Model(plain())
    torch.save(model.state_dict(), tmp_path / "wrapper.pt")
    model.save_weights(tmp_path / "net.pt")
    for name in ("wrapper.pt", "net.pt"):
        other = ec.Model(plain())
        other.load_weights(tmp_path / name)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("prefix", ["student.", "0."])
def test_a_prefix_that_a_wrapper_left_is_named(tmp_path, prefix):
    net = plain()
    torch.save({prefix + name: tensor for name, tensor in net.state_dict().items()}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=rf"begin with '{prefix}'.*without it they fit"):
        load_weights(plain(), tmp_path / "w.pt")


def damage(path, how):
    whole = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "half":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "short":
        path.write_bytes(whole[:-1])
    elif how == "garbage":
        path.write_bytes(b"\x93garbage, not weights" * 50)
    elif how == "zeros":
        path.write_bytes(bytes(len(whole)))


@pytest.mark.parametrize("ending", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("how", ["empty", "half", "short", "garbage", "zeros"])
def test_damaged_files(tmp_path, ending, how):
    net, path = plain(), tmp_path / ending
    save_weights(plain(), path)
    damage(path, how)
    before = bits(net)
    with pytest.raises(WeightsError, match=rf"{ending}.*(damaged|empty)"):
        load_weights(net, path)
    same(bits(net), before)


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


FOREIGN = {
    "a whole net": lambda path: torch.save(plain(), path),
    "code": lambda path: torch.save({"0.weight": Evil()}, path),
    "a checkpoint": lambda path: torch.save({"epoch": 3, "model": plain().state_dict()}, path),
    "a list": lambda path: torch.save([torch.zeros(1)], path),
    "a tensor": lambda path: torch.save(torch.zeros(1), path),
    "a zip": lambda path: zipfile.ZipFile(path, "w").writestr("a.txt", "hello"),
    "text": lambda path: path.write_text("epoch,loss\n0,1\n"),
    "safetensors": lambda path: path.write_bytes(_safetensors()),
}


def _safetensors():
    from safetensors.torch import save

    return save(plain().state_dict())


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files(tmp_path, kind):
    net, path = plain(), tmp_path / "w.pt"
    FOREIGN[kind](path)
    before = bits(net)
    with pytest.raises(WeightsError, match=r"w\.pt") as caught:
        load_weights(net, path)
    same(bits(net), before)
    if kind == "a checkpoint":
        assert "'epoch', 'model' hold no tensors" in str(caught.value)
    if kind in ("a whole net", "code"):
        assert "state_dict() instead" in str(caught.value)


def test_a_torch_file_that_is_called_safetensors(tmp_path):
    torch.save(plain().state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(plain(), tmp_path / "w.safetensors")


def test_missing_files(tmp_path):
    save_weights(plain(), tmp_path / "best.pt")
    with pytest.raises(FileMissingError, match=r"'best\.pt'") as caught:
        load_weights(plain(), tmp_path / "bset.pt")
    assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(FileMissingError):
        load_weights(plain(), tmp_path / "nowhere" / "w.pt")
    with pytest.raises(WeightsError, match="is a folder"):
        load_weights(plain(), tmp_path)


def test_files_that_may_not_be_read(tmp_path, monkeypatch):
    save_weights(plain(), tmp_path / "w.pt")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("easyconv.saving.weights.torch.load", refuse)
    with pytest.raises(WeightsError, match="cannot be read: Permission denied"):
        load_weights(plain(), tmp_path / "w.pt")


@pytest.mark.parametrize("path", ["w.h5", "w.weights.h5", "w.keras"])
def test_the_files_of_keras_are_named(path):
    for call in (save_weights, load_weights):
        with pytest.raises(ArgumentError, match="Keras"):
            call(plain(), path)


@pytest.mark.parametrize("path", [None, 3, io.BytesIO()])
def test_what_is_no_path(path):
    for call in (save_weights, load_weights):
        with pytest.raises(ArgumentTypeError, match=r"path like 'best\.pt'"):
            call(plain(), path)


def test_strict_is_a_flag(tmp_path):
    with pytest.raises(ArgumentTypeError, match="strict"):
        load_weights(plain(), tmp_path / "w.pt", strict="no")


@pytest.mark.parametrize("ending", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("where", ["write", "fsync", "rename"])
def test_a_write_that_fails_keeps_the_older_file(tmp_path, monkeypatch, ending, where):
    path = tmp_path / ending
    save_weights(plain(), path)
    before = path.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    target = {"fsync": "easyconv.files.whole.os.fsync", "rename": "pathlib.Path.replace"}.get(where)
    if where == "write":
        target = "torch.save" if ending == "w.pt" else "safetensors.torch.save"
    with monkeypatch.context() as patch:
        patch.setattr(target, full)
        with pytest.raises(FileWriteError, match=r"No space left on device.*unchanged"):
            save_weights(plain(), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [ending]


def test_saving_changes_nothing(tmp_path):
    net = plain().train()
    before, modes = bits(net), [module.training for module in net.modules()]
    pointers = [parameter.data_ptr() for parameter in net.parameters()]
    for ending in ENDINGS:
        save_weights(net, tmp_path / ending)
    same(bits(net), before)
    assert [module.training for module in net.modules()] == modes
    assert [parameter.data_ptr() for parameter in net.parameters()] == pointers


def test_loading_keeps_the_parameters_themselves(tmp_path):
    """An optimizer made before goes on with the same objects."""
    net = plain()
    save_weights(plain(), tmp_path / "w.pt")
    parameters = list(net.parameters())
    load_weights(net, tmp_path / "w.pt")
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))


def test_the_same_weights_make_the_same_file(tmp_path):
    net = plain()
    for ending in ("w.pt", "w.safetensors"):
        first, second = tmp_path / f"1{ending}", tmp_path / f"2{ending}"
        save_weights(net, first)
        save_weights(net, second)
        same(read(first), read(second))


def residuals(*, built):
    """A block whose shortcut becomes the identity, and one whose shortcut projects."""
    net = nn.Sequential(
        ec.layers.Residual([ec.layers.Conv2D(3, 3, padding="same"), ec.layers.BatchNorm()]),
        nn.Sequential(ec.layers.Residual(ec.layers.Conv2D(5, 3, stride=2, padding="same"))),
    )
    if built:
        net(torch.randn(2, 3, 8, 8))
    return net.eval()


@pytest.mark.parametrize("ending", ENDINGS)
def test_blocks_load_into_a_net_that_has_seen_no_input(tmp_path, ending):
    net, fresh = residuals(built=True), residuals(built=False)
    save_weights(net, tmp_path / ending)
    assert load_weights(fresh, tmp_path / ending) == ([], [], [])
    assert type(fresh[0].shortcut) is nn.Identity
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(fresh(x), net(x))


def test_a_block_alone_loads_too(tmp_path):
    net, fresh = residuals(built=True)[0], residuals(built=False)[0]
    save_weights(net, tmp_path / "w.pt")
    load_weights(fresh, tmp_path / "w.pt")
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(fresh(x), net(x))


def test_a_file_that_does_not_fit_decides_no_shortcut(tmp_path):
    net, fresh = residuals(built=True), residuals(built=False)
    torch.save({**net.state_dict(), "other": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"Not in the net: other") as e:
        load_weights(fresh, tmp_path / "w.pt")
    assert "Missing" not in str(e.value)
    assert fresh(torch.randn(2, 3, 9, 9)).shape == (2, 5, 5, 5)


def test_a_projection_that_the_file_lacks_is_missing(tmp_path):
    fresh = nn.Sequential(ec.layers.Residual(ec.layers.Conv2D(5, 3, padding="same"), shortcut="conv"))
    torch.save({"0.main.weight": torch.zeros(5, 3, 3, 3), "0.main.bias": torch.zeros(5)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"Missing in the file: 0\.shortcut\.0\.weight"):
        load_weights(fresh, tmp_path / "w.pt")


# --- a new head, and files of others ----------------------------------------------------------------------------------


def headed(classes, features=4):
    return nn.Sequential(
        nn.Conv2d(3, features, 3), nn.BatchNorm2d(features), nn.Flatten(), nn.Linear(features, classes)
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_new_head_keeps_its_values_and_the_rest_is_loaded(tmp_path, ending):
    old, new = headed(2), headed(5)
    save_weights(old, tmp_path / ending)
    head = {name: tensor.clone() for name, tensor in new[3].state_dict().items()}
    with pytest.raises(WeightsError, match="skip_mismatch=True to leave out the layers of other shapes"):
        load_weights(new, tmp_path / ending)
    result = ec.Model(new).load_weights(tmp_path / ending, skip_mismatch=True)
    assert result == ([], [], ["3.weight", "3.bias"])
    same(new[3].state_dict(), head)
    same(new[:3].state_dict(), dict(old[:3].state_dict()))


def test_half_a_layer_is_skipped_with_the_other_half(tmp_path):
    """The bias of a dense layer fits though its weight does not."""
    old = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    new = nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 2))
    before = new[1].bias.clone()
    save_weights(old, tmp_path / "w.pt")
    assert load_weights(new, tmp_path / "w.pt", skip_mismatch=True).skipped == ["1.weight", "1.bias"]
    assert torch.equal(new[1].bias, before)
    assert torch.equal(new[0].weight, old[0].weight)


def test_skipping_shapes_is_not_skipping_keys(tmp_path):
    torch.save({**headed(2).state_dict(), "extra": torch.zeros(1)}, tmp_path / "w.pt")
    net = headed(5)
    with pytest.raises(WeightsError, match="Not in the net: extra") as caught:
        load_weights(net, tmp_path / "w.pt", skip_mismatch=True)
    assert "Other shapes" not in str(caught.value)
    result = load_weights(net, tmp_path / "w.pt", strict=False, skip_mismatch=True)
    assert result == ([], ["extra"], ["3.weight", "3.bias"])


def test_a_file_of_which_nothing_fits_is_refused_all_the_same(tmp_path):
    save_weights(nn.Linear(3, 3), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="no layer has the shapes of the file"):
        load_weights(nn.Linear(4, 4), tmp_path / "w.pt", skip_mismatch=True)
    with pytest.raises(ArgumentTypeError, match="skip_mismatch"):
        load_weights(nn.Linear(3, 3), tmp_path / "w.pt", skip_mismatch="yes")


def test_sizes_that_are_not_known_yet_come_from_the_file_though_the_head_is_another(tmp_path):
    old = ec.Sequential(
        [ec.layers.Conv2D(4, 3), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(2)], input_shape=(3, 8, 8)
    )
    new = ec.Sequential([ec.layers.Conv2D(4, 3), ec.layers.GlobalAvgPool2D(), ec.layers.Dense(7)])
    old.save_weights(tmp_path / "w.pt")
    assert new.load_weights(tmp_path / "w.pt", skip_mismatch=True).skipped == ["2.weight", "2.bias"]
    assert torch.equal(new[0].weight, old[0].weight)
    assert new(torch.zeros(1, 3, 8, 8)).shape == (1, 7)


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel, lambda net: torch.compile(nn.DataParallel(net))])
def test_what_wrappers_save_loads_as_it_is(tmp_path, wrap):
    net, twin = plain(), plain()
    state = wrap(net).state_dict()
    assert not set(state) & set(net.state_dict())
    torch.save(state, tmp_path / "w.pt")
    assert load_weights(twin, tmp_path / "w.pt") == ([], [], [])
    same(dict(twin.state_dict()), dict(net.state_dict()))
