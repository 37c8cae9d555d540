import re

import pytest
import torch
from torch import nn

import easyconv as ec
from easyconv import layers
from easyconv.errors import ArgumentError, ShapeError
from easyconv.layers.trace import LayerRow, explain, trace_shapes


def explained(net, *args, **kwargs):
    with pytest.raises((RuntimeError, ValueError, IndexError)) as caught:
        net(*args, **kwargs)
    return explain(net, args, kwargs, caught.value)


def test_linear_after_flatten_is_named_with_the_table():
    net = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(100, 10))
    error = explained(net, torch.zeros(8, 1, 28, 28))
    lines = str(error).splitlines()
    assert isinstance(error, ShapeError)
    assert lines[0].startswith(
        "Layer '4' (Linear(in_features=100, out_features=10, bias=True)) cannot take an input of shape (8, 1152): "
    )
    assert "make it Linear(1152, 10), or Dense(10)" in lines[1]
    assert re.split(r"\s{2,}", lines[3].strip()) == ["0", "Conv2d", "(8, 1, 28, 28)", "(8, 32, 26, 26)"]
    assert re.split(r"\s{2,}", lines[-1].strip()) == ["4", "Linear", "(8, 1152)", "failed"]
    assert error.layer == "4"
    assert len(error.rows) == 5


@pytest.mark.parametrize(
    ("net", "x", "match"),
    [
        (nn.Sequential(nn.Linear(48, 2)), torch.zeros(2, 3, 4, 4), r"put a Flatten\(\) before it"),
        (nn.Sequential(nn.Linear(7, 2)), torch.zeros(2, 3, 4, 4), r"Linear\(4, 2\).*put a Flatten\(\)"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), torch.zeros(2, 1, 8, 8), "expects 3 channels and got 1.*Conv2D"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), torch.zeros(2, 8, 8, 3), r"x.permute\(0, 3, 1, 2\)"),
        (nn.Sequential(nn.Conv2d(1, 4, 3)), torch.zeros(2, 8), r"expects \(N, C, H, W\).*unsqueeze"),
        (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 4, 5)), torch.zeros(2, 1, 8, 8), "become too small"),
        (nn.Sequential(nn.MaxPool2d(9)), torch.zeros(2, 1, 8, 8), "become too small for its window of 9"),
        (nn.Sequential(nn.BatchNorm1d(3)), torch.zeros(1, 3), "more than one value per channel.*drop_last"),
        (nn.Sequential(nn.BatchNorm2d(4)), torch.zeros(2, 3, 4, 4), "expects 4 channels .* got 3"),
        (nn.Sequential(nn.BatchNorm2d(4)), torch.zeros(2, 4), "BatchNorm2d does not take 2 dimensions"),
        (
            nn.Sequential(nn.Embedding(5, 2)),
            torch.tensor([[1, 7]]),
            r"ids from 0 to 4.*from 1 to 7; .*Embedding\(8, 2\)",
        ),
        (nn.Sequential(nn.Embedding(5, 2)), torch.zeros(1, 2), r"convert them with .long\(\)"),
        (
            nn.Sequential(nn.Linear(2, 2)),
            torch.zeros(1, 2).double(),
            r"float64; convert the input with .to\(torch.float32\)",
        ),
        (nn.Sequential(nn.Linear(2, 2)), torch.zeros(1, 2).long(), r"int64; convert"),
        (nn.Sequential(nn.Conv2d(1, 2, 1)), torch.zeros(1, 1, 2, 2).double(), r"convert the input"),
        (
            nn.Sequential(nn.Linear(2, 2, device="meta")),
            torch.zeros(1, 2),
            r"weights are on meta and the input is on cpu",
        ),
        (
            nn.Sequential(layers.Conv2D(4, 3, groups=2)),
            torch.zeros(1, 3, 5, 5),
            "2 groups do not divide the 3 channels",
        ),
        (nn.Sequential(layers.Conv2D(4, 3)), torch.zeros(1, 3), r"expects \(N, C, H, W\)"),
    ],
)
def test_advice(net, x, match):
    error = explained(net, x)
    assert re.search(match, str(error).splitlines()[1])
    assert "failed" in str(error)


class ViewNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(16, 2)

    def forward(self, x):
        return self.fc(self.conv(x).view(-1, 17))


def test_a_failure_between_layers_names_the_module_and_the_layer_before():
    error = explained(ViewNet(), torch.zeros(2, 1, 5, 5))
    assert "The net (ViewNet) failed in its own forward" in str(error)
    assert "after layer 'conv' gave (2, 4, 3, 3)" in str(error)
    error = explained(nn.Sequential(nn.ReLU(), ViewNet()), torch.zeros(2, 1, 5, 5))
    assert "Layer '1' (ViewNet) failed in its own forward" in str(error)
    assert "after layer '1.conv'" in str(error)


def test_nothing_is_left_behind():
    net = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(3, 2))
    with pytest.raises(RuntimeError) as caught:
        net(torch.randn(5, 4))
    mean, state = net[0].running_mean.clone(), torch.get_rng_state()
    assert explain(net, (torch.ones(5, 4),), {}, caught.value) is not None
    assert torch.equal(net[0].running_mean, mean)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_none_where_there_is_nothing_to_explain():
    net = nn.Linear(2, 2)
    good, bad = torch.zeros(1, 2), torch.zeros(1, 3)
    assert explain(net, (good,), {}, RuntimeError("flaky")) is None
    assert explain(net, (bad,), {}, torch.cuda.OutOfMemoryError("CUDA out of memory")) is None
    assert explain(net, (bad,), {}, KeyError("x")) is None
    assert explain(net, (bad,), {}, ArgumentError("x")) is None
    first = explain(net, (bad,), {}, RuntimeError("x"))
    assert first is not None
    assert explain(net, (bad,), {}, first) is None


class Explaining(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 2)

    def forward(self, x):
        try:
            return self.net(x)
        except RuntimeError as error:
            raise (explain(self.net, (x,), {}, error) or error) from None


def test_nested_calls_explain_once():
    net = Explaining()
    with pytest.raises(ShapeError) as caught:
        net(torch.zeros(1, 3))
    assert str(caught.value).count("cannot take") == 1
    assert explain(net, (torch.zeros(1, 3),), {}, caught.value) is None
    error = explain(net, (torch.zeros(1, 3),), {}, RuntimeError("x"))
    assert str(error).count("cannot take") == 1
    assert "'net'" in str(error)


def test_long_tables_keep_the_last_rows():
    net = nn.Sequential(*[nn.Linear(4, 4) for _ in range(30)], nn.Linear(5, 5))
    text = str(explained(net, torch.zeros(1, 4)))
    assert "... 11 layers before these are left out" in text
    assert len(text.splitlines()) == 2 + 1 + 1 + 20


def test_merges_that_do_not_fit_are_explained_with_every_branch():
    net = nn.Sequential(nn.ReLU(), layers.Parallel(nn.MaxPool2d(2), None))
    with pytest.raises(ShapeError, match=r"0: \(1, 3, 2, 2\), 1: \(1, 3, 4, 4\)"):
        net(torch.zeros(1, 3, 4, 4))
    error = explained(net, torch.zeros(1, 3, 4, 4))
    assert error.layer == "1"
    assert "Layer '1' (Parallel)" in str(error)
    assert "Give them the same strides" in str(error)


def test_trace_shapes_of_several_inputs_and_outputs():
    assert trace_shapes(nn.Bilinear(2, 3, 4), torch.zeros(5, 2), torch.zeros(5, 3)) == [
        LayerRow("", "Bilinear", [(5, 2), (5, 3)], (5, 4))
    ]
    rows = trace_shapes(nn.Sequential(nn.LSTM(4, 6, batch_first=True)), torch.zeros(2, 3, 4))
    assert rows[0].output_shape == [(2, 3, 6), [(1, 2, 6), (1, 2, 6)]]


def test_trace_shapes_of_an_unbuilt_net_names_plain_classes():
    rows = trace_shapes(nn.Sequential(layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)), torch.zeros(1, 3, 5, 5))
    assert [(row.type, row.output_shape) for row in rows] == [
        ("Conv2d", (1, 4, 3, 3)),
        ("Flatten", (1, 36)),
        ("Linear", (1, 2)),
    ]


def test_a_layer_that_gets_a_tuple_is_named():
    net = ec.Sequential([nn.LSTM(3, 8, batch_first=True), nn.Flatten(), nn.Linear(8, 2)])
    with pytest.raises(ShapeError, match=r"Layer '1' \(Flatten.*has no attribute 'flatten'") as caught:
        net(torch.rand(2, 5, 3))
    assert isinstance(caught.value, AttributeError)


def test_a_slip_in_the_users_own_forward_stays_what_it_is():
    class Slip(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc2 = nn.Linear(2, 2)

        def forward(self, x):
            return self.fc22(x)

    with pytest.raises(AttributeError, match="fc22") as caught:
        ec.Model(Slip())(torch.zeros(1, 2))
    assert not isinstance(caught.value, ShapeError)
