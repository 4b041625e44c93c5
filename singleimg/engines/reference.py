"""The paper's own numerics: torchvision's transforms applied to Pillow images, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchvision.transforms import v2

from singleimg.drawing.pipeline import Pipeline, Sample
from singleimg.engines.base import Engine
from singleimg.engines.picture import Picture


@dataclass(frozen=True)
class ReferenceEngine(Engine):
    """Renders with Pillow; slow and exact, the yardstick of every other engine."""

    def plan(self, pipeline: Pipeline) -> ReferencePlan:
        """The pipeline as it is."""
        return ReferencePlan(pipeline)


class ReferencePlan:
    """Transform by transform; ``slow`` is empty, since nothing here is slower than the rest."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.slow: dict[str, str] = {}
        self._pipeline = pipeline

    def render(self, picture: Picture, sample: Sample) -> np.ndarray:
        """``sample`` rendered from ``picture``: ``uint8`` H×W×3."""
        return as_pixels(self._pipeline.render(picture.image, sample))


def as_pixels(image: Any) -> np.ndarray:
    """A Pillow image or a 3×H×W tensor (``uint8``, or float in 0 … 1) as ``uint8`` H×W×3."""
    if isinstance(image, torch.Tensor):
        image = v2.functional.to_dtype(image, torch.uint8, scale=True).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
