"""Image ``i`` as a pure function of the recipe and ``i``: draw it, render it, store nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from singleimg import config, saved
from singleimg.drawing import Pipeline, Sample
from singleimg.errors import UserError
from singleimg.picture import Pictures
from singleimg.recipe import read_recipe
from singleimg.source import Source


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

    @classmethod
    def from_config(
        cls,
        cfg: DictConfig,
        shared: Path | None = None,
        sources: Sequence[str] | None = None,
    ) -> SingleImage:
        """From a composed configuration (``image``, ``augment``, ``engine``, …).

        It may name our and torchvision's classes, and those below ``cfg.trusted_modules``.
        ``shared``: a folder of pictures that are decoded already (``Pictures.share``).
        ``sources``: hashes of the pictures (``source.hashes``); UserError when one is another now.
        """
        return cls(
            config.instantiate(cfg, "image"),
            config.instantiate_transforms(cfg),
            config.instantiate(cfg, "engine"),
            img_size=cfg.img_size,
            seed=cfg.seed,
            shared=shared,
            sources=sources,
        )

    @classmethod
    def open(cls, folder: str | Path, trusted_modules: Sequence[str] = ()) -> SingleImage:
        """From the ``config.resolved.yaml`` of a dataset on disk.

        ``trusted_modules``: packages of yours whose transforms it names; what the file itself says
        of that does not count. Raises UserError when a source is not what it was.
        """
        cfg = saved.load(Path(folder), trusted_modules)
        recipe = Path(folder) / "recipe.json"
        sources = read_recipe(recipe).pixels["sources"] if recipe.exists() else None
        return cls.from_config(cfg, sources=sources)

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
