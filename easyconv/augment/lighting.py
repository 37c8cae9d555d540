"""AlexNet's change of lighting: along the directions in which the colours of the data vary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from easyconv.arguments import check_number
from easyconv.augment.transform import ImageTransform
from easyconv.errors import ArgumentError, DataError, StateError

__all__ = ["PCALighting"]

_CHUNK = 256


@dataclass(frozen=True)
class PCALighting(ImageTransform):
    """Add to all pixels of an image multiples of the principal components of the data's colours.

    Along component i by its eigenvalue times a number drawn for each image from a normal distribution.

    Picture: docs/images/augment/PCALighting.jpg

    Parameters
    ----------
    std : float, default 0.1
        Standard deviation of the numbers.
    eigenvalues : sequence of float, optional
        Of the covariance of the channels, for pixels in [0, 1]; by default those of the training data, where `fitted`
        gets to see it.
    eigenvectors : sequence of sequence of float, optional
        The component of each eigenvalue in a column: shape (C, C).

    Raises
    ------
    StateError
        When it has no components and has seen no data.
    DataError
        When the images have another number of channels.

    References
    ----------
    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 4.1.

    Examples
    --------
    >>> PCALighting.imagenet()(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 3, 16, 16])
    """

    by_chance: ClassVar[bool] = True

    std: float = 0.1
    eigenvalues: Sequence[float] | None = None
    eigenvectors: Sequence[Sequence[float]] | None = None

    def __post_init__(self) -> None:
        """Refuse what does not belong together, and keep it as tuples."""
        check_number("std", self.std, minimum=0)
        if (self.eigenvalues is None) != (self.eigenvectors is None):
            raise ArgumentError("eigenvalues and eigenvectors belong together: give both, or neither.")
        if self.eigenvalues is None or self.eigenvectors is None:
            return
        values, vectors = (torch.as_tensor(x, dtype=torch.float64) for x in self._pair())
        if values.dim() != 1 or vectors.shape != (len(values), len(values)):
            raise ArgumentError(
                f"eigenvalues must have the shape (C,) and eigenvectors (C, C), got {tuple(values.shape)} and "
                f"{tuple(vectors.shape)}."
            )
        object.__setattr__(self, "eigenvalues", tuple(values.tolist()))
        object.__setattr__(self, "eigenvectors", tuple(map(tuple, vectors.tolist())))

    @classmethod
    def imagenet(cls, std: float = 0.1) -> "PCALighting":
        """With the components of ImageNet, as published with fb.resnet.torch."""
        vectors = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
        return cls(std, (0.2175, 0.0188, 0.0045), vectors)

    def fitted(self, data: Any) -> "PCALighting":
        """With the components of the data, where none were given."""
        if self.eigenvalues is not None:
            return self
        values, vectors = _components(data.images)
        return replace(self, eigenvalues=tuple(values.tolist()), eigenvectors=tuple(map(tuple, vectors.tolist())))

    def change(self, images: Tensor) -> Tensor:
        """The images in another light."""
        return images + self._shift(self._draw(images), images).view(len(images), -1, 1, 1)

    def _draw(self, images: Tensor) -> Tensor:
        """A number for each image and component: shape (N, C)."""
        return self.std * torch.randn(len(images), images.shape[1], device=images.device)

    def _shift(self, numbers: Tensor, images: Tensor) -> Tensor:
        if self.eigenvalues is None or self.eigenvectors is None:
            raise StateError(
                "PCALighting() takes its components from a data set: data.augment(PCALighting()). For plain tensors "
                "write PCALighting.imagenet(), or give eigenvalues and eigenvectors."
            )
        if len(self.eigenvalues) != images.shape[1]:
            raise DataError(
                f"PCALighting has components of {len(self.eigenvalues)} channels, and the images have "
                f"{images.shape[1]}."
            )
        values, vectors = (torch.tensor(x, dtype=torch.float32, device=images.device) for x in self._pair())
        return ((numbers * values) @ vectors.T).to(images.dtype)

    def _pair(self) -> tuple[Any, Any]:
        return self.eigenvalues, self.eigenvectors


def _components(images: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of the covariance of the channels, the largest first, and their vectors in columns."""
    channels = images.shape[1]
    sums = torch.zeros(channels, dtype=torch.float64)
    products = torch.zeros(channels, channels, dtype=torch.float64)
    for part in torch.split(images, _CHUNK):
        pixels = part.transpose(0, 1).flatten(1).double() / (255 if images.dtype == torch.uint8 else 1)
        sums += pixels.sum(1)
        # Not a matrix product, whose last bits depend on where its operands lie in memory.
        products += torch.stack([(pixels * row).sum(1) for row in pixels])
    count = images.numel() / channels
    mean = sums / count
    values, vectors = torch.linalg.eigh(products / count - mean[:, None] * mean)
    return values.flip(0).clamp(min=0), vectors.flip(1)
