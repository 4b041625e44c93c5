"""The laws of our own transforms, which move pixels. Imports no torch.

``published`` and ``paper`` hold the transforms of the same names, with what each of them means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from singleimg.errors import UserError
from singleimg.transforms.base import (
    CORNERS,
    INTERPOLATIONS,
    RATIO,
    Law,
    Measure,
    Numbers,
    Parameters,
    Spread,
    box_shape,
    check_ranges,
    log_of,
    log_uniform,
    random_corner,
)
from singleimg.transforms.elementary import cos, log, radians, sin, sin_cos

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
                f"RandomSquareCrop: fraction={self.fraction:g} is not over 0 and up to 1: type for "
                "example fraction=0.5."
            )

    def draw(self, numbers: Numbers, size: Measure) -> Parameters:
        """``top``, ``left``, ``height``, ``width``: whole pixels."""
        height, width = size().T
        side = (self.fraction * np.minimum(height, width)).astype(np.int64)
        if (side < 1).any():
            first = np.argmax(side < 1)
            raise UserError(
                f"the source, {width[first]}×{height[first]} pixels, is too small for "
                f"initcrop={self.fraction:g}, which cuts less than one pixel of it: type a larger "
                "initcrop, or use a larger image."
            )
        top, left = random_corner(numbers, height - side, width - side)
        return {"top": top, "left": left, "height": side, "width": side}

    def output_sizes(self, sizes: np.ndarray, params: Parameters) -> np.ndarray:
        return np.stack([params["height"], params["width"]], axis=1)


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
            raise UserError(
                f"CropResizeAffine: shear={self.shear:g} is not from 0 to 80 degrees: type for "
                "example shear=30."
            )
        for key, value, allowed in (
            ("corners", self.corners, CORNERS),
            ("interpolation", self.interpolation, INTERPOLATIONS),
        ):
            if value not in allowed:
                raise UserError(
                    f"CropResizeAffine: {key}={value} is not one of {', '.join(allowed)}: type for "
                    f"example {key}={allowed[0]}."
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

    def draw(self, numbers: Numbers, size: Measure) -> Parameters:
        """``top left height width`` (pixels), ``angle shear`` (degrees), ``interpolation``."""
        height, width = size().T
        top = left = np.zeros(len(numbers), np.int64)
        if self.square is not None:
            top, left, height, width = self.square.draw(numbers, size).values()
        box = self._draw_box(numbers, height, width)
        angle, shear, choice = numbers.uniform(), numbers.uniform(), numbers.uniform()
        names = np.array(INTERPOLATIONS if self.randinterp else [self.interpolation])
        return {
            "top": top + box[0],
            "left": left + box[1],
            "height": box[2],
            "width": box[3],
            "angle": (2 * angle - 1) * self.degrees,
            "shear": (2 * shear - 1) * self.shear,
            "interpolation": names[(choice * len(names)).astype(np.int64)],
        }

    def _draw_box(
        self, numbers: Numbers, height: np.ndarray, width: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Top, left, height, width of the boxes; an image draws until its box fits."""
        if self.scale is None:
            side = np.minimum(height, width)
            return (height - side) // 2, (width - side) // 2, side, side
        low, high = (height * width / inverse for inverse in self.scale)
        h, w = np.empty((2, len(numbers)), np.int64)
        todo = np.arange(len(numbers))
        for _ in range(_TRIES):
            some = numbers.of(todo)
            first, second = some.uniform(), some.uniform()
            area = low[todo] + (high[todo] - low[todo]) * first
            aspect = log_uniform(*map(log_of, self.ratio), second)
            w[todo], h[todo] = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
            fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
            todo = todo[~fits[todo]]
            if not len(todo):
                return *random_corner(numbers, height - h, width - w), h, w
        raise UserError(
            f"no crop of scale=[{self.scale[0]:g},{self.scale[1]:g}] fits into "
            f"{width[todo[0]]}×{height[todo[0]]} pixels in {_TRIES:,} tries: type a larger first "
            "number of scale, or use a larger or squarer image."
        )

    def output_sizes(self, sizes: np.ndarray, params: Parameters) -> np.ndarray:
        return np.full_like(sizes, self.size)

    def spreads(self) -> dict[str, Spread]:
        # Boxes that do not fit are drawn again: of areas and aspects no one law tells.
        return {
            "angle": Spread(-self.degrees, self.degrees),
            "shear": Spread(-self.shear, self.shear),
        }

    def derived(self, params: Parameters, sizes: np.ndarray) -> Parameters:
        if self.square is not None:  # of which the area is a share
            side = (self.square.fraction * sizes.min(axis=1)).astype(np.int64)
            sizes = np.stack([side, side], axis=1)
        return box_shape(params, sizes)


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
            raise UserError(
                f"RotatedCrop: area={self.area} is not one of uniform, log: type for example "
                "area=log."
            )

    def draw(self, numbers: Numbers, size: Measure) -> Parameters:
        """``angle`` (degrees), ``width height`` of the patch and its centre ``u v`` (pixels).

        ``u`` is to the right and ``v`` down from the centre of the source, all floats.
        """
        H, W = size().T
        draws = [numbers.uniform() for _ in range(5)]
        angle = (2 * draws[0] - 1) * self.degrees
        if self.scale is None:
            worst = radians(min(self.degrees, 45))
            side, none = np.minimum(H, W) / (cos(worst) + sin(worst)), np.zeros(len(numbers))
            return {"angle": angle, "width": side, "height": side, "u": none, "v": none}
        sine, cosine = map(np.abs, sin_cos(radians(angle)))
        aspect = log_uniform(*map(log_of, self.ratio), draws[1])
        tallest = np.minimum(W / (aspect * cosine + sine), H / (aspect * sine + cosine))
        area = self._draw_area(aspect * (tallest * tallest), H * W, draws[2])
        w, h = np.sqrt(area * aspect), np.sqrt(area / aspect)
        u = (2 * draws[3] - 1) * np.maximum(0.0, W - w * cosine - h * sine) / 2
        v = (2 * draws[4] - 1) * np.maximum(0.0, H - w * sine - h * cosine) / 2
        return {"angle": angle, "width": w, "height": h, "u": u, "v": v}

    def _draw_area(self, largest: np.ndarray, whole: np.ndarray, draw: np.ndarray) -> np.ndarray:
        low, high = whole / self.scale[0], np.minimum(whole / self.scale[1], largest)
        if (low > high).any():
            first = np.argmax(low > high)
            raise UserError(
                f"scale=[{self.scale[0]:g},{self.scale[1]:g}] needs patches of at least "
                f"1/{self.scale[0]:g} of the image, and at deg={self.degrees:g} some angles leave "
                f"room for only 1/{whole[first] / largest[first]:.3g}: type a larger first number, "
                "or a smaller deg."
            )
        if self.area == "log":
            return log_uniform(log(low), log(high), draw)
        return low + (high - low) * draw

    def output_sizes(self, sizes: np.ndarray, params: Parameters) -> np.ndarray:
        return np.full_like(sizes, self.size)

    def spreads(self) -> dict[str, Spread]:
        found = {"angle": Spread(-self.degrees, self.degrees)}
        # The area of each patch has a limit of its own: of all together no one law tells.
        return found if self.scale is None else {**found, "aspect": Spread(*self.ratio, log=True)}

    def derived(self, params: Parameters, sizes: np.ndarray) -> Parameters:
        return box_shape(params, sizes)
