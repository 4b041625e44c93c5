"""What the images of a dataset show, for those who compare datasets."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from omegaconf import DictConfig
from PIL import Image

from singleimg.dataset.open import from_config, saved_config
from singleimg.dataset.target import Target
from singleimg.errors import UserError
from singleimg.outputs.resolve import described
from singleimg.sources.base import Source

_FEWEST, _MEASURED = 8, 64  # images that are drawn, and rendered, to measure what they show
_PIXELS = 64 * 256**2  # of all that are rendered, about
# What leaves each pixel where it is: by the last part of a transform's name.
_COLOURS = ("ColorJitter", "Color", "Gray", "Grey", "Blur", "Solarize", "Posterize", "Equalize",
            "Contrast", "Invert", "Sharpness", "Brightness", "Noise", "Photometric")  # fmt: skip


def first_images(folder: str, count: int) -> list[np.ndarray]:
    """The first images of a dataset, as they lie there: ``uint8`` H×W×3."""
    target = Target.at(folder)
    recipe = target.recipe()
    encoding = recipe.pixels["encoder"]["encoding"]
    reader = described(recipe.layout, encoding=encoding).reader(target.store)
    files = reader.read_all(range(count))
    return [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]


def measured(folder: str) -> tuple[float | None, float | None]:
    """The mean share of pixels that show nothing of the picture, and the mean share of it that an
    image is cut from, each 0 … 1; None where that cannot be told.
    """
    try:
        cfg, sources = saved_config(folder, ())
        images = from_config(cfg, sources)
        samples = images.draw_many(range(_MEASURED)).samples
        sizes = [images.pictures.size_of(k) for k in range(len(images.pictures))]
    except UserError:  # of a class of somebody's own, of a picture that is gone
        return None, None
    areas = []
    for sample in samples:
        height, width = sizes[sample.source]
        boxes = [one for one in sample.params if {"height", "width"} <= set(one)]
        areas += [one["height"] * one["width"] / (height * width) for one in boxes[-1:]]
    return fill_share(cfg, sizes[0]), sum(areas) / len(areas) if areas else None


def fill_share(cfg: DictConfig, size: tuple[int, int]) -> float | None:
    """The mean share of pixels that show nothing of a picture of this height and width, 0 … 1.

    By rendering a white picture of the same size: what is not white is not of it. None where that
    cannot be told.
    """
    cfg = cfg.copy()
    cfg.augment.transforms = [one for one in cfg.augment.transforms if not _is_colour(one)]
    count = max(_FEWEST, min(_MEASURED, _PIXELS // cfg.img_size**2))
    try:
        white = from_config(cfg, source=_White(size))
        seen = [pixels.mean() / 255 for pixels in white.render_many(range(count))]
    except UserError:
        return None
    return 1 - sum(seen) / len(seen)


def _is_colour(entry: Any) -> bool:
    """Whether a transform, or all that one holds, changes colours alone."""
    inner = entry.get("transforms")
    if inner:
        return all(_is_colour(one) for one in inner)
    name = str(entry.get("_target_")).rpartition(".")[2]
    return any(part in name for part in _COLOURS)


class _White(Source):
    """A white picture of a size, in pixels: height, width."""

    name = "white"

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> np.ndarray:
        return np.full((*self._size, 3), 255, np.uint8)

    def where(self, k: int) -> str:
        return "a white picture"
