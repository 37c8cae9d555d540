from torch import nn

from easyconv import layers
from easyconv.layers.hidden import hidden_layers, marked_untrainable


class Hides(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = [nn.Linear(2, 2), nn.ReLU()]
        self.named = {"a": layers.Dense(2)}
        self.activations = [nn.ReLU()]
        self.registered = nn.ModuleList([nn.Linear(2, 2)])
        self.again = [self.registered[0]]
        self.numbers = [1, 2]


def test_layers_in_plain_containers_are_found():
    assert hidden_layers(Hides()) == ["blocks", "named"]
    assert hidden_layers(nn.Sequential(Hides())) == ["0.blocks", "0.named"]


def test_ordinary_nets_hide_nothing():
    assert hidden_layers(nn.Sequential(layers.ConvBlock(4), layers.Residual(layers.Dense(2)))) == []


def test_keras_marks_are_found_only_where_they_mean_something():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert marked_untrainable(net) == []
    net[1].trainable = False
    assert marked_untrainable(net) == ["1"]
    for parameter in net[1].parameters():
        parameter.requires_grad = False
    assert marked_untrainable(net) == []
