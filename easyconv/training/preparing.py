"""Before the first step: sizes inferred, data checked against the net and the loss."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.augment.views import Views
from easyconv.data.sources.class_weights import class_weights
from easyconv.data.sources.inputs import check_inputs, finish_inputs
from easyconv.data.sources.make import Source
from easyconv.data.sources.rules import InputRule, TargetRule
from easyconv.data.sources.source import located
from easyconv.data.sources.targets import fit_targets
from easyconv.errors import ArgumentError, EasyconvError
from easyconv.layers.build import dry_run
from easyconv.layers.first import InputFacts, Reception, expected_input, facts_of, watch
from easyconv.layers.keeping import call, kept
from easyconv.losses import Objective
from easyconv.metrics import Metric
from easyconv.nested import is_nested, keys_of, leaves, map_named, map_tree, rows_of
from easyconv.training.advice import check_call, check_ending, check_output, require_tensors

__all__ = ["Prepared", "check_last_batch"]


class Prepared:
    """A source and a net that are made to fit each other: sizes are inferred from the first rows, and rules follow.

    With ``peek`` the source's first pass is not begun by looking: it comes later, and draws its random numbers then.
    With ``training`` the rows are augmented as batches of training are; with ``views`` the net meets the first of them.

    Raises
    ------
    ShapeError
        When a layer cannot take what reaches it.
    DataError
        When the inputs do not fit the net.
    ArgumentError, ArgumentTypeError
        When the net takes another number of inputs, or its outputs are not what the loss compares.

    Attributes
    ----------
    inputs : tensor or nested tensors
        Up to two rows, as the net gets them.
    targets : tensor or nested tensors, optional
        Their targets, as the data has them.
    input_rule, target_rule : rule or nested rules
        What the data was, or will be, checked against.
    """

    def __init__(
        self,
        net: nn.Module,
        source: Source,
        objective: Objective | None,
        device: torch.device,
        *,
        key: int | None = None,
        peek: bool = False,
        name: str = "x",
        training: bool = False,
        views: Views | None = None,
    ) -> None:
        self.source = source
        self.device = device
        self.training = training
        example = source.peek() if peek else source.example(key)
        self._raw_targets = example.y
        # Where the data set brings transforms, the net meets what comes out of them; the data is only to be pictures.
        self._pictures = None if source.pipeline is None else InputRule("image", dtype=_dtype_of(net))
        if source.pipeline is not None and self._pictures is not None:
            with located("" if name == "x" else name):
                example = source.pipeline.preview(example, self._pictures, device, training=training)
        if views is not None:
            example = example._replace(x=views(example.x)[0])
        self.net = net
        self.objective = objective
        self.place = "" if name == "x" else name
        reception = _reception(net, example.x, device)
        # Tokens beyond the table in the first rows are left to the layer, whose message names it.
        rule = _input_rules(net, example.x, reception, counted=False)
        ready = finish_inputs(_checked(source, example.x, rule, self.place), rule)
        self.inputs = map_tree(lambda tensor: tensor.to(device), ready)
        with located(self.place):
            check_call(net, self.inputs)
        ends = objective is not None and not self.place
        self._recorded = dry_run(net, self.inputs, recorded=ends)
        self.output = map_tree(_detached, self._recorded) if ends else self._recorded
        # Once built, the net also knows how many channels it takes.
        self.input_rule = _input_rules(net, example.x, reception)
        self.target_rule: Any = TargetRule(required=False)
        if objective is not None:
            check_output(self.output, objective, rows_of(self.inputs))
            self.target_rule = _sized(_target_rules(objective, self.output), self.inputs, source)
        self.targets = example.y

    def rehearse(self, metrics: Iterable[Metric]) -> None:
        """Let easyconv's own metrics see the first rows, so that one that does not fit fails before the first step.

        Functions and objects of the user's are left out: two rows need not make sense to them.
        """
        if self.objective is None or self.targets is None:
            return
        with located(self.place):
            targets = map_tree(lambda leaf: leaf.to(self.device), fit_targets(self.targets, self.target_rule))
        for metric in metrics:
            if metric.takes_any_rows:
                metric.reset()
                metric.update(self.output, targets)
                metric.reset()

    def weigh(self, class_weight: Any) -> None:
        """Give every row the weight of its class, besides its own.

        Raises
        ------
        ArgumentError
            When the loss has no classes, or ``"balanced"`` finds no labels to count.
        """
        if class_weight is None:
            return
        if self.objective is None:
            raise ArgumentError(
                "class_weight is not possible with a compute_loss or train_step of your own: only you know what the "
                "targets are. Pass sample_weight, which compute_loss(output, target, sample_weight) gets."
            )
        rule = self.target_rule
        if not isinstance(rule, TargetRule) or rule.kind not in ("classes", "binary") or not rule.output_shape:
            raise ArgumentError(
                "class_weight needs one output and a loss over classes ('cross_entropy', 'nll', 'bce'). Weigh rows "
                "with sample_weight instead."
            )
        if rule.kind == "binary" and math.prod(rule.output_shape) != 1:
            raise ArgumentError(
                f"class_weight needs one label per row, but the net gives {rule.output_shape} yes-or-no answers. Weigh "
                "rows with sample_weight, or answers in the loss: torch.nn.BCEWithLogitsLoss(pos_weight=...)."
            )
        classes = rule.output_shape[0] if rule.kind == "classes" else 2
        labels = self.source.labels() if isinstance(class_weight, str) else None
        if labels is not None and rule.ignore_index is not None and not labels.is_floating_point():
            labels = labels[labels != rule.ignore_index]
        self.source.weigh_classes(class_weights(class_weight, classes, targets=labels))

    def bind(self, *, channels_last: bool = False, labelled: bool = True) -> None:
        """Check and convert the source's data, and let it give batches that are ready for the net."""
        if not labelled:
            require_tensors(self.output)
        elif self.objective is not None and not self.place:
            check_ending(self.net, self._recorded, self.objective, training=self.training)
        inputs = self.input_rule if self._pictures is None else self._pictures
        targets = self.target_rule if labelled else None
        if targets is not None and self._pictures is not None:
            targets = _before_transforms(targets, self._raw_targets, self.targets)
        self.source.bind(inputs, targets, self.device, channels_last=channels_last, training=self.training)


def _detached(leaf: Any) -> Any:
    return leaf.detach() if isinstance(leaf, Tensor) else leaf


def _before_transforms(rules: Any, raw: Any, changed: Any) -> Any:
    """The same rules for targets as the data has them: masks have another size there, where transforms change it.

    Parameters
    ----------
    rules : TargetRule or nested rules
        What the loss compares with.
    raw, changed : tensor or nested tensors, optional
        A few targets before the transforms and after them.
    """
    if isinstance(rules, (dict, tuple)):
        if not is_nested(raw) or keys_of(raw) != keys_of(rules):
            return rules
        parts = [_before_transforms(rules[key], raw[key], changed[key]) for key in keys_of(rules)]
        return dict(zip(rules, parts, strict=True)) if isinstance(rules, dict) else tuple(parts)
    shape = rules.output_shape
    if shape is None or not (isinstance(raw, Tensor) and isinstance(changed, Tensor)):
        return rules
    if len(shape) < 3 or raw.shape[-2:] == changed.shape[-2:] or changed.shape[-2:] != shape[-2:]:
        return rules
    return replace(rules, output_shape=(*shape[:-2], *raw.shape[-2:]))


def check_last_batch(net: nn.Module, prepared: Prepared) -> None:
    """Refuse, before training starts, a last batch of one row that batch norm could not train on.

    Raises
    ------
    ArgumentError
        Names batch sizes that leave no single row.
    """
    rows, size = prepared.source.rows, prepared.source.batch_size
    if rows is None or not size or (rows % size or size) != 1:
        return
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules()):
        return
    single = map_tree(lambda tensor: tensor[:1], prepared.inputs)
    try:
        with kept(net):
            net.train()
            call(net, single)
    except Exception as error:
        if "more than 1 value per channel" not in str(error):
            return
        raise ArgumentError(_single_row(rows, size)) from error


def _single_row(rows: int, size: int) -> str:
    which = "Every batch would have" if size == 1 else "There is" if rows == 1 else "The last batch would have"
    fitting = [other for other in range(2, rows + 1) if rows % other != 1]
    near = sorted(fitting, key=lambda other: abs(other - size))[:3]
    instead = (
        f"Take another batch size, like {' or '.join(map(str, near))}, or a DataLoader with drop_last=True."
        if near
        else "Pass more rows, or take another norm (GroupNorm, LayerNorm)."
    )
    return (
        f"{which} a single row ({rows} row{'' if rows == 1 else 's'} in batches of {size}), and batch norm needs at "
        f"least two values per channel in training. {instead}"
    )


def _checked(source: Source, x: Any, rule: Any, place: str) -> Any:
    """Inputs that fit the rule; where they do not, the message is about all rows that the source has at hand."""
    try:
        with located(place):
            return check_inputs(x, rule)
    except EasyconvError as error:
        refused = error
    source.check_first(rule)
    raise refused


def _reception(net: nn.Module, x: Any, device: torch.device) -> Reception:
    """How the net takes the rows as the user has them; nothing is tried where the answer would change nothing."""
    mixed = any(_is_whole(leaf) for _, leaf in leaves(x))
    if not mixed and (not isinstance(x, Tensor) or expected_input(net).kind == "any"):
        return Reception()
    # Copies, since a net may write into its input.
    rows = map_tree(lambda leaf: leaf.to(device).clone(memory_format=torch.contiguous_format), x)
    raw = finish_inputs(rows, InputRule(dtype=_dtype_of(net)))
    return watch(net, raw, whole=mixed)


def _is_whole(leaf: Tensor) -> bool:
    """Whether it holds integers or bools that are no picture."""
    return not leaf.is_floating_point() and leaf.dtype != torch.uint8


def _dtype_of(net: nn.Module) -> torch.dtype:
    return next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)


def _input_rules(net: nn.Module, x: Any, reception: Reception, *, counted: bool = True) -> Any:
    """One rule for each input: what the net asks for that gets it as it is, and nothing where it sees to it itself."""
    facts, dtype = _facts(net, x, reception), _dtype_of(net)
    has_embedding = any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in net.modules())

    def rule(leaf: Tensor, name: str) -> InputRule:
        whole = _is_whole(leaf)
        if name in reception.tokens or facts.kind == "tokens":
            return InputRule("tokens", tokens=reception.tokens.get(name) if counted else None)
        if whole and reception.finished:
            return InputRule(dtype=dtype, integers=True)
        if whole and leaf.dtype != torch.bool and has_embedding and facts.kind == "any":
            return InputRule("tokens")
        return InputRule(facts.kind, facts.channels, dtype=dtype)

    return map_named(rule, x, "x")


def _facts(net: nn.Module, x: Any, reception: Reception) -> InputFacts:
    if not isinstance(x, Tensor):
        return InputFacts("any", None)
    if not reception.asked:
        return expected_input(net)
    return facts_of(reception.layer) if reception.direct else InputFacts("any", None)


def _target_rules(objective: Objective, output: Any) -> Any:
    return _match(objective.kinds, output, objective)


def _match(kinds: Any, output: Any, objective: Objective) -> Any:
    if isinstance(kinds, str) and kinds != "any" and isinstance(output, dict):
        return {key: _match(kinds, part, objective) for key, part in output.items()}
    if isinstance(kinds, str) and kinds != "any" and isinstance(output, (tuple, list)):
        return tuple(_match(kinds, part, objective) for part in output)
    if isinstance(kinds, dict):
        return {key: _match(kind, output[key], objective) for key, kind in kinds.items()}
    if isinstance(kinds, (tuple, list)):
        return tuple(_match(kind, part, objective) for kind, part in zip(kinds, output, strict=True))
    dtype = _dtype_for(output)
    if kinds == "any":
        return TargetRule("any", loss=objective.name, dtype=dtype)
    shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
    return TargetRule(kinds, shape, objective.ignore_index, objective.name, dtype=dtype)


def _sized(rules: Any, inputs: Any, source: Source) -> Any:
    """The rules with the size of the images that they are for, where batches are seen by the net as they come."""
    if not isinstance(inputs, Tensor) or source.pipeline is not None:
        return rules
    size = tuple(inputs.shape[2:])

    def sized(rule: Any) -> Any:
        return replace(rule, input_size=size) if rule.output_shape is not None and len(rule.output_shape) > 1 else rule

    return map_tree(sized, rules)


def _dtype_for(output: Any) -> torch.dtype:
    """What floating targets must be for a loss of ``output``: losses make up for low precision, not for double."""
    found = [leaf.dtype for _, leaf in leaves(output) if isinstance(leaf, Tensor)]
    return torch.float64 if torch.float64 in found else torch.float32
