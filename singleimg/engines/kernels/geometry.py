"""Kernels of what moves pixels: crops, resizes, rotations, shears and flips."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from singleimg.engines.kernels.registry import Kernel, Params, kernel_for
from singleimg.engines.kernels.resample import (
    Box,
    Span,
    canvas_part,
    level_for,
    resample,
    resize,
    span,
    warp,
)
from singleimg.engines.picture import Picture
from singleimg.transforms.geometry import CropResizeAffineLaw, RandomSquareCropLaw, RotatedCropLaw
from singleimg.transforms.torchvision import (
    CenterCropLaw,
    IdentityLaw,
    RandomCropLaw,
    RandomHorizontalFlipLaw,
    RandomVerticalFlipLaw,
    ResizeLaw,
    resized,
)

if TYPE_CHECKING:
    from torchvision.transforms.v2 import RandomResizedCrop

_FILTERS = {2: "bilinear", 3: "bicubic", 1: "lanczos"}  # by the numbers that Pillow gives them
_OVERSAMPLED = 3  # samples of a rotated patch for each pixel of the result, at least
# Where a patch has less than _FINE pixels for one of the result, reading the picture more than
# _ASIDE of a result's pixel beside where Pillow reads it shows.
_FINE, _ASIDE = 3.0, 0.05
_BORDERS = {
    "fill": cv2.BORDER_REPLICATE,  # as Pillow reads at the edge; what is beyond is blackened after
    "reflect": cv2.BORDER_REFLECT_101,
    "image": cv2.BORDER_REPLICATE,  # never reached: the canvas has margins
}


@kernel_for("RandomSquareCrop", reader=True)
def square_crop(settings: RandomSquareCropLaw) -> Kernel:
    """A slice."""
    return lambda picture, params: _cut(
        picture.pixels, params["top"], params["left"], params["height"], params["width"]
    )


@kernel_for("CropResizeAffine", reader=True)
def crop_resize_affine(settings: CropResizeAffineLaw) -> Kernel:
    """Resamples the part of the canvas that the result sees, and warps only the result's pixels.

    Without rotation and shear, the resized centre of the canvas.
    """
    size, canvas = settings.size, settings.canvas
    offset = round((canvas - size) / 2)  # of torchvision's centre crop
    beyond, fill = settings.corners == "image", settings.corners == "fill"
    turns = settings.degrees > 0 or settings.shear > 0 or beyond  # which sees beyond the crop
    border = _BORDERS[settings.corners]
    # torchvision's rotate turns counter-clockwise and its affine clockwise
    sign = 1.0 if settings.shear else -1.0

    def still(picture: Picture, params: Params) -> np.ndarray:
        whole = resize(picture, _box(params), (canvas, canvas), params["interpolation"])
        return _cut(whole, offset, offset, size, size)

    def turned(picture: Picture, params: Params) -> np.ndarray:
        matrix = _turning(sign * params["angle"], params["shear"], canvas / 2, offset)
        columns, rows = (_reached(row, size) for row in matrix)
        if not beyond:
            rows, columns = _within(rows, canvas), _within(columns, canvas)
        piece = canvas_part(
            picture,
            _box(params),
            canvas,
            rows,
            columns,
            beyond=beyond,
            interpolation=params["interpolation"],
        )
        shifted = matrix - [[0, 0, piece.left], [0, 0, piece.top]]
        pixels = warp(piece.pixels, shifted, (size, size), border)
        return _blacken(pixels, matrix, canvas) if fill else pixels

    return turned if turns else still


def _box(params: Params) -> Box:
    return Box(params["top"], params["left"], params["height"], params["width"])


def _turning(angle: float, shear: float, centre: float, offset: int) -> np.ndarray:
    """2×3, OpenCV's coordinates: where in the canvas a pixel of its centre crop is read.

    torchvision's ``_get_inverse_affine_matrix`` about the canvas's centre.
    """
    radians, slope = math.radians(angle), math.tan(math.radians(shear))
    cos, sin = math.cos(radians), math.sin(radians)
    shift = offset + 0.5 - centre
    xx, xy = cos - sin * slope, cos * slope + sin
    return np.array(
        [
            [xx, xy, (xx + xy) * shift + centre - 0.5],
            [-sin, cos, (cos - sin) * shift + centre - 0.5],
        ]
    )


def _extent(row: np.ndarray, last_x: int, last_y: int) -> tuple[float, float]:
    """Least and greatest of ``row``·(x, y, 1) over 0 … last_x and 0 … last_y."""
    x, y, start = row.tolist()
    x, y = x * last_x, y * last_y
    return start + min(0.0, x) + min(0.0, y), start + max(0.0, x) + max(0.0, y)


def _reached(row: np.ndarray, size: int) -> tuple[int, int]:
    """Along one axis of the canvas, the pixels first … last - 1 that the result reads."""
    low, high = _extent(row, size - 1, size - 1)
    return math.floor(low), math.floor(high) + 2


def _within(needed: tuple[int, int], canvas: int) -> tuple[int, int]:
    return min(max(needed[0], 0), canvas - 1), max(min(needed[1], canvas), 1)


def _blacken(pixels: np.ndarray, matrix: np.ndarray, canvas: int) -> np.ndarray:
    """Blackens pixels that were read beyond the canvas: Pillow cuts there, without a soft edge."""
    size = pixels.shape[0]
    limits = [_extent(row, size - 1, size - 1) for row in matrix]
    if all(low >= -0.5 and high < canvas - 0.5 for low, high in limits):
        return pixels
    first, stop = np.zeros(size), np.full(size, float(size))
    for across, down, start in matrix.tolist():
        place = down * np.arange(size) + start + 0.5  # of the row's first pixel; 0 … canvas inside
        if across > 0:
            first = np.maximum(first, np.ceil(-place / across))
            stop = np.minimum(stop, np.ceil((canvas - place) / across))
        elif across < 0:
            first = np.maximum(first, np.floor((canvas - place) / across) + 1)
            stop = np.minimum(stop, np.floor(-place / across) + 1)
        else:
            stop[(place < 0) | (place >= canvas)] = 0
    columns = np.arange(size, dtype=np.int16)
    first, stop = (np.clip(edge, 0, size).astype(np.int16)[:, None] for edge in (first, stop))
    inside = (columns >= first) & (columns < stop)
    return cv2.copyTo(pixels, inside.view(np.uint8))


@kernel_for("RotatedCrop", reader=True)
def rotated_crop(settings: RotatedCropLaw) -> Kernel:
    """Rotates the patch alone, and then shrinks it.

    Read from the picture, or from a level at which the patch has ``_OVERSAMPLED`` times the
    result's pixels a side.
    """
    size = settings.size

    def kernel(picture: Picture, params: Params) -> np.ndarray:
        w, h, angle = params["width"], params["height"], math.radians(params["angle"])
        level = level_for(picture, Box(0, 0, h, w), (size, size), _OVERSAMPLED)
        scale = 2.0**-level
        cos, sin = math.cos(angle), math.sin(angle)
        # The rotated picture's pixels, counted from its centre (that of the source), as Pillow
        # has them: in the middle of an odd number of pixels, between two of an even one.
        W, H = _turned_size(picture.size, max(w, h) / size, cos, sin)
        p, q = params["u"] * cos + params["v"] * sin, params["v"] * cos - params["u"] * sin
        columns = _spanned(W / 2 + p, w, scale, size)
        rows = _spanned(H / 2 + q, h, scale, size)
        aside = [round(axis.first) - axis.first for axis in (columns, rows)]
        fine = min(columns.step, rows.step) < _FINE and max(map(abs, aside)) > _ASIDE
        dx, dy = (0, 0) if fine else (aside[0] * columns.step, aside[1] * rows.step)
        x, y = columns.start + 0.5 + dx - W / 2 * scale, rows.start + 0.5 + dy - H / 2 * scale
        height, width = (length * scale for length in picture.size)
        matrix = np.array(
            [
                [cos, -sin, x * cos - y * sin + width / 2 - 0.5],
                [sin, cos, x * sin + y * cos + height / 2 - 0.5],
            ]
        )
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        patch = _warped(picture.level(level), matrix, shape)
        if fine:
            return _from_between(patch, rows, columns, size)
        out = resample(patch, rows, columns, "bilinear")
        return _cut(out, round(-rows.first), round(-columns.first), size, size)

    return kernel


def _from_between(patch: np.ndarray, rows: Span, columns: Span, size: int) -> np.ndarray:
    """Pillow's resize, which can begin between two pixels: slow, and for a small patch only."""
    top, left = -rows.first * rows.step, -columns.first * columns.step
    box = (left, top, left + size * columns.step, top + size * rows.step)
    image = Image.fromarray(patch)
    return np.array(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def _turned_size(size: tuple[int, int], step: float, cos: float, sin: float) -> tuple[float, float]:
    """Width and height of the picture once reflected margins are added and it is rotated.

    The margins of ``RotatedCrop.transform`` and the rule of ``PIL.Image.rotate(expand=True)``.
    """
    margin = math.ceil(step) + 2
    height, width = size[0] + 2 * margin, size[1] + 2 * margin
    if not sin:
        return width, height
    x, y = abs(width * cos) + abs(height * sin), abs(width * sin) + abs(height * cos)
    centre_x, centre_y = width / 2, height / 2
    return (
        math.ceil(centre_x + x / 2) - math.floor(centre_x - x / 2),
        math.ceil(centre_y + y / 2) - math.floor(centre_y - y / 2),
    )


def _spanned(centre: float, length: float, scale: float, size: int) -> Span:
    start, length = (centre - length / 2) * scale, length * scale
    return span(start, length, size, (0, size), beyond=True, support=1)


def _warped(pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """``warp`` of no more of the picture than it reads; reflected beyond the picture."""
    last_row, last_column = size[0] - 1, size[1] - 1
    parts = []
    for row, limit in zip(matrix, pixels.shape[1::-1], strict=True):
        low, high = _extent(row, last_column, last_row)
        parts.append((max(0, math.floor(low) - 1), min(limit, math.ceil(high) + 2)))
    (left, right), (top, bottom) = parts
    shifted = matrix - [[0, 0, left], [0, 0, top]]
    return warp(pixels[top:bottom, left:right], shifted, size, cv2.BORDER_REFLECT_101)


# --- torchvision's own ---------------------------------------------------------------------------


@kernel_for("Resize", reader=True)
def resize_to(settings: ResizeLaw) -> Kernel | None:
    """Antialiased, as Pillow always is."""
    filter_ = _filter(settings.interpolation)
    if filter_ is None or settings.size is None:
        return None

    def kernel(picture: Picture, params: Params) -> np.ndarray:
        height, width = picture.size
        size = resized(picture.size, settings.size, settings.max_size)
        return resize(picture, Box(0, 0, height, width), size, filter_)

    return kernel


def _filter(interpolation: Any) -> str | None:
    """Our name of a torchvision interpolation (mode, name or number); None for one we lack."""
    name = getattr(interpolation, "value", interpolation)
    name = _FILTERS.get(name, name)
    return name if name in _FILTERS.values() else None


@kernel_for("RandomResizedCrop", reader=True)
def random_resized_crop(settings: RandomResizedCrop) -> Kernel | None:
    """Resizes straight from the picture."""
    filter_ = _filter(settings.interpolation)
    if filter_ is None:
        return None
    height, width = settings.size
    return lambda picture, params: resize(picture, _box(params), (height, width), filter_)


@kernel_for("CenterCrop", reader=True)
def center_crop(settings: CenterCropLaw) -> Kernel:
    """A slice; black where the picture is smaller."""
    height, width = settings.size

    def kernel(picture: Picture, params: Params) -> np.ndarray:
        H, W = picture.size
        if height > H or width > W:
            down, across = max(height - H, 0), max(width - W, 0)
            margins = (down // 2, (down + 1) // 2, across // 2, (across + 1) // 2)
            padded = cv2.copyMakeBorder(picture.pixels, *margins, cv2.BORDER_CONSTANT)
            return kernel(Picture(padded), params)
        return _cut(picture.pixels, round((H - height) / 2), round((W - width) / 2), height, width)

    return kernel


@kernel_for("RandomCrop", reader=True)
def random_crop(settings: RandomCropLaw) -> Kernel | None:
    """A slice."""
    if settings.padding is not None or settings.pad_if_needed:
        return None

    def kernel(picture: Picture, params: Params) -> np.ndarray:
        if not params["needs_crop"]:
            return np.ascontiguousarray(picture.pixels)
        return _cut(
            picture.pixels, params["top"], params["left"], params["height"], params["width"]
        )

    return kernel


@kernel_for("RandomHorizontalFlip")
def horizontal_flip(settings: RandomHorizontalFlipLaw) -> Kernel:
    """Left to right."""
    return lambda pixels, params: cv2.flip(pixels, 1)


@kernel_for("RandomVerticalFlip")
def vertical_flip(settings: RandomVerticalFlipLaw) -> Kernel:
    """Top to bottom."""
    return lambda pixels, params: cv2.flip(pixels, 0)


@kernel_for("Identity")
def identity(settings: IdentityLaw) -> Kernel:
    """Nothing."""
    return lambda pixels, params: pixels


def _cut(pixels: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])
