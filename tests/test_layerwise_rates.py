"""Learning rates of layers: layerwise() and layer_rates() against groups made by hand."""

import pytest
import torch
import torchvision
from torch import nn

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


X, Y = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3


@pytest.mark.parametrize(
    ("groups", "rates"),
    [
        (ec.optim.layerwise(0.5), [0.025, 0.05, 0.1]),
        (ec.optim.layer_rates({"5": 1.0, "3": 0.3}, rest=0.1), [0.01, 0.03, 0.1]),
    ],
)
def test_a_plain_loop_gives_the_same_bits(groups, rates):
    model = ec.Model(net())
    model.compile(ec.optim.SGD(lr=0.1, momentum=0.9, groups=groups))
    model.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    plain = net()
    layers = [layer for layer in plain if isinstance(layer, nn.Linear)]
    parts = [{"params": layer.parameters(), "lr": rate} for layer, rate in zip(layers, rates, strict=True)]
    optimizer = torch.optim.SGD(parts, lr=0.1, momentum=0.9)
    for _ in range(3):
        for x, y in zip(X.split(4), Y.split(4), strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain(x), y).backward()
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))


def stages(net, decay=0.5):
    groups = ec.optim.layerwise(decay)(net)
    names = {parameter: name for name, parameter in net.named_parameters()}
    covered = [parameter for group in groups for parameter in group["params"]]
    assert len(covered) == len(set(covered)) == len(names)
    assert [group["relative_lr"] for group in groups] == [decay**depth for depth in range(len(groups))]
    return [[names[parameter] for parameter in group["params"]] for group in groups]


def test_stages_of_well_known_nets():
    resnet = stages(torchvision.models.resnet18(weights=None))
    assert resnet[0] == ["fc.weight", "fc.bias"]
    assert resnet[1][0].startswith("layer4.1")
    assert resnet[-1] == ["conv1.weight"]
    vgg = stages(torchvision.models.vgg11(weights=None))
    assert len(vgg) == 11
    assert vgg[-1] == ["features.0.weight", "features.0.bias"]
    vit = stages(torchvision.models.VisionTransformer(32, 16, 4, 1, 64, 256))
    assert vit[-1] == ["class_token", "encoder.pos_embedding"]
    assert sum(names[0].startswith("encoder.layers.encoder_layer") for names in vit) == 4
    assert len(stages(ec.Model(net()))) == 3
    assert len(stages(nn.Linear(2, 2))) == 1


def test_schedules_keep_the_ratios():
    model = ec.Model(net())
    model.compile(ec.optim.Adam(lr=0.1, groups=ec.optim.layerwise(0.5)))
    model.fit(X, Y, verbose=0)
    ec.optim.set_lr(model.optimizer, 0.04)
    assert [group["lr"] for group in model.optimizer.param_groups] == pytest.approx([0.04, 0.02, 0.01])
    ec.optim.scale_lr(model.optimizer, 0.1)
    assert [group["lr"] for group in model.optimizer.param_groups] == pytest.approx([0.004, 0.002, 0.001])


def test_the_longest_name_counts_and_wrappers_do_not():
    model = ec.Model(torchvision.models.resnet18(weights=None))
    rates = ec.optim.layer_rates({"layer4": 0.5, "layer4.1": 0.25, "net.fc": 1.0})
    counts = {group["relative_lr"]: len(group["params"]) for group in rates(model)[:3]}
    assert counts == {0.5: 9, 0.25: 6, 1.0: 2}


def test_the_defaults_rate_is_the_base():
    model = ec.Model(net())
    model.compile(ec.optim.SGD(groups=ec.optim.layerwise(0.5)))
    model.fit(X, Y, verbose=0)
    assert [group["lr"] for group in model.optimizer.param_groups] == pytest.approx([1e-3, 5e-4, 2.5e-4])


def with_groups(**settings):
    return ec.optim.SGD(lr=0.1, groups=lambda found: [{"params": found.parameters(), **settings}])(net())


def test_parameters_beside_the_layers_can_be_named():
    net = torchvision.models.VisionTransformer(32, 16, 2, 1, 8, 16)
    for model in (net, ec.Model(net)):
        groups = ec.optim.layer_rates({"class_token": 0.5, "encoder.pos_embedding": 0.25}, rest=0.1)(model)
        assert [group["params"] for group in groups[:2]] == [[net.class_token], [net.encoder.pos_embedding]]


def test_a_rate_that_is_a_tensor_stays_one():
    rate = torch.tensor(0.5)
    optimizer = ec.optim.Adam(lr=rate, groups=ec.optim.layerwise(0.5))(net())
    assert [group["lr"].item() for group in optimizer.param_groups] == [0.5, 0.25, 0.125]
    assert rate == 0.5


def test_the_plateau_keeps_the_ratios():
    model = ec.Model(net())
    model.compile(ec.optim.SGD(lr=0.4, groups=ec.optim.layerwise(0.5)))
    drop = ec.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=drop)
    assert [group["lr"] for group in model.optimizer.param_groups] == pytest.approx([0.1, 0.05, 0.025])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ec.optim.layerwise(0), ArgumentError, "decay must be more than 0"),
        (lambda: ec.optim.layerwise(2), ArgumentError, "decay must be at most 1, got 2"),
        (lambda: ec.optim.layer_rates([0.1]), ArgumentTypeError, r"rates must be a dict .* got \[0.1\]"),
        (lambda: ec.optim.layer_rates({"fc": -1}), ArgumentError, r"rates\['fc'\] must be more than 0, got -1"),
        (lambda: ec.optim.layer_rates({"fc": 1}, rest=0), ArgumentError, "rest must be more than 0, got 0"),
        (lambda: ec.optim.layer_rates({"0": 1.0})(net()), ArgumentError, "names the layer '0', which has no param"),
        (lambda: with_groups(lr=0.1, relative_lr=0.5), ArgumentError, r"lr=0.1 and relative_lr=0.5. Give one of them"),
        (lambda: with_groups(relative_lr=0), ArgumentError, "relative_lr must be more than 0, got 0"),
        (lambda: with_groups(relative_lr="x"), ArgumentTypeError, r"relative_lr must be a number, got 'x'"),
        (lambda: ec.optim.layer_rates({"fc": 1.0})(net()), ArgumentError, "names the layer 'fc', which is not there"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_reprs():
    assert repr(ec.optim.SGD(lr=0.1, groups=ec.optim.layerwise(0.5))) == "SGD(lr=0.1, groups=layerwise(0.5))"
    assert repr(ec.optim.layer_rates({"fc": 1.0}, rest=0.1)) == "layer_rates({'fc': 1.0}, rest=0.1)"
