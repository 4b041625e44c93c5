"""Image ``i`` as a pure function of the recipe and ``i``; knows no configuration.

``SingleImage.open`` and ``SingleImage.from_config`` are joined in ``singleimg/__init__``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from singleimg.drawing.columns import Columns
from singleimg.drawing.pipeline import Pipeline, Sample
from singleimg.engines.picture import Pictures
from singleimg.errors import UserError
from singleimg.sources.base import Source


class SingleImage:
    """The endless set of images that one recipe describes.

    >>> images = SingleImage.open("outputs/…")     # a folder that run.py made
    >>> images.draw(7).record()                    # what was drawn for image 7
    >>> images.render(7)                           # its pixels, uint8 H×W×3
    """

    def __init__(
        self,
        source: Source,
        transforms: Sequence[Callable],
        engine: Any,
        *,
        img_size: int,
        seed: int = 0,
        shared: Path | None = None,
        sources: Sequence[str] | None = None,
    ) -> None:
        self.pictures = Pictures(source, shared, sources)
        self.pipeline = Pipeline(transforms)
        self.engine = engine
        self.plan = engine.plan(self.pipeline)
        self.img_size, self.seed = img_size, seed

    def columns(self) -> Columns:
        """What is drawn for each image, as columns of a table."""
        return Columns(self.pipeline, self.pictures.size_of(0))

    def draw(self, index: int) -> Sample:
        """The drawn parameters of image ``index`` (0 or more); renders nothing."""
        return self.pipeline.draw(self.seed, index, len(self.pictures), self.pictures.size_of)

    def render(self, index: int) -> np.ndarray:
        """The pixels of image ``index``: ``uint8`` img_size×img_size×3, RGB."""
        return self.render_sample(self.draw(index))

    def render_sample(self, sample: Sample) -> np.ndarray:
        """The pixels of what :meth:`draw` returned."""
        pixels = self.plan.render(self.pictures.load(sample.source), sample)
        if pixels.shape != (self.img_size, self.img_size, 3):
            height, width = pixels.shape[:2]
            raise UserError(
                f"augment.transforms give an image of {width}×{height} pixels where img_size="
                f"{self.img_size} is asked for: end the list with "
                "torchvision.transforms.v2.Resize or CenterCrop of size ${img_size}."
            )
        return pixels
