"""The two ways of resampling: shrinking and enlarging on a grid (torch), and warping (OpenCV)."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image

from singleimg.engines.picture import Picture
from singleimg.transforms.base import SUPPORT, mirrored

_OPERATORS = {
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa.default,
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa.default,
}
if hasattr(torch.ops.aten, "_upsample_lanczos2d_aa"):  # younger than the other two
    _OPERATORS["lanczos"] = torch.ops.aten._upsample_lanczos2d_aa.default
_OVERSAMPLED = 6  # a level must hold this many times the result's pixels a side: fewer show
_TRIED = 16  # starts that are tried for one that falls between two pixels
_MISALIGNED = 0.05  # of a pixel of the result: nobody sees it
_ASIDE = 0.1  # of a pixel of the canvas, which the warp then makes up for
_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class Box(NamedTuple):
    """A part of a picture, in its pixels."""

    top: float
    left: float
    height: float
    width: float


class Piece(NamedTuple):
    """A part of a canvas: ``pixels[i, j]`` is the canvas's pixel (top + i, left + j)."""

    pixels: np.ndarray
    top: float
    left: float


class Span(NamedTuple):
    """Along one axis: what is read, and what comes out of it."""

    start: int  # pixels of the level that are read: start … stop - 1
    stop: int
    count: int  # pixels of the canvas that come out
    step: float  # pixels of the level for each of the canvas
    first: float  # the canvas's pixel that comes out first


def resize(picture: Picture, box: Box, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """``box`` (whole pixels) of a picture at ``size`` (height, width), antialiased as by Pillow."""
    level = level_for(picture, box, size)
    while level and _misalignment(box, size, level) > _MISALIGNED:
        level -= 1
    spans = [
        _whole(start / 2**level, length / 2**level, count, picture.level(level).shape[axis])
        for axis, (start, length, count) in enumerate(zip(box[:2], box[2:], size, strict=True))
    ]
    return resample(_read(picture.level(level), *spans), *spans, interpolation)


def canvas_part(
    picture: Picture,
    box: Box,
    canvas: int,
    rows: tuple[int, int],
    columns: tuple[int, int],
    *,
    beyond: bool,
    interpolation: str,
) -> Piece:
    """What resizing ``box`` to a square canvas gives, at least in ``rows`` and ``columns``.

    With ``beyond`` these may lie outside of the canvas, and show what surrounds the box. The piece
    begins where a canvas pixel begins at a pixel of the source (or nearly: its ``top`` and ``left``
    are then fractions), since the resize of torch knows no offset.
    """
    level = level_for(picture, box, (canvas, canvas))
    scale, pixels = 2.0**-level, picture.level(level)
    support = SUPPORT[interpolation]
    vertical = span(box.top * scale, box.height * scale, canvas, rows, beyond, support)
    horizontal = span(box.left * scale, box.width * scale, canvas, columns, beyond, support)
    out = resample(_read(pixels, vertical, horizontal), vertical, horizontal, interpolation)
    return Piece(out, vertical.first, horizontal.first)


def level_for(
    picture: Picture, box: Box, size: tuple[int, int], oversampled: float = _OVERSAMPLED
) -> int:
    """How often the picture may be halved before ``box`` of it becomes ``size``."""
    step = min(box.height / size[0], box.width / size[1])
    return min(max(0, math.floor(math.log2(step / oversampled))), picture.levels)


def _misalignment(box: Box, size: tuple[int, int], level: int) -> float:
    return max(
        abs(start / 2**level - round(start / 2**level)) * 2**level * count / length
        for start, length, count in zip(box[:2], box[2:], size, strict=True)
    )


def _whole(start: float, length: float, count: int, limit: int) -> Span:
    first = round(start)
    return Span(first, min(limit, math.ceil(first + length)), count, length / count, 0)


def span(
    start: float, length: float, canvas: int, needed: tuple[int, int], beyond: bool, support: int
) -> Span:
    """What to read so that ``length`` pixels from ``start`` on become ``canvas``, or at least the
    pixels ``needed`` (first, last + 1) of it, which lie outside of it only when ``beyond``."""
    step = length / canvas
    reach = math.ceil(support * max(1, 1 / step)) + 1  # so far the end of what is read can be seen
    low, high = needed[0] - reach, needed[1] + reach
    if low <= 0 and not beyond:
        first, error = 0, start - round(start)
    else:
        lowest = low - _TRIED if beyond else max(0, low - _TRIED)
        first, error = _between_pixels(start, step, range(low, lowest - 1, -1))
        if low > 0 and abs(error) > _ASIDE * step:  # as where ``step`` is nearly 1: from the edge
            first, error = 0, start - round(start)
    begin, end = round(start + first * step - error), math.ceil(start + high * step)
    if high >= canvas and not beyond:
        end, count = round(start + length), canvas - first
    else:
        count = int((end - begin) / step)
    if count == end - begin and step != 1:  # torch would take it for done, and resample nothing
        if not beyond:
            error = start - round(start)
            return Span(round(start), round(start + length), canvas, step, -error / step)
        end += 1
    return Span(begin, end, count, step, first - error / step)


def _between_pixels(start: float, step: float, firsts: range) -> tuple[int, float]:
    """The one of ``firsts`` that begins nearest to the edge of a pixel, and how far from it."""
    best, best_error = firsts[0], 1.0
    for first in firsts:
        place = start + first * step
        error = place - round(place)
        if abs(error) < abs(best_error):
            best, best_error = first, error
            if abs(error) < 0.01:
                break
    return best, best_error


def resample(view: np.ndarray, rows: Span, columns: Span, interpolation: str) -> np.ndarray:
    """``view``, the pixels that ``rows`` and ``columns`` read, on their canvas; antialiased."""
    size = [rows.count, columns.count]
    steps = rows.step, columns.step
    operator = _OPERATORS.get(interpolation)
    if operator is None:
        return _by_pillow(view, size, steps, interpolation)
    # The batch dimension comes first: torch then sees channels-last memory, and keeps it.
    tensor = torch.from_numpy(np.ascontiguousarray(view)).unsqueeze(0).permute(0, 3, 1, 2)
    if steps[0] > 0.5:  # rows first: the vertical pass is the faster one
        tensor = operator(tensor, [size[0], view.shape[1]], False, 1 / steps[0], 1.0)
        steps = 1.0, steps[1]
    out = operator(tensor, size, False, 1 / steps[0], 1 / steps[1])
    return out.permute(0, 2, 3, 1)[0].numpy()


def _read(pixels: np.ndarray, rows: Span, columns: Span) -> np.ndarray:
    return window(pixels, rows.start, rows.stop, columns.start, columns.stop)


def _by_pillow(
    view: np.ndarray, size: list[int], steps: tuple[float, float], interpolation: str
) -> np.ndarray:
    box = (0, 0, min(size[1] * steps[1], view.shape[1]), min(size[0] * steps[0], view.shape[0]))
    resampling = Image.Resampling[interpolation.upper()]
    image = Image.fromarray(np.ascontiguousarray(view))
    return np.array(image.resize((size[1], size[0]), resampling, box=box))


def window(pixels: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """A view of rows top … bottom - 1 and columns left … right - 1, or a copy that is reflected
    where it reaches beyond the picture (the border pixel not repeated)."""
    height, width = pixels.shape[:2]
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return pixels[top:bottom, left:right]
    inside = pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    margins = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if max(margins[:2]) < inside.shape[0] and max(margins[2:]) < inside.shape[1]:
        return cv2.copyMakeBorder(inside, *margins, cv2.BORDER_REFLECT_101)
    rows, columns = mirrored(range(top, bottom), height), mirrored(range(left, right), width)
    return pixels[rows[:, None], columns[None, :]]


def warp(pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int], border: int) -> np.ndarray:
    """Bilinear: pixel (x, y) of the result (``size`` is height, width) is read at matrix·(x, y, 1).

    Coordinates are those of OpenCV, in which the centre of the first pixel is 0.
    """
    # Four channels are warped 2.4 times as fast as three.
    four = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
    warped = cv2.warpAffine(four, matrix, size[::-1], flags=_WARP, borderMode=border)
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)
