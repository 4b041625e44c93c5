"""The laws of our own transforms, which move pixels. Imports no torch.

``published`` and ``paper`` hold the transforms of the same names, with what each of them means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from singleimg.errors import UserError
from singleimg.transforms.base import (
    CORNERS,
    INTERPOLATIONS,
    RATIO,
    Law,
    Measure,
    Numbers,
    Size,
    check_ranges,
    log_uniform,
    random_corner,
)

_TRIES = 10_000


@dataclass(frozen=True)
class RandomSquareCropLaw(Law):
    """fraction: side of the square, of the image's shorter side, over 0 … 1."""

    name = "RandomSquareCrop"
    home = "singleimg.transforms"

    fraction: float

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise UserError(
                f"RandomSquareCrop: fraction={self.fraction:g} is not over 0 and up to 1."
            )

    def draw(self, numbers: Numbers, size: Measure) -> dict[str, Any]:
        """``top``, ``left``, ``height``, ``width``: whole pixels."""
        height, width = size()
        side = int(self.fraction * min(height, width))
        if side < 1:
            raise UserError(
                f"the source, {width}×{height} pixels, is smaller than the crop allows: initcrop="
                f"{self.fraction:g} of its shorter side is less than one pixel, type a larger "
                "initcrop or use a larger image."
            )
        top, left = random_corner(numbers, height - side, width - side)
        return {"top": top, "left": left, "height": side, "width": side}

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        return params["height"], params["width"]


@dataclass(frozen=True)
class CropResizeAffineLaw(Law):
    """``square``: a random square that is cut first, taken in from the transform before."""

    name = "CropResizeAffine"
    home = "singleimg.transforms"

    size: int
    scale: Sequence[float] | None = (500, 1)
    ratio: Sequence[float] = RATIO
    degrees: float = 0
    shear: float = 0
    corners: str = "fill"
    randinterp: bool = False
    interpolation: str = "bicubic"
    square: RandomSquareCropLaw | None = None

    def __post_init__(self) -> None:
        check_ranges(self.name, self.degrees, self.ratio, self.scale)
        if not 0 <= self.shear <= 80:
            raise UserError(f"CropResizeAffine: shear={self.shear:g} is not from 0 to 80 degrees.")
        for key, value, allowed in (
            ("corners", self.corners, CORNERS),
            ("interpolation", self.interpolation, INTERPOLATIONS),
        ):
            if value not in allowed:
                raise UserError(
                    f"CropResizeAffine: {key}={value} is not one of {', '.join(allowed)}."
                )

    @property
    def canvas(self) -> int:
        """Side of what the crop is resized to before it is turned, pixels."""
        return int(math.sqrt(2) * self.size)

    def absorb(self, previous: Law) -> CropResizeAffineLaw | None:
        """With a ``RandomSquareCrop`` before it, one joint step.

        Its boxes are then in pixels of the source, and ``corners="image"`` sees beyond the square.
        """
        return replace(self, square=previous) if type(previous) is RandomSquareCropLaw else None

    def draw(self, numbers: Numbers, size: Measure) -> dict[str, Any]:
        """``top left height width`` (pixels), ``angle shear`` (degrees), ``interpolation``."""
        height, width = size()
        top, left = 0, 0
        if self.square is not None:
            top, left, height, width = self.square.draw(numbers, size).values()
        box = self._draw_box(numbers, height, width)
        angle, shear, choice = numbers.uniform(), numbers.uniform(), numbers.uniform()
        chosen = INTERPOLATIONS[int(choice * len(INTERPOLATIONS))]
        return {
            "top": top + box[0],
            "left": left + box[1],
            "height": box[2],
            "width": box[3],
            "angle": (2 * angle - 1) * self.degrees,
            "shear": (2 * shear - 1) * self.shear,
            "interpolation": chosen if self.randinterp else self.interpolation,
        }

    def _draw_box(self, numbers: Numbers, height: int, width: int) -> tuple[int, int, int, int]:
        if self.scale is None:
            side = min(height, width)
            return (height - side) // 2, (width - side) // 2, side, side
        low, high = (height * width / inverse for inverse in self.scale)
        for _ in range(_TRIES):
            first, second = numbers.uniform(), numbers.uniform()
            area = low + (high - low) * first
            aspect = log_uniform(*self.ratio, second)
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return *random_corner(numbers, height - h, width - w), h, w
        raise UserError(
            f"no crop of scale=[{self.scale[0]:g},{self.scale[1]:g}] fits into {width}×{height} "
            f"pixels in {_TRIES:,} tries: type a larger first number of scale, or use a larger or "
            "squarer image."
        )

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        return self.size, self.size


@dataclass(frozen=True)
class RotatedCropLaw(Law):
    """Five draws, none rejected."""

    name = "RotatedCrop"
    home = "singleimg.transforms"

    size: int
    scale: Sequence[float] | None = (1000, 1)
    ratio: Sequence[float] = RATIO
    degrees: float = 35
    area: str = "uniform"

    def __post_init__(self) -> None:
        check_ranges(self.name, self.degrees, self.ratio, self.scale)
        if self.area not in ("uniform", "log"):
            raise UserError(f"RotatedCrop: area={self.area} is not one of uniform, log.")

    def draw(self, numbers: Numbers, size: Measure) -> dict[str, Any]:
        """``angle`` (degrees), ``width height`` of the patch and its centre ``u v`` (pixels).

        ``u`` is to the right and ``v`` down from the centre of the source, all floats.
        """
        H, W = size()
        draws = [numbers.uniform() for _ in range(5)]
        angle = (2 * draws[0] - 1) * self.degrees
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        if self.scale is None:
            worst = math.radians(min(self.degrees, 45))
            w = h = min(H, W) / (math.cos(worst) + math.sin(worst))
            return {"angle": angle, "width": w, "height": h, "u": 0.0, "v": 0.0}
        aspect = log_uniform(*self.ratio, draws[1])
        tallest = min(W / (aspect * cos + sin), H / (aspect * sin + cos))
        area = self._draw_area(aspect * tallest**2, H * W, draws[2])
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        u = (2 * draws[3] - 1) * max(0.0, W - w * cos - h * sin) / 2
        v = (2 * draws[4] - 1) * max(0.0, H - w * sin - h * cos) / 2
        return {"angle": angle, "width": w, "height": h, "u": u, "v": v}

    def _draw_area(self, largest: float, whole: float, draw: float) -> float:
        low, high = whole / self.scale[0], min(whole / self.scale[1], largest)
        if low > high:
            raise UserError(
                f"scale=[{self.scale[0]:g},{self.scale[1]:g}] asks for patches of at least "
                f"1/{self.scale[0]:g} of the image, and at deg={self.degrees:g} some angles leave "
                f"room for 1/{whole / largest:.3g} only: type a larger first number, or a "
                "smaller deg."
            )
        return log_uniform(low, high, draw) if self.area == "log" else low + (high - low) * draw

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        return self.size, self.size
