"""The paper's own geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PIL import Image

from singleimg.errors import UserError
from singleimg.transforms.base import RATIO, Drawn, Uniforms, check_ranges, log_uniform, reflected


class RotatedCrop(Drawn):
    """A patch of any angle, shape and place that lies wholly in the image: the paper's geometry.

    Defined without rejection, with five draws: the angle α uniform in ± degrees; the aspect
    r = width / height log-uniform in ``ratio``; the area uniform (or log-uniform, ``area="log"``)
    between the smallest of ``scale`` and the largest that fits at α and r; the centre uniform where
    the patch stays inside. Angle and aspect are therefore unbiased and no pixel comes from beyond
    the image. The whole image can come only at α = 0 with a fitting aspect.

    scale: inverse area range, (1000, 1) for 1/1000 … 1 of the image; None for one fixed centred
    square, the largest that fits at every angle up to ``degrees``. size: side of the result.

    ``transform`` rotates the whole source; slow and plain, it is what faster kernels are held to.
    Source: section 3 of the paper (rotation before the crop, minimal area β = 1/1000, ± 35°).
    """

    def __init__(
        self,
        size: int,
        scale: Sequence[float] | None = (1000, 1),
        ratio: Sequence[float] = RATIO,
        degrees: float = 35,
        area: str = "uniform",
    ) -> None:
        super().__init__()
        check_ranges(self, degrees, ratio, scale)
        if area not in ("uniform", "log"):
            raise UserError(f"RotatedCrop: area={area} is not one of uniform, log.")
        self.size, self.scale, self.ratio = size, scale, tuple(ratio)
        self.degrees, self.area = degrees, area

    def draw(self, numbers: Uniforms, size: tuple[int, int]) -> dict[str, Any]:
        """``angle`` (degrees), ``width height`` of the patch and its centre ``u v`` (pixels).

        ``u`` is to the right and ``v`` down from the centre of the source, all floats.
        """
        H, W = size
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

    def transform(self, inpt: Image.Image, params: dict[str, Any]) -> Image.Image:
        """A Pillow image in, a Pillow image of size×size out."""
        w, h = params["width"], params["height"]
        # Antialiasing looks beyond the patch: where that is beyond the source, it is reflected.
        margin = math.ceil(max(w, h) / self.size) + 2
        turned = reflected(inpt, margin, margin)
        if params["angle"]:
            turned = turned.rotate(params["angle"], Image.Resampling.BILINEAR, expand=True)
        angle = math.radians(params["angle"])
        cos, sin = math.cos(angle), math.sin(angle)
        x = turned.width / 2 + params["u"] * cos + params["v"] * sin
        y = turned.height / 2 - params["u"] * sin + params["v"] * cos
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        return turned.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box)

    def output_size(self, size: tuple[int, int], params: dict[str, Any]) -> tuple[int, int]:
        """Height and width of what comes out."""
        return self.size, self.size
