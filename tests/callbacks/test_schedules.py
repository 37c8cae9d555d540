"""Schedules step by step against torch's own, driven by hand; all parameter groups keep their ratios."""

import math

import pytest
import torch
from torch.optim import lr_scheduler as schedules

import easyconv as ec
from easyconv.callbacks import Callback, DropLR, LearningRateScheduler, OneCycle, TorchScheduler, WarmupCosine
from easyconv.errors import ArgumentError, ArgumentTypeError

EPOCHS, BATCHES = 5, 4
X, Y = torch.randn(8 * BATCHES, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8 * BATCHES) % 2

MAKERS = {
    "step": lambda optimizer: schedules.StepLR(optimizer, 2, 0.1),
    "multi_step": lambda optimizer: schedules.MultiStepLR(optimizer, [1, 3], 0.5),
    "exponential": lambda optimizer: schedules.ExponentialLR(optimizer, 0.9),
    "cosine": lambda optimizer: schedules.CosineAnnealingLR(optimizer, 10, 0.001),
    "restarts": lambda optimizer: schedules.CosineAnnealingWarmRestarts(optimizer, 3),
    "lambda": lambda optimizer: schedules.LambdaLR(optimizer, lambda step: 0.95**step),
    "linear": lambda optimizer: schedules.LinearLR(optimizer, 0.1, total_iters=4),
    "polynomial": lambda optimizer: schedules.PolynomialLR(optimizer, 6, 2.0),
    "cyclic": lambda optimizer: schedules.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3),
    "sequential": lambda optimizer: schedules.SequentialLR(
        optimizer, [schedules.ConstantLR(optimizer, 0.1, 2), schedules.ExponentialLR(optimizer, 0.9)], [2]
    ),
}


class Rates(Callback):
    """Rates and momentum with which each batch is trained."""

    def __init__(self):
        self.rates, self.momentum = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append([group["lr"] for group in self.model.optimizer.param_groups])
        self.momentum.append(self.model.optimizer.param_groups[0].get("momentum"))


def compiled(optimizer=None):
    model = ec.Sequential([ec.layers.Dense(6, activation="relu"), ec.layers.Dense(2)], input_shape=(3,))
    groups = ec.optim.layer_rates({"1": 1.0}, rest=0.1)
    model.compile(ec.optim.SGD(lr=0.5, momentum=0.9, groups=groups) if optimizer is None else optimizer)
    return model


def rates_of(callback, model=None, **arguments):
    model, seen = model or compiled(), Rates()
    arguments = {"epochs": EPOCHS, "verbose": 0, "batch_size": 8, **arguments}
    model.fit(X, Y, callbacks=[callback, seen], **arguments)
    return seen


def by_hand(make, *, per, epochs=EPOCHS, last=None):
    """Rates of torch's schedule over the same groups, without any of easyconv."""
    held = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [held[0]], "lr": 0.5}, {"params": [held[1]], "lr": 0.05}], momentum=0.9)
    scheduler, seen, momentum = make(optimizer), [], []
    for _ in range(epochs):
        for _ in range(BATCHES):
            seen.append([group["lr"] for group in optimizer.param_groups])
            momentum.append(optimizer.param_groups[0]["momentum"])
            optimizer.step()
            if per == "batch" and len(seen) != last:
                scheduler.step()
        if per == "epoch":
            scheduler.step()
    return seen, momentum


@pytest.mark.parametrize("per", ["epoch", "batch"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_any_schedule_of_torch(make, per):
    found = rates_of(TorchScheduler(make, per=per))
    expected, momentum = by_hand(make, per=per)
    assert found.rates == expected
    assert found.momentum == momentum


@pytest.mark.parametrize(
    "arguments",
    [{}, {"rise": 0.5, "start_factor": 10, "end_factor": 100}, {"max_lr": 2.0}, {"anneal": "linear"}],
)
def test_one_cycle(arguments):
    callback = OneCycle(**arguments)
    top, total = callback.max_lr or 0.5, EPOCHS * BATCHES

    def make(optimizer):
        return schedules.OneCycleLR(
            optimizer,
            [top, 0.1 * top],
            total_steps=total,
            pct_start=callback.rise,
            anneal_strategy="linear" if callback.anneal == "linear" else "cos",
            div_factor=callback.start_factor,
            final_div_factor=callback.end_factor,
        )

    found = rates_of(callback)
    expected, momentum = by_hand(make, per="batch", last=total)
    assert found.rates == [pytest.approx(pair, rel=1e-12) for pair in expected]
    assert found.momentum == momentum
    assert all(second == pytest.approx(0.1 * first) for first, second in found.rates)
    assert max(found.rates)[0] == pytest.approx(top, rel=0.05)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.25, 0.5])
def test_warmup_cosine(warmup):
    total = EPOCHS * BATCHES
    rising = round(warmup * total)

    def make(optimizer):
        cosine = schedules.CosineAnnealingLR(optimizer, total - rising)
        if rising < 2:
            return (
                cosine
                if not rising
                else schedules.SequentialLR(optimizer, [schedules.ConstantLR(optimizer, 1.0, 1), cosine], [1])
            )
        rise = schedules.LinearLR(optimizer, 1 / rising, 1.0, rising - 1)
        return schedules.SequentialLR(optimizer, [rise, cosine], [rising])

    found = rates_of(WarmupCosine(warmup))
    expected, _ = by_hand(make, per="batch")
    assert found.rates == [pytest.approx(pair, rel=1e-9) for pair in expected]


def test_warmup_cosine_ends_at_a_share_of_each_rate():
    model = compiled()
    rates_of(WarmupCosine(0.0, end=0.1), model)
    share = 0.1 + 0.9 * (1 + math.cos(math.pi * 19 / 20)) / 2
    assert [group["lr"] for group in model.optimizer.param_groups] == pytest.approx([0.5 * share, 0.05 * share])


def test_drops_after_epochs_as_multi_step():
    found = rates_of(DropLR([1, 3], 0.5)).rates
    assert found == by_hand(MAKERS["multi_step"], per="epoch")[0]


def test_drops_are_told(capsys):
    rates_of(DropLR(2, verbose=1))
    assert capsys.readouterr().out == "Epoch 3: learning rate from 0.5 to 0.05.\n"


@pytest.mark.parametrize(
    ("at", "message"),
    [([], "at must be"), ([3, 1], "that rise"), ([1, 1], "that rise"), ([0], "at least 1"), ("3", "integer")],
)
def test_epochs_to_drop_at_are_checked(at, message):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        DropLR(at)


# Keras: schedule(epoch, lr) is asked at the beginning of each epoch; one that takes the epoch alone is asked so; its
# answer must be a float; verbose prints.
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda epoch, lr: lr if epoch < 2 else lr * 0.5, [0.5, 0.5, 0.25, 0.125, 0.0625]),
        (lambda epoch: 1.0 / (1 + epoch), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
        (lambda epoch, lr=3: lr, [0.5] * 5),
        (lambda epoch, lr: torch.tensor(0.25), [0.25] * 5),
    ],
)
def test_learning_rate_scheduler_as_in_keras(schedule, expected):
    model = compiled()
    history = model.fit(
        X, Y, batch_size=8, epochs=EPOCHS, verbose=0, callbacks=[LearningRateScheduler(schedule), seen := Rates()]
    )
    assert [first for first, _ in seen.rates[::BATCHES]] == pytest.approx(expected)
    assert all(second == pytest.approx(0.1 * first) for first, second in seen.rates)
    assert history.history["learning_rate"] == pytest.approx(expected)


def test_learning_rate_scheduler_goes_on_from_an_initial_epoch():
    found = rates_of(LearningRateScheduler(lambda epoch: epoch + 1.0), initial_epoch=3).rates
    assert [first for first, _ in found[::BATCHES]] == [4.0, 5.0]


def test_learning_rate_scheduler_says_what_it_does(capsys):
    rates_of(LearningRateScheduler(lambda epoch: 0.25, verbose=1), epochs=1)
    assert capsys.readouterr().out == "Epoch 1: learning rate 0.25.\n"


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (lambda epoch, lr: "0.1", ArgumentTypeError, r"returns must be a number, got '0.1' \(str\). Write 0.1."),
        (lambda epoch, lr: None, ArgumentTypeError, "returns must be a number, got None"),
        (lambda epoch, lr: -1.0, ArgumentError, "returns must be at least 0"),
        (lambda epoch, lr: float("nan"), ArgumentError, "returns must be at least 0"),
    ],
)
def test_rates_that_are_none_are_refused(schedule, error, message):
    with pytest.raises(error, match=message):
        rates_of(LearningRateScheduler(schedule))


def test_functions_that_take_something_else_are_refused():
    with pytest.raises(ArgumentError, match=r"must take \(epoch, lr\), but the signature of .* is \(a, b, c\)"):
        LearningRateScheduler(lambda a, b, c: 0.1)
    with pytest.raises(ArgumentTypeError, match=r"schedule must be a function \(epoch, lr\) -> lr, got 0.1"):
        LearningRateScheduler(0.1)


def test_torchs_plateau_gets_the_value_of_the_epoch():
    values = iter([0.5, 0.6, 0.7, 0.4, 0.5])
    script = ec.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=next(values)))
    plateau = TorchScheduler(lambda optimizer: schedules.ReduceLROnPlateau(optimizer, patience=1), monitor="mine")
    model, seen = compiled(), Rates()
    model.fit(X, Y, batch_size=8, epochs=5, verbose=0, callbacks=[script, plateau, seen])
    assert [first for first, _ in seen.rates[::BATCHES]] == pytest.approx([0.5, 0.5, 0.5, 0.05, 0.05])


@pytest.mark.parametrize("arguments", [{}, {"monitor": "loss", "per": "batch"}])
def test_torchs_plateau_without_a_value_is_refused(arguments):
    with pytest.raises(ArgumentError, match=r"pass monitor='val_loss' and leave per='epoch'"):
        rates_of(TorchScheduler(lambda optimizer: schedules.ReduceLROnPlateau(optimizer), **arguments))


def test_a_misspelt_value_stops_at_the_first_epoch():
    plateau = TorchScheduler(lambda optimizer: schedules.ReduceLROnPlateau(optimizer), monitor="los")
    model = compiled()
    with pytest.raises(ArgumentError, match=r"TorchScheduler\(monitor='los'\) is not in the logs. Did you mean 'loss'"):
        rates_of(plateau, model)
    assert len(model.history) == 1


def test_epochs_without_validation_are_left_out():
    made = []

    def make(optimizer):
        made.append(schedules.ReduceLROnPlateau(optimizer, patience=0))
        return made[-1]

    rates_of(TorchScheduler(make, monitor="val_loss"), validation_data=(X, Y), validation_freq=2)
    assert made[0].last_epoch == 2  # epochs 2 and 4 of 5


@pytest.mark.parametrize("make", [0.1, "cosine", None])
def test_something_else_than_a_function_is_refused(make):
    with pytest.raises(ArgumentTypeError, match="make must be a function from the optimizer to a schedule"):
        TorchScheduler(make)


def test_a_schedule_in_place_of_a_function_is_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ArgumentTypeError, match="the optimizer is made by fit"):
        TorchScheduler(schedules.StepLR(optimizer, 1))


def test_a_function_that_makes_something_else_is_refused():
    with pytest.raises(ArgumentTypeError, match=r"make must return a schedule of torch\.optim\.lr_scheduler, got 3"):
        rates_of(TorchScheduler(lambda optimizer: 3))


@pytest.mark.filterwarnings("ignore:The optimizer's learning rate is 0")
def test_a_rate_of_zero_is_no_start():
    model = compiled()
    rates_of(LearningRateScheduler(lambda epoch: 0.0), model)
    with pytest.raises(
        ArgumentError, match=r"TorchScheduler starts from the learning rate .* which is 0, as an earlie"
    ):
        rates_of(TorchScheduler(MAKERS["step"]), model)


@pytest.mark.parametrize("callback", [OneCycle, lambda: OneCycle(2.0), WarmupCosine])
def test_the_next_training_has_the_same_rates(callback):
    model = compiled()
    first = rates_of(callback(), model)
    second = rates_of(callback(), model)
    assert second.rates == first.rates
    assert second.momentum == first.momentum


def test_the_next_training_has_other_rates_where_they_are_set():
    model = compiled()
    rates_of(WarmupCosine(0.0), model)
    ec.optim.set_lr(model.optimizer, 0.2)
    assert rates_of(WarmupCosine(0.0), model).rates[0] == pytest.approx([0.2, 0.02])


@pytest.mark.parametrize("callback", [OneCycle(), WarmupCosine()])
def test_the_number_of_batches_must_be_known(callback):
    def batches():
        while True:
            yield X[:8], Y[:8]

    model = compiled()
    with pytest.raises(
        ArgumentError, match=rf"{type(callback).__name__} needs to know how many batches .*steps_per_ep"
    ):
        model.fit(iter([(X[:8], Y[:8])]), verbose=0, callbacks=callback)
    model.fit(batches(), steps_per_epoch=3, epochs=2, verbose=0, callbacks=callback)


def test_starts_anew_from_the_rates_that_there_are():
    model = compiled()
    halving = TorchScheduler(MAKERS["exponential"])
    first = rates_of(halving, model, epochs=2).rates[::BATCHES]
    assert [rate for rate, _ in first] == pytest.approx([0.5, 0.45])
    second = rates_of(TorchScheduler(MAKERS["lambda"], per="epoch"), model, epochs=2).rates[::BATCHES]
    assert [rate for rate, _ in second] == pytest.approx([0.405, 0.405 * 0.95])
    assert "step" not in vars(model.optimizer)
    assert all("initial_lr" not in group for group in model.optimizer.param_groups)


def test_whole_trainings_count_from_the_initial_epoch():
    found = rates_of(WarmupCosine(0.0), initial_epoch=3).rates
    assert [first for first, _ in found] == pytest.approx([0.25 * (1 + math.cos(math.pi * i / 8)) for i in range(8)])


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad"])
def test_one_cycle_with_any_optimizer(optimizer):
    model = compiled(optimizer)
    rates_of(OneCycle(0.01), model)
    assert model.optimizer.param_groups[0]["lr"] < 1e-6


def test_with_accumulated_gradients_nothing_is_complained_of(recwarn):
    model = ec.Sequential([ec.layers.Dense(2)], input_shape=(3,))
    model.compile("sgd", lr=0.5, accumulate=3)
    rates_of(TorchScheduler(MAKERS["exponential"], per="batch"), model)
    assert not [warning for warning in recwarn if "lr_scheduler" in str(warning.message)]


def test_begins_again_with_the_optimizer_of_a_second_phase():
    model, seen = compiled("sgd"), Rates()
    model.fine_tune(X, Y, batch_size=8, head_epochs=2, epochs=2, lr=0.1, verbose=0, callbacks=[WarmupCosine(0.0), seen])
    tops = [max(pair) for pair in seen.rates]
    assert tops[0] == pytest.approx(0.001)
    assert tops[2 * BATCHES] == pytest.approx(0.1)
    assert tops[-1] < 0.01
