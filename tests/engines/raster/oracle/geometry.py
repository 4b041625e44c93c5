"""The geometry of docs/raster.md in plain, slow NumPy: float64 for an image, int64 for its pixels.

Function by function, under the page's headings. Pixels are H×W×3, levels of colour 0 … 255.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from singleimg.transforms.elementary import cos, exp, radians, sin, tan

SMALLEST = 24
SQRT_HALF = 0.7071067811865476
SQRT_TWO = 1.4142135623730951
SUPPORT = {"bilinear": 1, "bicubic": 2, "lanczos": 3}
PHASES = 16

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
