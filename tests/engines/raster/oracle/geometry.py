"""The geometry of docs/raster.md in plain, slow NumPy: float64 for an image, int64 for its pixels.

Function by function, under the page's headings. Pixels are H×W×3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from singleimg.transforms.elementary import cos, exp, radians, sin, tan
from tests.engines.raster.oracle.resampling import (
    Level,
    Picture,
    box_taps,
    fixed,
    mirror,
    mul,
    rounded_sums,
    taps_of,
    two_passes,
)

PHASES = 16


# --- reading between pixels ---


def between(
    X: np.ndarray, Y: np.ndarray, pixel: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """``pixel``: of rows and columns, arrays of one shape."""
    i, j = X >> 16, Y >> 16
    fx, fy = ((X >> 10) & 63)[..., None], ((Y >> 10) & 63)[..., None]
    p, q = (pixel(j, i + k).astype(np.int64) for k in (0, 1))
    r, s = (pixel(j + 1, i + k).astype(np.int64) for k in (0, 1))
    upper = mul(p * (64 - fx) + q * fx, 256 * (64 - fy))
    lower = mul(r * (64 - fx) + s * fx, 256 * fy)
    return (upper + lower + 1) >> 5


# --- CropResizeAffine ---


def crop_resize_affine(picture: Picture, law: Any, drawn: dict[str, Any]) -> np.ndarray:
    """The result in strips of rows, so that a large one needs little memory."""
    S, C = law.size, math.floor(math.sqrt(2) * law.size)
    alpha = radians(drawn["angle"] if law.shear else -drawn["angle"])
    t = tan(radians(drawn["shear"]))
    offset = round((C - S) / 2)  # halves to even
    shift = (offset + 0.5) - C / 2
    xx, xy = cos(alpha) - sin(alpha) * t, cos(alpha) * t + sin(alpha)
    yx, yy = -sin(alpha), cos(alpha)
    x = ((xx + xy) * shift + C / 2) - 0.5
    y = ((yx + yy) * shift + C / 2) - 0.5
    i, strips = np.arange(S), []
    for first in range(0, S, 256):
        rows = np.arange(first, min(first + 256, S))[:, None]
        X = np.floor(65536.0 * (xy * rows + x) + 0.5).astype(np.int64) + i * fixed(xx)
        Y = np.floor(65536.0 * (yy * rows + y) + 0.5).astype(np.int64) + i * fixed(yx)
        strips.append(_from_canvas(picture, law.corners, drawn, C, X, Y))
    return np.concatenate(strips).astype(np.uint8)


def _from_canvas(
    picture: Picture, corners: str, drawn: dict[str, Any], C: int, X: np.ndarray, Y: np.ndarray
) -> np.ndarray:
    """What is read at X, Y of the canvas, of which only what is read is made."""
    read_at = X + 512, Y + 512
    # The canvas's positions that stand at the places that are read.
    whole = [np.arange((at >> 16).min(), (at >> 16).max() + 2) for at in read_at]
    if corners == "fill":
        places = [np.clip(one, 0, C - 1) for one in whole]
    elif corners == "reflect":
        places = [mirror(one, C) for one in whole]
    else:
        places = whole
    image = corners == "image"
    left, top, width, height = (drawn[key] for key in ("left", "top", "width", "height"))
    least = 2.0 if C <= 128 else 1.4
    read = picture.read(min(width / C, height / C), least, beyond=image)
    H, W = read.pixels.shape[:2]
    kind = str(drawn["interpolation"])
    used = [np.unique(one) for one in places]
    across = box_taps(used[0], read.left + left, width, C, kind, read.across, W, not image)
    down = box_taps(used[1], read.top + top, height, C, kind, read.down, H, not image)
    canvas = two_passes(read.pixels, down, across)
    columns, rows = (np.searchsorted(u, p) for u, p in zip(used, places, strict=True))

    def pixel(j: np.ndarray, i: np.ndarray) -> np.ndarray:
        return canvas[rows[j - whole[1][0]], columns[i - whole[0][0]]]

    result = between(*read_at, pixel)
    if corners == "fill":
        inside = [(at + 32768 >= 0) & (at + 32768 <= 65536 * C - 1) for at in (X, Y)]
        result = np.where((inside[0] & inside[1])[..., None], result, 0)
    return result


# --- RotatedCrop ---


def rotated_crop(picture: Picture, law: Any, drawn: dict[str, Any]) -> np.ndarray:
    S, alpha = law.size, radians(drawn["angle"])
    patch = Patch(S, cos(alpha), sin(alpha), *(drawn[key] for key in ("width", "height", "u", "v")))
    least = min(patch.stepx, patch.stepy)
    read = picture.read(least, 2.0, beyond=True)
    H, W = picture.pixels.shape[:2]
    hx, hy = math.sqrt(patch.stepx * patch.stepx + 1), math.sqrt(patch.stepy * patch.stepy + 1)
    half = max(hx, hy) * max(read.across, read.down)
    if least >= 2 and half <= 4.4:
        return _in_one_pass(read, patch, H, W, hx, hy, 6 if half <= 3.4 else 8)
    return _in_two_steps(read, patch, H, W)


@dataclass
class Patch:
    """Its side in pixels of the result, its turn, size and centre."""

    S: int
    c: float
    s: float
    w: float
    h: float
    u: float
    v: float

    def __post_init__(self) -> None:
        self.stepx, self.stepy = self.w / self.S, self.h / self.S
        self.p = self.u * self.c + self.v * self.s
        self.q = self.v * self.c - self.u * self.s


def _in_one_pass(
    read: Level, patch: Patch, H: int, W: int, hx: float, hy: float, T: int
) -> np.ndarray:
    c, s, across, down = patch.c, patch.s, read.across, read.down
    a = 0.5 * patch.stepx + patch.p - patch.w / 2
    b = 0.5 * patch.stepy + patch.q - patch.h / 2
    xx, xy = (patch.stepx * c) * across, -(patch.stepy * s) * across
    yx, yy = (patch.stepx * s) * down, (patch.stepy * c) * down
    x = ((a * c - b * s) + W / 2) * across - 0.5
    y = ((a * s + b * c) + H / 2) * down - 0.5
    i, j = np.arange(patch.S), np.arange(patch.S)[:, None]
    X = np.floor(65536.0 * (xy * j + x) + 0.5).astype(np.int64) + i * fixed(xx)
    Y = np.floor(65536.0 * (yy * j + y) + 0.5).astype(np.int64) + i * fixed(yx)
    U = (c / hx) / across, (s / hx) / down, (-s / hy) / across, (c / hy) / down
    weights, back = footprints(U, T), T // 2 - 1
    mx, my = (X & 65535) >> 12, (Y & 65535) >> 12
    height, width = read.pixels.shape[:2]
    total = np.full((patch.S, patch.S, 3), 8, np.int64)
    for row in range(T):
        for column in range(T):
            rows = mirror((Y >> 16) - back + row, height)
            columns = mirror((X >> 16) - back + column, width)
            total += weights[my, mx, row, column][..., None] * read.pixels[rows, columns]
    return (total >> 7).astype(np.uint8)


def footprints(U: tuple[float, ...], T: int) -> np.ndarray:
    """Weights for each phase my, mx: int64, P×P×T×T; the last axis across."""
    back = T // 2 - 1
    phase, tap = np.arange(PHASES), np.arange(T)
    d = tap - ((phase[:, None] + 0.5) / PHASES + back)
    dx, dy = d[None, :, None, :], d[:, None, :, None]

    def tent(d: np.ndarray) -> np.ndarray:
        return np.maximum(0.0, 1.0 - np.abs(d))

    value = tent(U[0] * dx + U[1] * dy) * tent(U[2] * dx + U[3] * dy)
    total = np.zeros((PHASES, PHASES))
    for i in range(T):
        column = np.zeros((PHASES, PHASES))
        for j in range(T):
            column = column + value[:, :, j, i]
        total = total + column
    weights = np.floor(value * (128 / total)[..., None, None] + 0.5).astype(np.int64)
    missing = 128 - weights.sum(axis=(2, 3))
    my, mx = np.mgrid[:PHASES, :PHASES]
    weights[my, mx, back + (2 * my >= PHASES), back + (2 * mx >= PHASES)] += missing
    return weights


def _in_two_steps(read: Level, patch: Patch, H: int, W: int) -> np.ndarray:
    c, s, across, down = patch.c, patch.s, read.across, read.down
    height, width = rotated_size(H, W, patch)
    pixel_rows, pixel_columns = read.pixels.shape[:2]
    start_x = ((width / 2 + patch.p) - patch.w / 2) * across
    start_y = ((height / 2 + patch.q) - patch.h / 2) * across
    positions = np.arange(patch.S)
    first_x, weights_x = taps_of(positions, start_x, patch.stepx * across, "bilinear")
    first_y, weights_y = taps_of(positions, start_y, patch.stepy * across, "bilinear")
    i0, j0 = first_x.min(), first_y.min()
    i = np.arange(i0, first_x.max() + weights_x.shape[1])
    j = np.arange(j0, first_y.max() + weights_y.shape[1])[:, None]
    g = down / across
    a, b = 0.5 / across - width / 2, 0.5 / across - height / 2
    xx, xy, yx, yy = c, -s, s * g, c * g
    x = ((a * c - b * s) + W / 2) * across - 0.5
    y = ((a * s + b * c) + H / 2) * down - 0.5
    X = np.floor(65536.0 * ((xx * i0 + xy * j) + x) + 0.5).astype(np.int64)
    Y = np.floor(65536.0 * ((yx * i0 + yy * j) + y) + 0.5).astype(np.int64)
    X, Y = X + (i - i0) * fixed(xx) + 512, Y + (i - i0) * fixed(yx) + 512

    def pixel(j: np.ndarray, i: np.ndarray) -> np.ndarray:
        return read.pixels[mirror(j, pixel_rows), mirror(i, pixel_columns)]

    rotated = between(X, Y, pixel)
    return two_passes(rotated, (first_y - j0, weights_y), (first_x - i0, weights_x)).astype(
        np.uint8
    )


def rotated_size(H: int, W: int, patch: Patch) -> tuple[int, int]:
    """H″ and W″."""
    m = math.ceil(max(patch.w, patch.h) / patch.S) + 2
    H, W = H + 2 * m, W + 2 * m
    if patch.s == 0:
        return H, W
    x = abs(W * patch.c) + abs(H * patch.s)
    y = abs(W * patch.s) + abs(H * patch.c)
    return (
        math.ceil(H / 2 + y / 2) - math.floor(H / 2 - y / 2),
        math.ceil(W / 2 + x / 2) - math.floor(W / 2 - x / 2),
    )


# --- crops, flips, blur ---


def crop(picture: Picture, top: int, left: int, height: int, width: int) -> Picture:
    """Within the picture."""
    first_row, first_column = picture.part[:2]
    return Picture(picture.levels, (first_row + top, first_column + left, height, width))


def center_crop(picture: Picture, height: int, width: int) -> Picture:
    """A part of it, or what it is with black around it."""
    H, W = picture.pixels.shape[:2]
    top, left = (round((has - wants) / 2) for has, wants in ((H, height), (W, width)))
    if height <= H and width <= W:
        return crop(picture, top, left, height, width)
    black = np.zeros((height, width, 3), np.uint8)
    before_y, before_x = max(height - H, 0) // 2, max(width - W, 0) // 2
    seen = picture.pixels[max(top, 0) :, max(left, 0) :][:height, :width]
    black[before_y : before_y + seen.shape[0], before_x : before_x + seen.shape[1]] = seen
    return Picture.changed(black)


def gaussian_blur(
    picture: Picture, kernel: tuple[int, int], sigmas: tuple[float, float]
) -> np.ndarray:
    """kernel and sigmas: across, down."""
    (H, W), taps = picture.pixels.shape[:2], []
    for size, k, sigma in zip((W, H), kernel, sigmas, strict=True):
        x = (np.arange(k) - (k - 1) / 2) / sigma
        weights = rounded_sums(exp((-0.5 * x) * x)[None])
        taps.append((np.arange(size) - k // 2, np.repeat(weights, size, axis=0)))
    across, down = taps
    return two_passes(picture.pixels, down, across).astype(np.uint8)
