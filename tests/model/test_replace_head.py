"""replace_head(): the last classifier of every net, and nothing else."""

import copy

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, LabelError, LayerNotFoundError
from easyconv.layers.heads import find_head, heads_of

CLASSIFIERS = torchvision.models.list_models(module=torchvision.models)
ZOO = sorted(ec.zoo.__all__)
SIDES = {"inception_v3": 299, "swin_v2_t": 256, "swin_v2_s": 256, "swin_v2_b": 256}


def arguments(name):
    return {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


def parts(net):
    """Parameters and buffers by name, as the objects that they are."""
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}


def check_only_heads_changed(before, net, heads):
    after = parts(net)
    assert list(before) == list(after)
    changed = {name.rpartition(".")[0] for name in before if before[name] is not after[name]}
    assert changed == heads


@pytest.fixture
def meta(monkeypatch):
    """Parameters and buffers without memory; torchvision computes with numbers while it makes RegNets."""
    parameter, buffer = nn.Module.register_parameter, nn.Module.register_buffer

    def without_memory(value):
        if value is None:
            return None
        return nn.Parameter(value.to("meta")) if isinstance(value, nn.Parameter) else value.to("meta")

    monkeypatch.setattr(nn.Module, "register_parameter", lambda m, name, p: parameter(m, name, without_memory(p)))
    monkeypatch.setattr(
        nn.Module, "register_buffer", lambda m, name, b, persistent=True: buffer(m, name, without_memory(b), persistent)
    )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_of_torchvision(name, meta):
    net = torchvision.models.get_model(name, weights=None, **arguments(name))
    model, before = ec.Model(net), parts(net)
    expected = {found.name for found in heads_of(net, find_head(net))}
    assert len(expected) == {"googlenet": 3, "inception_v3": 2}.get(name, 1)
    assert model.replace_head(7) is model
    check_only_heads_changed(before, net, expected)
    side = 300 if name.startswith("inception") else SIDES.get(name, 224)
    with torch.device("meta"):
        output = net.eval()(torch.empty(2, 3, side, side))
    assert output.shape == (2, 7)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_of_torchvision_answer_too(name):
    with torch.device("meta"):
        net = torchvision.models.get_model(name, weights=None, init_weights=False)
        ec.Model(net).replace_head(7)
        answers = net.train()(torch.empty(2, 3, 299, 299))
    assert all(answer.shape == (2, 7) for answer in answers)


@pytest.mark.parametrize("name", ZOO)
def test_every_net_of_the_zoo(name):
    with torch.device("meta"):
        model = getattr(ec.zoo, name)()
    head = find_head(model)
    others = {id(part) for path, part in parts(model).items() if not path.startswith((head.name, "aux", "AuxLogits"))}
    model.replace_head(5)
    assert others <= {id(part) for part in parts(model).values()}
    with torch.device("meta"):
        output = model.eval()(torch.empty(2, *model._inputs.shape[1:]))
    assert output.shape == (2, 5)


def small(**more):
    ec.set_seed(0)
    layers = [("body", ec.ConvBlock(4, pool=2)), ("flat", ec.layers.Flatten()), ("head", ec.layers.Dense(3))]
    return ec.Sequential(layers, **more)


X, Y = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 3


def test_before_the_sizes_are_known():
    model = small().replace_head(5)
    assert model.predict(X, verbose=0).shape == (24, 5)


def test_the_new_head_is_like_the_old_one():
    net = nn.Sequential(nn.Linear(4, 3, bias=False, dtype=torch.float64).eval())
    ec.Model(net).replace_head(2)
    assert net[0].weight.dtype == torch.float64
    assert net[0].bias is None
    assert net[0].training is False
    squeeze = ec.Model(torchvision.models.squeezenet1_1(weights=None)).replace_head(2)
    assert str(squeeze.get_layer("classifier.1")) == "Conv2d(512, 2, kernel_size=(1, 1), stride=(1, 1))"


@pytest.mark.parametrize("build", [True, False])
@pytest.mark.parametrize(("dimensions", "shape"), [(1, (3, 8)), (2, (3, 8, 8)), (3, (3, 4, 4, 4))])
def test_a_convolution_of_any_number_of_dimensions(dimensions, shape, build):
    conv = getattr(ec.layers, f"Conv{dimensions}D")
    model = ec.Sequential([conv(4, 3, padding="same"), conv(6, 1, bias=False), nn.Flatten(2), ec.layers.Lambda(mean)])
    if build:
        model.build(shape)
    model.replace_head(5)
    assert model.predict(torch.rand(2, *shape), verbose=0).shape == (2, 5)
    assert type(model[1]) is getattr(nn, f"Conv{dimensions}d")
    assert model[1].bias is None


def mean(x):
    return x.mean(2)


def test_a_head_without_sizes_keeps_type_device_mode_and_initial_values():
    zeros = ec.layers.Dense(3, init=lambda weight: nn.init.zeros_(weight))
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(8), zeros]).double().eval().replace_head(5)
    assert model.predict(X, verbose=0).dtype == np.float64
    assert not model[2].weight.any()
    assert not model[2].training
    with torch.device("meta"):
        bare = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(3)])
    assert bare.replace_head(5)[1].weight.data.device.type == "meta"


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121"])
def test_a_net_that_has_lost_its_head_is_not_damaged(name):
    with torch.device("meta"):
        net = torchvision.models.get_model(name)
    setattr(net, "classifier" if name.startswith("dense") else "fc", nn.Identity())
    before = parts(net)
    with pytest.raises(LayerNotFoundError, match=r"it ends with '[\w.]+' \(BatchNorm2d\)"):
        ec.Model(net).replace_head(5)
    assert all(before[key] is part for key, part in parts(net).items())


def test_frozen_parts_stay_frozen_and_the_head_is_trained():
    model = small(input_shape=(1, 8, 8))
    model.freeze()
    model.replace_head(5)
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == [
        "head.weight",
        "head.bias",
    ]


def test_a_head_that_stands_in_two_places_is_replaced_in_both():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)
            self.also = self.fc

        def forward(self, x):
            return self.also(x)

    net = Twice()
    ec.Model(net).replace_head(2)
    assert net.fc is net.also
    assert net(torch.zeros(1, 4)).shape == (1, 2)


def test_a_compiled_model_trains_on_and_forgets_the_old_head():
    model = small()
    model.compile("adam", lr=0.01)
    model.fit(X, Y, epochs=2, verbose=0, seed=0)
    old = set(model[-1].parameters())
    model.replace_head(6)
    held = {parameter for group in model.optimizer.param_groups for parameter in group["params"]}
    assert not old & held
    assert not old & set(model.optimizer.state)
    before = copy.deepcopy(model.state_dict())
    model.fit(X, torch.arange(24) % 6, epochs=1, verbose=0, seed=0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert {"head.weight", "head.bias"} <= changed
    held = [parameter for group in model.optimizer.param_groups for parameter in group["params"]]
    assert set(held) == set(model.parameters())
    assert len(held) == len(set(held))


@pytest.mark.parametrize("fitted", [True, False])
def test_an_optimizer_of_the_users_trains_the_new_head_in_the_place_of_the_old_one(fitted):
    model = small(input_shape=(1, 8, 8))
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.5}]
    mine = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    model.compile(mine)
    if fitted:
        model.fit(X, Y, verbose=0)
    model.replace_head(5)
    assert mine.param_groups[1]["params"] == list(model[2].parameters())
    assert not set(mine.state) - set(model.parameters())
    before = model[2].weight.detach().clone()
    model.fit(X, Y, verbose=0)
    assert model.optimizer is mine
    assert not torch.equal(model[2].weight, before)


def test_an_optimizer_of_the_users_that_left_the_head_out_is_noticed():
    model = small(input_shape=(1, 8, 8))
    model.compile(torch.optim.SGD(model[0].parameters(), lr=0.1))
    model.fit(X, Y, verbose=0)
    with pytest.warns(ec.errors.EasyconvWarning, match=r"\(SGD\) was made by you without the old head"):
        model.replace_head(5)


@pytest.mark.parametrize("optimizer", ["sgd", ec.optim.SGD(lr=0.1, groups=ec.optim.layerwise(0.5))])
def test_the_new_head_has_the_group_and_the_rate_of_the_old_one(optimizer):
    model = small()
    model.compile(optimizer)
    model.fit(X, Y, verbose=0)
    ec.optim.set_lr(model.optimizer, 0.02)
    rates = [group["lr"] for group in model.optimizer.param_groups]
    place = next(n for n, g in enumerate(model.optimizer.param_groups) if model[-1].weight in set(g["params"]))
    model.replace_head(5)
    model.fit(X, Y, verbose=0)
    assert [group["lr"] for group in model.optimizer.param_groups] == rates
    assert model[-1].weight in set(model.optimizer.param_groups[place]["params"])


def test_the_names_of_classes_go_along():
    model = small()
    model.preprocessing = ec.data.Preprocessing(lambda x: x, ("a", "b", "c"))
    assert model.replace_head(2, class_names=["cat", "dog"]).preprocessing.categories == ("cat", "dog")
    assert model.replace_head(4).preprocessing.categories is None


class HeadFirst(ec.Model):
    """A net whose head was made before the rest."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 3)
        self.body = nn.Linear(64, 8)

    def forward(self, x):
        return self.fc(self.body(x.flatten(1)))


def test_the_wrong_layer_is_noticed_and_the_right_one_can_be_named():
    model = HeadFirst().build((1, 8, 8))
    before = parts(model)
    with pytest.raises(
        ArgumentError, match=r"'body' is not the head: with 5 outputs there, the net does not fit together any more"
    ):
        model.replace_head(5)
    assert all(before[name] is part for name, part in parts(model).items())
    assert model.replace_head(5, layer="fc").predict(X, verbose=0).shape == (24, 5)


def test_one_of_several_outputs_must_follow_the_new_head():
    class Both(HeadFirst):
        def forward(self, x):
            features = self.body(x.flatten(1))
            return {"classes": self.fc(features), "features": features}

    model = Both().build((1, 8, 8))
    assert model.replace_head(5, layer="fc")(X[:2])["classes"].shape == (2, 5)

    class Unused(HeadFirst):
        def forward(self, x):
            self.body(x.flatten(1))
            return x.flatten(1)[:, :3], x.mean((1, 2, 3))

    model = Unused().build((1, 8, 8))
    with pytest.raises(ArgumentError, match=r"'body' is not the head: .* the net gives the shapes \(1, 3\), \(1,\)"):
        model.replace_head(5)
    assert model.body.out_features == 8


def test_a_head_that_was_named_is_remembered():
    model = HeadFirst().build((1, 8, 8)).replace_head(3, layer="fc")
    model.compile("sgd", lr=0.1)
    assert np.allclose(model.embed(X, verbose=0), model.body(X.flatten(1)).detach(), atol=1e-6)
    before = copy.deepcopy(model.state_dict())
    model.fine_tune(X, Y, epochs=0, verbose=0)
    assert not torch.equal(model.fc.weight, before["fc.weight"])
    assert torch.equal(model.body.weight, before["body.weight"])
    model.replace_head(2)
    assert model.fc.out_features == 2
    assert model.body.out_features == 8


def test_the_named_head_is_fine_tuned():
    model = HeadFirst().build((1, 8, 8))
    model.compile("sgd", lr=0.1)
    before = copy.deepcopy(model.state_dict())
    model.fine_tune(X, Y, epochs=0, layer="fc", verbose=0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: small().replace_head(0), ArgumentError, "num_classes must be at least 1"),
        (lambda: small().replace_head("two"), ArgumentTypeError, "num_classes must be an integer"),
        (lambda: small().replace_head(2, class_names=["a"]), ArgumentError, "must be 2 names, one per class, got 1"),
        (lambda: small().replace_head(2, layer="haed"), LayerNotFoundError, "no layer 'haed'. Did you mean 'head'"),
        (lambda: small().replace_head(2, layer="flat"), ArgumentError, "is a Flatten; a head is a dense layer"),
        (
            lambda: ec.Model(nn.ReLU()).replace_head(2),
            LayerNotFoundError,
            "at the end of this ReLU .* head. Name the layer, layer='...': there is none to choose from",
        ),
        (lambda: ec.Model(nn.Conv2d(4, 4, 1, groups=4)).replace_head(2), ArgumentError, "a convolution in 4 groups"),
        (
            lambda: ec.Model(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))).replace_head(2),
            LayerNotFoundError,
            r"it ends with '1' \(BatchNorm1d\). Name the layer, layer='...': one of '0'",
        ),
        (
            lambda: ec.Model(nn.Sequential(nn.Linear(2, 2), nn.MultiheadAttention(2, 1))).replace_head(2),
            LayerNotFoundError,
            r"ends with '1.out_proj' \(NonDynamicallyQuantizableLinear\)",
        ),
        (lambda: small().replace_head(2, class_names="ab"), ArgumentTypeError, r"must be a list of names, .* got 'ab'"),
        (lambda: small().replace_head(2, class_names=5), ArgumentTypeError, "must be a list of names, .* got 5"),
        (lambda: small().replace_head(1, class_names=[1]), ArgumentTypeError, r"must be a list of names, .* got \[1\]"),
        (lambda: small().replace_head(2, class_names=["a", "a"]), LabelError, "got 'a' twice"),
        (
            lambda: small().replace_head(2, class_names=["a", "b"]),
            ArgumentError,
            "kept by model.preprocessing, and this model has none",
        ),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


# --- freeze(until=) ---------------------------------------------------------------------------------------------------


def frozen(model):
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_all_before_a_layer_is_frozen():
    model = ec.Model(torchvision.models.resnet18(weights=None))
    model.freeze(until="layer4")
    names = {name for name, _ in model.named_parameters()}
    assert frozen(model) == {name for name in names if not name.startswith(("net.layer4", "net.fc"))}
    model.unfreeze()
    model.freeze(until="net.layer4.1")
    assert frozen(model) == {name for name in names if not name.startswith(("net.layer4.1", "net.fc"))}


def test_loose_parameters_come_before_the_layers_beside_them():
    model = ec.Model(torchvision.models.VisionTransformer(32, 16, 2, 1, 8, 16))
    model.freeze(until="encoder.layers.encoder_layer_1")
    assert {"net.class_token", "net.encoder.pos_embedding", "net.conv_proj.weight"} <= frozen(model)
    assert not any(
        name.startswith(("net.encoder.layers.encoder_layer_1", "net.encoder.ln", "net.heads")) for name in frozen(model)
    )


def test_one_goes_down_layer_by_layer():
    model = blocks()
    names = [name for name, _ in model.named_parameters()]
    for until in ("head", "two", "one"):
        model.freeze(until=until)
        assert frozen(model) == set(names[: next(n for n, name in enumerate(names) if name.startswith(until))])
        assert model.train().two.norm.training == (until != "head")
    model.freeze(until=model.two)
    assert frozen(model) == {name for name in names if name.startswith("one")}
    model.freeze(until=model)
    assert not frozen(model)


def test_what_is_used_on_both_sides_is_frozen():
    shared = nn.Linear(4, 4)
    model = ec.Sequential([shared, nn.Linear(4, 4), shared, nn.Linear(4, 2)])
    model.freeze(until="1")
    assert frozen(model) == {"0.weight", "0.bias"}


def test_until_is_checked():
    with pytest.raises(ArgumentTypeError, match="take dotted names or layers"):
        small().freeze(until=3)
    with pytest.raises(LayerNotFoundError, match="This model has no layer Linear"):
        small().freeze(until=nn.Linear(2, 2))
    with pytest.raises(LayerNotFoundError, match="no layer 'layer9'"):
        ec.zoo.resnet18(small=True).freeze(until="layer9")
    with pytest.raises(ArgumentError, match="layers, or until="):
        small().freeze("body", until="head")


def blocks():
    ec.set_seed(0)
    layers = [
        ("one", ec.ConvBlock(4, pool=2)),
        ("two", ec.ConvBlock(4, pool=2)),
        ("flat", ec.layers.Flatten()),
        ("head", ec.layers.Dense(3)),
    ]
    model = ec.Sequential(layers, input_shape=(1, 8, 8))
    model.compile("adam", lr=0.05)
    return model


def state(model, prefix):
    return {name: value.clone() for name, value in model.state_dict().items() if name.startswith(prefix)}


def test_frozen_parts_are_the_same_bits_after_everything(tmp_path):
    model = blocks()
    model.freeze(until="two")
    before = state(model, "one")
    assert any("running_mean" in name for name in before)

    def check(which):
        after = state(which, "one")
        assert all(torch.equal(value, after[name]) for name, value in before.items())

    model.fit(X, Y, epochs=2, verbose=0, seed=0)
    check(model)
    assert not torch.equal(state(blocks(), "two")["two.conv.weight"], state(model, "two")["two.conv.weight"])
    model.fit(X, Y, epochs=4, initial_epoch=2, verbose=0, seed=0)
    model.train()
    model(X)
    check(model)
    model.save_weights(tmp_path / "weights.pt")
    other = blocks()
    other.load_weights(tmp_path / "weights.pt")
    other.freeze(until="two")
    other.fit(X, Y, epochs=1, verbose=0)
    check(other)
    twin = copy.deepcopy(model)
    twin.fit(X, Y, epochs=6, initial_epoch=4, verbose=0)
    check(twin)


# --- fine_tune --------------------------------------------------------------------------------------------------------


def test_two_phases():
    model = blocks()
    seen = []

    class Spy(ec.callbacks.LambdaCallback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(
                (epoch, state(model, "one"), state(model, "head"), [g["lr"] for g in model.optimizer.param_groups])
            )

    start = state(model, "one")
    history = model.fine_tune(X, Y, epochs=2, head_epochs=2, decay=0.5, seed=0, verbose=0, callbacks=[Spy()])
    assert history.epoch == [0, 1, 2, 3]
    assert model.history.epoch == [0, 1, 2, 3]
    assert all(torch.equal(start[name], seen[1][1][name]) for name in start)
    assert not torch.equal(seen[0][2]["head.weight"], seen[1][2]["head.weight"])
    assert any(not torch.equal(start[name], seen[3][1][name]) for name in start)
    assert seen[1][3] == [0.05]
    # Three convolution blocks and heads make stages: conv and norm of two blocks, and the head.
    assert seen[3][3][0] == pytest.approx(0.005)
    assert seen[3][3] == pytest.approx([0.005 * 0.5**depth for depth in range(len(seen[3][3]))])
    assert len(seen[3][3]) > 2
    assert not frozen(model)


def test_what_the_user_froze_stays_frozen():
    model = blocks()
    model.freeze("one")
    before = state(model, "one")
    model.fine_tune(X, Y, epochs=1, verbose=0)
    assert frozen(model) == {name for name, _ in model.named_parameters() if name.startswith("one")}
    assert all(torch.equal(value, state(model, "one")[name]) for name, value in before.items())
    assert model[0].norm.train().training is False


def test_fine_tune_by_hand_gives_the_same_bits():
    ours, by_hand = blocks(), blocks()
    ours.fine_tune(X, Y, epochs=2, head_epochs=1, lr=0.002, decay=0.5, batch_size=8, seed=3, verbose=0)
    by_hand.freeze("one", "two")
    by_hand.fit(X, Y, epochs=1, batch_size=8, seed=3, verbose=0)
    progress = by_hand._session.progress
    by_hand.unfreeze()
    with pytest.warns(ec.errors.EasyconvWarning, match="starts the optimizer afresh"):
        by_hand.compile(ec.optim.Adam(lr=0.002, groups=ec.optim.layerwise(0.5)))
    by_hand._session.progress = progress
    by_hand.fit(X, Y, epochs=3, initial_epoch=1, batch_size=8, seed=3, verbose=0)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), by_hand.parameters(), strict=True))


def test_the_head_alone_may_be_left_out_and_so_may_the_rest():
    model = blocks()
    before = state(model, "one")
    assert model.fine_tune(X, Y, epochs=0, head_epochs=1, verbose=0).epoch == [0]
    assert all(torch.equal(value, state(model, "one")[name]) for name, value in before.items())
    assert blocks().fine_tune(X, Y, epochs=2, head_epochs=0, verbose=0).epoch == [0, 1]


def test_after_an_error_in_the_first_phase_nothing_stays_frozen():
    model = blocks()
    with pytest.raises(ZeroDivisionError):
        model.fine_tune(
            X, Y, verbose=0, callbacks=[ec.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: 1 / 0)]
        )
    assert not frozen(model)
    assert model[0].norm.train().training is True


def test_fine_tune_refuses():
    model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(3)], input_shape=(1, 8, 8))
    with pytest.raises(ec.errors.NotCompiledError, match=r"fine_tune\(\) needs to know how to train"):
        model.fine_tune(X, Y)
    model.compile(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ArgumentError, match="makes the optimizer anew at lower rates, and SGD is not made by compile"):
        model.fine_tune(X, Y)
    model = blocks()
    with pytest.raises(ArgumentTypeError, match=r"fine_tune\(\) has no argument epoch=. Did you mean 'epochs'"):
        model.fine_tune(X, Y, epoch=3)
    with pytest.raises(ArgumentError, match="decay must be at most 1"):
        model.fine_tune(X, Y, decay=1.5)
    with pytest.raises(ArgumentError, match="head_epochs must be at least 0"):
        model.fine_tune(X, Y, head_epochs=-1)


# --- embed ------------------------------------------------------------------------------------------------------------


def test_what_reaches_the_head_and_what_a_layer_gives():
    model = blocks()
    with torch.no_grad():
        model.eval()
        flat = model[:3](X)
        maps = model[:1](X)
    assert np.allclose(model.embed(X, batch_size=7, verbose=0), flat.numpy(), atol=1e-6)
    assert np.allclose(model.embed(X, layer="one", verbose=0), maps.mean((2, 3)).numpy(), atol=1e-6)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_embedding_leaves_modes_and_takes_splits():
    model = blocks().train()
    data = ec.data.from_arrays(((X * 255).to(torch.uint8), Y)).normalize()
    wanted = model.embed((data.train.images / 255 - data.mean[0]) / data.std[0], verbose=0)
    assert np.allclose(model.embed(data.train, verbose=0), wanted, atol=1e-5)
    assert model.training
    squeeze = ec.Model(torchvision.models.squeezenet1_1(weights=None))
    assert squeeze.embed(torch.rand(2, 3, 64, 64), verbose=0).shape == (2, 512)


def test_embed_refuses():
    with pytest.raises(LayerNotFoundError, match="no layer 'three'"):
        blocks().embed(X, layer="three")
    twice = nn.ReLU()
    model = ec.Sequential([ec.layers.Flatten(), twice, nn.Linear(64, 64), twice, nn.Linear(64, 3)])
    with pytest.raises(ec.errors.StateError, match="'1', which is run 2 times for each input"):
        model.embed(X, layer="1", verbose=0)
    google = ec.zoo.googlenet(num_classes=3)
    with pytest.raises(ec.errors.StateError, match="is not run in evaluation mode"):
        google.embed(torch.rand(1, 3, 224, 224), layer="aux1", verbose=0)
    recurrent = ec.Sequential(
        [
            ec.layers.Flatten(),
            nn.Unflatten(1, (8, 8)),
            nn.GRU(8, 4, batch_first=True),
            ec.layers.Lambda(lambda pair: pair[0][:, -1]),
            nn.Linear(4, 3),
        ]
    )
    with pytest.raises(ec.errors.StateError, match="one tensor with a row per input, and '2' gives tuple"):
        recurrent.embed(X, layer="2", verbose=0)
