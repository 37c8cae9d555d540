"""EarlyStopping against traces worked out by hand from Keras's algorithm.

Keras counts ``wait`` up in every watched epoch, sets it to 0 where the value beats the best (and the baseline), and
stops in an epoch without improvement in which ``wait`` has reached ``patience``, but never in the first.
"""

import copy

import pytest
import torch
from scripted import NAN, data, scripted_fit

import easyconv as ec
from easyconv.callbacks import EarlyStopping, LambdaCallback
from easyconv.errors import ArgumentError, ArgumentTypeError

TRACES = [
    # values of validation, arguments, epochs that run
    ([1.0, 0.9, 0.8, 0.7], {}, 4),
    ([1.0, 0.9, 0.95, 0.1], {}, 3),  # patience 0: the first epoch without improvement is the last
    ([1.0, 1.0, 0.5], {}, 2),  # as good is no improvement
    ([1.0, 0.5, 0.6, 0.7, 0.1], {"patience": 1}, 3),
    ([1.0, 0.5, 0.6, 0.7, 0.1], {"patience": 2}, 4),
    ([1.0, 0.5, 0.6, 0.4, 0.6, 0.7, 0.1], {"patience": 2}, 6),  # an improvement starts patience again
    ([1.0, 0.95, 0.85, 0.8, 0.1], {"min_delta": 0.1}, 2),
    ([1.0, 0.95, 0.85, 0.8, 0.1], {"min_delta": 0.1, "patience": 2}, 5),
    ([0.9, 0.9, 0.9, 0.1], {"baseline": 0.5, "patience": 2}, 2),  # never better than the baseline
    ([0.9, 0.4, 0.45, 0.45, 0.1], {"baseline": 0.5, "patience": 2}, 4),  # better once: patience from there
    ([0.9, 0.8, 0.7, 0.75, 0.1], {"baseline": 0.5, "patience": 2}, 4),  # only epochs without improvement stop
    ([0.1, 0.9, 0.8, 0.9, 0.1], {"start_from_epoch": 1, "patience": 1}, 4),  # the first epoch is not looked at
    ([0.1, 0.5, 0.6], {"start_from_epoch": 3}, 3),
    ([NAN, NAN, 0.5], {}, 2),
    ([NAN, 0.5, NAN, NAN, 0.1], {"patience": 2}, 4),
]


@pytest.mark.parametrize(("values", "arguments", "epochs"), TRACES)
def test_stops_where_keras_stops(values, arguments, epochs):
    _, history = scripted_fit(values, EarlyStopping(**arguments))
    assert len(history) == epochs


@pytest.mark.parametrize(("values", "arguments", "epochs"), TRACES)
def test_rising_values_are_the_mirror_image(values, arguments, epochs):
    mirrored = {**arguments, "mode": "max"}
    if "baseline" in mirrored:
        mirrored["baseline"] = -mirrored["baseline"]
    _, history = scripted_fit([-value for value in values], EarlyStopping(**mirrored))
    assert len(history) == epochs


@pytest.mark.parametrize(
    ("metric", "rises"),
    [("accuracy", True), ("top5", True), ("f1", True), ("auroc", True), ("r2", True), ("mae", False), ("mse", False)],
)
def test_auto_knows_which_way_is_better(metric, rises):
    values = [0.5, 0.6, 0.7, 0.65] if rises else [0.7, 0.6, 0.5, 0.55]
    _, history = scripted_fit([*values, 0.0], EarlyStopping(f"val_{metric}"), metric=metric)
    assert len(history) == 4


def test_auto_refuses_what_it_does_not_know():
    with pytest.raises(ArgumentError, match="mode='min' or mode='max'"):
        EarlyStopping("val_wobble")
    assert EarlyStopping("val_wobble", mode="max").larger_is_better


def test_every_named_metric_has_a_direction():
    from easyconv.metrics import make

    falling = {"mae", "mean_absolute_error", "mean_squared_error", "mse", "rmse", "root_mean_squared_error"}
    names = {*make._CLASSIFICATION, *make._REGRESSION, *make._CURVES, *make._KERAS_TOP_5, "top3"}
    assert names > falling
    for name in names:
        assert EarlyStopping(f"val_{name}").larger_is_better == (name not in falling), name


@pytest.mark.parametrize(
    ("values", "arguments", "best"),
    [
        ([1.0, 0.5, 0.6, 0.7], {"patience": 2}, 2),
        ([1.0, 0.9, 0.8], {"patience": 2}, 3),  # also where it ends without being stopped
        ([0.9, 0.8, 0.85, 0.85], {"patience": 3, "baseline": 0.1}, 2),  # whatever the baseline
        ([NAN, 0.8, NAN, NAN], {"patience": 5}, 2),
        ([0.1, 0.5, 0.4, 0.6], {"patience": 5, "start_from_epoch": 1}, 3),
    ],
)
def test_restores_the_best_weights(values, arguments, best):
    stopping = EarlyStopping(restore_best_weights=True, **arguments)
    model, _ = scripted_fit(values, stopping)
    assert model.trained == best
    assert stopping.best_epoch == best - 1


def test_keeps_the_last_weights_unless_asked():
    model, _ = scripted_fit([1.0, 0.5, 0.6, 0.7], EarlyStopping(patience=2))
    assert model.trained == 4


def test_restores_after_an_error_too():
    def fail(epoch, logs):
        if epoch == 3:
            raise ZeroDivisionError

    from scripted import Scripted

    model = Scripted([0.5, 0.4, 0.6, 0.7])
    callbacks = [EarlyStopping(patience=9, restore_best_weights=True), LambdaCallback(on_epoch_end=fail)]
    with pytest.raises(ZeroDivisionError):
        model.fit(*data(), validation_data=data(), epochs=4, verbose=0, callbacks=callbacks)
    assert model.trained == 2


def test_restores_buffers_and_bits():
    torch.manual_seed(0)
    x, y = torch.randn(64, 5), torch.randint(0, 3, (64,))
    model = ec.Sequential([ec.layers.Dense(8), ec.layers.BatchNorm(), ec.layers.Dense(3)])
    model.compile("sgd", lr=0.1)
    seen = []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(copy.deepcopy(model.state_dict())))
    script = iter([0.5, 0.3, 0.4, 0.6])
    watch = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(scripted=next(script)))
    stopping = EarlyStopping("scripted", mode="min", patience=3, restore_best_weights=True)
    model.fit(x, y, epochs=4, verbose=0, callbacks=[watch, keep, stopping])
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, seen[1][name]), name
    assert not torch.equal(seen[1]["0.weight"], seen[3]["0.weight"])


def test_epochs_without_validation_are_skipped():
    # Validation after epochs 2, 4, 6, 8: the values are 0.5, 0.6, 0.7; the third is the second without improvement.
    _, history = scripted_fit([0.5, 0.6, 0.7, 0.8], EarlyStopping(patience=2), epochs=8, validation_freq=2)
    assert len(history) == 6


def test_starts_afresh_in_each_fit():
    stopping = EarlyStopping(patience=1)
    for _ in range(2):
        _, history = scripted_fit([0.5, 0.6, 0.1], stopping)
        assert len(history) == 2
        assert (stopping.stopped_epoch, stopping.best) == (1, 0.5)


def test_says_what_it_does(capsys):
    scripted_fit([0.5, 0.6, 0.1], EarlyStopping(patience=1, verbose=1, restore_best_weights=True))
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 2: stopped early; val_loss was 0.5000 at best.",
        "Restored the weights of epoch 1.",
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"monitor": 3}, ArgumentTypeError),
        ({"mode": "lowest"}, ArgumentError),
        ({"min_delta": -1}, ArgumentError),
        ({"min_delta": NAN}, ArgumentError),
        ({"patience": -1}, ArgumentError),
        ({"patience": 1.5}, ArgumentTypeError),
        ({"baseline": "0.5"}, ArgumentTypeError),
        ({"restore_best_weights": 1}, ArgumentTypeError),
        ({"start_from_epoch": -1}, ArgumentError),
        ({"verbose": "yes"}, ArgumentTypeError),
    ],
)
def test_refuses_bad_arguments(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        EarlyStopping(**arguments)


def test_keeps_the_first_weights_where_none_are_ever_better():
    """Keras: where no weights have been kept yet, those of the first epoch that is looked at are the best."""
    model, _ = scripted_fit(
        [0.1, NAN, NAN, NAN], EarlyStopping(start_from_epoch=1, patience=2, restore_best_weights=True)
    )
    assert model.trained == 2
