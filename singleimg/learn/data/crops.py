"""What a method does to each image of a batch before it trains on it: its own crops, its own flip.

All take ``float`` B×3×H×W, a side and a generator on the processor, and give B×3×side×side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # of torchvision's RandomResizedCrop
PADDING = 4  # pixels, of the CIFAR recipes

Crop = Callable[[Tensor, int, Generator], Tensor]


def centre(images: Tensor, side: int, generator: Generator | None = None) -> Tensor:
    """The middle of each, as features and pictures see it; draws nothing."""
    top, left = (images.shape[2] - side) // 2, (images.shape[3] - side) // 2
    return images[:, :, top : top + side, left : left + side]


def placed(images: Tensor, side: int, generator: Generator) -> Tensor:
    """A square of ``side`` pixels anywhere in each: BiGAN's recipe."""
    rows = _offsets(len(images), images.shape[2] - side, generator)
    columns = _offsets(len(images), images.shape[3] - side, generator)
    return _windows(images, rows, columns, side)


def padded(images: Tensor, side: int, generator: Generator) -> Tensor:
    """The same within a black margin of four pixels: the recipe for CIFAR."""
    return placed(nn.functional.pad(images, [PADDING] * 4), side, generator)


def resized(
    images: Tensor,
    side: int,
    generator: Generator,
    area: Sequence[float] = AREA,
    hflip: float = 0.0,
) -> Tensor:
    """A part of 8 % … 100 % of the area and aspect 3/4 … 4/3, resized: the recipe for ImageNet.

    area: another range, fractions over 0 and up to 1. hflip: probability that it is mirrored left
    to right in the same step. One bilinear sampling a batch. A side that does not fit is cut to the
    image's, where torchvision's RandomResizedCrop draws again; there is no antialiasing, which
    between 256 and 224 pixels hardly matters.
    """
    count = len(images)
    draws = torch.rand(5, count, generator=generator, dtype=torch.float64)
    shares = area[0] + (area[1] - area[0]) * draws[0]
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    aspect = torch.exp(low + (high - low) * draws[1])
    width = torch.clamp(torch.sqrt(shares * aspect), max=1)
    height = torch.clamp(torch.sqrt(shares / aspect), max=1)
    theta = torch.zeros(count, 2, 3, dtype=torch.float64)
    theta[:, 0, 0], theta[:, 1, 1] = torch.where(draws[4] < hflip, -width, width), height
    theta[:, 0, 2] = (2 * draws[2] - 1) * (1 - width)
    theta[:, 1, 2] = (2 * draws[3] - 1) * (1 - height)
    theta = theta.to(images.device, images.dtype, non_blocking=True)
    grid = nn.functional.affine_grid(theta, [count, 3, side, side], align_corners=False)
    return nn.functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def flip(images: Tensor, probability: float, generator: Generator) -> Tensor:
    """Each mirrored left to right with this probability."""
    mirror = torch.rand(len(images), generator=generator) < probability
    mirror = mirror.to(images.device, non_blocking=True)[:, None, None, None]
    return torch.where(mirror, images.flip(3), images)


CROPS: dict[str, Crop] = {
    "centre": centre,
    "placed": placed,
    "padded": padded,
    "resized": resized,
}


def _offsets(count: int, free: int, generator: Generator) -> Tensor:
    return torch.randint(0, free + 1, (count,), generator=generator)


def _windows(images: Tensor, rows: Tensor, columns: Tensor, side: int) -> Tensor:
    span = torch.arange(side)
    rows = (rows[:, None] + span)[:, :, None].to(images.device, non_blocking=True)
    columns = (columns[:, None] + span)[:, None, :].to(images.device, non_blocking=True)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return images[batch, :, rows, columns].permute(0, 3, 1, 2).contiguous()
