"""Arguments of ``compile``, ``fit`` and of callbacks, that make no sense."""

import warnings

import numpy as np
import pytest
import torch
from bad_input import Bench, Case, X, Y, bits, lazy_net, loader, run_case, small_net
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


def idle_fit(b, **compiled):
    return b.fit(how=compiled)


FIT = [
    Case("epochs text", fit(epochs="10"), ArgumentTypeError),
    Case("epochs float", fit(epochs=2.0), ArgumentTypeError),
    Case("epochs negative", fit(epochs=-1), ArgumentError),
    Case("epochs None", fit(epochs=None), ArgumentTypeError),
    Case("epochs True", fit(epochs=True), ArgumentTypeError),
    Case("epochs a list", fit(epochs=[1, 2]), ArgumentTypeError),
    Case("initial_epoch negative", fit(initial_epoch=-1), ArgumentError),
    Case("initial_epoch text", fit(initial_epoch="1"), ArgumentTypeError),
    Case("batch_size 0", fit(batch_size=0), ArgumentError),
    Case("batch_size negative", fit(batch_size=-8), ArgumentError),
    Case("batch_size float", fit(batch_size=8.0), ArgumentTypeError),
    Case("batch_size text", fit(batch_size="8"), ArgumentTypeError),
    Case("batch_size None", fit(batch_size=None), ArgumentTypeError),
    Case("batch_size 0 in predict", lambda b: b.model().predict(X, batch_size=0), ArgumentError),
    Case("batch_size 0 in evaluate", lambda b: b.model().evaluate(X, Y, batch_size=0), ArgumentError),
    Case("validation_batch_size 0", fit(validation_data=(X, Y), validation_batch_size=0), ArgumentError),
    Case("validation_batch_size text, no validation", fit(validation_batch_size="8"), ArgumentTypeError),
    Case("verbose 3", fit(verbose=3), ArgumentError),
    Case("verbose -1", fit(verbose=-1), ArgumentError),
    Case("verbose text", fit(verbose="quiet"), ArgumentError),
    Case("verbose None", fit(verbose=None), (ArgumentError, ArgumentTypeError)),
    Case("verbose 1.0", fit(verbose=1.0), (ArgumentError, ArgumentTypeError)),
    Case("verbose 3 in evaluate", lambda b: b.model().evaluate(X, Y, verbose=3), ArgumentError),
    Case("shuffle text", fit(shuffle="yes"), ArgumentTypeError),
    Case("shuffle 1", fit(shuffle=1), ArgumentTypeError),
    Case("shuffle batch", fit(shuffle="batch"), ArgumentTypeError),
    Case("steps_per_epoch 0", fit(steps_per_epoch=0), ArgumentError),
    Case("steps_per_epoch float", fit(steps_per_epoch=2.5), ArgumentTypeError),
    Case("steps_per_epoch text", fit(steps_per_epoch="2"), ArgumentTypeError),
    Case("validation_steps 0", fit(validation_data=(X, Y), validation_steps=0), ArgumentError),
    Case("validation_steps without validation", fit(validation_steps=2), (ArgumentError, EasyconvWarning)),
    Case("validation_freq 0", fit(validation_freq=0), ArgumentError),
    Case("validation_freq text", fit(validation_freq="2"), ArgumentTypeError),
    Case("validation_freq float", fit(validation_freq=0.5), ArgumentTypeError),
    Case("validation_freq list with 0", fit(validation_freq=[0, 1]), ArgumentError),
    Case("steps 0 in predict", lambda b: b.model().predict(X, steps=0), ArgumentError),
    Case("steps text in evaluate", lambda b: b.model().evaluate(X, Y, steps="2"), ArgumentTypeError),
    Case("seed text", fit(seed="0"), ArgumentTypeError),
    Case("seed negative", fit(seed=-1), ArgumentError),
    Case("seed float", fit(seed=0.5), ArgumentTypeError),
    Case("validation_split 1", fit(validation_split=1.0), ArgumentError),
    Case("validation_split 1.5", fit(validation_split=1.5), ArgumentError),
    Case("validation_split 20", fit(validation_split=20), ArgumentError),
    Case("validation_split -0.1", fit(validation_split=-0.1), ArgumentError),
    Case("validation_split text", fit(validation_split="0.2"), ArgumentTypeError),
    Case("validation_split NaN", fit(validation_split=NAN), ArgumentError),
    Case("validation_split None", fit(validation_split=None), ArgumentTypeError),
    Case("validation_split True", fit(validation_split=True), ArgumentTypeError),
    Case("validation_split too small", fit(validation_split=0.001), DataError),
    Case("validation_split too large", fit(validation_split=0.999), DataError),
    Case("validation_split and validation_data", fit(validation_split=0.2, validation_data=(X, Y)), ArgumentError),
    Case("callbacks a class", fit(callbacks=[ec.callbacks.EarlyStopping]), ArgumentTypeError),
    Case("callbacks a class, no list", fit(callbacks=ec.callbacks.EarlyStopping), ArgumentTypeError),
    Case("callbacks a function", fit(callbacks=[print]), ArgumentTypeError),
    Case("callbacks a name", fit(callbacks="early_stopping"), ArgumentTypeError),
    Case("callbacks a list of names", fit(callbacks=["early_stopping"]), ArgumentTypeError),
    Case("callbacks a number", fit(callbacks=3), ArgumentTypeError),
    Case("callbacks None inside", fit(callbacks=[None]), ArgumentTypeError),
    Case("callbacks nested list", fit(callbacks=[[ec.callbacks.EarlyStopping("loss")]]), ArgumentTypeError),
    Case("fit with Keras's workers", fit(workers=2), TypeError),
    Case("fit with misspelt epochs", fit(epoch=2), TypeError),
    Case("positional batch size", lambda b: b.model().fit(X, Y, 8), TypeError),
]

CALLBACKS = [
    Case("misspelt monitor", fit(validation_data=(X, Y), callbacks=[ec.callbacks.EarlyStopping("val_los", mode="min")]), ArgumentError),
    Case("misspelt monitor of a metric", fit(how={"metrics": ["accuracy"]}, validation_data=(X, Y), callbacks=[ec.callbacks.EarlyStopping("val_acuracy", mode="max")]), ArgumentError),
    Case("monitor without validation", fit(callbacks=[ec.callbacks.EarlyStopping()]), ArgumentError),
    Case("monitor without validation, plateau", fit(callbacks=[ec.callbacks.ReduceLROnPlateau()]), ArgumentError),
    Case("monitor a number", lambda b: ec.callbacks.EarlyStopping(monitor=3), ArgumentTypeError),
    Case("mode misspelt", lambda b: ec.callbacks.EarlyStopping(mode="minimum"), ArgumentError),
    Case("mode auto cannot tell", lambda b: ec.callbacks.EarlyStopping("val_beauty"), ArgumentError),
    Case("patience negative", lambda b: ec.callbacks.EarlyStopping(patience=-1), ArgumentError),
    Case("patience text", lambda b: ec.callbacks.EarlyStopping(patience="3"), ArgumentTypeError),
    Case("factor above 1", lambda b: ec.callbacks.ReduceLROnPlateau(factor=10), ArgumentError),
    Case("factor text", lambda b: ec.callbacks.ReduceLROnPlateau(factor="0.1"), ArgumentTypeError),
    Case("misspelt event", lambda b: ec.callbacks.LambdaCallback(on_epoch_ended=print), (ArgumentError, ArgumentTypeError, TypeError)),
    Case("event is no function", lambda b: ec.callbacks.LambdaCallback(on_epoch_end=3), (ArgumentError, ArgumentTypeError)),
    Case("misspelt event in a class", lambda b: b.fit(callbacks=[Misspelt()]), (EasyconvWarning, ArgumentError)),
]


class Misspelt(ec.callbacks.Callback):
    def on_epoch_ends(self, epoch, logs=None):
        raise AssertionError


COMPILE = [
    Case("optimizer Adm", how(optimizer="Adm"), UnknownNameError),
    Case("optimizer empty", how(optimizer=""), UnknownNameError),
    Case("optimizer None", how(optimizer=None), ArgumentTypeError),
    Case("optimizer a number", how(optimizer=0.1), ArgumentTypeError),
    Case("optimizer a module", how(optimizer=nn.Linear(1, 1)), (ArgumentError, ArgumentTypeError)),
    Case("optimizer a class of something else", how(optimizer=dict), (ArgumentError, ArgumentTypeError)),
    Case("optimizer a dict", how(optimizer={"name": "sgd"}), ArgumentTypeError),
    Case("optimizer Optimizer", how(optimizer=torch.optim.Optimizer), (ArgumentError, ArgumentTypeError)),
    Case("optimizer LBFGS", how(optimizer="lbfgs"), ArgumentError),
    Case("loss CrossEntropy misspelt", how(loss="cros_entropy"), UnknownNameError),
    Case("loss of Keras", how(loss="sparse_categorical_crossentropy"), UnknownNameError),
    Case("loss None", how(loss=None), ArgumentTypeError),
    Case("loss a number", how(loss=1.0), ArgumentTypeError),
    Case("loss a class", how(loss=dict), ArgumentTypeError),
    Case("loss with one argument", how(loss=lambda output: output.mean()), ArgumentError),
    Case("loss with three arguments", how(loss=nn.TripletMarginLoss()), ArgumentError),
    Case("loss an empty list", how(loss=[]), ArgumentError),
    Case("loss_weights for one loss", how(loss_weights=[1.0]), ArgumentError),
    Case("metric acuracy", how(metrics=["acuracy"]), UnknownNameError),
    Case("metric text", how(metrics="acuracy"), UnknownNameError),
    Case("metric a number", how(metrics=[1]), ArgumentTypeError),
    Case("metric None inside", how(metrics=[None]), ArgumentTypeError),
    Case("metric twice", how(metrics=["accuracy", "accuracy"]), ArgumentError),
    Case("metric called loss", how(metrics={"loss": "accuracy"}), ArgumentError),
    Case("metric called learning_rate", how(metrics={"learning_rate": "accuracy"}), ArgumentError),
    Case("metric called val_loss", how(metrics={"val_loss": "accuracy"}), ArgumentError),
    Case("metric class of something else", how(metrics=[dict]), ArgumentTypeError),
    Case("metric with one argument", how(metrics=[lambda output: output.mean()]), ArgumentError),
    Case("metric top0", how(metrics=["top0"]), ArgumentError),
    Case("metric top9 for 3 classes", lambda b: b.fit(how={"metrics": ["top9"]}), ArgumentError),
    Case("lr 0", how(lr=0), ArgumentError),
    Case("lr 0.0", how(lr=0.0), ArgumentError),
    Case("lr negative", how(lr=-0.1), ArgumentError),
    Case("lr NaN", how(lr=NAN), ArgumentError),
    Case("lr infinite", how(lr=INF), ArgumentError),
    Case("lr text", how(lr="0.1"), ArgumentTypeError),
    Case("lr a list", how(lr=[0.1]), ArgumentTypeError),
    Case("lr True", how(lr=True), ArgumentTypeError),
    Case("lr 0 in ec.optim", lambda b: ec.optim.SGD(lr=0), ArgumentError),
    Case("lr negative in ec.optim", lambda b: ec.optim.SGD(lr=-1), ArgumentError),
    Case("lr text in ec.optim", lambda b: ec.optim.SGD(lr="0.1"), ArgumentTypeError),
    Case("lr given twice", how(optimizer=ec.optim.SGD(lr=0.1), lr=0.2), ArgumentError),
    Case("learning_rate in ec.optim", lambda b: ec.optim.SGD(learning_rate=0.1), ArgumentError),
    Case("misspelt momentum", lambda b: ec.optim.SGD(lr=0.1, momentm=0.9), ArgumentError),
    Case("momentum negative", lambda b: ec.optim.SGD(lr=0.1, momentum=-1), ArgumentError),
    Case("positional lr", lambda b: ec.optim.SGD(0.1), ArgumentTypeError),
    Case("parameters in ec.optim", lambda b: ec.optim.SGD(small_net().parameters()), ArgumentTypeError),
    Case("learning_rate in compile", how(learning_rate=0.1), TypeError),
    Case("unknown ec.optim", lambda b: ec.optim.Adm(), AttributeError),
    Case("precision misspelt", how(precision="fp31"), ArgumentError),
    Case("precision bfloat16", how(precision="bfloat16"), ArgumentError),
    Case("precision float", how(precision=16), ArgumentError),
    Case("precision torch dtype", how(precision=torch.bfloat16), ArgumentError),
    Case("precision fp16 on a CPU", how(precision="fp16"), ArgumentError),
    Case("device misspelt", how(device="gpu"), ArgumentError),
    Case("device cpuu", how(device="cpuu"), ArgumentError),
    Case("device a number", how(device=0), ArgumentTypeError),
    Case("device None", how(device=None), ArgumentTypeError),
    Case("device that is not there", how(device="cuda:77"), ArgumentError),
    Case("device meta", how(device="meta"), ArgumentError),
    Case("jit text", how(jit="yes"), ArgumentTypeError),
    Case("clip_norm 0", how(clip_norm=0), ArgumentError),
    Case("clip_norm text", how(clip_norm="1"), ArgumentTypeError),
    Case("clip_value negative", how(clip_value=-1), ArgumentError),
    Case("accumulate 0", how(accumulate=0), ArgumentError),
    Case("accumulate float", how(accumulate=2.0), ArgumentTypeError),
    Case("ema 1", how(ema=1.0), ArgumentError),
    Case("ema text", how(ema="0.9"), ArgumentTypeError),
    Case("channels_last text", how(channels_last="yes"), ArgumentError),
    Case("channels_last 1", how(channels_last=1), ArgumentError),
]

OPTIMIZERS = [
    Case("lr 0 in an optimizer", lambda b: optimizing(b, lambda net: torch.optim.SGD(net.parameters(), lr=0.0)), EasyconvWarning),
    Case("foreign parameters", lambda b: optimizing(b, lambda net: torch.optim.SGD(small_net().parameters(), lr=0.1), good=None), ArgumentError),
    Case("all frozen", lambda b: b.fit(net=frozen(), good=None), StateError),
    Case("all frozen, instance", lambda b: optimizing(b, lambda net: torch.optim.SGD(net.parameters(), lr=0.1), net=frozen(), good=None), StateError),
    Case("no parameters", lambda b: b.fit(net=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), y=torch.zeros(24), good=None, how={"loss": "mse"}), StateError),
    Case("function that returns nothing", lambda b: b.fit(how={"optimizer": lambda parameters: None}, good=None), ArgumentTypeError),
    Case("function that fails", lambda b: b.fit(how={"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=-1)}, good=None), ArgumentError),
    Case("instance and lr", lambda b: b.model().compile(torch.optim.SGD(small_net().parameters(), lr=0.1), lr=0.2), ArgumentError),
    Case("instance of parameters as a list of floats", lambda b: torch.optim.SGD([1.0], lr=0.1), TypeError),
]


def optimizing(b, make, net=None, good=(X, Y)):
    net = net or small_net()
    return b.fit(net=net, how={"optimizer": make(net)}, good=good)


STATE = [
    Case("fit before compile", lambda b: bare(b).fit(X, Y), NotCompiledError),
    Case("evaluate before compile", lambda b: bare(b).evaluate(X, Y), NotCompiledError),
    Case("train_on_batch before compile", lambda b: bare(b).train_on_batch(X, Y), NotCompiledError),
    Case("predict_proba before compile", lambda b: bare(b).predict_proba(X), NotCompiledError),
    Case("predict_proba with mse", lambda b: b.model(how={}).predict_proba(X) if False else b.model(loss="mse", good=None).predict_proba(X), StateError),
    Case("count_params before build", lambda b: lazy_net().count_params(), NotBuiltError),
    Case("summary before build", lambda b: lazy_net().summary(), NotBuiltError),
    Case("save_weights before build", lambda b: lazy_net().save_weights("never.pt"), NotBuiltError),
    Case("train_step outside fit", lambda b: b.model().train_step((X, Y)), StateError),
    Case("compile again after training", compiled_again := (lambda b: twice(b)), EasyconvWarning),
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
    Case("softmax before cross_entropy", lambda b: b.fit(net=nn.Sequential(small_net(), nn.Softmax(1))), EasyconvWarning),
    Case("softmax function before cross_entropy", lambda b: b.fit(net=Ends(lambda x: x.softmax(1))), EasyconvWarning),
    Case("softmax before CrossEntropyLoss()", lambda b: b.fit(net=nn.Sequential(small_net(), nn.Softmax(1)), how={"loss": nn.CrossEntropyLoss()}), EasyconvWarning),
    Case("sigmoid before bce", lambda b: b.fit(y=(Y == 1).float(), net=nn.Sequential(small_net(outputs=1), nn.Sigmoid()), how={"loss": "bce"}), EasyconvWarning),
    Case("sigmoid function before bce", lambda b: b.fit(y=(Y == 1).float(), net=Ends(torch.sigmoid, 1), how={"loss": "bce"}), EasyconvWarning),
    Case("sigmoid before cross_entropy", lambda b: b.fit(net=nn.Sequential(small_net(), nn.Sigmoid())), EasyconvWarning),
    Case("log-softmax before cross_entropy", lambda b: b.fit(net=nn.Sequential(small_net(), nn.LogSoftmax(1))), EasyconvWarning),
    Case("relu before cross_entropy", lambda b: b.fit(net=nn.Sequential(small_net(), nn.ReLU())), EasyconvWarning),
    Case("nll of raw outputs", lambda b: b.fit(how={"loss": "nll"}), EasyconvWarning),
    Case("nll of a softmax", lambda b: b.fit(net=nn.Sequential(small_net(), nn.Softmax(1)), how={"loss": "nll"}), EasyconvWarning),
    Case("NLLLoss() of raw outputs", lambda b: b.fit(how={"loss": nn.NLLLoss()}), EasyconvWarning),
    Case("bce_probabilities of raw outputs", lambda b: b.fit(y=(Y == 1).float(), net=small_net(outputs=1), how={"loss": "bce_probabilities"}, good=None), (ArgumentError, EasyconvWarning)),
    Case("BCELoss() of raw outputs", lambda b: b.fit(y=(Y == 1).float(), net=small_net(outputs=1), how={"loss": nn.BCELoss()}, good=None), (ArgumentError, EasyconvWarning)),
    Case("loss returns rows of rows", lambda b: b.fit(how={"loss": lambda o, t: o.T}, good=None), ArgumentError),
    Case("loss returns a float", lambda b: b.fit(how={"loss": lambda o, t: float(o.mean())}, good=None), ArgumentTypeError),
    Case("loss returns None", lambda b: b.fit(how={"loss": lambda o, t: None}, good=None), ArgumentTypeError),
    Case("loss returns NumPy", lambda b: b.fit(how={"loss": lambda o, t: o.detach().numpy().mean()}, good=None), ArgumentTypeError),
    Case("loss returns a tuple", lambda b: b.fit(how={"loss": lambda o, t: (o.mean(), o)}, good=None), ArgumentTypeError),
    Case("loss is cut off", lambda b: b.fit(how={"loss": lambda o, t: o.detach().mean()}, good=None), ArgumentError),
    Case("loss counts", lambda b: b.fit(how={"loss": lambda o, t: (o.argmax(1) != t).float().mean()}, good=None), ArgumentError),
    Case("loss returns integers", lambda b: b.fit(how={"loss": lambda o, t: (o.argmax(1) != t).sum()}, good=None), (ArgumentError, ArgumentTypeError)),
    Case("loss returns complex", lambda b: b.fit(how={"loss": lambda o, t: o.mean() * 1j}, good=None), ArgumentTypeError),
    Case("loss fails", lambda b: b.fit(how={"loss": lambda o, t: (o - t).mean()}, good=None), EasyconvError),
    Case("loss is NaN at once", lambda b: b.fit(how={"loss": lambda o, t: o.mean() * NAN}, good=None), EasyconvError, steps=True),
    Case("metric returns a matrix", lambda b: b.fit(how={"metrics": [lambda o, t: o]}, good=None), ArgumentError, steps=True),
    Case("metric returns None", lambda b: b.fit(how={"metrics": [lambda o, t: None]}, good=None), ArgumentTypeError, steps=True),
    Case("metric returns text", lambda b: b.fit(how={"metrics": [lambda o, t: "good"]}, good=None), ArgumentTypeError, steps=True),
    Case("lr 1e30", lambda b: b.fit(how={"optimizer": "sgd", "lr": 1e30}, good=None, epochs=3), EasyconvError, steps=True),
    Case("one loss of two for one output", lambda b: b.fit(how={"loss": ["cross_entropy", "mse"]}, good=None), EasyconvError),
    Case("dict of losses for one output", lambda b: b.fit(how={"loss": {"label": "cross_entropy"}}, good=None), EasyconvError),
]


class Ends(nn.Module):
    def __init__(self, end, outputs=3):
        super().__init__()
        self.net, self.end = small_net(outputs=outputs), end

    def forward(self, x):
        return self.end(self.net(x))


CASES = FIT + CALLBACKS + COMPILE + OPTIMIZERS + STATE + LOSSES
