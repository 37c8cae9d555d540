"""Metrics against scikit-learn and torchmetrics on the whole set, however it is cut into batches."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as reference
import torch
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import easyconv.metrics
from easyconv.errors import ArgumentError, ArgumentTypeError, StateError, UnknownNameError
from easyconv.metrics import Accuracy, FunctionMetric, Mean, Metric, TopKAccuracy, TorchMetric, make_metrics

EXPECTED_CLASSES = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "f1": lambda t, p: reference.f1_score(t, p, average="macro", zero_division=0),
    "precision": lambda t, p: reference.precision_score(t, p, average="macro", zero_division=0),
    "recall": lambda t, p: reference.recall_score(t, p, average="macro", zero_division=0),
}
EXPECTED_BINARY = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "f1": lambda t, p: reference.f1_score(t, p, zero_division=0),
    "precision": lambda t, p: reference.precision_score(t, p, zero_division=0),
    "recall": lambda t, p: reference.recall_score(t, p, zero_division=0),
}
EXPECTED_VALUES = {
    "mae": reference.mean_absolute_error,
    "mse": reference.mean_squared_error,
    "rmse": lambda t, p: np.sqrt(reference.mean_squared_error(t, p)),
    "r2": reference.r2_score,
}


def run(metric, output, target, cuts):
    metric.reset()
    for start, stop in zip([0, *cuts], [*cuts, len(output)], strict=True):
        if stop > start:
            metric.update(output[start:stop], target[start:stop])
    return float(metric.compute())


def cases(minimum=1):
    """Rows, a seed, and the places where the set is cut."""
    return st.integers(minimum, 40).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, 10**6), st.lists(st.integers(0, n), max_size=4).map(sorted))
    )


@pytest.mark.parametrize("name", EXPECTED_CLASSES)
@settings(max_examples=25, deadline=None)
@given(case=cases(), form=st.sampled_from(["numbers", "column", "one_hot"]))
@pytest.mark.filterwarnings("ignore")
def test_classes_equal_scikit_learn(name, case, form):
    n, seed, cuts = case
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(n, 6, generator=generator)
    labels = torch.randint(0, 4, (n,), generator=generator)  # two classes never occur
    target = {"numbers": labels, "column": labels[:, None], "one_hot": torch.eye(6)[labels]}[form]
    found = run(make_metrics(name)[0], output, target, cuts)
    assert found == pytest.approx(EXPECTED_CLASSES[name](labels.numpy(), output.argmax(1).numpy()), abs=1e-6)


@pytest.mark.parametrize("name", EXPECTED_BINARY)
@settings(max_examples=25, deadline=None)
@given(case=cases(), column=st.booleans(), floating=st.booleans(), logits=st.booleans())
@pytest.mark.filterwarnings("ignore")
def test_binary_equals_scikit_learn(name, case, column, floating, logits):
    n, seed, cuts = case
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(n, generator=generator)
    labels = torch.randint(0, 2, (n,), generator=generator)
    expected = EXPECTED_BINARY[name](labels.numpy(), (output > 0).long().numpy())
    metric = make_metrics(name, kinds="binary", expects="logits" if logits else "probabilities")[0]
    output = output if logits else output.sigmoid()
    target = labels.float() if floating else labels
    output = output[:, None] if column else output
    assert run(metric, output, target, cuts) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@settings(max_examples=15, deadline=None)
@given(case=cases(minimum=30))
def test_several_labels_per_row_are_averaged_over_columns(name, case):
    n, seed, cuts = case
    generator = torch.Generator().manual_seed(seed)
    output, target = torch.randn(n, 3, generator=generator), torch.randint(0, 2, (n, 3), generator=generator)
    function = {"precision": "precision_score", "recall": "recall_score", "f1": "f1_score"}[name]
    expected = getattr(reference, function)(target, output > 0, average="macro", zero_division=0)
    assert run(make_metrics(name, kinds="binary")[0], output, target.float(), cuts) == pytest.approx(expected)


def test_accuracy_of_several_labels_counts_elements():
    output, target = torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert run(make_metrics("accuracy", kinds="binary")[0], output, target, []) == 0.75


@pytest.mark.parametrize("name", EXPECTED_VALUES)
@settings(max_examples=25, deadline=None)
@given(case=cases(minimum=2), columns=st.integers(0, 3), offset=st.sampled_from([0.0, 1e3]))
def test_values_equal_scikit_learn(name, case, columns, offset):
    n, seed, cuts = case
    generator = torch.Generator().manual_seed(seed)
    shape = (n, columns) if columns else (n,)
    target = torch.randn(shape, generator=generator) + offset
    output = target + torch.randn(shape, generator=generator)
    expected = EXPECTED_VALUES[name](target.double().numpy(), output.double().numpy())
    assert run(make_metrics(name)[0], output, target, cuts) == pytest.approx(expected, rel=1e-6)


def test_r2_of_constant_targets_is_that_of_scikit_learn():
    target = torch.full((4,), 0.1)
    for output in (target, target + 1):
        expected = reference.r2_score(target.numpy(), output.numpy())
        assert run(make_metrics("r2")[0], output, target, [1, 2]) == expected


@pytest.mark.parametrize(("name", "kind"), [("mae", "values"), ("r2", "values"), ("accuracy", "binary")])
def test_n_and_n_1_are_never_broadcast(name, kind):
    values = torch.tensor([1.0, 0.0, 1.0])
    metric = make_metrics(name, kinds=kind, expects="probabilities")[0]
    assert run(metric, values[:, None], values, []) == (0 if name == "mae" else 1)
    assert run(metric, values, values[:, None], []) == (0 if name == "mae" else 1)


@pytest.mark.parametrize("k", [1, 2, 5])
@settings(max_examples=15, deadline=None)
@given(case=cases())
@pytest.mark.filterwarnings("ignore")
def test_top_k_equals_scikit_learn(k, case):
    n, seed, cuts = case
    generator = torch.Generator().manual_seed(seed)
    output, target = torch.randn(n, 6, generator=generator), torch.randint(0, 6, (n,), generator=generator)
    expected = reference.top_k_accuracy_score(target.numpy(), output.numpy(), k=k, labels=range(6))
    assert run(TopKAccuracy(k), output, target, cuts) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "top2"])
def test_segmentation_with_labels_to_ignore_equals_torchmetrics(name):
    torch.manual_seed(0)
    output, target = torch.randn(5, 4, 6, 6), torch.randint(0, 4, (5, 6, 6))
    target[torch.rand(target.shape) < 0.3] = 255
    kinds = torchmetrics.classification
    oracle = {
        "accuracy": kinds.MulticlassAccuracy(4, average="micro", ignore_index=255),
        "balanced_accuracy": kinds.MulticlassRecall(4, ignore_index=255),
        "precision": kinds.MulticlassPrecision(4, ignore_index=255),
        "recall": kinds.MulticlassRecall(4, ignore_index=255),
        "f1": kinds.MulticlassF1Score(4, ignore_index=255),
        "top2": kinds.MulticlassAccuracy(4, average="micro", top_k=2, ignore_index=255),
    }[name]
    found = run(make_metrics(name, ignore_index=255)[0], output, target, [1, 3])
    assert found == pytest.approx(float(oracle(output, target)), abs=1e-6)


@pytest.mark.parametrize("ignored", [255, 2])
@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "top2"])
def test_a_label_to_ignore_may_be_one_of_the_classes(name, ignored):
    torch.manual_seed(0)
    output, target = torch.randn(90, 4), torch.randint(0, 4, (90,))
    target[::5] = ignored
    kept = target != ignored
    found = run(make_metrics(name, ignore_index=ignored)[0], output, target, [20, 50])
    assert found == pytest.approx(run(make_metrics(name)[0], output[kept], target[kept], [30]), abs=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "precision", "recall", "f1"])
def test_binary_segmentation_with_labels_to_ignore_equals_only_the_others(name):
    torch.manual_seed(0)
    output, target = torch.randn(3, 1, 4, 4), torch.randint(0, 2, (3, 1, 4, 4))
    target[torch.rand(target.shape) < 0.3] = 255
    kept = target != 255
    expected = EXPECTED_BINARY[name](target[kept].numpy(), (output[kept] > 0).numpy())
    found = run(make_metrics(name, kinds="binary", ignore_index=255)[0], output, target, [1])
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("logits", [True, False])
def test_auroc_and_average_precision_equal_scikit_learn(logits):
    torch.manual_seed(0)
    scores, labels = torch.randn(50), torch.randint(0, 2, (50,))
    expects = "logits" if logits else "probabilities"
    output = scores if logits else scores.sigmoid()
    for name, function in (
        ("auroc", reference.roc_auc_score),
        ("average_precision", reference.average_precision_score),
    ):
        metric = make_metrics(name, kinds="binary", expects=expects)[0]
        assert run(metric, output[:, None], labels.float()[:, None], [7, 20]) == pytest.approx(
            function(labels, scores), abs=1e-5
        )
    output, labels = torch.randn(60, 3), torch.arange(60) % 3
    expected = reference.roc_auc_score(labels, output.softmax(1), multi_class="ovr")
    assert run(make_metrics("auroc")[0], output, labels, [11]) == pytest.approx(expected, abs=1e-5)
    clone = make_metrics("auroc")[0].clone()
    assert run(clone, output, labels, []) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["auroc", "average_precision"])
@pytest.mark.parametrize("form", ["Binary", "Multiclass", "Multilabel"])
def test_curves_equal_the_objects_of_torchmetrics_batch_by_batch(name, form):
    torch.manual_seed(0)
    kinds, word = torchmetrics.classification, {"auroc": "AUROC", "average_precision": "AveragePrecision"}[name]
    sizes = {"Binary": {}, "Multiclass": {"num_classes": 3}, "Multilabel": {"num_labels": 3}}[form]
    oracle = getattr(kinds, f"{form}{word}")(**sizes)
    metric = make_metrics(name, kinds="classes" if form == "Multiclass" else "binary")[0]
    for height in (5, 2):  # pixels, in batches of pictures of other sizes
        output = torch.randn(4, 1 if form == "Binary" else 3, height, 3)
        classes = torch.randint(3, (4, height, 3))
        target = classes if form == "Multiclass" else torch.randint(0, 2, output.shape).float()
        metric.update(output, target)
        oracle.update(output.softmax(1) if form == "Multiclass" else output.sigmoid(), target.long())
    assert float(metric.compute()) == float(oracle.compute())


def test_every_exported_metric_can_start_again_and_be_cloned():
    output, target = torch.rand(8, 6), torch.randint(0, 6, (8,))
    for name in easyconv.metrics.__all__:
        cls = getattr(easyconv.metrics, name)
        if not (isinstance(cls, type) and issubclass(cls, Metric)) or cls in (Metric, FunctionMetric, TorchMetric):
            continue
        metric = cls()
        with pytest.raises(StateError, match="has seen no data"):
            metric.compute()
        truth = torch.rand(8, 6) if isinstance(metric, tuple(_regression())) else target
        metric.update(output, truth)
        value = metric.compute()
        assert value.shape == ()
        assert value.is_floating_point()
        clone = metric.clone()
        clone.update(output.flip(0), truth)
        assert torch.equal(metric.compute(), value), name
        metric.reset()
        metric.update(output, truth)
        assert torch.equal(metric.compute(), value), name
        assert list(metric.results()) == [metric.name]


def _regression():
    return [getattr(easyconv.metrics, name) for name in easyconv.metrics.__all__ if "Error" in name or name == "R2"]


def test_long_runs_do_not_drift():
    mean, value = Mean(), torch.tensor(0.1)
    for _ in range(1000):
        mean.update(value, 10**6)
    assert float(mean.compute()) == pytest.approx(float(value), rel=1e-12)
    metric = Accuracy()
    metric.update(torch.ones(1), torch.ones(1))
    metric._right += 2**40
    metric._count += 2**41
    assert float(metric.compute()) == pytest.approx(0.5)


def test_mean_weighs_rows_and_detaches():
    mean = Mean()
    with pytest.raises(StateError, match="has seen no data"):
        mean.compute()
    mean.update(torch.tensor(1.0, requires_grad=True), 3)
    first = mean.compute()
    mean.update(torch.tensor(5.0), 1)
    assert (float(first), float(mean.compute())) == (1.0, 2.0)
    assert not mean.compute().requires_grad
    mean.reset()
    assert mean.is_empty


def test_names_are_kept_as_typed():
    typed = [
        "acc",
        "Accuracy",
        "top5",
        "top_3_accuracy",
        "top_2_acc",
        "mean_squared_error",
        "sparse_categorical_accuracy",
    ]
    metrics = make_metrics(typed)
    assert [metric.name for metric in metrics] == typed
    assert [metric.k for metric in metrics if isinstance(metric, TopKAccuracy)] == [5, 3, 2]
    assert make_metrics(None) == []
    assert [metric.name for metric in make_metrics({"mine": "accuracy"})] == ["mine"]


def share(output, target):
    return (output > target).float()


def test_functions_of_rows_and_of_batches():
    output, target = torch.arange(10.0), torch.full((10,), 6.0)
    assert run(make_metrics(share)[0], output, target, [3, 4]) == pytest.approx(0.3)
    mean = make_metrics([lambda o, t: (o - t).mean(), nn.L1Loss()])
    assert [metric.name for metric in mean] == ["lambda", "l1_loss"]
    assert run(mean[0], output, target, [3, 4]) == pytest.approx(-1.5)
    assert run(FunctionMetric(lambda o, t: 2.0, "two"), output, target, [1]) == 2.0


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (lambda o, t: torch.zeros(3), ArgumentError, r"'lambda' returned a tensor of shape \(3,\) for a batch of 10"),
        (lambda o, t: None, ArgumentTypeError, "'lambda' returned NoneType, not a tensor"),
    ],
)
def test_bad_returns_of_functions(function, error, match):
    with pytest.raises(error, match=match):
        run(make_metrics(function)[0], torch.zeros(10), torch.zeros(10), [])


def test_torchmetrics_objects_are_copied():
    theirs = torchmetrics.MeanSquaredError()
    first, second = make_metrics(theirs)[0], make_metrics(theirs)[0]
    output, target = torch.randn(9), torch.randn(9)
    assert run(first, output, target, [2, 5]) == pytest.approx(float((output - target).square().mean()))
    assert first.name == "mean_squared_error"
    assert theirs.update_count == 0
    assert second._metric.update_count == 0
    first.reset()
    assert first._metric.update_count == 0
    assert make_metrics(torchmetrics.MeanSquaredError)[0].name == "mean_squared_error"
    assert make_metrics({"err": theirs})[0].name == "err"


def test_torchmetrics_of_two_classes_take_float_targets():
    metric = make_metrics(torchmetrics.classification.BinaryAccuracy(), kinds="binary")[0]
    assert run(metric, torch.tensor([2.0, -2.0]), torch.tensor([1.0, 1.0]), []) == 0.5


def test_a_collection_gives_several_values():
    collection = torchmetrics.MetricCollection([torchmetrics.MeanSquaredError(), torchmetrics.MeanAbsoluteError()])
    metric = make_metrics(collection)[0]
    metric.update(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    assert {key: float(value) for key, value in metric.results().items()} == {
        "MeanSquaredError": 2.0,
        "MeanAbsoluteError": 1.0,
    }
    with pytest.raises(StateError, match=r"has several values.*call results\(\)"):
        metric.compute()
    named = make_metrics({"err": collection})[0]
    named.update(torch.tensor([1.0]), torch.tensor([1.0]))
    assert sorted(named.results()) == ["err_MeanAbsoluteError", "err_MeanSquaredError"]


def test_a_value_that_is_no_number_is_refused():
    metric = make_metrics(torchmetrics.classification.MulticlassAccuracy(3, average=None))[0]
    metric.update(torch.eye(3), torch.arange(3))
    with pytest.raises(ArgumentError, match=r"'multiclass_accuracy' computed a tensor of shape \(3,\)"):
        metric.compute()


def test_several_outputs_by_key_and_by_position():
    output = {"label": torch.eye(2), "box": torch.zeros(2, 1)}
    target = {"label": torch.tensor([0, 0]), "box": torch.ones(2, 1)}
    kinds = {"label": "classes", "box": "values"}
    metrics = make_metrics({"label": ["accuracy"], "box": "mae"}, kinds=kinds)
    for metric in metrics:
        metric.update(output, target)
    found = {name: float(value) for metric in metrics for name, value in metric.results().items()}
    assert found == {"label_accuracy": 0.5, "box_mae": 1.0}
    by_position = make_metrics([["accuracy"], None, ["mae", "mse"]], kinds=("classes", "any", "values"))
    assert [metric.name for metric in by_position] == ["output_0_accuracy", "output_2_mae", "output_2_mse"]
    with pytest.raises(ArgumentError, match="'box_mae' is for 'box', but there is no such output"):
        metrics[1].update({"label": torch.eye(2)}, target)


def test_outputs_have_their_own_threshold_and_kind():
    kinds, expects = {"a": "binary", "b": "binary"}, {"a": "logits", "b": "probabilities"}
    metrics = make_metrics({"a": ["accuracy"], "b": ["accuracy"]}, kinds=kinds, expects=expects)
    value = {"a": torch.tensor([[0.2]]), "b": torch.tensor([[0.2]])}
    target = {"a": torch.ones(1, 1), "b": torch.ones(1, 1)}
    for metric in metrics:
        metric.update(value, target)
    assert [float(metric.compute()) for metric in metrics] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("spec", "options", "error", "match"),
    [
        ("acuracy", {}, UnknownNameError, "There is no metric called 'acuracy'. Did you mean 'accuracy'"),
        (["accuracy", "accuracy"], {}, ArgumentError, "Two metrics are called 'accuracy'"),
        (3, {}, ArgumentTypeError, r"A metric must be a name .* got 3 \(int\)"),
        (int, {}, ArgumentTypeError, "class int, which is no metric"),
        (FunctionMetric, {}, ArgumentTypeError, "FunctionMetric cannot be made without arguments"),
        (lambda output: output, {}, ArgumentError, r"must take two arguments, \(output, target\)"),
        (["accuracy"], {"kinds": {"a": "classes"}}, ArgumentError, "say which output 'accuracy' measures"),
        ({"bux": ["mae"]}, {"kinds": {"box": "values"}}, ArgumentError, "names the output 'bux'.* mean 'box'"),
        ([["mae"]], {"kinds": ("values", "values")}, ArgumentError, "lists for 1 outputs, but there are 2 losses"),
    ],
)
def test_bad_metrics(spec, options, error, match):
    with pytest.raises(error, match=match):
        make_metrics(spec, **options)


@pytest.mark.parametrize("name", ["accuracy", "top2", "f1", "mae", "r2", "auroc"])
def test_what_cannot_be_compared_is_refused(name):
    with pytest.raises(ArgumentError, match=rf"{name}' cannot compare the output tuple .* name the one to measure"):
        make_metrics(name)[0].update((torch.zeros(2), torch.zeros(2)), torch.zeros(2))
    with pytest.raises(ArgumentError, match=rf"{name}' cannot compare the output \(4, 3\) with the target \(5,\)"):
        make_metrics(name)[0].update(torch.zeros(4, 3), torch.zeros(5))


def test_more_places_than_classes():
    with pytest.raises(ArgumentError, match=r"'top5' looks at the 5 largest outputs, but the net has 3"):
        TopKAccuracy(5).update(torch.zeros(4, 3), torch.zeros(4, dtype=torch.long))


def test_updates_run_on_a_device_that_cannot_be_read():
    output, target = torch.zeros(4, 6, device="meta"), torch.zeros(4, dtype=torch.long, device="meta")
    names = ["accuracy", "balanced_accuracy", "f1", "precision", "recall", "top5"]
    for metric in [*make_metrics(names), *make_metrics(names[:-1], kinds="binary")]:
        binary = getattr(metric, "kind", "any") == "binary"
        metric.update(output, torch.zeros(4, 6, device="meta") if binary else target)
    for metric in make_metrics(["mae", "mse", "rmse", "r2"]):
        metric.update(output, output)
    for metric in [*make_metrics(["auroc", "average_precision"]), *make_metrics("auroc", kinds="binary")]:
        metric.update(output, output if getattr(metric, "kind", "any") == "binary" else target)
    Mean().update(torch.zeros((), device="meta"), 4)


def test_torchmetrics_is_not_imported_for_our_own():
    code = (
        "import sys; from easyconv.metrics import make_metrics; make_metrics(['accuracy', 'f1', 'r2', 'top5']);"
        "sys.exit('torchmetrics' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
