"""Networks that only BiGAN needs: a generator of images, and a discriminator of pairs."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from singleimg.errors import UserError

SLOPE = 0.2  # of LeakyReLU
_SMALLEST = 4  # pixels, side of the first map
_LARGEST = 256  # of an image


class Generator(nn.Module):
    """Latent B×Z in, image B×3×size×size of 0 … 1 out, by doubling a 4×4 map.

    size: pixels, 4 · 2ⁿ. width: channels before the image; each smaller map has twice as many.

    Source: the layers of DCGAN (Radford, Metz, Chintala 2016), as BiGAN uses them.
    """

    def __init__(self, size: int, latent: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(_doublings(size))][::-1]
        self.first = widths[0]
        self.start = nn.Linear(latent, self.first * _SMALLEST**2, bias=False)
        parts: list[nn.Module] = [nn.BatchNorm2d(self.first), nn.ReLU(inplace=True)]
        for inputs, outputs in pairwise(widths):
            parts += [
                nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        parts += [nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Sigmoid()]
        self.layers = nn.Sequential(*parts)

    def forward(self, latent: Tensor) -> Tensor:
        """The images."""
        return self.layers(self.start(latent).view(-1, self.first, _SMALLEST, _SMALLEST))


def discriminator_trunk(size: int, width: int) -> nn.Sequential:
    """Image B×3×size×size in, flat features out, by halving to a 4×4 map: DCGAN's discriminator."""
    widths = [width * 2**level for level in range(_doublings(size))]
    parts: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True)]
    for inputs, outputs in pairwise(widths):
        parts += [
            nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
    return nn.Sequential(*parts, nn.Flatten())


class JointDiscriminator(nn.Module):
    """Says of a pair (image, latent) how likely it comes from the encoder: one value each.

    trunk: image to ``features`` flat values.
    """

    def __init__(self, trunk: nn.Module, features: int, latent: int, hidden: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.of_image, self.of_latent = nn.Linear(features, hidden), nn.Linear(latent, hidden)
        self.last = nn.Linear(hidden, 1)

    def forward(self, images: Tensor, latents: Tensor) -> Tensor:
        """B×3×S×S and B×Z in, B out."""
        joint = self.of_image(self.trunk(images)) + self.of_latent(latents)
        return self.last(nn.functional.leaky_relu(joint, SLOPE)).squeeze(1)


def count_features(trunk: nn.Module, size: int) -> int:
    """How many values a discriminator trunk gives of an image of ``size`` pixels."""
    with torch.no_grad():
        return trunk.eval()(torch.zeros(1, 3, size, size)).shape[1]


def _doublings(size: int) -> int:
    doublings = (size // _SMALLEST).bit_length() - 1
    if not 2 * _SMALLEST <= size <= _LARGEST or size != _SMALLEST * 2**doublings:
        raise UserError(
            f"method.generated_size={size} is not 8, 16, 32, 64, 128 or 256: type for example "
            "method.generated_size=64."
        )
    return doublings
