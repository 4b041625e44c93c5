"""The section "Colour" of docs/raster.md in plain, slow NumPy: int64 throughout.

Pixels are H×W×3 (or any …×3), levels 0 … 255.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def luma(pixels: np.ndarray) -> np.ndarray:
    r, g, b = np.moveaxis(pixels.astype(np.int64), -1, 0)
    return (19595 * r + 38470 * g + 7471 * b + 32768) // 65536


def blend(pixels: np.ndarray, grey: np.ndarray | int, q: int) -> np.ndarray:
    levels = pixels.astype(np.int64)
    return np.clip(levels + q * (levels - grey) // 65536, 0, 255)


def brightness(pixels: np.ndarray, q: int) -> np.ndarray:
    return blend(pixels, 0, q)


def mean_grey(pixels: np.ndarray) -> int:
    grey = luma(pixels)
    return int((2 * grey.sum() + grey.size) // (2 * grey.size))


def contrast(pixels: np.ndarray, q: int) -> np.ndarray:
    return blend(pixels, mean_grey(pixels), q)


def saturation(pixels: np.ndarray, q: int) -> np.ndarray:
    return blend(pixels, luma(pixels)[..., None], q)


def hue_and_saturation(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """H, 0 … 254, and S, 0 … 255."""
    r, g, b = np.moveaxis(pixels.astype(np.int64), -1, 0)
    largest, smallest = pixels.max(-1).astype(np.int64), pixels.min(-1).astype(np.int64)
    d = largest - smallest
    from_red = 85 * (g - b) + 510 * d * (g < b)
    from_green = 85 * (b - r) + 170 * d
    from_blue = 85 * (r - g) + 340 * d
    angle = np.where(r == largest, from_red, np.where(g == largest, from_green, from_blue))
    return angle // np.maximum(2 * d, 1), 255 * d // np.maximum(largest, 1)


def hue(pixels: np.ndarray, turn: int) -> np.ndarray:
    h, s = hue_and_saturation(pixels)
    x = 6 * ((h + turn) % 256)
    away = [510 - abs(x - 765), abs(x - 510) - 255, abs(x - 1020) - 255]
    parts = np.clip(np.stack(away, -1), 0, 255)
    lower = (129 * s[..., None] + 1) * parts // 256
    largest = pixels.max(-1, keepdims=True).astype(np.int64)
    return largest - (largest * lower + 16384) // 32768


def greyscale(pixels: np.ndarray, number: int = 0) -> np.ndarray:
    return np.repeat(luma(pixels)[..., None], 3, axis=-1)


def invert(pixels: np.ndarray, number: int = 0) -> np.ndarray:
    return 255 - pixels.astype(np.int64)


def solarize(pixels: np.ndarray, threshold: int) -> np.ndarray:
    return np.where(pixels < threshold, pixels, invert(pixels))


def posterize(pixels: np.ndarray, mask: int) -> np.ndarray:
    return pixels.astype(np.int64) & mask


# In the order of their numbers; the first does nothing.
OPERATIONS = (
    lambda pixels, number: pixels,
    brightness,
    contrast,
    saturation,
    hue,
    greyscale,
    invert,
    solarize,
    posterize,
)


def colour(pixels: np.ndarray, operations: Iterable[tuple[int, int]]) -> np.ndarray:
    """uint8 in, uint8 out: pairs (operation, its number), one after the other."""
    for operation, number in operations:
        pixels = OPERATIONS[operation](pixels, int(number))
    return pixels.astype(np.uint8)
