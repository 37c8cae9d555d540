"""Which nets are trained with channels last: known layers at once, anything else after a look."""

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv.layers.known import is_known
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
    assert is_known(net)
    assert layout._works(net.train(), IMAGES, None)


# --- what could go wrong in silence -----------------------------------------------------------------------------------


class Reads(nn.Module):
    """Reads the memory of its input as if the channels came first; a view that torch cannot check."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.as_strided((len(x), x[0].numel()), (x[0].numel(), 1))


def test_a_net_that_gives_other_values_in_the_layout_keeps_the_usual_one() -> None:
    net = ec.Sequential([ec.layers.Conv2D(4, 3), Reads(), ec.layers.Dense(10)], input_shape=(3, 32, 32))
    assert not layout.wants_channels_last(net, recipe(), IMAGES)
    assert layout.wants_channels_last(conv_net(ec.layers.Lambda(lambda x: x * 2)), recipe(), IMAGES)


def test_a_branch_for_training_is_tried_too() -> None:
    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + x.view(len(x), -1).mean() if self.training else x

    assert not layout.wants_channels_last(conv_net(Branch()), recipe(), IMAGES)


def trained(net: ec.Model, **options: object) -> ec.Model:
    net.compile(**{"optimizer": ec.optim.SGD(lr=0.1), **options})  # type: ignore[arg-type]
    x = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    net.fit(x, torch.arange(16) % 2, batch_size=8, verbose=0, shuffle=False)
    return net


def test_weights_stay_where_they_lie_tied_shared_or_looked_at() -> None:
    torch.manual_seed(0)
    net = ec.Sequential([ec.layers.Conv2D(3, 3, padding=1), ec.layers.Conv2D(3, 3, padding=1)], input_shape=(3, 8, 8))
    net.append(ec.layers.GlobalAvgPool2D())
    net[1].weight.data = net[0].weight.data
    view = net[0].weight.detach()
    before = view.clone()
    trained(net)
    assert net[1].weight.data_ptr() == net[0].weight.data_ptr() == view.data_ptr()
    assert not torch.equal(view, before)
    net.share_memory()
    trained(net)
    assert net[0].weight.is_shared()


def test_losses_metrics_callbacks_and_optimizers_may_take_views() -> None:
    class Flat(torch.optim.Optimizer):
        def __init__(self, parameters: object) -> None:
            super().__init__(parameters, {"lr": 0.1})  # type: ignore[arg-type]

        @torch.no_grad()
        def step(self, closure: object = None) -> None:
            for p in self.param_groups[0]["params"]:
                p.view(-1).add_(p.grad.view(-1), alpha=-self.param_groups[0]["lr"])

    def dice(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        flat = output.sigmoid().view(-1)
        return 1 - 2 * (flat * target.view(-1)).sum() / (flat.sum() + target.sum())

    seen = []
    vector = ec.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(nn.utils.parameters_to_vector(net.parameters()).numel())
    )
    net = ec.Sequential([ec.layers.Conv2D(2, 3, padding=1)], input_shape=(3, 8, 8))
    net.compile(Flat, dice, metrics=[lambda output, target: output.view(len(output), -1).mean()], device="cpu")
    x = torch.randn(16, 3, 8, 8)
    net.fit(x, (x[:, :2] > 0).float(), verbose=0, callbacks=vector)
    assert seen == [56]
