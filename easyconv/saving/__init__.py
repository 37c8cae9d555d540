"""Nets in files: weights alone, whole models, and what other programs read."""

from easyconv.saving.exporting import export
from easyconv.saving.weights import LoadResult, check_model_path, check_weights_path, load_weights, save_weights

__all__ = ["LoadResult", "check_model_path", "check_weights_path", "export", "load_weights", "save_weights"]
