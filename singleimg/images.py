"""Image ``i`` as a pure function of the recipe and ``i``; knows no configuration.

``SingleImage.open`` and ``SingleImage.from_config`` are joined in ``singleimg/__init__``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from singleimg.drawing.columns import Columns
from singleimg.drawing.draws import Draws, Sample
from singleimg.drawing.pipeline import Pipeline
from singleimg.drawing.steps import LawStep, Step
from singleimg.engines.base import Engine, Renderer
from singleimg.engines.picture import Few, Pictures
from singleimg.errors import UserError, misfit
from singleimg.sources.base import Source

if TYPE_CHECKING:
    from omegaconf import DictConfig

_DRAWS = 32


class SingleImage:
    """The endless set of images that one recipe describes.

    >>> images = SingleImage.open("outputs/…")     # a folder that run.py made
    >>> images.draw(7).record()                    # what was drawn for image 7
    >>> images.render(7)                           # its pixels, uint8 H×W×3

    source: the pictures. transforms: steps, or transforms in torchvision's protocol. engine: who
    renders. img_size: side of an image, pixels. seed: 0 … 2^63 - 1. sources: hashes of the
    pictures (``sources.base.hashes``); UserError when one is another now.

    Small to pickle, and to unpickle without torch where all transforms are known by their laws:
    each process decodes pictures and makes a renderer for itself, when it first needs them.
    """

    def __init__(
        self,
        source: Source,
        transforms: Sequence[Step | Callable],
        engine: Engine,
        *,
        img_size: int,
        seed: int = 0,
        sources: Sequence[str] | None = None,
    ) -> None:
        self.pictures = Pictures(source, expected=sources)
        self.pipeline = Pipeline(transforms)
        self.engine = engine
        self.img_size, self.seed = img_size, seed

    if TYPE_CHECKING:  # see singleimg/dataset/open.py; joined in singleimg/__init__

        @staticmethod
        def open(
            source: str | Path | DictConfig, trusted_modules: Sequence[str] = (), **keys: Any
        ) -> SingleImage: ...

        @staticmethod
        def from_config(
            cfg: DictConfig, sources: Sequence[str] | None = None, source: Source | None = None
        ) -> SingleImage: ...

    def __repr__(self) -> str:
        steps = " → ".join(step.name for step in self.pipeline.steps)
        return (
            f"SingleImage({self.pictures.source}, {steps or 'no transforms'}, "
            f"img_size={self.img_size}, seed={self.seed}, engine={self.engine.name})"
        )

    def _repr_html_(self) -> str:
        """In a notebook: the first images."""
        from singleimg.report.notebook import SHOWN, display  # workers have no use for it

        return display(self.render_many(range(SHOWN)), repr(self))

    @cached_property
    def renderer(self) -> Renderer:
        """Who renders in this process."""
        renderer = self.engine.renderer(self.pipeline)
        if not isinstance(renderer, Renderer):
            raise misfit(f"{type(self.engine).__name__}.renderer", renderer, "a Renderer")
        return renderer

    def set_up_process(self) -> None:
        """Makes this process ready to render: once in each, before its first image."""
        _ = self.renderer  # first: what it imports may have threads of its own
        self.engine.set_up_process()

    def of(self, pictures: Pictures | Few) -> SingleImage:
        """The same recipe of other pictures, by the same renderer."""
        other = copy.copy(self)
        other.pictures, other.renderer = pictures, self.renderer
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "renderer"}

    def columns(self) -> Columns:
        """What is drawn for each image, as columns of a table."""
        return Columns(self.pipeline, self.pictures.size_of(0))

    def draw(self, index: int) -> Sample:
        """The drawn parameters of image ``index`` (0 or more); renders nothing."""
        return self.draw_many([index]).samples[0]

    def draw_many(self, indices: Sequence[int]) -> Draws:
        """The drawn parameters of many images at once, as columns."""
        pictures = self.pictures
        return self.pipeline.draw_many(self.seed, indices, len(pictures), pictures.size_of)

    def varies(self) -> bool:
        """Whether images of one picture differ from one another, as far as a few draws show."""
        leaves = [leaf for step in self.pipeline.steps for leaf in step.leaves()]
        if not all(isinstance(leaf, LawStep) for leaf in leaves):
            return True  # what has no law may draw while it renders
        first, *others = self.draw_many(range(_DRAWS)).samples
        return any(sample.params != first.params for sample in others)

    def render(self, index: int) -> np.ndarray:
        """The pixels of image ``index``: ``uint8`` img_size×img_size×3, RGB."""
        return self.render_many([index])[0]

    def render_many(self, indices: Sequence[int]) -> list[np.ndarray]:
        """The pixels of many images, in the same order."""
        return list(self.render_drawn(self.draw_many(indices)))

    def render_drawn(self, draws: Draws) -> Iterator[np.ndarray]:
        """The pixels of what :meth:`draw_many` returned, made one after the other."""
        pictures = (self.pictures.load(source) for source in draws.sources.tolist())
        images, made = self.renderer.render(draws, pictures), 0
        name = f"{type(self.renderer).__name__}.render"
        if not isinstance(images, Iterable):
            raise misfit(name, images, "an array for each sample")
        for pixels in images:
            made += 1
            if made > len(draws):
                break
            if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3:
                raise misfit(name, pixels, "for each sample an array, uint8 H×W×3,")
            if pixels.shape != (self.img_size, self.img_size, 3):
                height, width = pixels.shape[:2]
                raise UserError(
                    f"augment.transforms give images of {width}×{height} pixels, not of "
                    f"img_size={self.img_size}: end the list with "
                    "torchvision.transforms.v2.Resize or CenterCrop of size ${img_size}."
                )
            yield pixels
        if made != len(draws):
            raise misfit(name, images, f"an array for each of {len(draws)} samples")
