"""Two views of each image of a batch: what SimCLR, VICReg, BYOL and DINO compare.

Colour operations take ``float`` B×3×S×S of 0 … 1 and a value an image, B×1×1×1, and give the same
shape; they compute what torchvision's ``adjust_…`` of the same name computes of one image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Generator, Tensor

from singleimg.errors import UserError, did_you_mean
from singleimg.learn.data.crops import resized


@dataclass(frozen=True)
class Views:
    """How a view is drawn from an image: a resized crop, a flip, jitter of colours, grey levels.

    area: smallest and largest part of the image that a view shows, fractions of its area over 0.
    hflip, jitter, grey: probabilities, of being mirrored, jittered, and grey. brightness, contrast,
    saturation: largest change of the factor 1, 0 … 1. hue: largest turn, of a whole one, 0 … 0.5.

    Each image has its own draws of all of them; the four changes of colour have one order for a
    batch, another one in the next. No blur and no solarising: images of 32 px hold little to blur.

    Source: Chen et al.: A simple framework for contrastive learning of visual representations (ICML
    2020), appendix A, and for CIFAR-10 appendix B.9.
    """

    area: Sequence[float] = (0.2, 1.0)
    hflip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Views:
        """Those of ``method.views``; UserError for a key that there is not."""
        if not isinstance(settings, Mapping):
            raise UserError(
                f"method.views={settings} is not a group of settings: type for example "
                "'method.views={area:[0.2,1]}'."
            )
        names = [field.name for field in fields(cls)]
        for key in settings:
            if key not in names:
                raise UserError(
                    f"method.views has no key {key}{did_you_mean(key, names)}: type one of "
                    f"{', '.join(names)}."
                )
        return cls(**settings)

    def __post_init__(self) -> None:
        area = self.area
        numbers = isinstance(area, Sequence) and all(type(x) in (int, float) for x in area)
        if not numbers or len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
            shown = list(area) if isinstance(area, tuple) else area
            raise UserError(
                f"method.views.area={shown} is not two numbers over 0 and up to 1, the smaller one "
                "first: type for example 'method.views.area=[0.2,1]'."
            )
        for field in fields(self)[1:]:
            value, most = getattr(self, field.name), 0.5 if field.name == "hue" else 1
            if type(value) not in (int, float) or not 0 <= value <= most:
                raise UserError(
                    f"method.views.{field.name}={value} is not a number from 0 to {most}: type for "
                    f"example method.views.{field.name}={field.default}."
                )

    def pair(self, images: Tensor, side: int, generator: Generator) -> Tensor:
        """Two views of each: ``float`` B×3×H×W of 0 … 1 in, 2B×3×side×side out.

        All first views, then all second ones. ``generator``: on the processor.
        """
        twice = images.repeat(2, 1, 1, 1)
        return self.recoloured(resized(twice, side, generator, self.area, self.hflip), generator)

    def recoloured(self, images: Tensor, generator: Generator) -> Tensor:
        """Each with changes of its own, and some of them grey."""
        steps: list[tuple[Callable[[Tensor, Tensor], Tensor], float, float]] = [
            (adjust_brightness, self.brightness, 1),
            (adjust_contrast, self.contrast, 1),
            (adjust_saturation, self.saturation, 1),
            (adjust_hue, self.hue, 0),
        ]
        draws = torch.rand(6, len(images), 1, 1, 1, generator=generator)
        jittered = draws[4] < self.jitter
        for place in torch.randperm(4, generator=generator).tolist():
            change, largest, none = steps[place]
            if largest and self.jitter:
                drawn = none + largest * (2 * draws[place] - 1)
                drawn = torch.where(jittered, drawn, none)
                images = change(images, drawn.to(images.device, non_blocking=True))
        if not self.grey:
            return images
        colour = (draws[5] >= self.grey).to(images.device, images.dtype, non_blocking=True)
        return adjust_saturation(images, colour)


def grey_levels(images: Tensor) -> Tensor:
    """B×1×S×S, by the weights of ITU-R 601-2 as torchvision has them."""
    red, green, blue = images.split(1, 1)
    return (red * 0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Levels times the factor."""
    return (images * factors).clamp_(0, 1)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Distances from the image's mean grey level times the factor."""
    mean = grey_levels(images).mean((2, 3), keepdim=True)
    return _blend(images, mean, factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Distances from the pixel's grey level times the factor."""
    return _blend(images, grey_levels(images), factors)


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    return (images * factors).add_(others * (1 - factors)).clamp_(0, 1)


def adjust_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Hues of HSV turned by so much of a whole turn; its value and saturation stay."""
    red, green, blue = images.split(1, 1)
    most = torch.maximum(torch.maximum(red, green), blue)
    chroma = most - torch.minimum(torch.minimum(red, green), blue)
    # In sixths of a turn times chroma: where blue is most, where green is, where red is.
    hue = (red - green).add_(chroma, alpha=4)
    hue.lerp_((blue - red).add_(chroma, alpha=2), _equal(green, most))
    hue.lerp_(green - blue, _equal(red, most))
    hue.div_(chroma.clamp_(min=1e-9)).div_(6).add_(turns)  # in turns
    # Red is most at 0 turns, green at 1/3, blue at 2/3: how far from there, 0 … 1/2.
    opposite = (9 - 2 * torch.arange(3, device=images.device)).view(3, 1, 1) / 6
    away = (hue + opposite).frac_().sub_(0.5).abs_()
    return torch.addcmul(most + chroma, chroma, away.clamp_(1 / 6, 1 / 3), value=-6)


def _equal(some: Tensor, others: Tensor) -> Tensor:
    """1 where they are, else 0: as numbers, which is seven times as fast as by booleans."""
    return torch.eq(some, others, out=torch.empty_like(others))
