"""The paper's own geometry, in torchvision's protocol."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PIL import Image

from singleimg.transforms.base import RATIO
from singleimg.transforms.elementary import radians, sin_cos
from singleimg.transforms.geometry import RotatedCropLaw
from singleimg.transforms.pillow import LawfulTransform, reflected


class RotatedCrop(LawfulTransform):
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
        super().__init__(RotatedCropLaw(size, scale, ratio, degrees, area))

    def transform(self, inpt: Image.Image, params: dict[str, Any]) -> Image.Image:
        """A Pillow image in, a Pillow image of size×size out."""
        w, h = params["width"], params["height"]
        # Antialiasing looks beyond the patch: where that is beyond the source, it is reflected.
        margin = math.ceil(max(w, h) / self.law.size) + 2
        turned = reflected(inpt, margin, margin)
        if params["angle"]:
            turned = turned.rotate(params["angle"], Image.Resampling.BILINEAR, expand=True)
        sin, cos = sin_cos(radians(params["angle"]))
        x = turned.width / 2 + params["u"] * cos + params["v"] * sin
        y = turned.height / 2 - params["u"] * sin + params["v"] * cos
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        return turned.resize((self.law.size, self.law.size), Image.Resampling.BILINEAR, box=box)
