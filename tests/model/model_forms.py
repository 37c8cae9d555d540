"""The same net in the three forms that a model can have, for tests that go through all of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import easyconv as ec

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 1).long()


class Net(ec.Model):
    """A subclass with names that every course uses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.features = nn.Sequential(ec.layers.Dense(8), ec.layers.BatchNorm())
        self.classifier = ec.layers.Dense(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.relu(self.features(x)))


def layers() -> list[nn.Module]:
    return [ec.layers.Dense(8), ec.layers.BatchNorm(), nn.ReLU(), ec.layers.Dense(3)]


def wrapper(**options: Any) -> ec.Model:
    return ec.Model(nn.Sequential(*layers()), **options)


def sequential(**options: Any) -> ec.Sequential:
    return ec.Sequential(layers(), **options)


FORMS: dict[str, Callable[..., ec.Model]] = {"wrapper": wrapper, "subclass": Net, "sequential": sequential}
every_form = pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)


def made(make: Callable[..., ec.Model], **options: Any) -> ec.Model:
    torch.manual_seed(0)
    return make(**options)


def fitted(make: Callable[..., ec.Model], **compiled: Any) -> ec.Model:
    model = made(make)
    model.compile(device="cpu", **compiled)
    model.fit(X, Y, epochs=2, seed=0, verbose=0)
    return model


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)
