"""Transforms of whole batches of images on their device, drawn for each sample by itself."""

from typing import TYPE_CHECKING

from easyconv.names import names_on_demand

if TYPE_CHECKING:
    from easyconv.augment.chance import RandomApply
    from easyconv.augment.color import ColorJitter
    from easyconv.augment.crops import CenterCrop, RandomCrop, RandomResizedCrop, Resize
    from easyconv.augment.erasing import Cutout, RandomErasing
    from easyconv.augment.flips import AlternatingFlip, RandomHorizontalFlip, RandomVerticalFlip
    from easyconv.augment.lighting import PCALighting
    from easyconv.augment.mixing import CutMix, MixUp
    from easyconv.augment.noise import GaussianBlur, GaussianNoise
    from easyconv.augment.normalization import Denormalize, Normalize
    from easyconv.augment.policies import RandAugment
    from easyconv.augment.transform import Compose, Position, Transform
    from easyconv.augment.views import FiveCrop, FlipViews, TenCrop, Views
    from easyconv.augment.warping import RandomAffine, RandomPerspective, RandomRotation

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

_PLACES = {
    "AlternatingFlip": "easyconv.augment.flips",
    "CenterCrop": "easyconv.augment.crops",
    "ColorJitter": "easyconv.augment.color",
    "Compose": "easyconv.augment.transform",
    "CutMix": "easyconv.augment.mixing",
    "Cutout": "easyconv.augment.erasing",
    "Denormalize": "easyconv.augment.normalization",
    "FiveCrop": "easyconv.augment.views",
    "FlipViews": "easyconv.augment.views",
    "GaussianBlur": "easyconv.augment.noise",
    "GaussianNoise": "easyconv.augment.noise",
    "MixUp": "easyconv.augment.mixing",
    "Normalize": "easyconv.augment.normalization",
    "PCALighting": "easyconv.augment.lighting",
    "Position": "easyconv.augment.transform",
    "RandAugment": "easyconv.augment.policies",
    "RandomAffine": "easyconv.augment.warping",
    "RandomApply": "easyconv.augment.chance",
    "RandomCrop": "easyconv.augment.crops",
    "RandomErasing": "easyconv.augment.erasing",
    "RandomHorizontalFlip": "easyconv.augment.flips",
    "RandomPerspective": "easyconv.augment.warping",
    "RandomResizedCrop": "easyconv.augment.crops",
    "RandomRotation": "easyconv.augment.warping",
    "RandomVerticalFlip": "easyconv.augment.flips",
    "Resize": "easyconv.augment.crops",
    "TenCrop": "easyconv.augment.views",
    "Transform": "easyconv.augment.transform",
    "Views": "easyconv.augment.views",
}

if not TYPE_CHECKING:
    # Who trains without them does not wait for them.
    __getattr__, __dir__ = names_on_demand(__name__, _PLACES)
