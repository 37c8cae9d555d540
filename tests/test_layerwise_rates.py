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


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ec.optim.layerwise(0), ArgumentError, "decay must be more than 0"),
        (lambda: ec.optim.layerwise(2), ArgumentError, "decay must be at most 1, got 2"),
        (lambda: ec.optim.layer_rates([0.1]), ArgumentTypeError, r"rates must be a dict .* got \[0.1\]"),
        (lambda: ec.optim.layer_rates({"fc": -1}), ArgumentError, r"rates\['fc'\] must be at least 0"),
        (lambda: ec.optim.layer_rates({"fc": 1.0})(net()), ArgumentError, "names the layer 'fc', which is not there"),
    ],
)
def test_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_reprs():
    assert repr(ec.optim.SGD(lr=0.1, groups=ec.optim.layerwise(0.5))) == "SGD(lr=0.1, groups=layerwise(0.5))"
    assert repr(ec.optim.layer_rates({"fc": 1.0}, rest=0.1)) == "layer_rates({'fc': 1.0}, rest=0.1)"
