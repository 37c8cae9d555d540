"""Whatever ``easyconv.callbacks`` exports is swept here; a new callback needs its arguments in ``settings.py``."""

import copy
import doctest
import inspect

import fakes
import pytest
import settings
from scripted import Scripted, data
from settings import BAD, EXPORTED, GOOD

from easyconv import callbacks
from easyconv.callbacks import Callback
from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvError

TIMES = ("seconds", "samples_per_second")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fakes.install(monkeypatch)


def make(name):
    return settings.make(name, "rectify")


def scripted(callback, script=(0.5, 0.6)):
    model = Scripted(script)
    if isinstance(callback, callbacks.SwapEMAWeights):
        model.compile("sgd", "mse", lr=1.0, ema=0.5)
    return model


def test_all_is_sorted_and_true():
    assert callbacks.__all__ == sorted(callbacks.__all__)
    assert {"CSVLogger", "EarlyStopping", "ModelCheckpoint", "ProgressBar"} <= set(EXPORTED)
    assert all(issubclass(cls, Callback) for cls in EXPORTED.values())
    assert set(GOOD) | set(BAD) <= set(EXPORTED)


@pytest.mark.parametrize("name", EXPORTED)
def test_documented_with_an_example_that_runs(name):
    cls = EXPORTED[name]
    test = next(t for t in doctest.DocTestFinder(recurse=False).find(cls, name, globs=dict(EXPORTED)))
    assert test.examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert runner.run(test).failed == 0
    parameters = set(inspect.signature(cls).parameters) - {"functions", "layers"}
    assert all(parameter in (cls.__doc__ or "") for parameter in parameters)


@pytest.mark.parametrize("name", EXPORTED)
def test_hooks_have_keras_signatures(name):
    for event in [event for event in vars(Callback) if event.startswith("on_")]:
        expected = list(inspect.signature(getattr(Callback, event)).parameters)
        assert list(inspect.signature(getattr(EXPORTED[name], event)).parameters) == expected


def trained(callback):
    model = scripted(callback)
    history = model.fit(*data(), epochs=2, validation_data=data(), verbose=0, callbacks=[callback])
    for row in history.rows:
        for name in TIMES:
            row.pop(name, None)
    return model, history


@pytest.mark.parametrize("name", EXPORTED)
def test_used_twice_does_the_same_twice(name, capsys, tmp_path):
    def watched():
        model, history = trained(callback)
        files = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        printed = [line for line in capsys.readouterr().out.splitlines() if "Epoch" not in line]
        return model.trained, history.history, files, printed

    callback = make(name)
    if name == "ModelCheckpoint":  # the best lives on, as in Keras
        callback.save_best_only = False
    first, second = watched(), watched()
    assert first == second


@pytest.mark.parametrize("name", EXPORTED)
def test_deep_copies_are_callbacks_of_their_own(name):
    callback = make(name)
    model, history = trained(copy.deepcopy(callback))
    assert callback.model is None
    trained(callback)
    used = copy.deepcopy(callback)  # also after a fit, with the model
    again, second = trained(used)
    if name != "ModelCheckpoint":
        assert (again.trained, second.history) == (model.trained, history.history)


@pytest.mark.parametrize("name", EXPORTED)
def test_a_copy_of_the_model_knows_nothing_of_callbacks(name):
    model, _ = trained(make(name))
    twin = copy.deepcopy(model)
    assert twin.trained == model.trained


@pytest.mark.parametrize("name", EXPORTED)
def test_bad_arguments_are_refused_when_it_is_made(name):
    with pytest.raises((EasyconvError, TypeError)):
        EXPORTED[name](**BAD.get(name, {"nonsense": 1}))


@pytest.mark.parametrize("name", EXPORTED)
def test_the_class_in_place_of_an_instance_is_refused(name):
    model = Scripted([])
    with pytest.raises(ArgumentTypeError, match=rf"write {name}\(\.\.\.\)"):
        model.fit(*data(), verbose=0, callbacks=[EXPORTED[name]])
    assert model.trained == 0


@pytest.mark.parametrize("wrong", ["early_stopping", 3, {"a": Callback()}, [None], ["x"], print])
def test_other_things_are_refused(wrong):
    model = Scripted([])
    with pytest.raises(ArgumentTypeError, match="callbacks must hold instances"):
        model.fit(*data(), verbose=0, callbacks=wrong)
    assert model.trained == 0


@pytest.mark.parametrize("name", EXPORTED)
def test_one_callback_needs_no_list(name):
    alone = make(name)
    model = scripted(alone)
    model.fit(*data(), epochs=2, validation_data=data(), verbose=0, callbacks=alone)
    assert alone.model is model


def test_arguments_stay_as_they_were_given():
    assert EXPORTED["EarlyStopping"]("loss", 0.1, 3).patience == 3
    with pytest.raises(TypeError):
        EXPORTED["EarlyStopping"]("loss", 0.1, 3, 1)
    with pytest.raises(ArgumentError):
        EXPORTED["ReduceLROnPlateau"]("loss", 2.0)
