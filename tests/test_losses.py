"""Losses against plain torch, and arithmetic done by hand."""

import copy
import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import easyconv as ec
from easyconv.errors import ArgumentError, ArgumentTypeError, LabelError, LengthError, UnknownNameError
from easyconv.losses import make_objective
from easyconv.losses.table import ALIASES, KNOWN

torch.manual_seed(0)
LOGITS = torch.randn(6, 4, requires_grad=True)
CLASSES = torch.tensor([0, 1, 2, 3, 1, 1])
PLAIN = {
    "cross_entropy": (LOGITS, CLASSES, functional.cross_entropy),
    "nll": (LOGITS.log_softmax(1), CLASSES, functional.nll_loss),
    "hinge": (LOGITS, CLASSES, functional.multi_margin_loss),
    "bce": (LOGITS, torch.rand(6, 4), functional.binary_cross_entropy_with_logits),
    "bce_probabilities": (LOGITS.sigmoid(), torch.rand(6, 4), functional.binary_cross_entropy),
    "mse": (LOGITS, torch.randn(6, 4), functional.mse_loss),
    "mae": (LOGITS, torch.randn(6, 4), functional.l1_loss),
    "huber": (LOGITS, torch.randn(6, 4), functional.huber_loss),
    "smooth_l1": (LOGITS, torch.randn(6, 4), functional.smooth_l1_loss),
    "poisson_nll": (LOGITS, torch.rand(6, 4), functional.poisson_nll_loss),
    "kl_div": (LOGITS.log_softmax(1), torch.rand(6, 4).softmax(1), nn.KLDivLoss(reduction="batchmean")),
}


def per_row(output, target):
    return (output - target).square().mean(dim=1)


def test_every_name_has_an_oracle():
    assert set(PLAIN) == set(KNOWN)


@pytest.mark.parametrize("name", [*KNOWN, *ALIASES])
def test_named_losses_are_torch_bit_for_bit(name):
    output, target, plain = PLAIN[ALIASES.get(name, name)]
    objective = make_objective(name)
    assert torch.equal(objective(output, target), plain(output, target))
    assert objective.name == ALIASES.get(name, name)


@pytest.mark.parametrize("name", KNOWN)
def test_weights_of_one_change_nothing_and_weights_weigh_rows(name):
    output, target, plain = PLAIN[name]
    objective = make_objective(name)
    torch.testing.assert_close(objective(output, target, torch.ones(6)), plain(output, target))
    weight = torch.rand(6)
    rows = torch.stack([plain(output[i : i + 1], target[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(objective(output, target, weight), (weight * rows).sum() / 6)
    torch.testing.assert_close(objective(output, target, weight[:, None]), (weight * rows).sum() / 6)


@pytest.mark.parametrize("name", KNOWN)
def test_the_module_the_class_and_the_function_mean_the_same_as_the_name(name):
    kind, named = KNOWN[name], make_objective(name)
    given = [kind.module(), kind.module]
    if kind.function is not None:
        given += [kind.function, functools.partial(kind.function)]
    for loss in given:
        objective = make_objective(loss)
        assert (objective.name, objective.kinds, objective.expects) == (name, named.kinds, named.expects)


def test_weighted_module_keeps_its_own_reduction_without_sample_weights():
    table = torch.tensor([1.0, 2.0, 3.0, 4.0])
    loss = nn.CrossEntropyLoss(weight=table)
    objective = make_objective(loss)
    assert torch.equal(objective(LOGITS, CLASSES), loss(LOGITS, CLASSES))
    rows = functional.cross_entropy(LOGITS, CLASSES, reduction="none") * table[CLASSES]
    weight = torch.rand(6)
    torch.testing.assert_close(objective(LOGITS, CLASSES, weight), (weight * rows).sum() / 6)
    assert loss.reduction == "mean"


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_other_reductions(reduction):
    objective = make_objective(nn.MSELoss(reduction=reduction))
    output, target = torch.randn(4, 3), torch.randn(4, 3)
    squares, weight = (output - target).square(), torch.rand(4)
    unweighted = squares.sum() if reduction == "sum" else squares.mean()
    weighted = (squares * weight[:, None]).sum() / (1 if reduction == "sum" else 12)
    torch.testing.assert_close(objective(output, target), unweighted)
    torch.testing.assert_close(objective(output, target, weight), weighted)


def test_labels_to_ignore_count_neither_above_nor_below_the_line():
    output, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    target[0, :2] = 255
    for loss in (nn.CrossEntropyLoss(ignore_index=255), functools.partial(functional.cross_entropy, ignore_index=255)):
        objective = make_objective(loss)
        assert objective.ignore_index == 255
        torch.testing.assert_close(objective(output, target, torch.ones(2)), loss(output, target))
    assert make_objective("cross_entropy").ignore_index is None
    assert make_objective(nn.CrossEntropyLoss()).ignore_index is None


def test_activation_and_classes():
    for name, activation, classes in (
        ("cross_entropy", LOGITS.softmax(1), LOGITS.argmax(1)),
        ("nll", LOGITS.exp(), LOGITS.argmax(1)),
        ("bce", LOGITS.sigmoid(), (LOGITS > 0).long()),
        ("bce_probabilities", LOGITS, (LOGITS > 0.5).long()),
    ):
        objective = make_objective(name)
        assert torch.equal(objective.activation(LOGITS), activation)
        assert torch.equal(objective.classes(LOGITS), classes)
    assert make_objective("mse").activation is None
    assert make_objective("mse").classes is None


def test_segmentation_activation_is_over_channels():
    probabilities = make_objective("cross_entropy").activation(torch.randn(2, 3, 4, 4))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 4, 4))


def test_custom_loss_of_rows_is_averaged_and_weighted():
    output, target, weight = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3), torch.rand(5)
    objective = make_objective(per_row)
    assert (objective.name, objective.kinds, objective.expects) == ("per_row", "any", "any")
    rows = (output - target).square().mean(1)
    assert torch.equal(objective(output, target), rows.mean())
    torch.testing.assert_close(objective(output, target, weight), (rows * weight).mean())


def test_gradients_are_those_of_a_plain_loop():
    ours = torch.randn(6, 4, requires_grad=True)
    plain = ours.detach().clone().requires_grad_()
    make_objective("cross_entropy")(ours, CLASSES).backward()
    functional.cross_entropy(plain, CLASSES).backward()
    assert torch.equal(ours.grad, plain.grad)


@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1))])
def test_n_and_n_1_are_never_broadcast(shapes):
    output, target = torch.arange(4.0).reshape(shapes[0]), torch.ones(4).reshape(shapes[1])
    assert float(make_objective("mse")(output, target)) == pytest.approx((1 + 0 + 1 + 4) / 4)


def test_other_shapes_are_refused():
    with pytest.raises(LabelError, match=r"'mse' compares .* output has shape \(4, 2\) and the target \(4, 3\)"):
        make_objective("mse")(torch.zeros(4, 2), torch.zeros(4, 3))


@pytest.mark.parametrize(
    ("loss", "error", "match"),
    [
        (lambda o, t: 3.0, ArgumentTypeError, r"returned float \(3.0\), not a tensor. Return a tensor"),
        (lambda o, t: o.sum(0), ArgumentError, r"shape \(3,\) for a batch of 5 rows"),
        (lambda o, t: o.detach().sum(), ArgumentError, r"has no gradient, so nothing can be learned"),
        (lambda o, t: o.argmax(1), ArgumentTypeError, r"a tensor of torch.int64; it must be floating"),
        (lambda o, t: None, ArgumentTypeError, r"returned NoneType"),
    ],
)
def test_bad_returns_of_custom_losses(loss, error, match):
    with pytest.raises(error, match=match):
        make_objective(loss)(torch.randn(5, 3, requires_grad=True), torch.randn(5, 3))


def test_a_scalar_loss_cannot_be_weighted():
    with pytest.raises(ArgumentError, match=r"need a loss per row, but '<lambda>' returns .* \(\) for 5 rows"):
        make_objective(lambda o, t: (o - t).mean())(torch.randn(5, 3), torch.randn(5, 3), torch.ones(5))


def test_sample_weights_of_another_length():
    with pytest.raises(LengthError, match=r"shape \(5,\), got \(4,\)"):
        make_objective("mse")(torch.randn(5, 3), torch.randn(5, 3), torch.ones(4))


@pytest.mark.parametrize(
    ("loss", "error", "match"),
    [
        ("cros_entropy", UnknownNameError, "Did you mean 'cross_entropy'"),
        (
            "sparse_categorical_crossentropy",
            UnknownNameError,
            r"use 'cross_entropy', which takes raw outputs \(logits\)",
        ),
        ("binary_crossentropy", UnknownNameError, "use 'bce'.* or 'bce_probabilities'"),
        (3, ArgumentTypeError, r"loss must be a name .* got 3 \(int\)"),
        (int, ArgumentTypeError, "class int, which is no torch.nn.Module"),
        (nn.CTCLoss(), ArgumentError, r"must take two arguments, \(output, target\)"),
        (nn.AdaptiveLogSoftmaxWithLoss, ArgumentTypeError, "cannot be made without arguments"),
        (lambda output: output, ArgumentError, r"must take two arguments"),
        ([], ArgumentError, "names no loss at all"),
        ({"a": ["mse"]}, ArgumentTypeError, r"loss\['a'\] is a list: losses nest one level deep"),
    ],
)
def test_bad_losses(loss, error, match):
    with pytest.raises(error, match=match):
        make_objective(loss)


@pytest.mark.parametrize(
    ("loss", "weights", "error", "match"),
    [
        ("mse", [1.0], ArgumentError, "loss_weights are for several losses, but loss is 'mse'"),
        (["mse", "mae"], [1.0], ArgumentError, "There are 2 losses but 1 loss_weights"),
        (["mse", "mae"], {"a": 1.0}, ArgumentTypeError, "must be a list of numbers too"),
        ({"box": "mse"}, {"bux": 1.0}, ArgumentError, "loss_weights has a key 'bux'. Did you mean 'box'"),
        ({"box": "mse"}, {"box": "x"}, ArgumentTypeError, r"loss_weights\['box'\] must be a number"),
    ],
)
def test_bad_loss_weights(loss, weights, error, match):
    with pytest.raises(error, match=match):
        make_objective(loss, weights)


def test_several_losses_in_a_dict():
    output = {"label": LOGITS, "box": torch.randn(6, 2)}
    target = {"label": CLASSES, "box": torch.randn(6, 2)}
    objective = make_objective({"label": "cross_entropy", "box": nn.L1Loss()}, {"box": 0.5})
    entropy = functional.cross_entropy(LOGITS, CLASSES)
    distance = functional.l1_loss(output["box"], target["box"])
    total, parts = objective.parts(output, target)
    assert torch.equal(total, entropy + 0.5 * distance)
    assert torch.equal(objective(output, target), total)
    assert torch.equal(parts["label_loss"], entropy)
    assert torch.equal(parts["box_loss"], distance)
    assert objective.kinds == {"label": "classes", "box": "values"}
    assert objective.expects == {"label": "logits", "box": "values"}
    assert objective.target_kind == "any"
    assert objective.activation is None


def test_several_losses_in_a_list_with_none_and_weights_per_output():
    output, target = (LOGITS, torch.randn(6, 2), LOGITS), (CLASSES, torch.randn(6, 2), CLASSES)
    objective = make_objective(["cross_entropy", None, "cross_entropy"])
    assert objective.kinds == ("classes", "any", "classes")
    total, parts = objective.parts(output, target, (torch.zeros(6), None, None))
    assert list(parts) == ["output_0_loss", "output_2_loss"]
    assert float(parts["output_0_loss"].detach()) == 0
    assert torch.equal(total, functional.cross_entropy(LOGITS, CLASSES))


def test_activation_of_several_outputs_keeps_the_structure():
    objective = make_objective({"a": "cross_entropy", "b": "bce"})
    found = objective.activation({"a": LOGITS, "b": LOGITS})
    assert torch.equal(found["a"], LOGITS.softmax(1))
    assert torch.equal(found["b"], LOGITS.sigmoid())
    assert objective.classes({"a": LOGITS, "b": LOGITS})["a"].shape == (6,)


def test_one_known_loss_applies_to_each_output_and_a_custom_one_to_all():
    output, target = (torch.ones(2, 1), torch.ones(2, 1)), (torch.zeros(2, 1), torch.full((2, 1), 3.0))
    total, parts = make_objective("mse").parts(output, target)
    assert float(total) == 1 + 4
    assert {name: float(value) for name, value in parts.items()} == {"output_0_loss": 1, "output_1_loss": 4}
    custom = make_objective(lambda o, t: (o[0] - t[1]).square().mean())
    assert float(custom(output, target)) == 4
    assert custom.parts(output, target)[1] == {}


def test_one_output_has_no_parts():
    total, parts = make_objective("mse").parts(torch.ones(2), torch.zeros(2))
    assert (float(total), parts) == (1.0, {})


def test_structures_that_do_not_match():
    objective = make_objective({"a": "mse", "b": "mse"})
    value = torch.zeros(2, 1)
    with pytest.raises(ArgumentError, match=r"loss is a dict for the outputs \['a', 'b'\], but the net gives a tensor"):
        objective(value, value)
    with pytest.raises(ArgumentError, match=r"the key 'b' is missing from target, which is a dict \{'a'"):
        objective({"a": value, "b": value}, {"a": value})
    with pytest.raises(ArgumentError, match="position 1 is missing from target, which is a tensor"):
        make_objective([None, "mse"])((value, value), value)


def test_modules_move_and_give_their_parameters():
    class Learned(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, output, target):
            return (self.scale * (output - target)).square().mean()

    loss = Learned()
    objective = make_objective({"a": loss, "b": "mse"})
    assert list(objective.parameters()) == [loss.scale]
    assert objective.to("meta") is objective
    assert loss.scale.device.type == "meta"
    assert list(make_objective(nn.CrossEntropyLoss(weight=torch.ones(4))).parameters()) == []


def test_weights_of_a_module_follow_it_to_another_device():
    objective = make_objective(nn.CrossEntropyLoss(weight=torch.ones(4)))
    objective(LOGITS, CLASSES, torch.ones(6))  # makes the unreduced copy
    objective.to("meta")
    result = objective(LOGITS.to("meta"), CLASSES.to("meta"), torch.ones(6, device="meta"))
    assert result.device.type == "meta"


def test_objectives_can_be_copied():
    objective = copy.deepcopy(make_objective({"a": "bce", "b": "bce"}))
    value = torch.zeros(2, 1)
    assert float(objective({"a": value, "b": value}, {"a": value, "b": value})) == pytest.approx(2 * np.log(2))


@pytest.mark.parametrize("name", KNOWN)
def test_a_double_net_learns_in_double_with_every_loss(name):
    endings = {"nll": nn.LogSoftmax(1), "kl_div": nn.LogSoftmax(1), "bce_probabilities": nn.Sigmoid()}
    net = nn.Sequential(nn.Linear(4, 3), endings.get(name, nn.Identity())).double()
    x = torch.rand(6, 4, dtype=torch.float64)
    y = torch.arange(6) % 3 if KNOWN[name].target_kind == "classes" else torch.rand(6, 3).softmax(1)
    model = ec.Model(net)
    model.compile(optimizer="sgd", loss=name)
    with torch.no_grad():
        expected = make_objective(name)(net(x), y if y.dtype == torch.int64 else y.double())
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(float(expected), abs=1e-6)
    model.fit(x, y, verbose=0)
    with torch.no_grad():
        assert torch.equal(torch.as_tensor(model.predict(x, verbose=0)), net(x))


class Both(nn.Module):
    """Two outputs."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(x), x.sum(1)


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_output_without_a_loss_needs_no_target(shuffle):
    x, y = torch.rand(7, 4), torch.arange(7) % 3
    model = ec.Model(Both())
    model.compile(optimizer="sgd", loss=["cross_entropy", None])
    model.fit(x, (y, None), batch_size=3, shuffle=shuffle, validation_data=(x, (y, None)), verbose=0)
    with torch.no_grad():
        expected = functional.cross_entropy(model.net(x)[0], y)
    assert model.evaluate(x, (y, None), verbose=0, return_dict=True)["loss"] == pytest.approx(float(expected), rel=1e-5)


class Helped(nn.Module):
    """A further output in training only, as GoogLeNet has."""

    def __init__(self):
        super().__init__()
        self.head, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(4)

    def forward(self, x):
        output = self.head(self.norm(x))
        return (output, output * 2) if self.training else output


def test_further_outputs_in_training_are_refused_before_the_first_step():
    net = Helped()
    before = copy.deepcopy(net.head.state_dict())
    model = ec.Model(net)
    model.compile(optimizer="sgd", loss="cross_entropy")
    x, y = torch.rand(6, 4), torch.arange(6) % 3
    with pytest.raises(
        ArgumentError, match=r"The net gives a tuple.*in training only.*named tuple \(logits, aux_logits\)"
    ):
        model.fit(x, y, verbose=0)
    assert all(torch.equal(value, before[name]) for name, value in net.head.state_dict().items())
    model.compile(optimizer="sgd", loss=lambda o, t: functional.cross_entropy(o[0] if isinstance(o, tuple) else o, t))
    model.fit(x, y, verbose=0)


def test_a_dict_of_x_and_y_is_told_how_to_be_passed():
    x, y = torch.rand(6, 4), torch.arange(6) % 3
    model = ec.Model(nn.Linear(4, 3))
    model.compile(optimizer="sgd", loss="cross_entropy")
    with pytest.raises(ArgumentError, match=r"fit\(data\['x'\], data\['y'\]\)"):
        model.fit({"x": x, "y": y}, verbose=0)
