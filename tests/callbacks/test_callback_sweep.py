"""Whatever ``easyconv.callbacks`` exports is swept here; a new callback needs an entry in ``GOOD`` and ``BAD``."""

import copy
import doctest
import inspect

import pytest
from scripted import Scripted, data

from easyconv import callbacks
from easyconv.callbacks import Callback
from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvError

EXPORTED = {name: value for name in callbacks.__all__ if inspect.isclass(value := getattr(callbacks, name))}

GOOD = {
    "CSVLogger": {"filename": "log.csv"},
    "EarlyStopping": {"patience": 1, "restore_best_weights": True},
    "LambdaCallback": {"on_epoch_end": print},
    "ModelCheckpoint": {"filepath": "{epoch}.pt", "save_best_only": True},
    "ReduceLROnPlateau": {"patience": 1},
}
"""Arguments with which each callback does something; the others take none."""

BAD = {
    "CSVLogger": {"filename": 3},
    "EarlyStopping": {"patience": "long"},
    "LambdaCallback": {"on_epoch_finished": print},
    "ModelCheckpoint": {"filepath": None},
    "ReduceLROnPlateau": {"factor": 10},
}


def make(name):
    return EXPORTED[name](**GOOD.get(name, {}))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_all_is_sorted_and_true():
    assert callbacks.__all__ == sorted(callbacks.__all__)
    assert {"CSVLogger", "EarlyStopping", "ModelCheckpoint", "ProgressBar"} <= set(EXPORTED)
    assert all(issubclass(cls, Callback) for cls in EXPORTED.values())
    assert set(GOOD) | set(BAD) <= set(EXPORTED)


@pytest.mark.parametrize("name", EXPORTED)
def test_documented_with_an_example_that_runs(name):
    cls = EXPORTED[name]
    test = next(t for t in doctest.DocTestFinder(recurse=False).find(cls, name, globs={"Callback": Callback}))
    assert test.examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert runner.run(test).failed == 0
    parameters = set(inspect.signature(cls).parameters) - {"functions"}
    assert all(parameter in (cls.__doc__ or "") for parameter in parameters)


@pytest.mark.parametrize("name", EXPORTED)
def test_hooks_have_keras_signatures(name):
    for event in [event for event in vars(Callback) if event.startswith("on_")]:
        expected = list(inspect.signature(getattr(Callback, event)).parameters)
        assert list(inspect.signature(getattr(EXPORTED[name], event)).parameters) == expected


def trained(callback, epochs=2, script=(0.5, 0.6)):
    model = Scripted(script)
    history = model.fit(*data(), epochs=epochs, validation_data=data(), verbose=0, callbacks=[callback])
    return model, history


@pytest.mark.parametrize("name", EXPORTED)
def test_used_twice_does_the_same_twice(name, capsys, tmp_path):
    def watched():
        model, history = trained(callback)
        files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
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
    model = Scripted([0.5, 0.6])
    model.fit(*data(), epochs=2, validation_data=data(), verbose=0, callbacks=alone)
    assert alone.model is model


def test_arguments_stay_as_they_were_given():
    assert EXPORTED["EarlyStopping"]("loss", 0.1, 3).patience == 3
    with pytest.raises(TypeError):
        EXPORTED["EarlyStopping"]("loss", 0.1, 3, 1)
    with pytest.raises(ArgumentError):
        EXPORTED["ReduceLROnPlateau"]("loss", 2.0)
