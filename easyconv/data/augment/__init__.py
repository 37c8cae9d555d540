"""Transforms of whole batches of images on their device, drawn for each sample by itself."""

from easyconv.data.augment.chance import RandomApply
from easyconv.data.augment.color import ColorJitter
from easyconv.data.augment.crops import CenterCrop, RandomCrop, RandomResizedCrop, Resize
from easyconv.data.augment.erasing import Cutout, RandomErasing
from easyconv.data.augment.flips import AlternatingFlip, RandomHorizontalFlip, RandomVerticalFlip
from easyconv.data.augment.lighting import PCALighting
from easyconv.data.augment.mixing import CutMix, MixUp
from easyconv.data.augment.noise import GaussianBlur, GaussianNoise
from easyconv.data.augment.normalization import Denormalize, Normalize
from easyconv.data.augment.policies import RandAugment
from easyconv.data.augment.transform import Compose, Position, Transform
from easyconv.data.augment.views import FiveCrop, FlipViews, TenCrop, Views
from easyconv.data.augment.warping import RandomAffine, RandomPerspective, RandomRotation

__all__ = [
    "AlternatingFlip",
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "CutMix",
    "Cutout",
    "Denormalize",
    "FiveCrop",
    "FlipViews",
    "GaussianBlur",
    "GaussianNoise",
    "MixUp",
    "Normalize",
    "PCALighting",
    "Position",
    "RandAugment",
    "RandomAffine",
    "RandomApply",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomPerspective",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "Transform",
    "Views",
]
