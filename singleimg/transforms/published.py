"""The transforms that torchvision does not have, in torchvision's own protocol.

``make_params`` draws (from ``torch.rand`` alone, in float64) and ``transform`` renders, so that
they work in any ``v2.Compose`` as well as in ours. For ours, which has numbers of its own,
``draw(numbers, size)`` does the same without torch; ``output_size`` tells what size will come out.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torchvision.transforms.v2 import functional as F

from singleimg.errors import UserError
from singleimg.transforms.base import (
    INTERPOLATIONS,
    RATIO,
    SUPPORT,
    Drawn,
    Uniforms,
    check_ranges,
    log_uniform,
    neighbourhood,
    random_corner,
    reflected,
)

CORNERS = ("fill", "reflect", "image")
_TRIES = 10_000
_RESAMPLING = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}


class RandomSquareCrop(Drawn):
    """A square of side int(fraction·min(W, H)), anywhere in the image, each place as likely.

    Source: ``RandomCrop(int(initcrop*min(W, H)))`` of the published script.
    """

    def __init__(self, fraction: float) -> None:
        super().__init__()
        if not 0 < fraction <= 1:
            raise UserError(f"RandomSquareCrop: fraction={fraction:g} is not over 0 and up to 1.")
        self.fraction = fraction

    def draw(self, numbers: Uniforms, size: tuple[int, int]) -> dict[str, Any]:
        """``top``, ``left``, ``height``, ``width``: whole pixels."""
        height, width = size
        side = int(self.fraction * min(height, width))
        if side < 1:
            raise UserError(
                f"the source, {width}×{height} pixels, is smaller than the crop allows: initcrop="
                f"{self.fraction:g} of its shorter side is less than one pixel, type a larger "
                "initcrop or use a larger image."
            )
        top, left = random_corner(numbers, height - side, width - side)
        return {"top": top, "left": left, "height": side, "width": side}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The square."""
        return F.crop(inpt, **params)

    def output_size(self, size: tuple[int, int], params: dict[str, Any]) -> tuple[int, int]:
        """Height and width of what comes out."""
        return params["height"], params["width"]


class CropResizeAffine(Drawn):
    """Resized crop, rotation and shear, centre crop: one joint step.

    With ``corners="fill"`` it equals, pixel for pixel, torchvision's resized crop to a canvas of
    int(√2·size), ``affine`` (``rotate`` when ``shear`` is 0) with black fill, and centre crop.

    size: side of the result, pixels. scale: inverse area range, (500, 1) for 1/500 … 1 of the
    image; None for the largest centred square. ratio: range of width / height, log-uniform.
    degrees: largest rotation, 0 … 180. shear: largest x-shear, degrees, 0 … 80. corners: what
    rotation and shear open is black (``fill``), the crop continued by reflection (``reflect``), or
    what surrounds the crop in the image, reflected where the image ends (``image``). randinterp:
    draw one of bilinear, bicubic, lanczos for the resize.

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
    ) -> None:
        super().__init__()
        check_ranges(self, degrees, ratio, scale)
        if not 0 <= shear <= 80:
            raise UserError(f"CropResizeAffine: shear={shear:g} is not from 0 to 80 degrees.")
        for name, value, allowed in (
            ("corners", corners, CORNERS),
            ("interpolation", interpolation, INTERPOLATIONS),
        ):
            if value not in allowed:
                raise UserError(
                    f"CropResizeAffine: {name}={value} is not one of {', '.join(allowed)}."
                )
        self.size, self.scale, self.ratio = size, scale, tuple(ratio)
        self.degrees, self.shear, self.corners = degrees, shear, corners
        self.randinterp, self.interpolation = randinterp, interpolation
        self.canvas = int(math.sqrt(2) * size)
        self.square: RandomSquareCrop | None = None

    def absorb(self, previous: Any) -> CropResizeAffine | None:
        """This transform with a ``RandomSquareCrop`` before it taken in, else None.

        Its boxes are then in pixels of the source, and ``corners="image"`` sees beyond the square.
        """
        if type(previous) is not RandomSquareCrop:
            return None
        joint = copy.deepcopy(self)
        joint.square = previous
        return joint

    def draw(self, numbers: Uniforms, size: tuple[int, int]) -> dict[str, Any]:
        """``top left height width`` (pixels), ``angle shear`` (degrees), ``interpolation``."""
        height, width = size
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

    def _draw_box(self, numbers: Uniforms, height: int, width: int) -> tuple[int, int, int, int]:
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

    def transform(self, inpt: Image.Image, params: dict[str, Any]) -> Image.Image:
        """A Pillow image in, a Pillow image of size×size out."""
        across, down = self._margins(params)
        if self.corners == "image":
            canvas = self._canvas_with_surroundings(inpt, params, across, down)
        else:
            box = [params[key] for key in ("top", "left", "height", "width")]
            resampling = F.InterpolationMode(params["interpolation"])
            canvas = F.resized_crop(inpt, *box, [self.canvas] * 2, interpolation=resampling)
            if self.corners == "reflect":
                canvas = reflected(canvas, across, down)
        return F.center_crop(self._turn(canvas, params), [self.size, self.size])

    def _turn(self, canvas: Image.Image, params: dict[str, Any]) -> Image.Image:
        bilinear = F.InterpolationMode.BILINEAR
        if self.shear:
            return F.affine(
                canvas,
                angle=params["angle"],
                translate=[0, 0],
                scale=1.0,
                shear=[params["shear"], 0.0],
                interpolation=bilinear,
                fill=0,
            )
        if self.degrees:
            return F.rotate(canvas, params["angle"], interpolation=bilinear, fill=0)
        return canvas

    def _margins(self, params: dict[str, Any]) -> tuple[int, int]:
        """How far beyond the canvas the result reaches, in canvas pixels, to each side.

        The extent of the result under torchvision's inverse affine matrix; two pixels more for the
        bilinear kernel; even, so that a centre crop rounds as it does without margins.
        """
        if self.corners == "fill":
            return 0, 0
        angle, slope = math.radians(params["angle"]), math.tan(math.radians(params["shear"]))
        cos, sin = math.cos(angle), math.sin(angle)
        x = self.size / 2 * (abs(cos - sin * slope) + abs(cos * slope + sin))
        y = self.size / 2 * (abs(sin) + abs(cos))
        return tuple(2 * math.ceil(max(0.0, e - self.canvas / 2 + 2) / 2) for e in (x, y))

    def _canvas_with_surroundings(
        self, image: Image.Image, params: dict[str, Any], across: int, down: int
    ) -> Image.Image:
        """The canvas and its margins, resampled in one go from the neighbourhood of the crop."""
        support = SUPPORT[params["interpolation"]]
        columns, x0, x1 = self._reach(params["left"], params["width"], across, support)
        rows, y0, y1 = self._reach(params["top"], params["height"], down, support)
        near = neighbourhood(image, rows, columns)
        shape = (self.canvas + 2 * across, self.canvas + 2 * down)
        return near.resize(shape, _RESAMPLING[params["interpolation"]], box=(x0, y0, x1, y1))

    def _reach(
        self, start: int, length: int, margin: int, support: int
    ) -> tuple[range, float, float]:
        """Along one axis: the source pixels that are needed, and the box of floats in them."""
        step = length / self.canvas
        first, last = start - margin * step, start + length + margin * step
        around = math.ceil(support * max(step, 1)) + 1
        needed = range(math.floor(first) - around, math.ceil(last) + around)
        return needed, first - needed.start, last - needed.start

    def output_size(self, size: tuple[int, int], params: dict[str, Any]) -> tuple[int, int]:
        """Height and width of what comes out."""
        return self.size, self.size
