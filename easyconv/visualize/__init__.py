"""Pictures: learning curves and grids of images with what a net made of them."""

from easyconv.visualize.answers import pick_predictions
from easyconv.visualize.curves import plot_curves
from easyconv.visualize.gallery import gallery, predictions

__all__ = ["gallery", "pick_predictions", "plot_curves", "predictions"]
