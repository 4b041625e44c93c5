"""A whole image by docs/raster.md: what was drawn, applied step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from singleimg.drawing.draws import Sample
from singleimg.drawing.pipeline import Pipeline
from singleimg.drawing.steps import ContainerStep, Step
from tests.engines.raster.oracle import geometry, resampling
from tests.engines.raster.oracle.colour import colour
from tests.engines.raster.oracle.resampling import Picture

INTERPOLATIONS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # as Pillow numbers them
BOX = ("left", "top", "width", "height")
CROP = ("top", "left", "height", "width")
JITTER = ("brightness", "contrast", "saturation", "hue")


def render(source: Picture, pipeline: Pipeline, sample: Sample) -> np.ndarray:
    """uint8 H×W×3; ``source`` is ``Picture.of_source`` of pixels."""
    picture = source
    for step, drawn in zip(pipeline.steps, sample.params, strict=True):
        picture = after(picture, step, drawn)
    return picture.pixels


def after(picture: Picture, step: Step, drawn: dict[str, Any]) -> Picture:
    if isinstance(step, ContainerStep):
        for position, child in zip(drawn["order"], drawn["transforms"], strict=True):
            picture = after(picture, step.children[position], child["params"])
        return picture
    if not drawn.get("apply", True):
        return picture
    return TRANSFORMS[step.name](picture, step.settings(), drawn)


def filter_of(interpolation: Any) -> str:
    name = getattr(interpolation, "value", interpolation)
    return INTERPOLATIONS.get(name, name)


def _resize(picture: Picture, law: Any, drawn: dict[str, Any]) -> Picture:
    height, width = picture.pixels.shape[:2]
    ((h, w),) = law.output_sizes(np.array([[height, width]]), {}).tolist()
    kind = filter_of(law.interpolation)
    return Picture.changed(resampling.resize(picture, (0, 0, width, height), (h, w), kind))


def _resized_crop(picture: Picture, settings: Any, drawn: dict[str, Any]) -> Picture:
    box, kind = tuple(drawn[key] for key in BOX), filter_of(settings.interpolation)
    return Picture.changed(resampling.resize(picture, box, tuple(settings.size), kind))


def _crop(picture: Picture, law: Any, drawn: dict[str, Any]) -> Picture:
    return geometry.crop(picture, *(drawn[key] for key in CROP))


def _blur(picture: Picture, law: Any, drawn: dict[str, Any]) -> Picture:
    return Picture.changed(geometry.gaussian_blur(picture, law.kernel_size, drawn["sigma"]))


def _factor(factor: float) -> int:
    f = min(max(factor - 1.0, -1.0), 255.0)
    for s in range(10):
        Q = math.floor(f * 2.0 ** (16 - s) + 0.5)
        if -32768 <= Q <= 32767:
            return Q * 2**s
    raise AssertionError(factor)


def _jitter(picture: Picture, law: Any, drawn: dict[str, Any]) -> Picture:
    operations = []
    for place in drawn["fn_idx"]:
        factor = drawn[f"{JITTER[place]}_factor"]
        if factor is not None:
            number = math.trunc(255 * factor) % 256 if place == 3 else _factor(factor)
            operations.append((place + 1, number))
    return _coloured(picture, operations)


def _coloured(picture: Picture, operations: Sequence[tuple[int, int]]) -> Picture:
    if not operations:
        return picture
    return Picture.changed(colour(picture.pixels, operations))


TRANSFORMS = {
    "CropResizeAffine": lambda picture, law, drawn: Picture.changed(
        geometry.crop_resize_affine(picture, law, drawn)
    ),
    "RotatedCrop": lambda picture, law, drawn: Picture.changed(
        geometry.rotated_crop(picture, law, drawn)
    ),
    "Resize": _resize,
    "RandomResizedCrop": _resized_crop,
    "RandomSquareCrop": _crop,
    "RandomCrop": _crop,
    "CenterCrop": lambda picture, law, drawn: geometry.center_crop(picture, *law.size),
    "RandomHorizontalFlip": lambda picture, law, drawn: Picture.changed(picture.pixels[:, ::-1]),
    "RandomVerticalFlip": lambda picture, law, drawn: Picture.changed(picture.pixels[::-1]),
    "Identity": lambda picture, law, drawn: picture,
    "GaussianBlur": _blur,
    "ColorJitter": _jitter,
    "Grayscale": lambda picture, law, drawn: _coloured(picture, [(5, 0)]),
    "RandomGrayscale": lambda picture, law, drawn: _coloured(picture, [(5, 0)]),
    "RandomInvert": lambda picture, law, drawn: _coloured(picture, [(6, 0)]),
    "RandomSolarize": lambda picture, law, drawn: _coloured(
        picture, [(7, sum(level < law.threshold for level in range(256)))]
    ),
    "RandomPosterize": lambda picture, law, drawn: _coloured(
        picture, [(8, 256 - 2 ** (8 - law.bits))]
    ),
}
