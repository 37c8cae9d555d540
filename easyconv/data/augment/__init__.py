"""Transforms of whole batches of images on their device, drawn for each sample by itself."""

from typing import TYPE_CHECKING

from easyconv.names import names_on_demand

if TYPE_CHECKING:
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

_PLACES = {
    "AlternatingFlip": "easyconv.data.augment.flips",
    "CenterCrop": "easyconv.data.augment.crops",
    "ColorJitter": "easyconv.data.augment.color",
    "Compose": "easyconv.data.augment.transform",
    "CutMix": "easyconv.data.augment.mixing",
    "Cutout": "easyconv.data.augment.erasing",
    "Denormalize": "easyconv.data.augment.normalization",
    "FiveCrop": "easyconv.data.augment.views",
    "FlipViews": "easyconv.data.augment.views",
    "GaussianBlur": "easyconv.data.augment.noise",
    "GaussianNoise": "easyconv.data.augment.noise",
    "MixUp": "easyconv.data.augment.mixing",
    "Normalize": "easyconv.data.augment.normalization",
    "PCALighting": "easyconv.data.augment.lighting",
    "Position": "easyconv.data.augment.transform",
    "RandAugment": "easyconv.data.augment.policies",
    "RandomAffine": "easyconv.data.augment.warping",
    "RandomApply": "easyconv.data.augment.chance",
    "RandomCrop": "easyconv.data.augment.crops",
    "RandomErasing": "easyconv.data.augment.erasing",
    "RandomHorizontalFlip": "easyconv.data.augment.flips",
    "RandomPerspective": "easyconv.data.augment.warping",
    "RandomResizedCrop": "easyconv.data.augment.crops",
    "RandomRotation": "easyconv.data.augment.warping",
    "RandomVerticalFlip": "easyconv.data.augment.flips",
    "Resize": "easyconv.data.augment.crops",
    "TenCrop": "easyconv.data.augment.views",
    "Transform": "easyconv.data.augment.transform",
    "Views": "easyconv.data.augment.views",
}

if not TYPE_CHECKING:
    # Who trains without them does not wait for them.
    __getattr__, __dir__ = names_on_demand(__name__, _PLACES)
