"""What is measured beside the loss: streaming metrics that stay on the device until somebody asks.

By name (each also under Keras's names, in brackets, where the meaning is the same):

=================================  ==================================================================================
accuracy (acc)                     share of right answers: the largest output, or the side of the threshold
top5, top3, top_5_accuracy, …      share of rows whose class is among the k largest outputs
balanced_accuracy                  mean of the recalls of the classes that occur
precision, recall, f1 (f1_score)   mean over the classes that occur in answers or targets; of class 1 for one output
mae, mse, rmse, r2 (r2_score)      errors of values; r2 is the mean over columns
auroc (auc), average_precision     by torchmetrics, from all outputs of a pass, which are kept
=================================  ==================================================================================

Also any function ``(output, target) -> tensor`` and objects of torchmetrics; see `make_metrics`.
"""

from easyconv.metrics.base import Mean, Metric
from easyconv.metrics.classification import F1, Accuracy, BalancedAccuracy, Precision, Recall, TopKAccuracy
from easyconv.metrics.make import make_metrics
from easyconv.metrics.outside import AUROC, AveragePrecision, FunctionMetric, TorchMetric
from easyconv.metrics.regression import R2, MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError

__all__ = [
    "AUROC",
    "F1",
    "R2",
    "Accuracy",
    "AveragePrecision",
    "BalancedAccuracy",
    "FunctionMetric",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "Recall",
    "RootMeanSquaredError",
    "TopKAccuracy",
    "TorchMetric",
    "make_metrics",
]
