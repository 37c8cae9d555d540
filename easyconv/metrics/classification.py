"""Metrics of classes: streaming counts of right and wrong answers."""

from abc import abstractmethod
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from easyconv.arguments import check_integer
from easyconv.errors import ArgumentError
from easyconv.metrics.base import Metric, accumulator_dtype, not_fitting

__all__ = ["F1", "Accuracy", "BalancedAccuracy", "Kind", "Precision", "Recall", "TopKAccuracy"]

Kind: TypeAlias = Literal["any", "classes", "binary", "values"]


class _Classification(Metric):
    """Turns outputs and targets into answers and labels."""

    def __init__(
        self, name: str | None = None, *, threshold: float = 0.0, kind: Kind = "any", ignore_index: int | None = None
    ) -> None:
        self.name = type(self).__name__.lower() if name is None else name
        self.threshold = threshold
        self.kind = kind
        self.ignore_index = ignore_index
        self.reset()

    def _is_binary(self, output: Tensor) -> bool:
        return self.kind == "binary" or output.ndim < 2 or output.shape[1] == 1

    def _class_labels(self, output: Tensor, target: Tensor) -> Tensor:
        """Class numbers of shape (N, ...), without the class dimension of ``output`` (N, C, ...)."""
        if target.ndim == output.ndim:
            if target.shape == output.shape:
                return target.argmax(dim=1)
            if target.shape[1] == 1:
                return target.squeeze(1)
        return target

    def _answers(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Answers and labels of one shape: class numbers, or booleans where there are two classes."""
        if not isinstance(output, Tensor) or not isinstance(target, Tensor):
            raise not_fitting(self.name, output, target)
        if self._is_binary(output):
            answer, label = output > self.threshold, target
            if label.shape != answer.shape and label.numel() == answer.numel() and label.shape[:1] == answer.shape[:1]:
                label = label.reshape(answer.shape)
            # Labels to ignore keep their number; only sound labels may become booleans.
            label = label if self.ignore_index is not None else label > 0.5
        else:
            answer, label = output.argmax(dim=1), self._class_labels(output, target)
        if answer.shape != label.shape:
            raise not_fitting(self.name, output, target)
        return answer, label


class Accuracy(_Classification):
    """Share of right answers.

    Outputs (N, C, ...) with C > 1 answer with the largest; targets are class numbers (N, ...) or (N, 1), or one-hot
    rows and probabilities of the outputs' shape, of which the largest counts. Outputs (N,) or (N, 1) answer class 1
    where they are above the threshold. Every pixel counts, where there are pixels.

    Parameters
    ----------
    name : str, default "accuracy"
    threshold : float, default 0.0
        For raw outputs (logits); 0.5 for probabilities.
    kind : {"any", "classes", "binary", "values"}, default "any"
        ``"binary"`` compares element by element with the threshold, whatever the shape (several labels per row).
    ignore_index : int, optional
        Label that does not count.

    Examples
    --------
    >>> metric = Accuracy()
    >>> metric.update(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
    >>> float(metric.compute())
    0.5
    """

    def reset(self) -> None:
        """Forget everything."""
        self._right: Tensor | None = None
        self._count: int | Tensor = 0

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in one batch."""
        answer, label = self._answers(output, target)
        right = answer == label
        if self.ignore_index is None:
            self._count += right.numel()
        else:
            kept = label != self.ignore_index
            right = right & kept
            self._count = self._count + kept.sum()
        number = right.sum()
        self._right = number if self._right is None else self._right + number

    def compute(self) -> Tensor:
        """Share of right answers so far."""
        if self._right is None:
            raise self._nothing_seen()
        return self._right.to(accumulator_dtype(self._right.device)) / self._count


class TopKAccuracy(_Classification):
    """Share of rows whose class is among the ``k`` largest outputs.

    Parameters
    ----------
    k : int, default 5
    name : str, default "top<k>"
    ignore_index : int, optional
        Label that does not count.

    Notes
    -----
    Outputs are (N, C, ...) with at least k classes, targets as for `Accuracy`.

    Examples
    --------
    >>> metric = TopKAccuracy(2)
    >>> metric.update(torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), torch.tensor([1, 2]))
    >>> float(metric.compute())
    0.5
    """

    def __init__(self, k: int = 5, name: str | None = None, *, ignore_index: int | None = None) -> None:
        self.k = check_integer("k", k, minimum=1)
        super().__init__(f"top{k}" if name is None else name, kind="classes", ignore_index=ignore_index)

    def reset(self) -> None:
        """Forget everything."""
        self._right: Tensor | None = None
        self._count: int | Tensor = 0

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in one batch."""
        if not isinstance(output, Tensor) or not isinstance(target, Tensor) or output.ndim < 2:
            raise not_fitting(self.name, output, target)
        if output.shape[1] < self.k:
            raise ArgumentError(
                f"The metric {self.name!r} looks at the {self.k} largest outputs, but the net has {output.shape[1]} "
                f"(output shape {tuple(output.shape)}). Use 'accuracy' or a smaller k."
            )
        label = self._class_labels(output, target)
        if label.shape != (output.shape[0], *output.shape[2:]):
            raise not_fitting(self.name, output, target)
        hits = (output.topk(self.k, dim=1).indices == label.unsqueeze(1)).any(dim=1)
        if self.ignore_index is None:
            self._count += label.numel()
        else:
            kept = label != self.ignore_index
            hits = hits & kept
            self._count = self._count + kept.sum()
        right = hits.sum()
        self._right = right if self._right is None else self._right + right

    def compute(self) -> Tensor:
        """Share of rows so far."""
        if self._right is None:
            raise self._nothing_seen()
        return self._right.to(accumulator_dtype(self._right.device)) / self._count


class _Counts(_Classification):
    """Counts, per class, of right answers, of answers and of labels.

    One output per row has one class of interest, class 1. Of several labels per row (``kind="binary"``) each column is
    a class of interest.
    """

    def reset(self) -> None:
        """Forget everything."""
        self._counts: Tensor | None = None

    def update(self, output: Tensor, target: Tensor) -> None:
        """Take in one batch."""
        answer, label = self._answers(output, target)
        if self._is_binary(output):
            counts = self._count_binary(answer, label)
        else:
            counts = self._count_classes(answer.reshape(-1), label.reshape(-1).long(), output.shape[1])
        if self._counts is not None and self._counts.shape != counts.shape:
            raise not_fitting(self.name, output, target)
        self._counts = counts if self._counts is None else self._counts + counts

    def compute(self) -> Tensor:
        """Mean over classes of the value per class so far."""
        if self._counts is None:
            raise self._nothing_seen()
        right, answers, labels = self._counts.to(accumulator_dtype(self._counts.device))
        values, counted = self._per_class(right, answers, labels)
        if len(values) == 1:
            return values[0]
        return (values * counted).sum() / counted.sum().clamp(min=1)

    @abstractmethod
    def _per_class(self, right: Tensor, answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Value of each class, and whether the class counts in the mean."""

    def _count_binary(self, answer: Tensor, label: Tensor) -> Tensor:
        truth = label > 0.5
        if self.ignore_index is not None:
            kept = label != self.ignore_index
            answer, truth = answer & kept, truth & kept
        three = torch.stack((answer & truth, answer, truth))
        if answer.ndim < 2 or answer.shape[1] == 1:
            return three.reshape(3, 1, -1).sum(dim=2)
        return three.reshape(3, *answer.shape[:2], -1).sum(dim=(1, 3))

    def _count_classes(self, answer: Tensor, label: Tensor, classes: int) -> Tensor:
        """Counts (3, C) by adding ones: torch.bincount would wait for the device."""
        right = answer == label
        kept = torch.ones_like(right) if self.ignore_index is None else label != self.ignore_index
        label = torch.where(kept, label, 0)
        ones = kept.long()
        counts = torch.zeros(3, classes, dtype=torch.long, device=answer.device)
        counts[0].scatter_add_(0, label, (right & kept).long())
        counts[1].scatter_add_(0, answer, ones)
        counts[2].scatter_add_(0, label, ones)
        return counts


class Precision(_Counts):
    """Of the answers that name a class, the share that is right: TP / (TP + FP), 0 where no answer names it.

    One output per row (N,) or (N, 1): of class 1. Several classes: the mean over the classes that occur in answers or
    labels (macro average). Several labels per row (``kind="binary"``): the mean over the columns that occur.
    Parameters as for `Accuracy`.

    Examples
    --------
    >>> metric = Precision()
    >>> metric.update(torch.tensor([2.0, 1.0, -1.0]), torch.tensor([1, 0, 1]))
    >>> float(metric.compute())
    0.5
    """

    def _per_class(self, right: Tensor, answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return right / answers.clamp(min=1), (answers + labels) > 0


class Recall(_Counts):
    """Of the rows of a class, the share that is found: TP / (TP + FN), 0 where there are none.

    Averages and parameters as for `Precision`.

    Examples
    --------
    >>> metric = Recall()
    >>> metric.update(torch.tensor([2.0, -1.0, -1.0]), torch.tensor([1, 1, 0]))
    >>> float(metric.compute())
    0.5
    """

    def _per_class(self, right: Tensor, answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return right / labels.clamp(min=1), (answers + labels) > 0


class F1(_Counts):
    """Harmonic mean of precision and recall: 2·TP / (2·TP + FP + FN), 0 where a class does not occur.

    Averages and parameters as for `Precision`.

    Examples
    --------
    >>> metric = F1()
    >>> metric.update(torch.tensor([2.0, 1.0, -1.0]), torch.tensor([1, 0, 1]))
    >>> float(metric.compute())
    0.5
    """

    def _per_class(self, right: Tensor, answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * right / (answers + labels).clamp(min=1), (answers + labels) > 0


class BalancedAccuracy(_Counts):
    """Mean of the recalls of the classes that occur in the labels.

    One output per row has two classes, 0 and 1; so has every element where there are several labels per row.
    Parameters as for `Accuracy`.

    Notes
    -----
    Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution" (2010).

    Examples
    --------
    >>> metric = BalancedAccuracy()
    >>> metric.update(torch.tensor([2.0, 1.0, -1.0, 1.0]), torch.tensor([1, 1, 0, 0]))
    >>> float(metric.compute())
    0.75
    """

    def __init__(
        self, name: str | None = None, *, threshold: float = 0.0, kind: Kind = "any", ignore_index: int | None = None
    ) -> None:
        name = "balanced_accuracy" if name is None else name
        super().__init__(name, threshold=threshold, kind=kind, ignore_index=ignore_index)

    def _count_binary(self, answer: Tensor, label: Tensor) -> Tensor:
        return self._count_classes(answer.reshape(-1).long(), label.reshape(-1).long(), 2)

    def _per_class(self, right: Tensor, answers: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return right / labels.clamp(min=1), labels > 0
