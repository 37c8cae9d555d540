"""What ``compile(loss=...)`` means: losses by name, torch's losses, any function; and weights of classes.

The names, and what the net's outputs have to be:

====================  ==========================================  =====================================================
name                  outputs                                     targets
====================  ==========================================  =====================================================
cross_entropy         raw outputs (logits), (N, C, ...)           class numbers (N, ...) or probabilities (N, C, ...)
nll                   log-probabilities, (N, C, ...)              class numbers (N, ...)
hinge                 raw scores, (N, C)                          class numbers (N,): ``torch.nn.MultiMarginLoss``
bce, bce_with_logits  raw outputs (logits), any shape             0 … 1, same shape
bce_probabilities     probabilities, any shape                    0 … 1, same shape
mse, mae (l1)         values, any shape                           values, same shape
huber, smooth_l1      values, any shape                           values, same shape
poisson_nll           logarithms of rates, any shape              counts, same shape
kl_div                log-probabilities, (N, C, ...)              probabilities, same shape; summed, divided by N
====================  ==========================================  =====================================================

``mean_squared_error`` and ``mean_absolute_error`` are other names of ``mse`` and ``mae``. Keras's cross-entropies take
probabilities unless told otherwise, torch's take raw outputs; their Keras names are therefore refused with a hint.
"""

from easyconv.losses.objective import Objective, make_objective

__all__ = ["Objective", "make_objective"]
