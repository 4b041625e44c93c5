"""Settings and draws of colour transforms as operations of the raster, for many images at once.

An operation is a pair of whole numbers: which one, and its factor, turn, threshold or mask. What
each does to a pixel says the section "Colour" of docs/raster.md. Float64 is used here and nowhere
below, in + − × and floor only, so that the numbers are the same on every processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

import numpy as np

from singleimg.transforms.base import Law
from singleimg.transforms.torchvision import (
    ColorJitterLaw,
    GrayscaleLaw,
    RandomGrayscaleLaw,
    RandomInvertLaw,
    RandomPosterizeLaw,
    RandomSolarizeLaw,
)

Columns = Mapping[str, Any]  # by name what n images drew: arrays, n or n×k; None: left out for all

_LARGEST = 255  # of a factor less 1: whatever differs from its grey is black or white from there on


class Operation(IntEnum):
    """As in c/colour.c; those of ColorJitter in its order."""

    NOTHING = 0
    BRIGHTNESS = 1
    CONTRAST = 2
    SATURATION = 3
    HUE = 4
    GREYSCALE = 5
    INVERT = 6
    SOLARIZE = 7
    POSTERIZE = 8


def blend_numbers(factors: np.ndarray) -> np.ndarray:
    """Factors of brightness, contrast, saturation (float64, ≥ 0, up to infinity) as int32.

    ``factor − 1`` in units of 1/65536, of which as few of the last bits are 0 as let the others fit
    16 with the sign.
    """
    beyond = np.fmin(np.fmax(factors - 1.0, -1.0), _LARGEST)
    numbers = np.floor(beyond * 65536 + 0.5)
    for shift in range(1, 10):
        coarser = np.floor(beyond * (65536 >> shift) + 0.5)
        fits = (numbers >= -32768 << shift - 1) & (numbers <= 32767 << shift - 1)
        numbers = np.where(fits, numbers, coarser * (1 << shift))
    return numbers.astype(np.int32)


def hue_numbers(factors: np.ndarray) -> np.ndarray:
    """Factors of hue (float64, −0.5 … 0.5 of a whole turn) as int32, 0 … 255, as torchvision."""
    return np.trunc(factors * 255).astype(np.int32) & 255


def _jitter(settings: ColorJitterLaw, columns: Columns, count: int) -> np.ndarray:
    order = columns["fn_idx"]
    present, numbers = np.zeros(4, bool), np.zeros((count, 4), np.int32)
    for place, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        if getattr(settings, name) is not None:
            present[place] = True
            numbers_of = hue_numbers if name == "hue" else blend_numbers
            numbers[:, place] = numbers_of(columns[f"{name}_factor"])
    which = np.where(present[order], order + 1, 0)
    made = np.stack([which, np.take_along_axis(numbers, order, axis=1)], axis=-1)
    return made.astype(np.int32)


def _same(operation: Operation, number: int, count: int) -> np.ndarray:
    return np.tile(np.array([operation, number], np.int32), (count, 1, 1))


def _greyscale(
    settings: GrayscaleLaw | RandomGrayscaleLaw, columns: Columns, count: int
) -> np.ndarray:
    return _same(Operation.GREYSCALE, 0, count)


def _invert(settings: RandomInvertLaw, columns: Columns, count: int) -> np.ndarray:
    return _same(Operation.INVERT, 0, count)


def _solarize(settings: RandomSolarizeLaw, columns: Columns, count: int) -> np.ndarray:
    kept = sum(level < settings.threshold for level in range(256))  # of any number, NaN too
    return _same(Operation.SOLARIZE, kept, count)


def _posterize(settings: RandomPosterizeLaw, columns: Columns, count: int) -> np.ndarray:
    return _same(Operation.POSTERIZE, 256 - (1 << 8 - settings.bits), count)


# By the transform's name.
OPERATIONS: dict[str, Callable[[Any, Columns, int], np.ndarray]] = {
    "ColorJitter": _jitter,
    "Grayscale": _greyscale,
    "RandomGrayscale": _greyscale,
    "RandomInvert": _invert,
    "RandomSolarize": _solarize,
    "RandomPosterize": _posterize,
}


def operations(law: Law, columns: Columns, count: int, on: np.ndarray | None = None) -> np.ndarray:
    """What a colour transform does to each of ``count`` images.

    law: of a transform in ``OPERATIONS``. columns: what it drew, under torchvision's names. on:
    bool, count: the images for which it happens; None: all.
    Returns int32, count × slots × 2: pairs (Operation, its number), (0, 0) where nothing is done.
    """
    made = OPERATIONS[law.name](law, columns, count)
    made[made[..., 0] == Operation.NOTHING] = 0
    if on is not None:
        made[~on] = 0
    return made
