"""Before the first step: sizes inferred, data checked against the net and the loss."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from easyconv.data.class_weights import class_weights
from easyconv.data.inputs import check_inputs, finish_inputs
from easyconv.data.rules import InputRule, TargetRule
from easyconv.data.sources import Source
from easyconv.data.tree import map_tree
from easyconv.errors import ArgumentError
from easyconv.layers.build import dry_run
from easyconv.layers.first import expected_input
from easyconv.layers.keeping import call, kept
from easyconv.losses import Objective
from easyconv.training.advice import warn_of_wrong_ending

__all__ = ["Prepared", "check_last_batch"]


class Prepared:
    """A source and a net that are made to fit each other: sizes are inferred from the first rows, and rules follow.

    Raises
    ------
    ShapeError
        When a layer cannot take what reaches it.
    DataError
        When the inputs do not fit the net.

    Attributes
    ----------
    inputs : tensor or nested tensors
        Up to two rows, as the net gets them.
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
        name: str = "x",
    ) -> None:
        self.source = source
        self.device = device
        example = source.example(key)
        rule = _input_rules(net, example.x)
        ready = finish_inputs(check_inputs(example.x, rule, name=name), rule)
        self.inputs = map_tree(lambda tensor: tensor.to(device), ready)
        output = dry_run(net, self.inputs)
        # Once built, the net also knows how many channels it takes.
        self.input_rule = _input_rules(net, example.x)
        self.target_rule = _target_rules(objective, output) if objective is not None else TargetRule(required=False)
        if objective is not None:
            warn_of_wrong_ending(net, output, objective)

    def weigh(self, class_weight: Any) -> None:
        """Give every row the weight of its class, besides its own.

        Raises
        ------
        ArgumentError
            When the loss has no classes, or ``"balanced"`` finds no labels to count.
        """
        if class_weight is None:
            return
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
        self.source.weigh_classes(class_weights(class_weight, classes, targets=labels))

    def bind(self, *, channels_last: bool = False, training: bool = False, labelled: bool = True) -> None:
        """Check and convert the source's data, and let it give batches that are ready for the net."""
        targets = self.target_rule if labelled else None
        self.source.bind(self.input_rule, targets, self.device, channels_last=channels_last, training=training)


def check_last_batch(net: nn.Module, prepared: Prepared) -> None:
    """Refuse, before training starts, a last batch of one row that batch norm could not train on.

    Raises
    ------
    ArgumentError
        Names batch sizes that leave no single row.
    """
    rows, size = prepared.source.rows, prepared.source.batch_size
    if rows is None or not size or rows % size != 1:
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
        fitting = [other for other in range(2, rows + 1) if rows % other != 1]
        near = sorted(fitting, key=lambda other: abs(other - size))[:3]
        raise ArgumentError(
            f"The last batch would have a single row ({rows} rows in batches of {size}), and batch "
            "norm needs at least two values per channel in training. Take another batch size, like "
            f"{' or '.join(map(str, near))}, or a DataLoader with drop_last=True."
        ) from error


def _input_rules(net: nn.Module, x: Any) -> Any:
    """One rule for one input; nets with several inputs take each as it is."""
    facts = expected_input(net)
    takes_tokens = any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in net.modules())

    def rule(leaf: Tensor) -> InputRule:
        integers = not leaf.is_floating_point() and leaf.dtype not in (torch.uint8, torch.bool)
        if integers and takes_tokens and facts.kind in ("any", "tokens"):
            return InputRule("tokens")
        return InputRule(facts.kind, facts.channels) if isinstance(x, Tensor) else InputRule("any")

    return map_tree(rule, x)


def _target_rules(objective: Objective, output: Any) -> Any:
    return _match(objective.kinds, output, objective)


def _match(kinds: Any, output: Any, objective: Objective) -> Any:
    if isinstance(kinds, dict):
        return {key: _match(kind, output[key], objective) for key, kind in kinds.items()}
    if isinstance(kinds, (tuple, list)):
        return tuple(_match(kind, part, objective) for kind, part in zip(kinds, output, strict=True))
    if kinds == "any" or isinstance(output, (tuple, list, dict)):
        return TargetRule("any", loss=objective.name)
    shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else None
    return TargetRule(kinds, shape, objective.ignore_index, objective.name)
