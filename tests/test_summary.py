import random
import re
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, NotBuiltError, ShapeError
from easyconv.summary import summarize


def mnist_net():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip


def block(inputs, outputs):
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, 3, padding=1),
            norm=nn.BatchNorm2d(outputs),
            activation=nn.ReLU(),
            pool=nn.MaxPool2d(2),
        )
    )


class Shared(nn.Module):
    """One layer called twice and held under two names, one tied weight, one unused layer, one parameter of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.again = self.first
        self.tied = nn.Linear(8, 8, bias=False)
        self.tied.weight = self.first.weight
        self.unused = nn.Linear(3, 3)
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return self.tied(self.again(self.first(x))) * self.scale


def frozen():
    net = nn.Sequential(block(3, 8), block(8, 8), nn.Flatten(), nn.Linear(8, 2))
    net[0].requires_grad_(False)
    net[1].norm.requires_grad_(False)
    return net


NETS = {
    "mnist": (mnist_net, (2, 1, 28, 28)),
    "blocks": (frozen, (2, 3, 4, 4)),
    "shared": (Shared, (2, 8)),
    "resnet18": (models.resnet18, (1, 3, 64, 64)),
    "googlenet": (lambda: models.googlenet(init_weights=False), (2, 3, 64, 64)),
    "mobilenet": (models.mobilenet_v3_small, (1, 3, 64, 64)),
    "leaf": (lambda: nn.Linear(3, 2), (4, 3)),
}


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
@pytest.mark.parametrize("name", NETS)
def test_columns_add_up_to_the_totals(name, depth):
    make, shape = NETS[name]
    net = make()
    found = summarize(net, torch.zeros(shape), depth=depth)
    assert sum(row.parameters for row in found.rows) == found.parameters == sum(p.numel() for p in net.parameters())
    trainable = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert sum(row.trainable for row in found.rows) == found.trainable == trainable
    assert found.non_trainable == found.parameters - trainable
    assert sum(row.multiply_adds for row in found.rows) == found.multiply_adds
    assert max(row.depth for row in found.rows) <= depth


@pytest.mark.parametrize("name", NETS)
def test_multiply_adds_are_half_of_torchs_operations(name):
    make, shape = NETS[name]
    net, example = make().eval(), torch.zeros(shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(example)
    assert summarize(net, example).multiply_adds * 2 * shape[0] == counter.get_total_flops()


def test_keras_example():
    found = summarize(mnist_net(), torch.zeros(1, 1, 28, 28))
    assert [row.parameters for row in found.rows if row.parameters] == [320, 18_496, 1_179_776, 1_290]
    assert found.parameters == 1_199_882
    assert found.input_shape == ("N", 1, 28, 28)
    assert found.rows[0].output_shape == ("N", 32, 26, 26)
    assert "4.58 MB" in str(found)
    assert found.multiply_adds == 26 * 26 * 32 * 9 + 24 * 24 * 64 * 9 * 32 + 9216 * 128 + 1280
    shown = [row.receptive_field for row in found.rows if row.sees]
    assert shown == [(3, 3), (5, 5), (6, 6), "all", "all", "all"]


def test_table_by_eye():
    text = str(summarize(frozen(), torch.zeros(1, 3, 4, 4)))
    lines = text.splitlines()
    assert lines[0] == "Sequential · input (N, 3, 4, 4)"
    assert lines[2].split() == ["Layer", "Output", "shape", "Parameters", "Multiply-adds", "Field", "Jump"]
    assert lines[4] == "├─ 0: Sequential         (N, 8, 2, 2)"
    assert lines[5].split() == [
        "│",
        "├─",
        "conv:",
        "Conv2d",
        "(N,",
        "8,",
        "4,",
        "4)",
        "224*",
        "3,456",
        "3\N{MULTIPLICATION SIGN}3",
        "1\N{MULTIPLICATION SIGN}1",
    ]
    assert lines[8].startswith("│  └─ pool: MaxPool2d")
    assert any(line.startswith("└─ 3: Linear") for line in lines)
    assert "* not trained" in lines
    assert max(map(len, lines)) <= 100
    assert "~" not in text
    assert "~ trained in part" in str(summarize(frozen(), torch.zeros(1, 3, 4, 4), depth=1))


def test_long_names_stay_within_100_columns():
    net = nn.Sequential(OrderedDict({"a_very_long_name" * 8: nn.Conv2d(3, 4, 3)}))
    text = str(summarize(net, torch.zeros(1, 3, 8, 8), title="Long"))
    assert max(map(len, text.splitlines())) <= 100
    assert "…" in text
    assert text.startswith("Long · ")


def test_shared_layers_and_weights_count_once():
    rows = {row.name: row for row in summarize(Shared(), torch.zeros(2, 8)).rows}
    assert rows[""].parameters == 8
    assert rows["first"].parameters == 72
    assert rows["first"].multiply_adds == 2 * 64
    assert rows["again"].shared
    assert rows["tied"].shared
    assert rows["tied"].multiply_adds == 64
    assert rows["unused"].output_shape is None
    assert not rows["unused"].shared


@pytest.mark.parametrize(
    ("make", "layer", "field"),
    [
        (models.alexnet, "features.10", 163),
        (models.alexnet, "features.12", 195),
        (models.vgg16, "features.28", 196),
        (models.vgg16, "features.30", 212),
        (models.resnet18, "layer4.1.conv2", 435),
        (models.resnet50, "layer4.2.conv3", 427),
        (models.convnext_tiny, "features.0.0", 4),
    ],
)
def test_receptive_fields_of_the_literature(make, layer, field):
    with torch.device("meta"):
        rows = summarize(make(), torch.zeros(1, 3, 224, 224), depth=9).rows
    found = next(row for row in rows if row.name == layer)
    assert found.receptive_field == (field, field)


def test_linear_over_channels_last_keeps_positions():
    with torch.device("meta"):
        rows = summarize(models.convnext_tiny(), torch.zeros(1, 3, 224, 224), depth=1).rows
    # The stem sees 4; then three 7x7; before each further stage a 2x2 of stride 2.
    size, jump = 4 + 3 * 6 * 4, 4
    for blocks in (3, 9, 3):
        size, jump = size + jump, jump * 2
        size += blocks * 6 * jump
    assert rows[0].receptive_field == (size, size)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up, self.last = nn.Conv2d(1, 2, 3), nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, 3)

    def forward(self, x):
        return self.last(self.up(self.down(x)))


def test_what_is_not_understood_is_a_question_mark():
    found = summarize(Decoder(), torch.zeros(1, 1, 8, 8))
    assert [row.receptive_field for row in found.rows] == [(3, 3), "?", "?"]
    assert "?: cannot be told" in str(found)


class Breaks(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(5, 2)
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("cache", None)
        self.norm.eval()

    def forward(self, x):
        self.count += 1
        self.cache = x
        torch.rand(1), np.random.rand(), random.random()
        return self.head(self.drop(self.norm(x)))


def state(net):
    modes = [module.training for module in net.modules()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()]
    grads = [p.requires_grad for p in net.parameters()]
    draws = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
    return modes, hooks, grads, {k: v.tolist() for k, v in net.state_dict().items()}, draws


@pytest.mark.parametrize("width", [4, 5])
def test_everything_is_given_back(width):
    net = Breaks()
    if width == 4:
        net.head = nn.Linear(4, 2)
    count, before = net.count, state(net)
    if width == 5:
        with pytest.raises(ShapeError):
            summarize(net, torch.zeros(3, width))
    else:
        summarize(net, torch.zeros(3, width))
    assert state(net) == before
    assert net.count is count
    assert net.cache is None
    assert torch.is_grad_enabled()


def test_a_layer_that_cannot_is_named():
    with pytest.raises(ShapeError, match=r"Layer 'head' \(Linear.*\) cannot take an input of shape \(3, 4\)") as e:
        summarize(Breaks(), torch.zeros(3, 4))
    assert re.search(r"norm +BatchNorm1d +\(3, 4\) +\(3, 4\)", str(e.value))
    assert "make it Linear(4, 2)" in str(e.value)
    assert isinstance(e.value.__cause__, RuntimeError)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore::DeprecationWarning")
def test_a_layer_beside_a_scripted_one_is_named():
    net = nn.Sequential(torch.jit.script(nn.Linear(4, 3)), nn.Linear(4, 3))
    with pytest.raises(ShapeError, match=r"Layer '1' .* of shape \(2, 3\)"):
        summarize(net, torch.zeros(2, 4))


def test_a_pass_that_summary_was_between_goes_on():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    output = net(torch.ones(4, 2))
    summarize(net, torch.ones(4, 2))
    output.sum().backward()  # fails where the buffers of the norm were written to
    assert net[0].weight.grad is not None


def test_an_attribute_that_torchinfo_cannot_read_is_named():
    net = nn.Linear(2, 2)
    net.kernel_size = None
    with pytest.raises(ArgumentTypeError, match="cannot read the layers of this Linear: kernel_size has an unexpected"):
        summarize(net, torch.zeros(1, 2))


def test_parametrized_layers_keep_their_numbers():
    net = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3)))
    rows = summarize(net, torch.zeros(1, 1, 8, 8)).rows
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in net.parameters())
    assert rows[0].sees
    assert rows[0].receptive_field == (3, 3)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore::DeprecationWarning")
def test_scripted_layers_have_parameters_but_no_shapes():
    rows = summarize(nn.Sequential(torch.jit.script(nn.Conv2d(1, 2, 3)), nn.ReLU()), torch.zeros(1, 1, 8, 8)).rows
    assert [(row.parameters, row.output_shape) for row in rows] == [(20, None), (0, ("N", 2, 6, 6))]


def test_other_errors_pass():
    class Fails(nn.Module):
        def forward(self, x):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        summarize(Fails(), torch.zeros(1, 1))


def test_unbuilt_layers_are_named():
    with pytest.raises(NotBuiltError, match=r"summary\(\) needs .* of '1' are not known yet.*build\("):
        summarize(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), torch.zeros(1, 2, 2))


def test_refusals():
    with pytest.raises(ArgumentTypeError, match=r"net must be an nn\.Module, got 3"):
        summarize(3, torch.zeros(1, 1))
    with pytest.raises(ArgumentTypeError, match="example must hold a tensor with a batch axis, got 'x'"):
        summarize(nn.Linear(1, 1), "x")
    with pytest.raises(ArgumentError, match="depth must be at least 1, got 0"):
        summarize(nn.Linear(1, 1), torch.zeros(1, 1), depth=0)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(self, left, right):
        return {"sum": self.a(left) + self.b(right), "word": "text"}


class Whole(nn.Module):
    """Takes its dict whole, as nets with many inputs do."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(self, batch):
        return self.a(batch["left"]) + self.b(batch["right"])


def test_a_dict_that_forward_takes_whole():
    summary = summarize(Whole(), {"left": torch.zeros(5, 3), "right": torch.zeros(5, 4)})
    assert summary.input_shape == [("N", 3), ("N", 4)]
    assert [row.multiply_adds for row in summary.rows if row.name] == [6, 8]


def test_summary_after_fit_of_a_net_that_takes_its_dict_whole(capsys):
    x = {"left": torch.randn(8, 3), "right": torch.randn(8, 4)}
    model = ec.Model(Whole())
    model.compile("sgd", "mse")
    model.fit(x, torch.randn(8, 2), epochs=1, verbose=0)
    assert model.summary().parameters == 18
    assert "a: Linear" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_several_inputs_and_odd_outputs(kind):
    left, right = torch.zeros(5, 3), torch.zeros(5, 4)
    example = (left, right) if kind == "tuple" else {"left": left, "right": right}
    found = summarize(Two(), example)
    assert found.input_shape == [("N", 3), ("N", 4)]
    assert found.multiply_adds == 6 + 8
    assert "input (N, 3) and (N, 4)" in str(found)


def test_linear_over_time_counts_each_step():
    assert summarize(nn.Linear(6, 4), torch.zeros(2, 5, 6)).multiply_adds == 5 * 24


def test_the_package_does_not_import_torchinfo_or_matplotlib_by_itself():
    code = "import sys, easyconv.summary, easyconv.visualize; print({'torchinfo', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_memory_follows_the_type():
    net = nn.Linear(9, 10)
    assert summarize(net, torch.zeros(1, 9)).memory == 400
    assert "400 B" in str(summarize(net, torch.zeros(1, 9)))
    net = nn.Linear(63, 32).bfloat16()
    assert "4.00 KB" in str(summarize(net, torch.zeros(1, 63, dtype=torch.bfloat16)))


def test_at_a_prompt_the_table_is_not_followed_by_a_dump():
    assert repr(summarize(nn.Linear(2, 3), torch.zeros(1, 2))) == "Summary('Linear', 9 parameters)"
