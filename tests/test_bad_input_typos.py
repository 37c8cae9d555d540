"""Every name that people type: a slip of one letter gets the right name suggested in at least 99 of 100 cases."""

import inspect
import random
import string

import pytest
import torch
from bad_input import small_net

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, LayerNotFoundError, UnknownNameError
from easyconv.layers.activations import _NAMES as ACTIVATIONS
from easyconv.losses.table import ALIASES, KNOWN
from easyconv.metrics.make import _CLASSIFICATION, _CURVES, _REGRESSION
from easyconv.names import normalize

PER_NAME = 12


def slips(name, known):
    """Deletions, insertions, swaps and substitutions; not those that are another right name."""
    rng, letters = random.Random(name), string.ascii_lowercase
    found = {name[:i] + name[i + 1 :] for i in range(len(name)) if len(name) > 1}
    found |= {name[:i] + name[i + 1] + name[i] + name[i + 2 :] for i in range(len(name) - 1)}
    found |= {name[:i] + rng.choice(letters) + name[i:] for i in range(len(name) + 1)}
    found |= {name[:i] + rng.choice(letters) + name[i + 1 :] for i in range(len(name))}
    taken = {normalize(other) for other in known}
    usable = sorted(slip for slip in found if normalize(slip) not in taken and slip.isidentifier())
    return rng.sample(usable, min(PER_NAME, len(usable)))


def share_suggested(names, ask):
    """How many slips have the right name in their message, and which have not."""
    missed, total = [], 0
    for name in names:
        for slip in slips(name, names):
            total += 1
            with pytest.raises((ArgumentError, ArgumentTypeError, LayerNotFoundError, AttributeError)) as caught:
                ask(slip)
            message = str(caught.value)
            assert repr(slip) in message or f"{slip}=" in message
            if f"'{name}'" not in message and f"{name}=" not in message:
                missed.append((slip, name, message))
    assert total >= 2 * len(list(names))
    return 1 - len(missed) / total, missed


def check(names, ask):
    share, missed = share_suggested(names, ask)
    assert share >= 0.99, missed


def compile_with(**arguments):
    ec.Model(small_net()).compile(**{"device": "cpu", **arguments})


OPTIMIZERS = [name.lower() for name in vars(torch.optim) if name in ec.optim.__all__]


def test_optimizers():
    check(OPTIMIZERS, lambda name: compile_with(optimizer=name))


def test_optimizers_of_ec_optim():
    check([name for name in ec.optim.__all__ if hasattr(torch.optim, name)], lambda name: getattr(ec.optim, name))


def test_losses():
    check([*KNOWN, *ALIASES], lambda name: compile_with(loss=name))


def test_metrics():
    check([*_CLASSIFICATION, *_REGRESSION, *_CURVES], lambda name: compile_with(metrics=[name]))


def test_activations():
    check(list(ACTIVATIONS), lambda name: ec.layers.Dense(3, activation=name))


def test_layers():
    check(ec.layers.__all__, lambda name: getattr(ec.layers, name))


@pytest.mark.filterwarnings("ignore:precision='auto'")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_precisions(precision):
    check([precision], lambda name: compile_with(precision=name))


def test_words_of_padding_and_merging():
    check(["same", "valid"], lambda name: ec.layers.Conv2D(3, 3, padding=name))
    check(["zeros", "reflect", "replicate", "circular"], lambda name: ec.layers.Conv2D(3, 3, padding_mode=name))


@pytest.mark.parametrize("name", [name for name in ec.layers.__all__ if name not in ("Parallel",)])
def test_keywords_of_layers(name):
    layer = getattr(ec.layers, name)
    keywords = [key for key, one in inspect.signature(layer).parameters.items() if one.kind is not one.VAR_POSITIONAL]
    for keyword in keywords:
        for slip in slips(keyword, keywords):
            with pytest.raises(ArgumentTypeError) as caught:
                layer(**{slip: 1})
            assert f"got {slip}=1" in str(caught.value)
            assert keyword in str(caught.value)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_keywords_of_optimizers(name):
    keywords = list(inspect.signature(getattr(ec.optim, name)).parameters)
    check(keywords, lambda slip: getattr(ec.optim, name)(**{slip: 0.1}))


def test_names_of_layers_in_a_net():
    model = ec.Sequential(
        [("stem", torch.nn.Linear(2, 2)), ("middle", torch.nn.ReLU()), ("head", torch.nn.Linear(2, 3))]
    )
    check(["stem", "middle", "head"], model.get_layer)


def test_events_of_callbacks():
    events = [name for name in vars(ec.callbacks.Callback) if name.startswith("on_")]
    check(events, lambda name: ec.callbacks.LambdaCallback(**{name: print}))


def test_names_of_keras():
    for keras, ours in {"MaxPooling2D": "MaxPool2D", "BatchNormalization": "BatchNorm"}.items():
        with pytest.raises(AttributeError, match=f"Keras's {keras} is {ours} here"):
            getattr(ec.layers, keras)
    with pytest.raises(UnknownNameError, match="use 'cross_entropy', which takes raw outputs"):
        compile_with(loss="sparse_categorical_crossentropy")


def test_case_and_hyphens_are_no_slips():
    for name in ("Adam", "ADAM", "adam ", "SGD"):
        compile_with(optimizer=name)
    for name in ("Cross-Entropy", "cross entropy", "MSE"):
        compile_with(loss=name)
