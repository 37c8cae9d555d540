"""What ``compile(metrics=...)`` means."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from easyconv.arguments import check_takes_pair, made_from
from easyconv.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from easyconv.metrics.base import Metric
from easyconv.metrics.classification import F1, Accuracy, BalancedAccuracy, Precision, Recall, TopKAccuracy
from easyconv.metrics.outside import AUROC, AveragePrecision, FunctionMetric, TorchMetric
from easyconv.metrics.regression import R2, MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError
from easyconv.names import normalize, suggest

__all__ = ["make_metrics"]

_CLASSIFICATION: dict[str, type[Accuracy | BalancedAccuracy | F1 | Precision | Recall]] = {
    "acc": Accuracy,
    "accuracy": Accuracy,
    "balanced_accuracy": BalancedAccuracy,
    "binary_accuracy": Accuracy,
    "categorical_accuracy": Accuracy,
    "f1": F1,
    "f1_score": F1,
    "precision": Precision,
    "recall": Recall,
    "sparse_categorical_accuracy": Accuracy,
}
_REGRESSION: dict[str, Callable[[str], Metric]] = {
    "mae": MeanAbsoluteError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "r2": R2,
    "r2_score": R2,
    "rmse": RootMeanSquaredError,
    "root_mean_squared_error": RootMeanSquaredError,
}
_CURVES: dict[str, type[AUROC | AveragePrecision]] = {
    "auc": AUROC,
    "auroc": AUROC,
    "average_precision": AveragePrecision,
    "roc_auc": AUROC,
}
_TOP_K = re.compile(r"top_?(\d+)(_acc|_accuracy)?")
_TAKEN = ("loss", "learning_rate")
_KERAS_TOP_5 = ("top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy")


def make_metrics(
    spec: Any, *, kinds: Any = "any", expects: Any = "logits", ignore_index: int | None = None
) -> list[Metric]:
    """The metrics that ``spec`` means, fresh and independent of the user's objects.

    Parameters
    ----------
    spec : None, str, callable, Metric, torchmetrics object, or list or dict of them
        Names are listed in `easyconv.metrics`; history keys are the names as typed. A function
        ``(output, target) -> tensor`` returns the mean of a batch or one value per row. Classes are made without
        arguments. A dict gives names: ``{"my_name": metric}``. For several outputs, a dict with the outputs' keys or
        one list per output; the names are then ``"<output>_<metric>"``, ``"output_0_<metric>"``.
    kinds : str, or tuple or dict of str, default "any"
        ``Objective.kinds``: ``"binary"`` makes ``accuracy`` compare element by element.
    expects : str, or tuple or dict of str, default "logits"
        ``Objective.expects``: outputs of one value answer class 1 above 0 where they are logits, above 0.5 otherwise.
    ignore_index : int, optional
        ``Objective.ignore_index``: label that metrics of classes leave out.

    Returns
    -------
    list of Metric

    Raises
    ------
    UnknownNameError
        For a name that is not known; the nearest are suggested.
    ArgumentError
        For a name that comes twice, and for outputs that do not exist.
    ArgumentTypeError
        For anything that is no metric.
    MissingExtraError
        For ``auroc`` and ``average_precision`` when torchmetrics is not installed.

    Examples
    --------
    >>> make_metrics(["accuracy", "top3"])
    [Accuracy('accuracy'), TopKAccuracy('top3')]
    >>> make_metrics({"a": ["mae"], "b": ["acc"]}, kinds={"a": "values", "b": "classes"})
    [Metric('a_mae'), Metric('b_acc')]
    """
    metrics = _make_all(spec, kinds, expects, ignore_index)
    names = [metric.name for metric in metrics]
    for name in names:
        if name in _TAKEN or name.startswith("val_"):
            raise ArgumentError(
                f"A metric is called {name!r}, which the logs have already, or will have: "
                f"{', '.join(map(repr, _TAKEN))} and names with val_. Give it another name: "
                "metrics={'my_name': ...}."
            )
        if names.count(name) > 1:
            raise ArgumentError(
                f"Two metrics are called {name!r}. Give them names: metrics={{'first': ..., 'second': ...}}."
            )
    return metrics


def _make_all(spec: Any, kinds: Any, expects: Any, ignore_index: int | None) -> list[Metric]:
    if spec is None:
        return []
    outputs = _by_output(spec, kinds)
    if outputs is not None:
        return [
            _OfOutput(metric, key)
            for key, part in outputs.items()
            for metric in _make_all(part, _part(kinds, key, "any"), _part(expects, key, "logits"), None)
        ]
    if isinstance(spec, Mapping) and not _is_stateful(spec):
        return [_make_one(part, str(name), kinds, expects, ignore_index) for name, part in spec.items()]
    parts = spec if isinstance(spec, (list, tuple)) else [spec]
    return [_make_one(part, None, kinds, expects, ignore_index) for part in parts]


def _by_output(spec: Any, kinds: Any) -> dict[int | str, Any] | None:
    """``spec`` by output where it names outputs, ``None`` where it is for the one output."""
    if isinstance(spec, Mapping) and not _is_stateful(spec):
        if not isinstance(kinds, Mapping) and not any(isinstance(part, (list, tuple)) for part in spec.values()):
            return None
        for key in spec:
            if isinstance(kinds, Mapping) and key not in kinds:
                raise ArgumentError(
                    f"metrics names the output {key!r}, but the losses are for {sorted(kinds)}. "
                    f"{suggest(str(key), [str(known) for known in kinds])}"
                )
        return dict(spec)
    if (
        isinstance(spec, (list, tuple))
        and spec
        and all(part is None or isinstance(part, (list, tuple)) for part in spec)
        and any(part is not None for part in spec)
    ):
        if isinstance(kinds, tuple) and len(spec) != len(kinds):
            raise ArgumentError(f"metrics has lists for {len(spec)} outputs, but there are {len(kinds)} losses.")
        return dict(enumerate(spec))
    return None


def _part(tree: Any, key: int | str, missing: str) -> Any:
    if isinstance(tree, Mapping):
        return tree.get(key, missing)
    if isinstance(tree, tuple):
        return tree[key] if isinstance(key, int) else missing
    return tree


def _is_stateful(value: object) -> bool:
    """Whether ``value`` keeps a state as the objects of torchmetrics do (whose collections are also mappings)."""
    return all(callable(getattr(value, name, None)) for name in ("update", "compute", "reset"))


def _make_one(spec: Any, name: str | None, kinds: Any, expects: Any, ignore_index: int | None) -> Metric:
    if isinstance(spec, type):
        spec = _instance(spec)
    if spec is None:
        raise ArgumentTypeError("metrics holds None, which is no metric. Leave it out, or name one like 'accuracy'.")
    if isinstance(spec, str):
        if not isinstance(kinds, str):
            raise ArgumentError(
                f"The net has several losses, so say which output {spec!r} measures: "
                "metrics={'<output>': ['accuracy']}, or one list per output."
            )
        return _named(spec, spec if name is None else name, kinds, expects, ignore_index)
    if isinstance(spec, Metric):
        metric = spec.clone()
        metric.name = spec.name if name is None else name
        return metric
    if _is_stateful(spec):
        return TorchMetric(spec, name, kind="binary" if kinds == "binary" else "any")
    if callable(spec):
        metric = FunctionMetric(spec, name)
        check_takes_pair(f"The metric {metric.name!r}", spec.forward if isinstance(spec, nn.Module) else spec)
        return metric
    raise ArgumentTypeError(
        "A metric must be a name like 'accuracy', a function (output, target) -> tensor, an object of easyconv.metrics "
        f"or of torchmetrics, got {spec!r} ({type(spec).__name__})."
    )


def _named(typed: str, name: str, kind: Any, expects: Any, ignore_index: int | None) -> Metric:
    key = normalize(typed)
    logits = expects in ("logits", "any")
    top = _TOP_K.fullmatch(key)
    if top and int(top[1]) < 1:
        raise ArgumentError(f"The metric {typed!r} looks at no output. Give the number of outputs to look at: 'top5'.")
    if kind == "values" and (top or key in _CLASSIFICATION or key in _CURVES or key in _KERAS_TOP_5):
        raise ArgumentError(
            f"The metric {typed!r} is about classes, and the loss about values. Take 'mae', 'mse', 'rmse' or 'r2', or "
            "a loss over classes: 'cross_entropy', 'bce'."
        )
    if top or key in _KERAS_TOP_5:
        return TopKAccuracy(int(top[1]) if top else 5, name, ignore_index=ignore_index)
    if key in _CLASSIFICATION:
        kind = "binary" if key == "binary_accuracy" else kind
        return _CLASSIFICATION[key](name, threshold=0.0 if logits else 0.5, kind=kind, ignore_index=ignore_index)
    if key in _REGRESSION:
        return _REGRESSION[key](name)
    if key in _CURVES:
        return _CURVES[key](name, logits=expects != "probabilities", kind=kind)
    known = [*_CLASSIFICATION, *_REGRESSION, *_CURVES, "top3", "top5"]
    raise UnknownNameError(f"There is no metric called {typed!r}. {suggest(typed, known)}")


def _instance(spec: type) -> Any:
    if not (issubclass(spec, (Metric, nn.Module)) or _is_stateful(spec)):
        raise ArgumentTypeError(f"A metric is the class {spec.__name__}, which is no metric. Pass an object of it.")
    return made_from(spec, "The metric")


class _OfOutput(Metric):
    """A metric of one of several outputs."""

    def __init__(self, metric: Metric, key: int | str) -> None:
        self._metric = metric
        self._key = key
        self._prefix = f"{key}_" if isinstance(key, str) else f"output_{key}_"
        self.name = self._prefix + metric.name
        self.takes_any_rows = metric.takes_any_rows

    def reset(self) -> None:
        self._metric.reset()

    def update(self, output: Any, target: Any) -> None:
        self._metric.update(self._pick(output, "output"), self._pick(target, "target"))

    def compute(self) -> Tensor:
        return self._metric.compute()

    def results(self) -> dict[str, Tensor]:
        return {self._prefix + name: value for name, value in self._metric.results().items()}

    def _pick(self, tree: Any, what: str) -> Any:
        fits = isinstance(tree, Mapping) if isinstance(self._key, str) else isinstance(tree, Sequence)
        if not fits or (self._key not in tree if isinstance(tree, Mapping) else int(self._key) >= len(tree)):
            raise ArgumentError(f"The metric {self.name!r} is for {self._key!r}, but there is no such {what}.")
        return tree[self._key]

    def __repr__(self) -> str:
        return f"Metric({self.name!r})"
