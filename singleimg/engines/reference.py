"""The paper's own numerics: torchvision's transforms applied to Pillow images, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from singleimg.drawing.draws import Draws
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.base import Engine, Renderer
from singleimg.engines.picture import Picture


@dataclass(frozen=True)
class ReferenceEngine(Engine):
    """Renders with Pillow; slow and exact, the yardstick of every other engine."""

    name = "reference"

    def renderer(self, pipeline: Pipeline) -> Renderer:
        return ReferenceRenderer(pipeline)


class ReferenceRenderer(Renderer):
    """Transform by transform; ``slow`` is empty, since nothing here is slower than the rest."""

    def __init__(self, pipeline: Pipeline) -> None:
        import torchvision.transforms.v2  # noqa: F401, not with the first image

        self.slow: dict[str, str] = {}
        self._pipeline = pipeline

    def render(self, draws: Draws, pictures: Iterable[Picture]) -> Iterator[np.ndarray]:
        for picture, sample in zip(pictures, draws.samples, strict=True):
            yield as_pixels(self._pipeline.render(picture.image, sample))


def as_pixels(image: Any) -> np.ndarray:
    """A Pillow image or a 3×H×W tensor (``uint8``, or float in 0 … 1) as ``uint8`` H×W×3."""
    if isinstance(image, Image.Image):
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    import torch
    from torchvision.transforms.v2 import functional

    image = functional.to_dtype(image, torch.uint8, scale=True).permute(1, 2, 0).numpy()
    return np.ascontiguousarray(image)
