"""Pictures: learning curves, grids of images with what a net made of them, nearest neighbours."""

from easyconv.visualize.answers import pick_predictions
from easyconv.visualize.curves import plot_curves
from easyconv.visualize.gallery import gallery, predictions
from easyconv.visualize.neighbors import nearest, neighbors

__all__ = ["gallery", "nearest", "neighbors", "pick_predictions", "plot_curves", "predictions"]
