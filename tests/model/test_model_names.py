"""Names that would shadow what a model can do are refused; all others are free."""

import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, EasyconvError, ReservedNameError


def public(cls):
    return sorted(name for name in dir(cls) if not name.startswith("_"))


WAYS = {
    "setattr module": lambda model, name: setattr(model, name, nn.Linear(2, 2)),
    "setattr parameter": lambda model, name: setattr(model, name, nn.Parameter(torch.zeros(2))),
    "setattr tensor": lambda model, name: setattr(model, name, torch.zeros(2)),
    "add_module": lambda model, name: model.add_module(name, nn.Linear(2, 2)),
    "register_module": lambda model, name: model.register_module(name, nn.Linear(2, 2)),
    "register_parameter": lambda model, name: model.register_parameter(name, nn.Parameter(torch.zeros(2))),
    "register_buffer": lambda model, name: model.register_buffer(name, torch.zeros(2)),
}


def test_public_names_of_a_model_are_few():
    own = set(public(ec.Model)) - set(public(nn.Module))
    assert own == {
        *("build", "count_params", "evaluate", "fit", "freeze", "get_layer", "history", "load_weights", "name"),
        *("optimizer", "predict", "predict_classes", "predict_on_batch", "predict_proba", "predict_step"),
        *("save_weights", "stop_training", "summary", "test_on_batch", "test_step", "train_on_batch", "train_step"),
        *("unfreeze", "compute_loss", "preprocessing", "classify", "embed", "fine_tune", "replace_head"),
        *("export", "save"),
    }
    assert set(public(ec.Sequential)) - own - set(public(nn.Sequential)) == {"add", "layers"}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("cls", [ec.Model, ec.Sequential])
def test_every_public_name_is_refused(cls, way):
    for name in public(cls):
        model = cls()
        with pytest.raises(ReservedNameError, match=rf"called '{name}'.*Take another name, like {name}_layer"):
            way(model, name)
        assert not model.state_dict()
        assert not list(model.children())


@pytest.mark.parametrize("name", public(ec.Sequential))
def test_layers_of_a_sequential_cannot_have_them(name):
    with pytest.raises(ReservedNameError, match=f"called '{name}'"):
        ec.Sequential([(name, nn.ReLU())])


def test_the_message_names_the_owner_as_users_know_it():
    owners = {"fit": "Model.fit", "build": "Model.build", "half": "torch.nn.Module.half"}
    for name, owner in owners.items():
        with pytest.raises(ReservedNameError, match=rf"that is {owner}\. "):
            setattr(ec.Model(), name, nn.ReLU())
    with pytest.raises(ReservedNameError, match=r"that is Sequential\.layers\."):
        ec.Sequential({"layers": nn.ReLU()})
    assert issubclass(ReservedNameError, (EasyconvError, AttributeError))


@pytest.mark.parametrize("name", ["history", "optimizer"])
def test_a_plain_value_on_a_read_only_property_is_refused(name):
    with pytest.raises(ReservedNameError, match=f"called '{name}'"):
        setattr(ec.Model(), name, [])
    with pytest.raises(ReservedNameError, match="called 'layers'"):
        ec.Sequential().layers = []


def test_a_class_that_overrides_a_verb_still_keeps_its_name():
    class Mine(ec.Model):
        def train_step(self, batch):
            return super().train_step(batch)

    with pytest.raises(ReservedNameError):
        Mine().train_step = nn.ReLU()


@pytest.mark.parametrize(
    "name", ["features", "classifier", "layers", "net", "head", "conv1", "fc", "loss", "metrics", "encoder", "backbone"]
)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_names_of_every_course_are_free(name, way):
    class Net(ec.Model):
        def forward(self, x):
            return x

    model = Net()
    way(model, name)
    assert name in dir(model)


def test_stop_training_and_methods_take_plain_values():
    model = ec.Model(nn.ReLU())
    model.stop_training = True
    assert model.stop_training is False
    model.my_number = 3
    model.forward = lambda x: x + 1
    assert float(model(torch.zeros(()))) == 1


def test_a_subclass_may_call_itself_something():
    class Named(ec.Model):
        def __init__(self):
            super().__init__()
            self.name = "bob"

    assert Named().name == "bob"
    with pytest.raises(ArgumentTypeError, match="name must be text, got 3"):
        Named().name = 3


def test_the_trainable_of_keras_is_refused():
    model = ec.Model(nn.Linear(2, 2))
    with pytest.raises(ArgumentError, match=r"trainable=False is Keras's word.*model.freeze\(\)"):
        model.trainable = False


def test_a_wrapper_knows_its_layers_by_both_names():
    model = ec.Model(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    assert model.get_layer("net.0") is model.get_layer("0") is model.net[0]
    model.freeze("net.0")
    assert model.count_params(trainable=True) == 0
