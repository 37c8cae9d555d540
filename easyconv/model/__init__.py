"""Models: any PyTorch module with Keras's verbs."""

from easyconv.model.loading import load
from easyconv.model.model import Model
from easyconv.model.sequential import Sequential

__all__ = ["Model", "Sequential", "load"]
