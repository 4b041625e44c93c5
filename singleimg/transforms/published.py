"""The geometry of the published script, in torchvision's protocol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torchvision.transforms.v2 import functional as F

from singleimg.transforms.base import INTERPOLATIONS, RATIO, SUPPORT
from singleimg.transforms.elementary import radians, sin_cos, tan
from singleimg.transforms.geometry import CropResizeAffineLaw, RandomSquareCropLaw
from singleimg.transforms.pillow import LawfulTransform, neighbourhood, reflected

_RESAMPLING = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}


class RandomSquareCrop(LawfulTransform):
    """A square of side int(fraction·min(W, H)), anywhere in the image, each place as likely.

    Source: ``RandomCrop(int(initcrop*min(W, H)))`` of the published script.
    """

    def __init__(self, fraction: float) -> None:
        super().__init__(RandomSquareCropLaw(fraction))

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The square."""
        return F.crop(inpt, **params)


class CropResizeAffine(LawfulTransform):
    """Resized crop, rotation and shear, centre crop: one joint step.

    With ``corners="fill"`` it equals, pixel for pixel, torchvision's resized crop to a canvas of
    int(√2·size), ``affine`` (``rotate`` when ``shear`` is 0) with black fill, and centre crop.

    size: side of the result, pixels. scale: inverse area range, (500, 1) for 1/500 … 1 of the
    image; None for the largest centred square. ratio: range of width / height, log-uniform.
    degrees: largest rotation, 0 … 180. shear: largest x-shear, degrees, 0 … 80. corners: what
    rotation and shear open is black (``fill``), the crop continued by reflection (``reflect``), or
    what surrounds the crop in the image, reflected where the image ends (``image``). randinterp:
    draw one of bilinear, bicubic, lanczos for the resize. square: the random square that is cut out
    of the image before, if that is to be one step with the rest.

    Source: ``MyRandomResizedCrop`` (uniform area, rejection, no centre-crop fallback),
    ``RandomAffine``, ``CenterCrop`` of the published script.
    """

    def __init__(
        self,
        size: int,
        scale: Sequence[float] | None = (500, 1),
        ratio: Sequence[float] = RATIO,
        degrees: float = 0,
        shear: float = 0,
        corners: str = "fill",
        randinterp: bool = False,
        interpolation: str = "bicubic",
        square: RandomSquareCropLaw | None = None,
    ) -> None:
        super().__init__(
            CropResizeAffineLaw(
                size, scale, ratio, degrees, shear, corners, randinterp, interpolation, square
            )
        )

    def transform(self, inpt: Image.Image, params: dict[str, Any]) -> Image.Image:
        """A Pillow image in, a Pillow image of size×size out."""
        across, down = self._margins(params)
        if self.law.corners == "image":
            canvas = self._canvas_with_surroundings(inpt, params, across, down)
        else:
            box = [params[key] for key in ("top", "left", "height", "width")]
            resampling = F.InterpolationMode(params["interpolation"])
            canvas = F.resized_crop(inpt, *box, [self.law.canvas] * 2, interpolation=resampling)
            if self.law.corners == "reflect":
                canvas = reflected(canvas, across, down)
        return F.center_crop(self._turn(canvas, params), [self.law.size, self.law.size])

    def _turn(self, canvas: Image.Image, params: dict[str, Any]) -> Image.Image:
        bilinear = F.InterpolationMode.BILINEAR
        if self.law.shear:
            return F.affine(
                canvas,
                angle=params["angle"],
                translate=[0, 0],
                scale=1.0,
                shear=[params["shear"], 0.0],
                interpolation=bilinear,
                fill=0,
            )
        if self.law.degrees:
            return F.rotate(canvas, params["angle"], interpolation=bilinear, fill=0)
        return canvas

    def _margins(self, params: dict[str, Any]) -> tuple[int, int]:
        """How far beyond the canvas the result reaches, in canvas pixels, to each side.

        The extent of the result under torchvision's inverse affine matrix; two pixels more for the
        bilinear kernel; even, so that a centre crop rounds as it does without margins.
        """
        if self.law.corners == "fill":
            return 0, 0
        angle, slope = radians(params["angle"]), tan(radians(params["shear"]))
        sin, cos = sin_cos(angle)
        x = self.law.size / 2 * (abs(cos - sin * slope) + abs(cos * slope + sin))
        y = self.law.size / 2 * (abs(sin) + abs(cos))
        return tuple(2 * math.ceil(max(0.0, e - self.law.canvas / 2 + 2) / 2) for e in (x, y))

    def _canvas_with_surroundings(
        self, image: Image.Image, params: dict[str, Any], across: int, down: int
    ) -> Image.Image:
        """The canvas and its margins, resampled in one go from the neighbourhood of the crop."""
        support = SUPPORT[params["interpolation"]]
        columns, x0, x1 = self._reach(params["left"], params["width"], across, support)
        rows, y0, y1 = self._reach(params["top"], params["height"], down, support)
        near = neighbourhood(image, rows, columns)
        shape = (self.law.canvas + 2 * across, self.law.canvas + 2 * down)
        return near.resize(shape, _RESAMPLING[params["interpolation"]], box=(x0, y0, x1, y1))

    def _reach(
        self, start: int, length: int, margin: int, support: int
    ) -> tuple[range, float, float]:
        """Along one axis: the source pixels that are needed, and the box of floats in them."""
        step = length / self.law.canvas
        first, last = start - margin * step, start + length + margin * step
        around = math.ceil(support * max(step, 1)) + 1
        needed = range(math.floor(first) - around, math.ceil(last) + around)
        return needed, first - needed.start, last - needed.start
