"""Arguments of ``compile``, ``fit`` and of callbacks, that make no sense."""

import warnings

import pytest
import torch
from bad_input import Bench, Case, X, Y, lazy_net, run_case, small_net
from torch import nn

import easyconv as ec
from easyconv.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    EasyconvError,
    EasyconvWarning,
    NotBuiltError,
    NotCompiledError,
    StateError,
    UnknownNameError,
)

NAN, INF = float("nan"), float("inf")


def how(**arguments):
    """``compile`` with these, on a model that is compiled already: a refused compile must leave it as it is."""

    def act(b):
        b.model().compile(**{"device": "cpu", **arguments})

    return act


def fit(**arguments):
    return lambda b: b.fit(**arguments)


def frozen():
    net = small_net()
    for parameter in net.parameters():
        parameter.requires_grad = False
    return net


FIT = [
    Case(
        "epochs text",
        fit(epochs="10"),
        ArgumentTypeError,
        (
            "epochs must be an integer, got '10' (str).",
            "Write 10.",
        ),
    ),
    Case(
        "epochs float",
        fit(epochs=2.0),
        ArgumentTypeError,
        (
            "epochs must be an integer, got 2.0 (float).",
            "Write 2.",
        ),
    ),
    Case(
        "epochs negative",
        fit(epochs=-1),
        ArgumentError,
        ("epochs must be at least 0, got -1.",),
    ),
    Case(
        "epochs None",
        fit(epochs=None),
        ArgumentTypeError,
        ("epochs must be an integer, got None (NoneType).",),
    ),
    Case(
        "epochs True",
        fit(epochs=True),
        ArgumentTypeError,
        ("epochs must be an integer, got True (bool).",),
    ),
    Case(
        "epochs a list",
        fit(epochs=[1, 2]),
        ArgumentTypeError,
        ("epochs must be an integer, got [1, 2] (list).",),
    ),
    Case(
        "initial_epoch negative",
        fit(initial_epoch=-1),
        ArgumentError,
        ("initial_epoch must be at least 0, got -1.",),
    ),
    Case(
        "initial_epoch text",
        fit(initial_epoch="1"),
        ArgumentTypeError,
        (
            "initial_epoch must be an integer, got '1' (str).",
            "Write 1.",
        ),
    ),
    Case(
        "batch_size 0",
        fit(batch_size=0),
        ArgumentError,
        ("batch_size must be at least 1, got 0.",),
    ),
    Case(
        "batch_size negative",
        fit(batch_size=-8),
        ArgumentError,
        ("batch_size must be at least 1, got -8.",),
    ),
    Case(
        "batch_size float",
        fit(batch_size=8.0),
        ArgumentTypeError,
        (
            "batch_size must be an integer, got 8.0 (float).",
            "Write 8.",
        ),
    ),
    Case(
        "batch_size text",
        fit(batch_size="8"),
        ArgumentTypeError,
        (
            "batch_size must be an integer or 'auto', got '8' (str).",
            "Write 8.",
        ),
    ),
    Case(
        "batch_size None",
        fit(batch_size=None),
        ArgumentTypeError,
        ("batch_size must be an integer, got None (NoneType).",),
    ),
    Case(
        "batch_size 0 in predict",
        lambda b: b.model().predict(X, batch_size=0),
        ArgumentError,
        ("batch_size must be at least 1, got 0.",),
    ),
    Case(
        "batch_size 0 in evaluate",
        lambda b: b.model().evaluate(X, Y, batch_size=0),
        ArgumentError,
        ("batch_size must be at least 1, got 0.",),
    ),
    Case(
        "validation_batch_size 0",
        fit(validation_data=(X, Y), validation_batch_size=0),
        ArgumentError,
        ("batch_size must be at least 1, got 0.",),
    ),
    Case(
        "verbose 3",
        fit(verbose=3),
        ArgumentError,
        ("verbose must be one of 'auto', 0, 1, 2, got 3.",),
    ),
    Case(
        "verbose -1",
        fit(verbose=-1),
        ArgumentError,
        ("verbose must be one of 'auto', 0, 1, 2, got -1.",),
    ),
    Case(
        "verbose text",
        fit(verbose="quiet"),
        ArgumentError,
        ("verbose must be one of 'auto', 0, 1, 2, got 'quiet'.",),
    ),
    Case(
        "verbose None",
        fit(verbose=None),
        ArgumentError,
        ("verbose must be one of 'auto', 0, 1, 2, got None.",),
    ),
    Case(
        "verbose 1.0",
        fit(verbose=1.0),
        ArgumentError,
        ("verbose must be one of 'auto', 0, 1, 2, got 1.0.",),
    ),
    Case(
        "verbose 3 in evaluate",
        lambda b: b.model().evaluate(X, Y, verbose=3),
        ArgumentError,
        ("verbose must be one of 'auto', 0, 1, 2, got 3.",),
    ),
    Case(
        "shuffle text",
        fit(shuffle="yes"),
        ArgumentTypeError,
        ("shuffle must be True or False, got 'yes' (str).",),
    ),
    Case(
        "shuffle 1",
        fit(shuffle=1),
        ArgumentTypeError,
        ("shuffle must be True or False, got 1 (int).",),
    ),
    Case(
        "shuffle batch",
        fit(shuffle="batch"),
        ArgumentTypeError,
        ("shuffle must be True or False, got 'batch' (str).",),
    ),
    Case(
        "steps_per_epoch 0",
        fit(steps_per_epoch=0),
        ArgumentError,
        ("steps_per_epoch must be at least 1, got 0.",),
    ),
    Case(
        "steps_per_epoch float",
        fit(steps_per_epoch=2.5),
        ArgumentTypeError,
        ("steps_per_epoch must be an integer, got 2.5 (float).",),
    ),
    Case(
        "steps_per_epoch text",
        fit(steps_per_epoch="2"),
        ArgumentTypeError,
        (
            "steps_per_epoch must be an integer, got '2' (str).",
            "Write 2.",
        ),
    ),
    Case(
        "validation_steps 0",
        fit(validation_data=(X, Y), validation_steps=0),
        ArgumentError,
        ("validation_steps must be at least 1, got 0.",),
    ),
    Case(
        "validation_freq 0",
        fit(validation_freq=0),
        ArgumentError,
        ("validation_freq must be at least 1, got 0.",),
    ),
    Case(
        "validation_freq text",
        fit(validation_freq="2"),
        ArgumentTypeError,
        ("validation_freq must be an integer or a list of epochs (from 1), got '2'.",),
    ),
    Case(
        "validation_freq float",
        fit(validation_freq=0.5),
        ArgumentTypeError,
        ("validation_freq must be an integer, got 0.5 (float).",),
    ),
    Case(
        "validation_freq list with 0",
        fit(validation_freq=[0, 1]),
        ArgumentError,
        ("validation_freq must be at least 1, got 0.",),
    ),
    Case(
        "steps 0 in predict",
        lambda b: b.model().predict(X, steps=0),
        ArgumentError,
        ("steps must be at least 1, got 0.",),
    ),
    Case(
        "steps text in evaluate",
        lambda b: b.model().evaluate(X, Y, steps="2"),
        ArgumentTypeError,
        (
            "steps must be an integer, got '2' (str).",
            "Write 2.",
        ),
    ),
    Case(
        "seed text",
        fit(seed="0"),
        ArgumentTypeError,
        (
            "seed must be an integer, got '0' (str).",
            "Write 0.",
        ),
    ),
    Case(
        "seed negative",
        fit(seed=-1),
        ArgumentError,
        ("seed must be at least 0, got -1.",),
    ),
    Case(
        "seed float",
        fit(seed=0.5),
        ArgumentTypeError,
        ("seed must be an integer, got 0.5 (float).",),
    ),
    Case(
        "validation_split 1",
        fit(validation_split=1.0),
        ArgumentError,
        ("validation_split must be at least 0 and less than 1, got 1.0.",),
    ),
    Case(
        "validation_split 1.5",
        fit(validation_split=1.5),
        ArgumentError,
        ("validation_split must be at least 0 and less than 1, got 1.5.",),
    ),
    Case(
        "validation_split 20",
        fit(validation_split=20),
        ArgumentError,
        ("validation_split must be at least 0 and less than 1, got 20.",),
    ),
    Case(
        "validation_split -0.1",
        fit(validation_split=-0.1),
        ArgumentError,
        ("validation_split must be at least 0 and less than 1, got -0.1.",),
    ),
    Case(
        "validation_split text",
        fit(validation_split="0.2"),
        ArgumentTypeError,
        (
            "validation_split must be a number, got '0.2' (str).",
            "Write 0.2.",
        ),
    ),
    Case(
        "validation_split NaN",
        fit(validation_split=NAN),
        ArgumentError,
        ("validation_split must be at least 0 and less than 1, got nan.",),
    ),
    Case(
        "validation_split None",
        fit(validation_split=None),
        ArgumentTypeError,
        ("validation_split must be a number, got None (NoneType).",),
    ),
    Case(
        "validation_split True",
        fit(validation_split=True),
        ArgumentTypeError,
        ("validation_split must be a number, got True (bool).",),
    ),
    Case(
        "validation_split too small",
        fit(validation_split=0.001),
        DataError,
        (
            "validation_split=0.001 of 24 samples leaves the validation part empty.",
            "Take another fraction, or more data.",
        ),
    ),
    Case(
        "validation_split too large",
        fit(validation_split=0.999),
        DataError,
        (
            "validation_split=0.999 of 24 samples leaves the training part empty.",
            "Take another fraction, or more data.",
        ),
    ),
    Case(
        "validation_split and validation_data",
        fit(validation_split=0.2, validation_data=(X, Y)),
        ArgumentError,
        ("Pass validation_split=0.2 or validation_data, not both: only one of them can be validated on.",),
    ),
    Case(
        "callbacks a class",
        fit(callbacks=[ec.callbacks.EarlyStopping]),
        ArgumentTypeError,
        (
            "callbacks must hold instances, got the class EarlyStopping",
            "write EarlyStopping(...).",
        ),
    ),
    Case(
        "callbacks a class, no list",
        fit(callbacks=ec.callbacks.EarlyStopping),
        ArgumentTypeError,
        (
            "callbacks must hold instances, got the class EarlyStopping",
            "write EarlyStopping(...).",
        ),
    ),
    Case(
        "callbacks a function",
        fit(callbacks=[print]),
        ArgumentTypeError,
        (
            "callbacks must hold instances of easyconv.callbacks.Callback, got <built-in function print> "
            "(builtin_function_or_method).",
            "Derive your class from it",
            "a Keras callback needs no other change.",
        ),
    ),
    Case(
        "callbacks a name",
        fit(callbacks="early_stopping"),
        ArgumentTypeError,
        (
            "callbacks must hold instances of easyconv.callbacks.Callback, got 'early_stopping' (str).",
            "Derive your class from it",
            "a Keras callback needs no other change.",
        ),
    ),
    Case(
        "callbacks a list of names",
        fit(callbacks=["early_stopping"]),
        ArgumentTypeError,
        (
            "callbacks must hold instances of easyconv.callbacks.Callback, got 'early_stopping' (str).",
            "Derive your class from it",
            "a Keras callback needs no other change.",
        ),
    ),
    Case(
        "callbacks a number",
        fit(callbacks=3),
        ArgumentTypeError,
        (
            "callbacks must hold instances of easyconv.callbacks.Callback, got 3 (int).",
            "Derive your class from it",
            "a Keras callback needs no other change.",
        ),
    ),
    Case(
        "callbacks None inside",
        fit(callbacks=[None]),
        ArgumentTypeError,
        (
            "callbacks must hold instances of easyconv.callbacks.Callback, got None (NoneType).",
            "Derive your class from it",
            "a Keras callback needs no other change.",
        ),
    ),
    Case(
        "callbacks nested list",
        fit(callbacks=[[ec.callbacks.EarlyStopping("loss")]]),
        ArgumentTypeError,
        (
            "callbacks must hold instances of easyconv.callbacks.Callback, got "
            "[<easyconv.callbacks.stopping.EarlyStopping object at",
            ">] (list).",
            "a Keras callback needs no other change.",
        ),
    ),
]

CALLBACKS = [
    Case(
        "misspelt monitor",
        fit(validation_data=(X, Y), callbacks=[ec.callbacks.EarlyStopping("val_los", mode="min")]),
        ArgumentError,
        (
            "EarlyStopping(monitor='val_los') is not in the logs, which have 'loss', 'val_loss', 'learning_rate'.",
            "Did you mean 'val_loss'?",
        ),
    ),
    Case(
        "misspelt monitor of a metric",
        fit(
            how={"metrics": ["accuracy"]},
            validation_data=(X, Y),
            callbacks=[ec.callbacks.EarlyStopping("val_acuracy", mode="max")],
        ),
        ArgumentError,
        (
            "EarlyStopping(monitor='val_acuracy') is not in the logs, which have 'loss', 'accuracy', "
            "'val_loss', 'val_accuracy', 'learning_rate'.",
            "Did you mean 'val_accuracy'?",
        ),
    ),
    Case(
        "monitor without validation",
        fit(callbacks=[ec.callbacks.EarlyStopping()]),
        ArgumentError,
        (
            "EarlyStopping(monitor='val_loss') watches a validation value, but fit() has no validation data.",
            "Pass validation_data= or validation_split=, or watch monitor='loss'.",
        ),
    ),
    Case(
        "monitor without validation, plateau",
        fit(callbacks=[ec.callbacks.ReduceLROnPlateau()]),
        ArgumentError,
        (
            "ReduceLROnPlateau(monitor='val_loss') watches a validation value, but fit() has no validation data.",
            "Pass validation_data= or validation_split=, or watch monitor='loss'.",
        ),
    ),
    Case(
        "monitor a number",
        lambda b: ec.callbacks.EarlyStopping(monitor=3),
        ArgumentTypeError,
        ("monitor must be a name like 'val_loss', got 3 (int).",),
    ),
    Case(
        "mode misspelt",
        lambda b: ec.callbacks.EarlyStopping(mode="minimum"),
        ArgumentError,
        (
            "mode must be one of 'auto', 'min', 'max', got 'minimum'.",
            "Did you mean 'min'?",
        ),
    ),
    Case(
        "mode auto cannot tell",
        lambda b: ec.callbacks.EarlyStopping("val_beauty"),
        ArgumentError,
        (
            "mode='auto' cannot tell whether 'val_beauty' should fall or rise.",
            "Pass mode='min' or mode='max'.",
        ),
    ),
    Case(
        "patience negative",
        lambda b: ec.callbacks.EarlyStopping(patience=-1),
        ArgumentError,
        ("patience must be at least 0, got -1.",),
    ),
    Case(
        "patience text",
        lambda b: ec.callbacks.EarlyStopping(patience="3"),
        ArgumentTypeError,
        (
            "patience must be an integer, got '3' (str).",
            "Write 3.",
        ),
    ),
    Case(
        "factor above 1",
        lambda b: ec.callbacks.ReduceLROnPlateau(factor=10),
        ArgumentError,
        ("factor must be more than 0 and less than 1, got 10.",),
    ),
    Case(
        "factor text",
        lambda b: ec.callbacks.ReduceLROnPlateau(factor="0.1"),
        ArgumentTypeError,
        (
            "factor must be a number, got '0.1' (str).",
            "Write 0.1.",
        ),
    ),
    Case(
        "misspelt event",
        lambda b: ec.callbacks.LambdaCallback(on_epoch_ended=print),
        ArgumentError,
        (
            "LambdaCallback got on_epoch_ended=, which is no event.",
            "Did you mean 'on_epoch_end' or 'on_epoch_begin' or 'on_batch_end'?",
        ),
    ),
    Case(
        "event is no function",
        lambda b: ec.callbacks.LambdaCallback(on_epoch_end=3),
        ArgumentTypeError,
        ("LambdaCallback(on_epoch_end=...) must be a function, got 3.",),
    ),
]


COMPILE = [
    Case(
        "optimizer Adm",
        how(optimizer="Adm"),
        UnknownNameError,
        (
            "There is no optimizer called 'Adm'.",
            "Did you mean 'adam' or 'radam' or 'nadam'?",
        ),
    ),
    Case(
        "optimizer empty",
        how(optimizer=""),
        UnknownNameError,
        (
            "There is no optimizer called ''.",
            "Choose one of 'adadelta', 'adafactor', 'adagrad', 'adam', 'adamax', 'adamw', 'asgd', ",
        ),
    ),
    Case(
        "optimizer None",
        how(optimizer=None),
        ArgumentTypeError,
        (
            "optimizer must be a name like 'adam', a class of torch.optim, ec.optim.SGD(...), a function "
            "from parameters to an optimizer, or an optimizer, got None (NoneType).",
        ),
    ),
    Case(
        "optimizer a number",
        how(optimizer=0.1),
        ArgumentTypeError,
        (
            "optimizer must be a name like 'adam', a class of torch.optim, ec.optim.SGD(...), a function "
            "from parameters to an optimizer, or an optimizer, got 0.1 (float).",
        ),
    ),
    Case(
        "optimizer a module",
        how(optimizer=nn.Linear(1, 1)),
        ArgumentTypeError,
        (
            "optimizer must be a name like 'adam', a class of torch.optim, ec.optim.SGD(...), a function "
            "from parameters to an optimizer, or an optimizer, got Linear(in_features=1, out_features=1, "
            "bias=True) (Linear).",
        ),
    ),
    Case(
        "optimizer a class of something else",
        fit(how={"optimizer": dict}, good=None),
        ArgumentError,
        (
            "The optimizer dict refused the parameters of this net: dictionary update sequence element #0 has length 4",
            "2 is required",
        ),
    ),
    Case(
        "optimizer a dict",
        how(optimizer={"name": "sgd"}),
        ArgumentTypeError,
        (
            "optimizer must be a name like 'adam', a class of torch.optim, ec.optim.SGD(...), a function "
            "from parameters to an optimizer, or an optimizer, got {'name': 'sgd'} (dict).",
        ),
    ),
    Case(
        "optimizer Optimizer",
        how(optimizer=torch.optim.Optimizer),
        ArgumentTypeError,
        ("optimizer must be one of the classes of torch.optim, like torch.optim.SGD, got its base.",),
    ),
    Case(
        "optimizer LBFGS",
        how(optimizer="lbfgs"),
        ArgumentError,
        (
            "LBFGS computes the loss of one batch several times per step, which fit() does not do.",
            "Use 'adam' or 'sgd', or write a loop for LBFGS.",
        ),
    ),
    Case(
        "loss CrossEntropy misspelt",
        how(loss="cros_entropy"),
        UnknownNameError,
        (
            "There is no loss called 'cros_entropy'.",
            "Did you mean 'cross_entropy'?",
        ),
    ),
    Case(
        "loss of Keras",
        how(loss="sparse_categorical_crossentropy"),
        UnknownNameError,
        (
            "There is no loss called 'sparse_categorical_crossentropy': use 'cross_entropy', which takes "
            "raw outputs (logits): no softmax at the end of the net.",
        ),
    ),
    Case(
        "loss None",
        how(loss=None),
        ArgumentTypeError,
        (
            "loss must be a name like 'cross_entropy', a loss module, a function loss(output, target), or "
            "a list or dict of them, got None (NoneType).",
        ),
    ),
    Case(
        "loss a number",
        how(loss=1.0),
        ArgumentTypeError,
        (
            "loss must be a name like 'cross_entropy', a loss module, a function loss(output, target), or "
            "a list or dict of them, got 1.0 (float).",
        ),
    ),
    Case(
        "loss a class",
        how(loss=dict),
        ArgumentTypeError,
        (
            "loss is the class dict, which is no torch.nn.Module.",
            "Pass an object of it.",
        ),
    ),
    Case(
        "loss with one argument",
        how(loss=lambda output: output.mean()),
        ArgumentError,
        (
            "The loss '<lambda>' must take two arguments, (output, target), but its signature is (output).",
            "Wrap it: loss=lambda output, target: ...",
        ),
    ),
    Case(
        "loss with three arguments",
        how(loss=nn.TripletMarginLoss()),
        ArgumentError,
        (
            "The loss 'triplet_margin_loss' must take two arguments, (output, target), but its signature "
            "is (anchor: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor.",
            "Wrap it: loss=lambda output, target: ...",
        ),
    ),
    Case(
        "loss an empty list",
        how(loss=[]),
        ArgumentError,
        (
            "loss names no loss at all: [].",
            "Give at least one output a loss.",
        ),
    ),
    Case(
        "loss_weights for one loss",
        how(loss_weights=[1.0]),
        ArgumentError,
        (
            "loss_weights are for several losses, but loss is 'cross_entropy'.",
            "Give one loss for each output as a list or dict, or multiply inside the loss",
            "got loss_weights=[1.0].",
        ),
    ),
    Case(
        "metric acuracy",
        how(metrics=["acuracy"]),
        UnknownNameError,
        (
            "There is no metric called 'acuracy'.",
            "Did you mean 'accuracy' or 'auroc' or 'binary_accuracy'?",
        ),
    ),
    Case(
        "metric text",
        how(metrics="acuracy"),
        UnknownNameError,
        (
            "There is no metric called 'acuracy'.",
            "Did you mean 'accuracy' or 'auroc' or 'binary_accuracy'?",
        ),
    ),
    Case(
        "metric a number",
        how(metrics=[1]),
        ArgumentTypeError,
        (
            "A metric must be a name like 'accuracy', a function (output, target) -> tensor, an object of "
            "easyconv.metrics or of torchmetrics, got 1 (int).",
        ),
    ),
    Case(
        "metric None inside",
        how(metrics=[None]),
        ArgumentTypeError,
        (
            "metrics holds None, which is no metric.",
            "Leave it out, or name one like 'accuracy'.",
        ),
    ),
    Case(
        "metric twice",
        how(metrics=["accuracy", "accuracy"]),
        ArgumentError,
        (
            "Two metrics are called 'accuracy'.",
            "Give them names: metrics={'first': ..., 'second': ...}.",
        ),
    ),
    Case(
        "metric called loss",
        how(metrics={"loss": "accuracy"}),
        ArgumentError,
        (
            "A metric is called 'loss', which the logs have already, or will have: 'loss', 'learning_rate' "
            "and names with val_. Give it another name: metrics={'my_name': ...}.",
        ),
    ),
    Case(
        "metric called learning_rate",
        how(metrics={"learning_rate": "accuracy"}),
        ArgumentError,
        (
            "A metric is called 'learning_rate', which the logs have already, or will have: 'loss', "
            "'learning_rate' and names with val_. Give it another name: metrics={'my_name': ...}.",
        ),
    ),
    Case(
        "metric called val_loss",
        how(metrics={"val_loss": "accuracy"}),
        ArgumentError,
        (
            "A metric is called 'val_loss', which the logs have already, or will have: 'loss', "
            "'learning_rate' and names with val_. Give it another name: metrics={'my_name': ...}.",
        ),
    ),
    Case(
        "metric class of something else",
        how(metrics=[dict]),
        ArgumentTypeError,
        (
            "A metric is the class dict, which is no metric.",
            "Pass an object of it.",
        ),
    ),
    Case(
        "metric with one argument",
        how(metrics=[lambda output: output.mean()]),
        ArgumentError,
        ("The metric 'lambda' must take two arguments, (output, target), but its signature is (output).",),
    ),
    Case(
        "metric top0",
        how(metrics=["top0"]),
        ArgumentError,
        (
            "The metric 'top0' looks at no output.",
            "Give the number of outputs to look at: 'top5'.",
        ),
    ),
    Case(
        "metric top9 for 3 classes",
        lambda b: b.fit(how={"metrics": ["top9"]}, good=None),
        ArgumentError,
        (
            "The metric 'top9' looks at the 9 largest outputs, but the net has 3 (output shape (2, 3)).",
            "Use 'accuracy' or a smaller k.",
        ),
    ),
    Case(
        "lr 0",
        how(lr=0),
        ArgumentError,
        ("lr must be more than 0, got 0: nothing would change.",),
    ),
    Case(
        "lr 0.0",
        how(lr=0.0),
        ArgumentError,
        ("lr must be more than 0, got 0: nothing would change.",),
    ),
    Case(
        "lr negative",
        how(lr=-0.1),
        ArgumentError,
        ("lr must be more than 0, got -0.1.",),
    ),
    Case(
        "lr NaN",
        how(lr=NAN),
        ArgumentError,
        ("lr must be more than 0, got nan.",),
    ),
    Case(
        "lr infinite",
        how(lr=INF),
        ArgumentError,
        ("lr must be more than 0, got inf.",),
    ),
    Case(
        "lr text",
        how(lr="0.1"),
        ArgumentTypeError,
        (
            "lr must be a number, got '0.1' (str).",
            "Write 0.1.",
        ),
    ),
    Case(
        "lr a list",
        how(lr=[0.1]),
        ArgumentTypeError,
        ("lr must be a number, got [0.1] (list).",),
    ),
    Case(
        "lr True",
        how(lr=True),
        ArgumentTypeError,
        ("lr must be a number, got True (bool).",),
    ),
    Case(
        "lr 0 in ec.optim",
        lambda b: ec.optim.SGD(lr=0),
        ArgumentError,
        ("lr must be more than 0, got 0: nothing would change.",),
    ),
    Case(
        "lr negative in ec.optim",
        lambda b: ec.optim.SGD(lr=-1),
        ArgumentError,
        ("lr must be more than 0, got -1.",),
    ),
    Case(
        "lr text in ec.optim",
        lambda b: ec.optim.SGD(lr="0.1"),
        ArgumentTypeError,
        (
            "lr must be a number, got '0.1' (str).",
            "Write 0.1.",
        ),
    ),
    Case(
        "lr given twice",
        how(optimizer=ec.optim.SGD(lr=0.1), lr=0.2),
        ArgumentError,
        (
            "The learning rate is given twice: lr=0.2 and ec.optim.SGD(lr=0.1).",
            "Give it once.",
        ),
    ),
    Case(
        "learning_rate in ec.optim",
        lambda b: ec.optim.SGD(learning_rate=0.1),
        ArgumentError,
        (
            "SGD has no argument 'learning_rate'.",
            "Use lr.",
        ),
    ),
    Case(
        "misspelt momentum",
        lambda b: ec.optim.SGD(lr=0.1, momentm=0.9),
        ArgumentError,
        (
            "SGD has no argument 'momentm'.",
            "Did you mean 'momentum'?",
        ),
    ),
    Case(
        "momentum negative",
        lambda b: ec.optim.SGD(lr=0.1, momentum=-1),
        ArgumentError,
        (
            "SGD(lr=0.1, momentum=-1) is not possible:",
            "Invalid momentum value: -1",
        ),
    ),
    Case(
        "positional lr",
        lambda b: ec.optim.SGD(0.1),
        ArgumentTypeError,
        ("ec.optim.SGD takes its arguments by name: ec.optim.SGD(lr=0.1).",),
    ),
    Case(
        "parameters in ec.optim",
        lambda b: ec.optim.SGD(small_net().parameters()),
        ArgumentTypeError,
        (
            "ec.optim.SGD takes no parameters to train: compile() adds them.",
            "Write ec.optim.SGD(lr=...), or pass torch.optim.SGD(net.parameters(), ...) itself.",
        ),
    ),
    Case(
        "unknown ec.optim",
        lambda b: ec.optim.Adm(),
        AttributeError,
        (
            "easyconv.optim has no optimizer 'Adm'.",
            "Did you mean 'Adam' or 'RAdam' or 'NAdam'?",
        ),
    ),
    Case(
        "precision misspelt",
        how(precision="fp31"),
        ArgumentError,
        (
            "precision must be one of 'auto', 'fp32', 'bf16', 'fp16', got 'fp31'.",
            "Did you mean 'fp32' or 'fp16'?",
        ),
    ),
    Case(
        "precision bfloat16",
        how(precision="bfloat16"),
        ArgumentError,
        (
            "precision must be one of 'auto', 'fp32', 'bf16', 'fp16', got 'bfloat16'.",
            "Did you mean 'bf16'?",
        ),
    ),
    Case(
        "precision float",
        how(precision=16),
        ArgumentError,
        ("precision must be one of 'auto', 'fp32', 'bf16', 'fp16', got 16.",),
    ),
    Case(
        "precision torch dtype",
        how(precision=torch.bfloat16),
        ArgumentError,
        ("precision must be one of 'auto', 'fp32', 'bf16', 'fp16', got torch.bfloat16.",),
    ),
    Case(
        "precision fp16 on a CPU",
        how(precision="fp16"),
        ArgumentError,
        (
            "precision='fp16' needs an accelerator: a CPU computes float16 slowly and less exactly.",
            "Pass precision='bf16' on a CPU.",
        ),
    ),
    Case(
        "device misspelt",
        how(device="gpu"),
        ArgumentError,
        (
            "device is 'gpu', and torch knows no such device.",
            "Did you mean 'cuda'?",
        ),
    ),
    Case(
        "device cpuu",
        how(device="cpuu"),
        ArgumentError,
        (
            "device is 'cpuu', and torch knows no such device.",
            "Did you mean 'cpu'?",
        ),
    ),
    Case(
        "device a number",
        how(device=0),
        ArgumentTypeError,
        ("device must be 'auto', a name like 'cpu' or 'cuda:0', or a torch.device, got 0 (int).",),
    ),
    Case(
        "device None",
        how(device=None),
        ArgumentTypeError,
        ("device must be 'auto', a name like 'cpu' or 'cuda:0', or a torch.device, got None (NoneType).",),
    ),
    Case(
        "device that is not there",
        how(device="cuda:77"),
        ArgumentError,
        (
            "device is 'cuda:77', which this machine cannot use (Found no NVIDIA driver on your system.",
            "Please check that you have an NVIDIA GPU and installed a driver from "
            "http://www.nvidia.com/Download/index.aspx).",
            "Pass 'auto' to take the fastest device there is, or 'cpu'.",
        ),
    ),
    Case(
        "jit text",
        how(jit="yes"),
        ArgumentTypeError,
        ("jit must be True or False, got 'yes' (str).",),
    ),
    Case(
        "clip_norm 0",
        how(clip_norm=0),
        ArgumentError,
        ("clip_norm must be more than 0, got 0.",),
    ),
    Case(
        "clip_norm text",
        how(clip_norm="1"),
        ArgumentTypeError,
        (
            "clip_norm must be a number, got '1' (str).",
            "Write 1.",
        ),
    ),
    Case(
        "clip_value negative",
        how(clip_value=-1),
        ArgumentError,
        ("clip_value must be more than 0, got -1.",),
    ),
    Case(
        "accumulate 0",
        how(accumulate=0),
        ArgumentError,
        ("accumulate must be at least 1, got 0.",),
    ),
    Case(
        "accumulate float",
        how(accumulate=2.0),
        ArgumentTypeError,
        (
            "accumulate must be an integer, got 2.0 (float).",
            "Write 2.",
        ),
    ),
    Case(
        "ema 1",
        how(ema=1.0),
        ArgumentError,
        ("ema must be more than 0 and less than 1, got 1.0.",),
    ),
    Case(
        "ema text",
        how(ema="0.9"),
        ArgumentTypeError,
        (
            "ema must be a number, got '0.9' (str).",
            "Write 0.9.",
        ),
    ),
    Case(
        "channels_last text",
        how(channels_last="yes"),
        ArgumentError,
        ("channels_last must be one of 'auto', True, False, got 'yes'.",),
    ),
    Case(
        "channels_last 1",
        how(channels_last=1),
        ArgumentError,
        ("channels_last must be one of 'auto', True, False, got 1.",),
    ),
]

OPTIMIZERS = [
    Case(
        "lr 0 in an optimizer",
        lambda b: optimizing(b, lambda net: torch.optim.SGD(net.parameters(), lr=0.0)),
        EasyconvWarning,
        (
            "The optimizer's learning rate is 0, so no weight will change unless a schedule raises it.",
            "Give the optimizer lr=0.001 or so.",
        ),
    ),
    Case(
        "foreign parameters",
        lambda b: optimizing(b, lambda net: torch.optim.SGD(small_net().parameters(), lr=0.1), good=None),
        ArgumentError,
        (
            "4 of the 4 parameters of the optimizer SGD do not belong to this net.",
            "Make it from this net's parameters, torch.optim.SGD(net.parameters(), ...), or let compile() "
            'do it: optimizer="sgd" or ec.optim.SGD(...).',
        ),
    ),
    Case(
        "all frozen",
        lambda b: b.fit(net=frozen(), good=None),
        StateError,
        (
            "There is nothing to train: all 4 parameters are frozen.",
            "Unfreeze some: model.unfreeze().",
        ),
    ),
    Case(
        "all frozen, instance",
        lambda b: optimizing(b, lambda net: torch.optim.SGD(net.parameters(), lr=0.1), net=frozen(), good=None),
        StateError,
        (
            "There is nothing to train: all 4 parameters are frozen.",
            "Unfreeze some: model.unfreeze().",
        ),
    ),
    Case(
        "no parameters",
        lambda b: b.fit(
            net=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), y=torch.zeros(24), good=None, how={"loss": "mse"}
        ),
        StateError,
        (
            "There is nothing to train: the net has no parameters.",
            "Add a layer with weights, or use evaluate() and predict(), which need none.",
        ),
    ),
    Case(
        "function that returns nothing",
        lambda b: b.fit(how={"optimizer": lambda parameters: None}, good=None),
        ArgumentTypeError,
        ("The function '<lambda>' must return a torch.optim.Optimizer, got NoneType.",),
    ),
    Case(
        "function that fails",
        lambda b: b.fit(how={"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=-1)}, good=None),
        ArgumentError,
        (
            "The optimizer <lambda> refused the parameters of this net:",
            "Invalid learning rate: -1",
        ),
    ),
    Case(
        "instance and lr",
        lambda b: b.model().compile(torch.optim.SGD(small_net().parameters(), lr=0.1), lr=0.2),
        ArgumentError,
        (
            "lr=0.2 was given together with an optimizer that exists already, SGD(lr=0.1).",
            "Set the learning rate there, or pass ec.optim.SGD(lr=0.2).",
        ),
    ),
]


def optimizing(b, make, net=None, good=(X, Y)):
    net = net or small_net()
    return b.fit(net=net, how={"optimizer": make(net)}, good=good)


STATE = [
    Case(
        "fit before compile",
        lambda b: bare(b).fit(X, Y),
        NotCompiledError,
        (
            "fit() needs to know how to train: call compile() first, for example "
            "model.compile(optimizer='adam', loss='cross_entropy', metrics=['accuracy']).",
        ),
    ),
    Case(
        "evaluate before compile",
        lambda b: bare(b).evaluate(X, Y),
        NotCompiledError,
        (
            "evaluate() needs to know how to train: call compile() first, for example "
            "model.compile(optimizer='adam', loss='cross_entropy', metrics=['accuracy']).",
        ),
    ),
    Case(
        "train_on_batch before compile",
        lambda b: bare(b).train_on_batch(X, Y),
        NotCompiledError,
        (
            "train_on_batch() needs to know how to train: call compile() first, for example "
            "model.compile(optimizer='adam', loss='cross_entropy', metrics=['accuracy']).",
        ),
    ),
    Case(
        "predict_proba before compile",
        lambda b: bare(b).predict_proba(X),
        NotCompiledError,
        (
            "predict_proba() needs to know how to train: call compile() first, for example "
            "model.compile(optimizer='adam', loss='cross_entropy', metrics=['accuracy']).",
        ),
    ),
    Case(
        "predict_proba with mse",
        lambda b: b.model(loss="mse", good=None).predict_proba(X),
        StateError,
        (
            "The loss 'mse' does not say what the probabilities are",
            "use predict() and compute them.",
        ),
    ),
    Case(
        "count_params before build",
        lambda b: lazy_net().count_params(),
        NotBuiltError,
        (
            "count_params() needs the sizes of all layers, but the inputs of '0.conv', '2' are not known yet.",
            "Call build((channels, height, width)) (no batch dimension), pass input_shape= when you make "
            "the model, or give it data first: fit, evaluate and predict build it.",
        ),
    ),
    Case(
        "summary before build",
        lambda b: lazy_net().summary(),
        NotBuiltError,
        (
            "summary() needs the sizes of all layers, but the inputs of '0.conv', '2' are not known yet.",
            "Call build((channels, height, width)) (no batch dimension), pass input_shape= when you make "
            "the model, or give it data first: fit, evaluate and predict build it.",
        ),
    ),
    Case(
        "save_weights before build",
        lambda b: lazy_net().save_weights("never.pt"),
        NotBuiltError,
        (
            "save_weights() needs the sizes of all layers, but the inputs of '0.conv', '2' are not known yet.",
            "Call build((channels, height, width)) (no batch dimension), pass input_shape= when you make "
            "the model, or give it data first: fit, evaluate and predict build it.",
        ),
    ),
    Case(
        "train_step outside fit",
        lambda b: b.model().train_step((X, Y)),
        StateError,
        (
            "train_step() and test_step() work inside fit() and evaluate().",
            "For one batch of your own call train_on_batch(x, y) or test_on_batch(x, y).",
        ),
    ),
    Case(
        "compile again after training",
        lambda b: twice(b),
        EasyconvWarning,
        (
            "compile() starts the optimizer afresh: what Adam has gathered in 1 steps is dropped",
            "the weights stay.",
            "Call fit() again without compile() to go on.",
        ),
    ),
]


def bare(b):
    model = b.model()
    model._session = None
    return model


def twice(b):
    model = b.model()
    model.fit(X, Y, verbose=0)
    model.compile("adam")


LOSSES = [
    Case(
        "softmax before cross_entropy",
        lambda b: b.fit(net=nn.Sequential(small_net(), nn.Softmax(1))),
        EasyconvWarning,
        (
            "The net's outputs are probabilities already (a softmax at the end), and cross_entropy applies "
            "a softmax itself: the net would learn slowly.",
            "Remove the softmax",
            "predict_proba() gives probabilities.",
        ),
    ),
    Case(
        "softmax function before cross_entropy",
        lambda b: b.fit(net=Ends(lambda x: x.softmax(1))),
        EasyconvWarning,
        (
            "The net's outputs are probabilities already (a softmax at the end), and cross_entropy applies "
            "a softmax itself: the net would learn slowly.",
            "Remove the softmax",
            "predict_proba() gives probabilities.",
        ),
    ),
    Case(
        "softmax before CrossEntropyLoss()",
        lambda b: b.fit(net=nn.Sequential(small_net(), nn.Softmax(1)), how={"loss": nn.CrossEntropyLoss()}),
        EasyconvWarning,
        (
            "The net's outputs are probabilities already (a softmax at the end), and cross_entropy applies "
            "a softmax itself: the net would learn slowly.",
            "Remove the softmax",
            "predict_proba() gives probabilities.",
        ),
    ),
    Case(
        "sigmoid before bce",
        lambda b: b.fit(y=(Y == 1).float(), net=nn.Sequential(small_net(outputs=1), nn.Sigmoid()), how={"loss": "bce"}),
        EasyconvWarning,
        (
            "The net's last step is a sigmoid, and the loss 'bce' applies one itself: the net would learn slowly.",
            "Remove the sigmoid",
            "predict_proba() gives probabilities.",
        ),
    ),
    Case(
        "sigmoid function before bce",
        lambda b: b.fit(y=(Y == 1).float(), net=Ends(torch.sigmoid, 1), how={"loss": "bce"}),
        EasyconvWarning,
        (
            "The net's last step is a sigmoid, and the loss 'bce' applies one itself: the net would learn slowly.",
            "Remove the sigmoid",
            "predict_proba() gives probabilities.",
        ),
    ),
    Case(
        "sigmoid before cross_entropy",
        lambda b: b.fit(net=nn.Sequential(small_net(), nn.Sigmoid())),
        EasyconvWarning,
        (
            "The net's last step is a sigmoid, and the loss 'cross_entropy' expects raw outputs: the net "
            "would learn slowly.",
            "Remove the sigmoid",
            "predict_proba() gives probabilities.",
        ),
    ),
    Case(
        "nll of raw outputs",
        lambda b: b.fit(how={"loss": "nll"}),
        EasyconvWarning,
        (
            "The net's outputs are no log-probabilities, which the loss 'nll' expects.",
            "End the net with Activation('log_softmax'), or use loss='cross_entropy' on the raw outputs.",
        ),
    ),
    Case(
        "nll of a softmax",
        lambda b: b.fit(net=nn.Sequential(small_net(), nn.Softmax(1)), how={"loss": "nll"}),
        EasyconvWarning,
        (
            "The net's outputs are no log-probabilities, which the loss 'nll' expects.",
            "End the net with Activation('log_softmax'), or use loss='cross_entropy' on the raw outputs.",
        ),
    ),
    Case(
        "NLLLoss() of raw outputs",
        lambda b: b.fit(how={"loss": nn.NLLLoss()}),
        EasyconvWarning,
        (
            "The net's outputs are no log-probabilities, which the loss 'nll' expects.",
            "End the net with Activation('log_softmax'), or use loss='cross_entropy' on the raw outputs.",
        ),
    ),
    Case(
        "bce_probabilities of raw outputs",
        lambda b: b.fit(y=(Y == 1).float(), net=small_net(outputs=1), how={"loss": "bce_probabilities"}, good=None),
        ArgumentError,
        (
            "The loss 'bce_probabilities' needs probabilities from 0 to 1, and the net gives the raw "
            "outputs of its last layer.",
            'End the net with Activation("sigmoid"), or use loss="bce", which takes raw outputs.',
        ),
    ),
    Case(
        "BCELoss() of raw outputs",
        lambda b: b.fit(y=(Y == 1).float(), net=small_net(outputs=1), how={"loss": nn.BCELoss()}, good=None),
        ArgumentError,
        (
            "The loss 'bce_probabilities' needs probabilities from 0 to 1, and the net gives the raw "
            "outputs of its last layer.",
            'End the net with Activation("sigmoid"), or use loss="bce", which takes raw outputs.',
        ),
    ),
    Case(
        "loss returns rows of rows",
        lambda b: b.fit(how={"loss": lambda o, t: o.T}, good=None),
        ArgumentError,
        (
            "The loss '<lambda>' returned a tensor of shape (3, 8) for a batch of 8 rows.",
            "Return one value (shape ()) or one value per row, which are averaged.",
        ),
    ),
    Case(
        "loss returns a float",
        lambda b: b.fit(how={"loss": lambda o, t: float(o.mean())}, good=None),
        ArgumentTypeError,
        (
            "The loss '<lambda>' returned float (",
            "Return a tensor, computed by torch from the outputs: no .item(), float() or NumPy on the way.",
        ),
    ),
    Case(
        "loss returns None",
        lambda b: b.fit(how={"loss": lambda o, t: None}, good=None),
        ArgumentTypeError,
        (
            "The loss '<lambda>' returned NoneType, not a tensor.",
            "Return a tensor, computed by torch from the outputs: no .item(), float() or NumPy on the way.",
        ),
    ),
    Case(
        "loss returns NumPy",
        lambda b: b.fit(how={"loss": lambda o, t: o.detach().numpy().mean()}, good=None),
        ArgumentTypeError,
        (
            "The loss '<lambda>' returned float32, not a tensor.",
            "Return a tensor, computed by torch from the outputs: no .item(), float() or NumPy on the way.",
        ),
    ),
    Case(
        "loss returns a tuple",
        lambda b: b.fit(how={"loss": lambda o, t: (o.mean(), o)}, good=None),
        ArgumentTypeError,
        (
            "The loss '<lambda>' returned a tuple (a tensor (), a tensor (8, 3)), not a tensor.",
            "Return a tensor, computed by torch from the outputs: no .item(), float() or NumPy on the way.",
        ),
    ),
    Case(
        "loss is cut off",
        lambda b: b.fit(how={"loss": lambda o, t: o.detach().mean()}, good=None),
        ArgumentError,
        (
            "The loss '<lambda>' returned a tensor that has no gradient, so nothing can be learned.",
            "Do not call .detach(), .item(), .argmax() or torch.tensor() on the way from the outputs to the loss.",
        ),
    ),
    Case(
        "loss counts",
        lambda b: b.fit(how={"loss": lambda o, t: (o.argmax(1) != t).float().mean()}, good=None),
        ArgumentError,
        (
            "The loss '<lambda>' returned a tensor that has no gradient, so nothing can be learned.",
            "Do not call .detach(), .item(), .argmax() or torch.tensor() on the way from the outputs to the loss.",
        ),
    ),
    Case(
        "loss returns integers",
        lambda b: b.fit(how={"loss": lambda o, t: (o.argmax(1) != t).sum()}, good=None),
        ArgumentTypeError,
        (
            "The loss '<lambda>' returned a tensor of torch.int64",
            "it must be floating, and differentiable: no counting, .argmax() or .long() on the way from "
            "the outputs to the loss.",
        ),
    ),
    Case(
        "loss returns complex",
        lambda b: b.fit(how={"loss": lambda o, t: o.mean() * 1j}, good=None),
        ArgumentTypeError,
        (
            "The loss '<lambda>' returned a tensor of torch.complex64",
            "it must be floating, and differentiable: no counting, .argmax() or .long() on the way from "
            "the outputs to the loss.",
        ),
    ),
    Case(
        "loss fails",
        lambda b: b.fit(how={"loss": lambda o, t: (o - t).mean()}, good=None),
        EasyconvError,
        (
            "The loss '<lambda>' failed on the output, a tensor (8, 3), and the target, a tensor (8,) "
            "(float32 and int64):",
            "The size of tensor a (3) must match the size of tensor b (8) at non-singleton dimension 1.",
            "Look whether their shapes, types and values are what it expects.",
        ),
    ),
    Case(
        "loss is NaN at once",
        lambda b: b.fit(how={"loss": lambda o, t: o.mean() * NAN}, good=None),
        EasyconvError,
        (
            "The loss became nan in batch 1 of epoch 1",
            "what the net gives is finite, the loss (<lambda>) of it is not.",
            "The optimizer has not taken this batch: weights, statistics and the optimizer's state are those of before",
            "Keep what a logarithm or a division takes away from 0",
        ),
    ),
    Case(
        "metric returns a matrix",
        lambda b: b.fit(how={"metrics": [lambda o, t: o]}, good=None),
        ArgumentError,
        (
            "The metric 'lambda' returned a tensor of shape (8, 3) for a batch of 8 rows.",
            "Return one value (shape ()) or one value per row.",
        ),
        steps=True,
    ),
    Case(
        "metric returns None",
        lambda b: b.fit(how={"metrics": [lambda o, t: None]}, good=None),
        ArgumentTypeError,
        (
            "The metric 'lambda' returned NoneType, not a tensor.",
            "Return one value, or one value per row, computed by torch.",
        ),
        steps=True,
    ),
    Case(
        "metric returns text",
        lambda b: b.fit(how={"metrics": [lambda o, t: "good"]}, good=None),
        ArgumentTypeError,
        (
            "The metric 'lambda' returned str, not a tensor.",
            "Return one value, or one value per row, computed by torch.",
        ),
        steps=True,
    ),
    Case(
        "lr 1e30",
        lambda b: b.fit(how={"optimizer": "sgd", "lr": 1e30}, good=None, epochs=3),
        EasyconvError,
        (
            "The loss became nan in batch 2 of epoch 1",
            "(Linear) gave the first value that is NaN or infinite",
            "The optimizer has not taken this batch: weights, statistics and the optimizer's state are those of before",
            "Lower the learning rate, clip the gradients (compile(clip_norm=1.0))",
        ),
        steps=True,
    ),
    Case(
        "one loss of two for one output",
        lambda b: b.fit(how={"loss": ["cross_entropy", "mse"]}, good=None),
        EasyconvError,
        (
            "loss is a list for the outputs [0, 1], but the net gives a tensor (2, 3).",
            "Give one loss for each output, in the same structure, and None for an output that has no loss.",
        ),
    ),
    Case(
        "dict of losses for one output",
        lambda b: b.fit(how={"loss": {"label": "cross_entropy"}}, good=None),
        EasyconvError,
        (
            "loss is a dict for the outputs ['label'], but the net gives a tensor (2, 3).",
            "Give one loss for each output, in the same structure, and None for an output that has no loss.",
        ),
    ),
]


class Ends(nn.Module):
    def __init__(self, end, outputs=3):
        super().__init__()
        self.net, self.end = small_net(outputs=outputs), end

    def forward(self, x):
        return self.end(self.net(x))


CASES = FIT + CALLBACKS + COMPILE + OPTIMIZERS + STATE + LOSSES


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_arguments_are_refused_or_warned_of(case):
    run_case(case)


def test_no_epochs_are_no_error():
    bench = Bench()
    assert bench.fit(epochs=0).epoch == []
    bench.check_untouched()


def test_sharing_layers_and_modes():
    net = small_net().eval()
    model = Bench().model(net)
    model.fit(X, Y, verbose=0)
    assert not net.training, "the mode is given back as found"


def test_a_refused_compile_keeps_the_old_recipe():
    model = Bench().model(metrics=["accuracy"])
    model.fit(X, Y, verbose=0)
    optimizer = model.optimizer
    with pytest.raises(UnknownNameError):
        model.compile("adm")
    assert model.optimizer is optimizer
    assert len(model.evaluate(X, Y, verbose=0)) == 2


def test_a_callback_of_the_user_raises_unchanged():
    class Logger(ec.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise OSError("disk quota of my logger is used up")

    with pytest.raises(OSError, match=r"^disk quota of my logger is used up$"):
        Bench().fit(callbacks=[Logger()])


def test_losses_of_the_user_raise_their_own_classes_unchanged():
    class OwnError(ValueError):
        pass

    def loss(output, target):
        raise OwnError("my loss")

    with pytest.raises(OwnError, match=r"^my loss$"):
        Bench().fit(how={"loss": loss}, good=None)


@pytest.mark.parametrize(
    "end", [nn.Identity(), nn.ReLU(), nn.Tanh(), nn.LogSoftmax(1), nn.Dropout(0.1), nn.Softplus()], ids=repr
)
def test_no_false_alarm_about_the_last_layer(end):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Bench().fit(net=nn.Sequential(small_net(), end))


def test_no_false_alarm_about_a_sigmoid_inside():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.gate = small_net(), nn.Sigmoid()

        def forward(self, x):
            return self.net(x * self.gate(x))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Bench().fit(net=Gated())
        Bench().fit(y=(Y == 1).float(), net=Ends(lambda x: x, 1), how={"loss": "bce"}, good=(X, (Y == 1).float()))
        Bench().fit(
            y=(Y == 1).float(),
            net=nn.Sequential(small_net(outputs=1), nn.Sigmoid()),
            how={"loss": "bce_probabilities"},
            good=(X, (Y == 1).float()),
        )
