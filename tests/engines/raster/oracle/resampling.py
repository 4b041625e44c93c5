"""Levels and resampling of docs/raster.md in plain, slow NumPy: float64 for an image, int64 for its
pixels, which are H×W×3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

SMALLEST = 24
SQRT_HALF = 0.7071067811865476
SQRT_TWO = 1.4142135623730951
SUPPORT = {"bilinear": 1, "bicubic": 2, "lanczos": 3}

Taps = tuple[np.ndarray, np.ndarray]  # of n positions: the first pixel (n) and the weights (n×taps)
Part = tuple[int, int, int, int]  # top, left, height, width


# --- words and arithmetic ---


def fixed(x: float) -> int:
    return math.floor(65536.0 * x + 0.5)


def mul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b + (1 << 14)) >> 15


def mirror(i: np.ndarray, n: int) -> np.ndarray:
    period = 1 if n == 1 else 2 * (n - 1)
    r = np.mod(i, period)
    return np.where(r < n, r, period - r)


# --- levels ---


@dataclass
class Picture:
    """What a step gets: the levels of a source and the part of it that was cut out so far, or
    pixels that were changed, which are the one level there is."""

    levels: Sequence[np.ndarray]
    part: Part

    @staticmethod
    def of_source(pixels: np.ndarray) -> Picture:
        return Picture(levels_of(pixels), (0, 0, *pixels.shape[:2]))

    @staticmethod
    def changed(pixels: np.ndarray) -> Picture:
        return Picture([pixels], (0, 0, *pixels.shape[:2]))

    @cached_property
    def pixels(self) -> np.ndarray:
        top, left, height, width = self.part
        return self.levels[0][top : top + height, left : left + width]

    def read(self, step: float, least: float, *, beyond: bool) -> Level:
        """The level that a step of that size reads; ``beyond``: it looks beyond a part."""
        source, (top, left, *size) = self.levels[0], self.part
        levels = 1 if beyond and tuple(size) != source.shape[:2] else len(self.levels)
        k = level(step, least, levels)
        if not k:
            return Level(self.pixels, 1.0, 1.0, 0, 0)
        (h, w), (H, W) = self.levels[k].shape[:2], source.shape[:2]
        return Level(self.levels[k], w / W, h / H, left, top)


@dataclass
class Level:
    """Pixels, their scales, and the corner of the part in pixels of the source."""

    pixels: np.ndarray
    across: float
    down: float
    left: int
    top: int


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    sizes, k = [(height, width)], 1
    while True:
        s = 2.0 ** (-k // 2) if k % 2 == 0 else SQRT_HALF * 2.0 ** (-(k - 1) // 2)
        size = math.floor(height * s + 0.5), math.floor(width * s + 0.5)
        if min(size) < SMALLEST:
            return sizes
        sizes.append(size)
        k += 1


def levels_of(pixels: np.ndarray) -> list[np.ndarray]:
    levels = [pixels]
    for k, size in enumerate(level_sizes(*pixels.shape[:2])):
        if k:
            larger = levels[max(k - 6, 0)]
            box = (0, 0, larger.shape[1], larger.shape[0])
            levels.append(resize(Picture.changed(larger), box, size, "lanczos", least=math.inf))
    return levels


def level(step: float, least: float, levels: int) -> int:
    k, thresholds = 0, [least, SQRT_TWO * least]
    while k + 1 < levels and step >= thresholds[k + 1]:
        k += 1
        thresholds.append(2.0 * thresholds[k - 1])
    return k


# --- resampling along one axis ---


def bilinear(u: np.ndarray) -> np.ndarray:
    return np.where(u < 1, 1.0 - u, 0.0)


def bicubic(u: np.ndarray) -> np.ndarray:
    near = ((1.5 * u - 2.5) * u) * u + 1.0
    far = ((-0.5 * u + 2.5) * u - 4.0) * u + 2.0
    return np.where(u < 1, near, np.where(u < 2, far, 0.0))


def lanczos(u: np.ndarray) -> np.ndarray:
    v = u / 3.0
    w = np.minimum(v, 1.0 - v)
    x = math.pi * w
    y = x * x
    s = np.full_like(u, 1.0 / math.factorial(17))
    for m in (15, 13, 11, 9, 7, 5, 3, 1):
        s = s * y + (-1.0 if m % 4 == 3 else 1.0) / math.factorial(m)
    s = s * x
    z = (3.0 - (4.0 * s) * s) * s
    a = math.pi * u
    with np.errstate(divide="ignore", invalid="ignore"):
        f = ((3.0 * z) * s) / (a * a)
    return np.where(u >= 3, 0.0, np.where(u <= 1e-6, 1.0, f))


FILTERS = {"bilinear": bilinear, "bicubic": bicubic, "lanczos": lanczos}


def rounded_sums(values: np.ndarray) -> np.ndarray:
    """Weights that sum to 16384; ``values`` n×taps."""
    sums = np.cumsum(values, axis=1)  # one after the other
    r = np.floor(sums * (16384.0 / sums[:, -1:]) + 32768.5).astype(np.int64) - 32768
    return np.diff(r, axis=1, prepend=0)


def taps_of(
    positions: np.ndarray,
    start: float,
    step: float,
    kind: str,
    limits: tuple[int, int] | None = None,
) -> Taps:
    """``limits``: low and high; None: there are none."""
    scale = step if step > 1 else 1.0
    radius = SUPPORT[kind] * scale
    n = math.ceil((2 * SUPPORT[kind]) * scale)
    c = start + (positions + 0.5) * step
    first = np.floor((c - radius) - 0.5).astype(np.int64) + 1
    offset = (first + 0.5) - c
    t = np.arange(n)
    values = FILTERS[kind](np.abs(offset[:, None] + t) * (1.0 / scale))
    if limits:
        pixel = first[:, None] + t
        values = np.where((pixel >= limits[0]) & (pixel < limits[1]), values, 0.0)
    return first, rounded_sums(values)


def one_pass(pixels: np.ndarray, taps: Taps) -> np.ndarray:
    """Down the rows, int64."""
    first, weights = taps
    total = np.full((len(first), *pixels.shape[1:]), 8192, np.int64)
    for t in range(weights.shape[1]):
        rows = mirror(first + t, len(pixels))
        total += weights[:, t, None, None] * pixels[rows]
    return np.clip(total >> 14, 0, 255)


def two_passes(pixels: np.ndarray, down: Taps, across: Taps) -> np.ndarray:
    """Rows first; of the columns only those that are read. int64."""
    first, weights = across
    start, stop = first.min(), first.max() + weights.shape[1]
    columns = mirror(np.arange(start, stop), pixels.shape[1])
    rows_done = one_pass(pixels[:, columns], down)
    return one_pass(rows_done.transpose(1, 0, 2), (first - start, weights)).transpose(1, 0, 2)


def box_taps(
    positions: np.ndarray,
    start: float,
    length: float,
    count: int,
    kind: str,
    scale: float,
    size: int,
    limited: bool = True,
) -> Taps:
    """Along one axis: ``count`` positions over a box that begins at ``start``."""
    begin = start * scale
    low, high = max(math.floor(begin), 0), min(math.ceil((start + length) * scale), size)
    step = (length / count) * scale
    return taps_of(positions, begin, step, kind, (low, high) if limited else None)


# --- Resize, RandomResizedCrop ---


def resize(
    picture: Picture,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    kind: str,
    least: float = 5.6,
) -> np.ndarray:
    """box: left, top, width, height. size: height, width."""
    (left, top, width, height), (h, w) = box, size
    read = picture.read(min(width / w, height / h), least, beyond=False)
    H, W = read.pixels.shape[:2]
    down = box_taps(np.arange(h), read.top + top, height, h, kind, read.down, H)
    across = box_taps(np.arange(w), read.left + left, width, w, kind, read.across, W)
    return two_passes(read.pixels, down, across).astype(np.uint8)
