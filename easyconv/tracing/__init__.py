"""Shapes, work and receptive fields, found by following the tensors of one forward pass from operation to operation.

Every tensor that depends on the input carries a trace: a :class:`Field` where each position sees a window of the
input, ``ALL`` where each element sees every position, ``MIXED`` where positions and channels share one axis (after
``Flatten``), ``UNKNOWN`` where an operation is not understood. A trace is never guessed: what has no rule gives
``UNKNOWN``, and so does all that comes after it.

Conventions: a receptive field may be larger than the input, as in the literature. Where branches meet, the largest
counts. Padding does not count, and neither do the statistics that normalisation layers take over positions.
"""

from easyconv.tracing.fields import Field, Reach, Trace, in_words
from easyconv.tracing.observe import Seen, observe
from easyconv.tracing.tracer import Tracer

__all__ = ["Field", "Reach", "Seen", "Trace", "Tracer", "in_words", "observe"]
