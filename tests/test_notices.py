"""A warning names the line of the user's that led to it."""

import inspect
import warnings
from typing import Any

import pytest
import torch

import easyconv as ec
from easyconv.errors import EasyconvWarning


def line_of(function: Any) -> int:
    """The line with the call: the last of a function of few lines."""
    lines, first = inspect.getsourcelines(function)
    return first + len(lines) - 1


def sorted_labels() -> None:
    model = ec.Sequential([ec.layers.Dense(2)])
    model.compile(device="cpu")
    model.fit(torch.randn(40, 3), torch.arange(40) // 20, shuffle=False, batch_size=4, verbose=0)


def one_class() -> None:
    model = ec.Sequential([ec.layers.Dense(2)])
    model.compile(device="cpu")
    model.fit(torch.randn(40, 3), torch.zeros(40).long(), verbose=0)


def softmax_at_the_end() -> None:
    model = ec.Sequential([ec.layers.Dense(2), ec.layers.Activation("softmax")])
    model.compile(device="cpu")
    model.fit(torch.randn(40, 3), torch.arange(40) % 2, verbose=0)


def idle_optimizer() -> None:
    model = ec.Sequential([ec.layers.Dense(2)])
    model.compile(lambda parameters: torch.optim.SGD(parameters, lr=0.0), device="cpu")
    model.fit(torch.randn(40, 3), torch.arange(40) % 2, verbose=0)


def dropped_state() -> None:
    model = ec.Sequential([ec.layers.Dense(2)])
    model.compile(device="cpu")
    model.fit(torch.randn(40, 3), torch.arange(40) % 2, verbose=0)
    model.compile(device="cpu")


def broadcast_loss() -> None:
    model = ec.Sequential([ec.layers.Dense(1)])
    model.compile(loss=lambda output, target: (output - target).square().mean(), device="cpu")
    model.fit(torch.randn(40, 3), torch.randn(40), verbose=0)


def misspelt_event() -> None:
    cls = type("Misspelt", (ec.callbacks.Callback,), {"on_epoch_ends": lambda self, epoch, logs=None: None})
    ec.Sequential([ec.layers.Dense(1)]).predict(torch.randn(4, 3), callbacks=cls(), verbose=0)


CASES = [sorted_labels, one_class, softmax_at_the_end, idle_optimizer, dropped_state, broadcast_loss, misspelt_event]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_warning_points_at_the_users_line(case: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case()
    told = [warning for warning in caught if issubclass(warning.category, EasyconvWarning)]
    assert [(warning.filename, warning.lineno) for warning in told] == [(__file__, line_of(case))]
