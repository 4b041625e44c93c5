"""The sizes of a source that steps read from; docs/raster.md, "Levels"."""

from __future__ import annotations

import math

import numpy as np

from singleimg.engines.raster.call import Raster

SMALLEST = 24  # pixels; no level has a side that is shorter
APART = 6  # a level is made from the one that is 8 times as large, or from the source
_SQRT_HALF = 0.7071067811865476


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Heights and widths of all levels, the source first."""
    sizes, k = [(height, width)], 1
    while True:
        scale = math.ldexp(_SQRT_HALF if k % 2 else 1.0, -(k // 2))
        size = math.floor(height * scale + 0.5), math.floor(width * scale + 0.5)
        if min(size) < SMALLEST:
            return sizes
        sizes.append(size)
        k += 1


def levels_of(pixels: np.ndarray, raster: Raster) -> list[np.ndarray]:
    """All levels of a picture (``uint8`` H×W×3), which is the first of them."""
    levels = [pixels]
    for k, size in enumerate(level_sizes(*pixels.shape[:2])[1:], start=1):
        levels.append(raster.resampled(levels[max(k - APART, 0)], *size))
    return levels
