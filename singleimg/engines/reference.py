"""The paper's own numerics: torchvision's transforms applied to Pillow images, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from singleimg.drawing import Pipeline, Sample


@dataclass(frozen=True)
class ReferenceEngine:
    """Renders with Pillow; slow and exact, the yardstick of every other engine."""

    name: str = "reference"

    def render(self, source: Image.Image, pipeline: Pipeline, sample: Sample) -> np.ndarray:
        """``sample`` rendered from ``source`` (RGB, 8 bit): ``uint8`` H×W×3."""
        return as_pixels(pipeline.render(source, sample))


def as_pixels(image: Any) -> np.ndarray:
    """A Pillow image or a 3×H×W tensor (``uint8``, or float in 0 … 1) as ``uint8`` H×W×3."""
    if isinstance(image, torch.Tensor):
        image = v2.functional.to_dtype(image, torch.uint8, scale=True).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
