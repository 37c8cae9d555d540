"""Which nets are trained with channels last: known layers at once, anything else after a look."""

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv.training import layout
from easyconv.training.recipe import make_recipe
from easyconv.training.state import Recipe

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def recipe(channels_last: object = "auto", **options: object) -> Recipe:
    given = {"optimizer": "sgd", "loss": "cross_entropy", "metrics": None, "lr": None, "device": "cpu"}
    given |= {"precision": "fp32", "jit": False, "clip_norm": None, "clip_value": None, "accumulate": 1, "ema": None}
    return make_recipe(**{**given, "channels_last": channels_last, "loss_weights": None, **options})  # type: ignore[arg-type]


def conv_net(*more: nn.Module) -> ec.Sequential:
    return ec.Sequential([ec.ConvBlock(4), *more, ec.layers.Flatten(), ec.layers.Dense(10)], input_shape=(3, 32, 32))


def looked(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The nets that are tried in a copy."""
    found: list[nn.Module] = []
    monkeypatch.setattr(layout, "_works", lambda net, example, without: found.append(net) or False)
    return found


def test_a_net_of_known_layers_needs_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    found = looked(monkeypatch)
    assert layout.wants_channels_last(conv_net(), recipe(), IMAGES)
    assert layout.wants_channels_last(ec.Model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), recipe(), IMAGES)
    assert found == []


def hooked() -> nn.Module:
    net = conv_net()
    net[0].register_forward_hook(lambda module, args, output: output)
    return net


class Views(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(len(x), -1)


UNKNOWN: dict[str, Callable[[], nn.Module]] = {
    "a module of the user's": lambda: conv_net(Views()),
    "a function": lambda: conv_net(ec.layers.Lambda(lambda x: x * 2)),
    "an activation that is a function": lambda: conv_net(ec.layers.Conv2D(4, 3, activation=lambda x: x.relu())),
    "a merge that is a function": lambda: conv_net(ec.Parallel(ec.layers.Conv2D(4, 1), None, merge=lambda xs: xs[0])),
    "a hook": hooked,
    "a subclass of Model": lambda: type("Own", (ec.Sequential,), {"__module__": "somewhere"})(list(conv_net())),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_code_of_the_users_is_looked_at(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = looked(monkeypatch)
    net = UNKNOWN[kind]()
    assert not layout.wants_channels_last(net, recipe(), IMAGES)
    assert found == [net]


def test_what_is_said_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    found = looked(monkeypatch)
    assert layout.wants_channels_last(conv_net(Views()), recipe(True), IMAGES)
    assert not layout.wants_channels_last(conv_net(), recipe(False), IMAGES)
    assert found == []


def test_only_images_and_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not layout.wants_channels_last(ec.Model(nn.Sequential(nn.Linear(3, 4))), recipe(), IMAGES)
    assert not layout.wants_channels_last(ec.Model(nn.Sequential(nn.Conv1d(3, 4, 1))), recipe(), IMAGES[..., 0])
    assert not layout.wants_channels_last(conv_net(), recipe(), (IMAGES, IMAGES))


def small_nets() -> dict[str, Callable[[], ec.Model]]:
    found: dict[str, Callable[[], ec.Model]] = {}
    for name in ec.zoo.__all__:
        make = getattr(ec.zoo, name)
        if "small" in inspect.signature(make).parameters and name not in ("densenet121", "resnet152", "resnet101"):
            found[name] = lambda make=make: make(num_classes=10, in_channels=3, small=True)
    for name in ("cifar_cnn", "cifar_vgg", "resnet20"):
        found[name] = getattr(ec.zoo, name)
    return found


@pytest.mark.parametrize("name", small_nets())
def test_the_nets_of_the_zoo_are_known_and_really_take_the_layout(name: str) -> None:
    net = small_nets()[name]()
    assert layout._is_known(net)
    assert layout._works(net.train(), IMAGES, None)
